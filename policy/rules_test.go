package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

// speak appends a person's word on the release.
func speak(d *record.Dossier, actor string, role record.RoleName, decision string, index int64) *record.ApprovalFacts {
	a := d.Approvals[0]
	a.Approval.Actor, a.Approval.Index, a.Approval.Time = actor, index, noon
	a.Approval.Digest = exampleDigest(fmt.Sprint("word ", index))
	x := &a.Approval.Record
	x.Role, x.Decision, x.Parts = role, decision, map[record.Part]record.Digest{}
	for part, digest := range d.Digests.Parts {
		x.Parts[part] = digest
	}
	d.Approvals = append(d.Approvals, a)
	return &d.Approvals[len(d.Approvals)-1]
}

func expect(t *testing.T, p *Policy, d *record.Dossier, gate string, want record.Result, reason string) {
	t.Helper()
	g := gateOf(t, p.Evaluate(d, noon), gate)
	if g.Result != want || !strings.Contains(g.Reason, reason) {
		t.Errorf("%s is %s, want %s because %q: %s", gate, g.Result, want, reason, g.Reason)
	}
}

// Mutated at random, the same dossier always gives the same verdict, also when
// it is judged by another copy of the policy.
func TestRule02OneEvaluatorIsDeterministic(t *testing.T) {
	p, q := mustLoad(t, withContent), mustLoad(t, withContent)
	rapid.Check(t, func(t *rapid.T) {
		d := drawDossier(t, p)
		v, err := record.CanonicalOf(p.Evaluate(d, noon))
		if err != nil {
			t.Fatal(err)
		}
		w, err := record.CanonicalOf(q.Evaluate(d, noon))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(v), string(w)); diff != "" {
			t.Fatal(diff)
		}
		body, err := record.Replay(record.KindVerdict, v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := record.CanonicalOf(body)
		if err != nil || string(again) != string(v) {
			t.Fatalf("the verdict does not read back as it was written: %v", err)
		}
	})
}

// drawDossier makes a release with some things wrong.
func drawDossier(t *rapid.T, p *Policy) *record.Dossier {
	d := p.Example("high", noon)
	for range rapid.IntRange(0, 5).Draw(t, "mutations") {
		mutate(rapid.SampledFrom(mutations).Draw(t, "mutation").change, d)
	}
	return d
}

// mutate passes over a change that finds nothing left to change.
func mutate(change func(*record.Dossier), d *record.Dossier) {
	defer func() { _ = recover() }()
	change(d)
}

func TestRule05SeparationComputedFromLineage(t *testing.T) {
	all := strings.Replace(design, "[trainer, evaluator, code-author]", "[trainer, evaluator, code-author, data-steward, proposer]", 1)
	p := mustLoad(t, all)
	for _, c := range []struct{ who, as, why string }{
		{"tess", "trainer", "tess owns the workload pipeline, which trained the model (run acme/run-1)"},
		{"ed", "evaluator", "ed evaluated the model (e-"},
		{"cody", "code-author", "cody wrote the code (commit 0123456789ab of run acme/run-1)"},
		{"stella", "data-steward", "stella approved the dataset acme/cases@1"},
		{"pat", "proposer", "pat proposed the release"},
		{"ian", "trainer", "ian started the training run acme/run-1"},
	} {
		d := p.Example("high", noon)
		d.Runs[0].Record.Initiator = "ian"
		give(d, c.who, record.Risk)
		approvalOf(d, record.Risk).Actor = c.who
		expect(t, p, d, "approval/risk", record.Missing, c.why)
		expect(t, p, d, "approval/risk", record.Missing, "may not fill a seat (separation: "+c.as+")")
	}
	d := p.Example("high", noon)
	d.Version.Actor = "risk-1"
	expect(t, p, d, "approval/risk", record.Missing, "risk-1 recorded the model version acme/triage@2")
	d = p.Example("high", noon)
	d.Runs[0].Record.Code.Author = "Risk One <RISK-1@acme.example>"
	expect(t, p, d, "approval/risk", record.Missing, "risk-1 wrote the code")
}

func TestRule05OnePersonFillsOneSeat(t *testing.T) {
	p := mustLoad(t, strings.Replace(design, "role: risk,        count: 1", "role: risk,        count: 2", 1))
	d := p.Example("high", noon)
	give(d, "risk-1", record.ModelOwner)
	approvalOf(d, record.ModelOwner).Actor = "risk-1"
	expect(t, p, d, "approval/model-owner", record.Pass, "risk-1 approved")
	expect(t, p, d, "approval/risk", record.Missing, "1 of 2 seats of the role risk are empty: risk-1 already fills a seat as model-owner")
	// A third person frees risk-1 for the seat that nobody else can fill.
	give(d, "olga", record.ModelOwner)
	speak(d, "olga", record.ModelOwner, record.Approve, 70)
	if v := p.Evaluate(d, noon); !v.Passed {
		t.Errorf("a seating exists and was not found: %v", v.Blocking())
	}
}

