package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	rec "imprimatur.dev/record"
)

func statement(t *testing.T, actor string, body rec.Body) (rec.Statement, []byte) {
	t.Helper()
	s, err := rec.New(actor, time.Date(2026, 3, 2, 12, 0, 0, 7e6, time.UTC), body)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := attest.EncodeStatement(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, payload
}

// The leaf and the keys follow from the payload alone.
func TestRule01ProjectIsAFunctionOfThePayload(t *testing.T) {
	data := rec.DigestOf([]byte("data"))
	s, payload := statement(t, "stella", rec.Dataset{
		Team: "acme", Name: "cases", Version: "1", Digest: data, Source: "s3://acme/cases", Classification: "internal", Owner: "stella",
		Derived: []rec.Digest{rec.DigestOf([]byte("raw"))},
	})
	leaf, keys, err := ledger.Project(payload)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"kind":"https://imprimatur.dev/dataset/v1","principal":"stella","statement":"%s","subjects":["%s"],"time":"2026-03-02T12:00:00.007Z","v":1}`, rec.DigestOf(payload), data)
	if string(leaf) != want {
		t.Errorf("leaf\n%s\nwant\n%s", leaf, want)
	}
	wantKeys := []string{"dataset/" + string(data), "dataset/acme/cases", "owned/stella", "dataset-source/s3://acme:cases", "uses/" + string(rec.DigestOf([]byte("raw"))), "kind/https://imprimatur.dev/dataset/v1", "actor/stella"}
	if !slices.Equal(keys, wantKeys) {
		t.Errorf("keys %q, want %q", keys, wantKeys)
	}
	again, err := ledger.LeafOf(s, payload)
	if err != nil || string(again) != want {
		t.Errorf("leaf of the statement %s, %v", again, err)
	}
}

// A record without a digest of its own is its own subject.
func TestProjectOfARecordThatIsItsOwnSubject(t *testing.T) {
	s, payload := statement(t, "root", rec.Team{Name: "acme"})
	leaf, _, err := ledger.Project(payload)
	if err != nil || !strings.Contains(string(leaf), `"subjects":["`+string(s.Digest())+`"]`) {
		t.Errorf("leaf %s, %v", leaf, err)
	}
}

func TestProjectRefuses(t *testing.T) {
	_, payload := statement(t, "root", rec.Team{Name: "acme"})
	for name, bad := range map[string][]byte{
		"nothing":         nil,
		"half":            payload[:len(payload)/2],
		"another subject": []byte(strings.Replace(string(payload), "team/acme", "team/emca", 1)),
	} {
		if leaf, keys, err := ledger.Project(bad); err == nil {
			t.Errorf("%s has the leaf %s and the keys %q", name, leaf, keys)
		}
	}
}
