package registry

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/token"
	"imprimatur.dev/wire"
)

// identities are what workloads show to say who they are, and the access tokens
// that were ended before their time, in memory. Both follow the ledger.
type identities struct {
	mu   sync.RWMutex
	byID map[string]heldIdentity
	// issued finds the IDs by the issuer of a token or the digest of a certificate.
	issued map[string]map[string]bool
	// ended are single tokens by ID with their workload, until they would have
	// expired; and since finds until when those of a workload that were issued are
	// ended.
	ended map[string]endedToken
	since map[string]time.Time
	// tokens are when the API tokens end, by ID.
	tokens map[string]tokenEnd
}

type heldIdentity struct {
	record.Identity
	index int64
}

// tokenEnd is when an API token ends: at once where it was revoked.
type tokenEnd struct {
	index   int64
	revoked bool
	expires time.Time
}

type endedToken struct {
	workload string
	until    time.Time
}

func newIdentities() *identities {
	return &identities{
		byID: map[string]heldIdentity{}, issued: map[string]map[string]bool{}, ended: map[string]endedToken{}, since: map[string]time.Time{}, tokens: map[string]tokenEnd{},
	}
}

// learn takes entries in any order and twice. What is forgotten has long expired by
// the time of the newer statement, whoever's clock is behind.
func (x *identities) learn(index int64, s record.Statement) {
	switch b := s.Body.(type) {
	case record.Identity:
		x.mu.Lock()
		defer x.mu.Unlock()
		if held, ok := x.byID[b.ID]; ok && held.index > index {
			return
		}
		x.byID[b.ID] = heldIdentity{b, index}
		by := cmp.Or(b.Issuer, string(b.Certificate))
		if x.issued[by] == nil {
			x.issued[by] = map[string]bool{}
		}
		x.issued[by][b.ID] = true
	case record.Token:
		x.mu.Lock()
		defer x.mu.Unlock()
		if held, ok := x.tokens[b.ID]; !ok || held.index < index {
			x.tokens[b.ID] = tokenEnd{index, held.revoked || b.Revoked, b.Expires}
		}
	case record.Revocation:
		x.mu.Lock()
		defer x.mu.Unlock()
		if b.Token == "" {
			x.since[b.Workload] = later(x.since[b.Workload], s.Time)
			return
		}
		for id, e := range x.ended {
			if !record.Stands(time.Time{}, e.until.Add(token.MaxLife), s.Time) {
				delete(x.ended, id)
			}
		}
		x.ended[b.Token] = endedToken{b.Workload, b.Expires}
	}
}

// isEnded reports whether an access token was ended before its time, or what it was
// given for. One that was issued in the very second in which all of a workload's
// were ended counts among them.
func (x *identities) isEnded(a token.Access, now time.Time) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e, ok := x.ended[a.ID]; ok && e.workload == a.Subject {
		return true
	}
	if i, ok := x.byID[a.Identity]; ok && !i.Stands(now) {
		return true
	}
	if x.tokens[a.Identity].isEnd(now) {
		return true
	}
	since, ok := x.since[a.Subject]
	return ok && !time.Unix(a.IssuedAt, 0).After(since)
}

// isTokenEnded reports whether an API token was ended, or has expired; none has
// not.
func (x *identities) isTokenEnded(id string, now time.Time) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.tokens[id].isEnd(now)
}

func (k tokenEnd) isEnd(now time.Time) bool {
	return k.revoked || !record.Stands(time.Time{}, k.expires, now)
}

// shown returns the identities that stand and that a workload shows: of an
// issuer with claims, or of a certificate.
func (x *identities) shown(in Claimed, now time.Time) ([]record.Identity, error) {
	claims := map[string]any{}
	if len(in.Claims) > 0 {
		if err := json.Unmarshal(in.Claims, &claims); err != nil {
			return nil, refusef(wire.Invalid, "the claims cannot be read: %w; ask whoever runs %s", err, in.Issuer)
		}
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []record.Identity
	for id := range x.issued[cmp.Or(in.Issuer, string(in.Certificate))] {
		if i := x.byID[id].Identity; i.Stands(now) && i.Issuer == in.Issuer && i.Certificate == in.Certificate && holdFast(i.Claims, claims) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b record.Identity) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// holdFast reports whether the claims have the texts that they must.
func holdFast(must map[string]string, claims map[string]any) bool {
	for pointer, text := range must {
		at := any(claims)
		for name := range jsontext.Pointer(pointer).Tokens() {
			object, _ := at.(map[string]any)
			at = object[name]
		}
		if got, ok := at.(string); !ok || got != text {
			return false
		}
	}
	return true
}

// AddIdentity binds what a platform vouches for to a workload. Nobody but an
// administrator may: whoever shows it acts as the workload from then on.
func (r *Registry) AddIdentity(ctx context.Context, who Caller, in record.Identity) (record.Recorded[record.Identity], error) {
	id := "i-" + randomHex(8)
	return command[record.Identity](ctx, r, who, func(t *tx) error {
		if err := t.may(actIdentity, record.AllTeams); err != nil {
			return err
		}
		in.ID, in.Revoked, in.Reason = id, false, ""
		if err := in.Validate(); err != nil {
			return err
		}
		p, err := t.person(in.Workload)
		if err != nil {
			return err
		}
		if p.Principal.Type != record.Workload || !p.Principal.Stands(t.now) {
			return refusef(wire.Invalid, "%q is no workload that stands here, and only those show what a platform vouches for; enrol it first: imprimatur principal enrol %s --workload", in.Workload, in.Workload)
		}
		if !record.Stands(t.now, in.Expires, t.now) {
			return refusef(wire.Invalid, "the identity would have expired already; give a later date with --expires")
		}
		return t.state(in)
	})
}

// EndIdentity ends an identity for good, and with it the access tokens that were
// given for it.
func (r *Registry) EndIdentity(ctx context.Context, who Caller, id string, in wire.Stop) (record.Recorded[record.Identity], error) {
	return command[record.Identity](ctx, r, who, func(t *tx) error {
		if err := t.may(actIdentity, record.AllTeams); err != nil {
			return err
		}
		got, err := need[record.Identity](t, record.KeyIdentity(id), "the identity "+id, "imprimatur principal identity list shows them")
		if err != nil {
			return err
		}
		if in.Lift {
			return refusef(wire.Invalid, "an identity is ended for good; give the workload a new one: imprimatur principal identity add %s", got.Record.Workload)
		}
		got.Record.Revoked, got.Record.Reason = true, in.Reason
		return t.state(got.Record)
	})
}

// EndAccess ends all access tokens that a workload was given until now: its
// owner may, and an administrator.
func (r *Registry) EndAccess(ctx context.Context, who Caller, workload string, in wire.Stop) (record.Recorded[record.Revocation], error) {
	return command[record.Revocation](ctx, r, who, func(t *tx) error {
		if err := t.mayIssue(wire.TokenRequest{Principal: workload}); err != nil {
			return err
		}
		if in.Lift {
			return refusef(wire.Invalid, "tokens that were ended stay so; let the workload %s ask for new ones: imprimatur principal identity list", workload)
		}
		return t.endAccess(workload, in.Reason)
	})
}

// endedAlready reports whether a revocation of a token is in the ledger.
func (t *tx) endedAlready(workload, id string) (bool, error) {
	all, err := lineage.All[record.Revocation](t, record.KeyRevocations(workload))
	return slices.ContainsFunc(all, func(x record.Recorded[record.Revocation]) bool { return x.Record.Token == id }), err
}
