package oauth

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// maxForm bounds a request: a token of a platform, and little beside it.
const maxForm = 64 << 10

// fault is an error in the form of RFC 6749 section 5.2.
type fault struct {
	status int
	code   string
	why    string
}

func (f *fault) Error() string { return f.why }

func bad(code, why string) error { return &fault{http.StatusBadRequest, code, why} }

var errNoAddress = &fault{http.StatusServiceUnavailable, unavailable, "this server does not know its own address, which its tokens must name; give it with imprimatur serve --url"}

// The codes of RFC 6749, RFC 8693, RFC 8707 and RFC 9449 that are used.
const (
	invalidRequest  = "invalid_request"
	invalidClient   = "invalid_client"
	invalidTarget   = "invalid_target"
	invalidProof    = "invalid_dpop_proof"
	unknownGrant    = "unsupported_grant_type"
	mayNotBe        = "unauthorized_client"
	unavailable     = "temporarily_unavailable"
	issuedTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

// form answers a request whose body is a form, after it was read strictly.
func (f *face) form(answer func(w http.ResponseWriter, r *http.Request, form url.Values) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		form, err := readForm(w, r)
		if err == nil {
			err = answer(w, r, form)
		}
		if err != nil {
			f.refuse(w, r, err)
		}
	}
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, bad(invalidRequest, "the Content-Type is not application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return nil, bad(invalidRequest, "parameters stand in the address, where they end in logs; send them in the body")
	}
	var raw bytes.Buffer
	raw.Grow(int(min(max(r.ContentLength, 0), maxForm)) + bytes.MinRead)
	_, err := raw.ReadFrom(http.MaxBytesReader(w, r.Body, maxForm))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return nil, &fault{http.StatusRequestEntityTooLarge, invalidRequest, "the request is longer than 65536 bytes; no token of a platform is"}
	}
	if err != nil {
		return nil, bad(invalidRequest, "the request cannot be read")
	}
	return parseForm(raw.String())
}

// repeated are the parameters that may come more than once (RFC 8693 section 2.1).
var repeated = map[string]bool{"audience": true, "resource": true}

// parseForm reads the parameters of a request. One without a value counts as not
// sent, and none comes twice (RFC 6749 section 3.2), so that nobody reads another
// one than we do.
func parseForm(body string) (url.Values, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, bad(invalidRequest, "the form cannot be read; send NAME=VALUE joined with '&', percent-encoded")
	}
	for name, values := range form {
		if len(values) > 1 && !repeated[name] {
			return nil, bad(invalidRequest, "the parameter "+plain(name)+" comes more than once; send it once")
		}
		kept := values[:0]
		for _, v := range values {
			if v != "" {
				kept = append(kept, v)
			}
		}
		if form[name] = kept; len(kept) == 0 {
			delete(form, name)
		}
	}
	return form, nil
}

// refuse answers with an error.
func (f *face) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var known *fault
	if !errors.As(err, &known) {
		known = f.faultOf(r, w.Header().Get(api.RequestID), err)
	}
	if known.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="imprimatur"`)
	}
	write(w, known.status, map[string]string{"error": known.code, "error_description": plain(known.why)})
}

// faultOf is what the caller is told of a refusal of the registry. That what was
// shown is not acceptable is invalid_request (RFC 8693 section 2.2.2).
func (f *face) faultOf(r *http.Request, id string, err error) *fault {
	p := api.ProblemOf(r.Context(), f.log, id, err)
	switch registry.CodeOf(err) {
	case wire.Forbidden:
		return &fault{http.StatusBadRequest, invalidTarget, p.Detail}
	case wire.Unavailable:
		return &fault{http.StatusServiceUnavailable, unavailable, p.Detail}
	}
	return &fault{http.StatusBadRequest, invalidRequest, p.Detail}
}

// plain is a text of the characters that error_description may have.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '"':
			return '\''
		case c == '\n':
			return ' '
		case c < ' ' || c > '~' || c == '\\':
			return '?'
		}
		return c
	}, text)
}
