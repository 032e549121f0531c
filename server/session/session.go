// Package session is how people sign in with a browser, and what tells the
// pages of the console who asks.
//
//	/sign-in       a name and a password, or an API token
//	/sign-out      ends this session, or all of one's sessions
//	/welcome/LINK  an invitation: begins a session, once
//	/sign-in/ways  how one signs in: a password, passkeys
//	/sign-in/issuer  single sign-on with an OpenID Connect issuer
//	/passkey/…     the steps of a passkey's ceremonies, for /passkey.js
//
// # The cookie
//
// A session is known by 256 random bits that the browser holds in one cookie
// and the server only as a hash. The cookie is HttpOnly and SameSite=Lax; where
// the installation's address is https it is also Secure and named with the
// prefix __Host-, so that no other host of the domain can set it. A sign-in
// always makes a new secret and ends the session that was there before, so that
// nobody is signed in under a secret that somebody else knew. How long a
// session lasts stands in package registry; it ends at once with its principal,
// and one that began with a token ends with the token and reaches no further.
//
// # Requests from elsewhere
//
// Cookies make a browser act for its person, so whatever changes something is a
// POST, and the server refuses what a browser sends from another site's page
// before any of this is reached. Where a person is sent after the sign-in is a
// path of this server or nothing ([Local]).
package session

