package attest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/attest/passkeytest"
	"imprimatur.dev/record"
)

var asked = []byte("a challenge of thirty-two bytes!")

func TestAssertionsOfEachAlgorithm(t *testing.T) {
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		p := passkeytest.New(t, algorithm)
		key := p.Key("rita")
		for want := uint32(1); want < 3; want++ {
			if count, err := attest.VerifyAssertion(key, *p.Assert(t, asked), asked); err != nil || count != want {
				t.Errorf("%s: %d, %v", algorithm, count, err)
			}
		}
		// Every byte that is signed or signs counts.
		good := p.Assert(t, asked)
		for _, part := range []func(*record.Assertion) []byte{
			func(a *record.Assertion) []byte { return a.Authenticator },
			func(a *record.Assertion) []byte { return a.Client },
			func(a *record.Assertion) []byte { return a.Signature },
		} {
			for i := range part(good) {
				bad := &record.Assertion{Key: good.Key, Authenticator: bytes.Clone(good.Authenticator), Client: bytes.Clone(good.Client), Signature: bytes.Clone(good.Signature)}
				part(bad)[i] ^= 1
				if _, err := attest.VerifyAssertion(key, *bad, asked); !errors.Is(err, attest.ErrAssertion) {
					t.Fatalf("%s: byte %d changed: %v", algorithm, i, err)
				}
			}
		}
	}
}

func TestAssertionsThatAreRefused(t *testing.T) {
	p, other := passkeytest.New(t, "ES256"), passkeytest.New(t, "ES256")
	key := p.Key("rita")
	for says, change := range map[string]func(*passkeytest.Said){
		"of the type":          func(s *passkeytest.Said) { s.Type = "webauthn.create" },
		"another challenge":    func(s *passkeytest.Said) { s.Challenge = "YW5vdGhlciBjaGFsbGVuZ2U" },
		"it was made at":       func(s *passkeytest.Said) { s.Origin = "http://localhost:8421" },
		"frame of another":     func(s *passkeytest.Said) { s.More = `,"crossOrigin":true` },
		"another page":         func(s *passkeytest.Said) { s.More = `,"crossOrigin":false,"topOrigin":"https://evil.example"` },
		"for another site":     func(s *passkeytest.Said) { s.Site = "evil.example" },
		"did not verify":       func(s *passkeytest.Said) { s.Flags = 0x01 },
		"verify its person":    func(s *passkeytest.Said) { s.Flags = 0x04 },
		"form of its flags":    func(s *passkeytest.Said) { s.Tail = []byte{0xa0} },
		"authenticator data":   func(s *passkeytest.Said) { s.Flags |= 0x80 },
		"reading the client":   func(s *passkeytest.Said) { s.More = `,"origin":"http://localhost:8420"` },
		"it answers another":   func(s *passkeytest.Said) { s.Challenge += "=" },
		"it is of the type \"": func(s *passkeytest.Said) { s.Type = "WEBAUTHN.GET" },
	} {
		_, err := attest.VerifyAssertion(key, *p.Assert(t, asked, change), asked)
		if !errors.Is(err, attest.ErrAssertion) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
	}
	if _, err := attest.VerifyAssertion(key, *other.Assert(t, asked), asked); !errors.Is(err, attest.ErrAssertion) {
		t.Errorf("another's assertion: %v", err)
	}
	forged := other.Assert(t, asked)
	forged.Key = key.KeyID
	if _, err := attest.VerifyAssertion(key, *forged, asked); !errors.Is(err, attest.ErrAssertion) {
		t.Errorf("another's signature under the key's name: %v", err)
	}
	if _, err := attest.VerifyAssertion(key, *p.Assert(t, nil), nil); !errors.Is(err, attest.ErrAssertion) {
		t.Errorf("no challenge: %v", err)
	}
}

func TestApprovalsByPasskey(t *testing.T) {
	p := passkeytest.New(t, "ES256")
	key := p.Key("rita")
	at := time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)
	a := record.Approval{Release: "r-0123456789ab", Role: record.Risk, Decision: record.Approve, Reason: "seen", Method: record.MethodPasskey, Asked: at, Expires: at.AddDate(0, 1, 0)}
	p.Approve(t, &a)
	if _, err := attest.VerifyApproval(key, a, "rita", at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	wrong := map[string]func() error{
		"another decision": func() error {
			b := a
			b.Decision = record.RequestChanges
			_, err := attest.VerifyApproval(key, b, "rita", at)
			return err
		},
		"another actor": func() error { _, err := attest.VerifyApproval(key, a, "sam", at); return err },
		"stated too late": func() error {
			_, err := attest.VerifyApproval(key, a, "rita", at.Add(record.AskedWithin+1))
			return err
		},
		"stated too early": func() error { _, err := attest.VerifyApproval(key, a, "rita", at.Add(-1)); return err },
		"a withdrawn key": func() error {
			k := key
			k.Withdrawn = true
			_, err := attest.VerifyApproval(k, a, "rita", at)
			return err
		},
		"no assertion": func() error {
			b := a
			b.Assertion = nil
			_, err := attest.VerifyApproval(key, b, "rita", at)
			return err
		},
	}
	for what, try := range wrong {
		if err := try(); !errors.Is(err, attest.ErrAssertion) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzPasskey never panics, and takes only keys in one form.
func FuzzPasskey(f *testing.F) {
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		p := passkeytest.New(f, algorithm)
		a := p.Assert(f, asked)
		f.Add(p.Key("rita").Public, a.Authenticator, a.Client, a.Signature)
	}
	f.Fuzz(func(t *testing.T, public, authenticator, client, signature []byte) {
		key := record.PrincipalKey{Type: record.KeyPasskey, KeyID: "k", Public: public, Site: "localhost", Origin: "http://localhost:8420"}
		a := record.Assertion{Key: "k", Authenticator: authenticator, Client: client, Signature: signature}
		if _, err := attest.VerifyAssertion(key, a, asked); err == nil && attest.CheckPasskey(public) != nil {
			t.Error("an assertion passes by a key that does not")
		}
		if attest.CheckPasskey(public) == nil && attest.CheckPasskey(append(bytes.Clone(public), 0)) == nil {
			t.Error("a key with a byte behind it is taken")
		}
	})
}
