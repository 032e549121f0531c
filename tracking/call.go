package tracking

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient is how MLflow's answers are read: what is not known is passed over.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), json.MatchCaseInsensitiveNames(false))

// request makes a request to the tracking server and returns the answer's body,
// which ends when nothing comes for too long.
func (c *Client) request(ctx context.Context, method string, u *url.URL, body []byte, header http.Header) (*http.Response, error) {
	w := c.watch(ctx)
	r, err := http.NewRequestWithContext(w.ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, w.failed(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if u.Host == c.base.Host && u.Scheme == c.base.Scheme {
		c.signIn(r)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, w.failed(err)
	}
	w.body, answer.Body = answer.Body, w
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close() //nolint:errcheck // it was only read
		return nil, faultOf(answer)
	}
	return answer, nil
}

// watched is a request, and then its body, that may not say nothing for too long.
type watched struct {
	body io.ReadCloser
	ctx  context.Context //nolint:containedctx // it is the request's, and ends with the body
	idle *time.Timer
	wait time.Duration
	end  context.CancelCauseFunc
}

func (c *Client) watch(ctx context.Context) *watched {
	ctx, cancel := context.WithCancelCause(ctx)
	return &watched{ctx: ctx, idle: time.AfterFunc(c.cfg.Idle, func() { cancel(ErrSlow) }), wait: c.cfg.Idle, end: cancel}
}

// failed ends a request that got no body, and says why it did not.
func (w *watched) failed(err error) error {
	if cause := context.Cause(w.ctx); cause != nil {
		err = cause
	}
	w.idle.Stop()
	w.end(nil)
	return err
}

func (w *watched) Read(p []byte) (int, error) {
	w.idle.Reset(w.wait)
	n, err := w.body.Read(p)
	w.idle.Stop()
	if cause := context.Cause(w.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause
	}
	return n, err
}

func (w *watched) Close() error {
	w.idle.Stop()
	w.end(nil)
	return w.body.Close()
}

// api makes one call of MLflow's API and returns the raw answer.
func (c *Client) api(ctx context.Context, method, path string, query url.Values, body any) ([]byte, error) {
	u := c.base.JoinPath("api", "2.0", path)
	u.RawQuery = query.Encode()
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("writing the request: %w", err)
		}
	}
	var raw []byte
	left := Attempts
	err := c.again(ctx, &left, func() error {
		answer, err := c.request(ctx, method, u, sent, nil)
		if err != nil {
			return err
		}
		defer answer.Body.Close() //nolint:errcheck // it was only read
		raw, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
		return err
	})
	switch {
	case err != nil:
		return nil, c.unreachable(err)
	case len(raw) > maxAnswer:
		return nil, c.unreachable(fmt.Errorf("%w: %s is larger than %d bytes", ErrAnswer, path, maxAnswer))
	}
	return raw, nil
}

// get calls and reads the answer into a value.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) ([]byte, error) {
	raw, err := c.api(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	return raw, c.read(path, raw, into)
}

func (c *Client) post(ctx context.Context, path string, body, into any) error {
	raw, err := c.api(ctx, http.MethodPost, path, nil, body)
	if err != nil {
		return err
	}
	return c.read(path, raw, into)
}

func (c *Client) read(path string, raw []byte, into any) error {
	if err := json.Unmarshal(raw, into, lenient); err != nil {
		return c.unreachable(fmt.Errorf("%w: %s: %w", ErrAnswer, path, err))
	}
	return nil
}

// pages follows page tokens: next is given each and returns the one after it,
// empty at the end. A token that comes again would never end.
func pages(next func(token string) (string, error)) error {
	token := ""
	seen := map[string]bool{}
	for range maxPages {
		after, err := next(token)
		if err != nil || after == "" {
			return err
		}
		if seen[after] || len(after) > 64<<10 {
			return fmt.Errorf("%w: a page leads back to one before it", ErrListing)
		}
		seen[after], token = true, after
	}
	return fmt.Errorf("%w: it has more than %d pages", ErrListing, maxPages)
}