func TestRule06ApprovalCoversWhatWasSeen(t *testing.T) {
	p := mustLoad(t, design)
	for _, part := range record.Parts {
		d := p.Example("high", noon)
		seen := d.ID
		d.ID, d.Digests.Parts = "r-000000000001", maps.Clone(d.Digests.Parts)
		d.Digests.Parts[part] = exampleDigest("another " + string(part))
		for _, s := range p.Tier("high").Approvals {
			gate := approvalPrefix + string(s.Role)
			if slices.Contains(s.Covers, part) && part != record.PartAuthority {
				expect(t, p, d, gate, record.Missing, "the approval by "+string(s.Role)+"-1 of "+seen+" is void since the "+string(part)+" changed")
			} else {
				expect(t, p, d, gate, record.Pass, "carried over from "+seen)
			}
		}
	}
	d := p.Example("high", noon)
	delete(approvalOf(d, record.Risk).Record.Parts, record.PartData)
	expect(t, p, d, "approval/risk", record.Missing, "the data was not covered")
}

func TestRule07LatestWordPerPersonCounts(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	speak(d, "risk-1", record.Risk, record.RequestChanges, 50)
	expect(t, p, d, "approval/risk", record.Fail, "risk-1 requested changes")
	expect(t, p, d, "approval/security", record.Pass, "")
	speak(d, "risk-1", record.Risk, record.Approve, 51)
	expect(t, p, d, "approval/risk", record.Pass, "")

	// One person's request blocks although another has approved, and although
	// it was made on an earlier release of the same parts.
	give(d, "rita", record.Risk)
	asked := speak(d, "rita", record.Risk, record.RequestChanges, 52)
	asked.Approval.Record.Release = "r-000000000002"
	expect(t, p, d, "approval/risk", record.Fail, "rita requested changes")
	asked.Approval.Record.Expires = noon.Add(-time.Hour)
	d.People["rita"].Roles[0].Revoked = true
	expect(t, p, d, "approval/risk", record.Fail, "rita requested changes")
	asked.Approval.Record.Parts[record.PartData] = exampleDigest("the data before")
	expect(t, p, d, "approval/risk", record.Pass, "")

	// A workload may comment only; what is said later does not count yet.
	d = p.Example("high", noon)
	speak(d, "pipeline", record.Risk, record.RequestChanges, 53)
	speak(d, "risk-1", record.Risk, record.RequestChanges, 54).Approval.Time = noon.Add(time.Minute)
	expect(t, p, d, "approval/risk", record.Pass, "")
}

// While nothing new is stated, a verdict that passes keeps passing until its
// Until, and no longer where that is not the verdict's own choice.
func TestRule08EverythingExpires(t *testing.T) {
	p := mustLoad(t, withContent)
	end := noon.Add(time.Hour)
	for i, lapses := range []func(d *record.Dossier) *time.Time{
		func(d *record.Dossier) *time.Time { return &approvalOf(d, record.Risk).Record.Expires },
		func(d *record.Dossier) *time.Time { return &d.Datasets[0].Approvals[0].Record.Expires },
		func(d *record.Dossier) *time.Time { return &d.Baselines[0].Until },
		func(d *record.Dossier) *time.Time { return &d.People["security-1"].Roles[0].Expires },
		func(d *record.Dossier) *time.Time { return &d.People["stella"].Roles[0].Expires },
	} {
		d := p.Example("high", noon)
		*lapses(d) = end
		v := p.Evaluate(d, noon)
		if before := p.Evaluate(d, end.Add(-time.Millisecond)); !v.Until.Equal(end) || !before.Passed || p.Evaluate(d, end).Passed {
			t.Errorf("case %d: until %s, passed before %t, passed then %t", i, v.Until, before.Passed, p.Evaluate(d, end).Passed)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := p.Example("high", noon)
		soon := func(what string) time.Time {
			return noon.Add(time.Duration(rapid.IntRange(1, 10_000).Draw(t, what)) * time.Minute)
		}
		ends := []*time.Time{&approvalOf(d, record.Risk).Record.Expires, &d.Datasets[0].Approvals[0].Record.Expires, &d.Baselines[0].Until, &d.People["security-1"].Roles[0].Expires}
		*rapid.SampledFrom(ends).Draw(t, "what lapses") = soon("when")
		for _, name := range []string{"model-owner-1", "stella"} {
			person := d.People[name]
			person.Principal.Expires = soon(name)
			d.People[name] = person
		}
		v := p.Evaluate(d, noon)
		if !v.Passed || !v.Until.After(noon) {
			t.Fatalf("passed %t until %s: %v", v.Passed, v.Until, v.Blocking())
		}
		within := noon.Add(time.Duration(rapid.Int64Range(0, int64(v.Until.Sub(noon))-1).Draw(t, "later")))
		if w := p.Evaluate(d, within); !w.Passed || !w.Until.Equal(v.Until) {
			t.Fatalf("at %s, before %s: passed %t until %s: %v", within, v.Until, w.Passed, w.Until, w.Blocking())
		}
		if w := p.Evaluate(d, v.Until); w.Passed {
			t.Fatalf("still passes at %s", v.Until)
		}
	})
}

