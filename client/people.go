package client

import (
	"context"
	"net/http"
	"net/url"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Me returns who the token stands for, and what roles they hold.
func (c *Client) Me(ctx context.Context) (wire.Myself, error) {
	return do[wire.Myself](ctx, c, http.MethodGet, "/me", nil, nil)
}

// Waiting returns what waits for the caller.
func (c *Client) Waiting(ctx context.Context) ([]wire.Waiting, error) {
	return do[[]wire.Waiting](ctx, c, http.MethodGet, "/waiting", nil, nil)
}

// EnrolPrincipal enrols a principal, or changes one.
func (c *Client) EnrolPrincipal(ctx context.Context, p record.Principal) (record.Recorded[record.Principal], error) {
	return do[record.Recorded[record.Principal]](ctx, c, http.MethodPost, "/principals", nil, p)
}

// Principal returns an enrolled principal with its roles.
func (c *Client) Principal(ctx context.Context, name string) (wire.Enrolled, error) {
	return do[wire.Enrolled](ctx, c, http.MethodGet, "/principals/"+url.PathEscape(name), nil, nil)
}

// Invite makes a link by which a person says, once, how they will sign in.
func (c *Client) Invite(ctx context.Context, name string) (wire.Invitation, error) {
	return do[wire.Invitation](ctx, c, http.MethodPost, "/principals/"+url.PathEscape(name)+"/invite", nil, nil)
}

// Offboard sees off a person who leaves, or says what that would do.
func (c *Client) Offboard(ctx context.Context, name string, in wire.Offboarding) (wire.Offboarded, error) {
	return do[wire.Offboarded](ctx, c, http.MethodPost, "/principals/"+url.PathEscape(name)+"/offboard", nil, in)
}

// BindRole binds a role to a principal, or takes it away.
func (c *Client) BindRole(ctx context.Context, b record.Role) (record.Recorded[record.Role], error) {
	return do[record.Recorded[record.Role]](ctx, c, http.MethodPost, "/roles", nil, b)
}

// Delegate lends a role of one's own to another person, or takes that back.
func (c *Client) Delegate(ctx context.Context, in wire.DelegationRequest) (record.Recorded[record.Delegation], error) {
	return do[record.Recorded[record.Delegation]](ctx, c, http.MethodPost, "/delegations", nil, in)
}

// IssueToken issues an API token, whose secret is in this answer only.
func (c *Client) IssueToken(ctx context.Context, in wire.TokenRequest) (wire.IssuedToken, error) {
	return do[wire.IssuedToken](ctx, c, http.MethodPost, "/tokens", nil, in)
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, id string) (record.Recorded[record.Token], error) {
	return do[record.Recorded[record.Token]](ctx, c, http.MethodDelete, "/tokens/"+url.PathEscape(id), nil, nil)
}

// CreateTeam creates a team, or changes what it is shown as.
func (c *Client) CreateTeam(ctx context.Context, t record.Team) (record.Recorded[record.Team], error) {
	return do[record.Recorded[record.Team]](ctx, c, http.MethodPost, "/teams", nil, t)
}

// SetEnvironment creates an environment, or changes one.
func (c *Client) SetEnvironment(ctx context.Context, e record.Environment) (record.Recorded[record.Environment], error) {
	return do[record.Recorded[record.Environment]](ctx, c, http.MethodPost, "/environments", nil, e)
}

// EnrolKey enrols a key that signs for a principal.
func (c *Client) EnrolKey(ctx context.Context, in wire.KeyEnrolment) (record.Recorded[record.PrincipalKey], error) {
	return do[record.Recorded[record.PrincipalKey]](ctx, c, http.MethodPost, "/principal-keys", nil, in)
}

// WithdrawKey ends a key for good.
func (c *Client) WithdrawKey(ctx context.Context, id string, in wire.Stop) (record.Recorded[record.PrincipalKey], error) {
	return do[record.Recorded[record.PrincipalKey]](ctx, c, http.MethodPost, "/principal-keys/"+url.PathEscape(id)+"/withdraw", nil, in)
}
