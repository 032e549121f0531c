package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Inventory returns a part of the workloads and credentials that the caller
// oversees or answers for.
func (c *Client) Inventory(ctx context.Context, q wire.InventoryQuery) (wire.Inventory, error) {
	query := url.Values{}
	for name, value := range map[string]string{"text": q.Text, "finding": q.Finding, "owner": q.Owner, "environment": q.Environment, "after": q.From} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	return do[wire.Inventory](ctx, c, http.MethodGet, "/inventory", query, nil)
}

// DisableWorkload disables a workload, and ends all that it shows.
func (c *Client) DisableWorkload(ctx context.Context, name string, in wire.Stop) (record.Recorded[record.Principal], error) {
	return do[record.Recorded[record.Principal]](ctx, c, http.MethodPost, "/principals/"+url.PathEscape(name)+"/disable", nil, in)
}

// RotateToken issues a token in the place of another. Its secret is in this answer
// only.
func (c *Client) RotateToken(ctx context.Context, id string, in wire.TokenRotation) (wire.IssuedToken, error) {
	return do[wire.IssuedToken](ctx, c, http.MethodPost, "/tokens/"+url.PathEscape(id)+"/rotate", nil, in)
}

// ProposeNarrower proposes a live release again, with the authority that was
// enough for what was really called.
func (c *Client) ProposeNarrower(ctx context.Context, release string, in wire.Narrower) (wire.Case, error) {
	return do[wire.Case](ctx, c, http.MethodPost, "/releases/"+url.PathEscape(release)+"/narrow", nil, in)
}
