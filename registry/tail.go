package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
)

const (
	// tailEvery is how often a replica reads what other replicas appended.
	tailEvery = 500 * time.Millisecond
	// staleAfter is how long a replica may go without seeing the ledger before
	// it refuses to decide (rule 10).
	staleAfter = 5 * time.Second
	// remembered is how many appended entries the index knows the keys of, to
	// tell whether a dossier was overtaken while it was gathered.
	remembered = 8192
)

// touched are the keys of one entry that the index was told of. Count numbers
// these in the order of telling: a replica hears of its own entries before those
// of others that stand earlier in the ledger.
type touched struct {
	count int64
	keys  []string
}

// touch makes every line stale whose dossier was read under one of the keys,
// and notes the lines whose live release may be another one now.
func (x *index) touch(keys []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recent = append(x.recent, touched{x.count, keys})
	x.count++
	if len(x.recent) > 2*remembered {
		x.recent = slices.Clone(x.recent[len(x.recent)-remembered:])
	}
	for _, k := range keys {
		x.drop(k)
		for line := range x.readers[k] {
			old := x.lines[line]
			x.lines[line] = &standing{id: old.id, keys: old.keys}
		}
		if line, ok := strings.CutPrefix(k, record.KeyLive("")); ok {
			x.unknown[line] = true
		}
	}
}

// told returns how many entries the index was told of. The ledger has them all.
func (x *index) told() int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.count
}

// put keeps what was gathered of a line, unless one of the entries of which the
// index was told from the count on has overtaken it.
func (x *index) put(line string, fresh *standing, from int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.overtaken(fresh.keys, from) {
		return false
	}
	if old := x.lines[line]; old != nil {
		for _, k := range old.keys {
			delete(x.readers[k], line)
		}
		if old.id != fresh.id {
			delete(x.powers, old.id)
		}
	}
	delete(x.unknown, line)
	x.lines[line] = fresh
	for _, k := range fresh.keys {
		if x.readers[k] == nil {
			x.readers[k] = map[string]bool{}
		}
		x.readers[k][line] = true
	}
	if fresh.dossier != nil {
		x.place(line, fresh.id, fresh.dossier.Release.Record)
	}
	return true
}

// overtaken reports whether one of the entries of which the index was told from
// the count on is under one of the keys, or may be.
func (x *index) overtaken(keys []string, from int64) bool {
	if len(x.recent) > 0 && x.recent[0].count > from {
		return true
	}
	for _, c := range slices.Backward(x.recent) {
		if c.count < from {
			break
		}
		if slices.ContainsFunc(c.keys, func(k string) bool { return slices.Contains(keys, k) }) {
			return true
		}
	}
	return false
}

// place notes where the release that was last promoted in a line is found.
func (x *index) place(line, id string, rel record.Release) {
	x.promoted[id] = line
	note := func(lines map[string]bool) map[string]bool {
		if lines == nil {
			lines = map[string]bool{}
		}
		lines[line] = true
		return lines
	}
	p := place{rel.Context.Environment, rel.Behaviour.Artifact}
	x.places[p] = note(x.places[p])
	for _, w := range rel.Authority.Workloads {
		x.actors[w] = note(x.actors[w])
	}
}

// loadIndex learns at the start what was last promoted in each line; the
// dossiers follow when they are first asked for.
func (r *Registry) loadIndex(ctx context.Context) error {
	return r.read(ctx, Caller{}, func(t *tx) error {
		lines, err := t.lines()
		if err != nil {
			return err
		}
		for _, line := range lines {
			history, err := lineage.History(t, line)
			if err != nil {
				return err
			}
			id := lastPromoted(history)
			if id == "" {
				continue
			}
			rel, err := t.release(id)
			if err != nil {
				return err
			}
			r.index.place(line, id, rel.Record)
			r.index.lines[line] = &standing{}
		}
		return nil
	})
}

// meet gathers the lines whose live release may have changed, so that the index
// knows which artifacts are promoted where.
func (r *Registry) meet(ctx context.Context) error {
	r.index.mu.RLock()
	lines := make([]string, 0, len(r.index.unknown))
	for l := range r.index.unknown {
		lines = append(lines, l)
	}
	r.index.mu.RUnlock()
	for _, l := range lines {
		if _, err := r.standing(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// every calls a function each time that d has passed, until ctx ends.
func every(ctx context.Context, d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// tail follows a ledger that other replicas append to as well, until ctx ends.
func (r *Registry) tail(ctx context.Context, from int64) {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Since(r.opened)
		next, err := r.follow(ctx, from)
		if err != nil {
			continue
		}
		from = next
		r.seen.Store(int64(began))
	}
}

// blind says why this server may not decide: it is closed, or it is a replica
// that has not seen the ledger for longer than its staleness bound. A server that
// is alone on its ledger sees every statement as it appends it.
func (r *Registry) blind() string {
	if r.closed.Load() {
		return "this server has closed its ledger; ask one that runs"
	}
	if !r.replica {
		return ""
	}
	if ago := time.Since(r.opened) - time.Duration(r.seen.Load()); ago > r.stale {
		return fmt.Sprintf("this server has not seen the ledger for %s, longer than its bound of %s; check its database", ago.Round(time.Second), r.stale)
	}
	return ""
}
