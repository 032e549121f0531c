package registry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// waits returns what waits for somebody, as "act release role".
func (h *house) waits(who registry.Caller) []string {
	h.Helper()
	var out []string
	for _, w := range must[[]wire.Waiting](h)(h.reg.Waiting(h.ctx, who)) {
		if w.Why == "" || !strings.HasPrefix(w.Do, "imprimatur ") || w.Since.IsZero() || w.Line == "" {
			h.Errorf("%s is told too little: %+v", who.Name, w)
		}
		out = append(out, fmt.Sprintf("%s %s %s", w.Act, w.Release, w.Role))
	}
	return out
}

func (h *house) waitsAre(who registry.Caller, want ...string) {
	h.Helper()
	if got := h.waits(who); !slices.Equal(got, want) {
		h.Errorf("for %s waits %q, want %q", who.Name, got, want)
	}
}

func TestWaitingIsForWhoeverCanFillTheSeat(t *testing.T) {
	h := open(t)
	h.enrol("vera", record.Viewer)
	h.evaluate(h.train("1", true), 950)
	c := must[wire.Case](t)(h.propose("1", record.Authority{}))
	h.waitsAre(olga, "approve "+c.ID+" model-owner")
	h.waitsAre(rita, "approve "+c.ID+" risk")
	h.waitsAre(sam, "approve "+c.ID+" security")
	// Ann is model owner too, and the owner of the workload that trained.
	h.waitsAre(ann)
	h.waitsAre(caller("vera"))
	h.waitsAre(robot)

	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "vera", Type: record.Human, Disabled: true}))
	_, err := h.reg.Waiting(h.ctx, caller("vera"))
	h.refused(err, wire.Forbidden, "vera is disabled")

	must[wire.Case](t)(h.approve(rita, record.Risk, c))
	h.waitsAre(rita)
	must[wire.Case](t)(h.reg.Approve(h.ctx, sam, wire.Word{Release: c.ID, Record: c.Digests.Record, Role: record.Security, Decision: record.RequestChanges, Reason: "unclear"}))
	h.waitsAre(sam, "approve "+c.ID+" security")
	must[wire.Case](t)(h.approve(sam, record.Security, c))
	must[wire.Case](t)(h.approve(olga, record.ModelOwner, c))
	h.waitsAre(olga, "promote "+c.ID+" model-owner")
	h.waitsAre(ann, "promote "+c.ID+" model-owner")
	must[wire.Promoted](t)(h.reg.Promote(h.ctx, olga, c.ID))
	h.waitsAre(olga)
}

func TestWaitingPutsWhatRunsFirst(t *testing.T) {
	h := open(t)
	live := h.live("1")
	h.evaluate(h.train("2", true), 950)
	next := must[wire.Case](t)(h.propose("2", record.Authority{}))
	h.waitsAre(rita, "approve "+next.ID+" risk")
	// The evaluations lapse after 30 days, the approvals after 90.
	h.clock.turn(91 * 24 * time.Hour)
	h.waitsAre(eve, "supply "+live.ID+" evaluator", "supply "+next.ID+" evaluator")
	h.waitsAre(rita, "approve "+live.ID+" risk", "approve "+next.ID+" risk")
	got := must[[]wire.Waiting](t)(h.reg.Waiting(h.ctx, rita))
	if !got[0].Live || got[0].Rank == 0 || !got[0].Since.After(live.Release.Time.Add(29*24*time.Hour)) {
		t.Errorf("the lapsed release waits as %+v", got[0])
	}
}

func TestWaitingAsksForTheReviewOfAnException(t *testing.T) {
	h := open(t)
	h.enrol("ivo", record.Auditor)
	c := h.incomplete("1")
	must[wire.Case](t)(h.reg.Waive(h.ctx, rita, c.ID, "approval/security", "sam is away", time.Hour))
	h.waitsAre(caller("ivo"), "review "+c.ID+" auditor")
	if got := h.waits(rita); slices.Contains(got, "review "+c.ID+" risk") {
		t.Errorf("rita is to review her own exception: %q", got)
	}
	x := must[[]wire.Waiting](t)(h.reg.Waiting(h.ctx, caller("ivo")))[0]
	must[record.Recorded[record.Review]](t)(h.reg.ReviewException(h.ctx, caller("ivo"), x.Exception, record.Upheld, "it was right"))
	h.waitsAre(caller("ivo"))
}
