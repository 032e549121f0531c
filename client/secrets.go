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
	return do[[]wire.SecretStatus](ctx, c, http.MethodGet, "/secrets", ofTeam(team), nil)
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

// AttachSecret lends a secret to the gateway that the client's token is of.
func (c *Client) AttachSecret(ctx context.Context, team, name string, in wire.SecretAttach) (wire.LentSecret, error) {
	return do[wire.LentSecret](ctx, c, http.MethodPost, secretPath(team, name, "/attach"), nil, in)
}

// CheckLeases says how leases stand that the server has given to the gateway.
func (c *Client) CheckLeases(ctx context.Context, in wire.LeaseCheck) ([]wire.LeaseState, error) {
	return do[[]wire.LeaseState](ctx, c, http.MethodPost, "/leases/check", nil, in)
}

// BindGateway lets a workload attach secrets.
func (c *Client) BindGateway(ctx context.Context, in record.Gateway) (record.Recorded[record.Gateway], error) {
	return do[record.Recorded[record.Gateway]](ctx, c, http.MethodPost, "/gateways", nil, in)
}

// Gateways returns the gateways that the caller may know of, of one team where it is
// not empty.
func (c *Client) Gateways(ctx context.Context, team string) ([]wire.KeptGateway, error) {
	return do[[]wire.KeptGateway](ctx, c, http.MethodGet, "/gateways", ofTeam(team), nil)
}

// EndGateway ends a gateway for good, with its leases.
func (c *Client) EndGateway(ctx context.Context, id string, in wire.Stop) (record.Recorded[record.Gateway], error) {
	return do[record.Recorded[record.Gateway]](ctx, c, http.MethodPost, "/gateways/"+url.PathEscape(id)+"/end", nil, in)
}

func ofTeam(team string) url.Values {
	query := url.Values{}
	if team != "" {
		query.Set("team", team)
	}
	return query
}
