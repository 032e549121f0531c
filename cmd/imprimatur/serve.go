package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/admission"
	"imprimatur.dev/server/mlflow"
	"imprimatur.dev/server/session"
	"imprimatur.dev/store"
)

// serveCmd is "imprimatur serve".
type serveCmd struct {
	Data   string `default:"${dataDefault}" placeholder:"DIR" help:"The folder of keys, evidence and, without --db, the ledger (default ${dataDefault})."`
	Listen string `default:"${listenDefault}" placeholder:"ADDRESS" help:"Where to listen (default ${listenDefault})."`
	DB     string `name:"db" placeholder:"URL" help:"postgres://… for a ledger that several servers share; else SQLite in the folder."`

	PassphraseFile string `placeholder:"FILE" help:"Opens the server's key, and encrypts a new one; or IMPRIMATUR_PASSPHRASE."`

	MLflowTeam string     `name:"mlflow-team" placeholder:"TEAM" help:"Whose model registry MLflow's clients find who act for several teams and name none."`
	MLflow     frontFlags `embed:"" prefix:"mlflow-"`
	Watch      watchFlags `embed:"" prefix:"mlflow-"`
	ModelsFrom []string   `name:"models-from" placeholder:"DIR" help:"A folder below which the server reads the bytes of models that MLflow's clients register; may be repeated."`

	URL string `name:"url" placeholder:"URL" help:"The address at which browsers reach it, such as https://models.example; cookies and passkeys belong to it (default: this machine, in plain HTTP)."`

	Admission admissionFlags `embed:"" prefix:"admission-"`
	ExtAuthz  envoyFlags     `embed:"" prefix:"ext-authz-"`

	trackingFlags
	notifyFlags
	tokenFlags
	secretsKeyFlags
	vaultsFlags

	KeepAllowed   int  `default:"1" placeholder:"N" help:"Each Nth allowed answer of the decision point has a line in the decision log; refusals always have (default 1: all)."`
	KeepDecisions span `default:"400d" placeholder:"TIME" help:"How long the files of the decision log are kept (default 400d); their sums stay in the ledger."`

	SignInWith string `placeholder:"FILE" help:"The configuration of single sign-on with an OpenID Connect issuer, in YAML."`

	NewAdministratorToken bool `help:"Print a new token and a new link for the first administrator, for who has lost every other way in."`
}

// Help implements kong.HelpProvider.
func (c *serveCmd) Help() string {
	return "The first start makes the server's key and prints a link and a token for the administrator, once. " +
		"The server speaks plain HTTP: put a proxy with TLS before it where it is reached from elsewhere. " +
		"It ends on an interrupt, after the requests that run."
}

// serving is what serve prints when it is ready.
type serving struct {
	URL     string `json:"url"`
	MLflow  string `json:"mlflow,omitzero"`
	Gate    string `json:"admission,omitzero"`
	Data    string `json:"data"`
	Origin  string `json:"origin"`
	Key     string `json:"key"`
	Link    string `json:"administratorLink,omitzero"`
	Token   string `json:"administratorToken,omitzero"`
	Expires string `json:"administratorTokenLives,omitzero"`
}

// Run implements the command.
func (c *serveCmd) Run(a *app) error {
	passphrase, err := a.passphrase(c.PassphraseFile)
	if err != nil {
		return err
	}
	// The listener comes first: a first token that is printed before the start
	// fails would be lost.
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return &failure{code: exitUndecided, err: fmt.Errorf("cannot listen at %s: %w", c.Listen, cause(err)), hint: "another server may run there; choose another address with --listen"}
	}
	defer listener.Close()
	at, err := server.Address(c.URL, listener.Addr())
	if err != nil {
		return wrongf("%w", err)
	}
	log := slog.New(slog.NewTextHandler(a.stderr, nil))
	// What stands behind the front is where the models are.
	c.MLflowTracking = cmp.Or(c.MLflowTracking, c.MLflow.Upstream)
	cfg, err := c.configure(a, registry.Config{Data: c.Data, Database: c.DB, Passphrase: passphrase, Folders: c.ModelsFrom, Background: true, KeepEvery: c.KeepAllowed, KeepDecisions: time.Duration(c.KeepDecisions)})
	if err != nil {
		return err
	}
	if cfg.Notify, err = c.telling(a, at.String(), log); err != nil {
		return err
	}
	if cfg.SecretsKey, err = c.secretsKey(a); err != nil {
		return err
	}
	if err := c.vaults(a, &cfg); err != nil {
		return err
	}
	issuer, err := c.issuer(a)
	if err != nil {
		return err
	}
	if err := c.issuing(&cfg, cfg.Notify.URL); err != nil {
		return err
	}
	issuers, err := c.issuers(a, cfg.Notify.Guard)
	if err != nil {
		return err
	}
	reg, err := openRegistry(a.ctx, cfg)
	if err != nil {
		return err
	}
	out := serving{URL: "http://" + listener.Addr().String(), Data: c.Data, Origin: reg.Origin(), Key: reg.VerifierKey()}
	beside, err := c.mlflowSide(a, reg, mlflow.Options{Team: c.MLflowTeam, Log: log, URL: at.String()})
	if err != nil {
		return errors.Join(err, reg.Close())
	}
	if beside.front != nil {
		defer beside.front.Close()
		out.MLflow = "http://" + beside.front.Addr().String()
	}
	opts := server.Options{Log: log, Team: c.MLflowTeam, URL: at, Issuer: issuer, Issuers: issuers, CertificateHeader: c.CertificateHeader, Admission: c.Admission.Options}
	if beside.gate, err = c.Admission.open(reg, opts); err != nil {
		return errors.Join(err, reg.Close())
	}
	if beside.gate != nil {
		defer beside.gate.Close()
		out.Gate = "https://" + beside.gate.Addr().String() + admission.Path
	}
	if beside.envoy, err = c.ExtAuthz.open(reg, log); err != nil {
		return errors.Join(err, reg.Close())
	}
	if out.Token, out.Link, err = c.waysIn(a.ctx, reg); err != nil {
		return errors.Join(err, reg.Close())
	}
	if out.Token != "" {
		out.Expires, out.Link = "24h", at.String()+out.Link
	}
	if err := a.show(out, func(p *page) { out.draw(p) }); err != nil {
		return errors.Join(err, reg.Close())
	}
	if !loopback(listener.Addr()) {
		fmt.Fprintln(a.stderr, "imprimatur: this address is reached from elsewhere in plain HTTP; put a proxy with TLS before it")
	}
	return errors.Join(beside.serveAll(a.ctx, reg, listener, server.New(reg, opts)), reg.Close())
}

