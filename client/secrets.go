package client

import (
	"context"
	"net/http"
	"net/url"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func secretPath(team, name, what string) string {
	return "/secrets/" + url.PathEscape(team) + "/" + url.PathEscape(name) + what
}

// SetSecret sets a secret that is not there yet.
func (c *Client) SetSecret(ctx context.Context, in wire.SecretRequest) (record.Recorded[record.Secret], error) {
	return do[record.Recorded[record.Secret]](ctx, c, http.MethodPost, "/secrets", nil, in)
}

// Secrets returns the secrets that the caller may know of, of one team where it is
// not empty.
func (c *Client) Secrets(ctx context.Context, team string) ([]wire.SecretStatus, error) {
	query := url.Values{}
	if team != "" {
		query.Set("team", team)
	}
	return do[[]wire.SecretStatus](ctx, c, http.MethodGet, "/secrets", query, nil)
}

// Secret returns a secret with all that was stated of it.
func (c *Client) Secret(ctx context.Context, team, name string) (wire.SecretStatus, error) {
	return do[wire.SecretStatus](ctx, c, http.MethodGet, secretPath(team, name, ""), nil, nil)
}

// RotateSecret sets the next version of a secret.
func (c *Client) RotateSecret(ctx context.Context, team, name string, in wire.SecretRotation) (record.Recorded[record.Secret], error) {
	return do[record.Recorded[record.Secret]](ctx, c, http.MethodPost, secretPath(team, name, "/rotate"), nil, in)
}

// WithdrawSecret ends all versions of a secret for good.
func (c *Client) WithdrawSecret(ctx context.Context, team, name, reason string) (record.Recorded[record.Secret], error) {
	return do[record.Recorded[record.Secret]](ctx, c, http.MethodPost, secretPath(team, name, "/withdraw"), nil, wire.Stop{Reason: reason})
}

// ReadSecret returns a secret's value to a workload that a release grants it.
func (c *Client) ReadSecret(ctx context.Context, team, name string, in wire.SecretAsk) (wire.LentSecret, error) {
	return do[wire.LentSecret](ctx, c, http.MethodPost, secretPath(team, name, "/use"), nil, in)
}
