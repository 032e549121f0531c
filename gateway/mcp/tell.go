package mcp

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"imprimatur.dev/wire"
)

const (
	// tellEvery is how often the server is told of what was decided, and tellAtOnce
	// of how many lines.
	tellEvery  = time.Second
	tellAtOnce = 1000
	tellWithin = 5 * time.Second
	// maxUntold are the lines that wait for a server that cannot be told; beyond
	// these, calls are only counted.
	maxUntold = 10_000
)

// teller tells the server what was decided here, so that its decision log has it
// too. What it cannot be told waits.
type teller struct {
	tell func(context.Context, []wire.Decided) error
	log  *slog.Logger
	done chan struct{}

	mu    sync.Mutex
	lines []wire.Decided
	// cut finds the lines that only count, by what they count.
	cut map[wire.Decided]*wire.Decided
}

func newTeller(ctx context.Context, tell func(context.Context, []wire.Decided) error, log *slog.Logger) *teller {
	t := &teller{tell: tell, log: log, done: make(chan struct{}), cut: map[wire.Decided]*wire.Decided{}}
	go t.run(ctx)
	return t
}

// add takes a call that was decided about.
func (t *teller) add(e Entry) {
	if t == nil || e.Kind == "" {
		return
	}
	d := wire.Decided{
		At: e.Time, Workload: e.Workload, Release: e.Release, Kind: e.Kind, Resource: e.Resource, Action: e.Action,
		Definition: e.Definition, Arguments: e.Arguments, Allowed: e.Allowed, Reason: e.Reason, Count: 1,
	}
	if e.Allowed {
		d.Grant = max(e.Grant, 0)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < maxUntold {
		t.lines = append(t.lines, d)
		return
	}
	words := wire.Decided{Workload: d.Workload, Release: d.Release, Allowed: d.Allowed, Cut: true}
	sum := t.cut[words]
	if sum == nil {
		first := words
		first.At = d.At
		sum = &first
		t.cut[words] = sum
	}
	sum.Count, sum.Last = sum.Count+1, d.At
}

// run tells until ctx ends, and then of what is left.
func (t *teller) run(ctx context.Context) {
	defer close(t.done)
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	silent := false
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case <-tick.C:
		}
		err := t.some(context.WithoutCancel(ctx))
		if err != nil && !silent {
			t.log.Error("telling the server of the calls that were decided here", "error", err)
		}
		silent = err != nil
	}
}

// some tells of what waits.
func (t *teller) some(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	for {
		t.mu.Lock()
		lines := slices.Clone(t.lines[:min(len(t.lines), tellAtOnce)])
		whole := len(lines) == len(t.lines)
		if whole && len(lines) < tellAtOnce {
			for words, sum := range t.cut {
				if len(lines) == tellAtOnce {
					break
				}
				lines = append(lines, *sum)
				delete(t.cut, words)
			}
		}
		t.lines = t.lines[min(len(t.lines), tellAtOnce):]
		t.mu.Unlock()
		if len(lines) == 0 {
			return nil
		}
		if err := t.tell(ctx, lines); err != nil {
			t.mu.Lock()
			t.lines = append(lines, t.lines...)
			t.mu.Unlock()
			return err
		}
	}
}