func TestRule09AuthorityOnlyShrinksSilently(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	seen := d.ID
	d.Release.Record.Authority.Tools = nil
	refreeze(d)
	d.Line = d.Approvals[0].Approval.Record.Line
	expect(t, p, d, "approval/security", record.Pass, "carried over from "+seen+": authority and behaviour unchanged or narrower")

	d.Release.Record.Authority.Secrets = append(d.Release.Record.Authority.Secrets, record.Grant{Resource: "root-key", Actions: []string{"use"}})
	refreeze(d)
	expect(t, p, d, "approval/security", record.Missing, "the authority is wider: it may now use the secret root-key: use")
	// An approver who saw another authority than the ledger says does not count.
	d.Release.Record.Authority.Secrets = d.Release.Record.Authority.Secrets[:1]
	refreeze(d)
	approvalOf(d, record.Security).Record.Parts[record.PartAuthority] = exampleDigest("forged")
	expect(t, p, d, "approval/security", record.Missing, "the authority changed")
}

func TestRule12EveryRefusalIsActionable(t *testing.T) {
	p := mustLoad(t, withContent)
	rapid.Check(t, func(t *rapid.T) {
		for _, g := range p.Evaluate(drawDossier(t, p), noon).Gates {
			if !strings.HasPrefix(g.Rule, "Policy default, tier high: ") || !strings.HasSuffix(g.Reason, ".") {
				t.Fatalf("%s: rule %q, reason %q", g.Name, g.Rule, g.Reason)
			}
			if g.Result != record.Pass && g.Result != record.Waived && (len(g.Who) == 0 || !strings.HasPrefix(g.Do, "imprimatur ")) {
				t.Fatalf("%s is %s: nobody (%v) can do anything (%q)", g.Name, g.Result, g.Who, g.Do)
			}
		}
	})
}

func TestRule13SoloIsHonest(t *testing.T) {
	solo := strings.Replace(design, "mode: enforce ", "solo: true #", 1)
	p := mustLoad(t, solo)
	d := p.Example("high", noon)
	if v := p.Evaluate(d, noon); !v.Passed || slices.Contains(v.Marks, MarkNoIndependent) {
		t.Errorf("three independent people: passed %t, marks %v", v.Passed, v.Marks)
	}
	// olga trained the model and lasts no longer: she is left out where
	// independent people can fill every seat, and named where they cannot.
	d.Runs[0].Record.Initiator = "olga"
	give(d, "olga", record.ModelOwner)
	give(d, "model-owner-1", record.Risk)
	speak(d, "olga", record.ModelOwner, record.Approve, 60)
	speak(d, "model-owner-1", record.Risk, record.Approve, 61)
	approvalOf(d, record.Risk).Record.Expires = noon.Add(time.Hour)
	if v := p.Evaluate(d, noon); !v.Passed || slices.Contains(v.Marks, MarkNoIndependent) {
		t.Errorf("independent people for every seat: passed %t, marks %v", v.Passed, v.Marks)
	}
	approvalOf(d, record.Risk).Record.Expires = noon
	if v := p.Evaluate(d, noon); !v.Passed || !slices.Contains(v.Marks, MarkNoIndependent) {
		t.Errorf("the trainer is needed: passed %t, marks %v", v.Passed, v.Marks)
	}
	d = p.Example("high", noon)
	// One person does everything.
	for i := range d.Approvals {
		d.Approvals[i].Approval.Actor = "solo"
		give(d, "solo", d.Approvals[i].Approval.Record.Role)
	}
	if v := p.Evaluate(d, noon); !v.Passed || !slices.Contains(v.Marks, MarkNoIndependent) {
		t.Errorf("one person in three seats: passed %t, marks %v, %v", v.Passed, v.Marks, v.Blocking())
	}
	d = p.Example("high", noon)
	d.Runs[0].Record.Initiator = "risk-1"
	v := p.Evaluate(d, noon)
	if g := gateOf(t, v, "approval/risk"); !v.Passed || !slices.Contains(v.Marks, MarkNoIndependent) || !strings.Contains(g.Reason, "not independently: risk-1 started the training run") {
		t.Errorf("the trainer approves: passed %t, marks %v: %s", v.Passed, v.Marks, g.Reason)
	}
	d = p.Example("high", noon)
	d.Evaluations[0].Actor = "tess"
	if v := p.Evaluate(d, noon); !v.Passed || !slices.Contains(v.Marks, MarkNoIndependent) {
		t.Errorf("the trainer evaluates: passed %t, marks %v", v.Passed, v.Marks)
	}
	// Even alone, nobody approves what they did not see.
	d.Digests.Parts[record.PartBehaviour] = exampleDigest("another")
	if v := p.Evaluate(d, noon); v.Passed {
		t.Error("a changed behaviour passes")
	}
}

