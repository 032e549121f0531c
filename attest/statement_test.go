package attest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/verify/verifytest"
)

var told = time.Date(2026, 3, 2, 12, 0, 0, 7e6, time.UTC)

func payloadOf(tb testing.TB, body record.Body) []byte {
	tb.Helper()
	s, err := record.New("pipeline", told, body)
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := attest.EncodeStatement(s)
	if err != nil {
		tb.Fatal(err)
	}
	return payload
}

func aRun() record.Run {
	return record.Run{
		Team: "acme", ID: "run-1", Code: record.Code{Repository: "https://git.example/x", Commit: strings.Repeat("0a", 20)},
		Parameters: map[string]string{"lr": "1e-3"}, Environment: map[string]string{"python": "3.14"},
		Inputs: []record.Resource{{Type: record.ResourceDataset, Name: "cases", Digest: record.DigestOf([]byte("data"))}},
		Outputs: []record.Resource{
			{Type: record.ResourceModel, Name: "triage", Digest: record.DigestOf([]byte("model"))},
			{Type: record.ResourceModel, Name: "tokeniser", Digest: record.DigestOf([]byte("tokeniser"))},
		},
		Started: told.Add(-time.Hour), Finished: told.Add(-time.Minute),
	}
}

func aVerdict(passed bool) record.Verdict {
	return record.Verdict{
		Release: "r-0123456789ab", Line: "acme/triage/acme:queue/production", Record: record.DigestOf([]byte("record")), Artifact: record.DigestOf([]byte("model")),
		Policy: record.PolicyRef{Name: "default", Digest: record.DigestOf([]byte("policy"))}, Tier: "high", At: told, Passed: passed,
		Gates: []record.Gate{}, Inputs: []record.Digest{record.DigestOf([]byte("1")), record.DigestOf([]byte("2"))},
	}
}

type object = map[string]any

func decoded(tb testing.TB, payload []byte) object {
	tb.Helper()
	var out object
	if err := json.Unmarshal(payload, &out); err != nil {
		tb.Fatal(err)
	}
	return out
}

func sha(of string) object { return object{"sha256": record.DigestOf([]byte(of)).Hex()} }

// A reader who knows only SLSA Provenance v1 finds what it defines.
func TestARunIsSLSAProvenance(t *testing.T) {
	got := decoded(t, payloadOf(t, aRun()))
	predicate := got["predicate"].(object)
	delete(predicate, "imprimatur_statement")
	want := object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{object{"name": "run/acme/run-1", "digest": sha("model")}},
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": object{
			"buildDefinition": object{
				"buildType": "https://imprimatur.dev/training/v1",
				"externalParameters": object{
					"repository": "https://git.example/x", "commit": strings.Repeat("0a", 20), "parameters": object{"lr": "1e-3"},
				},
				"internalParameters": object{"python": "3.14"},
				"resolvedDependencies": []any{
					object{"name": "cases", "digest": sha("data"), "annotations": object{"type": "dataset"}},
					object{"uri": "https://git.example/x", "digest": object{"gitCommit": strings.Repeat("0a", 20)}},
				},
			},
			"runDetails": object{
				"builder":    object{"id": "https://imprimatur.dev/principal/pipeline"},
				"metadata":   object{"invocationId": "acme/run-1", "startedOn": "2026-03-02T11:00:00.007Z", "finishedOn": "2026-03-02T11:59:00.007Z"},
				"byproducts": []any{object{"name": "tokeniser", "digest": sha("tokeniser"), "annotations": object{"type": "model"}}},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("provenance:\n%s", diff)
	}
}

