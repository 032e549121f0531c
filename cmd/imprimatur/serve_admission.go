package main

import (
	"crypto/tls"
	"fmt"
	"net"

	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/admission"
)

// admissionFlags are how serve answers clusters.
type admissionFlags struct {
	Listen   string `placeholder:"ADDRESS" help:"Where clusters ask what they may run (docs/kubernetes.md), over TLS: a listener of its own, which asks for no token."`
	Cert     string `placeholder:"FILE" help:"Its certificate, in PEM; taken anew when the file changes."`
	Key      string `placeholder:"FILE" help:"The certificate's key."`
	ClientCA string `name:"client-ca" placeholder:"FILE" help:"Who issues the certificates of the clusters that may ask; without, whoever reaches the listener may."`

	admission.Options
}

// open listens for clusters, nil where none is to ask.
func (c *admissionFlags) open(reg *registry.Registry, opts server.Options) (*front, error) {
	if c.Listen == "" {
		return nil, nil
	}
	if c.Cert == "" || c.Key == "" {
		return nil, wrongf("--admission-listen needs --admission-cert and --admission-key: clusters ask over TLS only")
	}
	secured, err := admission.TLS(admission.Files{Cert: c.Cert, Key: c.Key, ClientCA: c.ClientCA}, opts.Log)
	if err != nil {
		return nil, wrongf("%w", err)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, &failure{code: exitUndecided, err: fmt.Errorf("cannot listen at %s: %w", c.Listen, cause(err)), hint: "another server may run there; choose another address with --admission-listen"}
	}
	return &front{tls.NewListener(l, secured), server.Gate(reg, opts)}, nil
}
