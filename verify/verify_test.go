package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/attest"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
	"imprimatur.dev/verify/verifytest"
)

// refused demands that a report says no and that one reason has every word.
func refused(t *testing.T, r verify.Report, words ...string) {
	t.Helper()
	if r.OK {
		t.Fatalf("it was accepted; want a refusal with %q", words)
	}
	for _, reason := range r.Reasons {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(reason, w) }) {
			return
		}
	}
	t.Errorf("no reason has all of %q; the reasons are %q", words, r.Reasons)
}

func accepted(t *testing.T, r verify.Report) {
	t.Helper()
	if !r.OK || !r.Authentic || len(r.Reasons) > 0 {
		t.Fatalf("it was refused: %q", r.Reasons)
	}
}

func TestRule02ABundleReachesTheSameVerdict(t *testing.T) {
	s := verifytest.Tell(t)
	r := verify.Verify(s.Bundle(s.Second), s.Trust(), verify.Options{
		Manifest: &s.Manifest, Artifact: record.Digest(s.Manifest.Digest()),
		Environment: "production", Origin: verifytest.Origin, Size: int64(len(s.Entries)), At: s.Now.Add(time.Hour),
	})
	accepted(t, r)
	var names []string
	for _, c := range r.Checks {
		names = append(names, c.Name)
		if !c.OK || c.Detail == "" {
			t.Errorf("check %s: %v %q", c.Name, c.OK, c.Detail)
		}
	}
	want := []string{
		verify.CheckCheckpoint, verify.CheckSignatures, verify.CheckInclusion, verify.CheckRelease, verify.CheckPolicy,
		verify.CheckPasskeys, verify.CheckVerdict, verify.CheckPromotion, verify.CheckArtifact, verify.CheckArtifact, verify.CheckEnvironment, verify.CheckStanding,
	}
	if !slices.Equal(names, want) {
		t.Errorf("checks %q, want %q", names, want)
	}
	if r.Status != record.Live || r.Tier != "high" || r.Line != verifytest.Line || r.Verdict == nil || !r.Verdict.Passed || r.Until.IsZero() {
		t.Errorf("report %+v", r)
	}
	if r.Size != int64(len(s.Entries)) || !r.Newest.Equal(s.Entries[len(s.Entries)-1].Statement.Time) {
		t.Errorf("as of %d and %s", r.Size, r.Newest)
	}
}

// A release that was replaced is authentic and may not run.
func TestRule02AnOldReleaseIsAuthenticAndDoesNotStand(t *testing.T) {
	s := verifytest.Tell(t)
	r := verify.Verify(s.Bundle(s.First), s.Trust(), verify.Options{})
	refused(t, r, s.First)
	if !r.Authentic || r.Status != record.Replaced {
		t.Errorf("authentic %v, status %s, reasons %q", r.Authentic, r.Status, r.Reasons)
	}
	then := s.Entries[len(s.Entries)-1].Statement.Time.Add(-verifytest.Day)
	accepted(t, verify.Verify(s.Bundle(s.First), s.Trust(), verify.Options{At: then}))
}

func TestRule02AForgedVerdictIsRefusedByGate(t *testing.T) {
	cases := map[string]struct {
		forge func(*record.Verdict)
		words []string
	}{
		"a gate's result":     {func(v *record.Verdict) { v.Gates[gate(*v, "accuracy")].Result = record.Fail }, []string{"gate accuracy/holdout/accuracy", "says fail", "says pass"}},
		"a gate's number":     {func(v *record.Verdict) { v.Gates[gate(*v, "accuracy")].Numbers.Value = 0.99 }, []string{"gate accuracy/holdout/accuracy"}},
		"a gate left out":     {func(v *record.Verdict) { v.Gates = v.Gates[:len(v.Gates)-1] }, []string{"lacks the gate"}},
		"a gate added":        {func(v *record.Verdict) { v.Gates = append(v.Gates, record.Gate{Name: "luck", Result: record.Pass}) }, []string{"gate luck", "does not follow"}},
		"a later end":         {func(v *record.Verdict) { v.Until = v.Until.Add(time.Hour) }, []string{"verdict at index", "reached again"}},
		"another policy name": {func(v *record.Verdict) { v.Policy.Name = "lax" }, []string{"lax"}},
		"an input left out":   {func(v *record.Verdict) { v.Inputs = v.Inputs[:len(v.Inputs)-1] }, []string{"verdict at index"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := verifytest.Tell(t)
			s.Now = s.Now.Add(time.Hour)
			v := s.Judge(s.Second)
			c.forge(&v)
			s.State("mona", v)
			refused(t, verify.Verify(s.Bundle(s.Second), s.Trust(), verify.Options{}), c.words...)
		})
	}
}

