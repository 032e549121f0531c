package registry

import (
	"context"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// RotateToken issues a token in the place of another: for the same principal, with
// the same scopes. Both are good for the overlap, and then the old one ends by
// itself. Whoever may issue the one may rotate it; its secret is returned once.
func (r *Registry) RotateToken(ctx context.Context, who Caller, id string, in wire.TokenRotation) (wire.IssuedToken, error) {
	// A secret cannot be answered twice, so a repeat is a new token.
	who.Request = ""
	next, secret := randomHex(8), randomHex(32)
	got, err := command[record.Token](ctx, r, who, func(t *tx) error {
		old, err := need[record.Token](t, record.KeyToken(id), "the token "+id, "imprimatur principal tokens lists them")
		if err != nil {
			return err
		}
		k := old.Record
		ask := wire.TokenRequest{Principal: k.Principal, Scopes: k.Scopes, Note: k.Note, Seconds: in.Seconds}
		if err := t.mayIssue(ask); err != nil {
			return err
		}
		if k.Revoked || !record.Stands(time.Time{}, k.Expires, t.now) {
			return refusef(wire.Conflict, "the token %s has ended, so there is nothing to rotate; issue one: imprimatur principal token %s", id, k.Principal)
		}
		life, err := lifeOf(in.Seconds)
		if err != nil {
			return err
		}
		until, err := t.overlap(in.OverlapSeconds, k.Expires)
		if err != nil {
			return err
		}
		fresh := newToken(next, secret, ask, t.now.Add(life))
		fresh.Replaces = id
		if err := t.state(fresh); err != nil {
			return err
		}
		if k.Expires = until; !until.After(t.now) {
			k.Expires, k.Revoked = old.Record.Expires, true
		}
		return t.state(k)
	})
	return wire.IssuedToken{Token: got, Secret: tokenText(next, secret)}, err
}

// lifeOf is how long a token shall live.
func lifeOf(seconds int64) (time.Duration, error) {
	life := time.Duration(min(seconds, int64(2*MaxTokenLife/time.Second))) * time.Second
	if life <= 0 || life > MaxTokenLife {
		return 0, refusef(wire.Invalid, "a token lives for more than nothing and at most %d days; give a life within that", int(MaxTokenLife.Hours()/24))
	}
	return life, nil
}

// overlap is until when what is replaced stays good: no longer than it would have.
func (t *tx) overlap(seconds int64, end time.Time) (time.Time, error) {
	overlap := time.Duration(min(seconds, int64(2*maxOverlap/time.Second))) * time.Second
	if overlap < 0 || overlap > maxOverlap {
		return end, refusef(wire.Invalid, "what is replaced can be used for at most %d days more; give a shorter overlap", int(maxOverlap.Hours()/24))
	}
	return record.Earlier(end, t.now.Add(overlap)), nil
}

// replace ends a key for another of the same principal, after an overlap.
func (t *tx) replace(id string, in wire.KeyEnrolment) error {
	old, err := need[record.PrincipalKey](t, record.KeyPrincipalKey(id), "the key "+id, "imprimatur principal key list shows them")
	if err != nil {
		return err
	}
	k := old.Record
	switch {
	case k.Principal != in.Key.Principal:
		return refusef(wire.Conflict, "the key %s is that of %s, and a key is replaced by one of the same principal; enrol yours without --replaces", id, k.Principal)
	case k.Type != record.KeyEd25519:
		return refusef(wire.Invalid, "%s is a passkey; enrol another in a browser, on the page %s, and withdraw it: imprimatur principal key withdraw %s", id, WaysPath, id)
	case !k.Stands(t.now):
		return refusef(wire.Conflict, "the key %s has ended, so there is nothing to rotate; enrol the new one: imprimatur principal key enrol FILE", id)
	}
	until, err := t.overlap(in.OverlapSeconds, k.Expires)
	if err != nil {
		return err
	}
	if k.Expires = until; !until.After(t.now) {
		k.Expires, k.Withdrawn, k.Reason = old.Record.Expires, true, "It was replaced by "+in.Key.KeyID+"."
	}
	return t.state(k)
}
