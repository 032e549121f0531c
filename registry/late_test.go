package registry_test

import (
	"bytes"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// TestRowsOfAReplacedRelease takes what was on the way when a release was replaced, from
// the workload that ran it and runs the next one, until its last window could be open.
func TestRowsOfAReplacedRelease(t *testing.T) {
	h, old := watched(t)
	other := registry.Caller{Name: "other", Type: record.Workload, Method: record.MethodToken}
	h.at(2, 5)
	h.observe(batch("a", 1), ndjson(table(5, 100, 0), ""))
	h.clock.set(time.Date(2026, 5, 2, 2, 40, 0, 0, time.UTC))
	next := h.watch("2", "scorer", "other")
	replaced := h.clock.now()
	if replaced.Hour() != 2 || replaced.Before(time.Date(2026, 5, 2, 2, 40, 0, 0, time.UTC)) {
		t.Fatalf("replaced at %s", replaced)
	}
	send := func(who registry.Caller, id string, to time.Time, change func(*wire.ObservationBatch)) (wire.Observed, error) {
		in := batch(id, 2)
		in.Release, in.To = old.ID, to
		if change != nil {
			change(&in)
		}
		return h.reg.Observe(h.ctx, who, in, bytes.NewReader(ndjson(table(9, 100, 3), "")))
	}
	half := time.Date(2026, 5, 2, 2, 30, 0, 0, time.UTC)
	h.at(2, 59)
	if got, err := send(scorer, "b", half, nil); err != nil || got.Release != old.ID || got.Windows[0].Late {
		t.Fatalf("what was on the way: %+v, %v", got, err)
	}
	_, err := send(other, "c", half, nil)
	h.refused(err, wire.Forbidden, "does not name the workload other", "nobody tells for another")
	_, err = send(olga, "c", half, nil)
	h.refused(err, wire.Forbidden, "no workload")
	_, err = send(scorer, "c", time.Date(2026, 5, 2, 2, 59, 0, 0, time.UTC), nil)
	h.refused(err, wire.Invalid, "was replaced by "+next.ID, "cut it there, and send the rest of "+next.ID)
	h.identify("scorer", nil)
	if got, err := send(h.taken(h.access("scorer").Secret), "d", half, nil); err != nil || got.Release != old.ID {
		t.Errorf("with an access token of the next release: %+v, %v", got, err)
	}
	// Its windows close and breach, and nothing is signalled of what runs no more.
	h.observe(wire.ObservationBatch{ID: "e", Release: next.ID, From: half, To: time.Date(2026, 5, 2, 2, 50, 0, 0, time.UTC)}, ndjson(table(5, 100, 0), ""))
	h.at(4, 0)
	windows := h.windows(old)
	if len(windows) != 2 || windows[1].Record.Rows != 200 || windows[1].Record.Outcome != record.WindowBreach {
		t.Errorf("the windows of the release before: %+v", windows)
	}
	if got := h.windows(next); len(got) != 1 || got[0].Record.Rows != 100 {
		t.Errorf("the windows of the release: %+v", got)
	}
	if s := h.signals(old.ID); len(s) > 0 {
		t.Errorf("signals of a release that was replaced: %+v", s)
	}
	if got, err := send(scorer, "f", half, nil); err != nil || !got.Windows[0].Late {
		t.Errorf("after its window has closed: %+v, %v", got, err)
	}
	// Outcomes may come for a day, which is when the last of its windows closes.
	h.clock.set(time.Date(2026, 5, 3, 3, 0, 1, 0, time.UTC))
	_, err = send(scorer, "g", half, nil)
	h.refused(err, wire.Refused, "were open until 2026-05-03T03:00:00Z", "imprimatur policy publish")
	// What is stopped tells nothing, and neither does what came before it.
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, next.ID, "incident", false))
	_, err = send(scorer, "h", half, nil)
	h.refused(err, wire.Refused, "suspended")
}
