package registry_test

import (
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// lapse is one thing that ends at an instant, and with it every release that
// rests on it.
type lapse struct {
	name string
	// until is when it ends, given when it began.
	until func(began time.Time) time.Time
	// change alters how the releases are made ready, so that they rest on it.
	change func(h *house, m *making, until time.Time)
	says   string
}

// making says how a release is made ready.
type making struct {
	data  time.Time // until when its data is approved
	words map[record.RoleName]time.Time
	skip  record.RoleName // does not approve
	after func(h *house, version string, c wire.Case)
}

func in20days(began time.Time) time.Time { return began.AddDate(0, 0, 20) }

var lapses = []lapse{
	{"data approval", in20days, func(_ *house, m *making, until time.Time) { m.data = until }, "the approval by bob lapsed"},
	{"approval", in20days, func(_ *house, m *making, until time.Time) { m.words[record.Risk] = until }, "lapsed on"},
	// The evaluations run at the hour at which the clock is set below.
	{"evaluation", func(began time.Time) time.Time { return began.AddDate(0, 0, 30) }, func(*house, *making, time.Time) {}, "evaluate again"},
	{"waiver", in20days, func(h *house, m *making, until time.Time) {
		m.skip = record.Security
		m.after = func(h *house, _ string, c wire.Case) {
			c = must[wire.Case](h)(h.reg.Waive(h.ctx, caller("ruth"), c.ID, "approval/security", "r", until.Sub(h.clock.peek())))
			for _, x := range c.Exceptions {
				must[record.Recorded[record.Review]](h)(h.reg.ReviewException(h.ctx, rita, record.ExceptionID(x.Digest), record.Upheld, "sound"))
			}
		}
	}, "does not count: it lapsed"},
	{"role of an approver", in20days, func(h *house, m *making, until time.Time) {
		m.after = func(h *house, version string, _ wire.Case) {
			h.rebind(record.Role{Principal: "security" + version, Role: record.Security, Team: "lab", Expires: until})
		}
	}, "does not hold the role security"},
	{"identity of an approver", in20days, func(h *house, m *making, until time.Time) {
		m.after = func(h *house, version string, _ wire.Case) {
			must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "security" + version, Type: record.Human, Expires: until}))
		}
	}, "does not hold the role security"},
	{"role of the steward", in20days, func(h *house, m *making, until time.Time) {
		m.after = func(h *house, _ string, _ wire.Case) {
			h.rebind(record.Role{Principal: "bob", Role: record.DataSteward, Team: "lab", Expires: until})
		}
	}, "bob, who approved it, does not hold the role data-steward"},
}

func (h *house) rebind(b record.Role) {
	h.Helper()
	must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, b))
}

// peek is the next reading of the clock.
func (c *clock) peek() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.Add(time.Millisecond)
}

func (h *house) make(version string, m making, began time.Time) wire.Case {
	h.Helper()
	h.shift(version)
	model := h.train(version, false)
	must[record.Recorded[record.DataApproval]](h)(h.reg.DecideData(h.ctx, bob, record.DataApproval{
		Dataset: digest("data " + version), Decision: record.Allow, Purposes: []string{"triage"}, Expires: m.data, Reason: "licensed",
	}))
	if h.clock.peek().Before(began) {
		h.clock.set(began)
	}
	h.evaluate(model, 950)
	c := must[wire.Case](h)(h.propose(version, record.Authority{}))
	for _, role := range seats {
		if role != m.skip {
			c = must[wire.Case](h)(h.reg.Approve(h.ctx, approver(role, version), wire.Word{
				Release: c.ID, Record: c.Digests.Record, Role: role, Decision: record.Approve, Reason: "seen", Expires: m.words[role],
			}))
		}
	}
	if m.after != nil {
		m.after(h, version, c)
	}
	return c
}

// TestRule08EverythingExpiresAtItsInstantOnEveryPath asks, just before and at the
// instant, every path that hands something out.
func TestRule08EverythingExpiresAtItsInstantOnEveryPath(t *testing.T) {
	for _, l := range lapses {
		t.Run(l.name, func(t *testing.T) {
			h := open(t)
			h.enrol("ruth", record.Risk)
			began := h.clock.peek().Add(time.Hour)
			// evaluate reads the clock for the registration of its data and as
			// the time at which it ran, which is what freshness counts from.
			ran := began.Add(time.Millisecond)
			until := l.until(ran)
			m := making{data: record.Millis(began.AddDate(0, 6, 0)), words: map[record.RoleName]time.Time{}}
			l.change(h, &m, until)
			running := must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, h.make("1", m, began).ID)).Case
			waiting := h.make("2", m, began)
			h.standsAt(until.Add(-time.Second), running, waiting, true, "")
			h.standsAt(until, running, waiting, false, l.says)
			h.again()
			h.standsAt(until, running, waiting, false, l.says)
		})
	}
}

