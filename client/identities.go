package client

import (
	"context"
	"net/http"
	"net/url"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// AddIdentity binds what a platform vouches for to a workload.
func (c *Client) AddIdentity(ctx context.Context, in record.Identity) (record.Recorded[record.Identity], error) {
	return do[record.Recorded[record.Identity]](ctx, c, http.MethodPost, "/identities", nil, in)
}

// Identities returns the identities of a workload, or all where it is empty.
func (c *Client) Identities(ctx context.Context, workload string) ([]wire.KeptIdentity, error) {
	query := url.Values{}
	if workload != "" {
		query.Set("workload", workload)
	}
	return do[[]wire.KeptIdentity](ctx, c, http.MethodGet, "/identities", query, nil)
}

// EndIdentity ends an identity for good, with the tokens that were given for it.
func (c *Client) EndIdentity(ctx context.Context, id string, in wire.Stop) (record.Recorded[record.Identity], error) {
	return do[record.Recorded[record.Identity]](ctx, c, http.MethodPost, "/identities/"+url.PathEscape(id)+"/end", nil, in)
}

// EndAccess ends all access tokens that a workload was given until now.
func (c *Client) EndAccess(ctx context.Context, workload string, in wire.Stop) (record.Recorded[record.Revocation], error) {
	return do[record.Recorded[record.Revocation]](ctx, c, http.MethodPost, "/principals/"+url.PathEscape(workload)+"/end-access", nil, in)
}
