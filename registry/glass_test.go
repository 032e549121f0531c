package registry_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/artifact"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// emergency is the authority of releases for which glass is broken.
func emergency() record.Authority {
	return record.Authority{
		Tools: []record.Grant{
			{Resource: "look-up", Actions: []string{"call"}, Limit: record.Limit{Calls: 3, Seconds: 3600}},
			{Resource: "delete", Actions: []string{"call"}},
		},
		APIs:      []record.Grant{{Resource: "crm.example/*", Actions: []string{"GET"}}},
		Secrets:   []record.Grant{{Resource: "crm-key", Actions: []string{"use", "read"}}},
		Workloads: []string{"scorer"},
	}
}

// unapproved proposes a version that nobody has approved, with that authority.
func (h *house) unapproved(version string) wire.Case {
	h.Helper()
	h.evaluate(h.train(version, true), 950)
	return must[wire.Case](h)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@" + version, UseCase: "lab/triage", Environment: "production", Authority: emergency(), Incomplete: true}))
}

func (h *house) smash(c wire.Case, lasting time.Duration, grants ...string) string {
	h.Helper()
	in := h.glass(c.ID, "patients wait", lasting)
	in.Grants = grants
	return must[wire.Promoted](h)(h.reg.BreakGlass(h.ctx, olga, c.ID, in)).Promotion.Record.Exception
}

// doors are the ways to what a release may have, each open or not.
func (h *house) doors(c wire.Case, secret string) map[string]bool {
	h.Helper()
	open := map[string]bool{}
	note := func(door string, err error) { open[door] = err == nil }
	open["deploy check"] = h.decide("1").Allowed
	_, d := h.reg.DecideRelease(h.ctx, "production", c.ID)
	open["admission"] = d.Allowed
	open["tool"] = h.ask(scorer, nil).Allowed
	open["API"] = h.ask(scorer, func(a *wire.Ask) { a.Kind, a.Resource, a.Action = "apis", "crm.example/x", "GET" }).Allowed
	found, err := h.reg.WhatMay(h.ctx, scorer, wire.Ask{Workload: "scorer", Kind: "apis", Resource: "crm.example/x"}, registry.AnyAction)
	open["search"] = err == nil && len(found) > 0
	_, err = h.reg.ReadSecret(h.ctx, scorer, "lab", "crm-key", wire.SecretAsk{})
	note("secret", err)
	_, err = h.reg.IssueAccess(h.ctx, h.shows("scorer"))
	note("new token", err)
	_, err = h.reg.VerifyAccess(h.ctx, shown(secret))
	note("token", err)
	f := follow.New(func(ctx context.Context, _ string, have record.Digest) (wire.Granted, error) {
		return h.reg.Granted(ctx, scorer, wire.Ask{}, have)
	}, "", time.Second, h.clock.peek)
	note("gateway asks", f.Ask(h.ctx))
	term, err := f.Stands()
	note("gateway", err)
	if err == nil {
		open["gateway lists the API"] = term.Grants().Reaches("apis", "crm.example/x", h.clock.peek())
	}
	if h.check(c.ID).Status != record.Proposed {
		open["bundle"] = h.verified(c.ID, h.clock.peek()).OK
	}
	return open
}

func (h *house) isOpen(what string, got map[string]bool, want ...string) {
	h.Helper()
	for door, open := range got {
		if open != slices.Contains(want, door) && door != "gateway asks" {
			h.Errorf("%s: the door %q is open: %v", what, door, open)
		}
	}
}

var every = []string{"deploy check", "admission", "tool", "API", "search", "secret", "new token", "token", "gateway", "gateway lists the API", "bundle"}

// glassHouse has a workload with an identity and a secret, and a release that
// nobody has approved.
func glassHouse(t *testing.T) (*house, wire.Case) {
	h := open(t)
	h.agent("scorer")
	h.identify("scorer", nil)
	h.setSecret("crm-key", value)
	return h, h.unapproved("1")
}

