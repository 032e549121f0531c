// Package egress is the gateway through which a workload calls APIs over HTTP and
// the models of vendors: nothing is called that its standing release does not
// grant, and the credentials are attached here, so that the model never holds
// them.
//
// # Calling
//
// Each upstream of the configuration has a place of its own: what is sent to
// /NAME/PATH goes to the upstream's address with /PATH behind it. The workload
// sends its own token as its bearer token, which goes no further. The request is
// brought to its one form (authority.HTTP), asked about at the server, which counts
// and keeps every answer, and sent on in that form with the upstream's credential.
// A no is status 403, or 429 where only a limit refused it, with the reasons.
//
// An upstream of models speaks the API of OpenAI or of Anthropic; see models.go.
//
// # The way out
//
// A name is resolved once for each connection, and an address that is not public
// is not connected to, unless the upstream's configuration allows it (package
// guard). No redirect is followed: one that leads to an upstream of the
// configuration is passed on as the gateway's own address, where it is asked about
// like any request, and any other is refused. Answers are passed on as they come,
// without cookies, in no coding, up to a size; an answer that holds the credential
// is cut off before it.
//
// # Credentials
//
// A credential stands in a file or a variable, or is a secret that the server lends for
// the workload that asks (package secrets): then its release must grant the use of it, and
// the gateway must be bound to attach it. What uses a secret ends with its lease.
//
// # Standing
//
// While requests are open, the release under which they were allowed is followed
// (package follow); when it does not stand any more, they are cut off.
package egress

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/secrets"
	"imprimatur.dev/wire"
)

// Options are what a gateway is given beside its configuration: the server, asked
// as the workload that a bearer token stands for.
type Options struct {
	// Authorize asks about one call. It wraps [follow.ErrNotSignedIn] as a source does.
	Authorize func(ctx context.Context, bearer string, ask wire.Ask) (wire.Answer, error)
	// Settle says what a call has cost.
	Settle func(ctx context.Context, bearer string, s wire.Settlement) error
	// Granted says what the workload may do now.
	Granted follow.Source
	// Secrets lends the credentials that are secrets; without it there are none.
	Secrets secrets.Source
	// Report is told, once for each, by what name and fingerprint a model has answered
	// under a release.
	Report func(Seen)
	// Log takes what goes wrong; nil is slog's default.
	Log *slog.Logger
}

// Gateway is the handler. It lives until its context ends.
type Gateway struct {
	ctx       context.Context
	cfg       Config
	opts      Options
	log       *slog.Logger
	upstreams map[string]*upstream
	now       func() time.Time
	seen      *seen

	mu   sync.Mutex
	open map[string]*workload // by bearer
}

// New returns a gateway; the error says which upstream cannot be used.
func New(ctx context.Context, cfg Config, o Options) (*Gateway, error) {
	g := &Gateway{ctx: ctx, cfg: cfg, opts: o, log: o.Log, upstreams: map[string]*upstream{}, now: time.Now, open: map[string]*workload{}}
	if g.log == nil {
		g.log = slog.Default()
	}
	var broker *secrets.Broker
	if o.Secrets.Attach != nil {
		broker = secrets.New(ctx, o.Secrets, cfg.Environment, cfg.Release, cfg.StaleAfter, g.log)
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		u, err := newUpstream(name, cfg.Upstreams[name], broker)
		if err != nil {
			faults = append(faults, fmt.Errorf("the upstream %s: %w", name, err))
			continue
		}
		g.upstreams[name] = u
	}
	seen, err := openSeen(cfg.Seen, o.Report, g.log)
	g.seen = seen
	return g, errors.Join(append(faults, err)...)
}

// drainWithin is how long the rest of a refused body may take.
const drainWithin = 2 * time.Second

// Serve serves until the context ends, and then cuts off what is open.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelWarn)}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
		return errors.Join(s.Close(), g.seen.save())
	}
}

// ServeHTTP implements [http.Handler].
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if len(r.TransferEncoding) > 0 {
		// Who framed the body in two ways may have meant what follows as another
		// request (RFC 9112 6.1).
		w.Header().Set("Connection", "close")
	}
	err := g.serve(w, r)
	var no *refusal
	switch {
	case err == nil:
	case errors.As(err, &no):
		// What is left of the body is read before the next request; whoever does not
		// send it holds the connection for no longer.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainWithin))
		no.answer(w)
	default:
		g.log.WarnContext(r.Context(), "a request was cut off", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) error {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.RequestURI, "/"), "/")
	if !strings.HasPrefix(r.RequestURI, "/") {
		return refuse(http.StatusBadRequest, "this is no proxy for any address: call an upstream by its place, such as /%s/", g.anyName())
	}
	u := g.upstreams[name]
	if u == nil {
		return refuse(http.StatusNotFound, "the gateway's configuration names no upstream %+q", clipped(name))
	}
	bearer, err := bearerOf(r, u)
	if err != nil {
		return err
	}
	if u.Models != "" {
		return g.serveModels(w, r, u, bearer, "/"+rest)
	}
	return g.serveAPI(w, r, u, bearer, "/"+rest)
}

func (g *Gateway) anyName() string {
	for name := range g.upstreams {
		return name
	}
	return "NAME"
}

// bearerOf returns the workload's token and takes it out of the request. Clients of
// models send it as they send a key of the vendor.
func bearerOf(r *http.Request, u *upstream) (string, error) {
	all := r.Header.Values("Authorization")
	key := r.Header.Get("X-Api-Key")
	r.Header.Del("Authorization")
	if u.Models != "" {
		r.Header.Del("X-Api-Key")
		if len(all) == 0 && key != "" {
			all = []string{"Bearer " + key}
		}
	}
	if len(all) != 1 {
		return "", unauthorized("the request carries no token, or several")
	}
	scheme, bearer, _ := strings.Cut(all[0], " ")
	bearer = strings.TrimSpace(bearer)
	if !strings.EqualFold(scheme, "Bearer") || bearer == "" {
		return "", unauthorized("the request carries no bearer token")
	}
	if strings.Contains(r.RequestURI, bearer) {
		return "", refuse(http.StatusBadRequest, "the token stands in the address, where it would be passed on and logged; send it in the Authorization header alone")
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, "\n"), bearer) {
			return "", refuse(http.StatusBadRequest, "the token stands in the field %s too, where it would be passed on; send it in the Authorization header alone", name)
		}
	}
	return bearer, nil
}
