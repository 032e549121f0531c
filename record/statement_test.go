package record_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
)

func stated(tb testing.TB, body record.Body) record.Statement {
	tb.Helper()
	s, err := record.New("tess", noon.Add(1500*time.Microsecond), body)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Every kind goes through its in-toto statement and comes back the same, and
// its envelope's leaf and keys follow from the payload alone.
func TestRule01EveryKindSurvivesItsStatement(t *testing.T) {
	for kind, body := range examples() {
		t.Run(kind.String(), func(t *testing.T) {
			s := stated(t, body)
			s.Request = "key-1#abc"
			if !s.Time.Equal(noon.Add(time.Millisecond)) {
				t.Errorf("time %s", s.Time)
			}
			payload, err := attest.EncodeStatement(s)
			if err != nil {
				t.Fatal(err)
			}
			back, err := attest.DecodeStatement(payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, back); diff != "" {
				t.Errorf("it came back changed:\n%s", diff)
			}
			again, err := attest.EncodeStatement(back)
			if err != nil || !bytes.Equal(again, payload) {
				t.Errorf("it is written as\n%s\nand then as\n%s", payload, again)
			}
			leaf, keys, err := ledger.Project(payload)
			if err != nil || !slices.Equal(keys, s.Keys()) {
				t.Fatalf("keys %q, %v", keys, err)
			}
			l, err := ledger.ParseLeaf(leaf)
			if err != nil {
				t.Fatal(err)
			}
			_, subject := s.Subject()
			if l.Kind != string(kind) || l.Principal != "tess" || record.DigestFromHex(hexOf(l.Statement)) != record.DigestOf(payload) ||
				len(l.Subjects) != 1 || record.DigestFromHex(hexOf(l.Subjects[0])) != subject || !l.Time.Equal(s.Time) {
				t.Errorf("leaf %s", leaf)
			}
			for _, want := range []string{record.KeyKind(kind), record.KeyActor("tess"), record.KeyRequest("tess", "key-1")} {
				if !slices.Contains(keys, want) {
					t.Errorf("keys %q lack %s", keys, want)
				}
			}
		})
	}
}

func hexOf(b [32]byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

// What comes in with a member that this version does not know is refused; what
// is on the ledger keeps it, and its digest with it.
func TestParseRefusesAndReplayKeepsUnknownMembers(t *testing.T) {
	for kind, body := range examples() {
		s := stated(t, body)
		parsed, err := record.Parse(kind, s.Raw)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if diff := cmp.Diff(body, parsed); diff != "" {
			t.Errorf("%s came back changed:\n%s", kind, diff)
		}
		newer := bytes.Replace(s.Raw, []byte(`{`), []byte(`{"aaaLater":true,`), 1)
		if _, err := record.Parse(kind, newer); err == nil || !strings.Contains(err.Error(), "aaaLater") {
			t.Errorf("%s with an unknown member: %v", kind, err)
		}
		replayed, err := record.Replay(kind, newer)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if diff := cmp.Diff(body, replayed); diff != "" {
			t.Errorf("%s was replayed changed:\n%s", kind, diff)
		}
		kept := record.Statement{Actor: "tess", Time: noon, Raw: newer, Body: replayed}
		payload, err := attest.EncodeStatement(kept)
		if err != nil {
			t.Fatal(err)
		}
		back, err := attest.DecodeStatement(payload)
		if err != nil || !bytes.Equal(back.Raw, newer) || back.Digest() != record.DigestOf(newer) {
			t.Errorf("%s lost what it does not know: %v", kind, err)
		}
	}
	if _, err := record.Parse("https://example.org/other/v1", []byte(`{}`)); err == nil {
		t.Error("an unknown kind was read")
	}
	if _, err := record.Parse(record.KindTeam, []byte(`{"name":"Acme"}`)); err == nil {
		t.Error("an invalid record was read")
	}
	for _, bad := range []string{``, `null `, `[]`, `{"name":"acme","name":"b"}`, `{"Name":"acme"}`, `{"name":1}`, `{"name":"acme"} x`} {
		if _, err := record.Parse(record.KindTeam, []byte(bad)); err == nil {
			t.Errorf("%q was read as a team", bad)
		}
	}
}

func FuzzReplay(f *testing.F) {
	for kind, body := range examples() {
		raw, err := record.CanonicalOf(body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(kind), raw)
	}
	f.Fuzz(func(t *testing.T, kind string, raw []byte) {
		body, err := record.Replay(record.Kind(kind), raw)
		if err != nil {
			return
		}
		body.Subject()
		body.Keys(digest("self"))
		valid := body.Validate()
		_, parsed := record.Parse(record.Kind(kind), raw)
		if parsed == nil && valid != nil {
			t.Errorf("%s was accepted although %v", raw, valid)
		}
		if parsed != nil {
			return
		}
		s, err := record.New("tess", noon, body)
		if err != nil {
			t.Fatalf("%s was read and cannot be stated: %v", raw, err)
		}
		again, err := record.Parse(s.Body.Kind(), s.Raw)
		if err != nil {
			t.Fatalf("%s was stated as %s: %v", raw, s.Raw, err)
		}
		if same, err := record.CanonicalOf(again); err != nil || !bytes.Equal(same, s.Raw) {
			t.Errorf("%s is written as %s, then as %s", raw, s.Raw, same)
		}
		if payload, err := attest.EncodeStatement(s); err != nil {
			t.Errorf("%s has no payload: %v", s.Raw, err)
		} else if _, err := attest.DecodeStatement(payload); err != nil {
			t.Errorf("%s is not read back: %v", payload, err)
		}
	})
}

// A run that was never valid, as only a broken ledger could hold it.
func TestReplaySurvivesARunWithoutOutputs(t *testing.T) {
	body, err := record.Replay(record.KindRun, []byte(`{"team":"a","id":"b"}`))
	if err != nil {
		t.Fatal(err)
	}
	name, d := body.Subject()
	if name != "run/a/b" || d != "" {
		t.Errorf("subject %q %q", name, d)
	}
}

func TestNewRefusesNothingButInvalidRecords(t *testing.T) {
	if _, err := record.New("tess", noon, record.Team{}); err == nil {
		t.Error("a team without a name was stated")
	}
	s := stated(t, examples()[record.KindModel])
	name, d := s.Subject()
	if name != "model/acme/triage" || d != s.Digest() {
		t.Errorf("subject %s %s, record %s", name, d, s.Digest())
	}
	var back map[string]any
	if err := json.Unmarshal(s.Raw, &back); err != nil || len(back) != 5 {
		t.Errorf("raw %s: %v", s.Raw, err)
	}
}
