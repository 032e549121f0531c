package oauth

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/token"
)

// clocksDiffer is how far the clock of an issuer may be ahead of ours.
const clocksDiffer = 30 * time.Second

// claims are those of a platform's token that are judged here; which workload it
// is, the registry finds by the others.
type claims struct {
	Issuer    string        `json:"iss"`
	Subject   string        `json:"sub"`
	Audience  token.Strings `json:"aud"`
	Expires   numericDate   `json:"exp"`
	NotBefore numericDate   `json:"nbf"`
	IssuedAt  numericDate   `json:"iat"`
}

// numericDate is a time of RFC 7519 section 2, which may have a fraction.
type numericDate float64

func (d numericDate) time() time.Time { return time.Unix(int64(d), 0) }

// maxDate is the end of the year 9999.
const maxDate numericDate = 253402300799

// verify returns who a platform's token says its bearer is. It does not ask
// which workload that is.
func (x *Issuers) verify(ctx context.Context, text, here string) (registry.Claimed, error) {
	j, err := token.Parse(text)
	if err != nil {
		return registry.Claimed{}, bad(invalidRequest, "the subject_token is not good: "+err.Error()+"; send the token of the platform as it is")
	}
	var c claims
	if err := j.Unverified(&c); err != nil {
		return registry.Claimed{}, bad(invalidRequest, "the subject_token is not good: "+err.Error()+"; send the token of the platform as it is")
	}
	i := x.issuerOf(c)
	if i == nil {
		return registry.Claimed{}, bad(invalidRequest, fmt.Sprintf("the word of the issuer %.200q is not taken here; whoever runs the server names issuers with imprimatur serve --identity-issuers", c.Issuer))
	}
	key, err := i.keys.key(j.Header.KeyID)
	if err != nil {
		slog.WarnContext(ctx, "the keys of an issuer could not be fetched", "issuer", i.name, "error", err)
		return registry.Claimed{}, &fault{503, unavailable, "the keys of the issuer " + i.name + " could not be fetched, and the server's log says why; try again in a moment"}
	}
	if key == nil {
		return registry.Claimed{}, bad(invalidRequest, fmt.Sprintf("the issuer %s has no key with the ID %.100q; take a new token from it", i.name, j.Header.KeyID))
	}
	if err := j.Verify(key); err != nil {
		return registry.Claimed{}, bad(invalidRequest, "the subject_token is not good: "+err.Error()+"; send the token of the platform as it is")
	}
	if why := i.wrong(c, here, time.Now()); why != "" {
		return registry.Claimed{}, bad(invalidRequest, "the subject_token is not good: "+why)
	}
	return registry.Claimed{Issuer: i.name, Claims: j.Claims(), Expires: c.Expires.time()}, nil
}

// issuerOf finds who is said to have issued a token: the trust domain of a SPIFFE
// ID, whatever its iss says, else the issuer with exactly this name.
func (x *Issuers) issuerOf(c claims) *issuer {
	if domain, ok := trustDomain(c.Subject); ok {
		return x.byName[domain]
	}
	if strings.HasPrefix(c.Issuer, spiffeScheme) {
		return nil
	}
	return x.byName[c.Issuer]
}

func trustDomain(id string) (string, bool) {
	rest, ok := strings.CutPrefix(id, spiffeScheme)
	if !ok {
		return "", false
	}
	domain, _, _ := strings.Cut(rest, "/")
	return spiffeScheme + domain, true
}

// wrong says what is wrong with claims that the issuer has signed, or nothing.
func (i *issuer) wrong(c claims, here string, now time.Time) string {
	audience := i.audience
	if audience == "" {
		audience = here
	}
	for _, d := range []numericDate{c.Expires, c.NotBefore, c.IssuedAt} {
		if d < 0 || d > maxDate {
			return "it has a time that is none; take a new one from the platform"
		}
	}
	switch {
	case c.Expires == 0:
		return "it never expires; take one that does"
	case !record.Stands(time.Time{}, c.Expires.time(), now):
		return "it has expired; take a new one from the platform"
	case !record.Stands(max(c.NotBefore, c.IssuedAt).time(), time.Time{}, now.Add(clocksDiffer)):
		return "it is not valid yet; check the clocks"
	case audience == "" || !slices.Contains(c.Audience, audience):
		return fmt.Sprintf("it is not meant for %s; ask the platform for one with this audience", audience)
	}
	return ""
}

// svid is who an X.509-SVID says its holder is (SPIFFE X.509-SVID section 5), where the
// certificate names a trust domain that is configured.
func (x *Issuers) svid(c *x509.Certificate) (registry.Claimed, bool, error) {
	var none registry.Claimed
	if len(c.URIs) == 0 {
		return none, false, nil
	}
	domain, ok := trustDomain(c.URIs[0].String())
	i := x.byName[domain]
	if !ok || i == nil {
		return none, false, nil
	}
	if len(c.URIs) != 1 || c.IsCA || len(i.authorities) == 0 {
		return none, false, &fault{401, invalidClient, "the client certificate is no X.509-SVID of " + domain + "; take one from the platform"}
	}
	roots := x509.NewCertPool()
	for _, a := range i.authorities {
		roots.AddCert(a)
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return none, false, &fault{401, invalidClient, "the client certificate was not signed by an authority of " + domain + ", or has expired; take one from the platform"}
	}
	raw, err := jsontext.AppendQuote([]byte(`{"sub":`), c.URIs[0].String())
	return registry.Claimed{Issuer: domain, Claims: append(raw, '}'), Expires: c.NotAfter}, err == nil, err
}
