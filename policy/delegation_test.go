package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
)

// lend delegates a role from one person of the example to another, until a week
// from noon.
func lend(d *record.Dossier, from, to string, role record.RoleName) *record.Delegated {
	p := d.People[to]
	p.Principal.Name, p.Principal.Type = to, record.Human
	p.Delegated = append(p.Delegated, record.Delegated{
		Delegation: record.Delegation{From: from, To: to, Role: role, Team: exampleTeam, Starts: noon.Add(-day), Expires: noon.Add(7 * day), Reason: "on leave"},
		From:       d.People[from],
	})
	d.People[to] = p
	return &d.People[to].Delegated[len(p.Delegated)-1]
}

// speakFor appends what somebody says for another.
func speakFor(d *record.Dossier, actor, whose string, role record.RoleName, decision string, index int64) *record.Approval {
	x := &speak(d, actor, role, decision, index).Approval.Record
	x.For, x.Lent = whose, noon.Add(7*day)
	return x
}

// lent is the example with the seat of risk filled by dora, for risk-1.
func lent(p *Policy) *record.Dossier {
	d := p.Example("high", noon)
	lend(d, "risk-1", "dora", record.Risk)
	a := approvalOf(d, record.Risk)
	a.Actor, a.Record.For, a.Record.Lent = "dora", "risk-1", noon.Add(7*day)
	return d
}

func TestRule08ADelegationCountsWhileItStands(t *testing.T) {
	p := mustLoad(t, design)
	for _, c := range []struct {
		name   string
		change func(d *record.Dossier, l *record.Delegated)
		passes bool
		reason string
	}{
		{"it stands", func(*record.Dossier, *record.Delegated) {}, true, "dora for risk-1 (delegated until 2026-06-08) approved on"},
		{"not begun", func(_ *record.Dossier, l *record.Delegated) { l.Delegation.Starts = noon.Add(time.Minute) }, false, "whose delegation of the role risk"},
		{"lapsed", func(_ *record.Dossier, l *record.Delegated) { l.Delegation.Expires = noon }, false, "dora approved for risk-1, whose delegation of the role risk for team acme does not stand now"},
		{"taken back", func(_ *record.Dossier, l *record.Delegated) { l.Delegation.Revoked = true }, false, "does not stand now"},
		{"of another team", func(_ *record.Dossier, l *record.Delegated) { l.Delegation.Team = "other" }, false, "does not stand now"},
		{"the delegator lost the role", func(_ *record.Dossier, l *record.Delegated) { l.From.Roles[0].Revoked = true }, false, "does not stand now"},
		{"the delegator's role lapsed", func(_ *record.Dossier, l *record.Delegated) { l.From.Roles[0].Expires = noon }, false, "does not stand now"},
		{"the delegator left", func(_ *record.Dossier, l *record.Delegated) { l.From.Principal.Disabled = true }, false, "does not stand now"},
		{"the delegator holds it by delegation", func(d *record.Dossier, l *record.Delegated) {
			l.From.Delegated = []record.Delegated{{Delegation: l.Delegation, From: d.People["rita"]}}
			l.From.Delegated[0].Delegation.To, l.From.Roles = "risk-1", nil
		}, false, "does not stand now"},
		{"the delegate left", func(d *record.Dossier, _ *record.Delegated) {
			dora := d.People["dora"]
			dora.Principal.Disabled = true
			d.People["dora"] = dora
		}, false, "does not stand now"},
		{"removed", func(d *record.Dossier, _ *record.Delegated) {
			dora := d.People["dora"]
			dora.Delegated = nil
			d.People["dora"] = dora
		}, false, "does not stand now"},
		{"a binding of one's own is another", func(d *record.Dossier, l *record.Delegated) {
			l.Delegation.Revoked = true
			give(d, "dora", record.Risk)
		}, false, "does not stand now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := lent(p)
			c.change(d, &d.People["dora"].Delegated[0])
			want := map[bool]record.Result{true: record.Pass, false: record.Missing}[c.passes]
			expect(t, p, d, "approval/risk", want, c.reason)
		})
	}
	d := lent(p)
	end := d.People["dora"].Delegated[0].Delegation.Expires
	if v := p.Evaluate(d, noon); !v.Passed || !v.Until.Equal(end) || !p.Evaluate(d, end.Add(-time.Millisecond)).Passed || p.Evaluate(d, end).Passed {
		t.Errorf("passes %t until %s, want until %s", v.Passed, v.Until, end)
	}
}

