package client

import (
	"context"
	"net/http"
	"net/url"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func targetPath(id, what string) string { return "/targets/" + url.PathEscape(id) + what }

// AddTarget adds a target; a secret that the server made is in this answer only.
func (c *Client) AddTarget(ctx context.Context, in wire.TargetRequest) (wire.KeptTarget, error) {
	return do[wire.KeptTarget](ctx, c, http.MethodPost, "/targets", nil, in)
}

// Targets returns the targets that the caller may change, of one team where it
// is not empty.
func (c *Client) Targets(ctx context.Context, team string) ([]wire.TargetStatus, error) {
	query := url.Values{}
	if team != "" {
		query.Set("team", team)
	}
	return do[[]wire.TargetStatus](ctx, c, http.MethodGet, "/targets", query, nil)
}

// Target returns a target with the deliveries that were not made.
func (c *Client) Target(ctx context.Context, id string) (wire.TargetStatus, error) {
	return do[wire.TargetStatus](ctx, c, http.MethodGet, targetPath(id, ""), nil, nil)
}

// ChangeTarget changes a target, or its secret.
func (c *Client) ChangeTarget(ctx context.Context, id string, in wire.TargetChange) (wire.KeptTarget, error) {
	return do[wire.KeptTarget](ctx, c, http.MethodPost, targetPath(id, ""), nil, in)
}

// RemoveTarget ends a target for good.
func (c *Client) RemoveTarget(ctx context.Context, id string) (record.Recorded[record.Target], error) {
	return do[record.Recorded[record.Target]](ctx, c, http.MethodDelete, targetPath(id, ""), nil, nil)
}

// TestTarget sends one message that tells of nothing.
func (c *Client) TestTarget(ctx context.Context, id string) (wire.TargetTest, error) {
	return do[wire.TargetTest](ctx, c, http.MethodPost, targetPath(id, "/test"), nil, nil)
}

// ReplayTarget makes what was given up due again.
func (c *Client) ReplayTarget(ctx context.Context, id string, in wire.Replay) (wire.Replayed, error) {
	return do[wire.Replayed](ctx, c, http.MethodPost, targetPath(id, "/replay"), nil, in)
}