func (h *house) standsAt(at time.Time, running, waiting wire.Case, want bool, says string) {
	h.Helper()
	h.clock.set(at)
	if want {
		h.allowed("1")
	} else {
		h.forbidden("1", says)
	}
	if c := h.check(running.ID); c.Stands != want || c.Verdict.Passed != want {
		h.Errorf("at %s CheckRelease says stands %v, passed %v: %v", at, c.Stands, c.Verdict.Passed, c.Reasons)
	}
	if r := h.verified(running.ID, at); r.OK != want {
		h.Errorf("at %s the bundle says %v: %v", at, r.OK, r.Reasons)
	}
	if !want {
		h.clock.turn(time.Second) // it was evaluated a moment later than the other
	}
	if c := h.check(waiting.ID); c.Verdict.Passed != want {
		h.Errorf("at %s the waiting release says %v: %v", at, c.Verdict.Passed, c.Verdict.Blocking())
	}
	if !want {
		_, err := h.reg.Promote(h.ctx, olga, waiting.ID)
		h.refused(err, wire.Refused, says)
		_, err = h.reg.Rollback(h.ctx, olga, running.ID, waiting.ID, "r")
		h.refused(err, wire.Refused, says)
	}
}

func TestRule08BrokenGlassEndsAtItsInstant(t *testing.T) {
	h := open(t)
	c := h.incomplete("1")
	p := must[wire.Promoted](t)(h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "patients wait", 48*time.Hour)))
	until := p.Promotion.Record.Until
	if got := until.Sub(p.Promotion.Time); got != 48*time.Hour {
		t.Fatalf("the glass is broken for %s, want 48 hours", got)
	}
	h.clock.set(until.Add(-time.Second))
	if d := h.allowed("1"); !d.Until.Equal(until) {
		t.Errorf("allowed until %s, want %s", d.Until, until)
	}
	if r := h.verified(c.ID, until.Add(-time.Millisecond)); !r.OK {
		t.Errorf("the bundle refuses before the instant: %v", r.Reasons)
	}
	h.clock.set(until)
	h.forbidden("1", "the glass broken for "+c.ID+" lapsed", "approval/risk")
	if r := h.verified(c.ID, until); r.OK {
		t.Error("the bundle allows at the instant")
	}
	if c := h.check(c.ID); c.Stands {
		t.Error("CheckRelease says that it stands at the instant")
	}
}

func TestRule08TokensAndIdentitiesEndAtTheirInstant(t *testing.T) {
	h := open(t)
	ends := func(who registry.Caller, principal string, at func(wire.IssuedToken) time.Time) {
		t.Helper()
		got := must[wire.IssuedToken](t)(h.reg.IssueToken(h.ctx, who, wire.TokenRequest{Principal: principal, Scopes: []string{"write"}, Seconds: 3600}))
		instant := at(got)
		h.clock.set(instant.Add(-time.Millisecond))
		if c, err := h.reg.Authenticate(h.ctx, got.Secret); err != nil || c.Name != principal {
			t.Errorf("before the instant the token of %s gives %v, %v", principal, c, err)
		}
		h.clock.set(instant)
		_, err := h.reg.Authenticate(h.ctx, got.Secret)
		h.refused(err, wire.SignIn, "IMPRIMATUR_TOKEN")
	}
	ends(ann, "ann", func(w wire.IssuedToken) time.Time { return w.Token.Record.Expires })
	soon := h.clock.peek().Add(30 * time.Minute)
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "robot", Type: record.Workload, Owner: "ann", Purpose: "trains", Expires: soon}))
	ends(ann, "robot", func(wire.IssuedToken) time.Time { return soon })
	h.clock.set(soon)
	_, err := h.reg.RecordRun(h.ctx, robot, record.Run{
		Team: "lab", ID: "late", Code: record.Code{Repository: "r", Commit: "abababababababababababababababababababab"},
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "d", Digest: digest("d")}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "m", Digest: digest("m")}}, Started: soon.AddDate(0, 0, -1), Finished: soon.AddDate(0, 0, -1),
	})
	h.refused(err, wire.Forbidden, "robot is disabled or has expired", "imprimatur principal enrol robot")
}

func TestRule08RolesEndAtTheirInstant(t *testing.T) {
	h := open(t)
	until := h.clock.peek().Add(time.Hour)
	h.rebind(record.Role{Principal: "sam", Role: record.Security, Team: "lab", Expires: until})
	c := h.incomplete("1")
	h.clock.set(until.Add(-time.Second))
	must[wire.Case](t)(h.approve(sam, record.Security, c))
	h.clock.set(until)
	_, err := h.approve(sam, record.Security, c)
	h.refused(err, wire.Forbidden, "sam may not approve as security for team lab", "--role security")
}
