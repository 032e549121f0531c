package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// secretCmd is the noun secret.
type secretCmd struct {
	Set      secretSetCmd      `cmd:"" help:"Set a secret that is not there yet."`
	Rotate   secretRotateCmd   `cmd:"" help:"Set the next version of one."`
	List     secretListCmd     `cmd:"" help:"List the secrets that there are, without their values."`
	Show     secretShowCmd     `cmd:"" help:"Show one with its versions, without its value."`
	Withdraw secretWithdrawCmd `cmd:"" help:"End all versions of one, and every lease, for good."`
	Use      secretUseCmd      `cmd:"" help:"As a workload: print the value of one that the release grants."`
	Key      secretKeyCmd      `cmd:"" help:"Make a key for serve --secrets-key."`
	Rekey    secretRekeyCmd    `cmd:"" help:"Encrypt all values anew, with no server running."`
}

// secretRef is "team/name" on the command line.
type secretRef struct {
	Ref string `arg:"" name:"secret" help:"team/name."`
}

func (r secretRef) parts() (team, name string, err error) {
	team, name, ok := strings.Cut(r.Ref, "/")
	if !ok {
		return "", "", wrongf("%q is not of the form team/name", r.Ref)
	}
	return team, name, nil
}

// secretValueFlags say what a version is.
type secretValueFlags struct {
	ValueFile string `placeholder:"FILE" help:"The value; - is standard input. Its last line break is cut off, unless --exact."`
	Exact     bool   `help:"Take the file as it is."`

	Vault vaultFlags `embed:"" prefix:"vault-"`

	Expires  moment `placeholder:"TIME" help:"When it can be read no more: 2027-01-31, or a span such as 90d."`
	RotateBy moment `placeholder:"TIME" help:"When the next version is due."`
}

func (c *secretValueFlags) version(a *app) (wire.SecretVersion, error) {
	out := wire.SecretVersion{Expires: c.Expires.after(a.now()), RotateBy: c.RotateBy.after(a.now())}
	at, err := c.Vault.place()
	switch {
	case err != nil:
		return out, err
	case at != nil && c.ValueFile != "":
		return out, wrongf("a secret has a value or a place in a vault, not both; give --value-file or --vault-server")
	case at != nil:
		out.Vault = at
		return out, nil
	case c.ValueFile == "":
		return out, wrongf("say what the value is: --value-file FILE, - for standard input; or --vault-server, --vault-mount and --vault-path, where a vault keeps it")
	}
	raw, err := a.readFile(c.ValueFile, "the value")
	if !c.Exact {
		raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	}
	out.Value = raw
	return out, err
}

// vaultFlags say where an OpenBao or a Vault keeps a value.
type vaultFlags struct {
	Server    string `placeholder:"NAME" help:"The OpenBao or Vault that keeps the value, by its name in the file of serve --vaults."`
	Namespace string `placeholder:"PATH" help:"Its namespace there, if not that of the file."`
	Mount     string `placeholder:"PATH" help:"Where its engine is mounted: KV version 2, or one that makes credentials."`
	Path      string `placeholder:"PATH" help:"Where it is below the mount."`
	Field     string `placeholder:"NAME" help:"The field that is the value; else all of them, as JSON."`
	Version   int    `placeholder:"N" help:"A version there; else always the newest, also one that is written later."`
	Dynamic   bool   `help:"The engine makes a credential for each reading, as database does."`
}

// place is nil where no vault is named.
func (f vaultFlags) place() (*record.VaultPlace, error) {
	if f == (vaultFlags{}) {
		return nil, nil
	}
	if f.Server == "" || f.Mount == "" || f.Path == "" {
		return nil, wrongf("a place in a vault is named by --vault-server, --vault-mount and --vault-path")
	}
	return &record.VaultPlace{Server: f.Server, Namespace: f.Namespace, Mount: f.Mount, Path: f.Path, Field: f.Field, Version: f.Version, Dynamic: f.Dynamic}, nil
}

type secretSetCmd struct {
	secretRef
	secretValueFlags
	Description string `placeholder:"TEXT" help:"What it opens."`
}

// Help implements kong.HelpProvider.
func (c *secretSetCmd) Help() string {
	return "A value never stands on the command line, where others on the machine would see it. No person gets it back: " +
		"it goes to gateways, which attach it for a workload, and to workloads whose release grants them to read it."
}

// Run implements the command.
func (c *secretSetCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	version, err := c.version(a)
	if err != nil {
		return err
	}
	got, err := a.client().SetSecret(a.ctx, wire.SecretRequest{Team: team, Name: name, Description: c.Description, SecretVersion: version})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("set version %d of the secret %s", got.Record.Version, c.Ref)
		p.styled(quiet, "next: grant it in a release's authority, as the resource %q of the kind secrets", name)
	})
}

