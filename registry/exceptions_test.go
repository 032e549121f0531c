package registry_test

import (
	"slices"
	"testing"
	"time"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// glass passes over what blocks a release now.
func (h *house) glass(id, reason string, lasting time.Duration) registry.Glass {
	h.Helper()
	in := registry.Glass{Reason: reason, Lasting: lasting}
	for _, g := range h.check(id).Verdict.Blocking() {
		in.Gates = append(in.Gates, g.Name)
	}
	return in
}

const day = 24 * time.Hour

// unseen proposes a version that all but security have approved.
func (h *house) unseen(version string) wire.Case {
	h.Helper()
	c := h.incomplete(version)
	must[wire.Case](h)(h.approve(olga, record.ModelOwner, c))
	return must[wire.Case](h)(h.approve(rita, record.Risk, c))
}

func TestAWaiverIsForRiskAndForOthers(t *testing.T) {
	h := open(t)
	c := h.unseen("1")
	waive := func(who registry.Caller, gate string, lasting time.Duration) error {
		return only(h.reg.Waive(h.ctx, who, c.ID, gate, "the auditor is ill", lasting))
	}
	const gate = "approval/security"
	h.refused(waive(olga, gate, day), wire.Forbidden, "role risk")
	h.refused(waive(sam, gate, day), wire.Forbidden, "role risk")
	h.refused(waive(rita, gate, 91*day), wire.Invalid, "at most 2160 hours")
	h.refused(waive(rita, gate, 0), wire.Invalid, "more than nothing")
	h.refused(waive(rita, "approval/nobody", day), wire.Invalid, "has no gate")
	h.bind("ann", record.Risk) // owns the workload that trained, and proposed
	h.refused(waive(ann, gate, day), wire.Forbidden, "ann owns the workload robot", "another person with the role risk")
	h.bind("eve", record.Risk) // evaluated
	h.refused(waive(eve, gate, day), wire.Forbidden, "eve evaluated the model")
	pat := h.holder(record.Risk, record.AllTeams, record.Principal{Name: "pat"})
	h.bind("pat", record.ModelOwner)
	c = must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, pat, wire.Proposal{Version: "lab/net@1", UseCase: "lab/triage", Environment: "production", Authority: tools("mail"), Incomplete: true}))
	h.refused(waive(pat, gate, day), wire.Forbidden, "would not count", "pat proposed the release", "another person with the role risk")
	asWorkload := rita
	asWorkload.Type = record.Workload
	h.refused(waive(asWorkload, gate, day), wire.Forbidden, "is a workload")
	if n := h.count(record.KindException); n != 0 {
		t.Errorf("%d refused exceptions were kept", n)
	}
}

