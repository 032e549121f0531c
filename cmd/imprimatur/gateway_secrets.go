package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"imprimatur.dev/client"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/secrets"
	"imprimatur.dev/wire"
)

// mayLend reports whether the gateway has a token with which it is lent secrets.
func (a *app) mayLend() bool {
	return a.env("IMPRIMATUR_GATEWAY_TOKEN") != "" || a.env("IMPRIMATUR_TOKEN") != ""
}

// lends asks the server for secrets, with the gateway's own token: where
// IMPRIMATUR_TOKEN is the agent's, it is another.
func (a *app) lends() secrets.Source {
	own := client.New(a.server(), cmp.Or(a.env("IMPRIMATUR_GATEWAY_TOKEN"), a.env("IMPRIMATUR_TOKEN")))
	return secrets.Source{
		Attach: func(ctx context.Context, secret string, in wire.SecretAttach) (wire.LentSecret, error) {
			team, name, _ := strings.Cut(secret, "/")
			got, err := own.AttachSecret(ctx, team, name, in)
			return got, asGateway(err)
		},
		Check: func(ctx context.Context, in wire.LeaseCheck) ([]wire.LeaseState, error) {
			got, err := own.CheckLeases(ctx, in)
			return got, asGateway(err)
		},
	}
}

// asGateway marks what the server has refused, and the refusal of the gateway's own
// token.
func asGateway(err error) error {
	var p *client.Problem
	switch {
	case !errors.As(err, &p) || p.Status >= http.StatusInternalServerError:
		return err
	case p.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s", follow.ErrNotSignedIn, p.Detail)
	}
	return fmt.Errorf("%w: %s", secrets.ErrRefused, p.Detail)
}
