// Package client speaks to an Imprimatur server over its HTTP API. A [Client]
// has one method for each operation, under the registry's name for it, with the
// registry's arguments; where package wire has a request for the operation, the
// method takes that.
//
// # Errors
//
// A refusal is a [*Problem] with its code, its sentence and, where a gate did
// not let a release through, the verdict. When the server could not be reached
// the error wraps a *url.Error.
//
// # Repeating
//
// Every request that writes carries an Idempotency-Key that the client draws.
// When the connection fails, the request is sent once more with the same key, so
// that what the first one stated, if it arrived, is answered and not stated
// twice. Only IssueToken is an exception: a secret is answered once, so a
// repeated request makes a second token.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/wire"
)

const (
	// patience bounds one request; a verdict over a large line takes less.
	patience = 2 * time.Minute
	// maxAnswer bounds what is read of one answer, in bytes.
	maxAnswer = 512 << 20
)

// connections are shared by all clients: a gateway asks as many workloads at once.
var connections = func() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 64
	return t
}()

// Client is one principal's way to one server. Its methods may be called
// concurrently.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New returns a client of the server at an address such as
// "http://127.0.0.1:8420". An empty token asks as nobody, which is enough for
// the public log.
func New(baseURL, token string) *Client {
	return &Client{
		base:  strings.TrimRight(baseURL, "/"),
		token: token,
		// An answer that points elsewhere is no answer of this API: following
		// it would send the request's body to whoever it names.
		http: &http.Client{Transport: connections, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Problem is a server's refusal.
type Problem struct{ wire.Problem }

// Error returns the sentence that the refusal is.
func (p *Problem) Error() string { return p.Detail }

// do sends a request and reads its answer as JSON; a nil in sends no body.
func do[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (T, error) {
	var out T
	raw, err := c.exchange(ctx, method, "/api/v1"+path, query, in)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("reading the answer of %s to %s %s: %w", c.base, method, path, err)
	}
	return out, nil
}

// exchange sends a request, once more where the connection fails, and returns
// the answer's body.
func (c *Client) exchange(ctx context.Context, method, path string, query url.Values, in any) ([]byte, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in, json.Deterministic(true)); err != nil {
			return nil, fmt.Errorf("writing the request %s %s: %w", method, path, err)
		}
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	key := ""
	if method != http.MethodGet {
		key = rand.Text()
	}
	raw, err := c.send(ctx, method, target, key, body)
	if unreached(err) && ctx.Err() == nil {
		raw, err = c.send(ctx, method, target, key, body)
	}
	return raw, err
}

func (c *Client) send(ctx context.Context, method, target, key string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.exchanged(c.http, req)
}

// exchanged signs in, sends, and returns the body of a good answer.
func (c *Client) exchanged(over *http.Client, req *http.Request) ([]byte, error) {
	req.Header.Set("Accept", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := over.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", &url.Error{Op: req.Method, URL: req.URL.String(), Err: err})
	}
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("the answer of %s is longer than %d bytes", c.base, maxAnswer)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return nil, problemOf(c.base, answer, raw)
	}
	return raw, nil
}