type secretRotateCmd struct {
	secretRef
	secretValueFlags
	Overlap   span `default:"1h" placeholder:"TIME" help:"How long the version before can still be read, up to 30d (default 1h)."`
	NoOverlap bool `xor:"overlap" help:"End the version before at once, with its leases."`
}

// Run implements the command.
func (c *secretRotateCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	version, err := c.version(a)
	if err != nil {
		return err
	}
	in := wire.SecretRotation{SecretVersion: version, OverlapSeconds: c.Overlap.seconds()}
	if c.NoOverlap {
		in.OverlapSeconds = 0
	}
	got, err := a.client().RotateSecret(a.ctx, team, name, in)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		x := got.Record
		if x.Previous == 0 {
			p.line("set version %d of the secret %s; those before can be read no more", x.Version, c.Ref)
			return
		}
		p.line("set version %d of the secret %s; version %d can be read until %s", x.Version, c.Ref, x.Previous, x.PreviousUntil.Format(time.RFC3339))
	})
}

type secretListCmd struct {
	Team string `placeholder:"NAME" help:"Only this team's."`
}

// Run implements the command.
func (c *secretListCmd) Run(a *app) error {
	got, err := a.client().Secrets(a.ctx, c.Team)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		if len(got) == 0 {
			p.line("none; set one with imprimatur secret set")
			return
		}
		rows := [][]cell{heading("SECRET", "VERSION", "KEPT", "SET BY", "ON", "ROTATE BY", "EXPIRES", "LEASES", "")}
		for _, s := range got {
			x := s.Secret.Record
			rows = append(rows, append(texts(x.Ref(), fmt.Sprint(x.Version), x.Provider, s.Secret.Actor, day(s.Secret.Time), day(x.RotateBy), day(x.Expires), fmt.Sprint(s.Leases)), stateOf(s)))
		}
		p.table(rows)
	})
}

func stateOf(s wire.SecretStatus) cell {
	return cell{s.State, map[string]style{"stands": good, "rotation due": warn, "expired": bad, "withdrawn": quiet}[s.State]}
}

type secretShowCmd struct{ secretRef }

// Run implements the command.
func (c *secretShowCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	got, err := a.client().Secret(a.ctx, team, name)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		x := got.Secret.Record
		p.styled(strong, "%s", x.Ref())
		if x.Description != "" {
			p.field("for", "%s", x.Description)
		}
		p.field("state", "%s", got.State)
		p.field("version", "%d", x.Version)
		p.field("kept", "%s", keptAt(x))
		p.field("rotate by", "%s", day(x.RotateBy))
		p.field("expires", "%s", day(x.Expires))
		if x.Previous > 0 {
			p.field("before it", "version %d, until %s", x.Previous, x.PreviousUntil.Format(time.RFC3339))
		}
		p.field("leases", "%d open on this server", got.Leases)
		p.line("")
		rows := [][]cell{heading("VERSION", "BY", "ON", "")}
		for _, v := range got.Versions {
			what := "set"
			if v.Record.Withdrawn {
				what = "withdrawn: " + v.Record.Reason
			}
			rows = append(rows, texts(fmt.Sprint(v.Record.Version), v.Actor, v.Time.Format(time.RFC3339), what))
		}
		p.table(rows)
	})
}

func keptAt(x record.Secret) string {
	if x.Provider != record.SecretVault {
		return "encrypted, by the server"
	}
	return x.Vault.Full()
}

type secretWithdrawCmd struct {
	secretRef
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run implements the command.
func (c *secretWithdrawCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	got, err := a.client().WithdrawSecret(a.ctx, team, name, c.Reason)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("withdrew the secret %s; its leases have ended", c.Ref) })
}

type secretUseCmd struct {
	secretRef
	Environment string `placeholder:"NAME" help:"Where the workload acts, if it acts under several releases."`
	Release     string `placeholder:"ID" help:"The release, if it acts under several."`
	Of          int    `name:"of-version" placeholder:"N" help:"A version; else the newest."`
}

// Help implements kong.HelpProvider.
func (c *secretUseCmd) Help() string {
	return "The token must be the workload's own, and its release must grant the action read of the secret. The value is lent: " +
		"ask again when the lease ends, after five minutes at most. Only the value is printed."
}

// Run implements the command.
func (c *secretUseCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	got, err := a.client().ReadSecret(a.ctx, team, name, wire.SecretAsk{Environment: c.Environment, Release: c.Release, Version: c.Of})
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(got)
	}
	_, err = a.stdout.Write(append([]byte(got.Value), '\n'))
	return err
}

type secretKeyCmd struct{}

// Run implements the command.
func (c *secretKeyCmd) Run(a *app) error {
	key, err := registry.NewSecretsKey()
	if err != nil {
		return err
	}
	return a.show(struct {
		Key string `json:"key"`
	}{key}, func(p *page) { p.line("%s", key) })
}
