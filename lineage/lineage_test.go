package lineage_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/verify/verifytest"
)

func collect(t *testing.T, src lineage.Source, id string) (*record.Dossier, []lineage.Entry) {
	t.Helper()
	d, entries, err := lineage.Collect(src, id)
	if err != nil {
		t.Fatal(err)
	}
	return d, entries
}

// The auditor has only the entries that Collect returned, and must gather the
// same dossier from them; at every length of the ledger.
func TestRule02CollectRestsOnWhatItReturns(t *testing.T) {
	s := verifytest.Tell(t)
	tried := 0
	for n := range int64(len(s.Entries) + 1) {
		then := lineage.Filter(s, func(e lineage.Entry) bool { return e.Index < n })
		for _, id := range []string{s.First, s.Second} {
			d, entries, err := lineage.Collect(then, id)
			if errors.Is(err, lineage.ErrNotFound) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSortedFunc(entries, func(a, b lineage.Entry) int { return int(a.Index - b.Index) }) {
				t.Fatalf("the entries are not in ledger order")
			}
			held := map[int64]bool{}
			for _, e := range entries {
				if held[e.Index] {
					t.Fatalf("entry %d stands there twice", e.Index)
				}
				held[e.Index] = true
			}
			again, same := collect(t, lineage.Filter(then, func(e lineage.Entry) bool { return held[e.Index] }), id)
			if diff := cmp.Diff(d, again); diff != "" {
				t.Fatalf("release %s at %d statements: the entries give another dossier:\n%s", id, n, diff)
			}
			if len(same) != len(entries) {
				t.Fatalf("release %s at %d statements: %d entries, then %d", id, n, len(entries), len(same))
			}
			tried++
		}
	}
	if tried < 20 {
		t.Errorf("only %d dossiers were gathered", tried)
	}
}

func TestCollectGathersTheWholeStory(t *testing.T) {
	s := verifytest.Tell(t)
	d, entries := collect(t, s, s.Second)
	if d.ID != s.Second || d.Line != verifytest.Line || len(d.Absent) > 0 {
		t.Errorf("id %s, line %s, absent %q", d.ID, d.Line, d.Absent)
	}
	var runs, sets, people []string
	for _, r := range d.Runs {
		runs = append(runs, r.Record.ID)
	}
	for _, f := range d.Datasets {
		sets = append(sets, f.Dataset.Record.Name)
		words := 1 // by source
		if f.Dataset.Record.Name == "derived" {
			words = 2
		}
		if len(f.Approvals) != words {
			t.Errorf("%s has %d words of stewards, want %d", f.Dataset.Record.Name, len(f.Approvals), words)
		}
	}
	for name := range d.People {
		people = append(people, name)
	}
	slices.Sort(sets)
	slices.Sort(people)
	if want := []string{"run-2", "base-run"}; !slices.Equal(runs, want) {
		t.Errorf("runs %q, want %q", runs, want)
	}
	if want := []string{"base-data", "derived", "raw"}; !slices.Equal(sets, want) {
		t.Errorf("datasets %q, want %q", sets, want)
	}
	// tess owns the pipeline; cody wrote the code, by an address in another case.
	for _, name := range []string{"cody", "ed", "mona", "pipeline", "rita", "sam", "stella", "tess"} {
		if !slices.Contains(people, name) {
			t.Errorf("%s is not among the people %q", name, people)
		}
	}
	if len(d.Bases) != 1 || d.Bases[0].Record.Artifact != s.Base || d.Version.Record.Version != "2" {
		t.Errorf("bases %v, version %s", d.Bases, d.Version.Record.Ref())
	}
	if len(d.Approvals) != 6 || d.Approvals[0].Digests.Record == d.Digests.Record || d.Approvals[5].Digests.Record != d.Digests.Record {
		t.Errorf("%d approvals, each with what was seen", len(d.Approvals))
	}
	if len(d.Baselines) != 1 || d.Baselines[0].ID != s.First || len(d.Baselines[0].Evaluations) != 2 || d.Baselines[0].Until.IsZero() {
		t.Errorf("baselines %+v", d.Baselines)
	}
	if !slices.ContainsFunc(entries, func(e lineage.Entry) bool { return e.Statement.Body.Kind() == record.KindPolicy }) {
		t.Error("the policy is not among the entries")
	}
	first, _ := collect(t, s, s.First)
	if len(first.Baselines) != 1 || first.Baselines[0].ID != s.Second {
		t.Errorf("the release that was replaced is compared with %+v", first.Baselines)
	}
}

