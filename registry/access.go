package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/attest"
	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/token"
	"imprimatur.dev/wire"
)

// issuing is what access tokens are given and judged with.
type issuing struct {
	// url is the server's address, their issuer.
	url       string
	audiences []string
	life      time.Duration
	keys      *token.Keys
	proofs    *proofs
	opened    *opened
}

func newIssuing(key *attest.Key, cfg Config) issuing {
	life := min(cmp.Or(cfg.AccessLife, token.Life), token.MaxLife)
	return issuing{cfg.URL, cfg.Audiences, life, token.NewKeys(key.Derive), &proofs{}, &opened{of: map[[sha256.Size]byte]token.Access{}}}
}

// opened are access tokens whose signature was verified: what a signature says does not
// change, and all else is asked each time. A token has expired before its key stops
// counting.
type opened struct {
	mu sync.RWMutex
	of map[[sha256.Size]byte]token.Access
}

// maxOpened bounds how many are remembered, about 1 KB each.
const maxOpened = 20_000

// open returns what an access token of ours says.
func (i *issuing) open(secret string, now time.Time) (token.Access, error) {
	sum := sha256.Sum256([]byte(secret))
	i.opened.mu.RLock()
	a, ok := i.opened.of[sum]
	i.opened.mu.RUnlock()
	if ok {
		return a, nil
	}
	a, err := i.keys.Open(secret, now)
	if err != nil {
		return a, err
	}
	i.opened.mu.Lock()
	defer i.opened.mu.Unlock()
	if len(i.opened.of) >= maxOpened {
		clear(i.opened.of)
	}
	i.opened.of[sum] = a
	return a, nil
}

// Claimed is how a workload says who it is: by the claims of a platform's token
// or by a client certificate, which the caller has verified, or by an API token
// of ours, which is verified here.
type Claimed struct {
	// Issuer and Claims are those of a token, an object; an X.509-SVID counts as a
	// token of its trust domain with sub alone.
	Issuer string
	Claims jsontext.Value
	// Certificate is the digest of a client certificate.
	Certificate record.Digest
	// Secret is an API token.
	Secret string
	// Expires is until when it is good.
	Expires time.Time
}

// AccessRequest asks for an access token.
type AccessRequest struct {
	Claimed
	// Workload, Environment and Release say which are meant, where there are several.
	Workload, Environment, Release string
	// Audience are those who shall take the token; this server where none is named.
	Audience []string
	// Confirm binds the token to a key; the zero value does not.
	Confirm token.Confirm
}

// IssuedAccess is an access token as it is handed out.
type IssuedAccess struct {
	Secret string
	Access token.Access
}

// IssueAccess gives a workload that a release names and that stands a token, for
// minutes: no longer than what it has shown, the identity, the workload and the
// release last. It states nothing; that an identity was used is kept beside the ledger.
func (r *Registry) IssueAccess(ctx context.Context, in AccessRequest) (IssuedAccess, error) {
	if err := r.issues(); err != nil {
		return IssuedAccess{}, err
	}
	now := record.Millis(r.now())
	identity, workload, err := r.claimed(ctx, &in, now)
	if err != nil {
		return IssuedAccess{}, err
	}
	acts, why := r.acting(ctx, wire.Ask{Workload: workload, Environment: in.Environment, Release: in.Release}, now)
	if acts == nil {
		return IssuedAccess{}, refusef(wire.Refused, "no token is given to %s; %s", workload, strings.Join(why, "; "))
	}
	at := later(now, acts.at)
	if err := r.mayReach(acts, in.Audience, at); err != nil {
		return IssuedAccess{}, err
	}
	a := r.accessOf(acts, workload, at)
	a.Identity = identity
	a.Audience = in.Audience
	if len(a.Audience) == 0 {
		a.Audience = token.Strings{r.issuing.url}
	}
	if in.Confirm != (token.Confirm{}) {
		a.Confirm = &in.Confirm
	}
	for _, until := range []time.Time{in.Expires, acts.stands(at).Until, acts.actors[workload].Expires} {
		if !until.IsZero() {
			a.Expires = min(a.Expires, until.Unix())
		}
	}
	if a.Expires <= a.IssuedAt {
		return IssuedAccess{}, refusef(wire.Refused, "no token is given to %s: what it rests on ends within the second; try again with what lasts", workload)
	}
	secret, err := r.issuing.keys.Sign(a, at)
	r.uses.note(useOf{ID: identity}, now)
	return IssuedAccess{secret, a}, err
}

// URL is the address of the server, which access tokens name as their issuer.
func (r *Registry) URL() string { return r.issuing.url }

