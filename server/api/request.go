package api

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// maxKey is the length of the longest Idempotency-Key.
const maxKey = 64

// request is what the handlers know of a request beside its typed input.
type request struct {
	http   *http.Request
	writer http.ResponseWriter
	id     string
	who    registry.Caller
	key    string
	// body has hashed everything of the body that was read, where there is a key.
	body hash.Hash
}

type requestKey struct{}

func requestOf(ctx context.Context) *request { return ctx.Value(requestKey{}).(*request) }

// enter signs the caller in where the row asks for it, before the body is read,
// and has the body hashed while it is, for a key to tell it from another.
func (f *face) enter(row route) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		q := &request{writer: w, id: w.Header().Get(RequestID)}
		var err error
		switch row.access {
		case signedIn:
			q.who, err = f.reg.Authenticate(r.Context(), Bearer(r))
		case asking:
			q.who, err = Asker(f.reg, r)
		}
		if err == nil && r.Method != http.MethodGet {
			q.key, err = idempotencyKey(r)
		}
		if err != nil {
			Refuse(w, r, f.log, err)
			return
		}
		// A copy: net/http looks at the body of its own request to see whether
		// all of it was read, and would else take the rest for the next request.
		r2 := r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
		if q.key != "" {
			q.body = sha256.New()
		}
		// A file under its own digest needs no fingerprint.
		if q.key != "" && r.Method != http.MethodPut {
			r2.Body = tee{io.TeeReader(r.Body, q.body), r.Body}
		}
		q.http = r2
		next(humago.NewContext(ctx.Operation(), r2, w))
	}
}

type tee struct {
	io.Reader
	io.Closer
}

// Bearer returns the token of a request, or nothing.
func Bearer(r *http.Request) string {
	scheme, token := credentials(r)
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// credentials are those of the one header Authorization.
func credentials(r *http.Request) (scheme, token string) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return "", ""
	}
	scheme, token, _ = strings.Cut(given[0], " ")
	return scheme, strings.TrimSpace(token)
}

// Asker is who asks what a workload may do: whoever signs in with a token of
// ours, or the workload itself with an access token.
func Asker(reg *registry.Registry, r *http.Request) (registry.Caller, error) {
	scheme, secret := credentials(r)
	if !strings.EqualFold(scheme, "DPoP") && strings.Count(secret, ".") != 2 {
		return reg.Authenticate(r.Context(), Bearer(r))
	}
	return reg.VerifyAccess(r.Context(), registry.Shown{
		Secret: secret, Proofs: r.Header.Values("DPoP"), Method: r.Method, URL: reg.URL() + r.URL.EscapedPath(), Certificate: ClientCertificate(r),
	})
}

// ClientCertificate is the one that a connection has shown, with its key at hand;
// nil without one.
func ClientCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// idempotencyKey returns the request's key. A '#' would let one key pass for
// another with a fingerprint.
func idempotencyKey(r *http.Request) (string, error) {
	given := r.Header.Values("Idempotency-Key")
	if len(given) == 0 {
		return "", nil
	}
	key := given[0]
	forbidden := strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '#' })
	if len(given) > 1 || key == "" || len(key) > maxKey || forbidden {
		return "", Refusal(wire.Invalid, "the Idempotency-Key is not one key of up to %d visible ASCII characters without '#'", maxKey)
	}
	return key, nil
}

// caller is who asks, with the key and the fingerprint of what they ask; to be
// called after the body was read.
func (q *request) caller() registry.Caller {
	who := q.who
	if q.key != "" {
		h := sha256.New()
		io.WriteString(h, q.http.Method+"\n"+q.http.URL.EscapedPath()+"\n") //nolint:errcheck // a hash takes everything
		h.Write(q.body.Sum(nil))
		who.Request = q.key + "#" + hex.EncodeToString(h.Sum(nil))[:16]
	}
	return who
}

// noBody refuses a request that brings a body to an operation that takes none.
func (q *request) noBody() error {
	n, err := io.CopyN(io.Discard, q.http.Body, 1)
	if n > 0 {
		return Refusal(wire.Invalid, "%s %s takes no body", q.http.Method, q.http.URL.Path)
	}
	if err != io.EOF {
		return Refusal(wire.Invalid, "the request's body cannot be read")
	}
	return nil
}

// next returns the Link to the page that begins before an index, or nothing at
// the end.
func (q *request) next(before int64) string {
	if before == 0 {
		return ""
	}
	query := q.http.URL.Query()
	query.Set("before", strconv.FormatInt(before, 10))
	u := url.URL{Path: q.http.URL.Path, RawQuery: query.Encode()}
	return "<" + u.String() + `>; rel="next"`
}
