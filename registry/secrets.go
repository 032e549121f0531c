package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// secrets are the names, versions and leases of secrets, in memory; the values are
// kept encrypted beside the ledger, or elsewhere.
type secrets struct {
	keys   *secretKeys
	source SecretSource
	leases *leases

	mu sync.RWMutex
	// stated are the statements of each secret, the oldest first.
	stated map[string][]record.Recorded[record.Secret]
	// gone are the references whose values were removed.
	gone map[string]bool
}

// spaceValue is where the store keeps the encrypted values of secrets.
const spaceValue = "secret-value"

// maxOverlap is how long a version may be readable beside its successor.
const maxOverlap = 30 * 24 * time.Hour

func newSecrets(keys *secretKeys, source SecretSource) *secrets {
	return &secrets{keys: keys, source: source, leases: newLeases(), stated: map[string][]record.Recorded[record.Secret]{}, gone: map[string]bool{}}
}

func (s *secrets) learn(e lineage.Entry) {
	body, ok := e.Statement.Body.(record.Secret)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.stated[body.Ref()]
	at, known := slices.BinarySearchFunc(all, e.Index, func(r record.Recorded[record.Secret], i int64) int { return cmp.Compare(r.Index, i) })
	if !known {
		s.stated[body.Ref()] = slices.Insert(slices.Clone(all), at, recorded(e, body))
	}
}

// of returns the statements of a secret, the oldest first.
func (s *secrets) of(ref string) []record.Recorded[record.Secret] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stated[ref]
}

func (s *secrets) refs() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.stated))
}

// version returns what states a version that can be read at a time, and until
// when; 0 is the newest. Why says what is in the way.
func (s *secrets) version(ref string, version int, at time.Time) (out record.Secret, until time.Time, why string) {
	all := s.of(ref)
	if len(all) == 0 {
		return out, until, fmt.Sprintf("there is no secret %s; who sets secrets can set it: imprimatur secret set %s", ref, ref)
	}
	now := all[len(all)-1].Record
	version = cmp.Or(version, now.Version)
	switch {
	case now.Withdrawn:
		return out, until, fmt.Sprintf("the secret %s was withdrawn: %s", ref, now.Reason)
	case !now.Readable(version, at) && version == now.Version:
		return out, until, fmt.Sprintf("version %d of the secret %s has expired; who sets secrets can set the next: imprimatur secret rotate %s", version, ref, ref)
	case !now.Readable(version, at):
		return out, until, fmt.Sprintf("version %d of the secret %s cannot be read; its version is %d", version, ref, now.Version)
	}
	until = now.Expires
	if version == now.Previous {
		until = now.PreviousUntil
	}
	for _, r := range all {
		if r.Record.Version == version {
			return r.Record, until, ""
		}
	}
	return out, until, fmt.Sprintf("version %d of the secret %s is not known here", version, ref)
}

// SetSecret sets a secret that is not there, or was withdrawn. Its value is kept
// before it is stated, so that no crash leaves a name without its value.
func (r *Registry) SetSecret(ctx context.Context, who Caller, in wire.SecretRequest) (record.Recorded[record.Secret], error) {
	return r.keepSecret(ctx, who, in.Team, in.Name, in.SecretVersion, func(_ *tx, old *record.Secret) (record.Secret, error) {
		x := record.Secret{Team: in.Team, Name: in.Name, Description: in.Description, Version: 1}
		if old != nil {
			if !old.Withdrawn {
				return x, refusef(wire.Conflict, "the secret %s is there already; set its next version: imprimatur secret rotate %s", old.Ref(), old.Ref())
			}
			x.Version = old.Version + 1
		}
		return x, nil
	})
}

