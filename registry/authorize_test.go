package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

var scorer = registry.Caller{Name: "scorer", Type: record.Workload, Method: record.MethodToken}

// scoring is the authority of the releases in these tests.
func scoring(workloads ...string) record.Authority {
	return record.Authority{
		Tools: []record.Grant{
			{Resource: "page", Actions: []string{"call"}, Condition: `args.ward == "7"`, Limit: record.Limit{Calls: 2, Seconds: 60}},
			{Resource: "look-up", Actions: []string{"call"}},
		},
		Workloads: workloads,
	}
}

// agent enrols the workload that runs the releases.
func (h *house) agent(name string) {
	h.Helper()
	must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: name, Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: h.clock.now().AddDate(0, 1, 0).Truncate(time.Millisecond),
	}))
}

// liveWith is live, with an authority.
func (h *house) liveWith(version string, a record.Authority) wire.Case {
	h.Helper()
	h.evaluate(h.train(version, true), 950)
	c := must[wire.Case](h)(h.propose(version, a))
	must[wire.Case](h)(h.approve(olga, record.ModelOwner, c))
	must[wire.Case](h)(h.approve(rita, record.Risk, c))
	must[wire.Case](h)(h.approve(sam, record.Security, c))
	return must[wire.Promoted](h)(h.reg.Promote(h.ctx, olga, c.ID)).Case
}

func (h *house) ask(who registry.Caller, change func(*wire.Ask)) wire.Answer {
	h.Helper()
	ask := wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"}
	if change != nil {
		change(&ask)
	}
	return must[wire.Answer](h)(h.reg.Authorize(h.ctx, who, ask))
}

// mayNot demands a no whose reasons say certain things.
func (h *house) mayNot(a wire.Answer, says ...string) {
	h.Helper()
	text := strings.Join(a.Reasons, "\n")
	if a.Allowed || text == "" {
		h.Fatalf("got %+v, want a no with reasons", a)
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			h.Errorf("the reasons do not say %q:\n%s", s, text)
		}
	}
}

func TestAWorkloadMayDoWhatItsReleaseGrants(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.mayNot(h.ask(scorer, nil), "no release that stands names the workload")
	c := h.liveWith("1", scoring("scorer"))
	if a := h.ask(scorer, nil); !a.Allowed || a.Release != c.ID || a.Grant == nil || a.Grant.Resource != "look-up" {
		t.Fatalf("%+v", a)
	}
	h.mayNot(h.ask(scorer, func(a *wire.Ask) { a.Resource = "delete" }), "no grant of the release names the tool")
	page := func(args string) func(*wire.Ask) {
		return func(a *wire.Ask) { a.Resource, a.Arguments = "page", []byte(args) }
	}
	h.mayNot(h.ask(scorer, page(`{"ward":"8"}`)), `args.ward == \"7\"`)
	h.mayNot(h.ask(scorer, page(`{"ward":"7","ward":"8"}`)), "duplicate")
	for range 2 {
		if a := h.ask(scorer, page(`{"ward":"7"}`)); !a.Allowed {
			t.Fatalf("%+v", a)
		}
	}
	a := h.ask(scorer, page(`{"ward":"7"}`))
	h.mayNot(a, "is spent: at most 2 calls in 60 seconds")
	h.clock.set(a.After)
	if a := h.ask(scorer, page(`{"ward":"7"}`)); !a.Allowed {
		t.Errorf("after the span: %+v", a)
	}
	// A restart finds the same from the ledger alone.
	h.again()
	if a := h.ask(scorer, nil); !a.Allowed {
		t.Errorf("after a restart: %+v", a)
	}
}

func TestRule10EveryWayAReleaseStopsStopsItsWorkload(t *testing.T) {
	for name, stop := range map[string]func(h *house, c wire.Case){
		"suspended": func(h *house, c wire.Case) { must[wire.Case](h)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false)) },
		"retired":   func(h *house, c wire.Case) { must[wire.Case](h)(h.reg.Retire(h.ctx, olga, c.ID, "over")) },
		"withdrew": func(h *house, _ wire.Case) {
			must[record.Recorded[record.DataApproval]](h)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
		},
		"asked for changes": func(h *house, c wire.Case) {
			must[wire.Case](h)(h.reg.Approve(h.ctx, rita, wire.Word{Release: c.ID, Record: c.Digests.Record, Role: record.Risk, Decision: record.RequestChanges, Reason: "no"}))
		},
		"evidence no longer fresh": func(h *house, _ wire.Case) { h.clock.turn(31 * 24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.agent("scorer")
			c := h.liveWith("1", scoring("scorer"))
			if a := h.ask(scorer, nil); !a.Allowed {
				t.Fatalf("%+v", a)
			}
			stop(h, c)
			a, err := h.reg.Authorize(h.ctx, rita, wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"})
			if err != nil {
				t.Fatal(err)
			}
			h.mayNot(a)
		})
	}
}

func TestAWorkloadThatIsDisabledMayDoNothing(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.liveWith("1", scoring("scorer"))
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{
		Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: h.clock.now().AddDate(0, 1, 0).Truncate(time.Millisecond), Disabled: true,
	}))
	h.mayNot(h.ask(rita, nil), "disabled or has expired")
	_, err := h.reg.Authorize(h.ctx, scorer, wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"})
	h.refused(err, wire.Forbidden, "disabled or has expired")
}

