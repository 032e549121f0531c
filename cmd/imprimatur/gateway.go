package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"imprimatur.dev/client"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/mcp"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// gatewayCmd is the noun gateway.
type gatewayCmd struct {
	MCP    gatewayMCPCmd    `cmd:"" name:"mcp" help:"Stand between an agent and its MCP servers."`
	Egress gatewayEgressCmd `cmd:"" help:"Stand between a workload and the APIs and vendor models that it calls, and attach the credentials."`
	Bind   gatewayBindCmd   `cmd:"" help:"Let a gateway attach secrets that releases grant to use."`
	List   gatewayListCmd   `cmd:"" help:"List the gateways that may."`
	End    gatewayEndCmd    `cmd:"" help:"End one for good, with its leases."`
}

type gatewayMCPCmd struct {
	Serve gatewayMCPServeCmd `cmd:"" default:"withargs" hidden:"" help:"Let through what the standing release grants."`
	Learn gatewayMCPLearnCmd `cmd:"" help:"Let everything through, in a sandbox, and write down the grants that were needed."`
}

// mcpFlags say which servers, and who reaches them how.
type mcpFlags struct {
	Config string `required:"" placeholder:"FILE" help:"The gateway's configuration, in YAML: its servers by name."`
	Server string `placeholder:"NAME" help:"The one to serve on standard input and output; not needed where there is one."`
	Listen string `placeholder:"ADDRESS" help:"Serve all of them by streamable HTTP, each at /NAME, in place of standard input and output."`
}

func (c *mcpFlags) read(a *app) (mcp.Config, error) {
	raw, err := a.readFile(c.Config, "the gateway's configuration")
	if err != nil {
		return mcp.Config{}, err
	}
	cfg, err := mcp.ReadConfig(raw, a.env)
	switch {
	case err != nil:
		return cfg, wrongf("%s: %w", c.Config, err)
	case c.Listen != "":
	case c.Server == "" && len(cfg.Servers) > 1:
		return cfg, wrongf("%s names several servers: say with --server which to serve on standard input and output, or serve all with --listen", c.Config)
	case c.Server == "":
		c.Server = slices.Collect(maps.Keys(cfg.Servers))[0]
	case len(cfg.Servers[c.Server].Command) == 0 && cfg.Servers[c.Server].URL == "":
		return cfg, wrongf("%s names no server %q", c.Config, c.Server)
	}
	return cfg, nil
}

// serve serves until the agent leaves or the program is ended.
func (c *mcpFlags) serve(a *app, cfg mcp.Config, o mcp.Options) (err error) {
	o.Log = slog.New(slog.NewTextHandler(a.stderr, nil))
	o.Stderr = a.stderr
	if cfg.Record != "" {
		if o.Journal, err = mcp.OpenJournal(cfg.Record); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, o.Journal.Close()) }()
	}
	ctx, cancel := context.WithCancel(a.ctx)
	g := mcp.New(ctx, cfg, o)
	defer g.Wait()
	defer cancel()
	if c.Listen == "" {
		return g.ServeStdio(ctx, c.Server, a.env("IMPRIMATUR_TOKEN"), a.stdin, a.stdout)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return &failure{code: exitUndecided, err: fmt.Errorf("cannot listen at %s: %w", c.Listen, cause(err))}
	}
	a.warnOfPlain(l.Addr())
	for _, name := range slices.Sorted(maps.Keys(cfg.Servers)) {
		fmt.Fprintf(a.stderr, "imprimatur: http://%s/%s\n", l.Addr(), name)
	}
	return g.Serve(ctx, l)
}

type gatewayMCPServeCmd struct{ mcpFlags }

// Help implements kong.HelpProvider.
func (c *gatewayMCPServeCmd) Help() string {
	return `The configuration names servers, each with a command that is started or the address of one that runs:

  servers:
    files: {command: [mcp-server-filesystem, /srv/cases]}
    crm:   {url: "https://crm.example/mcp", headers: {Authorization: "Bearer ${CRM_TOKEN}"}}
  record: mcp-calls.jsonl

A grant of kind tools names SERVER/TOOL with the action call; one of kind data names SERVER/URI with the action read, or
SERVER/prompts/NAME with the action get. On standard input and output the agent is the workload that IMPRIMATUR_TOKEN stands for;
by HTTP each agent sends the token of its own. IMPRIMATUR_URL says which server to ask.`
}

