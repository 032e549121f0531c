package main

import (
	"time"

	"imprimatur.dev/guard"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/oauth"
	"imprimatur.dev/token"
)

// tokenFlags say which workloads get access tokens, and for whom.
type tokenFlags struct {
	IdentityIssuers   string   `placeholder:"FILE" help:"Whose word about workloads is taken when they ask for access tokens, in YAML: see docs/workload-tokens.md."`
	TokenAudience     []string `placeholder:"URL" help:"Besides this server, who may be named as audience of an access token, such as a gateway; may be repeated."`
	TokenLife         span     `placeholder:"TIME" help:"How long access tokens live, at most 1h (default 5m)."`
	CertificateHeader string   `name:"client-certificate-header" placeholder:"NAME" help:"The header in which the proxy before the server names the client certificate that it verified, such as Client-Cert (RFC 9440); it must take away what clients send in it."`
}

func (c *tokenFlags) issuing(cfg *registry.Config, at string) error {
	cfg.URL, cfg.Audiences, cfg.AccessLife = at, c.TokenAudience, time.Duration(c.TokenLife)
	if cfg.AccessLife > token.MaxLife {
		return wrongf("--token-life: an access token lives for at most %s", token.MaxLife)
	}
	return nil
}

func (c *tokenFlags) issuers(a *app, g *guard.Guard) (*oauth.Issuers, error) {
	if c.IdentityIssuers == "" {
		return nil, nil
	}
	raw, err := a.readFile(c.IdentityIssuers, "the configuration of issuers")
	if err != nil {
		return nil, err
	}
	issuers, err := oauth.ReadIssuers(raw, g)
	if err != nil {
		return nil, wrongf("%s: %w", c.IdentityIssuers, err)
	}
	return issuers, nil
}
