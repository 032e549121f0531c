package record

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What a workload shows to say who it is.
const (
	// IdentityKubernetes is a projected token of a service account.
	IdentityKubernetes = "kubernetes"
	// IdentityGitHub and IdentityGitLab are the tokens of their pipelines.
	IdentityGitHub = "github"
	IdentityGitLab = "gitlab"
	// IdentitySPIFFE is a JWT-SVID, or an X.509-SVID as client certificate.
	IdentitySPIFFE = "spiffe"
	// IdentityCertificate is one client certificate.
	IdentityCertificate = "certificate"
)

// IdentityTypes lists what a workload can show.
var IdentityTypes = []string{IdentityKubernetes, IdentityGitHub, IdentityGitLab, IdentitySPIFFE, IdentityCertificate}

// The claims that an identity must hold fast, by JSON Pointer (RFC 6901): all of
// one list, and one at least of the other. A pipeline is known by the number of
// its repository, since a name, and sub which is made of names, becomes another's
// when the repository is renamed; and by where it runs, since else every branch
// and every fork's pull request would be the workload.
var identityClaims = map[string]struct{ all, oneOf []string }{
	IdentityKubernetes: {all: []string{"/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name"}},
	IdentityGitHub:     {all: []string{"/repository_id"}, oneOf: []string{"/environment", "/ref", "/job_workflow_ref"}},
	IdentityGitLab:     {all: []string{"/project_id"}, oneOf: []string{"/environment", "/ref"}},
	IdentitySPIFFE:     {all: []string{"/sub"}},
}

// Identity says that whoever shows certain claims of an issuer, or a certificate,
// is a workload. The newest statement under its ID is its state.
type Identity struct {
	ID       string `json:"id"`
	Workload string `json:"workload"`
	// Type is one of the [IdentityTypes].
	Type string `json:"type"`
	// Issuer is what the tokens name as theirs, byte for byte, or the trust domain
	// as spiffe://DOMAIN; a certificate has none.
	Issuer string `json:"issuer,omitzero"`
	// Claims must stand in the token with exactly these texts, by JSON Pointer.
	Claims map[string]string `json:"claims,omitzero"`
	// Certificate is the SHA-256 digest of the certificate's DER form.
	Certificate Digest    `json:"certificate,omitzero"`
	Expires     time.Time `json:"expires,omitzero"`
	// Revoked ends it at once and for good; Reason says why.
	Revoked bool   `json:"revoked,omitzero"`
	Reason  string `json:"reason,omitzero"`
}

// Kind implements Body.
func (Identity) Kind() Kind { return KindIdentity }

// Keys implements Body.
func (i Identity) Keys(Digest) []string {
	return []string{KeyIdentity(i.ID), KeyIdentities(i.Workload)}
}

// Subject implements Body.
func (i Identity) Subject() (string, Digest) { return "identity/" + i.Workload + "/" + i.ID, "" }

// Validate implements Body.
func (i Identity) Validate() error {
	c := checker{kind: KindIdentity}
	c.name("id", i.ID)
	c.principal("workload", i.Workload)
	c.oneOf("type", i.Type, IdentityTypes...)
	c.textMap("claims", i.Claims)
	if i.Type == IdentityCertificate {
		if c.digest("certificate", i.Certificate); i.Issuer != "" || len(i.Claims) > 0 {
			c.failf("issuer and claims are not for a certificate")
		}
	} else {
		i.checkClaims(&c)
	}
	c.optionalTime("expires", i.Expires)
	c.text("reason", i.Reason, i.Revoked)
	return c.err()
}

func (i Identity) checkClaims(c *checker) {
	if i.Certificate != "" {
		c.failf("certificate is only for the type %s", IdentityCertificate)
	}
	scheme := "https"
	if i.Type == IdentitySPIFFE {
		scheme = "spiffe"
	}
	u, err := url.Parse(i.Issuer)
	if err != nil || u.Host == "" || u.Scheme != scheme && !(scheme == "https" && u.Scheme == "http") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		c.failf("issuer %q is not one of the form %s://HOST", i.Issuer, scheme)
	}
	must := identityClaims[i.Type]
	for _, name := range must.all {
		if i.Claims[name] == "" {
			c.failf("claims has no %s, which an identity of the type %s holds fast", name, i.Type)
		}
	}
	if len(must.oneOf) > 0 && !slices.ContainsFunc(must.oneOf, func(name string) bool { return i.Claims[name] != "" }) {
		c.failf("claims has none of %s, so that every branch would be the workload", strings.Join(must.oneOf, ", "))
	}
	for name := range i.Claims {
		if !strings.HasPrefix(name, "/") {
			c.failf("claims %q is not a JSON Pointer, which begins with '/'", name)
		}
	}
	if sub := i.Claims["/sub"]; i.Type == IdentitySPIFFE && sub != "" && !strings.HasPrefix(sub, i.Issuer+"/") {
		c.failf("claims /sub %q is not of the trust domain %s", sub, i.Issuer)
	}
}

// Stands reports whether the identity may be shown at t.
func (i Identity) Stands(t time.Time) bool {
	return !i.Revoked && Stands(time.Time{}, i.Expires, t)
}

// Shows says in a few words what is to be shown.
func (i Identity) Shows() string {
	if i.Type == IdentityCertificate {
		return i.Certificate.Short()
	}
	parts := make([]string, 0, len(i.Claims))
	for _, name := range slices.Sorted(maps.Keys(i.Claims)) {
		parts = append(parts, name[1:]+"="+i.Claims[name])
	}
	return i.Issuer + " " + strings.Join(parts, " ")
}

// KeyIdentity finds the statements of one identity.
func KeyIdentity(id string) string { return "identity/" + id }

// KeyIdentities finds the identities of a workload.
func KeyIdentities(workload string) string { return "identities/" + workload }

// Revocation ends access tokens before their time: one, or all that a workload
// was given up to the time of the statement.
type Revocation struct {
	Workload string `json:"workload"`
	// Token is the ID of the one token; empty for all.
	Token string `json:"token,omitzero"`
	// Expires is when the last of them has expired by itself.
	Expires time.Time `json:"expires"`
	Reason  string    `json:"reason,omitzero"`
}

// Kind implements Body.
func (Revocation) Kind() Kind { return KindRevocation }

// Keys implements Body.
func (r Revocation) Keys(Digest) []string { return []string{KeyRevocations(r.Workload)} }

// Subject implements Body.
func (r Revocation) Subject() (string, Digest) {
	if r.Token == "" {
		return "access/" + r.Workload, ""
	}
	return fmt.Sprintf("access/%s/%s", r.Workload, r.Token), ""
}

// Validate implements Body.
func (r Revocation) Validate() error {
	c := checker{kind: KindRevocation}
	c.principal("workload", r.Workload)
	if r.Token != "" {
		c.name("token", r.Token)
	}
	c.time("expires", r.Expires)
	c.text("reason", r.Reason, r.Token == "")
	return c.err()
}

// KeyRevocations finds the revocations of a workload's access tokens.
func KeyRevocations(workload string) string { return "revocations/" + workload }