// openRegistry opens an installation, and turns what a person must do something
// about into refusals.
func openRegistry(ctx context.Context, cfg registry.Config) (*registry.Registry, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the data folder: %w", err)
	}
	reg, err := registry.Open(ctx, cfg)
	switch {
	case errors.Is(err, store.ErrLocked):
		return nil, &failure{code: exitNo, err: err, hint: "another imprimatur serve runs on this folder; end it, or name another folder with --data"}
	case errors.Is(err, store.ErrForked) || errors.Is(err, ledger.ErrTiles):
		return nil, &failure{code: exitNo, err: err, hint: "an older backup was restored, or entries were lost: nothing was written. Restore a newer one, and see imprimatur log verify --data " + cfg.Data}
	}
	return reg, err
}

// passphrase reads what opens the server's key.
func (a *app) passphrase(path string) (string, error) {
	if path == "" {
		return a.env("IMPRIMATUR_PASSPHRASE"), nil
	}
	raw, err := a.readFile(path, "the passphrase")
	return strings.TrimRight(string(raw), "\r\n"), err
}

// issuer reads the configuration of single sign-on, where there is one.
func (c *serveCmd) issuer(a *app) (*session.Issuer, error) {
	if c.SignInWith == "" {
		return nil, nil
	}
	raw, err := a.readFile(c.SignInWith, "the issuer's configuration")
	if err != nil {
		return nil, err
	}
	issuer, err := session.ReadIssuer(raw)
	if err != nil {
		return nil, wrongf("%s: %w", c.SignInWith, err)
	}
	return issuer, nil
}

// waysIn returns the administrator's token and link where they are to be shown.
func (c *serveCmd) waysIn(ctx context.Context, reg *registry.Registry) (token, link string, err error) {
	token, err = reg.Begin(ctx)
	if err == nil && token == "" && c.NewAdministratorToken {
		token, err = reg.RecoverAdministrator(ctx)
	}
	if err != nil || token == "" {
		return "", "", err
	}
	got, err := reg.InviteAdministrator(ctx)
	return token, got.Path, err
}

func (s serving) draw(p *page) {
	p.styled(strong, "Imprimatur serves %s", s.URL)
	p.field("data folder", "%s", s.Data)
	p.field("ledger", "%s", s.Origin)
	if s.MLflow != "" {
		p.field("MLflow", "%s", s.MLflow)
	}
	if s.Gate != "" {
		p.field("Kubernetes", "%s", s.Gate)
	}
	if s.Token == "" {
		return
	}
	p.line("")
	p.line("Open this link to say how the principal %s signs in. It works once, within %s:", registry.FirstAdministrator, s.Expires)
	p.line("")
	p.line("  %s", s.Link)
	p.line("")
	p.line("This token signs in the same principal for %s on the command line. It is shown once; enrol yourself and others:", s.Expires)
	p.line("")
	p.line("  export IMPRIMATUR_URL=%s", s.URL)
	p.line("  export IMPRIMATUR_TOKEN=%s", s.Token)
	p.line("")
	p.line("  imprimatur principal enrol NAME")
	p.line("  imprimatur principal bind NAME --role %s --team '*'", record.Administrator)
	p.line("  imprimatur principal invite NAME")
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