func TestAWaiverIsShownLapsesAndIsReversed(t *testing.T) {
	h := open(t)
	c := h.unseen("1")
	_, err := h.reg.Promote(h.ctx, olga, c.ID)
	h.refused(err, wire.Refused, "approval/security")
	const mark = "waived: approval/security"
	w := must[wire.Case](t)(h.reg.Waive(h.ctx, rita, c.ID, "approval/security", "the auditor is ill", 6*day))
	if g := h.gate(w.Verdict, "approval/security"); g.Result != record.Waived || !slices.Contains(w.Verdict.Marks, mark) {
		t.Fatalf("waived: %+v, marks %v", g, w.Verdict.Marks)
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	if d := h.allowed("1"); !slices.Contains(d.Marks, mark) {
		t.Errorf("the decision is marked %v", d.Marks)
	}
	if l := must[[]wire.LiveRelease](t)(h.reg.Live(h.ctx, rita, time.Time{})); len(l) != 1 || !slices.Contains(l[0].Marks, mark) {
		t.Errorf("live: %+v", l)
	}
	if r := h.verified(c.ID, h.clock.now()); !r.OK || !slices.Contains(r.Marks, mark) {
		t.Errorf("the bundle: %v %v", r.Marks, r.Reasons)
	}
	x := record.ExceptionID(w.Exceptions[0].Digest)
	_, err = h.reg.ReviewException(h.ctx, rita, x, record.Upheld, "mine")
	h.refused(err, wire.Forbidden, "rita made the exception", "another person with the role risk or auditor")
	h.bind("robot", record.Auditor)
	_, err = h.reg.ReviewException(h.ctx, robot, x, record.Upheld, "beep")
	h.refused(err, wire.Forbidden, "robot is a workload")
	ruth := h.holder(record.Risk, "lab", record.Principal{Name: "ruth"})
	must[record.Recorded[record.Review]](t)(h.reg.ReviewException(h.ctx, ruth, x, record.Reversed, "she was not ill"))
	h.forbidden("1", "approval/security", "its review reversed it")
	must[wire.Case](t)(h.reg.Waive(h.ctx, rita, c.ID, "approval/security", "now she is", 6*day))
	h.allowed("1")
	h.clock.turn(6 * day)
	h.forbidden("1", "approval/security", "lapsed")
	if c := h.check(c.ID); len(c.Exceptions) != 2 {
		t.Errorf("%d exceptions are shown for ever, want 2", len(c.Exceptions))
	}
}

func TestBrokenGlass(t *testing.T) {
	h := open(t)
	first := h.live("1")
	c := h.incomplete("2")
	h.shift("2")
	_, err := h.reg.BreakGlass(h.ctx, rita, c.ID, h.glass(c.ID, "r", time.Hour))
	h.refused(err, wire.Forbidden, "model-owner or security")
	_, err = h.reg.BreakGlass(h.ctx, ann, c.ID, h.glass(c.ID, "r", time.Hour))
	h.refused(err, wire.Forbidden, "ann owns the workload robot", "another person with the role model-owner or security")
	p := must[wire.Promoted](t)(h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "patients wait", 72*time.Hour)))
	if p.Promotion.Record.How != record.BrokeGlass || p.Promotion.Record.Replaces != first.ID || p.Case.Verdict.Passed || !p.Case.Stands {
		t.Errorf("promoted %+v, stands %v", p.Promotion.Record, p.Case.Stands)
	}
	if d := h.allowed("2"); !slices.Contains(d.Marks, policy.MarkBreakGlass) {
		t.Errorf("the decision is marked %v", d.Marks)
	}
	live := must[[]wire.LiveRelease](t)(h.reg.Live(h.ctx, rita, time.Time{}))
	if len(live) != 1 || live[0].How != record.BrokeGlass || !slices.Contains(live[0].Marks, policy.MarkBreakGlass) {
		t.Errorf("live: %+v", live)
	}
	if r := h.verified(c.ID, h.clock.now()); !r.OK || !slices.Contains(r.Marks, policy.MarkBreakGlass) {
		t.Errorf("the bundle: %v %v", r.Marks, r.Reasons)
	}
	in := h.nightly(c.ID)
	_, err = h.reg.ProposeEnvelope(h.ctx, ann, in)
	h.refused(err, wire.Refused, "glass was broken for the release "+c.ID, "no envelope is anchored to it")
	h.clock.turn(73 * time.Hour)
	h.forbidden("2", "the glass broken for "+c.ID+" lapsed")
	_, err = h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "still", time.Hour))
	h.refused(err, wire.Refused, "is not reviewed", "imprimatur release review "+p.Promotion.Record.Exception)
	must[record.Recorded[record.Review]](t)(h.reg.ReviewException(h.ctx, rita, p.Promotion.Record.Exception, record.Upheld, "it had to be"))
	// Glass broken again for what is live keeps what it replaced.
	p = must[wire.Promoted](t)(h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "still", time.Hour)))
	if p.Promotion.Record.Replaces != first.ID {
		t.Errorf("it replaces %q, want %s", p.Promotion.Record.Replaces, first.ID)
	}
	// Unreviewed, it blocks whatever comes next in the line, the rollback too.
	h.clock.turn(8 * day)
	_, err = h.reg.Rollback(h.ctx, olga, c.ID, "", "r")
	h.refused(err, wire.Refused, "reviews:", "was to be reviewed by", "somebody other than olga")
	must[record.Recorded[record.Review]](t)(h.reg.ReviewException(h.ctx, rita, p.Promotion.Record.Exception, record.Upheld, "it had to be"))
	back := must[wire.Promoted](t)(h.reg.Rollback(h.ctx, olga, c.ID, "", "r"))
	if back.Promotion.Record.Release != first.ID {
		t.Errorf("rolled back to %s, want %s", back.Promotion.Record.Release, first.ID)
	}
	h.allowed("1")
}

