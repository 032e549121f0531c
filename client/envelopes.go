package client

import (
	"context"
	"net/http"
	"net/url"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

func envelopePath(id, what string) string { return "/envelopes/" + url.PathEscape(id) + what }

// ProposeEnvelope states an envelope, to be approved.
func (c *Client) ProposeEnvelope(ctx context.Context, in wire.EnvelopeProposal) (wire.EnvelopeCase, error) {
	return do[wire.EnvelopeCase](ctx, c, http.MethodPost, "/envelopes", nil, in)
}

// Envelopes lists the envelopes of a line, or of all where it is empty.
func (c *Client) Envelopes(ctx context.Context, line string) ([]record.Recorded[record.Envelope], error) {
	query := url.Values{}
	if line != "" {
		query.Set("line", line)
	}
	return do[[]record.Recorded[record.Envelope]](ctx, c, http.MethodGet, "/envelopes", query, nil)
}

// Envelope returns an envelope with how it stands and what it spent.
func (c *Client) Envelope(ctx context.Context, id string) (wire.EnvelopeCase, error) {
	return do[wire.EnvelopeCase](ctx, c, http.MethodGet, envelopePath(id, ""), nil, nil)
}

// ApproveEnvelope records an approval, or a request for changes, of in.Envelope.
func (c *Client) ApproveEnvelope(ctx context.Context, in wire.Word) (wire.EnvelopeCase, error) {
	return do[wire.EnvelopeCase](ctx, c, http.MethodPost, envelopePath(in.Envelope, "/approvals"), nil, in)
}

// WithdrawEnvelope ends an envelope.
func (c *Client) WithdrawEnvelope(ctx context.Context, id string, in wire.Stop) (wire.EnvelopeCase, error) {
	return do[wire.EnvelopeCase](ctx, c, http.MethodPost, envelopePath(id, "/withdraw"), nil, in)
}
