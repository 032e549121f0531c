// Package oauth is where workloads get the short-lived tokens under which they
// act: OAuth 2.0 token exchange (RFC 8693). A workload shows what its platform
// vouches for; it is known by an identity that an administrator bound to it; and a
// release that stands must name it. Without such a release there is no token.
//
//	POST /oauth2/token       give a token for what a workload shows
//	POST /oauth2/introspect  is a token good now, and what does it say (RFC 7662)
//	POST /oauth2/revoke      end a token (RFC 7009)
//	GET  /.well-known/oauth-authorization-server   the metadata (RFC 8414)
//	GET  /.well-known/jwks.json                    the public keys (RFC 7517)
//
// # What a workload shows
//
// With grant_type urn:ietf:params:oauth:grant-type:token-exchange: as subject_token
// the JWT of its platform (type jwt or id_token), or an API token of ours (type
// access_token). With grant_type client_credentials: its client certificate, on
// the connection itself (RFC 8705), either one that is bound to it, or an X.509-SVID.
// client_id names the workload where one identity is that of several; release
// and environment say under which release it asks to act, where there are several.
//
// A JWT is taken from the issuers of a configuration file alone ([ReadIssuers]), by
// the exact text of their name; nobody else is ever asked for keys. It must be meant for us
// (aud), within its time, and signed by a key of the issuer that has the header's
// key ID. A JWT-SVID is known by the trust domain of its sub.
//
// # What it gets
//
// A JWT access token (RFC 9068), for five minutes or less: never longer than what was
// shown is good. The audience is this server, or what audience and resource (RFC
// 8707) name: one that the server was told of, or an API or access that the release
// grants. With a header DPoP (RFC 9449) the token is bound to the proof's key, and
// on a connection with a client certificate to that (RFC 8705). No scope and no actor is
// taken: what a workload may do is what its release grants.
//
// # Answers
//
// Errors have the form of RFC 6749 section 5.2; error_description is the sentence to
// act on. A form in which a parameter comes twice is refused, audience and resource
// apart; what is unknown is passed over. Introspection is for who signs in with an
// API token and may read what the workload's team does, or is the workload; to
// others every token is inactive. To end a token it is enough to hold it.
package oauth

import (
	"log/slog"
	"net/http"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
)

const (
	tokenPath      = "/oauth2/token"
	introspectPath = "/oauth2/introspect"
	revokePath     = "/oauth2/revoke"
	keysPath       = "/.well-known/jwks.json"
	metadataPath   = "/.well-known/oauth-authorization-server"
)

type face struct {
	reg     *registry.Registry
	issuers *Issuers
	log     *slog.Logger
}

// Mount adds the paths to a server that takes the word of issuers, of none where
// they are nil.
func Mount(mux *router.Mux, reg *registry.Registry, issuers *Issuers, log *slog.Logger) {
	if issuers == nil {
		issuers = &Issuers{}
	}
	f := &face{reg, issuers, log}
	mux.HandleFunc("POST "+tokenPath, f.form(f.token))
	mux.HandleFunc("POST "+introspectPath, f.form(f.introspect))
	mux.HandleFunc("POST "+revokePath, f.form(f.revoke))
	mux.HandleFunc("GET "+metadataPath, f.metadata)
	mux.HandleFunc("GET "+keysPath, f.keys)
}

// metadata answers where everything is (RFC 8414 section 2).
func (f *face) metadata(w http.ResponseWriter, r *http.Request) {
	at := f.reg.URL()
	if at == "" {
		f.refuse(w, r, errNoAddress)
		return
	}
	write(w, http.StatusOK, map[string]any{
		"issuer":                                     at,
		"token_endpoint":                             at + tokenPath,
		"introspection_endpoint":                     at + introspectPath,
		"revocation_endpoint":                        at + revokePath,
		"jwks_uri":                                   at + keysPath,
		"grant_types_supported":                      []string{grantExchange, grantCertificate},
		"response_types_supported":                   []string{},
		"token_endpoint_auth_methods_supported":      []string{"none", "tls_client_auth", "self_signed_tls_client_auth"},
		"tls_client_certificate_bound_access_tokens": true,
		"dpop_signing_alg_values_supported":          []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"},
	})
}

// keys answers the public halves of the keys that sign access tokens. Tomorrow's
// is among them, so that what is kept for an hour is never too old.
func (f *face) keys(w http.ResponseWriter, r *http.Request) {
	set, err := f.reg.AccessKeys()
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	raw, err := json.Marshal(set)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	// The status is sent: an error now means that the caller has gone.
	_, _ = w.Write(raw)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The status is sent: an error now means that the caller has gone.
	_ = json.MarshalWrite(w, body, json.Deterministic(true))
}
