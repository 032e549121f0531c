package client

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// KeepEvidence sends a file of evidence under its digest. What the server has
// already is not sent again. The report, which may be nil, is told how much was
// sent.
func (c *Client) KeepEvidence(ctx context.Context, digest record.Digest, file io.ReaderAt, size int64, report func(done, total int64)) error {
	target := c.base + "/api/v1/evidence/" + string(digest)
	_, err := c.upload(ctx, http.MethodPut, target, file, size, report)
	return err
}

// upload sends a file, once more where the connection fails.
func (c *Client) upload(ctx context.Context, method, target string, file io.ReaderAt, size int64, report func(done, total int64)) ([]byte, error) {
	raw, err := c.uploadOnce(ctx, method, target, file, size, report)
	if unreached(err) && ctx.Err() == nil {
		raw, err = c.uploadOnce(ctx, method, target, file, size, report)
	}
	return raw, err
}

func (c *Client) uploadOnce(ctx context.Context, method, target string, file io.ReaderAt, size int64, report func(done, total int64)) ([]byte, error) {
	var body io.Reader = http.NoBody
	if size > 0 {
		body = &reported{in: io.NewSectionReader(file, 0, size), total: size, report: report}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	// A server that refuses, or has the file, says so before it is sent.
	req.Header.Set("Expect", "100-continue")
	// The file may take as long as it is large; ctx is what ends it.
	patient := *c.http
	patient.Timeout = 0
	return c.exchanged(&patient, req)
}

// reported tells how much of it was read.
type reported struct {
	in          io.Reader
	done, total int64
	report      func(done, total int64)
}

// Read implements io.Reader.
func (r *reported) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if r.done += int64(n); r.report != nil {
		r.report(r.done, r.total)
	}
	return n, err
}

// RecordEvaluations has the server read evidence that was sent before, and
// record what it says.
func (c *Client) RecordEvaluations(ctx context.Context, in wire.Submission) ([]record.Recorded[record.Evaluation], error) {
	return do[[]record.Recorded[record.Evaluation]](ctx, c, http.MethodPost, "/evaluations", nil, in)
}

// Evidence returns the raw evidence kept under a digest; what does not have
// that digest is refused.
func (c *Client) Evidence(ctx context.Context, digest record.Digest) ([]byte, error) {
	raw, err := c.exchange(ctx, http.MethodGet, "/api/v1/evidence/"+string(digest), nil, nil)
	if err != nil {
		return nil, err
	}
	if got := record.DigestOf(raw); got != digest {
		return nil, fmt.Errorf("%s answered with evidence that has the digest %s, not %s", c.base, got, digest)
	}
	return raw, nil
}