func gate(v record.Verdict, prefix string) int {
	return slices.IndexFunc(v.Gates, func(g record.Gate) bool { return strings.HasPrefix(g.Name, prefix) })
}

// A tool that says "passed" decides nothing, and neither does whoever states a
// verdict that says so: the numbers are judged again.
func TestRule03TheToolsOwnVerdictDecidesNothing(t *testing.T) {
	s := verifytest.Tell(t)
	r, _, err := lineage.Last[record.Release](s, record.KeyRelease(s.Second))
	if err != nil {
		t.Fatal(err)
	}
	half := 500
	e := s.State("ed", record.Evaluation{
		Team: verifytest.Team, Artifact: r.Record.Behaviour.Artifact, Category: record.Accuracy, Suite: "holdout", Dataset: verifytest.Digest("held out"),
		Tool: record.Tool{Name: "holdout", Version: "1.0"}, Evidence: []record.RawFile{{Name: "x", Digest: verifytest.Digest("bad"), Format: "items"}}, Settings: map[string]string{"passed": "true", "exitCode": "0"},
		Metrics:   []record.Metric{{Name: "accuracy", Value: 0.5, N: 1000, Successes: &half}},
		Assurance: record.SignedRun, Ran: s.Now.Add(-time.Hour),
	})
	r.Record.Behaviour.Evaluations = []record.Digest{e.Statement.Digest()}
	id := s.Propose("tess", r.Record)
	v := s.Judge(id)
	at := gate(v, "accuracy/holdout/accuracy")
	if v.Passed || v.Gates[at].Result != record.Fail {
		t.Fatalf("an accuracy of a half: %+v", v.Gates[at])
	}
	for i := range v.Gates {
		v.Gates[i].Result = record.Pass
	}
	v.Passed = true
	s.Promote("mona", v, record.Promote, s.Now.Add(verifytest.Day))
	report := verify.Verify(s.Bundle(id), s.Trust(), verify.Options{})
	refused(t, report, "gate accuracy/holdout/accuracy", "says pass", "says fail")
	if report.Authentic {
		t.Error("a forged verdict is authentic")
	}
}

func TestRule01EveryEntryIsNeeded(t *testing.T) {
	s := verifytest.Tell(t)
	whole := s.Bundle(s.Second)
	for i, e := range whole.Entries {
		b := *whole
		b.Entries = slices.Delete(slices.Clone(whole.Entries), i, i+1)
		r := verify.Verify(&b, s.Trust(), verify.Options{})
		if r.OK || len(r.Reasons) == 0 {
			kind := s.Entries[e.Index].Statement.Body.Kind()
			t.Errorf("without the %s at index %d it was accepted", kind, e.Index)
		}
	}
}

func TestRule02AnOmittedInputIsNamed(t *testing.T) {
	s := verifytest.Tell(t)
	whole := s.Bundle(s.Second)
	at := slices.IndexFunc(whole.Entries, func(e verify.Entry) bool {
		return s.Entries[e.Index].Statement.Body.Kind() == record.KindDataApproval
	})
	gone := s.Entries[whole.Entries[at].Index].Digest
	whole.Entries = slices.Delete(whole.Entries, at, at+1)
	refused(t, verify.Verify(whole, s.Trust(), verify.Options{}), string(gone), "left out of the bundle")
}

// The server that stated the verdict left a word out of its inputs.
func TestRule02AWordPassedOverIsNamed(t *testing.T) {
	s := verifytest.Tell(t)
	s.Now = s.Now.Add(time.Hour)
	v := s.Judge(s.Second)
	s.State("stella", record.DataApproval{Dataset: s.Derived, Decision: record.Withdraw, Reason: "consent withdrawn"})
	s.Now = s.Now.Add(time.Hour)
	v.At = record.Millis(s.Now)
	s.State("mona", v)
	refused(t, verify.Verify(s.Bundle(s.Second), s.Trust(), verify.Options{}), "passed over the data approval", "stella")
}