// A broken glass opens every door for its minutes, and none from the instant at
// which they are over: no token and no lease outlives it.
func TestBrokenGlassEndsAtEveryDoor(t *testing.T) {
	h, c := glassHouse(t)
	h.isOpen("before", h.doors(c, "x"))
	h.smash(c, 3*time.Minute)
	until := h.check(c.ID).Exceptions[0].Record.Expires
	got := h.access("scorer")
	h.isOpen("while it stands", h.doors(c, got.Secret), every...)
	if end := time.Unix(got.Access.Expires, 0); end.After(until) {
		t.Errorf("a token lasts until %s, and the glass until %s", end, until)
	}
	l := h.lease(0)
	if l.Until.After(until) {
		t.Errorf("a lease lasts until %s, and the glass until %s", l.Until, until)
	}
	h.clock.set(until)
	h.isOpen("after", h.doors(c, got.Secret))
	h.ended(l, "")
	h.forbidden("1", "the glass broken for "+c.ID+" lapsed")
}

// The review that reverses it ends it at once, long before its time.
func TestBrokenGlassEndsWhenItIsReversed(t *testing.T) {
	h, c := glassHouse(t)
	x := h.smash(c, 10*time.Hour)
	got, l := h.access("scorer"), h.lease(0)
	must[record.Recorded[record.Review]](t)(h.reg.ReviewException(h.ctx, rita, x, record.Reversed, "nobody waited"))
	h.isOpen("after the review", h.doors(c, got.Secret))
	h.ended(l, "its review reversed it")
	h.forbidden("1", "its review reversed it")
}

// Where it names grants, the workload has those and no others, at every door, and
// what it has used of them before counts.
func TestBrokenGlassOpensOnlyTheGrantsThatItNames(t *testing.T) {
	h, c := glassHouse(t)
	for _, role := range seats {
		must[wire.Case](t)(h.approve(map[record.RoleName]registry.Caller{record.ModelOwner: olga, record.Risk: rita, record.Security: sam}[role], role, c))
	}
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	whole := h.access("scorer")
	for range 2 {
		h.ask(scorer, nil)
	}
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
	h.forbidden("1", "lineage/datasets")
	h.smash(c, time.Hour, "tools/look-up")
	narrow := h.access("scorer")
	h.isOpen("with one grant", h.doors(c, narrow.Secret), "deploy check", "admission", "tool", "new token", "token", "gateway", "bundle")
	h.mayNot(h.ask(scorer, nil), "is spent") // three in an hour, whenever glass was broken
	h.mayNot(h.ask(scorer, func(a *wire.Ask) { a.Resource = "delete" }), "no grant of the release names the tool")
	h.untaken(whole.Secret, "its authority is another one")
	_, err := h.reg.IssueAccess(h.ctx, registry.AccessRequest{Claimed: h.shows("scorer").Claimed, Audience: []string{"crm.example/x"}})
	h.refused(err, wire.Forbidden, "grants neither the API")
	// The data is approved again: the release stands by its verdict, with all of it.
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Allow, Purposes: []string{"triage"}, Expires: record.Millis(h.clock.peek().AddDate(0, 1, 0)), Reason: "r"}))
	if got := must[wire.Granted](t)(h.reg.Granted(h.ctx, scorer, wire.Ask{}, "")); len(got.Only) > 0 {
		t.Errorf("only %q may be used", got.Only)
	}
	h.untaken(narrow.Secret, "its authority is another one")
}

// A gate that blocks later was not named, and stops the release.
func TestBrokenGlassPassesOverNoOtherGate(t *testing.T) {
	h, c := glassHouse(t)
	h.smash(c, 10*time.Hour)
	h.allowed("1")
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
	d := h.decide("1")
	h.no(d, "lineage/datasets:")
	if strings.Contains(strings.Join(d.Reasons, "\n"), "approval/") {
		t.Errorf("the gates that were passed over are reasons: %q", d.Reasons)
	}
}

