package mlflow

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
)

// Front is a handler that stands in front of a team's MLflow. See the package
// comment.
type Front struct {
	*face
	registered *router.Mux
	upstream   *url.URL
	// signsIn is the Authorization that the upstream gets, or empty.
	signsIn string
	// patience is how long a transfer may stand still.
	patience  time.Duration
	transport http.RoundTripper
}

// FrontOptions are what may differ between installations.
type FrontOptions struct {
	Options
	// Upstream is the address of the team's MLflow, such as http://mlflow:5000.
	Upstream string
	// Credentials are what the upstream wants: "user:password", or a token that
	// is sent as Bearer. With them every caller signs in here. Empty passes on what
	// the caller sends, unless that is a token of ours.
	Credentials string
	// Patience is how long the upstream may take to begin an answer, and either
	// side to go on with a transfer; zero is five minutes. A transfer that goes on
	// may take as long as it likes.
	Patience time.Duration
}

// NewFront returns a front. The upstream is not asked for anything yet.
func NewFront(reg *registry.Registry, opts FrontOptions) (http.Handler, error) {
	u, err := url.Parse(opts.Upstream)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is not the address of an MLflow server; give one such as http://mlflow:5000, without credentials and without a path (what --static-prefix adds is kept in the paths of requests)", opts.Upstream)
	}
	f := &Front{face: newFace(reg, opts.Options), registered: router.New(), upstream: u, patience: opts.Patience}
	if f.patience == 0 {
		f.patience = 5 * time.Minute
	}
	f.mount(f.registered)
	switch user, password, basic := strings.Cut(opts.Credentials, ":"); {
	case basic:
		f.signsIn = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	case opts.Credentials != "":
		f.signsIn = "Bearer " + opts.Credentials
	}
	f.transport = newTransport(f.patience)
	fromHere := http.NewCrossOriginProtection()
	fromHere.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.refuse(w, r, &fault{permissionDenied, "a browser sent this from another site's page; send it from here, or without a browser"})
	}))
	return fromHere.Handler(f), nil
}

// newTransport is Go's, but that it leaves the coding of answers alone, and gives a
// connection up before the upstream does: MLflow's server closes an idle one
// after five seconds, and a request that meets that would fail.
func newTransport(patience time.Duration) http.RoundTripper {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		Proxy:                 http.ProxyFromEnvironment,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       3 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: patience,
		DisableCompression:    true,
	}
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f.serve(w, r); err != nil {
		f.refuse(w, r, err)
	}
}

func (f *Front) serve(w http.ResponseWriter, r *http.Request) error {
	// The path as it came: Go's own reading of it has lost how it was written.
	team, escaped := teamOf(r.URL.EscapedPath())
	t := targetOf(escaped)
	if t.kind == ofRegistry {
		return f.serveRegistry(w, r, team, escaped, t)
	}
	who, err := f.caller(r, t)
	if err != nil {
		return err
	}
	inside, err := pathTo(r, escaped)
	if err != nil {
		return err
	}
	switch t.kind {
	case ofGraph:
		return f.serveGraph(w, inside, who, team)
	case ofVersion:
		return f.serveVersion(w, inside, who, team)
	case ofProxy, ofRun, ofModel:
		if err := f.gateBytes(inside, who, t); err != nil {
			return err
		}
	case through:
		if f.reg.InEnvironment(who) && !forWorkloads.MatchString(t.path) {
			return &fault{permissionDenied, who.Name + " runs in production, and is passed on to MLflow only to load models whose release stands and to log runs and traces; sign in as a person for " + t.path}
		}
	}
	f.forward(w, inside, f.answered)
	return nil
}

// pathTo returns a request for another path, as it is written on the wire.
func pathTo(r *http.Request, escaped string) (*http.Request, error) {
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, &fault{badRequest, "the path is not well escaped"}
	}
	out := *r
	u := *r.URL
	u.Path, u.RawPath = plain, escaped
	out.URL = &u
	return &out, nil
}

// serveRegistry answers what is of the registry, and refuses what only might be
// to somebody.
func (f *Front) serveRegistry(w http.ResponseWriter, r *http.Request, team, escaped string, t target) error {
	_, after, ok := strings.Cut(escaped, "api/2.0/mlflow/")
	if !t.exact || !ok {
		return &fault{endpointNotFound, "no operation of the model registry is at " + r.URL.EscapedPath() + "; they are at /api/2.0/mlflow/..., written just so"}
	}
	path := "/api/2.0/mlflow/" + after
	if team != "" {
		path = "/t/" + team + path
	}
	inside, err := pathTo(r, path)
	if err != nil {
		return err
	}
	f.registered.ServeHTTP(w, inside)
	return nil
}

