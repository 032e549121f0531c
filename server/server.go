// Package server is the HTTP face of an installation: one listener for all of
// its faces, each in a sub-package of its own.
//
//	/                    package console: the pages for people, and /api/, the
//	                     operations of the API
//	/sign-in, /sign-out  package session: people with a browser
//	/api/openapi.json    the same for programs, OpenAPI 3.1
//	/api/v1/lineage      package openlineage: what pipelines send
//	/api/v1/...          package api; needs a token, the public log apart
//	/api/2.0/mlflow/...  package mlflow: MLflow's Model Registry protocol, also
//	                     under /ajax-api and behind /t/TEAM
//	/access/v1/...       package authzen: what a workload may do, for whoever
//	                     enforces it
//	/oauth2/...          package oauth: access tokens for workloads
//	/kubernetes/admit    package admission: what a cluster may run, also on a
//	                     listener of its own
//	/envoy/check/...     package envoy: what a workload may do, as Envoy asks it
//	/log/...             package tiles: the ledger for monitors and witnesses
//	/healthz, /readyz    whether the process lives, and whether it can decide
//
// Every answer has an X-Request-Id, under which the log tells what went wrong,
// and headers by which a browser keeps nothing; what a browser can show as a page has
// those by which it runs no script of others. A request
// that a browser sends from another site's page is refused before any face
// sees it.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/admission"
	"imprimatur.dev/server/api"
	"imprimatur.dev/server/authzen"
	"imprimatur.dev/server/console"
	"imprimatur.dev/server/envoy"
	"imprimatur.dev/server/mlflow"
	"imprimatur.dev/server/oauth"
	"imprimatur.dev/server/openlineage"
	"imprimatur.dev/server/router"
	"imprimatur.dev/server/session"
	"imprimatur.dev/server/tiles"
	"imprimatur.dev/wire"
)

// Options are what may differ between installations.
type Options struct {
	// Log takes what goes wrong; nil is slog's default.
	Log *slog.Logger
	// Team is whose model registry MLflow's clients find who do not name a team.
	Team string
	// URL is the address at which browsers reach the installation; nil is that
	// of plain HTTP on this machine.
	URL *url.URL
	// Issuer is whom single sign-on is with; nil is nobody.
	Issuer *session.Issuer
	// Issuers are whose word about workloads is taken; nil is nobody's.
	Issuers *oauth.Issuers
	// CertificateHeader is the header in which a proxy says which client certificate it
	// was shown; empty where none does.
	CertificateHeader string
	// Admission says what clusters may run without a release.
	Admission admission.Options
}

// New returns the handler of everything that the server answers.
func New(reg *registry.Registry, opts Options) http.Handler {
	log := opts.Log
	if log == nil {
		log = slog.Default()
	}
	mux := faces(reg, opts, log)
	fromHere := http.NewCrossOriginProtection()
	fromHere.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.Refuse(w, r, log, api.Refusal(wire.Forbidden, "a browser sent this from another site's page; send it from here, or without a browser"))
	}))
	return guarded(fromProxy(asAsked(fromHere.Handler(whole(mux, reg, log)), mux), opts.CertificateHeader, log), log)
}

// asAsked lets what Envoy asks about reach its face as it is written: the mux would
// clean the path, and what belongs to another request would be judged as this one's.
func asAsked(next http.Handler, mux *router.Mux) http.Handler {
	face, _ := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: envoy.Prefix + "/"}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.RequestURI, envoy.Prefix+"/") {
			face.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Gate returns the handler of a listener that only clusters reach.
func Gate(reg *registry.Registry, opts Options) http.Handler {
	return guarded(admission.New(reg, &opts.Admission, opts.Log), opts.Log)
}

// faces returns all that is mounted. Who gets in where is held by a test that
// walks every route of it.
func faces(reg *registry.Registry, opts Options, log *slog.Logger) *router.Mux {
	v1 := api.New(reg, log)
	mux := router.New()
	mux.Handle(api.Prefix+"/", v1)
	mux.Handle(tiles.Prefix, tiles.New(reg, log))
	openlineage.Mount(mux, reg, log)
	authzen.Mount(mux, reg, baseOf(opts.URL), log)
	oauth.Mount(mux, reg, opts.Issuers, log)
	admission.Mount(mux, reg, &opts.Admission, log)
	mux.Handle(envoy.Prefix+"/", envoy.New(reg, log))
	mlflow.Mount(mux, reg, mlflow.Options{Team: opts.Team, Log: log})
	mux.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		send(w, "application/openapi+json; charset=utf-8", v1.OpenAPI)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		send(w, "text/plain; charset=utf-8", []byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, reg, log) })
	sessions := session.New(reg, session.Options{URL: opts.URL, Issuer: opts.Issuer, Log: log})
	sessions.Mount(mux)
	console.Mount(mux, console.Options{Registry: reg, Log: log, SignedIn: sessions.Caller, Base: baseOf(opts.URL), Operations: v1.Operations})
	return mux
}