// Whoever may fill no seat lends nobody one (rule 5).
func TestRule05ADelegateInheritsWhatBarsTheDelegator(t *testing.T) {
	all := strings.Replace(design, "[trainer, evaluator, code-author]", "[trainer, evaluator, code-author, data-steward, proposer]", 1)
	p := mustLoad(t, all)
	for _, c := range []struct{ who, as string }{{"tess", "trainer"}, {"ed", "evaluator"}, {"cody", "code-author"}, {"stella", "data-steward"}, {"pat", "proposer"}} {
		d := p.Example("high", noon)
		give(d, c.who, record.Risk)
		lend(d, c.who, "dora", record.Risk)
		a := approvalOf(d, record.Risk)
		a.Actor, a.Record.For = "dora", c.who
		expect(t, p, d, "approval/risk", record.Missing, "may not fill a seat (separation: "+c.as+"), and delegated the role to dora")
		if as, why := p.Acts(d, d.People["dora"], record.Risk, noon); as.For != c.who || !strings.Contains(why, c.as) {
			t.Errorf("dora acts for %q: %q", as.For, why)
		}
		// Another delegator frees her, and so does a binding of her own.
		lend(d, "risk-1", "dora", record.Risk)
		if as, why := p.Acts(d, d.People["dora"], record.Risk, noon); as.For != "risk-1" || why != "" {
			t.Errorf("dora acts for %q: %q", as.For, why)
		}
		give(d, "dora", record.Risk)
		if as, why := p.Acts(d, d.People["dora"], record.Risk, noon); as != (record.Holding{}) || why != "" {
			t.Errorf("dora acts for %q: %q", as.For, why)
		}
	}
	// A steward's delegate approved the data, so the steward reviews no release of it.
	d := p.Example("high", noon)
	lend(d, "stella", "dora", record.DataSteward)
	d.Datasets[0].Approvals[0].Actor = "dora"
	give(d, "stella", record.Risk)
	approvalOf(d, record.Risk).Actor = "stella"
	expect(t, p, d, "approval/risk", record.Missing, "stella delegated the role to dora, who approved the dataset acme/cases@1")
	// In a solo tier the trainer's delegate counts, and is no independent approval.
	solo := mustLoad(t, strings.Replace(design, "mode: enforce ", "solo: true #", 1))
	d = lent(solo)
	d.Runs[0].Record.Initiator = "risk-1"
	if v := solo.Evaluate(d, noon); !v.Passed || !slices.Contains(v.Marks, MarkNoIndependent) {
		t.Errorf("passed %t, marks %v", v.Passed, v.Marks)
	}
}

func TestRule05ADelegationFillsOneSeatWithItsDelegator(t *testing.T) {
	p := mustLoad(t, strings.Replace(design, "role: risk,        count: 1", "role: risk,        count: 2", 1))
	d := p.Example("high", noon)
	d.Approvals = slices.DeleteFunc(d.Approvals, func(a record.ApprovalFacts) bool { return a.Approval.Actor == "risk-2" })
	lend(d, "risk-1", "dora", record.Risk)
	speakFor(d, "dora", "risk-1", record.Risk, record.Approve, 70)
	expect(t, p, d, "approval/risk", record.Missing, "1 of 2 seats of the role risk are empty: risk-1 already fills a seat as risk, and lends dora no second one")
	if p.Needs(d, d.People["dora"], record.Risk, noon) {
		t.Error("dora is asked for an approval that fills no seat")
	}
	// Nor a seat in another role: one person fills one.
	q := mustLoad(t, design)
	d = lent(q)
	give(d, "dora", record.Security)
	approvalOf(d, record.Security).Actor = "dora"
	if v := q.Evaluate(d, noon); v.Passed || len(v.Blocking()) != 1 {
		t.Errorf("dora fills two seats: %v", v.Blocking())
	}
	d = lent(q)
	give(d, "risk-1", record.Security)
	approvalOf(d, record.Security).Actor = "risk-1"
	if v := q.Evaluate(d, noon); v.Passed || len(v.Blocking()) != 1 {
		t.Errorf("risk-1 fills two seats: %v", v.Blocking())
	}
	// Whoever speaks for themselves is seated first.
	d = lent(q)
	give(d, "dora", record.Risk)
	speak(d, "rita", record.Risk, record.Approve, 71)
	expect(t, q, d, "approval/risk", record.Pass, "rita approved on")
}