// RotateSecret sets the next version of a secret. The one before can be read
// beside it for as long as is asked for.
func (r *Registry) RotateSecret(ctx context.Context, who Caller, team, name string, in wire.SecretRotation) (record.Recorded[record.Secret], error) {
	return r.keepSecret(ctx, who, team, name, in.SecretVersion, func(t *tx, old *record.Secret) (record.Secret, error) {
		if old == nil || old.Withdrawn {
			return record.Secret{}, unknownSecret(team, name)
		}
		x := record.Secret{Team: team, Name: name, Description: old.Description, Version: old.Version + 1}
		overlap := time.Duration(min(in.OverlapSeconds, int64(2*maxOverlap/time.Second))) * time.Second
		if overlap < 0 || overlap > maxOverlap {
			return x, refusef(wire.Invalid, "the version before can be read for at most %d days more; give a shorter overlap", int(maxOverlap.Hours()/24))
		}
		if overlap > 0 && old.Readable(old.Version, t.now) {
			x.Previous, x.PreviousUntil = old.Version, t.now.Add(overlap)
			if !old.Expires.IsZero() && old.Expires.Before(x.PreviousUntil) {
				x.PreviousUntil = old.Expires
			}
		}
		return x, nil
	})
}

func unknownSecret(team, name string) error {
	return refusef(wire.Unknown, "there is no secret %s/%s, or it was withdrawn; imprimatur secret list shows those that are there", team, name)
}

// keepSecret states the next version of a secret, as fn builds it from the newest
// statement.
func (r *Registry) keepSecret(ctx context.Context, who Caller, team, name string, in wire.SecretVersion, fn func(*tx, *record.Secret) (record.Secret, error)) (record.Recorded[record.Secret], error) {
	ref := team + "/" + name
	who.Request = withoutValue(who.Request, ref)
	return command[record.Secret](ctx, r, who, func(t *tx) error {
		old, err := t.secret(team, ref)
		if err != nil {
			return err
		}
		x, err := fn(t, old)
		if err != nil {
			return err
		}
		x.Expires, x.RotateBy = in.Expires, in.RotateBy
		for what, at := range map[string]time.Time{"the expiry": x.Expires, "the next rotation": x.RotateBy} {
			if !at.IsZero() && !at.After(t.now) {
				return refusef(wire.Invalid, "%s of a secret is in the past; give a later time", what)
			}
		}
		if in.Vault != nil {
			x.Provider, x.Vault = record.SecretVault, *in.Vault
			if err := r.secrets.mayKeep(x, in.Value); err != nil {
				return err
			}
			return t.state(x)
		}
		switch {
		case len(in.Value) == 0:
			return refusef(wire.Invalid, "the value of the secret %s is empty; give one, or where a vault keeps it", ref)
		case len(in.Value) > wire.MaxSecret:
			return refusef(wire.Invalid, "the value of the secret %s has %d bytes, and at most %d are kept; give a shorter one, such as the key to what is kept elsewhere", ref, len(in.Value), wire.MaxSecret)
		}
		x.Provider, x.Reference = record.SecretEmbedded, "s-"+randomHex(16)
		t.before = func() error { return r.sealValue(ctx, x, in.Value) }
		return t.state(x)
	})
}

// withoutValue is a request's key with a fingerprint that holds nothing of a
// value, which could be guessed from one.
func withoutValue(request, ref string) string {
	key, _, ok := strings.Cut(request, "#")
	if !ok {
		return ""
	}
	return key + "#secret/" + ref
}

// secret returns the newest statement of a secret for who may set it, or nil.
func (t *tx) secret(team, ref string) (*record.Secret, error) {
	if err := t.may(actSecret, team); err != nil {
		return nil, err
	}
	if err := t.team(team); err != nil {
		return nil, err
	}
	got, ok, err := lineage.Last[record.Secret](t, record.KeySecret(ref))
	if err != nil || !ok {
		return nil, err
	}
	return &got.Record, nil
}

func valueName(x record.Secret) string { return "secret/" + x.Ref() + "/" + x.Reference }

func (r *Registry) sealValue(ctx context.Context, x record.Secret, value []byte) error {
	sealed, err := r.secrets.keys.seal(valueName(x), value)
	if err != nil {
		return err
	}
	return r.store.Keep(ctx, store.Aside{Space: spaceValue, ID: x.Reference, Owner: x.Ref(), Value: sealed}, time.Now())
}

