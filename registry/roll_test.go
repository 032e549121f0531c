package registry_test

import (
	"fmt"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// listed says of each release that a query finds its version, state and marks.
func listed(h *house, q registry.Query) (out []string) {
	h.Helper()
	got := must[registry.Releases](h)(h.reg.FindReleases(h.ctx, olga, q))
	for _, l := range got.List {
		out = append(out, fmt.Sprintf("%s %s %v", l.Version, l.Status, l.Newest))
	}
	return out
}

func TestTheRollListsReleasesAsTheyStand(t *testing.T) {
	h := open(t)
	first := h.live("1")
	h.clock.turn(time.Hour)
	second := h.live("2")
	must[wire.Case](t)(h.reg.Suspend(h.ctx, olga, second.ID, "odd answers", false))
	want := "[2 suspended true 1 replaced false]"
	if got := fmt.Sprint(listed(h, registry.Query{})); got != want {
		t.Errorf("the list is %s, want %s", got, want)
	}
	h.again()
	if got := fmt.Sprint(listed(h, registry.Query{})); got != want {
		t.Errorf("after a start the list is %s, want %s", got, want)
	}
	for q, want := range map[registry.Query]string{
		{Text: "NET@1"}: "[1 replaced false]", {Text: first.ID}: "[1 replaced false]", {Status: record.Live}: "[]",
		{Model: "lab/other"}: "[]", {Tier: "high", Limit: 1}: "[2 suspended true]", {Environment: "staging"}: "[]",
	} {
		if got := fmt.Sprint(listed(h, q)); got != want {
			t.Errorf("%+v finds %s, want %s", q, got, want)
		}
	}
	page := must[registry.Releases](t)(h.reg.FindReleases(h.ctx, olga, registry.Query{Limit: 1}))
	rest := listed(h, registry.Query{Before: page.Next, Limit: 1})
	if page.Total != 2 || page.Next == 0 || fmt.Sprint(rest) != "[1 replaced false]" {
		t.Errorf("the first part is of %d with the cursor %d, and is followed by %v", page.Total, page.Next, rest)
	}
	if _, err := h.reg.FindReleases(h.ctx, registry.Caller{Name: "nobody", Type: record.Human}, registry.Query{}); err == nil {
		t.Error("somebody who is not enrolled is answered")
	}
}

func TestASummaryFollowsWhatItRestsOn(t *testing.T) {
	h := open(t)
	c := h.live("1")
	stands := func() bool {
		return must[map[string]registry.Summary](t)(h.reg.Summaries(h.ctx, olga, []string{c.ID}))[c.ID].Stands
	}
	for range 2 { // once from the ledger, once from memory
		if !stands() {
			t.Fatal("a live release does not stand")
		}
	}
	must[record.Recorded[record.DataApproval]](t)(h.reg.DecideData(h.ctx, bob, record.DataApproval{Dataset: digest("data 1"), Decision: record.Withdraw, Reason: "no consent"}))
	if stands() {
		t.Error("the summary still stands after a withdrawal of data")
	}
	h.approveData(digest("data 1"))
	if !stands() {
		t.Error("the summary does not stand though the data is approved again")
	}
	h.clock.turn(200 * 24 * time.Hour)
	if stands() {
		t.Error("the summary stands after everything has lapsed")
	}
}

func TestCommentsFillNoSeat(t *testing.T) {
	h := open(t)
	c := h.incomplete("1")
	before := len(c.Verdict.Blocking())
	must[record.Recorded[record.Comment]](t)(h.reg.Comment(h.ctx, robot, c.ID, "trained twice, the second time with a new seed"))
	got := must[registry.Inspection](t)(h.reg.InspectRelease(h.ctx, olga, c.ID, ""))
	if len(got.Comments) != 1 || got.Comments[0].Actor != "robot" || len(got.Verdict.Blocking()) != before {
		t.Errorf("%d comments and %d gates in the way, which were %d", len(got.Comments), len(got.Verdict.Blocking()), before)
	}
	for _, s := range got.Seats {
		if s.Open() != s.Count || len(s.Words) != 0 {
			t.Errorf("the seat of %s has words: %+v", s.Role, s.Words)
		}
	}
	if got.Diff != nil || !got.MayComment {
		t.Errorf("a first release has the difference %+v; olga may comment: %v", got.Diff, got.MayComment)
	}
}