// What a release is compared with may have been evaluated later than it was
// released, by anybody.
func TestCollectGathersTheEvaluationsOfWhatItIsComparedWith(t *testing.T) {
	s := verifytest.Tell(t)
	before, _ := collect(t, s, s.Second)
	if before.Anchor != nil || len(before.Baselines[0].Others) != 0 {
		t.Errorf("an anchor %v and %d other evaluations out of nothing", before.Anchor, len(before.Baselines[0].Others))
	}
	evaluated := func(actor string, artifact record.Digest) record.Digest {
		e := before.Evaluations[0].Record
		e.Artifact, e.Dataset, e.Ran = artifact, verifytest.Digest("fresh set"), s.Now
		return s.State(actor, e).Statement.Digest()
	}
	s.Enrol("nora", record.Evaluator)
	production := evaluated("nora", before.Baselines[0].Release.Record.Behaviour.Artifact)
	anchor := evaluated("abel", s.Base)
	use := before.UseCase.Record
	use.Anchor = s.Base
	s.State("mona", use)

	d, entries := collect(t, s, s.Second)
	if o := d.Baselines[0].Others; len(o) != 1 || o[0].Digest != production || len(d.Baselines[0].Evaluations) != 2 {
		t.Errorf("other evaluations of production: %v", o)
	}
	if a := d.Anchor; a == nil || a.Artifact != s.Base || len(a.Evaluations) != 1 || a.Evaluations[0].Digest != anchor {
		t.Errorf("anchor %+v", a)
	}
	for _, name := range []string{"nora", "abel"} {
		if d.People[name].Principal.Name != name {
			t.Errorf("%s, who evaluated, is not among the people", name)
		}
	}
	held := map[int64]bool{}
	for _, e := range entries {
		held[e.Index] = true
	}
	again, _ := collect(t, lineage.Filter(s, func(e lineage.Entry) bool { return held[e.Index] }), s.Second)
	if diff := cmp.Diff(d, again); diff != "" {
		t.Errorf("the entries give another dossier:\n%s", diff)
	}
	// Another anchor is for the releases to come.
	use.Anchor = verifytest.Digest("another")
	s.State("mona", use)
	if d, _ := collect(t, s, s.Second); d.Anchor.Artifact != s.Base {
		t.Errorf("the release is compared with an anchor that was named after it, %s", d.Anchor.Artifact)
	}
	changed := d.Release.Record
	changed.Authority.Secrets = nil
	again, _ = collect(t, s, s.Propose("tess", changed))
	if again.Anchor.Artifact != use.Anchor || len(again.Anchor.Evaluations) != 0 {
		t.Errorf("the next release is compared with %+v", again.Anchor)
	}
}

func TestCollectSaysWhatItCannotDo(t *testing.T) {
	s := verifytest.Tell(t)
	for _, id := range []string{"r-000000000000", ""} {
		if _, _, err := lineage.Collect(s, id); !errors.Is(err, lineage.ErrNotFound) {
			t.Errorf("release %q: error %v", id, err)
		}
	}
	broken := errors.New("the disk is on fire")
	for _, key := range []string{
		record.KeyRelease(s.Second), record.KeyRelease(s.First), record.KeyUseCase(verifytest.UseCase), record.KeyEnvironment("production"),
		record.KeyArtifact(s.Base), record.KeyRunsOf(s.Base), record.KeyRun("acme/run-2"), record.KeyDataset(s.Raw), record.KeySourceApprovals,
		record.KeyDataApprovals(s.Raw), record.KeyDataset(verifytest.Digest("held out")), record.KeyOverlaps(verifytest.Digest("held out")), record.KeyApprovals(verifytest.Line), record.KeyExceptions(verifytest.Line), record.KeyLive(verifytest.Line),
		record.KeyPrincipal("mona"), record.KeyRoles("mona"), record.KeyEmail("cody@acme.example"), record.KeyVersion(verifytest.Model + "@2"),
	} {
		if _, _, err := lineage.Collect(failing{s, key, broken}, s.Second); !errors.Is(err, broken) {
			t.Errorf("key %s: error %v", key, err)
		}
	}
}