// AccessKeys are the public halves of the keys that sign access tokens.
func (r *Registry) AccessKeys() (jose.JSONWebKeySet, error) { return r.issuing.keys.JWKS(r.now()) }

// issues refuses where no token can be issued, or none be judged.
func (r *Registry) issues() error {
	if r.issuing.url == "" {
		return refusef(wire.Unavailable, "this server does not know its own address, which its tokens must name; give it with imprimatur serve --url")
	}
	return r.wholeNow()
}

// accessOf are the claims of a token for a workload under a release.
func (r *Registry) accessOf(acts *standing, workload string, at time.Time) token.Access {
	rel := acts.dossier.Release.Record
	return token.Access{
		Issuer: r.issuing.url, Subject: workload, ClientID: workload, ID: randomHex(16),
		IssuedAt: at.Unix(), NotBefore: at.Unix(), Expires: at.Add(r.issuing.life).Unix(),
		Release: acts.dossier.ID, Line: acts.dossier.Line, Model: rel.Behaviour.Model + "@" + rel.Behaviour.Version,
		Environment: rel.Context.Environment, Authority: string(acts.may(at).digest),
	}
}

// claimed finds the one workload that is who was shown, and by which identity.
func (r *Registry) claimed(ctx context.Context, in *AccessRequest, now time.Time) (identity, workload string, err error) {
	if in.Secret != "" {
		return r.claimedByToken(ctx, in)
	}
	found, err := r.identities.shown(in.Claimed, now)
	if err != nil {
		return "", "", err
	}
	if in.Workload != "" {
		found = slices.DeleteFunc(found, func(i record.Identity) bool { return i.Workload != in.Workload })
	}
	if len(found) == 0 {
		return "", "", refusef(wire.Refused, "no workload%s is known by what was shown; an administrator can bind it to one: imprimatur principal identity add", named(in.Workload))
	}
	for _, i := range found[1:] {
		if i.Workload != found[0].Workload {
			return "", "", refusef(wire.Refused, "what was shown is that of several workloads, such as %s and %s; name one as client_id", found[0].Workload, i.Workload)
		}
	}
	in.Expires = record.Earlier(in.Expires, found[0].Expires)
	return found[0].ID, found[0].Workload, nil
}

// VouchedFor turns what a platform says of a workload, which the caller has
// verified, into the workload that asks. As by an access token, nothing but what
// [Registry.Authorize] answers can be asked for so.
func (r *Registry) VouchedFor(ctx context.Context, in Claimed) (Caller, error) {
	if err := r.wholeNow(); err != nil {
		return Caller{}, err
	}
	in.Secret = ""
	identity, workload, err := r.claimed(ctx, &AccessRequest{Claimed: in}, record.Millis(r.now()))
	if err != nil {
		return Caller{}, err
	}
	r.uses.note(useOf{ID: identity}, record.Millis(r.now()))
	return Caller{Name: workload, Type: record.Workload, Method: MethodPlatform, Scopes: []string{record.ScopeRead}}, nil
}

// MethodPlatform is how a caller was authenticated for whom a platform vouches.
const MethodPlatform = "platform"

func named(workload string) string {
	if workload == "" {
		return ""
	}
	return fmt.Sprintf(" %q", workload)
}

func (r *Registry) claimedByToken(ctx context.Context, in *AccessRequest) (identity, workload string, err error) {
	who, err := r.Authenticate(ctx, in.Secret)
	if err != nil {
		return "", "", err
	}
	if who.Type != record.Workload || in.Workload != "" && in.Workload != who.Name {
		return "", "", refusef(wire.Refused, "the token is that of %s, and only a workload's own token is exchanged; take another, from imprimatur principal token", who.Name)
	}
	id, _ := tokenParts(in.Secret)
	in.Expires = record.Earlier(in.Expires, who.until)
	return id, who.Name, nil
}

// mayReach refuses an audience that is neither this server, nor one of those it
// was told of, nor something that the release grants access to.
func (r *Registry) mayReach(acts *standing, audience []string, at time.Time) error {
	for _, a := range audience {
		if a == r.issuing.url || slices.Contains(r.issuing.audiences, a) || grantsAccess(acts.may(at).grants, a, at) {
			continue
		}
		return refusef(wire.Forbidden, "the release %s grants neither the API nor the access %q, so that no token is given for it; name what the release grants, or propose one that does: imprimatur release propose", acts.dossier.ID, a)
	}
	return nil
}

func grantsAccess(grants *authority.Set, to string, at time.Time) bool {
	return grants.Reaches("apis", to, at) || grants.Reaches("access", to, at)
}

