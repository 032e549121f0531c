package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Observe sends a file of observations, perhaps packed by gzip: NDJSON, Arrow or
// Parquet. The report, which may be nil, is told how much was sent.
func (c *Client) Observe(ctx context.Context, in wire.ObservationBatch, file io.ReaderAt, size int64, report func(done, total int64)) (wire.Observed, error) {
	var out wire.Observed
	query := url.Values{"batch": {in.ID}, "from": {in.From.Format(time.RFC3339Nano)}, "to": {in.To.Format(time.RFC3339Nano)}}
	for name, value := range map[string]string{"release": in.Release, "time": in.Time} {
		if value != "" {
			query.Set(name, value)
		}
	}
	raw, err := c.upload(ctx, http.MethodPost, c.base+"/api/v1/observations?"+query.Encode(), file, size, report)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("reading the answer of %s to observations: %w", c.base, err)
	}
	return out, nil
}

// Monitor says how a release is watched, and what was seen.
func (c *Client) Monitor(ctx context.Context, id string) (wire.Monitored, error) {
	return do[wire.Monitored](ctx, c, http.MethodGet, "/releases/"+url.PathEscape(id)+"/monitor", nil, nil)
}

// WindowReport returns the report on a window with a digest: a wire.WindowReport.
func (c *Client) WindowReport(ctx context.Context, digest record.Digest) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, "/api/v1/windows/"+string(digest), nil, nil)
}