// failing is a source whose database fails at one key.
type failing struct {
	lineage.Source
	key string
	err error
}

func (f failing) Find(key string) ([]lineage.Entry, error) {
	if key == f.key {
		return nil, f.err
	}
	return f.Source.Find(key)
}

// proposed states a variant of the second release and returns its dossier.
func proposed(t *testing.T, s *verifytest.Story, change func(*record.Release)) *record.Dossier {
	t.Helper()
	r, _, err := lineage.Last[record.Release](s, record.KeyRelease(s.Second))
	if err != nil {
		t.Fatal(err)
	}
	change(&r.Record)
	d, _ := collect(t, s, s.Propose("tess", r.Record))
	return d
}

func TestRule05AReleaseCannotHideWhatItWasMadeFrom(t *testing.T) {
	drop := func(ds []record.Digest, d record.Digest) []record.Digest {
		return slices.DeleteFunc(slices.Clone(ds), func(x record.Digest) bool { return x == d })
	}
	s := verifytest.Tell(t)
	cases := map[string]struct {
		change func(*record.Release)
		says   []string
	}{
		"a dataset":              {func(r *record.Release) { r.Data.Datasets = drop(r.Data.Datasets, s.Derived) }, []string{"dataset", string(s.Derived)}},
		"what it derives from":   {func(r *record.Release) { r.Data.Datasets = drop(r.Data.Datasets, s.Raw) }, []string{"dataset", string(s.Raw)}},
		"a base model's dataset": {func(r *record.Release) { r.Data.Datasets = drop(r.Data.Datasets, s.BaseData) }, []string{"dataset", string(s.BaseData)}},
		"a base model":           {func(r *record.Release) { r.Data.Bases = nil }, []string{"base model", string(s.Base)}},
		"a run":                  {func(r *record.Release) { r.Data.Runs = r.Data.Runs[:1] }, []string{"run", "acme/base-run"}},
		"an unknown dataset":     {func(r *record.Release) { r.Data.Datasets = []record.Digest{verifytest.Digest("nowhere")} }, []string{"dataset", string(verifytest.Digest("nowhere"))}},
		"an unknown run":         {func(r *record.Release) { r.Data.Runs = append(r.Data.Runs, "acme/nowhere") }, []string{"run acme/nowhere"}},
		"an unknown evaluation": {func(r *record.Release) {
			r.Behaviour.Evaluations[0] = verifytest.Digest("0")
			slices.Sort(r.Behaviour.Evaluations)
		}, []string{"evaluation", string(verifytest.Digest("0"))}},
		"an unknown use case":     {func(r *record.Release) { r.Context.UseCase = "acme/nowhere" }, []string{"use case acme/nowhere"}},
		"an unknown environment":  {func(r *record.Release) { r.Context.Environment = "nowhere" }, []string{"environment nowhere"}},
		"an unknown policy":       {func(r *record.Release) { r.Context.Policy.Digest = s.Raw }, []string{"policy default", string(s.Raw)}},
		"an unknown version":      {func(r *record.Release) { r.Behaviour.Version = "9" }, []string{"version acme/triage@9"}},
		"another's artifact":      {func(r *record.Release) { r.Behaviour.Artifact = s.Base }, []string{"version acme/triage@2", string(s.Base)}},
		"an artifact of nobody's": {func(r *record.Release) { r.Behaviour.Artifact = s.Raw }, []string{"model", string(s.Raw)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := proposed(t, s, c.change)
			if !slices.ContainsFunc(d.Absent, func(a string) bool {
				return !slices.ContainsFunc(c.says, func(w string) bool { return !strings.Contains(a, w) })
			}) {
				t.Errorf("absent is %q, want one that says %q", d.Absent, c.says)
			}
		})
	}
}

