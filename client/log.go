package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Live answers what was live at a time; the zero time is now.
func (c *Client) Live(ctx context.Context, at time.Time) ([]wire.LiveRelease, error) {
	query := url.Values{}
	if !at.IsZero() {
		query.Set("at", at.UTC().Format(time.RFC3339Nano))
	}
	return do[[]wire.LiveRelease](ctx, c, http.MethodGet, "/audit/live", query, nil)
}

// By pages through what a principal stated, newest first.
func (c *Client) By(ctx context.Context, principal string, before int64, limit int) (wire.Page, error) {
	query := paging(before, limit)
	query.Set("principal", principal)
	return do[wire.Page](ctx, c, http.MethodGet, "/audit/who", query, nil)
}

// Impact answers what was made from a thing, rests on it or was done by it, live
// releases first: a digest, "team/name@version", the URI of data, or the name of a
// node, such as "principal:NAME". After is the cursor of the page before, a limit of
// 0 is the server's.
func (c *Client) Impact(ctx context.Context, thing, after string, limit int) (wire.Impact, error) {
	query := url.Values{"of": {thing}, "limit": {strconv.Itoa(limit)}}
	if after != "" {
		query.Set("after", after)
	}
	return do[wire.Impact](ctx, c, http.MethodGet, "/audit/impact", query, nil)
}

// List pages through the statements of one kind, newest first. A before of 0
// begins with the newest, a limit of 0 is the server's.
func (c *Client) List(ctx context.Context, kind record.Kind, before int64, limit int) (wire.Page, error) {
	query := paging(before, limit)
	query.Set("kind", string(kind))
	return do[wire.Page](ctx, c, http.MethodGet, "/log/entries", query, nil)
}

// Checkpoint returns the ledger's signed checkpoint, a C2SP signed note.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, "/log/checkpoint", nil, nil)
}

// Key returns the C2SP verifier key by which the server's signatures are
// checked, with a newline: the text of a trust file.
func (c *Client) Key(ctx context.Context) (string, error) {
	raw, err := c.exchange(ctx, http.MethodGet, "/log/key", nil, nil)
	return string(raw), err
}

// Proof proves that an entry is in the ledger of the checkpoint that comes
// with it.
func (c *Client) Proof(ctx context.Context, index int64) (wire.Proof, error) {
	query := url.Values{"index": {strconv.FormatInt(index, 10)}}
	return do[wire.Proof](ctx, c, http.MethodGet, "/log/proof", query, nil)
}

// Consistency proves that the ledger of one size begins that of another.
func (c *Client) Consistency(ctx context.Context, older, newer int64) (wire.Consistency, error) {
	query := url.Values{"older": {strconv.FormatInt(older, 10)}, "newer": {strconv.FormatInt(newer, 10)}}
	return do[wire.Consistency](ctx, c, http.MethodGet, "/log/consistency", query, nil)
}

// Status says how long the ledger is and who signs it.
func (c *Client) Status(ctx context.Context) (wire.LogStatus, error) {
	return do[wire.LogStatus](ctx, c, http.MethodGet, "/log/status", nil, nil)
}
