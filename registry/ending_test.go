package registry_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// doorsOf are all at which a workload gets something for its release; each returns
// nil where it is let in.
func (h *house) doorsOf(token, access string) map[string]func() error {
	answered := func(a wire.Answer, err error) error {
		if err == nil && !a.Allowed {
			return errString(strings.Join(a.Reasons, "; "))
		}
		return err
	}
	call := wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"}
	return map[string]func() error{
		"the deploy check": func() error {
			if d := h.decide("1"); !d.Allowed {
				return errString(strings.Join(d.Reasons, "; "))
			}
			return nil
		},
		"a decision, asked by a gateway": func() error { return answered(h.reg.Authorize(h.ctx, rita, call)) },
		"a decision, asked by itself":    func() error { return answered(h.reg.Authorize(h.ctx, scorer, call)) },
		"what a gateway lists": func() error {
			got, err := h.reg.Granted(h.ctx, rita, wire.Ask{Workload: "scorer"}, "")
			if err == nil && !got.Stands {
				return errString(strings.Join(got.Reasons, "; "))
			}
			return err
		},
		"a search for what it may": func() error {
			got, err := h.reg.WhatMay(h.ctx, rita, call, registry.AnyWorkload)
			if err == nil && len(got) == 0 {
				return errString("nothing")
			}
			return err
		},
		"its token": func() error { return only(h.reg.Authenticate(h.ctx, token)) },
		"the exchange of its token": func() error {
			return only(h.reg.IssueAccess(h.ctx, registry.AccessRequest{Claimed: registry.Claimed{Secret: token}}))
		},
		"the exchange of what its platform vouches for": func() error { return only(h.reg.IssueAccess(h.ctx, h.shows("scorer"))) },
		"its access token": func() error { return only(h.reg.VerifyAccess(h.ctx, shown(access))) },
		"the introspection of its access token": func() error {
			_, good, err := h.reg.Introspect(h.ctx, rita, access)
			if err == nil && !good {
				return errString("not active")
			}
			return err
		},
		"a secret": func() error { return only(h.reg.ReadSecret(h.ctx, scorer, "lab", "crm-key", wire.SecretAsk{})) },
	}
}

type errString string

func (e errString) Error() string { return string(e) }

// employed is a workload with everything that one can have, at work.
func (h *house) employed() (c wire.Case, token, access string, lease *registry.Lease) {
	h.Helper()
	h.agent("scorer")
	h.identify("scorer", nil)
	h.setSecret("crm-key", value)
	a := scoring("scorer")
	a.Secrets = []record.Grant{{Resource: "crm-key", Actions: []string{"use", "read"}}}
	c = h.liveWith("1", a)
	token, access, lease = h.token("scorer", time.Hour).Secret, h.access("scorer").Secret, h.lease(0)
	for name, door := range h.doorsOf(token, access) {
		if err := door(); err != nil {
			h.Fatalf("%s: %v", name, err)
		}
	}
	return c, token, access, lease
}

// locked demands that a workload gets nothing more, at once, and after a restart.
func (h *house) locked(token, access string, lease *registry.Lease, but ...string) {
	h.Helper()
	if lease.Context().Err() == nil || lease.Value() != nil {
		h.Errorf("the secret is lent still: %v", context.Cause(lease.Context()))
	}
	for range 2 {
		for name, door := range h.doorsOf(token, access) {
			if err := door(); (err == nil) != strings.Contains(strings.Join(but, ","), name) {
				h.Errorf("%s: %v", name, err)
			}
		}
		h.again()
	}
}

// appended are the statements that were appended from an index on.
func (h *house) appended(from int64) (out []record.Statement) {
	h.Helper()
	for _, raw := range must[[][]byte](h)(h.reg.Payloads(h.ctx))[from:] {
		out = append(out, must[record.Statement](h)(attest.DecodeStatement(raw)))
	}
	return out
}

// TestARetirementTakesTokensAndGrantsInOneStep retires a release. All is stated at
// one time in one append, which is there whole or not at all.
func TestARetirementTakesTokensAndGrantsInOneStep(t *testing.T) {
	h := open(t)
	c, token, access, lease := h.employed()
	if err := h.reg.SealDecisions(h.ctx); err != nil {
		t.Fatal(err)
	}
	from := must[int64](t)(h.reg.Size(h.ctx))
	must[wire.Case](t)(h.reg.Retire(h.ctx, olga, c.ID, "over"))
	stated := h.appended(from)
	if len(stated) != 3 {
		t.Fatalf("%d statements", len(stated))
	}
	_, retired := stated[0].Body.(record.Retirement)
	tok, _ := stated[1].Body.(record.Token)
	rev, _ := stated[2].Body.(record.Revocation)
	if !retired || !tok.Revoked || tok.Principal != "scorer" || rev.Workload != "scorer" || !stated[0].Time.Equal(stated[2].Time) {
		t.Errorf("%+v", stated)
	}
	h.locked(token, access, lease)
	if got := codes(h.item("scorer")); len(got) != 1 || got[0] != "left-behind" {
		t.Errorf("%v", got)
	}
}

