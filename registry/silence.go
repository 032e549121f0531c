package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// watchSilence states the signals of live releases of which nothing comes any more
// until ctx ends.
func (r *Registry) watchSilence(ctx context.Context) {
	every(ctx, watchEvery, func() {
		if err := r.findSilence(ctx); err != nil && ctx.Err() == nil {
			r.outbox.log.WarnContext(ctx, "looking for observations that have stopped; trying again", "error", err)
		}
	})
}

// findSilence looks at the live releases whose policy asks for it, once for each
// stretch in which as many whole windows as it allows brought nothing.
func (r *Registry) findSilence(ctx context.Context) error {
	r.roll.mu.RLock()
	var live []string
	for _, l := range r.roll.releases {
		if l.Status == record.Live {
			live = append(live, l.ID)
		}
	}
	r.roll.mu.RUnlock()
	var errs []error
	for _, id := range live {
		errs = append(errs, r.findSilenceOf(ctx, id))
	}
	return errors.Join(errs...)
}

func (r *Registry) findSilenceOf(ctx context.Context, id string) error {
	if asks, err := r.asksOfSilence(ctx, id); err != nil || !asks {
		return err
	}
	m, err := r.monitorOf(ctx, id)
	if refusal := (*Error)(nil); errors.As(err, &refusal) {
		return nil // nothing can come of it, which whoever sends is told
	}
	if err != nil {
		return err
	}
	open, err := r.openTo(ctx, m)
	if err != nil {
		return err
	}
	var due *record.Signal
	err = r.read(ctx, Caller{}, func(t *tx) error { due, err = t.stopped(m, open); return err })
	if err != nil || due == nil {
		return err
	}
	_, err = r.write(ctx, Caller{Name: r.Origin()}, func(t *tx) error {
		due, err := t.stopped(m, open)
		if err != nil || due == nil {
			return err
		}
		return t.signal(*due)
	})
	return err
}

// asksOfSilence reports whether the policy of a release asks for its silence, from
// memory but for the first time.
func (r *Registry) asksOfSilence(ctx context.Context, id string) (bool, error) {
	r.monitors.mu.Lock()
	asks, known := r.monitors.asks[id]
	r.monitors.mu.Unlock()
	if known {
		return asks, nil
	}
	err := r.read(ctx, Caller{}, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		p, err := t.policyByDigest(rel.Record.Context.Policy.Digest)
		if err == nil {
			asks = p.Tier(rel.Record.Context.Tier).MonitorOf().Silence > 0
		}
		return err
	})
	if err == nil {
		r.monitors.mu.Lock()
		defer r.monitors.mu.Unlock()
		if r.monitors.asks == nil {
			r.monitors.asks = map[string]bool{}
		}
		r.monitors.asks[id] = asks
	}
	return asks, err
}

// openTo returns until when the windows reach that are still counted.
func (r *Registry) openTo(ctx context.Context, m *monitor) (to time.Time, err error) {
	ids, err := r.store.IDs(ctx, spaceWindows, ownerOpen, record.Millis(r.now()))
	for _, open := range byRelease(ids) {
		if p := open[len(open)-1]; p.release == m.id && p.of == record.Drift {
			to = p.from.Add(m.rules.Window)
		}
	}
	return to, err
}

// silence returns how many whole windows have brought nothing of a live release, and
// since when: since it went live, or since the last window of which something came.
// One counts when it waits no more for what comes late.
func (t *tx) silence(m *monitor, open time.Time) (windows int64, since time.Time, err error) {
	history, err := lineage.History(t, m.release.Record.Line())
	if err != nil {
		return 0, since, err
	}
	if _, live := record.StatusAt(history, "", t.now); live != m.id {
		return 0, since, nil
	}
	for _, e := range history {
		if p, s := e.Promotion, e.Suspension; p != nil && p.Release == m.id || s != nil && s.Release == m.id {
			since = e.Time
		}
	}
	last, known, err := lineage.Last[record.Window](t, record.KeyWindows(m.id, record.Drift))
	if err != nil {
		return 0, since, err
	}
	if known {
		since = later(since, last.Record.To)
	}
	since = later(since, open)
	length := m.rules.Window.Milliseconds()
	first := (since.UnixMilli() + length - 1) / length
	until := t.now.Add(-m.rules.Lateness).UnixMilli() / length
	return max(0, until-first), since, nil
}

// stopped returns the signal that is due because observations have stopped, nil for
// none.
func (t *tx) stopped(m *monitor, open time.Time) (*record.Signal, error) {
	windows, since, err := t.silence(m, open)
	if err != nil || windows < int64(m.rules.Silence) {
		return nil, err
	}
	line := m.release.Record.Line()
	stated, err := lineage.All[record.Signal](t, record.KeySignals(line))
	for _, s := range stated {
		if s.Record.Type == record.SignalObservationsStopped && s.Record.Release == m.id && s.Time.After(since) {
			return nil, err
		}
	}
	return &record.Signal{
		Release: m.id, Line: line, Type: record.SignalObservationsStopped, Observed: t.now,
		Detail: fmt.Sprintf("nothing came of what it sees and says in %d windows of %s, since %s: a monitor that gets nothing sees no drift; see that its workload still sends it, with imprimatur release observe",
			windows, m.rules.Window, since.UTC().Format(time.RFC3339)),
	}, err
}

// tellSilence says in an answer of how many windows nothing came.
func (r *Registry) tellSilence(ctx context.Context, m *monitor, out *wire.Monitored) error {
	open, err := r.openTo(ctx, m)
	if err != nil {
		return err
	}
	return r.read(ctx, Caller{}, func(t *tx) (err error) {
		out.Silence = m.rules.Silence
		out.Silent, out.Since, err = t.silence(m, open)
		return err
	})
}
