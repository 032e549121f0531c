package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"imprimatur.dev/attest"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// EnrolKey enrols a key that speaks for a principal: everyone their own, and a
// workload's owner the workload's. The proof shows that the key is at hand, so
// that nobody enrols another's. A key that stands already is answered as it
// stands.
func (r *Registry) EnrolKey(ctx context.Context, who Caller, in wire.KeyEnrolment) (record.Recorded[record.PrincipalKey], error) {
	return command[record.PrincipalKey](ctx, r, who, func(t *tx) error {
		k := in.Key
		if err := t.mayEnrolKey(k.Principal); err != nil {
			return err
		}
		if err := k.Validate(); err != nil {
			return err
		}
		if k.Type != record.KeyEd25519 {
			return refusef(wire.Invalid, "this is for key files; enrol a passkey in a browser, on the page %s", WaysPath)
		}
		if k.Withdrawn {
			return refusef(wire.Invalid, "a key is not enrolled as withdrawn; withdraw it with imprimatur principal key withdraw")
		}
		if !record.Stands(t.now, k.Expires, t.now) {
			return refusef(wire.Invalid, "the key would have expired already; give a later date with --expires")
		}
		if err := proven(in); err != nil {
			return err
		}
		before, err := t.Find(record.KeyPrincipalKey(k.KeyID))
		if err != nil {
			return err
		}
		if len(before) == 0 {
			if err := t.state(k); err != nil || k.Replaces == "" {
				return err
			}
			return t.replace(k.Replaces, in)
		}
		last := before[len(before)-1]
		switch was := last.Statement.Body.(record.PrincipalKey); {
		case was.Withdrawn:
			return withdrawn(was, last.Statement.Actor)
		case was.Principal != k.Principal:
			return refusef(wire.Conflict, "the key %s is that of %s; make your own with imprimatur principal key new", k.KeyID, was.Principal)
		}
		t.answer = []lineage.Entry{last}
		return nil
	})
}

// mayEnrolKey refuses all but the principal and, for a workload, its owner. A
// key says more than most tokens may, so only one without limits enrols it.
func (t *tx) mayEnrolKey(principal string) error {
	if err := t.stands(); err != nil {
		return err
	}
	p, err := t.person(principal)
	if err != nil {
		return err
	}
	if p.Principal.Name == "" {
		return unknownPrincipal(principal)
	}
	if principal != t.who.Name && p.Principal.Owner != t.who.Name {
		return refusef(wire.Forbidden, "%s may not enrol a key for %s: a principal enrols their own, and a workload's owner the workload's; ask %s", t.who.Name, principal, principal)
	}
	if len(t.who.Scopes) > 0 && !slices.Contains(t.who.Scopes, record.ScopeWrite) {
		return refusef(wire.Forbidden, "the token of %s is limited and may not enrol keys; sign in with a wider one", t.who.Name)
	}
	return nil
}

// proven checks that the key itself signed its enrolment.
func proven(in wire.KeyEnrolment) error {
	trust, err := attest.TrustPublic(in.Key.KeyID, in.Key.Public)
	if err != nil {
		return refusef(wire.Invalid, "%w; make the key with imprimatur principal key new", err)
	}
	raw, err := record.CanonicalOf(in.Key)
	if err != nil {
		return err
	}
	if err := trust.VerifyStatement(raw, in.Proof, in.Key.KeyID); err != nil {
		return refusef(wire.Invalid, "the key did not sign its enrolment: %w; enrol it from where it is, with imprimatur principal key enrol", err)
	}
	return nil
}

// WithdrawKey ends a key for good: one's own, one's workload's, or anybody's by
// an administrator. What it signed before stays as it was recorded.
func (r *Registry) WithdrawKey(ctx context.Context, who Caller, id, reason string) (record.Recorded[record.PrincipalKey], error) {
	return command[record.PrincipalKey](ctx, r, who, func(t *tx) error {
		key, err := need[record.PrincipalKey](t, record.KeyPrincipalKey(id), "the key "+id, "imprimatur principal key list shows them")
		if err != nil {
			return err
		}
		k := key.Record
		if t.mayEnrolKey(k.Principal) != nil {
			if err := t.may(actKey, record.AllTeams); err != nil {
				return err
			}
		}
		if k.Withdrawn {
			return withdrawn(k, key.Actor)
		}
		k.Withdrawn, k.Reason = true, reason
		return t.state(k)
	})
}

func withdrawn(k record.PrincipalKey, by string) error {
	return refusef(wire.Conflict, "the key %s was withdrawn by %s; make a new one with imprimatur principal key new", k.KeyID, by)
}

// openKey loads the server key, or makes one where there is none. The name is
// drawn at random, so that two installations never share an origin.
func openKey(path, passphrase string) (*attest.Key, error) {
	key, err := attest.LoadKey(path, passphrase)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for keys: %w", err)
	}
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("drawing a name for the ledger: %w", err)
	}
	if key, err = attest.NewKey("imprimatur.dev/log-" + hex.EncodeToString(b[:])); err != nil {
		return nil, err
	}
	return key, key.Save(path, passphrase)
}
