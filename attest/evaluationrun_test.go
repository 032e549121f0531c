package attest_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
)

func aSignedRun() record.EvaluationRun {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	return record.EvaluationRun{
		Artifact: record.DigestOf([]byte("model")), Suite: "holdout", Command: []string{"eval", "--all"}, Exit: 1,
		Outputs: []record.RawFile{record.FileOf("out.json", "output", []byte("{}"))}, Settings: map[string]string{"seed": "1"}, Started: at, Finished: at.Add(time.Minute),
	}
}

func TestSignedRunComesBack(t *testing.T) {
	key, err := attest.NewKey(attest.KeyNameOf("jo+eval@lab"))
	if err != nil {
		t.Fatal(err)
	}
	if got := attest.PrincipalOf(key.Name()); got != "jo+eval@lab" {
		t.Errorf("the key is named after %q", got)
	}
	payload, err := attest.EncodeRun(aSignedRun())
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := key.Seal(payload).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	trust, err := attest.TrustPublic(key.ID(), key.Public())
	if err != nil {
		t.Fatal(err)
	}
	opened, err := trust.Open(envelope)
	if err != nil {
		t.Fatal(err)
	}
	run, err := attest.DecodeRun(opened)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(aSignedRun(), run); diff != "" {
		t.Error(diff)
	}
	other, err := attest.NewKey(key.Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.TrustPublic(key.ID(), other.Public()); err == nil {
		t.Error("the id of one key was taken for another key")
	}
	foreign, err := attest.TrustPublic(other.ID(), other.Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Open(envelope); !errors.Is(err, attest.ErrUnknownKey) {
		t.Errorf("another key opens the envelope: %v", err)
	}
}

func TestRunOfAnotherShapeIsRefused(t *testing.T) {
	good, err := attest.EncodeRun(aSignedRun())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another predicate": {"evaluation-run/v1", "evaluation-run/v2"},
		"another statement": {"Statement/v1", "Statement/v0.1"},
		"another subject":   {`"subject":[{"name":"model","digest":{"sha256":"`, `"subject":[{"name":"model","digest":{"sha256":"00`},
		"an unknown member": {`"suite":`, `"suit":`},
		"no artifact":       {`"artifact":"sha256:`, `"artifact":"sha512:`},
	} {
		bad := bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("%s: nothing was changed in %s", name, good)
		}
		if _, err := attest.DecodeRun(bad); !errors.Is(err, attest.ErrRun) {
			t.Errorf("%s is read: %v", name, err)
		}
	}
	if _, err := attest.EncodeRun(record.EvaluationRun{}); err == nil {
		t.Error("a run of no model was written")
	}
}

func FuzzDecodeRun(f *testing.F) {
	good, err := attest.EncodeRun(aSignedRun())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"_type":"","subject":[{}],"predicateType":"","predicate":{}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		run, err := attest.DecodeRun(payload)
		if err != nil {
			return
		}
		again, err := attest.EncodeRun(run)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		twice, err := attest.DecodeRun(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(run, twice); diff != "" {
			t.Error(diff)
		}
	})
}
