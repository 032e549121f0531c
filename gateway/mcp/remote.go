package mcp

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"imprimatur.dev/gateway/secrets"
)

// maxText bounds what is passed on of a body that is not JSON, in bytes.
const maxText = 64 << 10

// passedOn are the headers of a client that reach the server. The credential is
// not among them: the client's is the gateway's to check, and the server's is
// the gateway's to attach.
func passedOn(name string) bool {
	switch name {
	case "Mcp-Session-Id", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Last-Event-Id":
		return true
	}
	return strings.HasPrefix(name, "Mcp-Param-")
}

// remote is a server that is reached by streamable HTTP. Sessions are named in
// the headers, so that one remote serves all.
type remote struct {
	url     string
	headers map[string]string
	http    *http.Transport
	// lent, where headers name secrets, fills them for the session that asks.
	lent func(ctx context.Context, headers map[string]string) (map[string]string, secrets.Uses, error)
}

func newRemote(url string, headers map[string]string) *remote {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256
	transport.ResponseHeaderTimeout = 10 * time.Minute
	return &remote{url: url, headers: headers, http: transport}
}

// of is the remote for one session.
func (r *remote) of(s *session) *remote {
	if !names(r.headers) {
		return r
	}
	own := *r
	own.lent = s.fill
	return &own
}

// credentials are the headers to attach, and the secrets that they were lent by.
func (r *remote) credentials(ctx context.Context) (map[string]string, secrets.Uses, error) {
	if r.lent == nil {
		return r.headers, nil, nil
	}
	return r.lent(ctx, r.headers)
}

func (r *remote) send(ctx context.Context, head http.Header, m *message) (*reply, error) {
	return r.do(ctx, http.MethodPost, head, m.raw)
}

func (r *remote) listen(ctx context.Context, head http.Header) (*reply, error) {
	return r.do(ctx, http.MethodGet, head, nil)
}

// endWithin is how long a server may take to end a session.
const endWithin = 5 * time.Second

func (r *remote) end(head http.Header) {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	// A server need not let its sessions be ended.
	if got, err := r.do(ctx, http.MethodDelete, head, nil); err == nil {
		got.close()
	}
}

// restWithin and maxRest bound what is waited for of a stream after its answer, so that
// its connection can be used again: there should be its end alone.
const (
	restWithin = time.Second
	maxRest    = 64 << 10
)

func (r *remote) do(ctx context.Context, method string, head http.Header, body []byte) (*reply, error) {
	headers, uses, err := r.credentials(ctx)
	if err != nil {
		return nil, err
	}
	// The request ends with the call, but for the rest of a stream after the answer.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop, ended := context.AfterFunc(ctx, cancel), uses.After(cancel)
	end := func() {
		stop()
		ended()
		cancel()
		uses.Done()
	}
	req, err := http.NewRequestWithContext(own, method, r.url, bytes.NewReader(body))
	if err != nil {
		end()
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	for name, values := range head {
		if passedOn(name) {
			req.Header[name] = values
		}
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Accept", mediaEvents)
	if method == http.MethodPost {
		req.Header.Set("Accept", mediaJSON+", "+mediaEvents)
		req.Header.Set("Content-Type", mediaJSON)
	}
	// No client, which would follow a redirect: the credential goes to the address that
	// was configured and nowhere else.
	got, err := r.http.RoundTrip(req)
	if err != nil {
		end()
		return nil, fmt.Errorf("the server cannot be reached: %w", cmp.Or(uses.Err(), err))
	}
	out := &reply{status: got.StatusCode, session: got.Header.Get("Mcp-Session-Id"), close: func() {
		end()
		got.Body.Close()
	}}
	out.media, _ = mediaOf(got.Header)
	if out.media == mediaEvents {
		events := newEvents(got.Body)
		shut := out.close
		out.next, out.close = whileLent(uses, events.next), func() {
			shut()
			events.end()
		}
		out.rest = func() {
			stop()
			go func() {
				defer out.close()
				defer time.AfterFunc(restWithin, cancel).Stop()
				_, _ = io.CopyN(io.Discard, events.lines, maxRest)
			}()
		}
		return out, nil
	}
	most := int64(maxText)
	if out.media == mediaJSON {
		most = maxAnswer
	}
	out.next = whileLent(uses, once(got.Body, most))
	return out, nil
}

// whileLent says why a stream broke off that was ended with a secret.
func whileLent(uses secrets.Uses, next func() (event, error)) func() (event, error) {
	if len(uses) == 0 {
		return next
	}
	return func() (event, error) {
		ev, err := next()
		if err != nil && uses.Err() != nil {
			err = uses.Err()
		}
		return ev, err
	}
}

// mediaOf is the media type of a body, without its parameters.
func mediaOf(head http.Header) (string, error) {
	given := head.Get("Content-Type")
	if given == mediaJSON || given == mediaEvents {
		return given, nil
	}
	media, _, err := mime.ParseMediaType(given)
	return media, err
}

// once reads a body as one event; an empty one has none.
func once(r io.Reader, most int64) func() (event, error) {
	read := false
	return func() (event, error) {
		if read {
			return event{}, io.EOF
		}
		read = true
		data, err := io.ReadAll(io.LimitReader(r, most+1))
		switch {
		case err != nil:
			return event{}, err
		case int64(len(data)) > most:
			return event{}, errTooLong
		case len(data) == 0:
			return event{}, io.EOF
		}
		return event{data: data}, nil
	}
}