func TestAReplacedReleaseTakesItsAuthorityAlong(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.agent("batch")
	h.liveWith("1", scoring("scorer"))
	h.liveWith("2", scoring("batch"))
	h.mayNot(h.ask(scorer, nil), "no release that stands names the workload")
	if a := h.ask(rita, func(a *wire.Ask) { a.Workload = "batch" }); !a.Allowed {
		t.Errorf("%+v", a)
	}
	// Bound to another release, in another place, under another name.
	h.mayNot(h.ask(rita, func(a *wire.Ask) { a.Workload, a.Environment = "batch", "staging" }), "staging")
	h.mayNot(h.ask(rita, func(a *wire.Ask) { a.Workload, a.Release = "batch", "r-000000000000" }))
	h.mayNot(h.ask(rita, func(a *wire.Ask) { a.Workload = "bаtch" }), "no release that stands")
}

func TestWhoMayAskWhatAWorkloadMayDo(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.liveWith("1", scoring("scorer"))
	h.enrol("zoe")
	_, err := h.reg.Authorize(h.ctx, caller("zoe"), wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"})
	h.refused(err, wire.Forbidden, "zoe may not read")
	_, err = h.reg.Authorize(h.ctx, caller("zoe"), wire.Ask{Workload: "nobody", Kind: "tools", Resource: "look-up", Action: "call"})
	h.refused(err, wire.Forbidden, "zoe may not read")
	_, err = h.reg.Authorize(h.ctx, caller("nobody"), wire.Ask{Workload: "scorer", Kind: "tools", Resource: "look-up", Action: "call"})
	h.refused(err, wire.Unknown)
}

func TestWhatACallMayCostIsReservedUntilItIsSettled(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	h.liveWith("1", record.Authority{
		Models:    []record.Grant{{Resource: "acme/small", Actions: []string{"chat"}, Budget: record.Budget{Unit: "tokens", Amount: 100, Seconds: 60}}},
		Workloads: []string{"scorer"},
	})
	chat := func(tokens int) wire.Answer {
		return h.ask(scorer, func(a *wire.Ask) {
			a.Workload, a.Kind, a.Resource, a.Action, a.Tokens = "", "models", "acme/small", "chat", tokens
		})
	}
	a := chat(90)
	if !a.Allowed || a.Reservation == "" {
		t.Fatalf("%+v", a)
	}
	h.mayNot(chat(11), "is spent")
	_, err := h.reg.Settle(h.ctx, rita, wire.Settlement{Reservation: a.Reservation})
	h.refused(err, wire.Unknown, "no such reservation of rita")
	must[wire.Settlement](t)(h.reg.Settle(h.ctx, scorer, wire.Settlement{Reservation: a.Reservation, Tokens: 50}))
	_, err = h.reg.Settle(h.ctx, scorer, wire.Settlement{Reservation: a.Reservation})
	h.refused(err, wire.Unknown, "settled before")
	h.mayNot(chat(51), "is spent")
	if a := chat(50); !a.Allowed {
		t.Errorf("what was given back is not allowed: %+v", a)
	}
}

func TestWhoDecidesBesideTheServerAsksAgain(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	granted := func(who registry.Caller, have record.Digest) wire.Granted {
		t.Helper()
		return must[wire.Granted](t)(h.reg.Granted(h.ctx, who, wire.Ask{Workload: "scorer"}, have))
	}
	if g := granted(scorer, ""); g.Stands || g.Authority != nil || len(g.Reasons) == 0 {
		t.Fatalf("no release, and yet %+v", g)
	}
	c := h.liveWith("1", scoring("scorer"))
	first := granted(scorer, "")
	if !first.Stands || first.Release != c.ID || first.Authority == nil || len(first.Authority.Tools) != 2 || first.Until.IsZero() {
		t.Fatalf("%+v", first)
	}
	if again := granted(rita, first.Digest); !again.Stands || again.Authority != nil || again.Digest != first.Digest {
		t.Errorf("for who has the grants: %+v", again)
	}
	if other := granted(scorer, digest("other")); other.Authority == nil {
		t.Error("who has other grants is not given these")
	}
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	if g := granted(scorer, first.Digest); g.Stands || len(g.Reasons) == 0 {
		t.Errorf("after it was suspended: %+v", g)
	}
	h.enrol("zoe")
	_, err := h.reg.Granted(h.ctx, caller("zoe"), wire.Ask{Workload: "scorer"}, "")
	h.refused(err, wire.Forbidden, "zoe may not read")
}

// BenchmarkAuthorize decides calls from memory: among few and many grants, and
// with a condition over three arguments.
func BenchmarkAuthorize(b *testing.B) {
	for _, n := range []int{10, 5000} {
		for _, condition := range []string{"", `args.ward == "7" && args.n < 10 && size(args.note) < 200`} {
			b.Run(fmt.Sprintf("grants=%d/condition=%v", n, condition != ""), func(b *testing.B) {
				h := open(b)
				h.agent("scorer")
				a := record.Authority{Workloads: []string{"scorer"}}
				for i := range n {
					a.Tools = append(a.Tools, record.Grant{Resource: fmt.Sprintf("tool-%d", i), Actions: []string{"call"}, Condition: condition})
				}
				h.liveWith("1", a)
				ask := wire.Ask{Workload: "scorer", Kind: "tools", Resource: "tool-7", Action: "call"}
				if condition != "" {
					ask.Arguments = []byte(`{"ward":"7","n":3,"note":"a note"}`)
				}
				b.ReportAllocs()
				for b.Loop() {
					if a, err := h.reg.Authorize(h.ctx, scorer, ask); err != nil || !a.Allowed {
						b.Fatal(a, err)
					}
				}
			})
		}
	}
}