// To state less of a thing, or to register the same bytes under another name,
// takes nothing away from what it was made from.
func TestRule05StatingLessHidesNothing(t *testing.T) {
	s := verifytest.Tell(t)
	v, _, _ := lineage.Last[record.ModelVersion](s, record.KeyVersion(verifytest.Model+"@2"))
	before, err := lineage.Trace(s, v.Record.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	bare := v.Record
	bare.Model, bare.Run, bare.Bases, bare.Type = "other/copy", "", nil, record.Vendor
	s.State("tess", bare)
	run, _, _ := lineage.Last[record.Run](s, record.KeyRun("acme/run-2"))
	run.Record.Inputs = []record.Resource{{Type: record.ResourceDataset, Name: "clean", Digest: s.BaseData}}
	s.State("pipeline", run.Record)
	set, _, _ := lineage.Last[record.Dataset](s, record.KeyDataset(s.Derived))
	set.Record.Derived = nil
	s.State("stella", set.Record)
	after, err := lineage.Trace(s, v.Record.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(after.Datasets, before.Datasets) || !slices.Equal(after.Bases, before.Bases) || !slices.Equal(after.RunRefs(), before.RunRefs()) {
		t.Errorf("traced %v %v %q, before %v %v %q", after.Datasets, after.Bases, after.RunRefs(), before.Datasets, before.Bases, before.RunRefs())
	}
}

// Somebody who states more about the bytes of a live release does not take it
// out of production, and does not rename its data.
func TestRule06LaterStatementsDoNotChangeWhatWasApproved(t *testing.T) {
	s := verifytest.Tell(t)
	before, _ := collect(t, s, s.Second)
	v := before.Version.Record
	v.Model, v.Run, v.Bases = "other/copy", "", []record.Digest{verifytest.Digest("trap")}
	s.State("ed", v)
	run := before.Runs[0].Record
	run.ID, run.Inputs = "other", []record.Resource{{Type: record.ResourceDataset, Name: "trap", Digest: verifytest.Digest("trap")}}
	s.State("ed", run)
	set, _, _ := lineage.Last[record.Dataset](s, record.KeyDataset(s.Raw))
	set.Record.Source, set.Record.Derived = "s3://other/x", []record.Digest{verifytest.Digest("trap")}
	s.State("ed", set.Record)
	after, _ := collect(t, s, s.Second)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the dossier changed:\n%s", diff)
	}
}

func TestCyclesEnd(t *testing.T) {
	s := verifytest.Tell(t)
	a, b := verifytest.Digest("a"), verifytest.Digest("b")
	x, y := verifytest.Digest("x"), verifytest.Digest("y")
	version := func(name string, artifact, base record.Digest) {
		s.State("pipeline", record.ModelVersion{
			Model: "acme/" + name, Version: "1", Type: record.FineTuned, Artifact: artifact, Bases: []record.Digest{base}, Run: "acme/" + name,
			Files: []record.File{{Path: ".", SHA256: artifact.Hex(), Size: 1}},
		})
	}
	dataset := func(name string, d, from record.Digest) {
		s.State("stella", record.Dataset{
			Team: "acme", Name: name, Version: "1", Digest: d, Source: "s3://" + name, Classification: "internal", Owner: "stella", Derived: []record.Digest{from},
		})
	}
	version("a", a, b)
	version("b", b, a)
	dataset("x", x, y)
	dataset("y", y, x)
	s.State("pipeline", record.Run{
		Team: "acme", ID: "a", Code: record.Code{Repository: "r", Commit: strings.Repeat("0", 40)}, Started: s.Now, Finished: s.Now,
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "x", Digest: x}, {Type: record.ResourceModel, Name: "a", Digest: a}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "a", Digest: a}},
	})
	trail, err := lineage.Trace(s, a)
	if err != nil {
		t.Fatal(err)
	}
	want := []record.Digest{x, y}
	slices.Sort(want)
	if !slices.Equal(trail.Bases, []record.Digest{b}) || !slices.Equal(trail.Datasets, want) || len(trail.Versions) != 2 {
		t.Errorf("bases %v, datasets %v, %d versions", trail.Bases, trail.Datasets, len(trail.Versions))
	}
	if want := []string{"the run acme/b with acme/b@1 among its outputs"}; !slices.Equal(trail.Absent, want) {
		t.Errorf("absent %q, want %q", trail.Absent, want)
	}
	g := graphOf(s.Entries)
	got, err := g.ImpactOf(find(t, g, string(x)), func(string) bool { return true }, "", 100)
	if err != nil || got.Counts[lineage.NodeDataset] != 1 || got.Counts[lineage.NodeRun] != 1 || got.Counts[lineage.NodeVersion] != 2 {
		t.Errorf("impact counts %v, want the other dataset, the run and both versions: %v", got.Counts, err)
	}
}

