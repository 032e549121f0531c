// Package envoy is the face by which Envoy, and meshes and gateways that are built
// of it, ask before they pass a request on: the external authorization filter
// (ext_authz), as a gRPC service, envoy.service.auth.v3.Authorization/Check, on a
// listener of its own, and as an HTTP service under /envoy/check.
//
// # The question
//
// A request is a call of kind apis by the workload whose token it carries as its
// bearer token, brought to its one form by authority.HTTP. Envoy passes on what was
// written, so a request that is not written in that form is refused. How the callee
// is reached is Envoy's affair: the resource is that of https, the host and port
// being those that the request names. Arguments are the body, where Envoy sends it
// whole (with_request_body); otherwise no condition that looks at arguments holds,
// unless the request says that it has no body, which by HTTP cannot be told.
//
// Where the face is told to take Envoy's word for client certificates, a request
// without a token is that of the workload to which the SPIFFE ID of the certificate
// is bound (imprimatur principal identity add). Whoever reaches the listener can then
// ask in anybody's name, so it must be Envoy alone.
//
// # The answer
//
// Yes adds X-Imprimatur-Release to the request and takes the token out of it, so
// that it goes no further; the context extension keep-authorization=true of a
// route leaves it in, for callees that take tokens of ours. No is 403, 429 with
// Retry-After where only a limit refused it, 401 without a token, and 503 where it
// could not be decided, with the reasons as the body. It is never an error of gRPC,
// which a filter with failure_mode_allow would take for yes.
package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/authority"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// Prefix is where the HTTP service is; the path of the request comes behind it.
const Prefix = "/envoy/check"

// ReleaseHeader is what an allowed request carries further.
const ReleaseHeader = "X-Imprimatur-Release"

// Face answers both services.
type Face struct {
	reg *registry.Registry
	log *slog.Logger
	// Principals has Envoy's word for client certificates be taken.
	Principals bool
}

// New returns the face of a registry.
func New(reg *registry.Registry, log *slog.Logger) *Face { return &Face{reg: reg, log: log} }

// shown is what a request shows of who sends it.
type shown struct {
	token     string
	proofs    []string
	principal string
}

// caller returns who sends a request. A token of ours is an API token or, in three
// parts, an access token.
func (f *Face) caller(ctx context.Context, by shown, method, address string) (registry.Caller, error) {
	domain, isSPIFFE := trustDomain(by.principal)
	switch {
	case by.token == "" && f.Principals && isSPIFFE:
		claims, err := json.Marshal(map[string]string{"sub": by.principal})
		if err != nil {
			return registry.Caller{}, err
		}
		return f.reg.VouchedFor(ctx, registry.Claimed{Issuer: domain, Claims: claims})
	case strings.Count(by.token, ".") == 2:
		return f.reg.VerifyAccess(ctx, registry.Shown{Secret: by.token, Proofs: by.proofs, Method: method, URL: address})
	}
	return f.reg.Authenticate(ctx, by.token)
}

// trustDomain is the issuer of a SPIFFE ID, spiffe://DOMAIN of spiffe://DOMAIN/PATH.
func trustDomain(id string) (string, bool) {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	domain, path, _ := strings.Cut(rest, "/")
	return "spiffe://" + domain, ok && domain != "" && path != ""
}

// refusal is a no, as Envoy passes it on to who sent the request.
type refusal struct {
	status int
	why    string
	after  time.Duration
}

// check decides about a request for a path, with its query, at a host, and returns
// the release or the refusal.
func (f *Face) check(ctx context.Context, by shown, host, path string, in authority.HTTPRequest) (release string, no *refusal) {
	in.URL = "https://" + host + path
	who, err := f.caller(ctx, by, in.Method, in.URL)
	if err != nil {
		return "", f.refused(ctx, err)
	}
	form, err := authority.HTTP(in)
	if err != nil {
		return "", &refusal{status: http.StatusBadRequest, why: err.Error()}
	}
	if in.URL != "https://"+host+strings.TrimPrefix(form.URL(), "https://"+form.Host) {
		return "", &refusal{status: http.StatusBadRequest, why: fmt.Sprintf("the address is passed on as it is written, and so must be written in its one form: %+q", form.URL())}
	}
	ask, err := wire.AskOf(form)
	if err != nil {
		return "", f.refused(ctx, err)
	}
	ask.Bytes = len(in.Body)
	a, err := f.reg.Authorize(ctx, who, ask)
	switch {
	case err != nil:
		return "", f.refused(ctx, err)
	case a.Allowed:
		return a.Release, nil
	}
	no = &refusal{status: http.StatusForbidden, why: strings.Join(a.Reasons, "; ")}
	if !a.After.IsZero() {
		no.status, no.after = http.StatusTooManyRequests, a.After.Sub(a.At)
	}
	return "", no
}

func (f *Face) refused(ctx context.Context, err error) *refusal {
	status := api.StatusOf(err)
	if status == http.StatusConflict {
		status = http.StatusForbidden
	}
	why := api.ProblemOf(ctx, f.log, "", err).Detail
	if status == 0 || status >= 500 {
		return &refusal{status: http.StatusServiceUnavailable, why: "it could not be decided, and so is refused: " + why}
	}
	return &refusal{status: status, why: why}
}

// ServeHTTP is the HTTP service. The request is the one that is asked about,
// with the prefix before its path.
func (f *Face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	release, no := f.checkHTTP(w, r)
	if no == nil {
		w.Header().Set(ReleaseHeader, release)
		// Envoy takes these out of the request.
		w.Header().Set("X-Envoy-Auth-Headers-To-Remove", "authorization")
		w.WriteHeader(http.StatusOK)
		return
	}
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="imprimatur"`)
	}
	if no.after > 0 {
		w.Header().Set("Retry-After", seconds(no.after))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(no.status)
	_, _ = io.WriteString(w, no.why+"\n")
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds()) + 1) }

func (f *Face) checkHTTP(w http.ResponseWriter, r *http.Request) (release string, no *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, authority.MaxArguments))
	if err != nil {
		return "", &refusal{status: http.StatusRequestEntityTooLarge, why: fmt.Sprintf("the body has more than the %d bytes that are read for a decision, or was cut off", authority.MaxArguments)}
	}
	path, ok := strings.CutPrefix(r.RequestURI, Prefix)
	if !ok {
		return "", f.refused(r.Context(), errors.New("the path does not begin with "+Prefix))
	}
	return f.check(r.Context(), shown{token: api.Bearer(r), proofs: r.Header.Values("DPoP")}, r.Host, path, authority.HTTPRequest{
		Method: r.Method, Header: r.Header,
		// A request whose body Envoy does not send looks like one without.
		Body: body, Unread: len(body) == 0 || r.Header.Get(partialBody) != "false",
	})
}

// partialBody is the field by which Envoy says whether the body that it sends is
// cut off; it is there whenever a body is sent.
const partialBody = "X-Envoy-Auth-Partial-Body"