func TestWaivers(t *testing.T) {
	p := mustLoad(t, design)
	waiver := record.Exception{Type: record.Waiver, Gate: gateCode, ReviewBy: noon.AddDate(0, 1, 0)}
	for _, c := range []struct {
		name   string
		change func(d *record.Dossier)
		result record.Result
		reason string
	}{
		{"stands", func(*record.Dossier) {}, record.Waived, "Waived by risk-1 until 2026-06-08 12:00 UTC: an outage. Without the waiver it is fail: The run"},
		{"lapsed", func(d *record.Dossier) { d.Exceptions[0].Record.Expires = noon }, record.Fail, "it lapsed on"},
		{"not yet made", func(d *record.Dossier) { d.Exceptions[0].Time = noon.Add(time.Second) }, record.Fail, "differs from its commit"},
		{"of another gate", func(d *record.Dossier) { d.Exceptions[0].Record.Gate = gateRun }, record.Fail, "differs from its commit"},
		{"of another release", func(d *record.Dossier) { d.Exceptions[0].Record.Release = "r-000000000001" }, record.Fail, "differs from its commit"},
		{"of another record", func(d *record.Dossier) { d.Exceptions[0].Record.Record = exampleDigest("x") }, record.Fail, "differs from its commit"},
		{"without the role", func(d *record.Dossier) { d.Exceptions[0].Actor = "security-1" }, record.Fail, "security-1 does not hold the role risk"},
		{"by the trainer", func(d *record.Dossier) { d.Runs[0].Record.Initiator = "risk-1" }, record.Fail, "risk-1 started the training run"},
		{"by the proposer", func(d *record.Dossier) { d.Release.Actor = "risk-1" }, record.Fail, "risk-1 proposed the release"},
		{"upheld", func(d *record.Dossier) { review(d, "rita", record.Upheld) }, record.Waived, "Waived by risk-1"},
		{"reversed", func(d *record.Dossier) { review(d, "rita", record.Reversed) }, record.Fail, "its review reversed it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := p.Example("high", noon)
			d.Runs[0].Record.Code.Dirty = true
			except(d, waiver)
			c.change(d)
			expect(t, p, d, gateCode, c.result, c.reason)
			v := p.Evaluate(d, noon)
			if marked := slices.Contains(v.Marks, "waived: lineage/code"); marked != (c.result == record.Waived) {
				t.Errorf("marks %v", v.Marks)
			}
		})
	}
	d := p.Example("high", noon)
	d.Absent = []string{"everything"}
	except(d, record.Exception{Type: record.Waiver, Gate: gateKnown, ReviewBy: noon.AddDate(0, 1, 0)})
	expect(t, p, d, gateKnown, record.Missing, "everything")
}

func TestAdviceNeverBlocks(t *testing.T) {
	for _, c := range []struct {
		name, from, to, gate string
		change               func(d *record.Dossier)
		passed               bool
	}{
		{"tier", "mode: enforce ", "mode: advise ", "approval/risk", func(d *record.Dossier) { d.Approvals = nil }, true},
		{"gate", "minSamples: 500", "mode: advise", auc, func(d *record.Dossier) { counts(metricOf(d, "holdout"), 5, 10) }, false},
		{"what every tier blocks", "mode: enforce ", "mode: advise ", gateKnown, func(d *record.Dossier) { d.Absent = []string{"x"} }, false},
	} {
		p := mustLoad(t, strings.Replace(design, c.from, c.to, 1))
		d := p.Example("high", noon)
		c.change(d)
		if c.name == "gate" {
			d.Baselines, d.History = nil, nil
			c.passed = true
		}
		v := p.Evaluate(d, noon)
		if g := gateOf(t, v, c.gate); v.Passed != c.passed || g.Result == record.Pass {
			t.Errorf("%s: passed %t, %s is %s, %v", c.name, v.Passed, c.gate, g.Result, v.Blocking())
		}
		if c.passed && !slices.Contains(v.Marks, MarkAdvisory) {
			t.Errorf("%s: marks %v", c.name, v.Marks)
		}
	}
}
