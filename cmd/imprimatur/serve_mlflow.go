package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/mlflow"
)

// frontFlags are how serve stands in front of a team's MLflow.
type frontFlags struct {
	Upstream            string `placeholder:"URL" help:"The team's MLflow server, to stand in front of: its clients and browsers come to --mlflow-listen, where the model registry is this one and all else is passed on."`
	Listen              string `default:"${frontDefault}" placeholder:"ADDRESS" help:"Where to listen in front of it (default ${frontDefault})."`
	UpstreamCredentials string `placeholder:"FILE" help:"What it wants to see, USER:PASSWORD or a token; or IMPRIMATUR_MLFLOW_CREDENTIALS. Without, it sees what callers send, but no token of this server."`
}

// front is a listener in front of a team's MLflow, with its handler.
type front struct {
	net.Listener
	handler http.Handler
}

// open listens in front of the upstream; nil is no upstream.
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

// serveAll serves the installation, and the front where there is one, until ctx
// ends or one of them fails.
func serveAll(ctx context.Context, l net.Listener, handler http.Handler, before *front) error {
	if before == nil {
		return server.ServeOn(ctx, l, handler)
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return server.ServeOn(ctx, l, handler) })
	all.Go(func() error { return server.ServeOn(ctx, before, before.handler) })
	return errors.Join(all.Wait())
}
