package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// quiet is the policy of which silence of three windows is a signal.
var quiet = strings.Replace(monitored, "      lateness: 10m\n", "      lateness: 10m\n      silence: 3\n", 1)

// hear turns the clock as at does, and looks for what is silent.
func (h *house) hear(c wire.Case, hour, minute int) wire.Monitored {
	h.Helper()
	h.at(hour, minute)
	if err := h.reg.FindSilence(h.ctx); err != nil {
		h.Fatal(err)
	}
	return must[wire.Monitored](h)(h.reg.Monitor(h.ctx, rita, c.ID))
}

// TestObservationsThatStop tells of each silent stretch once, and that the next window
// ends it.
func TestObservationsThatStop(t *testing.T) {
	h, c := watchedUnder(open(t), quiet)
	stopped := func() (times []string) {
		for _, s := range h.signals(c.ID) {
			if s.Type == record.SignalObservationsStopped {
				times = append(times, s.Observed.Format("15:04"))
			}
		}
		return times
	}
	// It went live the day before, of which the windows are over: the first look tells.
	if m := h.hear(c, 0, 30); !m.Stopped() || m.Silence != 3 || len(stopped()) != 1 {
		t.Fatalf("of nothing since the promotion: %d windows, signals at %v", m.Silent, stopped())
	}
	h.hear(c, 1, 5)
	h.observe(batch("a", 0), ndjson(table(5, 100, 0), ""))
	if m := h.hear(c, 1, 20); m.Silent != 0 || !m.Since.Equal(time.Date(2026, 5, 2, 1, 0, 0, 0, time.UTC)) {
		t.Errorf("right after a window: %d silent since %s", m.Silent, m.Since)
	}
	for _, at := range []struct {
		hour, minute int
		silent       int64
		signals      int
	}{{4, 9, 2, 1}, {4, 10, 3, 2}, {4, 11, 3, 2}, {9, 0, 7, 2}} {
		if m := h.hear(c, at.hour, at.minute); m.Silent != at.silent || len(stopped()) != at.signals {
			t.Errorf("at %d:%02d %d windows are silent and the signals of %v are stated, want %d and %d", at.hour, at.minute, m.Silent, stopped(), at.silent, at.signals)
		}
	}
	// What is still counted is no silence, and the stretch after it is another one.
	h.observe(batch("b", 8), ndjson(table(6, 100, 0), ""))
	h.again()
	for hour := 9; hour <= 11; hour++ {
		h.hear(c, hour, 59)
	}
	if got := stopped(); len(got) != 2 {
		t.Errorf("signals at %v", got)
	}
	if h.hear(c, 12, 10); fmt.Sprint(stopped()[1:]) != "[04:10 12:10]" {
		t.Errorf("signals at %v", stopped())
	}
	// A release that was stopped is told nothing of; when it runs again, it has all the time again.
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "incident", false))
	if m := h.hear(c, 16, 10); m.Silent != 0 {
		t.Errorf("while it is suspended %d windows are silent", m.Silent)
	}
	must[wire.Case](t)(h.reg.Suspend(h.ctx, sam, c.ID, "over", true))
	if m := h.hear(c, 19, 9); m.Silent != 1 || len(stopped()) != 3 {
		t.Errorf("after it runs again: %d windows, signals at %v", m.Silent, stopped())
	}
}

// TestSilenceThatNobodyAskedFor is shown and is no signal.
func TestSilenceThatNobodyAskedFor(t *testing.T) {
	h, c := watched(t)
	if m := h.hear(c, 20, 0); m.Silent < 19 || m.Stopped() || len(h.signals(c.ID)) != 0 {
		t.Errorf("%d windows are silent, and the signals are %+v", m.Silent, h.signals(c.ID))
	}
}