// What somebody says themselves takes the place of what was said for them before,
// so that a delegate's request for changes does not outlive the delegation.
func TestRule07TheDelegatorsOwnWordIsTheLater(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	lend(d, "risk-1", "dora", record.Risk)
	speakFor(d, "dora", "risk-1", record.Risk, record.RequestChanges, 70)
	expect(t, p, d, "approval/risk", record.Fail, "dora for risk-1 (delegated until 2026-06-08) requested changes")
	expect(t, p, d, "approval/risk", record.Fail, "This blocks until dora or risk-1 speaks again")
	d.People["dora"].Delegated[0].Delegation.Revoked = true
	expect(t, p, d, "approval/risk", record.Fail, "dora for risk-1")
	speak(d, "risk-1", record.Risk, record.Approve, 71)
	expect(t, p, d, "approval/risk", record.Pass, "risk-1 approved on")
	// The delegate's word takes back nothing of the delegator's.
	d = p.Example("high", noon)
	lend(d, "risk-1", "dora", record.Risk)
	speak(d, "risk-1", record.Risk, record.RequestChanges, 70)
	speakFor(d, "dora", "risk-1", record.Risk, record.Approve, 71)
	expect(t, p, d, "approval/risk", record.Fail, "risk-1 requested changes")
}

func TestAWaiverByADelegateIsBarredAsTheDelegatorIs(t *testing.T) {
	p := mustLoad(t, design)
	for _, c := range []struct {
		proposer string
		result   record.Result
		reason   string
	}{
		{"pat", record.Waived, "Waived by dora"},
		{"risk-1", record.Fail, "risk-1 proposed the release, and delegated the role to dora"},
		{"dora", record.Fail, "dora proposed the release"},
	} {
		d := p.Example("high", noon)
		d.Runs[0].Record.Code.Dirty = true
		lend(d, "risk-1", "dora", record.Risk)
		except(d, record.Exception{Type: record.Waiver, Gate: gateCode, ReviewBy: noon.AddDate(0, 1, 0)})
		d.Exceptions[0].Actor, d.Release.Actor = "dora", c.proposer
		expect(t, p, d, gateCode, c.result, c.reason)
	}
}

// A policy that only delegates could satisfy is not satisfiable.
func TestDelegationsSatisfyNoPolicy(t *testing.T) {
	p := mustLoad(t, strings.Replace(design, "role: risk,        count: 1", "role: risk,        count: 3", 1))
	d := p.Example("high", noon)
	var people []record.Person
	for _, name := range []string{"model-owner-1", "risk-1", "rita", "security-1"} {
		people = append(people, d.People[name])
	}
	lend(d, "risk-1", "dora", record.Risk)
	people = append(people, d.People["dora"])
	if problems, _ := Satisfiable(p, people, exampleTeam, noon); len(problems) != 1 || !strings.Contains(problems[0], "nobody is left for the seat of risk") {
		t.Errorf("%q", problems)
	}
	give(d, "dora", record.Risk)
	people[4] = d.People["dora"]
	if problems, _ := Satisfiable(p, people, exampleTeam, noon); len(problems) != 0 {
		t.Errorf("%q", problems)
	}
}
