package registry_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// TestRule09ANarrowerReleaseIsPromotedWithTheApprovalsThatAre has a workload make
// calls at random, proposes what was enough for them, and makes all of them again.
func TestRule09ANarrowerReleaseIsPromotedWithTheApprovalsThatAre(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h, rnd := open(t), rand.New(rand.NewPCG(seed, 7))
			h.agent("scorer")
			h.agent("batch")
			a := scoring("scorer", "batch")
			a.APIs = []record.Grant{{Resource: "crm/*", Actions: []string{"*"}}, {Resource: "mail", Actions: []string{"send", "read"}}}
			a.Data = []record.Grant{{Resource: "lab/*", Actions: []string{"read"}, Limit: record.Limit{Calls: 1000, Seconds: 60}}}
			old := h.liveWith("1", a)
			from := h.clock.peek()
			var calls []wire.Ask
			for range 1 + rnd.IntN(30) {
				call := wire.Ask{Workload: "scorer", Kind: "apis", Resource: fmt.Sprintf("crm/%d", rnd.IntN(20)), Action: []string{"GET", "PUT"}[rnd.IntN(2)]}
				switch rnd.IntN(4) {
				case 0:
					call.Resource, call.Action = "mail", "send"
				case 1:
					call.Kind, call.Resource, call.Action = "data", fmt.Sprintf("lab/%d", rnd.IntN(3)), "read"
				}
				calls = append(calls, call)
				if got := must[wire.Answer](t)(h.reg.Authorize(h.ctx, rita, call)); !got.Allowed {
					t.Fatalf("%+v: %v", call, got.Reasons)
				}
			}
			h.sealed()
			c := must[wire.Case](t)(h.reg.ProposeNarrower(h.ctx, ann, old.ID, wire.Narrower{Since: from}))
			rel := c.Release.Record
			if d := authority.Compare(a, rel.Authority); d.Relation != authority.Narrower {
				t.Errorf("%s: %+v", d.Relation, d.Changes)
			}
			for _, part := range []record.Part{record.PartBehaviour, record.PartData, record.PartContext} {
				if c.Digests.Parts[part] != old.Digests.Parts[part] {
					t.Errorf("the part %s is another", part)
				}
			}
			if !c.Verdict.Passed || c.ID == old.ID {
				t.Fatalf("the approvals did not carry over: %+v", c.Verdict.Blocking())
			}
			must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
			for _, call := range calls {
				if got := must[wire.Answer](t)(h.reg.Authorize(h.ctx, rita, call)); !got.Allowed || got.Release != c.ID {
					t.Errorf("%+v was used, and is refused: %v", call, got.Reasons)
				}
			}
			h.mayNot(h.ask(rita, func(a *wire.Ask) { a.Workload = "batch" }), "names the workload")
			h.mayNot(h.ask(rita, nil), "no grant")
		})
	}
}

func TestANarrowerReleaseIsRefusedWithoutGrounds(t *testing.T) {
	h := open(t)
	h.agent("scorer")
	a := scoring("scorer")
	a.Tools = a.Tools[1:]
	c := h.liveWith("1", a)
	narrower := func(in wire.Narrower) error { return only(h.reg.ProposeNarrower(h.ctx, ann, c.ID, in)) }
	h.refused(narrower(wire.Narrower{}), wire.Refused, "nothing was called", "--since")
	h.ask(scorer, nil)
	h.sealed()
	h.refused(narrower(wire.Narrower{}), wire.Conflict, "nothing to narrow")
	h.refused(only(h.reg.ProposeNarrower(h.ctx, rita, c.ID, wire.Narrower{})), wire.Forbidden, "propose releases")
	h.clock.turn(time.Hour)
	b := scoring("scorer")
	d := h.liveWith("2", b)
	h.ask(scorer, nil)
	h.sealed()
	must[wire.Case](t)(h.reg.ProposeNarrower(h.ctx, ann, d.ID, wire.Narrower{}))
	must[wire.Case](t)(h.reg.Retire(h.ctx, olga, d.ID, "over"))
	h.refused(only(h.reg.ProposeNarrower(h.ctx, ann, d.ID, wire.Narrower{})), wire.Conflict, "retired", "imprimatur audit live")
}

// TestANarrowerReleaseKnowsWhatItDoesNotKnow keeps a line of every second answer.
func TestANarrowerReleaseKnowsWhatItDoesNotKnow(t *testing.T) {
	h := open(t)
	h.config.KeepEvery = 2
	h.again()
	h.agent("scorer")
	c := h.liveWith("1", scoring("scorer"))
	for range 4 {
		h.ask(scorer, nil)
	}
	h.sealed()
	h.refused(only(h.reg.ProposeNarrower(h.ctx, ann, c.ID, wire.Narrower{})), wire.Refused, "only the number was kept", "--anyway")
	must[wire.Case](t)(h.reg.ProposeNarrower(h.ctx, ann, c.ID, wire.Narrower{Anyway: true}))
}
