package tracking

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Fault is an answer of the tracking server or the object store that is not what
// was asked for.
type Fault struct {
	// Status is HTTP's, and Code MLflow's error_code, where there is one.
	Status  int
	Code    string
	Message string
	after   time.Duration
	store   bool
}

func (f *Fault) Error() string {
	who, by := "the tracking server", "MLFLOW_TRACKING_TOKEN or --mlflow-token-file"
	if f.store {
		who, by = "the object store", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	}
	text := strings.TrimSpace(who + " answered " + strconv.Itoa(f.Status) + " " + http.StatusText(f.Status))
	if f.Code != "" {
		text += ", " + f.Code
	}
	if f.Message != "" {
		text += ": " + f.Message
	}
	switch f.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += "; give the server of Imprimatur credentials that may read there, by " + by
	}
	return text
}

// Gone reports whether an error says that something is not there.
func Gone(err error) bool {
	var f *Fault
	return errors.As(err, &f) && f.Status == http.StatusNotFound
}

var (
	// ErrSlow is wrapped where nothing came for too long.
	ErrSlow = errors.New("nothing came for too long")
	// ErrListing is wrapped where a listing is not one that could be true.
	ErrListing = errors.New("the listing cannot be true")
	// ErrAnswer is wrapped where an answer is not what MLflow would say.
	ErrAnswer = errors.New("the answer is not MLflow's")
)

// passing reports whether a fault can be gone a moment later.
func passing(err error) bool {
	var f *Fault
	if errors.As(err, &f) {
		return f.Status == http.StatusTooManyRequests || f.Status >= 500 && f.Status != http.StatusNotImplemented
	}
	if errors.Is(err, ErrSlow) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var u *url.Error
	if errors.As(err, &u) && errors.Is(u.Err, io.EOF) {
		return true // the connection was closed before an answer
	}
	var n net.Error
	return errors.As(err, &n) && !strings.Contains(err.Error(), "is not followed")
}

// faultOf reads what an answer of another status says.
func faultOf(r *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10)) // the status says the most
	f := &Fault{Status: r.StatusCode}
	var said struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &said, jsontext.AllowInvalidUTF8(true)) == nil {
		f.Code, f.Message = plain(said.Code, 100), plain(said.Message, 500)
	}
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && seconds > 0 {
		f.after = time.Duration(min(seconds, 3600)) * time.Second
	}
	return f
}

// unreachable says whom a request did not reach.
func (c *Client) unreachable(err error) error {
	return fmt.Errorf("cannot read from the tracking server %s: %w", c.base, err)
}

// plain cuts a foreign text to what may stand in a record: so many bytes, valid,
// and without characters that forge lines.
func plain(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x61c || r >= 0x200e && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