// Nothing is opened by a glass that names too much, too little, or what is not
// there, or that lasts too long; or before the last one was reviewed.
func TestBrokenGlassNamesWhatItOpens(t *testing.T) {
	h, c := glassHouse(t)
	right := h.glass(c.ID, "patients wait", time.Hour)
	tried := func(change func(*registry.Glass)) error {
		in := right
		in.Gates = slices.Clone(right.Gates)
		change(&in)
		return only(h.reg.BreakGlass(h.ctx, olga, c.ID, in))
	}
	h.refused(tried(func(g *registry.Glass) { g.Gates = nil }), wire.Invalid, "is blocked by", "it names none", "--gate")
	h.refused(tried(func(g *registry.Glass) { g.Gates = g.Gates[1:] }), wire.Invalid, right.Gates[0])
	h.refused(tried(func(g *registry.Glass) { g.Gates = append(g.Gates, "lineage/datasets") }), wire.Invalid, "no other", "lineage/datasets")
	h.refused(tried(func(g *registry.Glass) { g.Gates = append(g.Gates, g.Gates[0]) }), wire.Invalid, "each gate")
	h.refused(tried(func(g *registry.Glass) { g.Grants = []string{"tools/page"} }), wire.Invalid, "no grant", "tools/look-up")
	h.refused(tried(func(g *registry.Glass) { g.Grants = []string{"tools/*"} }), wire.Invalid, "no grant")
	h.refused(tried(func(g *registry.Glass) { g.Lasting = policy.MaxBreakGlass + 1 }), wire.Invalid, "at most 72 hours")
	if n := h.count(record.KindException); n != 0 {
		t.Errorf("%d refused exceptions were kept", n)
	}
	h.refused(only(h.reg.BreakGlass(h.ctx, olga, h.live("2").ID, right)), wire.Conflict, "stands already")
	x := h.smash(c, time.Minute)
	h.clock.turn(time.Hour)
	h.refused(tried(func(*registry.Glass) {}), wire.Refused, "is not reviewed", "imprimatur release review "+x)
	must[record.Recorded[record.Review]](t)(h.reg.ReviewException(h.ctx, rita, x, record.Upheld, "they did wait"))
	h.smash(c, time.Minute)
}

// The policy says for how long at most, and whether at all.
func TestBrokenGlassIsBoundedByThePolicy(t *testing.T) {
	for says, want := range map[string]string{"30m": "at most 30m0s", "never": "at most 0s"} {
		h := open(t)
		strict := strings.Replace(rules, "    mode: enforce\n", "    mode: enforce\n    breakGlass: "+says+"\n", 1)
		must[wire.Published](t)(h.reg.PublishPolicy(h.ctx, rita, []byte(strict), "less"))
		c := h.incomplete("1")
		h.refused(only(h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "r", 31*time.Minute))), wire.Invalid, want)
		err := only(h.reg.BreakGlass(h.ctx, olga, c.ID, h.glass(c.ID, "r", 30*time.Minute)))
		if (err == nil) != (says == "30m") {
			t.Errorf("%s: 30 minutes: %v", says, err)
		}
	}
}

// An alias that means an environment, and the bytes behind it, follow the glass.
func TestBrokenGlassEndsForAliases(t *testing.T) {
	h := open(t)
	must[record.Recorded[record.Environment]](t)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{
		Name: "production", LeastTier: "low", Policy: "house", Aliases: []string{"champion"}, Workloads: []string{"robot"},
	}))
	model := h.train("1", true)
	h.with(func(context.Context, record.RegisteredVersion) (registry.Hashed, error) {
		return registry.Hashed{Manifest: artifact.Manifest{Files: []artifact.File{{Path: "model.safetensors", SHA256: model.Hex(), Size: 10}}}}, nil
	})
	h.name("other")
	h.number("other", "s3://lab/other")
	bytes := h.version("other", 1).Artifact
	now := record.Millis(h.clock.now())
	must[record.Recorded[record.Run]](t)(h.reg.RecordRun(h.ctx, robot, record.Run{
		Team: "lab", ID: "run-other", Code: record.Code{Repository: "https://lab.example/net", Commit: strings.Repeat("ab", 20)},
		Inputs:  []record.Resource{{Type: record.ResourceDataset, Name: "data", Digest: digest("data 1")}},
		Outputs: []record.Resource{{Type: record.ResourceModel, Name: "net", Digest: bytes}}, Started: now.Add(-time.Hour), Finished: now.Add(-time.Minute),
	}))
	h.evaluate(bytes, 950)
	c := must[wire.Case](t)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/other@1", UseCase: "lab/triage", Environment: "production", Incomplete: true}))
	alias := func() error { return h.reg.SetAlias(h.ctx, olga, "lab", "other", "champion", 1) }
	h.refused(alias(), wire.Refused, "approval/risk")
	h.smash(c, time.Minute)
	if err := alias(); err != nil {
		t.Errorf("while it stands: %v", err)
	}
	if err := only2(h.reg.HandOut(h.ctx, robot, "lab", "other", 1)); err != nil {
		t.Errorf("while it stands: %v", err)
	}
	h.clock.turn(time.Minute)
	h.refused(only2(h.reg.HandOut(h.ctx, robot, "lab", "other", 1)), wire.Refused, "lapsed")
	h.refused(alias(), wire.Refused, "approval/risk")
}
