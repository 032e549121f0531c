package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
	"imprimatur.dev/verify/verifytest"
)

func marshalled(tb testing.TB, b *verify.Bundle) []byte {
	tb.Helper()
	data, err := b.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestABundleHasOneForm(t *testing.T) {
	s := verifytest.Tell(t)
	data := marshalled(t, s.Bundle(s.Second))
	canonical, err := record.Canonical(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(canonical, data) {
		t.Error("the bundle is not in RFC 8785 form")
	}
	again, err := verify.ParseBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(marshalled(t, again), data) {
		t.Error("what was read writes other bytes")
	}
	text := string(data)
	first := fmt.Sprintf(`{"index":%d`, again.Entries[0].Index)
	cases := map[string]struct{ text, says string }{
		"a space":               {strings.Replace(text, `,"origin"`, `, "origin"`, 1), "canonical"},
		"a newline at the end":  {text + "\n", "canonical"},
		"an escape":             {strings.Replace(text, `imprimatur/v1`, `imprimatur\/v1`, 1), "at byte 21"},
		"another order":         {strings.Replace(text, `{"bundle":"imprimatur/v1",`, `{`, 1)[:len(text)-len(`"bundle":"imprimatur/v1",`)-1] + `,"bundle":"imprimatur/v1"}`, "at byte 2"},
		"an unknown member":     {strings.Replace(text, `{"bundle"`, `{"also":1,"bundle"`, 1), "also"},
		"a member twice":        {strings.Replace(text, `{"bundle"`, `{"bundle":"imprimatur/v1","bundle"`, 1), "duplicate"},
		"another case":          {strings.Replace(text, `"origin"`, `"Origin"`, 1), "Origin"},
		"another format":        {strings.Replace(text, `imprimatur/v1`, `imprimatur/v2`, 1), "imprimatur/v2"},
		"a float for an index":  {strings.Replace(text, first+`,`, first+`.0,`, 1), "index"},
		"an exponent":           {strings.Replace(text, `{"index":10`, `{"index":1e1`, 1), "index"},
		"a negative index":      {strings.Replace(text, first+`,`, `{"index":-1,`, 1), "index -1"},
		"something after it":    {text + "{}", "after"},
		"nothing":               {"", "EOF"},
		"cut short":             {text[:len(text)/2], "EOF"},
		"no entries":            {`{"bundle":"imprimatur/v1","checkpoint":"","entries":[],"origin":"","release":"r-0"}`, "no entries"},
		"unpadded base64":       {strings.Replace(text, `=="`, `"`, 1), "base64"},
		"base64 with line ends": {strings.Replace(text, `"payload":"`, `"payload":"\n`, 1), "/entries/0/payload"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.text == text {
				t.Fatal("the case changes nothing")
			}
			_, err := verify.ParseBundle([]byte(c.text))
			if !errors.Is(err, verify.ErrBundle) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

func TestMarshalRefusesWhatParseRefuses(t *testing.T) {
	s := verifytest.Tell(t)
	for name, change := range map[string]func(*verify.Bundle){
		"out of order":   func(b *verify.Bundle) { b.Entries[0], b.Entries[1] = b.Entries[1], b.Entries[0] },
		"repeated":       func(b *verify.Bundle) { b.Entries[1] = b.Entries[0] },
		"no payload":     func(b *verify.Bundle) { b.Entries[0].Payload = nil },
		"no signature":   func(b *verify.Bundle) { b.Entries[0].Signature = nil },
		"no key":         func(b *verify.Bundle) { b.Entries[0].KeyID = "" },
		"beyond 2^53":    func(b *verify.Bundle) { b.Entries[len(b.Entries)-1].Index = 1<<53 + 1 },
		"no release":     func(b *verify.Bundle) { b.Release = "" },
		"invalid origin": func(b *verify.Bundle) { b.Origin = "\xff" },
	} {
		b := s.Bundle(s.Second)
		change(b)
		if _, err := b.Marshal(); !errors.Is(err, verify.ErrBundle) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Every byte of a bundle is either held by the form, or signed, or proved.
func TestRule02EveryByteCounts(t *testing.T) {
	s := verifytest.Tell(t)
	data := marshalled(t, s.Bundle(s.Second))
	trust := s.Trust()
	stride := 307 // a prime, so that every member and every place in base64 is met
	if os.Getenv("IMPRIMATUR_LONG") != "" {
		stride = 1
	}
	parsed := 0
	for at := 0; at < len(data); at += stride {
		for _, flip := range []byte{0x01, 0x20} {
			changed := bytes.Clone(data)
			changed[at] ^= flip
			b, err := verify.ParseBundle(changed)
			if err != nil {
				if !errors.Is(err, verify.ErrBundle) {
					t.Fatalf("byte %d: %v", at, err)
				}
				continue
			}
			parsed++
			if r := verify.Verify(b, trust, verify.Options{}); r.OK || r.Authentic || len(r.Reasons) == 0 {
				t.Fatalf("byte %d changed by %#x was accepted: %s", at, flip, data[max(0, at-40):min(len(data), at+40)])
			}
		}
	}
	if parsed < 100 {
		t.Errorf("only %d changed bundles could be read: the test does not reach the signatures", parsed)
	}
}

// The short members at both ends are changed byte by byte.
func TestRule02EveryByteOfTheFrameCounts(t *testing.T) {
	s := verifytest.Tell(t)
	data := marshalled(t, s.Bundle(s.Second))
	trust := s.Trust()
	head := bytes.Index(data, []byte(`"payload"`))
	tail := bytes.LastIndex(data, []byte(`"proof"`))
	for at := range data {
		if at > head && at < tail {
			continue
		}
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[at] ^= 1 << bit
			b, err := verify.ParseBundle(changed)
			if err != nil {
				continue
			}
			if r := verify.Verify(b, trust, verify.Options{}); r.OK {
				t.Fatalf("bit %d of byte %d was changed and it was accepted", bit, at)
			}
		}
	}
}

func FuzzParseBundle(f *testing.F) {
	s := verifytest.Tell(f)
	data := marshalled(f, s.BundleOf(s.Second, s.Entries[:2], 2)) // small, so that the fuzzer is quick
	f.Add(data)
	f.Add([]byte(`{"bundle":"imprimatur/v1","checkpoint":"","entries":[{"index":0,"keyid":"a","payload":"YQ==","proof":[],"sig":"YQ=="}],"origin":"","release":"r-0"}`))
	trust := s.Trust()
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := verify.ParseBundle(in)
		if err != nil {
			if !errors.Is(err, verify.ErrBundle) {
				t.Errorf("error %v", err)
			}
			return
		}
		if out := marshalled(t, b); !bytes.Equal(out, in) {
			t.Errorf("%q was read and is written as %q", in, out)
		}
		if r := verify.Verify(b, trust, verify.Options{}); r.OK {
			t.Errorf("%q was accepted", in)
		}
	})
}

// FuzzVerify signs and logs whatever comes, so that the fuzzer gets past the
// signatures: only bad reasons and panics are looked for.
func FuzzVerify(f *testing.F) {
	s := verifytest.Tell(f)
	for _, e := range s.Bundle(s.Second).Entries {
		f.Add(e.Payload, uint8(e.Index))
	}
	whole := s.Bundle(s.Second)
	key, err := attest.NewKey("fuzz.example")
	if err != nil {
		f.Fatal(err)
	}
	trust, err := attest.ParseTrust([]byte(key.VerifierKey()))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte, at uint8) {
		b, ok := verifytest.Relog(key, whole, int(at)%len(whole.Entries), payload)
		if !ok {
			return
		}
		r := verify.Verify(b, trust, verify.Options{})
		if r.OK != (len(r.Reasons) == 0) || (r.OK && !r.Authentic) {
			t.Errorf("report contradicts itself: %+v", r)
		}
	})
}

// A signature line of a note ends in base64 whose last bits carry nothing; all
// but one way of writing them must be refused.
func TestRule02ASignatureHasOneForm(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	s := verifytest.Tell(t)
	b := s.Bundle(s.Second)
	end := strings.LastIndex(b.Checkpoint, "=") - 1
	last := strings.IndexByte(alphabet, b.Checkpoint[end])
	for bits := 1; bits < 4; bits++ {
		other := *b
		other.Checkpoint = b.Checkpoint[:end] + string(alphabet[last^bits]) + b.Checkpoint[end+1:]
		refused(t, verify.Verify(&other, s.Trust(), verify.Options{}), "only form")
	}
}
