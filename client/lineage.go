package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/wire"
)

// SendLineage sends OpenLineage events for a team, which may be empty where the
// caller has only one. The outcome says which were not kept, and has no Status
// where all were.
func (c *Client) SendLineage(ctx context.Context, team string, events []jsontext.Value) (wire.LineageOutcome, error) {
	var out wire.LineageOutcome
	query := url.Values{}
	if team != "" {
		query.Set("team", team)
	}
	raw, err := c.exchange(ctx, http.MethodPost, "/api/v1/lineage/batch", query, events)
	if err != nil || len(raw) == 0 {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("reading the answer of %s to a batch of events: %w", c.base, err)
	}
	return out, nil
}

// Graph returns a node with what it was made from and what was made from it. Way
// is wire.WayFrom, wire.WayInto or empty for both; a depth or nodes of 0 is the
// server's.
func (c *Client) Graph(ctx context.Context, node, way string, depth, nodes int) (wire.Graph, error) {
	query := url.Values{"node": {node}, "depth": {strconv.Itoa(depth)}, "nodes": {strconv.Itoa(nodes)}}
	if way != "" {
		query.Set("way", way)
	}
	return do[wire.Graph](ctx, c, http.MethodGet, "/graph", query, nil)
}
