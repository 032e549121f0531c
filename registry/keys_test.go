package registry_test

import (
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// key makes a key and enrols it for its own principal.
func (h *house) key(who registry.Caller) *attest.Key {
	h.Helper()
	key := must[*attest.Key](h)(attest.NewKey(attest.KeyNameOf(who.Name)))
	must[record.Recorded[record.PrincipalKey]](h)(h.reg.EnrolKey(h.ctx, who, enrolment(key, who.Name)))
	return key
}

// enrolment is how a key asks to speak for a principal.
func enrolment(key *attest.Key, principal string) wire.KeyEnrolment {
	return proved(key, record.PrincipalKey{Principal: principal, KeyID: key.ID(), Type: record.KeyEd25519, Public: key.Public()})
}

func proved(key *attest.Key, k record.PrincipalKey) wire.KeyEnrolment {
	raw, err := record.CanonicalOf(k)
	if err != nil {
		panic(err)
	}
	return wire.KeyEnrolment{Key: k, Proof: key.Sign(raw)}
}

func TestKeysAreEnrolledByTheirPrincipal(t *testing.T) {
	h := open(t)
	newKey := func(name string) *attest.Key { return must[*attest.Key](t)(attest.NewKey(name)) }
	enrol := func(who registry.Caller, in wire.KeyEnrolment) error { return only(h.reg.EnrolKey(h.ctx, who, in)) }
	own := newKey("eve")
	in := enrolment(own, "eve")
	for range 2 { // the second time it stands already
		if err := enrol(eve, in); err != nil {
			t.Fatal(err)
		}
	}
	robots := enrolment(newKey("robot"), "robot")
	if err := enrol(ann, robots); err != nil { // ann owns the robot
		t.Error(err)
	}
	if err := enrol(robot, enrolment(newKey("robot"), "robot")); err != nil {
		t.Error(err)
	}
	// Not even an administrator speaks for another.
	h.refused(enrol(administrator, enrolment(newKey("eve"), "eve")), wire.Forbidden, "may not enrol a key for eve")
	h.refused(enrol(olga, enrolment(newKey("robot"), "robot")), wire.Forbidden, "the workload's")
	h.refused(enrol(eve, enrolment(newKey("x"), "nobody")), wire.Unknown, "imprimatur principal enrol nobody")
	// A key that is another's, or not at hand, is nobody's.
	stolen := in
	stolen.Key.Principal = "ann"
	h.refused(enrol(ann, stolen), wire.Invalid, "did not sign its enrolment")
	unproved := enrolment(newKey("ann"), "ann")
	unproved.Proof = in.Proof
	h.refused(enrol(ann, unproved), wire.Invalid, "did not sign its enrolment")
	h.refused(enrol(ann, enrolment(own, "ann")), wire.Conflict, "is that of eve")
	renamed := enrolment(newKey("ann"), "ann")
	renamed.Key.KeyID = own.ID()
	h.refused(enrol(ann, renamed), wire.Invalid, "does not fit its public key")
	narrow := ann
	narrow.Scopes = []string{string(record.Contributor)}
	h.refused(enrol(narrow, enrolment(newKey("ann"), "ann")), wire.Forbidden, "wider one")
	late := newKey("ann")
	h.refused(enrol(ann, proved(late, record.PrincipalKey{Principal: "ann", KeyID: late.ID(), Type: record.KeyEd25519, Public: late.Public(), Expires: record.Millis(h.clock.now().Add(-time.Hour))})), wire.Invalid, "expired already")
	gone := newKey("ann")
	h.refused(enrol(ann, proved(gone, record.PrincipalKey{Principal: "ann", KeyID: gone.ID(), Type: record.KeyEd25519, Public: gone.Public(), Withdrawn: true, Reason: "r"})), wire.Invalid, "not enrolled as withdrawn")
}

func TestKeysAreWithdrawnForGood(t *testing.T) {
	h := open(t)
	key := h.key(eve)
	withdraw := func(who registry.Caller) error { return only(h.reg.WithdrawKey(h.ctx, who, key.ID(), "lost")) }
	h.refused(withdraw(ann), wire.Forbidden, "withdraw the keys of others")
	if err := withdraw(administrator); err != nil {
		t.Fatal(err)
	}
	h.refused(withdraw(eve), wire.Conflict, "was withdrawn by administrator")
	h.refused(only(h.reg.EnrolKey(h.ctx, eve, enrolment(key, "eve"))), wire.Conflict, "was withdrawn by administrator")
	h.refused(only(h.reg.WithdrawKey(h.ctx, eve, "eve+00000000", "lost")), wire.Unknown, "imprimatur principal key list")
	second := h.key(eve)
	if _, err := h.reg.WithdrawKey(h.ctx, eve, second.ID(), "a new one"); err != nil {
		t.Error(err)
	}
}
