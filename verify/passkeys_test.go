package verify_test

import (
	"strings"
	"testing"

	"imprimatur.dev/attest/passkeytest"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
	"imprimatur.dev/verify/verifytest"
)

// TestForgedPasskeysAreSeenOffline has a server state approvals that no passkey
// gave: an operator who holds the server's key forges no person's passkey.
func TestForgedPasskeysAreSeenOffline(t *testing.T) {
	for says, forge := range map[string]func(*verifytest.Story, *record.Approval){
		"answers another challenge": func(s *verifytest.Story, a *record.Approval) {
			s.Passkeys["rita"].Approve(t, a)
			a.Reason = "what rita did not say"
		},
		"the signature is not the key's": func(s *verifytest.Story, a *record.Approval) {
			passkeytest.New(t, "ES256").Approve(t, a)
			a.Assertion.Key = s.Passkeys["rita"].Key("rita").KeyID
		},
		"left out of the bundle": func(_ *verifytest.Story, a *record.Approval) { passkeytest.New(t, "ES256").Approve(t, a) },
		"is that of sam":         func(s *verifytest.Story, a *record.Approval) { s.Passkeys["sam"].Approve(t, a) },
		"was withdrawn": func(s *verifytest.Story, a *record.Approval) {
			k := s.Passkeys["rita"].Key("rita")
			k.Withdrawn, k.Reason = true, "lost"
			a.Asked = s.Now
			s.State("rita", k)
			s.Passkeys["rita"].Approve(t, a)
		},
		"given for an earlier one": func(_ *verifytest.Story, a *record.Approval) {},
	} {
		s := verifytest.Tell(t)
		d, _, err := lineage.Collect(s, s.Second)
		if err != nil {
			t.Fatal(err)
		}
		a := wordOf(d, "rita")
		if says != "given for an earlier one" {
			a.Assertion, a.Asked = nil, s.Now
		}
		forge(s, &a)
		s.State("rita", a)
		r := verify.Verify(s.Bundle(s.Second), s.Trust(), verify.Options{})
		if text := strings.Join(r.Reasons, "\n"); r.Authentic || !strings.Contains(text, says) {
			t.Errorf("%s: authentic %v:\n%s", says, r.Authentic, text)
		}
	}
}

func wordOf(d *record.Dossier, who string) record.Approval {
	for _, a := range d.Approvals {
		if a.Approval.Actor == who {
			return a.Approval.Record
		}
	}
	return record.Approval{}
}
