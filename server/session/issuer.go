package session

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v4"
	"golang.org/x/oauth2"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

// Issuer is the configuration of single sign-on with an OpenID Connect issuer,
// a YAML file.
type Issuer struct {
	// URL is the issuer's identifier, under which its configuration is found.
	URL string `yaml:"issuer"`
	// Name is what the sign-in page calls it.
	Name             string `yaml:"name"`
	ClientID         string `yaml:"clientId"`
	ClientSecretFile string `yaml:"clientSecretFile"`
	// Scopes are asked for beside openid and profile.
	Scopes []string `yaml:"scopes"`
	// GroupsClaim is the claim of the ID token that lists groups; "groups" if empty.
	GroupsClaim string `yaml:"groupsClaim"`
	// Groups give roles.
	Groups []GroupRole `yaml:"groups"`
	// CreateAccounts enrols a person at their first sign-in.
	CreateAccounts bool `yaml:"createAccounts"`

	secret string
}

// GroupRole gives the members of a group a role for a team, or "*" for all.
type GroupRole struct {
	Group string          `yaml:"group"`
	Role  record.RoleName `yaml:"role"`
	Team  string          `yaml:"team"`
}

// ReadIssuer reads a configuration strictly, and the secret that it names.
func ReadIssuer(raw []byte) (*Issuer, error) {
	i := &Issuer{GroupsClaim: "groups"}
	if err := yaml.Load(raw, i, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("reading the issuer's configuration: %w", err)
	}
	u, err := url.Parse(i.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1") || i.ClientID == "" {
		return nil, fmt.Errorf("the issuer's configuration needs issuer, an https address, and clientId; give both")
	}
	for _, g := range i.Groups {
		if g.Group == "" || g.Team == "" || !slices.Contains(record.RoleNames, g.Role) {
			return nil, fmt.Errorf("the entry of the group %q needs group, team and a role that there is, and says %q for %q", g.Group, g.Role, g.Team)
		}
	}
	if i.Name == "" {
		i.Name = u.Host
	}
	if i.ClientSecretFile != "" {
		secret, err := os.ReadFile(i.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client's secret: %w", err)
		}
		i.secret = strings.TrimSpace(string(secret))
	}
	return i, nil
}

// issuers is single sign-on with one issuer. The issuer is asked for its
// configuration at the first sign-in, so that a server starts without it.
type issuers struct {
	config *Issuer
	at     *url.URL
	client *http.Client

	mu       sync.Mutex
	provider *oidc.Provider
}

const (
	issuerWithin = 10 * time.Second
	issuerPath   = "/sign-in/issuer"
	callbackPath = "/sign-in/issuer/callback"
)

// flow is what is kept of a sign-in that is under way.
type flow struct {
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Next     string `json:"next"`
}

// ready returns the OAuth 2.0 client and the verifier of ID tokens.
func (i *issuers) ready() (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.provider == nil {
		// The provider keeps the context for fetching keys later on.
		p, err := oidc.NewProvider(i.context(context.Background()), i.config.URL)
		if err != nil {
			return nil, nil, fmt.Errorf("asking the issuer %s: %w", i.config.URL, err)
		}
		i.provider = p
	}
	c := &oauth2.Config{
		ClientID: i.config.ClientID, ClientSecret: i.config.secret, Endpoint: i.provider.Endpoint(),
		RedirectURL: i.at.String() + callbackPath, Scopes: append([]string{oidc.ScopeOpenID, "profile"}, i.config.Scopes...),
	}
	return c, i.provider.Verifier(&oidc.Config{ClientID: i.config.ClientID}), nil
}

func (i *issuers) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, i.client)
}

func (s *Sessions) mountIssuer(mux *router.Mux) {
	mux.HandleFunc("GET "+issuerPath, s.toIssuer)
	mux.HandleFunc("GET "+callbackPath, s.fromIssuer)
}

