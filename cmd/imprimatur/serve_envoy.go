package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/envoy"
)

// envoyFlags are how serve answers Envoy by gRPC.
type envoyFlags struct {
	Listen     string `placeholder:"ADDRESS" help:"Where to answer Envoy's external authorization filter by gRPC; by HTTP it is answered at /envoy/check."`
	Principals bool   `help:"Take Envoy's word for client certificates: a request without a token is that of the workload to which the SPIFFE ID is bound. Envoy alone must reach the listener."`
}

// open listens, and returns what serves; nil where nothing is to be served.
func (c *envoyFlags) open(reg *registry.Registry, log *slog.Logger) (func(context.Context) error, error) {
	if c.Listen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, &failure{code: exitUndecided, err: fmt.Errorf("cannot listen at %s: %w", c.Listen, cause(err)), hint: "choose another address with --ext-authz-listen"}
	}
	face := envoy.New(reg, log)
	face.Principals = c.Principals
	return func(ctx context.Context) error { return face.ServeGRPC(ctx, l) }, nil
}
