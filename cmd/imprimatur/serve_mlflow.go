package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/mlflow"
	"imprimatur.dev/tracking"
)

// frontFlags are how serve stands in front of a team's MLflow.
type frontFlags struct {
	Upstream            string `placeholder:"URL" help:"The team's MLflow server, to stand in front of: its clients and browsers come to --mlflow-listen, where the model registry is this one and all else is passed on."`
	Listen              string `default:"${frontDefault}" placeholder:"ADDRESS" help:"Where to listen in front of it (default ${frontDefault})."`
	UpstreamCredentials string `placeholder:"FILE" help:"What it wants to see, USER:PASSWORD or a token; or IMPRIMATUR_MLFLOW_CREDENTIALS. Without, it sees what callers send, but no token of this server."`
}

// watchFlags are how serve watches an MLflow that keeps its own registry.
type watchFlags struct {
	Watch      string        `placeholder:"URL" help:"An MLflow that keeps its own model registry: its aliases and stages that mean an environment are compared with what may run there. Credentials as its clients have them: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."`
	WatchAs    string        `placeholder:"WORKLOAD" help:"Who states what is seen: a workload that is a contributor of --mlflow-team."`
	WatchEvery time.Duration `default:"30s" placeholder:"TIME" help:"How often (default 30s)."`
	Restore    bool          `help:"Also move back what means a version without a standing release."`
}

// open returns what watches, nil where there is nothing to watch.
func (c *watchFlags) open(a *app, reg *registry.Registry, team string, log *slog.Logger) (*tracking.Watch, error) {
	if c.Watch == "" {
		return nil, nil
	}
	if c.WatchAs == "" || team == "" || c.WatchEvery < time.Second {
		return nil, &failure{
			code: exitWrong, err: errors.New("--mlflow-watch needs --mlflow-watch-as and --mlflow-team, and at least a second between its rounds"),
			hint: "enrol a workload, imprimatur principal enrol WORKLOAD --workload, and bind it as contributor of the team",
		}
	}
	client, err := tracking.New(tracking.Config{URL: c.Watch, Env: a.env})
	if err != nil {
		return nil, &failure{code: exitWrong, err: fmt.Errorf("--mlflow-watch: %w", err)}
	}
	who := registry.Caller{Name: c.WatchAs, Type: record.Workload}
	return &tracking.Watch{Client: client, Registry: reg, Who: who, Team: team, Restore: c.Restore, Log: log}, nil
}

// front is a listener in front of a team's MLflow, with its handler.
type front struct {
	net.Listener
	handler http.Handler
}

// open listens in front of the upstream, nil where there is none.
func (c *frontFlags) open(a *app, reg *registry.Registry, opts mlflow.Options) (*front, error) {
	if c.Upstream == "" {
		return nil, nil
	}
	credentials := a.env("IMPRIMATUR_MLFLOW_CREDENTIALS")
	if c.UpstreamCredentials != "" {
		raw, err := a.readFile(c.UpstreamCredentials, "the credentials of MLflow")
		if err != nil {
			return nil, err
		}
		credentials = strings.TrimSpace(string(raw))
	}
	handler, err := mlflow.NewFront(reg, mlflow.FrontOptions{Options: opts, Upstream: c.Upstream, Credentials: credentials})
	if err != nil {
		return nil, &failure{code: exitWrong, err: fmt.Errorf("--mlflow-upstream: %w", err)}
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, &failure{code: exitUndecided, err: fmt.Errorf("cannot listen at %s: %w", c.Listen, cause(err)), hint: "another server may run there; choose another address with --mlflow-listen"}
	}
	return &front{l, handler}, nil
}

// mlflowSide is what serve does beside the installation: for a team's MLflow, and
// for Envoy where that is not nil.
type mlflowSide struct {
	front *front
	watch *tracking.Watch
	every time.Duration
	gate  *front
	envoy func(context.Context) error
}

// mlflowSide opens it.
func (c *serveCmd) mlflowSide(a *app, reg *registry.Registry, opts mlflow.Options) (mlflowSide, error) {
	front, err := c.MLflow.open(a, reg, opts)
	if err != nil {
		return mlflowSide{}, err
	}
	watch, err := c.Watch.open(a, reg, c.MLflowTeam, opts.Log)
	return mlflowSide{front: front, watch: watch, every: c.Watch.WatchEvery}, err
}

// serveAll serves the installation and what stands beside it, until ctx ends or
// one of them fails. What stands beside it looks at names, and so begins when
// the registry remembers them; until then its listener lets clients wait.
func (s mlflowSide) serveAll(ctx context.Context, reg *registry.Registry, l net.Listener, handler http.Handler) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return server.ServeOn(ctx, l, handler) })
	beside := func(serve func() error) {
		all.Go(func() error {
			if err := reg.Whole(ctx); err != nil {
				return err
			}
			return serve()
		})
	}
	if s.gate != nil {
		all.Go(func() error { return server.ServeOn(ctx, s.gate, s.gate.handler) })
	}
	if s.envoy != nil {
		all.Go(func() error { return s.envoy(ctx) })
	}
	if s.front != nil {
		beside(func() error { return server.ServeOn(ctx, s.front, s.front.handler) })
	}
	if s.watch != nil {
		beside(func() error {
			s.watch.Run(ctx, s.every)
			return nil
		})
	}
	return all.Wait()
}
