package egress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// patient is a request's body, of which each part may take its time.
type patient struct {
	from io.ReadCloser
	conn *http.ResponseController
	time time.Duration
}

// Read implements [io.Reader].
func (p *patient) Read(b []byte) (int, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(p.time))
	n, err := p.from.Read(b)
	if err != nil {
		_ = p.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Close implements [io.Closer].
func (p *patient) Close() error { return p.from.Close() }

// bounded reads at most so many bytes, and tells of each part.
type bounded struct {
	from io.Reader
	left int64
	read func(n int)
}

// Read implements [io.Reader].
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.read(n)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("it is longer than the gateway's configuration allows")
	}
	return n, err
}

// errShown is the end of an answer that shows the credential.
var errShown = errors.New("it holds the credential that the gateway attached")

// sealed reads until what is hidden would be shown. Nothing is held back but
// the beginning of what may turn out to be it.
type sealed struct {
	from   io.Reader
	hidden []string
	held   []byte
	err    error
}

// Read implements [io.Reader].
func (s *sealed) Read(p []byte) (int, error) {
	for {
		if holds(s.held, s.hidden) {
			s.err, s.held = errShown, nil
		}
		ready := len(s.held)
		if s.err == nil {
			ready -= s.beginning()
		}
		if ready > 0 {
			n := copy(p, s.held[:ready])
			s.held = s.held[n:]
			return n, nil
		}
		if s.err != nil {
			return 0, s.err
		}
		part := make([]byte, len(p))
		var n int
		n, s.err = s.from.Read(part)
		s.held = append(s.held, part[:n]...)
	}
}

// beginning returns how much of the end of what is held could be the beginning
// of something hidden.
func (s *sealed) beginning() int {
	longest := 0
	for _, h := range s.hidden {
		for n := min(len(h)-1, len(s.held)); n > longest; n-- {
			if bytes.HasSuffix(s.held, []byte(h[:n])) {
				longest = n
			}
		}
	}
	return longest
}

func holds(text []byte, hidden []string) bool {
	for _, h := range hidden {
		if h != "" && bytes.Contains(text, []byte(h)) {
			return true
		}
	}
	return false
}

// clipped is as much of somebody's word as is repeated to them.
func clipped(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// refusal is an answer of the gateway's own.
type refusal struct {
	status  int
	why     string
	reasons []string
	after   time.Duration
}

// Error implements error.
func (r *refusal) Error() string { return r.why }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, why: fmt.Sprintf(format, args...)}
}

func unauthorized(why string) error {
	return refuse(http.StatusUnauthorized, "%s; send the token of a workload: Authorization: Bearer imp_…", why)
}

// answer writes the refusal so that programs find it by RFC 9457, and clients of
// models where vendors put their errors.
func (r *refusal) answer(w http.ResponseWriter) {
	h := w.Header()
	for name := range h {
		if name != "Connection" && name != "Cache-Control" {
			h.Del(name)
		}
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.status == http.StatusUnauthorized {
		h.Set("Www-Authenticate", `Bearer realm="imprimatur"`)
	}
	if r.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int(r.after.Seconds())+1))
	}
	w.WriteHeader(r.status)
	out := map[string]any{
		"title": http.StatusText(r.status), "status": r.status, "detail": r.why,
		"error": map[string]any{"message": r.why, "type": "imprimatur_refused", "code": r.status},
	}
	if len(r.reasons) > 0 {
		out["reasons"] = r.reasons
	}
	// The status is sent: an error now means that the caller has gone.
	_ = json.MarshalWrite(w, out, json.Deterministic(true))
}