func TestRule01WhatIsNotInTheLedgerIsRefused(t *testing.T) {
	s := verifytest.Tell(t)
	other := verifytest.Tell(t)
	size := int64(len(s.Entries))
	entries, err := lineage.Gather(s, s.Second)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change func(*verify.Bundle)
		opts   verify.Options
		words  []string
	}{
		"an older checkpoint": {func(b *verify.Bundle) { b.Checkpoint = s.Checkpoint(size - 1) }, verify.Options{}, []string{"not proved to be in the ledger"}},
		"an older bundle":     {func(b *verify.Bundle) { *b = *s.BundleOf(s.Second, entries[:len(entries)-2], size-2) }, verify.Options{Size: size}, []string{"old", "ask for a new bundle"}},
		"a checkpoint too small for an entry": {
			func(b *verify.Bundle) { *b = *s.BundleOf(s.Second, entries, size-1) },
			verify.Options{},
			[]string{"the checkpoint has only"},
		},
		"a checkpoint of another log": {func(b *verify.Bundle) { b.Checkpoint = other.Checkpoint(size) }, verify.Options{}, []string{"checkpoint", "not trusted"}},
		"another origin":              {func(b *verify.Bundle) { b.Origin = "elsewhere" }, verify.Options{}, []string{"elsewhere"}},
		"an unexpected origin":        {func(*verify.Bundle) {}, verify.Options{Origin: "ours.example"}, []string{"ours.example"}},
		"another release's ID":        {func(b *verify.Bundle) { b.Release = "r-000000000000" }, verify.Options{}, []string{"r-000000000000"}},
		"no entries":                  {func(b *verify.Bundle) { b.Entries = nil }, verify.Options{}, []string{"no statement"}},
		"another's index":             {func(b *verify.Bundle) { b.Entries[3].Index++ }, verify.Options{}, []string{"not proved to be in the ledger"}},
		"a proof cut short":           {func(b *verify.Bundle) { b.Entries[3].Proof = b.Entries[3].Proof[1:] }, verify.Options{}, []string{"not proved to be in the ledger"}},
		"another's signature":         {func(b *verify.Bundle) { b.Entries[3].Signature = b.Entries[4].Signature }, verify.Options{}, []string{"the signature does not fit"}},
		"a signature by another key": {func(b *verify.Bundle) {
			b.Entries[3].Signature, b.Entries[3].KeyID = other.Key.Sign(b.Entries[3].Payload), other.Key.ID()
		}, verify.Options{}, []string{"key that is not trusted"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := s.Bundle(s.Second)
			c.change(b)
			refused(t, verify.Verify(b, s.Trust(), c.opts), c.words...)
		})
	}
	refused(t, verify.Verify(s.Bundle(s.Second), other.Trust(), verify.Options{}), "checkpoint", "not trusted")
	refused(t, verify.Verify(s.Bundle(s.Second), attest.Trust{}, verify.Options{}), "checkpoint")
}

func TestAChangedFileIsNamed(t *testing.T) {
	s := verifytest.Tell(t)
	b := s.Bundle(s.Second)
	changed := artifact.Manifest{Files: slices.Clone(s.Manifest.Files)}
	changed.Files[1].SHA256 = record.DigestOf([]byte("weights twO")).Hex()
	refused(t, verify.Verify(b, s.Trust(), verify.Options{Manifest: &changed}), "changed: model.safetensors")
	gone := artifact.Manifest{Files: s.Manifest.Files[1:]}
	refused(t, verify.Verify(b, s.Trust(), verify.Options{Manifest: &gone}), "missing: config.json")
	more := artifact.Manifest{Files: append(slices.Clone(s.Manifest.Files), artifact.File{Path: "run.py", SHA256: changed.Files[1].SHA256, Size: 3})}
	refused(t, verify.Verify(b, s.Trust(), verify.Options{Manifest: &more}), "not in the release: run.py")
	refused(t, verify.Verify(b, s.Trust(), verify.Options{Artifact: s.Base}), string(s.Base))
	refused(t, verify.Verify(b, s.Trust(), verify.Options{Environment: "staging"}), "production", "not for staging")
}

func TestRule08StandingLapsesWithTime(t *testing.T) {
	s := verifytest.Tell(t)
	b := s.Bundle(s.Second)
	until := verify.Verify(b, s.Trust(), verify.Options{}).Until
	accepted(t, verify.Verify(b, s.Trust(), verify.Options{At: until.Add(-time.Millisecond)}))
	r := verify.Verify(b, s.Trust(), verify.Options{At: until})
	refused(t, r, "lapsed")
	if !r.Authentic {
		t.Error("time alone made it a forgery")
	}
	far := verify.Verify(b, s.Trust(), verify.Options{At: until.Add(365 * verifytest.Day)})
	for _, gate := range []string{"approval/risk", "lineage/datasets", "accuracy/holdout/accuracy"} {
		refused(t, far, gate)
	}
	refused(t, verify.Verify(b, s.Trust(), verify.Options{At: s.Now.Add(-300 * verifytest.Day)}), "not yet proposed")
}

