package mcp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
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
	http    *http.Client
}

func newRemote(url string, headers map[string]string) *remote {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256
	transport.ResponseHeaderTimeout = 10 * time.Minute
	return &remote{url: url, headers: headers, http: &http.Client{
		Transport: transport,
		// The credential goes to the address that was configured and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
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

func (r *remote) do(ctx context.Context, method string, head http.Header, body []byte) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	for name, values := range head {
		if passedOn(name) {
			req.Header[name] = values
		}
	}
	for name, value := range r.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Accept", mediaEvents)
	if method == http.MethodPost {
		req.Header.Set("Accept", mediaJSON+", "+mediaEvents)
		req.Header.Set("Content-Type", mediaJSON)
	}
	got, err := r.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server cannot be reached: %w", err)
	}
	out := &reply{status: got.StatusCode, session: got.Header.Get("Mcp-Session-Id"), close: func() { got.Body.Close() }}
	out.media, _, _ = mime.ParseMediaType(got.Header.Get("Content-Type"))
	if out.media == mediaEvents {
		out.next = newEvents(got.Body).next
		return out, nil
	}
	most := int64(maxText)
	if out.media == mediaJSON {
		most = maxAnswer
	}
	out.next = once(got.Body, most)
	return out, nil
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
