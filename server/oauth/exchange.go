package oauth

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/token"
	"imprimatur.dev/wire"
)

const (
	grantExchange    = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantCertificate = "client_credentials"
)

// The types of a subject token (RFC 8693 section 3).
const (
	typeJWT    = "urn:ietf:params:oauth:token-type:jwt"
	typeID     = "urn:ietf:params:oauth:token-type:id_token"
	typeAccess = "urn:ietf:params:oauth:token-type:access_token"
)

// granted is the answer with a token (RFC 8693 section 2.2.1).
type granted struct {
	Token   string `json:"access_token"`
	Issued  string `json:"issued_token_type"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
}

// token gives a token for what a workload shows.
func (f *face) token(w http.ResponseWriter, r *http.Request, form url.Values) error {
	certificate := api.ClientCertificate(r)
	in := registry.AccessRequest{
		Workload: form.Get("client_id"), Environment: form.Get("environment"), Release: form.Get("release"),
		Audience: slices.Concat(form["audience"], form["resource"]),
	}
	var err error
	switch form.Get("grant_type") {
	case grantExchange:
		in.Claimed, err = f.exchanged(r, form)
	case grantCertificate:
		in.Claimed, err = f.certified(certificate)
	default:
		err = bad(unknownGrant, "grant_type is neither "+grantExchange+" nor "+grantCertificate)
	}
	if err != nil {
		return err
	}
	if certificate != nil {
		in.Confirm.Certificate = registry.CertificateThumbprint(certificate)
	}
	if proofs := r.Header.Values("DPoP"); len(proofs) > 0 {
		in.Confirm.Key, err = f.reg.Prove(registry.Shown{Proofs: proofs, Method: r.Method, URL: f.reg.URL() + tokenPath})
		if registry.CodeOf(err) == wire.Invalid && err != nil {
			return bad(invalidProof, err.Error())
		}
		if err != nil {
			return err
		}
	}
	got, err := f.reg.IssueAccess(r.Context(), in)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, granted{got.Secret, issuedTokenType, tokenType(got.Access), got.Access.Expires - got.Access.IssuedAt})
	return nil
}

// tokenType says how a token is to be shown.
func tokenType(a token.Access) string {
	if a.Confirm != nil && a.Confirm.Key != "" {
		return "DPoP"
	}
	return "Bearer"
}

// exchanged reads the subject token of an exchange.
func (f *face) exchanged(r *http.Request, form url.Values) (registry.Claimed, error) {
	none := registry.Claimed{}
	if form.Get("actor_token") != "" || form.Get("scope") != "" {
		return none, bad(invalidRequest, "no actor_token and no scope is taken: a workload acts for itself, and may do what its release grants; leave them out")
	}
	if t := form.Get("requested_token_type"); t != "" && t != typeAccess && t != typeJWT {
		return none, bad(invalidRequest, "only tokens of the type "+typeAccess+" are given; ask for that, or name no type")
	}
	subject := form.Get("subject_token")
	if subject == "" {
		return none, bad(invalidRequest, "there is no subject_token; send the token of the workload's platform")
	}
	switch form.Get("subject_token_type") {
	case typeJWT, typeID:
		return f.issuers.verify(r.Context(), subject, f.reg.URL())
	case typeAccess:
		return registry.Claimed{Secret: subject}, nil
	}
	return none, bad(invalidRequest, "subject_token_type is none that is taken; name "+typeJWT+" for a platform's token, or "+typeAccess+" for an API token of this server")
}

// certified is who a client certificate is: an X.509-SVID of a trust domain that
// is configured, else the certificate itself. That its key is at hand the
// connection has shown.
func (f *face) certified(c *x509.Certificate) (registry.Claimed, error) {
	if c == nil {
		return registry.Claimed{}, &fault{http.StatusUnauthorized, invalidClient, "the connection has shown no client certificate; connect with one, or exchange a token with grant_type " + grantExchange}
	}
	if got, ok, err := f.issuers.svid(c); ok || err != nil {
		return got, err
	}
	return registry.Claimed{Certificate: record.DigestOf(c.Raw), Expires: c.NotAfter}, nil
}

// introspected is the answer about a token (RFC 7662 section 2.2).
type introspected struct {
	Active        bool   `json:"active"`
	Type          string `json:"token_type,omitzero"`
	*token.Access `json:",inline"`
}

// introspect says whether a token is good now.
func (f *face) introspect(w http.ResponseWriter, r *http.Request, form url.Values) error {
	who, err := f.signedIn(r)
	if err != nil {
		return err
	}
	subject := form.Get("token")
	if subject == "" {
		return bad(invalidRequest, "there is no token to introspect; send it as token")
	}
	a, ok, err := f.reg.Introspect(r.Context(), who, subject)
	if err != nil {
		return err
	}
	out := introspected{Active: ok}
	if ok {
		out.Type, out.Access = tokenType(a), &a
	}
	write(w, http.StatusOK, out)
	return nil
}

// revoke ends a token.
func (f *face) revoke(w http.ResponseWriter, r *http.Request, form url.Values) error {
	var who registry.Caller
	if len(r.Header.Values("Authorization")) > 0 {
		var err error
		if who, err = f.signedIn(r); err != nil {
			return err
		}
	}
	subject := form.Get("token")
	if subject == "" {
		return bad(invalidRequest, "there is no token to end; send it as token")
	}
	if err := f.reg.RevokeAccess(r.Context(), who, subject); err != nil {
		if registry.CodeOf(err) == wire.Forbidden {
			return &fault{http.StatusForbidden, mayNotBe, err.Error()}
		}
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// signedIn is who asks, by an API token.
func (f *face) signedIn(r *http.Request) (registry.Caller, error) {
	who, err := f.reg.Authenticate(r.Context(), api.Bearer(r))
	if err != nil && registry.CodeOf(err) == wire.SignIn {
		return who, &fault{http.StatusUnauthorized, invalidClient, err.Error()}
	}
	return who, err
}
