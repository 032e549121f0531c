package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// windowsEvery is how often it is looked for windows that are to close.
const windowsEvery = 2 * time.Second

// closedKept is how long it is remembered beside the ledger that a window has closed,
// for replicas that have not read that yet.
const closedKept = 24 * time.Hour

// keepWindows closes windows until ctx ends. What cannot be closed now is tried
// again.
func (r *Registry) keepWindows(ctx context.Context) {
	said := "" // a fault that stays is told once
	every(ctx, windowsEvery, func() {
		err := r.closeWindows(ctx)
		if err == nil {
			said = ""
		} else if said != err.Error() && ctx.Err() == nil {
			said = err.Error()
			r.outbox.log.WarnContext(ctx, "closing windows of observations; trying again", "error", err)
		}
	})
}

// closeWindows closes the windows whose time has come, each with all earlier ones of
// its release, oldest first. Crash order: a window is marked as closed, so that nothing
// counts in it any more; then its report is kept, and the statement made that names
// it; then its counts are forgotten. Whoever comes after, here or on another replica,
// goes on where it stopped, and of two who state the same window one does.
func (r *Registry) closeWindows(ctx context.Context) error {
	now := record.Millis(r.now())
	ids, err := r.store.IDs(ctx, spaceWindows, ownerOpen, now)
	if err != nil {
		return err
	}
	var errs []error
	for _, open := range byRelease(ids) {
		m, err := r.monitorOf(ctx, open[0].release)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		due := -1
		for i, p := range open {
			is, err := r.isDue(ctx, m, p, now)
			if errs = append(errs, err); is {
				due = i
			}
		}
		for _, p := range open[:due+1] {
			if err := r.closeWindow(ctx, m, p, now); err != nil {
				errs = append(errs, err)
				break
			}
		}
	}
	return errors.Join(errs...)
}

// byRelease groups the places of windows, which are in the order of their IDs.
func byRelease(ids []string) (out [][]windowPlace) {
	for _, id := range ids {
		parts := strings.Split(id, "/")
		if len(parts) != 3 {
			continue
		}
		ms, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			continue
		}
		p := windowPlace{parts[0], record.Category(parts[1]), time.UnixMilli(ms).UTC()}
		if n := len(out) - 1; n >= 0 && out[n][0].release == p.release && out[n][0].of == p.of {
			out[n] = append(out[n], p)
		} else {
			out = append(out, []windowPlace{p})
		}
	}
	return out
}

// isDue reports whether a window has waited long enough: since its end, and since
// the first of it came, so that what was sent afterwards for days that are over is
// gathered too.
func (r *Registry) isDue(ctx context.Context, m *monitor, p windowPlace, now time.Time) (bool, error) {
	waits := m.lateness(p.of)
	if p.from.Add(m.rules.Window + waits).After(now) {
		return false, nil
	}
	a, ok, err := r.store.Recall(ctx, spaceWindows, p.id(), now)
	if err != nil || !ok {
		return false, err
	}
	k, err := readKept(a.Value)
	return !k.First.Add(waits).After(now), err
}

func (r *Registry) closeWindow(ctx context.Context, m *monitor, p windowPlace, now time.Time) error {
	k, err := r.seal(ctx, p)
	if err != nil {
		return err
	}
	w, report, err := m.judge(p, k)
	if err != nil {
		return err
	}
	raw, err := record.CanonicalOf(report)
	if err != nil {
		return err
	}
	w.Report = record.DigestOf(raw)
	if err := r.blobs.PutAs(ctx, string(w.Report), bytes.NewReader(raw)); err != nil {
		return err
	}
	_, err = r.write(ctx, Caller{Name: r.Origin()}, func(t *tx) error { return t.stateWindow(m, w) })
	if err != nil {
		return err
	}
	return r.store.Keep(ctx, store.Aside{Space: spaceWindows, ID: p.id(), Owner: ownerClosed, Value: []byte(`{"closed":true}`), Expires: now.Add(closedKept)}, now)
}