// stateCookie ties a sign-in that is under way to the browser that began it.
func (s *Sessions) stateCookie(state string) *http.Cookie {
	c := s.cookie(state)
	c.Name += "-issuer"
	return c
}

// toIssuer sends a person to the issuer, by the code flow with PKCE (RFC 7636).
func (s *Sessions) toIssuer(w http.ResponseWriter, r *http.Request) {
	err := s.limits.allow("", addressOf(r))
	var to string
	if err == nil {
		to, err = s.beginIssuer(w, r)
	}
	if err != nil {
		s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *Sessions) beginIssuer(w http.ResponseWriter, r *http.Request) (to string, err error) {
	if s.issuer == nil {
		return "", &registry.Error{Code: wire.Unknown, Message: "no issuer is configured here; sign in otherwise"}
	}
	client, _, err := s.issuer.ready()
	if err != nil {
		return "", err
	}
	state, f := rand.Text(), flow{Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: Local(r.URL.Query().Get("next"))}
	value, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	if err := s.reg.KeepIssuerState(r.Context(), state, value); err != nil {
		return "", err
	}
	c := s.stateCookie(state)
	c.MaxAge = int(record.AskedWithin.Seconds())
	http.SetCookie(w, c)
	return client.AuthCodeURL(state, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

// fromIssuer takes a person back whom the issuer knows.
func (s *Sessions) fromIssuer(w http.ResponseWriter, r *http.Request) {
	secret, next, err := s.finishIssuer(r)
	gone := s.stateCookie("")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	if err != nil {
		s.show(w, statusOf(err), "refused.html", s.refusal(r, err))
		return
	}
	s.begin(w, r, secret)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Sessions) finishIssuer(r *http.Request) (secret, next string, err error) {
	refused := func(format string, args ...any) (string, string, error) {
		return "", "", &registry.Error{Code: wire.SignIn, Message: fmt.Sprintf(format, args...) + "; sign in again"}
	}
	if s.issuer == nil {
		return refused("no issuer is configured here")
	}
	state := r.URL.Query().Get("state")
	c, err := r.Cookie(s.stateCookie("").Name)
	if err != nil || state == "" || subtle.ConstantTimeCompare([]byte(c.Value), []byte(state)) != 1 {
		return refused("this browser did not begin this sign-in")
	}
	value, err := s.reg.TakeIssuerState(r.Context(), state)
	if err != nil {
		return "", "", err
	}
	var f flow
	if err := json.Unmarshal(value, &f); err != nil {
		return "", "", err
	}
	if said := r.URL.Query().Get("error"); said != "" {
		return refused("the issuer says %q", said)
	}
	client, verifier, err := s.issuer.ready()
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(s.issuer.context(r.Context()), issuerWithin)
	defer cancel()
	token, err := client.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return refused("the issuer did not take the code (%v)", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return refused("the issuer's word cannot be trusted (%v)", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return refused("the issuer's word is for another sign-in")
	}
	account, err := s.issuer.account(id)
	if err != nil {
		return refused("the issuer's word cannot be read (%v)", err)
	}
	secret, err = s.reg.SignInByIssuer(r.Context(), account)
	return secret, f.Next, err
}

// account reads who somebody is, and what their groups give them.
func (i *issuers) account(id *oidc.IDToken) (registry.Account, error) {
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return registry.Account{}, err
	}
	text := func(name string) string { s, _ := claims[name].(string); return s }
	a := registry.Account{Issuer: id.Issuer, Subject: id.Subject, Name: text("preferred_username"), DisplayName: text("name"), Create: i.config.CreateAccounts}
	groups, _ := claims[i.config.GroupsClaim].([]any)
	for _, g := range i.config.Groups {
		grant := registry.Grant{Role: g.Role, Team: g.Team}
		if slices.Contains(groups, any(g.Group)) && !slices.Contains(a.Grants, grant) {
			a.Grants = append(a.Grants, grant)
		}
	}
	return a, nil
}
