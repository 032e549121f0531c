package registry_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// TestDecideFollowsEveryPromotion asks about a model only after others of its
// line were promoted, so that the index must learn of it by itself.
func TestDecideFollowsEveryPromotion(t *testing.T) {
	h := open(t)
	h.live("1")
	h.allowed("1")
	h.live("2")
	h.allowed("2")
	h.forbidden("1")
	h.again()
	h.live("3")
	h.allowed("3")
	h.forbidden("2")
	c := h.live("4")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	h.live("5")
	h.allowed("5")
}

// TestAClockThatIsBehindForgetsNothing sets the clock back: what was stated
// counts all the same, for decisions, commands and offline.
func TestAClockThatIsBehindForgetsNothing(t *testing.T) {
	h := open(t)
	c := h.live("1")
	h.allowed("1")
	before := h.clock.now()
	h.clock.turn(time.Hour)
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	h.clock.set(before)
	h.forbidden("1", "is suspended")
	h.again()
	h.forbidden("1", "is suspended")
	if l := must[[]wire.LiveRelease](t)(h.reg.Live(h.ctx, rita, time.Time{})); len(l) > 0 {
		t.Errorf("live: %+v", l)
	}
	_, err := h.reg.Promote(h.ctx, olga, c.ID)
	h.refused(err, wire.Refused, "is suspended")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "over", true))
	h.allowed("1")
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "r"}))
	h.forbidden("1", "withdrew")
}

// TestAReopenedRegistryDecidesTheSame asks of many models before and after.
func TestAReopenedRegistryDecidesTheSame(t *testing.T) {
	h := open(t)
	suspended := h.live("1")
	h.live("2")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, suspended.ID, "r", false))
	h.ready("3")
	h.incomplete("4")
	ask := func() []wire.Decision {
		var out []wire.Decision
		for _, v := range []string{"1", "2", "3", "4", "5"} {
			d := h.decide(v)
			d.At = time.Time{}
			out = append(out, d)
		}
		return out
	}
	before := ask()
	if !before[1].Allowed || before[0].Allowed || before[2].Allowed {
		t.Fatalf("decided %+v", before)
	}
	for range 2 {
		h.again()
		if diff := cmp.Diff(before, ask()); diff != "" {
			t.Errorf("reopened, it decides otherwise:\n%s", diff)
		}
	}
}

// TestADecisionTouchesNoDatabase decides on after the store is gone: the server
// that is alone on its ledger knows all that was stated.
func TestADecisionTouchesNoDatabase(t *testing.T) {
	h := open(t)
	h.live("1")
	h.allowed("1")
	t.Cleanup(must[func()](t)(h.reg.CutStore()))
	h.allowed("1")
	if allocs := testing.AllocsPerRun(50, func() { h.decide("1") }); allocs > 400 {
		t.Errorf("a decision allocates %.0f times", allocs)
	}
}

// TestDecisionsDoNotWaitForTheRestOfTheMemory decides while a start still reads
// the ledger, and refuses, with a way on, to wait for ever for the rest.
func TestDecisionsDoNotWaitForTheRestOfTheMemory(t *testing.T) {
	h := open(t)
	h.live("1")
	remember := h.reg.Forget()
	h.allowed("1")
	soon, cancel := context.WithTimeout(h.ctx, time.Millisecond)
	defer cancel()
	h.refused(h.reg.Whole(soon), wire.Unavailable, "try again")
	remember()
	if err := h.reg.Whole(h.ctx); err != nil {
		t.Error(err)
	}
	// A start in the background comes to the same.
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	reg := must[*registry.Registry](t)(registry.Open(h.ctx, registry.Config{Data: h.dir, Now: h.clock.now, Background: true}))
	defer reg.Close()
	if d := reg.Decide(h.ctx, "production", digest("model 1")); !d.Allowed {
		t.Errorf("%+v", d)
	}
	if err := reg.Whole(h.ctx); err != nil {
		t.Fatal(err)
	}
	if list := must[wire.Page](t)(reg.Releases(h.ctx, rita, "", 0, 0)); len(list.Entries) != 1 {
		t.Errorf("%d releases", len(list.Entries))
	}
}
