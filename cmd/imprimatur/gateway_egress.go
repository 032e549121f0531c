package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"imprimatur.dev/client"
	"imprimatur.dev/gateway/egress"
	"imprimatur.dev/wire"
)

type gatewayEgressCmd struct {
	Config string `required:"" placeholder:"FILE" help:"The gateway's configuration, in YAML: its upstreams by name."`
	Listen string `default:"127.0.0.1:8423" placeholder:"ADDRESS" help:"Where workloads call (default 127.0.0.1:8423)."`
}

// Help implements kong.HelpProvider.
func (c *gatewayEgressCmd) Help() string {
	return `The configuration names upstreams, each with its address and the credential that is attached to what is sent there:

  upstreams:
    crm:    {url: "https://crm.example/v1", credential: {file: /run/secrets/crm, as: bearer}}
    openai: {url: "https://api.openai.com", models: openai, credential: {env: OPENAI_KEY, as: bearer}}

A workload calls http://ADDRESS/crm/PATH with its own token. A grant of kind apis names HOST/PATH with the method as action; one of kind models
names VENDOR/MODEL. IMPRIMATUR_URL says which server to ask. With IMPRIMATUR_TOKEN, the token of the gateway's own workload, a credential can be
a secret that the server lends for the workload that asks, credential: {secret: lab/crm-key, as: bearer}; imprimatur gateway bind lets it. If it may
record signals, the server is told by what name and fingerprint each model answers, and says whether it is the one that was accepted.`
}

// Run implements the command.
func (c *gatewayEgressCmd) Run(a *app) error {
	raw, err := a.readFile(c.Config, "the gateway's configuration")
	if err != nil {
		return err
	}
	cfg, err := egress.ReadConfig(raw)
	if err != nil {
		return wrongf("%s: %w", c.Config, err)
	}
	o := egress.Options{
		Log: slog.New(slog.NewTextHandler(a.stderr, nil)),
		Authorize: func(ctx context.Context, bearer string, ask wire.Ask) (wire.Answer, error) {
			got, err := client.New(a.server(), bearer).Authorize(ctx, ask)
			return got, asWorkload(err)
		},
		Settle: func(ctx context.Context, bearer string, s wire.Settlement) error {
			return client.New(a.server(), bearer).Settle(ctx, s)
		},
		Granted: a.granted(cfg.Environment, cfg.Release),
	}
	if a.env("IMPRIMATUR_TOKEN") != "" {
		o.Report = a.modelSeen
	}
	if a.mayLend() {
		o.Secrets = a.lends()
	}
	g, err := egress.New(a.ctx, cfg, o)
	if err != nil {
		return wrongf("%s: %w", c.Config, err)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return &failure{code: exitUndecided, err: fmt.Errorf("cannot listen at %s: %w", c.Listen, cause(err)), hint: "choose another address with --listen"}
	}
	a.warnOfPlain(l.Addr())
	fmt.Fprintf(a.stderr, "imprimatur: http://%s\n", l.Addr())
	return g.Serve(a.ctx, l)
}

// modelSeen tells the server by what name a model has answered, which says whether it is
// the one that was accepted.
func (a *app) modelSeen(seen egress.Seen) {
	got, err := a.client().SeeModel(a.ctx, wire.ModelSeen{Release: seen.Release, Vendor: seen.Vendor, Model: seen.Model, Answered: seen.Answered, Fingerprint: seen.Fingerprint})
	switch {
	case err != nil:
		fmt.Fprintf(a.stderr, "imprimatur: the model %s of %s answers as %+q, and the server could not be told: %v\n", plain(seen.Model), plain(seen.Vendor), seen.Answered, err)
	case got.Changed:
		fmt.Fprintf(a.stderr, "imprimatur: %s\n", plain(got.Detail))
	}
}