func TestBrokenGlassBringsNothingBack(t *testing.T) {
	h := open(t)
	c := h.live("1")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	_, err := h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "r", time.Hour))
	h.refused(err, wire.Refused, "is suspended", "--lift")
	_, err = h.reg.Promote(h.ctx, olga, c.ID)
	h.refused(err, wire.Refused, "is suspended", "--lift")
	must[wire.Case](t)(h.reg.Retire(h.ctx, olga, c.ID, "done"))
	_, err = h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "r", time.Hour))
	h.refused(err, wire.Refused, "is retired for good", "propose a new one")
	h.forbidden("1")
}

// TestRollBackFromWhatWasStopped is the usual order in an incident: stop it, then
// bring back what ran before.
func TestRollBackFromWhatWasStopped(t *testing.T) {
	h := open(t)
	h.shift("2")
	first := h.live("1")
	second := h.incomplete("2")
	for _, role := range seats {
		must[wire.Case](t)(h.approve(approver(role, "2"), role, second))
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, second.ID))
	_, err := h.reg.Rollback(h.ctx, olga, first.ID, "", "wrong one")
	h.refused(err, wire.Conflict, "is not the one that runs", second.ID)
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, second.ID, "incident", false))
	back := must[wire.Promoted](t)(h.reg.Rollback(h.ctx, olga, second.ID, "", "incident"))
	if got := back.Promotion.Record; got.Release != first.ID || got.How != record.Rollback {
		t.Errorf("rolled back by %+v, want to %s", got, first.ID)
	}
	h.allowed("1")
	h.forbidden("2")
}

// TestTheEnvironmentsWorkloadPromotes needs no role, and gets an answer.
func TestTheEnvironmentsWorkloadPromotes(t *testing.T) {
	h := open(t)
	c := h.ready("1")
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: "deployer", Type: record.Workload, Owner: "ann", Purpose: "deploys", Expires: record.Millis(h.clock.now().Add(day)),
	}))
	h.enrol("dora")
	deployer := registry.Caller{Name: "deployer", Type: record.Workload, Method: record.MethodToken}
	_, err := h.reg.Promote(h.ctx, deployer, c.ID)
	h.refused(err, wire.Forbidden, "deployer may not promote")
	must[record.Recorded[record.Environment]](t)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{
		Name: "production", LeastTier: "low", Policy: "house", Workloads: []string{"deployer", "dora"},
	}))
	_, err = h.reg.Promote(h.ctx, caller("dora"), c.ID)
	h.refused(err, wire.Forbidden, "dora may not promote") // a person takes the role
	narrow := deployer
	narrow.Scopes = []string{"contributor"}
	_, err = h.reg.Promote(h.ctx, narrow, c.ID)
	h.refused(err, wire.Forbidden)
	p := must[wire.Promoted](t)(h.reg.Promote(h.ctx, deployer, c.ID))
	if !p.Case.Stands || p.Case.ID != c.ID {
		t.Errorf("the answer is %+v", p.Case)
	}
	h.clock.turn(day)
	_, err = h.reg.Rollback(h.ctx, deployer, c.ID, "", "r")
	h.refused(err, wire.Forbidden, "deployer is disabled or has expired")
}
