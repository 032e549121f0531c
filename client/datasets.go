package client

import (
	"context"
	"net/http"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// CompareDatasets counts the items that two committed datasets have in common.
func (c *Client) CompareDatasets(ctx context.Context, in wire.Comparison) (record.Recorded[record.Overlap], error) {
	return do[record.Recorded[record.Overlap]](ctx, c, http.MethodPost, "/overlaps", nil, in)
}