// A reader who knows only SLSA Verification Summary v1 finds what it defines.
func TestAVerdictIsASLSAVerificationSummary(t *testing.T) {
	for passed, result := range map[bool]string{true: "PASSED", false: "FAILED"} {
		got := decoded(t, payloadOf(t, aVerdict(passed)))
		predicate := got["predicate"].(object)
		delete(predicate, "imprimatur_statement")
		levels := []any{}
		if passed {
			levels = append(levels, "IMPRIMATUR_TIER_high")
		}
		want := object{
			"_type":         "https://in-toto.io/Statement/v1",
			"subject":       []any{object{"name": "artifact/acme/triage/acme:queue/production", "digest": sha("model")}},
			"predicateType": "https://slsa.dev/verification_summary/v1",
			"predicate": object{
				"verifier":           object{"id": "https://imprimatur.dev/policy-evaluator/v1"},
				"timeVerified":       "2026-03-02T12:00:00.007Z",
				"resourceUri":        "https://imprimatur.dev/release/r-0123456789ab",
				"policy":             object{"uri": "https://imprimatur.dev/policy/default", "digest": sha("policy")},
				"inputAttestations":  []any{object{"digest": sha("1")}, object{"digest": sha("2")}},
				"verificationResult": result,
				"verifiedLevels":     levels,
				"slsaVersion":        "1.0",
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("summary:\n%s", diff)
		}
	}
}

func TestDecodeStatementRefuses(t *testing.T) {
	team := string(payloadOf(t, record.Team{Name: "acme"}))
	run := string(payloadOf(t, aRun()))
	swap := func(text, from, to string) string {
		if !strings.Contains(text, from) {
			t.Fatalf("%s does not hold %s", text, from)
		}
		return strings.Replace(text, from, to, 1)
	}
	for name, payload := range map[string]string{
		"nothing":                 "",
		"another type":            swap(team, "Statement/v1", "Statement/v0.1"),
		"no subject":              swap(team, team[strings.Index(team, `"subject":`):strings.Index(team, `,"predicateType"`)], `"subject":[]`),
		"another subject":         swap(team, "team/acme", "team/else"),
		"another subject digest":  swap(run, record.DigestOf([]byte("model")).Hex(), record.DigestOf([]byte("other")).Hex()),
		"a changed record":        swap(team, `"name":"acme"}`, `"name":"emca"}`),
		"an unknown kind":         swap(team, "imprimatur.dev/team/v1", "imprimatur.dev/team/v9"),
		"no actor":                swap(team, `"actor":"pipeline"`, `"actor":""`),
		"a time without decimals": swap(team, ".007Z", "Z"),
		"a time with an offset":   swap(team, ".007Z", ".007+00:00"),
		"no record":               swap(team, `"record"`, `"memo"`),
		"a run without our part":  swap(run, "imprimatur_statement", "other_statement"),
		"a member twice":          swap(team, `"_type"`, `"_type":"x","_type"`),
		"something after it":      team + "{}",
	} {
		if s, err := attest.DecodeStatement([]byte(payload)); !errors.Is(err, attest.ErrStatement) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if _, _, err := ledger.Project([]byte(payload)); err == nil {
			t.Errorf("%s has a leaf", name)
		}
	}
}

func FuzzDecodeStatement(f *testing.F) {
	f.Add(payloadOf(f, record.Team{Name: "acme"}))
	f.Add(payloadOf(f, aRun()))
	f.Add(payloadOf(f, aVerdict(true)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := attest.DecodeStatement(payload)
		if err != nil {
			if !errors.Is(err, attest.ErrStatement) {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := attest.EncodeStatement(s)
		if err != nil {
			return // what was never valid need not be written
		}
		back, err := attest.DecodeStatement(again)
		if err != nil || !bytes.Equal(back.Raw, s.Raw) && compact(back.Raw) != compact(s.Raw) || back.Actor != s.Actor || !back.Time.Equal(s.Time) {
			t.Errorf("%s\nis read, and written as\n%s\n%v", payload, again, err)
		}
	})
}

func compact(raw []byte) string {
	c, err := record.Canonical(raw)
	if err != nil {
		return err.Error()
	}
	return string(c)
}

// The goal is 15 µs for a statement of about a kilobyte: whoever verifies a log
// reads a million of them.
func BenchmarkDecodeStatement(b *testing.B) {
	s := verifytest.Tell(b)
	for _, e := range s.Entries {
		if e.Statement.Body.Kind() != record.KindRelease {
			continue
		}
		payload, err := attest.EncodeStatement(e.Statement)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := attest.DecodeStatement(payload); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
}