func BenchmarkCollect(b *testing.B) {
	s := verifytest.Tell(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := lineage.Collect(s, s.Second); err != nil {
			b.Fatal(err)
		}
	}
}

// A held-out set may be committed to, and compared, after the release was
// proposed: the dossier has all that was said of it.
func TestCollectGathersTheHeldOutSets(t *testing.T) {
	s := verifytest.Tell(t)
	before, _ := collect(t, s, s.Second)
	if len(before.HeldOut) != 1 || len(before.HeldOut[0].Overlaps) != 0 {
		t.Fatalf("held-out sets %+v", before.HeldOut)
	}
	set := before.HeldOut[0].Digest
	commit := func(d record.Digest, name string) {
		s.State("stella", record.Dataset{
			Team: "acme", Name: name, Version: "1", Digest: d, Source: "s3://acme/" + name, Classification: "internal", Owner: "stella", Visibility: record.PrivateCommitted,
			Commitment: &record.Commitment{Root: verifytest.Digest("root"), Items: 2, Leaves: verifytest.Digest("leaves of " + name), Key: verifytest.Digest("key"), Identity: "csv"},
		})
	}
	stated := len(before.HeldOut[0].Stated)
	commit(set, "held")
	commit(s.Raw, "raw")
	o := record.Overlap{A: min(set, s.Raw), B: max(set, s.Raw), LeavesA: verifytest.Digest("a"), LeavesB: verifytest.Digest("b"), Common: 1, OfA: 2, OfB: 2}
	s.State("ed", o)
	d, entries := collect(t, s, s.Second)
	h := d.HeldOut[0]
	if len(d.HeldOut) != 1 || h.Digest != set || len(h.Stated) != stated+1 || len(h.Overlaps) != 1 || h.Overlaps[0].Record != o || h.Overlaps[0].Actor != "ed" {
		t.Errorf("held-out sets %+v", d.HeldOut)
	}
	for _, f := range d.Datasets {
		if want := f.Dataset.Record.Digest == s.Raw; (len(f.Committed) == 1) != want || (want && f.Committed[0].Record.Commitment.Items != 2) {
			t.Errorf("%s: committed to %d times", f.Dataset.Record.Name, len(f.Committed))
		}
		if f.Dataset.Record.Commitment != nil {
			t.Errorf("%s is read as it came to stand after the proposal", f.Dataset.Record.Name)
		}
	}
	if !slices.ContainsFunc(entries, func(e lineage.Entry) bool { return e.Statement.Body.Kind() == record.KindOverlap }) {
		t.Error("the overlap is not among the entries")
	}
	held := map[int64]bool{}
	for _, e := range entries {
		held[e.Index] = true
	}
	again, _ := collect(t, lineage.Filter(s, func(e lineage.Entry) bool { return held[e.Index] }), s.Second)
	if diff := cmp.Diff(d, again); diff != "" {
		t.Errorf("the entries give another dossier:\n%s", diff)
	}
}