func TestRule08WhatHappenedAfterTheVerdictIsSeen(t *testing.T) {
	cases := map[string]struct {
		happen func(*verifytest.Story, record.Digest)
		words  []string
	}{
		"suspension": {func(s *verifytest.Story, d record.Digest) {
			s.State("sam", record.Suspension{Release: s.Second, Line: verifytest.Line, Record: d, Reason: "leak"})
		}, []string{"suspended"}},
		"retirement": {func(s *verifytest.Story, d record.Digest) {
			s.State("mona", record.Retirement{Release: s.Second, Line: verifytest.Line, Record: d, Reason: "done"})
		}, []string{"retired"}},
		"withdrawal": {func(s *verifytest.Story, _ record.Digest) {
			s.State("stella", record.DataApproval{Source: "s3://acme/*", Decision: record.Withdraw, Reason: "contract ended"})
		}, []string{"lineage/datasets"}},
		"a role taken away": {func(s *verifytest.Story, _ record.Digest) {
			s.State("root", record.Role{Principal: "rita", Role: record.Risk, Team: verifytest.Team, Revoked: true})
		}, []string{"approval/risk"}},
		"request for changes": {func(s *verifytest.Story, d record.Digest) {
			s.State("rita", record.Approval{
				Release: s.Second, Line: verifytest.Line, Record: d, Role: record.Risk, Decision: record.RequestChanges,
				Parts: map[record.Part]record.Digest{record.PartData: verifytest.Digest("x")}, Reason: "on second thoughts", Method: record.MethodToken, Expires: s.Now.Add(verifytest.Day),
			})
		}, []string{"approval/risk"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := verifytest.Tell(t)
			before := s.Now
			d, _, err := lineage.Collect(s, s.Second)
			if err != nil {
				t.Fatal(err)
			}
			s.Now = s.Now.Add(verifytest.Day)
			c.happen(s, d.Digests.Record)
			b := s.Bundle(s.Second)
			r := verify.Verify(b, s.Trust(), verify.Options{})
			refused(t, r, c.words...)
			if !r.Authentic {
				t.Errorf("not authentic: %q", r.Reasons)
			}
			accepted(t, verify.Verify(b, s.Trust(), verify.Options{At: before}))
		})
	}
}

func TestBrokenGlassIsShown(t *testing.T) {
	s := verifytest.Tell(t)
	s.Now = s.Now.Add(200 * verifytest.Day)
	v := s.Judge(s.First)
	if v.Passed {
		t.Fatal("the first release should have lapsed")
	}
	now := s.Now
	gates := make([]string, 0, len(v.Gates))
	for _, g := range v.Blocking() {
		gates = append(gates, g.Name)
	}
	s.State("mona", record.Exception{
		Type: record.BreakGlass, Release: s.First, Line: verifytest.Line, Record: v.Record, Gates: gates, Reason: "the second answers nothing",
		Expires: now.Add(verifytest.Day), ReviewBy: now.Add(7 * verifytest.Day),
	})
	s.Now = now
	s.Promote("mona", v, record.BrokeGlass, now.Add(verifytest.Day))
	r := verify.Verify(s.Bundle(s.First), s.Trust(), verify.Options{})
	if !r.Authentic {
		t.Fatalf("not authentic: %q", r.Reasons)
	}
	if !r.OK {
		t.Errorf("the glass is broken for a day, and yet: %q", r.Reasons)
	}
	if !slices.ContainsFunc(r.Checks, func(c verify.Check) bool { return strings.Contains(c.Detail, record.BrokeGlass) }) {
		t.Errorf("no check shows the broken glass: %+v", r.Checks)
	}
	refused(t, verify.Verify(s.Bundle(s.First), s.Trust(), verify.Options{At: now.Add(verifytest.Day)}), "glass", "lapsed")
}

func TestAPromotionWithoutItsVerdictIsRefused(t *testing.T) {
	s := verifytest.Tell(t)
	s.Now = s.Now.Add(200 * verifytest.Day)
	v := s.Judge(s.First)
	s.Promote("mona", v, record.Rollback, v.Until)
	refused(t, verify.Verify(s.Bundle(s.First), s.Trust(), verify.Options{}), "rests on a verdict that did not pass")
}

func BenchmarkVerify(b *testing.B) {
	s := verifytest.Tell(b)
	data, err := s.Bundle(s.Second).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	trust := s.Trust()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		bundle, err := verify.ParseBundle(data)
		if err != nil {
			b.Fatal(err)
		}
		if r := verify.Verify(bundle, trust, verify.Options{Manifest: &s.Manifest}); !r.OK {
			b.Fatal(r.Reasons)
		}
	}
	b.ReportMetric(float64(len(s.Bundle(s.Second).Entries)), "entries")
}