// TestARetirementSparesWhoHasElseToDo keeps the tokens of a workload that another
// release names, or waits with, or that has a role.
func TestARetirementSparesWhoHasElseToDo(t *testing.T) {
	for name, busy := range map[string]func(h *house){
		"a role": func(h *house) { h.bind("scorer", record.Evaluator) },
		"a release of another line": func(h *house) {
			must[record.Recorded[record.Environment]](h)(h.reg.SetEnvironment(h.ctx, administrator, record.Environment{Name: "staging", LeastTier: "low", Policy: "house"}))
			must[record.Recorded[record.UseCase]](h)(h.reg.RegisterUseCase(h.ctx, olga, record.UseCase{
				Team: "lab", Name: "triage", Title: "Triage", Purpose: "triage", Owner: "olga", Tier: "high", Environments: []string{"production", "staging"},
			}))
			must[wire.Case](h)(h.reg.ProposeRelease(h.ctx, ann, wire.Proposal{Version: "lab/net@1", UseCase: "lab/triage", Environment: "staging", Authority: scoring("scorer")}))
		},
		"a release that waits": func(h *house) {
			a := scoring("scorer")
			a.Tools = a.Tools[:1]
			must[wire.Case](h)(h.propose("1", a))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			c, token, access, lease := h.employed()
			busy(h)
			must[wire.Case](t)(h.reg.Retire(h.ctx, olga, c.ID, "over"))
			h.locked(token, access, lease, "its token")
		})
	}
}

func TestADisabledWorkloadLosesAllThatItShows(t *testing.T) {
	for name, disable := range map[string]func(h *house) error{
		"by its owner": func(h *house) error {
			return only(h.reg.DisableWorkload(h.ctx, olga, "scorer", wire.Stop{Reason: "leaked"}))
		},
		"by enrolment": func(h *house) error {
			return only(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
				Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: h.clock.peek().AddDate(0, 1, 0).Truncate(time.Millisecond), Disabled: true,
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			_, token, access, lease := h.employed()
			if err := disable(h); err != nil {
				t.Fatal(err)
			}
			const stands = "the deploy check" // the model may run, though not as this workload
			h.locked(token, access, lease, stands)
			// Enabled again, it needs new credentials: the release names it still.
			must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
				Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: h.clock.peek().AddDate(0, 1, 0).Truncate(time.Millisecond),
			}))
			for name, door := range h.doorsOf(token, access) {
				if err := door(); err == nil && (strings.Contains(name, "token") || strings.Contains(name, "platform")) {
					t.Errorf("%s opens again", name)
				}
			}
			must[registry.Caller](t)(h.reg.Authenticate(h.ctx, h.token("scorer", time.Hour).Secret))
		})
	}
}

func TestAnExpiredWorkloadGetsNothing(t *testing.T) {
	h := open(t)
	_, token, access, lease := h.employed()
	h.clock.set(h.item("scorer").Expires)
	h.ended(lease, "")
	h.evaluate(digest("model 1"), 951) // as fresh as ever: only the workload has ended
	h.locked(token, access, lease, h.freshly())
}

// freshly names the deploy check where the release still stands.
func (h *house) freshly() string {
	if h.decide("1").Allowed {
		return "the deploy check"
	}
	return ""
}

func TestOnlyOwnersAndAdministratorsDisable(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	disable := func(who registry.Caller, name, reason string) error {
		return only(h.reg.DisableWorkload(h.ctx, who, name, wire.Stop{Reason: reason}))
	}
	h.refused(disable(ann, "scorer", "r"), wire.Forbidden, "issue tokens for others")
	h.refused(disable(olga, "scorer", ""), wire.Invalid, "--reason")
	h.refused(disable(administrator, "ann", "r"), wire.Invalid, "imprimatur principal offboard ann")
	h.refused(disable(administrator, "nobody", "r"), wire.Unknown, "imprimatur principal enrol")
	h.refused(only(h.reg.DisableWorkload(h.ctx, olga, "scorer", wire.Stop{Lift: true, Reason: "r"})), wire.Invalid, "imprimatur principal renew scorer")
	if err := disable(administrator, "scorer", "r"); err != nil {
		t.Fatal(err)
	}
	h.refused(disable(olga, "scorer", "r"), wire.Conflict, "disabled already")
}
