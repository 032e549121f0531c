package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"imprimatur.dev/drift"
	"imprimatur.dev/evidence"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// monitor is how one release is watched. It follows from the release, whose
// evidence has the baseline and whose policy has the rules, so it never changes.
type monitor struct {
	release  record.Recorded[record.Release]
	id       string
	evidence record.Recorded[record.Evaluation]
	rules    policy.Monitor
	settings drift.Settings
	frame    *drift.Frame
	// metric and rate are what outcomes are compared with; a rate of nothing is none.
	metric string
	rate   drift.Rate
}

// monitors are those that were asked for, by release.
type monitors struct {
	mu sync.Mutex
	of map[string]*monitor
	// asks are the live releases that were looked at, and whether silence is told.
	asks map[string]bool
}

// maxMonitors bounds how many are remembered: one takes some MB where it has very
// many features.
const maxMonitors = 500

// monitorOf returns how a release is watched. It refuses one whose evidence has no
// baseline.
func (r *Registry) monitorOf(ctx context.Context, id string) (*monitor, error) {
	r.monitors.mu.Lock()
	m := r.monitors.of[id]
	r.monitors.mu.Unlock()
	if m != nil {
		return m, nil
	}
	m = &monitor{id: id}
	err := r.read(ctx, Caller{}, func(t *tx) error { return t.findMonitor(m) })
	if err != nil {
		return nil, err
	}
	if err := m.load(r.blobs); err != nil {
		return nil, err
	}
	r.monitors.mu.Lock()
	defer r.monitors.mu.Unlock()
	if r.monitors.of == nil || len(r.monitors.of) >= maxMonitors {
		r.monitors.of = map[string]*monitor{}
	}
	r.monitors.of[id] = m
	return m, nil
}

// findMonitor finds what the ledger says of a monitor. Of several pieces of evidence
// the newest counts.
func (t *tx) findMonitor(m *monitor) (err error) {
	if m.release, err = t.release(m.id); err != nil {
		return err
	}
	p, err := t.policyByDigest(m.release.Record.Context.Policy.Digest)
	if err != nil {
		return err
	}
	m.rules = p.Tier(m.release.Record.Context.Tier).MonitorOf()
	evaluations, err := t.evaluationsOf(m.release.Record)
	if err != nil {
		return err
	}
	for _, e := range evaluations {
		if e.Record.Monitor != nil && (m.evidence.Digest == "" || e.Record.Ran.After(m.evidence.Record.Ran)) {
			m.evidence = e
		}
		m.findRate(e.Record)
	}
	if m.evidence.Digest == "" {
		return refusef(wire.Refused, "the release %s has no baseline to compare observations with; an evaluator records one as evidence of drift before the release is proposed: imprimatur eval drift", m.id)
	}
	return nil
}

// findRate looks for the rate that outcomes are compared with: a count of all
// items.
func (m *monitor) findRate(e record.Evaluation) {
	p := m.rules.Performance
	if p == nil || e.Suite != p.Suite {
		return
	}
	for _, x := range e.Metrics {
		if x.Name == p.Metric && len(x.Slice) == 0 && x.Successes != nil {
			m.metric, m.rate = x.Name, drift.Rate{Right: int64(*x.Successes), N: int64(x.N)}
		}
	}
}

// maxMonitor is the largest file that a baseline is read from.
const maxMonitor = 256 << 20

// load reads the baseline.
func (m *monitor) load(blobs *store.Blobs) error {
	digest := m.evidence.Record.Files()[0]
	content, err := blobs.Open(string(digest))
	if errors.Is(err, store.ErrNotFound) {
		return refusef(wire.Unavailable, "the evidence %s with the baseline of the release %s is not here; ask the server of this ledger that has it, or restore the blobs from a backup", digest.Short(), m.id)
	}
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(content, maxMonitor))
	if err = errors.Join(err, content.Close()); err != nil {
		return fmt.Errorf("reading the baseline of %s: %w", m.id, err)
	}
	baseline, settings, err := evidence.MonitorOf(raw)
	if err != nil {
		return err
	}
	if m.frame, err = drift.NewFrame(baseline); err != nil {
		return err
	}
	if want := m.evidence.Record.Monitor.Baseline; m.frame.Digest() != want {
		return fmt.Errorf("reading the baseline of %s: %w: the evidence says %s, and it is %s", m.id, store.ErrBlob, want.Short(), m.frame.Digest().Short())
	}
	m.settings = m.rules.Over(settings)
	if err := m.settings.Validate(); err != nil {
		return refusef(wire.Refused, "the monitor of the release %s cannot run: %w; publish a policy whose section monitor fits the evidence, imprimatur policy publish, and propose it again", m.id, err)
	}
	return nil
}

// lateness is how long a window waits.
func (m *monitor) lateness(of record.Category) time.Duration {
	if of == record.Accuracy && m.rules.Performance != nil {
		return m.rules.Performance.Labels
	}
	return m.rules.Lateness
}
