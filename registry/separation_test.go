package registry_test

import (
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// TestRule05WhoMadeItFillsNoSeat has somebody take part in a release in each way
// there is, and then approve it.
func TestRule05WhoMadeItFillsNoSeat(t *testing.T) {
	initiated := func(r *record.Run) { r.Initiator = "otto" }
	wrote := func(author string) func(*record.Run) { return func(r *record.Run) { r.Code.Author = author } }
	nothing := func(*record.Run) {}
	for _, x := range []struct {
		name   string
		change func(*record.Run)
		train  string
		says   string
	}{
		{"ran the training", nothing, "otto", "trained the model"},
		{"owns what trained", nothing, "machine", "owns the workload machine, which trained the model"},
		{"started the training", initiated, "robot", "started the training run lab/run-1"},
		{"wrote the code, by name", wrote("otto"), "robot", "wrote the code"},
		{"wrote the code, by address", wrote("otto@lab.example"), "robot", "wrote the code"},
		{"wrote the code, by both", wrote("Otto Maker <otto@lab.example>"), "robot", "wrote the code"},
		{"evaluated it", nothing, "robot", "evaluated the model"},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := open(t)
			otto := h.maker()
			who := caller(x.train)
			model := h.trainBy(who, "1", true, x.change)
			h.evaluateAs(eve, model, 950)
			if x.name == "evaluated it" {
				h.evaluateAs(otto, model, 955)
			}
			c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@1", UseCase: "lab/triage", Environment: "production", Incomplete: true}))
			for _, role := range seats {
				_, err := h.approve(otto, role, c)
				h.refused(err, wire.Forbidden, "otto", x.says, "another person with the role "+string(role)+" can")
			}
			if n := h.count(record.KindApproval); n != 0 {
				t.Errorf("%d approvals were kept", n)
			}
			for who, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
				must[wire.Case](t)(h.approve(caller(who), role, c))
			}
			if got := h.approvals(h.check(c.ID)); got[record.Risk] != record.Pass {
				t.Errorf("the approvals of others: %v", got)
			}
		})
	}
}

// maker enrols otto, who holds every role that approves, and trains, and owns a
// workload that trains.
func (h *house) maker() registry.Caller {
	h.Helper()
	p := record.Principal{Name: "otto", Type: record.Human, Emails: []string{"otto@lab.example"}}
	must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, p))
	for _, role := range []record.RoleName{record.Contributor, record.Evaluator, record.ModelOwner, record.Risk, record.Security} {
		h.bind("otto", role)
	}
	must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: "machine", Type: record.Workload, Owner: "otto", Purpose: "trains", Expires: record.Millis(h.clock.now().AddDate(1, 0, 0)),
	}))
	h.bind("machine", record.Contributor)
	return caller("otto")
}

// TestRule05WhatComesOutLaterVoids approves before it is known that the approver
// wrote the code.
func TestRule05WhatComesOutLaterVoids(t *testing.T) {
	h := open(t)
	model := h.trainBy(robot, "1", true, func(r *record.Run) { r.Code.Author = "Sam <Sam@Lab.example>" })
	h.evaluate(model, 950)
	c := must[wire.Case](t)(h.propose("1", record.Authority{}))
	for who, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](t)(h.approve(caller(who), role, c))
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	h.allowed("1")
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "sam", Type: record.Human, Emails: []string{"sam@lab.example"}}))
	h.forbidden("1", "approval/security", "sam wrote the code")
}

func TestRule05OnePersonFillsOneSeat(t *testing.T) {
	h := open(t)
	c := h.incomplete("1")
	h.bind("olga", record.Risk)
	h.bind("olga", record.Security)
	for _, role := range seats {
		must[wire.Case](t)(h.approve(olga, role, c))
	}
	if v := h.check(c.ID).Verdict; len(v.Blocking()) != 2 || v.Passed {
		t.Errorf("one person leaves %d seats empty, want 2", len(v.Blocking()))
	}
	_, err := h.reg.Promote(h.ctx, olga, c.ID)
	h.refused(err, wire.Refused, "olga already fills a seat as")
	// Two more people free olga for the seat that is left, whichever it is.
	must[wire.Case](t)(h.approve(rita, record.Risk, c))
	must[wire.Case](t)(h.approve(sam, record.Security, c))
	if v := h.check(c.ID).Verdict; !v.Passed {
		t.Errorf("three people for three seats: %v", v.Blocking())
	}
}

func TestRule05NoWorkloadApproves(t *testing.T) {
	h := open(t)
	c := h.incomplete("1")
	h.bind("robot", record.Auditor)
	h.bind("robot", record.Evaluator)
	for _, role := range []record.RoleName{record.Auditor, record.Evaluator} {
		_, err := h.approve(robot, role, c)
		h.refused(err, wire.Forbidden, "robot is a workload", "only people approve")
	}
	_, err := h.reg.BindRole(h.ctx, administrator, record.Role{Principal: "robot", Role: record.Risk, Team: "lab"})
	h.refused(err, wire.Invalid, "only people do")
	if n := h.count(record.KindApproval); n != 0 {
		t.Errorf("%d approvals were kept", n)
	}
}

// TestRule05APolicyNobodyCanSatisfyIsNotPublished asks for more people than there are.
func TestRule05APolicyNobodyCanSatisfyIsNotPublished(t *testing.T) {
	h := open(t)
	text := []byte("apiVersion: imprimatur/v1\nkind: Policy\nname: crowd\ntiers:\n  high:\n    approvals:\n      - { role: security, count: 3, covers: [behaviour] }\n")
	_, err := h.reg.PublishPolicy(h.ctx, rita, text, "more eyes")
	h.refused(err, wire.Refused, "nobody is left for", "security", "Bind the role to more people")
	if n := h.count(record.KindPolicy); n != 1 {
		t.Errorf("%d policies stand, want the one of the house", n)
	}
}
