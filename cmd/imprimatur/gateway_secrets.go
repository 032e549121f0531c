package main

import (
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

// lends asks the server for secrets, with the gateway's own token.
func (a *app) lends() secrets.Source {
	return secrets.Source{
		Attach: func(ctx context.Context, secret string, in wire.SecretAttach) (wire.LentSecret, error) {
			team, name, _ := strings.Cut(secret, "/")
			got, err := a.client().AttachSecret(ctx, team, name, in)
			return got, asGateway(err)
		},
		Check: func(ctx context.Context, in wire.LeaseCheck) ([]wire.LeaseState, error) {
			got, err := a.client().CheckLeases(ctx, in)
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