// wholeWithin is how long a request waits for a server that has just started.
const wholeWithin = 30 * time.Second

// early are the paths that need the decision index or the log alone, and so are
// answered before the rest of what is kept in memory is there.
var early = []string{"/healthz", "/readyz", "/log/", "/access/v1/evaluation", admission.Path, api.Prefix + "/decide", api.Prefix + "/authorize", api.Prefix + "/authority"}

// whole lets a request in when the server remembers its ledger.
func whole(next http.Handler, reg *registry.Registry, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.ContainsFunc(early, func(path string) bool { return strings.HasPrefix(r.URL.Path, path) }) {
			ctx, cancel := context.WithTimeout(r.Context(), wholeWithin)
			err := reg.Whole(ctx)
			cancel()
			if err != nil {
				api.Refuse(w, r, log, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// baseOf returns an address without its final slash; nothing for none.
func baseOf(u *url.URL) string {
	if u == nil {
		return ""
	}
	return strings.TrimSuffix(u.String(), "/")
}

// readyWithin is how long the ledger may take to answer a readiness probe.
const readyWithin = 2 * time.Second

func ready(w http.ResponseWriter, r *http.Request, reg *registry.Registry, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if err := reg.Ready(ctx); err != nil {
		log.WarnContext(r.Context(), "not ready", "error", err)
		http.Error(w, "the ledger cannot be read", http.StatusServiceUnavailable)
		return
	}
	send(w, "text/plain; charset=utf-8", []byte("ready\n"))
}

func send(w http.ResponseWriter, media string, content []byte) {
	w.Header().Set("Content-Type", media)
	// The status is sent: an error now means that the caller has gone.
	_, _ = w.Write(content)
}

// policy is the Content-Security-Policy: pages are made of what
// this server sends from files, so that nothing inside a page's text ever runs.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Headers of answers, which share their values and change none of them.
var (
	always = http.Header{
		"X-Content-Type-Options":       {"nosniff"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Cache-Control":                {"no-store"},
	}
	// shown are for what a browser may show as a page. It sends no bearer token when
	// it opens one, so that answers to such requests go without.
	shown = http.Header{
		"X-Frame-Options": {"DENY"},
		// With no-referrer a browser would send "Origin: null" with our own
		// forms, which cannot be told from another site's.
		"Referrer-Policy":            {"same-origin"},
		"Cross-Origin-Opener-Policy": {"same-origin"},
		"Content-Security-Policy":    {policy},
	}
)

// guarded gives every answer its id and its headers, and turns a panic into a
// refusal, so that a fault in one request ends that request alone.
func guarded(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		maps.Copy(h, always)
		if api.Bearer(r) == "" {
			maps.Copy(h, shown)
		}
		h.Set(api.RequestID, rand.Text()[:16])
		defer func() {
			fault := recover()
			if fault == nil {
				return
			}
			// What was meant to cut the answer off still does.
			if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(fault)
			}
			api.Refuse(w, r, log, fmt.Errorf("panic at %s %s: %v", r.Method, r.URL.Path, fault))
		}()
		next.ServeHTTP(w, r)
	})
}

// Limits of one connection. A body may take as long as the face that reads it
// allows; headers may not.
const (
	headersWithin = 10 * time.Second
	answerWithin  = 5 * time.Minute
	idleFor       = 2 * time.Minute
	maxHeaders    = 64 << 10
	// drainFor is how long requests may take to finish when the server stops.
	drainFor = 15 * time.Second
)

// Serve listens on an address and serves until ctx ends; then it lets the
// requests under way finish.
func Serve(ctx context.Context, addr string, handler http.Handler) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	return ServeOn(ctx, l, handler)
}

// ServeOn is [Serve] on a listener that is open already, which it closes.
func ServeOn(ctx context.Context, l net.Listener, handler http.Handler) error {
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headersWithin,
		ReadTimeout:       answerWithin,
		WriteTimeout:      answerWithin,
		IdleTimeout:       idleFor,
		MaxHeaderBytes:    maxHeaders,
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	if err := s.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("requests were still under way after %s: %w", drainFor, err), s.Close())
	}
	return nil
}