// Run implements the command.
func (c *gatewayMCPServeCmd) Run(a *app) error {
	cfg, err := c.read(a)
	if err != nil {
		return err
	}
	o := mcp.Options{Source: a.granted(cfg.Environment, cfg.Release), Issuer: a.server()}
	if a.env("IMPRIMATUR_TOKEN") != "" {
		o.Report, o.Tell = a.redefined, a.told
	}
	if a.mayLend() {
		o.Secrets = a.lends()
	}
	return c.serve(a, cfg, o)
}

// told tells the server of what was decided here.
func (a *app) told(ctx context.Context, lines []wire.Decided) error {
	_, err := a.client().TellDecisions(ctx, lines)
	return err
}

// granted asks the server what the workload of a token may do.
func (a *app) granted(environment, release string) follow.Source {
	return func(ctx context.Context, bearer string, have record.Digest) (wire.Granted, error) {
		got, err := client.New(a.server(), bearer).Granted(ctx, wire.Ask{Environment: environment, Release: release}, have)
		return got, asWorkload(err)
	}
}

// asWorkload marks the server's refusal of a token as what a follower calls that.
func asWorkload(err error) error {
	var p *client.Problem
	if errors.As(err, &p) && (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden) {
		return fmt.Errorf("%w: %w", follow.ErrNotSignedIn, p)
	}
	return err
}

// signal tells the server of something that a gateway has seen.
func (a *app) signal(release, line, what, detail string) {
	s := record.Signal{Release: release, Line: line, Type: what, Detail: detail, Observed: record.Millis(a.now())}
	if _, err := a.client().RecordSignal(a.ctx, s); err != nil {
		fmt.Fprintf(a.stderr, "imprimatur: %s; the signal could not be recorded: %v\n", detail, err)
	}
}

// warnOfPlain warns where what listens in plain HTTP is reached from elsewhere.
func (a *app) warnOfPlain(at net.Addr) {
	if !loopback(at) {
		fmt.Fprintln(a.stderr, "imprimatur: this address is reached from elsewhere in plain HTTP; put a proxy with TLS before it")
	}
}

// toolRedefined is the type of the signal of a tool that is not the approved one.
const toolRedefined = "tool-redefined"

// redefined tells the server of a tool that is not defined as it was approved.
func (a *app) redefined(r mcp.Redefinition) { a.signal(r.Release, r.Line, toolRedefined, r.Detail) }

type gatewayMCPLearnCmd struct {
	mcpFlags
	Output string `required:"" placeholder:"FILE" help:"Where the grants are written when the agent leaves; release propose takes them with --authority."`
}

// Help implements kong.HelpProvider.
func (c *gatewayMCPLearnCmd) Help() string {
	return "Nothing is refused while it learns, and no server is asked: run the agent where it can do no harm. What it was not seen " +
		"to use it may still need, and what it was led to use it may not: read the grants with imprimatur authority show before you propose them."
}

// Run implements the command.
func (c *gatewayMCPLearnCmd) Run(a *app) error {
	cfg, err := c.read(a)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stderr, "imprimatur: LEARNING: nothing is refused, and whatever the agent asks for is done. Use it in a sandbox alone.")
	lesson := mcp.NewLesson()
	err = c.serve(a, cfg, mcp.Options{Lesson: lesson, Source: func(context.Context, string, record.Digest) (wire.Granted, error) {
		return wire.Granted{Workload: "learning", Stands: true, Authority: &record.Authority{}, At: time.Now()}, nil
	}})
	w, done, failed := a.output(c.Output)
	if failed != nil {
		return errors.Join(err, failed)
	}
	_, failed = w.Write(lesson.JSON())
	return errors.Join(err, failed, done())
}