// seal marks a window as closed and returns what it has counted, with the rows
// that came too late for windows before it.
func (r *Registry) seal(ctx context.Context, p windowPlace) (k kept, err error) {
	places := []store.Aside{{Space: spaceWindows, ID: p.id(), Owner: ownerOpen}, {Space: spaceWindows, ID: lateID(p.release, p.of), Owner: ownerClosed}}
	_, _, err = r.store.Fold(ctx, store.Aside{}, places, func(_ *store.Aside, places []store.Aside) error {
		if k, err = readKept(places[0].Value); err != nil {
			return err
		}
		late, err := readKept(places[1].Value)
		if err != nil {
			return err
		}
		k.Closed, k.Late = true, k.Late+late.Late
		places[1].Value = []byte{}
		places[0].Value, err = json.Marshal(k)
		return err
	})
	return k, err
}

// judge says what a window came to, but for the state of the monitor.
func (m *monitor) judge(p windowPlace, k kept) (record.Window, wire.WindowReport, error) {
	w := record.Window{
		Release: m.id, Line: m.release.Record.Line(), Of: p.of, From: p.from, To: p.from.Add(m.rules.Window), Baseline: m.frame.Digest(),
		Rows: k.Rows, Batches: k.Batches, Late: k.Late, Raw: k.Raw,
	}
	report := wire.WindowReport{Release: m.id, Of: p.of, From: w.From, To: w.To}
	if p.of == record.Accuracy {
		counted := drift.Rate{Right: k.Right, N: k.Rows}
		check, err := drift.JudgeRate(m.rate, counted, m.rules.Performance.Margin, m.settings)
		report.Check, report.Settings, report.Reference, report.Counted = &check, &m.settings, &m.rate, &counted
		w.Outcome, w.Worst = string(check.Outcome), []record.WindowCheck{checkOf(m.metric, check)}
		return w, report, err
	}
	sketch, err := m.frame.DecodeSketch(k.Sketch)
	if err != nil {
		return w, report, err
	}
	if report.Sketch, err = sketch.Canonical(); err != nil {
		return w, report, err
	}
	judged, err := drift.Judge(m.frame, sketch, m.settings)
	report.Drift = &judged
	w.Outcome = string(judged.Outcome)
	w.Worst, w.Others = worstOf(judged)
	return w, report, err
}

func checkOf(feature string, c drift.Check) record.WindowCheck {
	return record.WindowCheck{Feature: feature, Measure: string(c.Measure), Outcome: string(c.Outcome), Value: c.Value, P: c.Adjusted, Limit: c.Limit, Floor: c.Floor}
}

// worstOf returns the checks that breached or came nearest to it.
func worstOf(r drift.Report) (worst []record.WindowCheck, others int) {
	var all []record.WindowCheck
	for _, f := range r.Features {
		for _, c := range f.Checks {
			if c.Outcome != drift.Inconclusive {
				all = append(all, checkOf(f.Name, c))
			}
		}
	}
	breached := func(c record.WindowCheck) int {
		if c.Outcome == record.WindowBreach {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b record.WindowCheck) int {
		return cmp.Or(cmp.Compare(breached(b), breached(a)), cmp.Compare(a.P, b.P), cmp.Compare(b.Value, a.Value))
	})
	for _, c := range all[min(len(all), record.MaxWorst):] {
		others += breached(c)
	}
	return all[:min(len(all), record.MaxWorst)], others
}

// stateWindow states a window with the state of the monitor after it, and a signal
// when that raises its alarm or settles. A window that is not after the last one
// stands already, or came too late.
func (t *tx) stateWindow(m *monitor, w record.Window) error {
	last, known, err := lineage.Last[record.Window](t, record.KeyWindows(w.Release, w.Of))
	if err != nil || known && !w.From.After(last.Record.From) {
		return err
	}
	before := drift.State{Alarm: last.Record.Alarm, Blind: last.Record.Blind}
	for _, o := range last.Record.Recent {
		before.Recent = append(before.Recent, drift.Outcome(o))
	}
	after := before.Next(drift.Outcome(w.Outcome), m.settings)
	w.Alarm, w.Blind = after.Alarm, after.Blind
	for _, o := range after.Recent {
		w.Recent = append(w.Recent, string(o))
	}
	if err := t.state(w); err != nil {
		return err
	}
	if after.Alarm == before.Alarm {
		return nil
	}
	return t.signalDrift(m, w)
}