// value returns the value of a version.
func (r *Registry) value(ctx context.Context, x record.Secret) (FetchedSecret, error) {
	if x.Provider == record.SecretVault {
		return r.fetched(ctx, x)
	}
	kept, ok, err := r.store.Recall(ctx, spaceValue, x.Reference, time.Now())
	if err != nil {
		return FetchedSecret{}, err
	}
	if !ok {
		return FetchedSecret{}, refusef(wire.Unavailable, "the value of the secret %s is not kept here any more; set it anew: imprimatur secret rotate %s", x.Ref(), x.Ref())
	}
	value, err := r.secrets.keys.open(valueName(x), kept.Value)
	if err != nil {
		return FetchedSecret{}, refusef(wire.Unavailable, "the secret %s cannot be read; %w; or set it anew: imprimatur secret rotate %s", x.Ref(), err, x.Ref())
	}
	return FetchedSecret{Value: value}, nil
}

// WithdrawSecret ends all versions of a secret for good. Its leases end, and what
// the server keeps of it is removed.
func (r *Registry) WithdrawSecret(ctx context.Context, who Caller, team, name, reason string) (record.Recorded[record.Secret], error) {
	ref := team + "/" + name
	got, err := command[record.Secret](ctx, r, who, func(t *tx) error {
		x, err := t.secret(team, ref)
		if err != nil {
			return err
		}
		if x == nil || x.Withdrawn {
			return unknownSecret(team, name)
		}
		x.Withdrawn, x.Reason = true, reason
		return t.state(*x)
	})
	if err == nil {
		// What is left of it cannot be read, and is removed when it can be.
		_ = r.sweepSecrets(ctx)
	}
	return got, err
}

// sweepSecrets removes the values that can be read no more: the same is done now
// and then, so that a crash leaves none for long.
func (r *Registry) sweepSecrets(ctx context.Context) error {
	now := record.Millis(r.now())
	var failed error
	for _, ref := range r.secrets.refs() {
		all := r.secrets.of(ref)
		newest := all[len(all)-1].Record
		for _, v := range all {
			id := v.Record.Reference
			if id == "" || newest.Readable(v.Record.Version, now) || r.secrets.isGone(id) {
				continue
			}
			if _, _, err := r.store.Take(ctx, spaceValue, id, time.Now()); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			r.secrets.mu.Lock()
			r.secrets.gone[id] = true
			r.secrets.mu.Unlock()
		}
	}
	return failed
}

func (s *secrets) isGone(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.gone[id]
}

// RekeySecrets encrypts what is kept anew with the first of the keys, and returns
// how many values that were. It is for who starts the program: it has no caller.
func (r *Registry) RekeySecrets(ctx context.Context) (int, error) {
	if err := r.Whole(ctx); err != nil {
		return 0, err
	}
	now, n := record.Millis(r.now()), 0
	for _, ref := range r.secrets.refs() {
		all := r.secrets.of(ref)
		newest := all[len(all)-1].Record
		for _, v := range all {
			x := v.Record
			if x.Reference == "" || !newest.Readable(x.Version, now) {
				continue
			}
			got, err := r.value(ctx, x)
			if err != nil {
				return n, err
			}
			sealed, err := r.secrets.keys.seal(valueName(x), got.Value)
			if err != nil {
				return n, err
			}
			if err := r.store.Renew(ctx, store.Aside{Space: spaceValue, ID: x.Reference, Owner: ref, Value: sealed}, time.Now()); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// rekeyAtStart encrypts anew when the server was given a key and others that it
// replaces.
func (r *Registry) rekeyAtStart(ctx context.Context) {
	if ids, err := r.secrets.keys.identities(false); err == nil && len(ids) < 2 {
		return
	}
	n, err := r.RekeySecrets(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		r.outbox.log.ErrorContext(ctx, "encrypting secrets with the first key", "done", n, "error", err)
	case err == nil:
		r.outbox.log.InfoContext(ctx, "secrets are encrypted with the first key", "values", n)
	}
}