// caller returns who is signed in here. Where the upstream has credentials of its
// own to check, who shows none of ours is nobody.
func (f *Front) caller(r *http.Request, t target) (registry.Caller, error) {
	if t.kind == plainHealth || f.signsIn == "" && !showsOurs(r) {
		return registry.Caller{}, nil
	}
	return f.reg.Authenticate(r.Context(), credential(r))
}

// showsOurs reports whether a request shows a token of ours, which the upstream
// must never see, valid or not.
func showsOurs(r *http.Request) bool {
	for _, given := range r.Header.Values("Authorization") {
		_, rest, _ := strings.Cut(given, " ")
		rest = strings.TrimSpace(rest)
		if registry.IsToken(rest) || registry.IsToken(given) {
			return true
		}
		if pair, err := base64.StdEncoding.DecodeString(rest); err == nil {
			user, password, _ := strings.Cut(string(pair), ":")
			if registry.IsToken(user) || registry.IsToken(password) {
				return true
			}
		}
	}
	return false
}

// rewrite makes the upstream's request of the caller's.
func (f *Front) rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host = f.upstream.Scheme, f.upstream.Host
	// MLflow refuses hosts that it does not know, and reads the caller's address
	// from the rightmost proxy that it does not trust.
	p.Out.Host = f.upstream.Host
	p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
	p.SetXForwarded()
	if f.signsIn != "" || showsOurs(p.In) {
		p.Out.Header.Del("Authorization")
	}
	if f.signsIn != "" {
		p.Out.Header.Set("Authorization", f.signsIn)
	}
	// A browser sends the cookies of all ports of a host to each of them.
	cookies := p.Out.Cookies()
	p.Out.Header.Del("Cookie")
	for _, c := range cookies {
		if !strings.Contains(c.Name, "imprimatur") && !registry.IsToken(c.Value) {
			p.Out.AddCookie(c)
		}
	}
	// The page that this front shows is the upstream's own.
	if origin, err := url.Parse(p.In.Header.Get("Origin")); err == nil && origin.Host == p.In.Host {
		p.Out.Header.Set("Origin", f.upstream.Scheme+"://"+f.upstream.Host)
	}
}

// answered keeps the caller on this side: a redirect to the upstream's own
// address would lead round the front.
func (f *Front) answered(a *http.Response) error {
	to, err := url.Parse(a.Header.Get("Location"))
	if err == nil && strings.EqualFold(to.Host, f.upstream.Host) {
		to.Scheme, to.Host = "", ""
		a.Header.Set("Location", to.String())
	}
	return nil
}

// forward passes a request on. Neither it nor its answer is bound to a time as
// long as bytes move, whatever the server's own limits are. Answered may change
// the answer.
func (f *Front) forward(w http.ResponseWriter, r *http.Request, answered func(*http.Response) error) {
	c := http.NewResponseController(w)
	// An error means that the connection cannot have a deadline, and so has none.
	_ = c.SetReadDeadline(time.Time{})
	out := r.Clone(r.Context())
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = patientBody{r.Body, c, f.patience}
	}
	proxy := httputil.ReverseProxy{Rewrite: f.rewrite, ModifyResponse: answered, ErrorHandler: f.failed, Transport: f.transport, ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelWarn)}
	proxy.ServeHTTP(patientWriter{w, c, f.patience}, out)
}

// patientBody is a request's body, of which each part may take its time.
type patientBody struct {
	io.ReadCloser
	conn     *http.ResponseController
	patience time.Duration
}

func (b patientBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(b.patience))
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientWriter is an answer, of which each part may take its time.
type patientWriter struct {
	http.ResponseWriter
	conn     *http.ResponseController
	patience time.Duration
}

func (w patientWriter) WriteHeader(status int) {
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.patience))
	w.ResponseWriter.WriteHeader(status)
}

func (w patientWriter) Write(p []byte) (int, error) {
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.patience))
	return w.ResponseWriter.Write(p)
}

// Unwrap lets a connection be taken over, and answers be flushed.
func (w patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// failed answers where the upstream gave no answer. MLflow's clients try again at
// a 503, which is what they should do here.
func (f *Front) failed(w http.ResponseWriter, r *http.Request, err error) {
	var own *fault
	var slow net.Error
	switch {
	case errors.As(err, &own):
	case errors.Is(context.Cause(r.Context()), context.Canceled):
		return // the caller has gone
	case errors.As(err, &slow) && slow.Timeout():
		own = &fault{unavailable, fmt.Sprintf("MLflow at %s has not answered in time; nothing is known of what it did", f.upstream.Host)}
	default:
		own = &fault{unavailable, fmt.Sprintf("MLflow at %s cannot be reached, or does not answer as a server of MLflow does; see whether it runs", f.upstream.Host)}
	}
	f.log.WarnContext(r.Context(), "MLflow gave no answer", "upstream", f.upstream.Host, "path", r.URL.Path, "error", err)
	f.refuse(w, r, own)
}