// signalDrift tells that a monitor has raised its alarm, or that it has settled,
// while the release is the one that runs.
func (t *tx) signalDrift(m *monitor, w record.Window) error {
	history, err := lineage.History(t, w.Line)
	if err != nil {
		return err
	}
	if _, live := record.StatusAt(history, "", t.now); live != w.Release {
		return nil
	}
	signal := record.Signal{Release: w.Release, Line: w.Line, Type: record.SignalDriftSettled, Observed: t.now, Evidence: w.Report}
	what := map[record.Category]string{record.Drift: "what it sees and says", record.Accuracy: "how often it is right"}[w.Of]
	signal.Detail = fmt.Sprintf("%s is as it was when it was evaluated again: %d of the last windows are steady, the last of them from %s", what, m.settings.Need, w.From.Format(time.RFC3339))
	if w.Alarm {
		signal.Type = record.SignalDrift
		signal.Detail = fmt.Sprintf("%s has moved away from its baseline in %d of the last %d windows, the last of them from %s with %d rows: %s",
			what, m.settings.Need, m.settings.Of, w.From.Format(time.RFC3339), w.Rows, worstInWords(w))
	}
	return t.signal(signal)
}

// worstInWords says which checks breached.
func worstInWords(w record.Window) string {
	var said []string
	for _, c := range w.Worst {
		if c.Outcome == record.WindowBreach {
			said = append(said, fmt.Sprintf("%s of %s is %.3g, above %.3g", c.Measure, c.Feature, c.Value, c.Threshold()))
		}
	}
	if w.Others > 0 {
		said = append(said, fmt.Sprintf("and %d more", w.Others))
	}
	return strings.Join(said, "; ")
}

// windowsShown is how many closed windows of a kind a look at a monitor shows.
const windowsShown = 60

// Monitor says how a release is watched, and what was seen.
func (r *Registry) Monitor(ctx context.Context, who Caller, id string) (wire.Monitored, error) {
	out := wire.Monitored{Release: id, Windows: []record.Recorded[record.Window]{}, Open: []wire.OpenWindow{}}
	err := r.read(ctx, who, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		if err := t.may(actRead, rel.Record.Behaviour.Model); err != nil {
			return err
		}
		for _, of := range []record.Category{record.Drift, record.Accuracy} {
			all, err := lineage.All[record.Window](t, record.KeyWindows(id, of))
			if err != nil {
				return err
			}
			out.Windows = append(out.Windows, all[max(0, len(all)-windowsShown):]...)
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	m, err := r.monitorOf(ctx, id)
	if err != nil {
		return out, err
	}
	out.Line, out.Baseline, out.Evaluation, out.Sample = m.release.Record.Line(), m.frame.Digest(), m.evidence.Digest, m.evidence.Record.Monitor.Sample
	out.Settings, out.Window, out.Lateness = m.settings, int64(m.rules.Window.Seconds()), int64(m.rules.Lateness.Seconds())
	if m.rate.N > 0 {
		out.Metric, out.Reference = m.metric, &m.rate
	}
	if err := r.tellSilence(ctx, m, &out); err != nil {
		return out, err
	}
	now := record.Millis(r.now())
	ids, err := r.store.IDs(ctx, spaceWindows, ownerOpen, now)
	for _, open := range byRelease(ids) {
		for _, p := range open {
			if p.release != id || err != nil {
				continue
			}
			var a store.Aside
			if a, _, err = r.store.Recall(ctx, spaceWindows, p.id(), now); err == nil {
				var k kept
				k, err = readKept(a.Value)
				out.Open = append(out.Open, wire.OpenWindow{Of: p.of, From: p.from, To: p.from.Add(m.rules.Window), Rows: k.Rows, Batches: k.Batches})
			}
		}
	}
	return out, err
}

// WindowReport opens the report on a window by its digest, for who may read the
// statement that names it: a wire.WindowReport.
func (r *Registry) WindowReport(ctx context.Context, who Caller, digest record.Digest) (io.ReadCloser, error) {
	if err := digest.Validate(); err != nil {
		return nil, refusef(wire.Invalid, "%w", err)
	}
	err := r.read(ctx, who, func(t *tx) error {
		w, err := need[record.Window](t, record.KeyReport(digest), "the report "+digest.Short(), "imprimatur release monitor shows a release's windows")
		if err != nil {
			return err
		}
		return t.may(actRead, teamOf(w.Record.Line))
	})
	if err != nil {
		return nil, err
	}
	content, err := r.blobs.Open(string(digest))
	if errors.Is(err, store.ErrNotFound) {
		return nil, refusef(wire.Unknown, "the report %s is not here; another server of this ledger has it, ask there", digest.Short())
	}
	return content, err
}