// Shown is an access token as a request shows it.
type Shown struct {
	// Secret is the token.
	Secret string
	// Proofs are the values of the header DPoP.
	Proofs []string
	// Method and URL are the request's, the URL as its sender knows it.
	Method, URL string
	// Certificate is the client's, of the connection; nil without one.
	Certificate *x509.Certificate
	// Audience is who was asked; empty for this server.
	Audience string
}

// VerifyAccess turns an access token into the workload that asks. It is one of ours,
// within its time, was not ended, is meant for who was asked, is in the hands of who
// holds the key that it is bound to, and its release stands with the same
// authority. The caller answers what [Registry.Authorize] and [Registry.WhatMay] ask for
// itself under that release, and may do nothing else: no record is read or stated by an
// access token. It touches no database.
func (r *Registry) VerifyAccess(ctx context.Context, in Shown) (Caller, error) {
	now := record.Millis(r.now())
	a, err := r.openAccess(ctx, in.Secret, now)
	if err != nil {
		return Caller{}, err
	}
	if in.Audience == "" {
		in.Audience = r.issuing.url
	}
	if !slices.Contains(a.Audience, in.Audience) {
		return Caller{}, refusef(wire.SignIn, "the access token is not for %s; ask for one with this audience", in.Audience)
	}
	if err := r.holds(a.Confirm, in, now); err != nil {
		return Caller{}, err
	}
	return Caller{Name: a.Subject, Type: record.Workload, Method: MethodAccess, Access: &a}, nil
}

// MethodAccess is how a caller was authenticated who showed an access token.
const MethodAccess = "access-token"

// openAccess returns the claims of an access token that is good now, whoever
// holds it.
func (r *Registry) openAccess(ctx context.Context, secret string, now time.Time) (token.Access, error) {
	if err := r.issues(); err != nil {
		return token.Access{}, err
	}
	a, err := r.issuing.open(secret, now)
	if errors.Is(err, token.ErrToken) {
		return a, badAccess("it is none of this server's")
	}
	if err != nil {
		return a, err
	}
	switch {
	case a.Issuer != r.issuing.url:
		return a, badAccess("it is none of this server's")
	case !record.Stands(time.Unix(a.NotBefore, 0).Add(-clocksDiffer), time.Unix(a.Expires, 0), now):
		return a, badAccess("it is not within its time")
	case r.identities.isEnded(a, now):
		return a, badAccess("it was ended")
	}
	acts, why := r.acting(ctx, wire.Ask{Workload: a.Subject, Release: a.Release}, now)
	if acts == nil {
		return a, badAccess(strings.Join(why, "; "))
	}
	if string(acts.may(later(now, acts.at)).digest) != a.Authority {
		return a, badAccess("its authority is another one")
	}
	return a, nil
}

// clocksDiffer is how far the clock of the replica that issued a token may be
// ahead.
const clocksDiffer = 30 * time.Second

func badAccess(why string) error {
	return refusef(wire.SignIn, "the access token cannot be used: %s; ask for another with the workload's identity at /oauth2/token", why)
}

// holds refuses who does not hold the key that a token is bound to.
func (r *Registry) holds(bound *token.Confirm, in Shown, now time.Time) error {
	if bound == nil {
		return nil
	}
	if bound.Certificate != "" && (in.Certificate == nil || CertificateThumbprint(in.Certificate) != bound.Certificate) {
		return badAccess("it is bound to a client certificate that this connection has not shown")
	}
	if bound.Key == "" {
		return nil
	}
	p, err := in.proof(now)
	if err == nil && p.Key != bound.Key {
		err = errors.New("the proof is by another key")
	}
	if err == nil {
		err = r.issuing.proofs.first(p, now)
	}
	if err != nil {
		return badAccess("it is bound to a key of DPoP: " + err.Error())
	}
	return nil
}

// proof reads the one proof of a request, and holds it against the request.
func (in Shown) proof(now time.Time) (token.Proof, error) {
	if len(in.Proofs) != 1 {
		return token.Proof{}, fmt.Errorf("the request has %d headers DPoP and must have one", len(in.Proofs))
	}
	p, err := token.ParseProof(in.Proofs[0])
	if err != nil {
		return p, err
	}
	return p, p.Fits(in.Method, in.URL, in.Secret, now)
}

// Prove returns the thumbprint of the key that a request for a token proves to
// hold. A proof counts once.
func (r *Registry) Prove(in Shown) (string, error) {
	now := record.Millis(r.now())
	p, err := in.proof(now)
	if err == nil {
		err = r.issuing.proofs.first(p, now)
	}
	if err != nil {
		return "", refusef(wire.Invalid, "the proof of DPoP is not good: %w; make a new one for this request", err)
	}
	return p.Key, nil
}

// CertificateThumbprint is the base64url of a certificate's SHA-256 (RFC 8705
// section 3.1).
func CertificateThumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