import (
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

//go:embed pages
var files embed.FS

var templates = template.Must(template.ParseFS(files, "pages/*.html"))

// Options say where an installation is.
type Options struct {
	// URL is the address at which browsers reach it, without a path. It decides
	// whether cookies are Secure.
	URL *url.URL
	// Issuer is whom single sign-on is with; nil is nobody.
	Issuer *Issuer
	// Log takes what goes wrong.
	Log *slog.Logger
}

// Sessions are the sessions of one installation.
type Sessions struct {
	reg    *registry.Registry
	log    *slog.Logger
	url    *url.URL
	limits *limits
	issuer *issuers
}

// New returns the sessions of a registry.
func New(reg *registry.Registry, opts Options) *Sessions {
	s := &Sessions{reg: reg, log: opts.Log, url: opts.URL, limits: newLimits()}
	if opts.Issuer != nil && opts.URL != nil {
		s.issuer = &issuers{config: opts.Issuer, at: opts.URL, client: &http.Client{Timeout: issuerWithin}}
	}
	return s
}

// Mount adds the pages of this package.
func (s *Sessions) Mount(mux *router.Mux) {
	mux.HandleFunc("GET /sign-in", s.signInPage)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /sign-out", s.signOut)
	mux.HandleFunc("GET "+registry.WelcomePath+"{link}", s.welcomePage)
	mux.HandleFunc("POST "+registry.WelcomePath+"{link}", s.welcome)
	s.mountPasskeys(mux)
	s.mountIssuer(mux)
	mux.Handle("GET /sign-in/ways", s.Required(s.waysPage))
	mux.Handle("POST /sign-in/password", s.Required(s.setPassword))
}

// Of returns the session in which a request is sent. The error has the code
// [wire.SignIn] where there is none that stands.
func (s *Sessions) Of(r *http.Request) (registry.Session, error) {
	secret, ok := s.secret(r)
	if !ok {
		return registry.Session{}, &registry.Error{Code: wire.SignIn, Message: "sign in first"}
	}
	return s.reg.Session(r.Context(), secret)
}

// Caller returns on whose behalf a request is sent, and whether there is
// anybody. What goes wrong is logged, and nobody is signed in.
func (s *Sessions) Caller(r *http.Request) (registry.Caller, bool) {
	got, err := s.Of(r)
	if err != nil && registry.CodeOf(err) != wire.SignIn {
		s.log.ErrorContext(r.Context(), "a session could not be read", "error", err)
	}
	return got.Caller, err == nil
}

// Required answers with next where somebody is signed in; a reader is sent to
// the page where they can, and comes back afterwards.
func (s *Sessions) Required(next func(http.ResponseWriter, *http.Request, registry.Caller)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who, ok := s.Caller(r); ok {
			next(w, r, who)
			return
		}
		to := "/sign-in"
		if r.Method == http.MethodGet {
			to += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
}

// Local returns where to go after a sign-in: the path that was asked for where
// it is one of this server, else the first page.
func Local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(to, "/") ||
		strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

const cookieName = "imprimatur"

func (s *Sessions) secure() bool { return s.url != nil && s.url.Scheme == "https" }

func (s *Sessions) cookie(value string) *http.Cookie {
	c := &http.Cookie{Name: cookieName, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if s.secure() {
		c.Name, c.Secure = "__Host-"+cookieName, true
	}
	return c
}

func (s *Sessions) secret(r *http.Request) (string, bool) {
	c, err := r.Cookie(s.cookie("").Name)
	if err != nil || c.Value == "" {
		return "", false
	}
	return c.Value, true
}

// begin gives the browser a new session in place of the one that it had.
func (s *Sessions) begin(w http.ResponseWriter, r *http.Request, secret string) {
	if old, ok := s.secret(r); ok {
		if err := s.reg.SignOut(r.Context(), old); err != nil {
			s.log.ErrorContext(r.Context(), "the session before a sign-in could not be ended", "error", err)
		}
	}
	http.SetCookie(w, s.cookie(secret))
}

// signInForm is what the sign-in page shows.
type signInForm struct {
	Next, Name, Refusal string
	// Issuer is what single sign-on is with, if anything.
	Issuer string
}

func (s *Sessions) signInPage(w http.ResponseWriter, r *http.Request) {
	to := Local(r.URL.Query().Get("next"))
	if _, ok := s.Caller(r); ok {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	s.show(w, http.StatusOK, "sign-in.html", signInForm{Next: to, Issuer: s.issuerName()})
}

func (s *Sessions) issuerName() string {
	if s.issuer == nil {
		return ""
	}
	return s.issuer.config.Name
}

// maxForm is the most bytes of a form.
const maxForm = 16 << 10

func (s *Sessions) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := signInForm{Next: Local(r.PostFormValue("next")), Name: r.PostFormValue("name")}
	secret, err := s.authenticate(r, form.Name)
	if err != nil {
		form.Refusal, form.Issuer = s.refusal(r, err), s.issuerName()
		s.show(w, statusOf(err), "sign-in.html", form)
		return
	}
	s.begin(w, r, secret)
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

func (s *Sessions) authenticate(r *http.Request, name string) (secret string, err error) {
	if err := s.limits.allow(name, addressOf(r)); err != nil {
		return "", err
	}
	if token := strings.TrimSpace(r.PostFormValue("token")); token != "" {
		return s.reg.SignInByToken(r.Context(), token)
	}
	return s.reg.SignInByPassword(r.Context(), name, r.PostFormValue("password"))
}

// addressOf is the network address that a request comes from: a single one, or
// the /64 of IPv6, which is what one subscriber has.
func addressOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr := at.Addr().Unmap()
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}

func (s *Sessions) signOut(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	secret, ok := s.secret(r)
	if ok && r.PostFormValue("everywhere") != "" {
		if who, ok := s.Caller(r); ok {
			if err := s.reg.SignOutEverywhere(r.Context(), who, who.Name); err != nil {
				s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
				return
			}
		}
	}
	if ok {
		if err := s.reg.SignOut(r.Context(), secret); err != nil {
			s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
			return
		}
	}
	gone := s.cookie("")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// refusal is what a person is told of an error; what is nobody's refusal is
// logged, and its text stays there.
func (s *Sessions) refusal(r *http.Request, err error) string {
	if errors.Is(err, errTooMany) || registry.CodeOf(err) != wire.Unavailable {
		return err.Error()
	}
	s.log.ErrorContext(r.Context(), "a sign-in failed", "error", err)
	return "The server failed, and nobody was signed in. Its log says why."
}

func statusOf(err error) int {
	if errors.Is(err, errTooMany) {
		return http.StatusTooManyRequests
	}
	return api.StatusOf(err)
}

func (s *Sessions) show(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	// The templates and their data are this package's own, so that an error
	// means that the reader has gone.
	_ = templates.ExecuteTemplate(w, name, data)
}
