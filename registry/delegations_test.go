package registry_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store"
	"imprimatur.dev/store/storetest"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

const leave = 14 * 24 * time.Hour

// lending is what somebody asks for who lends the role risk for all teams.
func (h *house) lending(to string) wire.DelegationRequest {
	return wire.DelegationRequest{To: to, Role: record.Risk, Team: record.AllTeams, Expires: h.clock.now().Add(leave), Reason: "on leave"}
}

func (h *house) lend(who registry.Caller, in wire.DelegationRequest) record.Delegation {
	h.Helper()
	return must[record.Recorded[record.Delegation]](h)(h.reg.Delegate(h.ctx, who, in)).Record
}

// TestRule08ADelegatesApprovalCountsUntilTheDelegationEnds has dora approve for
// rita, on both databases.
func TestRule08ADelegatesApprovalCountsUntilTheDelegationEnds(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { delegates(open(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { delegates(openOn(t, storetest.Postgres(t).DSN)) })
}

func delegates(h *house) {
	h.enrol("dora")
	dora := caller("dora")
	c := h.proposed("1")
	_, err := h.approve(dora, record.Risk, c)
	h.refused(err, wire.Forbidden, "dora may not approve as risk")

	later := h.lending("dora")
	later.Starts = h.clock.now().Add(time.Hour)
	h.lend(rita, later)
	_, err = h.approve(dora, record.Risk, c)
	h.refused(err, wire.Forbidden, "dora may not approve as risk") // it has not begun
	h.waitsAre(dora)
	h.clock.turn(2 * time.Hour)
	h.waitsAre(dora, "approve "+c.ID+" risk")
	if w := must[[]wire.Waiting](h)(h.reg.Waiting(h.ctx, dora)); !strings.Contains(w[0].Why, "dora holds the role risk for rita (delegated until 2026-05-15)") {
		h.Errorf("why it waits: %s", w[0].Why)
	}
	seat := must[registry.Inspection](h)(h.reg.InspectRelease(h.ctx, olga, c.ID, "")).Seats[1]
	if !slices.Contains(seat.Who, registry.Candidate{Name: "dora", For: "rita"}) || !slices.Contains(seat.Who, registry.Candidate{Name: "rita"}) {
		h.Errorf("the seat of risk may be filled by %+v", seat.Who)
	}
	got := must[wire.Case](h)(h.approve(dora, record.Risk, c))
	g := gateNamed(h, got, "approval/risk")
	if g.Result != record.Pass || !strings.Contains(g.Reason, "dora for rita (delegated until 2026-05-15) approved on") {
		h.Errorf("the seat of risk: %s: %s", g.Result, g.Reason)
	}
	live := must[wire.Promoted](h)(h.reg.Promote(h.ctx, olga, c.ID)).Case
	h.allowed("1")
	shown := must[[]wire.LiveRelease](h)(h.reg.Live(h.ctx, olga, time.Time{}))[0].Approvals
	if !slices.ContainsFunc(shown, func(a record.Recorded[record.Approval]) bool { return a.Actor == "dora" && a.Record.For == "rita" }) {
		h.Errorf("what is live shows %+v", shown)
	}
	h.verifies(live, h.clock.now(), "")
	h.isNeeded(live, record.KindDelegation)

	// It is taken back, and lapses: the approval counts no more, and is rita's to give.
	end := wire.DelegationRequest{To: "dora", Role: record.Risk, Team: record.AllTeams, Reason: "back early", Revoke: true}
	h.lend(rita, end)
	h.forbidden("1", "approval/risk", "dora approved for rita, whose delegation of the role risk for team lab does not stand now")
	h.waitsAre(dora)
	h.waitsAre(rita, "approve "+c.ID+" risk")
	h.verifies(live, h.clock.now(), "approval/risk")
	h.lend(rita, h.lending("dora"))
	h.allowed("1")
	before := h.clock.now()
	h.clock.turn(leave)
	h.forbidden("1", "approval/risk", "does not stand now")
	h.verifies(live, h.clock.now(), "approval/risk")
	h.verifies(live, before, "")
	must[store.Report](h)(h.reg.VerifyLedger(h.ctx))
}

func gateNamed(h *house, c wire.Case, name string) record.Gate {
	h.Helper()
	i := slices.IndexFunc(c.Verdict.Gates, func(g record.Gate) bool { return g.Name == name })
	if i < 0 {
		h.Fatalf("there is no gate %s", name)
	}
	return c.Verdict.Gates[i]
}

// verifies demands that a release stands at a time by its bundle alone, or that it
// does not for a reason that says something.
func (h *house) verifies(c wire.Case, at time.Time, says string) {
	h.Helper()
	b := must[*verify.Bundle](h)(h.reg.Bundle(h.ctx, olga, c.ID))
	trust := must[attest.Trust](h)(attest.ParseTrust([]byte(h.reg.VerifierKey() + "\n")))
	r := verify.Verify(b, trust, verify.Options{Environment: "production", At: at})
	if !r.Authentic || r.OK != (says == "") || !strings.Contains(strings.Join(r.Reasons, "; "), says) {
		h.Errorf("offline, authentic %v, ok %v, want a reason with %q: %q", r.Authentic, r.OK, says, r.Reasons)
	}
}

// isNeeded demands that the bundle of a release does not verify without any one
// statement of a kind, and that the reason names it.
func (h *house) isNeeded(c wire.Case, kind record.Kind) {
	h.Helper()
	b := must[*verify.Bundle](h)(h.reg.Bundle(h.ctx, olga, c.ID))
	trust := must[attest.Trust](h)(attest.ParseTrust([]byte(h.reg.VerifierKey() + "\n")))
	found := 0
	for i, e := range b.Entries {
		if s := must[record.Statement](h)(attest.DecodeStatement(e.Payload)); s.Body.Kind() != kind {
			continue
		}
		found++
		less := *b
		less.Entries = slices.Delete(slices.Clone(b.Entries), i, i+1)
		r := verify.Verify(&less, trust, verify.Options{At: h.clock.now()})
		if named := string(record.DigestOf(e.Payload)); r.OK || !strings.Contains(strings.Join(r.Reasons, "; "), named+", on which the verdict") {
			h.Errorf("without the %s %s: ok %v, %q", kind, named, r.OK, r.Reasons)
		}
	}
	if found == 0 {
		h.Errorf("the bundle holds no %s", kind)
	}
}

func TestOnlyWhatIsOnesOwnIsDelegated(t *testing.T) {
	h := open(t)
	h.enrol("dora")
	h.enrol("carl")
	with := func(change func(*wire.DelegationRequest)) wire.DelegationRequest {
		in := h.lending("dora")
		change(&in)
		return in
	}
	narrow := rita
	narrow.Scopes = []string{string(record.Security)}
	reads := rita
	reads.Scopes = []string{record.ScopeRead}
	size := h.size()
	for _, c := range []struct {
		name string
		who  registry.Caller
		in   wire.DelegationRequest
		code wire.Code
		says string
	}{
		{"for somebody else", sam, with(func(in *wire.DelegationRequest) { in.From = "rita" }), wire.Forbidden, "only rita may delegate what is theirs"},
		{"by an administrator", administrator, with(func(in *wire.DelegationRequest) { in.From = "rita" }), wire.Forbidden, "imprimatur principal bind dora --role risk"},
		{"without the role", sam, h.lending("dora"), wire.Forbidden, "sam may not delegate the role risk"},
		{"wider than one's own", sam, with(func(in *wire.DelegationRequest) { in.Role = record.Security }), wire.Forbidden, "sam may not delegate the role security"},
		{"by a narrow token", narrow, h.lending("dora"), wire.Forbidden, "limited to security"},
		{"by a token that reads", reads, h.lending("dora"), wire.Forbidden, "limited to read"},
		{"administrator", administrator, with(func(in *wire.DelegationRequest) { in.Role = record.Administrator }), wire.Invalid, "cannot be delegated"},
		{"to oneself", rita, h.lending("rita"), wire.Invalid, "the same person"},
		{"to a workload", rita, h.lending("robot"), wire.Invalid, "only people act for people"},
		{"to nobody", rita, h.lending("ghost"), wire.Invalid, "imprimatur principal enrol ghost"},
		{"by a workload", robot, with(func(in *wire.DelegationRequest) { in.Role, in.Team = record.Contributor, "lab" }), wire.Forbidden, "only people delegate"},
		{"for ever", rita, with(func(in *wire.DelegationRequest) { in.Expires = in.Expires.AddDate(1, 0, 0) }), wire.Invalid, "within 90 days"},
		{"without an end", rita, with(func(in *wire.DelegationRequest) { in.Expires = time.Time{} }), wire.Invalid, "expires is not given"},
		{"already over", rita, with(func(in *wire.DelegationRequest) { in.Expires = h.clock.now().Add(-time.Hour) }), wire.Invalid, "within 90 days"},
		{"without a reason", rita, with(func(in *wire.DelegationRequest) { in.Reason = "" }), wire.Invalid, "reason is empty"},
		{"taking back what is not", rita, with(func(in *wire.DelegationRequest) { in.Revoke = true }), wire.Unknown, "imprimatur principal show rita"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.TB = t
			h.refused(only(h.reg.Delegate(h.ctx, c.who, c.in)), c.code, c.says)
		})
	}
	h.TB = t
	if h.size() != size {
		t.Fatal("a refusal changed something")
	}
	d := h.lend(rita, with(func(in *wire.DelegationRequest) { in.Starts = time.Unix(1, 0) }))
	if d.From != "rita" || d.Starts.Before(h.clock.at.Add(-time.Minute)) {
		t.Errorf("it was stated as %+v", d)
	}
	// What was delegated cannot be delegated on; it gives its rights, and no others.
	h.refused(only(h.reg.Delegate(h.ctx, caller("dora"), h.lending("carl"))), wire.Forbidden, "cannot be delegated on; ask rita")
	second := record.UseCase{Team: "lab", Name: "second", Title: "S", Purpose: "s", Owner: "rita", Tier: "high", Environments: []string{"production"}}
	must[record.Recorded[record.UseCase]](t)(h.reg.RegisterUseCase(h.ctx, caller("dora"), second))
	h.refused(only(h.reg.BindRole(h.ctx, caller("dora"), record.Role{Principal: "dora", Role: record.Risk, Team: "lab"})), wire.Forbidden, "may not bind roles")
	me := must[wire.Myself](t)(h.reg.Me(h.ctx, caller("dora")))
	if len(me.Roles) != 0 || len(me.Delegations) != 1 || !me.Delegations[0].Stands {
		t.Errorf("dora is %+v", me)
	}
	// Others may not take it back; an administrator may.
	end := with(func(in *wire.DelegationRequest) { in.From, in.Revoke, in.Reason = "rita", true, "not needed" })
	h.refused(only(h.reg.Delegate(h.ctx, sam, end)), wire.Forbidden, "sam may not bind roles")
	if d := h.lend(administrator, end); !d.Revoked || d.From != "rita" {
		t.Errorf("it was ended as %+v", d)
	}
	h.refused(only(h.reg.RegisterUseCase(h.ctx, caller("dora"), second)), wire.Forbidden, "dora may not")
	if got := must[wire.Enrolled](t)(h.reg.Principal(h.ctx, administrator, "rita")).Delegations; len(got) != 0 {
		t.Errorf("rita still lends %+v", got)
	}
}

// TestRule05DelegatingEscapesNoSeparation has otto, who made the release, lend his
// roles to somebody who had no part in it.
func TestRule05DelegatingEscapesNoSeparation(t *testing.T) {
	h := open(t)
	otto := h.maker()
	h.enrol("dora")
	dora := caller("dora")
	model := h.trainBy(otto, "1", true, func(*record.Run) {})
	h.evaluate(model, 950)
	c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@1", UseCase: "lab/triage", Environment: "production", Incomplete: true}))
	in := h.lending("dora")
	for _, role := range seats {
		in.Role, in.Team = role, "lab"
		if role == record.Risk {
			in.Team = record.AllTeams
		}
		h.lend(otto, in)
		_, err := h.approve(dora, role, c)
		h.refused(err, wire.Forbidden, "otto trained the model", "and delegated the role to dora", "another person with the role "+string(role)+" can")
	}
	h.waitsAre(dora)
	_, err := h.reg.Waive(h.ctx, dora, c.ID, "approval/security", "hurry", time.Hour)
	h.refused(err, wire.Forbidden, "otto trained the model")
	_, err = h.reg.BreakGlass(h.ctx, dora, c.ID, h.glass(c.ID, "hurry", time.Hour))
	h.refused(err, wire.Forbidden, "otto trained the model")
	if n := h.count(record.KindApproval); n != 0 {
		t.Errorf("%d approvals were kept", n)
	}
	// Rita lends it too: then dora acts for her.
	h.lend(rita, h.lending("dora"))
	got := must[wire.Case](t)(h.approve(dora, record.Risk, c))
	if g := gateNamed(h, got, "approval/risk"); !strings.Contains(g.Reason, "dora for rita") {
		t.Errorf("the seat of risk: %s", g.Reason)
	}
	// An exception is reviewed by another hand than the one that made it.
	x := must[wire.Case](t)(h.reg.Waive(h.ctx, rita, c.ID, "approval/security", "for the test", time.Hour)).Exceptions[0]
	h.lend(otto, wire.DelegationRequest{To: "dora", Role: record.Risk, Team: record.AllTeams, Reason: "done", Revoke: true})
	_, err = h.reg.ReviewException(h.ctx, dora, record.ExceptionID(x.Digest), record.Upheld, "looked")
	h.refused(err, wire.Forbidden, "hold the role by one binding")
	h.waitsAre(dora)
	must[record.Recorded[record.Review]](t)(h.reg.ReviewException(h.ctx, otto, record.ExceptionID(x.Digest), record.Upheld, "looked"))
}

// TestOffboardingEndsDelegations sees off who lent, and who was lent to.
func TestOffboardingEndsDelegations(t *testing.T) {
	for _, leaver := range []string{"rita", "dora"} {
		h := open(t)
		h.enrol("dora")
		c := h.proposed("1")
		h.lend(rita, h.lending("dora"))
		must[wire.Case](t)(h.approve(caller("dora"), record.Risk, c))
		must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
		plan := h.offboards(leaver, wire.Offboarding{DryRun: true})
		if len(plan.Delegations) != 1 || plan.Delegations[0].From != "rita" || len(plan.Losses) != 1 || len(plan.Losses[0].Reasons) == 0 {
			t.Errorf("when %s leaves: %+v", leaver, plan)
		}
		h.allowed("1")
		h.offboards(leaver, wire.Offboarding{})
		h.forbidden("1", "approval/risk")
		// Who comes back does not bring it back.
		must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: leaver, Type: record.Human}))
		if leaver == "rita" {
			h.bind("rita", record.Risk)
		}
		h.forbidden("1", "approval/risk")
		if again := h.offboards(leaver, wire.Offboarding{DryRun: true}); len(again.Delegations) != 0 {
			t.Errorf("%s still has %+v", leaver, again.Delegations)
		}
	}
}
