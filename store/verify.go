package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"imprimatur.dev/ledger"
)

// ErrLedger is wrapped when the log is not what its own entries say.
var ErrLedger = errors.New("the ledger does not verify")

// Check says how [Store.Verify] tells good signatures from bad ones.
type Check struct {
	// Signatures checks a run of entries, in any goroutine, and returns the
	// position of a bad one in the run, or -1.
	Signatures func([]Entry) (bad int, err error)
	// Checkpoint opens a signed checkpoint.
	Checkpoint func(signed []byte) (ledger.Checkpoint, error)
	// Progress, if not nil, is told of entries checked, one call at a time.
	Progress func(done, total int64)
}

// Report says what was verified.
type Report struct {
	Entries     int64  `json:"entries"`
	Facts       int64  `json:"facts"`
	Tiles       int64  `json:"tiles"`
	Checkpoints int64  `json:"checkpoints"`
	Root        string `json:"root"`
}

// Verify reads the whole log again: every signature; every leaf, from the
// payload; every tile and the head's root, from the leaves; every kept
// checkpoint, its signature and its root; and the projection, rebuilt from the
// payloads and compared fact by fact. There must be no other rows. The first
// fault ends it with an error that wraps [ErrLedger] and names what differs.
//
// The projection is compared through a sum for each entry of its keys' hashes,
// seeded anew for each run, so that nobody can choose rows that cancel out.
func (s *Store) Verify(ctx context.Context, check Check) (Report, error) {
	var report Report
	err := s.View(ctx, func(v *View) error {
		var version int
		if err := v.tx.QueryRowContext(ctx, "SELECT version FROM projection WHERE id = 1").Scan(&version); err != nil || version != s.options.Version {
			return fmt.Errorf("%w: its projection was not made by this program (version %d, not %d); start its server once with this program, which makes it anew, and verify again", ErrLedger, version, s.options.Version)
		}
		a := &audit{store: s, view: v, check: check, seed: maphash.MakeSeed(), report: &report}
		a.sums = make([]uint64, v.Size())
		a.counts = make([]int32, v.Size())
		return a.run(ctx)
	})
	return report, err
}

// auditRun is how many entries are checked together: large enough for a batch of
// signatures, and a divisor of what a tile spans.
const auditRun = 256

type audit struct {
	store *Store
	// view is one connection, which answers one question at a time: mu.
	mu     sync.Mutex
	view   *View
	check  Check
	seed   maphash.Seed
	report *Report
	// sums and counts are what the payloads say of each entry's keys, less what
	// the facts say.
	sums   []uint64
	counts []int32
	tree   *ledger.Tree
	// edge are the tiles that were not full when they were last made.
	edge map[[2]int64][]byte
}

// run is one consecutive piece of the log on its way through the workers.
type run struct {
	entries []Entry
	hashes  []tlog.Hash
	sums    []uint64
	counts  []int32
	done    chan error
}

func (a *audit) run(ctx context.Context) error {
	a.tree, a.edge = new(ledger.Tree), map[[2]int64][]byte{}
	// First, since it says what else would look like many other faults.
	if err := a.outside(); err != nil {
		return err
	}
	facts := factSums{seed: a.seed, sums: make([]uint64, len(a.sums)), counts: make([]int32, len(a.sums))}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.store.View(ctx, facts.read) })
	g.Go(func() error { return a.entries(ctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range a.sums {
		if a.sums[i] != facts.sums[i] || a.counts[i] != facts.counts[i] {
			return fmt.Errorf("%w: the projection of entry %d has %d keys that are not those %d of its statement", ErrLedger, i, facts.counts[i], a.counts[i])
		}
		a.report.Facts += int64(a.counts[i])
	}
	if err := a.nothingElse(); err != nil {
		return err
	}
	return a.checkpoints()
}

// outside looks for entries that the head does not account for: one beyond it
// would be read, and one below the first found by its index.
func (a *audit) outside() error {
	var entries int64
	err := a.view.tx.QueryRowContext(a.view.ctx, "SELECT (SELECT count(*) FROM entries WHERE idx < 0)"+
		" + (SELECT count(*) FROM entries WHERE idx >= $1)", a.view.Size()).Scan(&entries)
	if err != nil {
		return fmt.Errorf("looking for rows outside the log: %w", err)
	}
	if entries != 0 {
		return fmt.Errorf("%w: there are %d entries outside the log of %d", ErrLedger, entries, a.view.Size())
	}
	return nil
}

// nothingElse looks for tiles that the log does not account for.
func (a *audit) nothingElse() error {
	var tiles int64
	if err := a.view.tx.QueryRowContext(a.view.ctx, "SELECT count(*) FROM tiles").Scan(&tiles); err != nil {
		return fmt.Errorf("looking for rows outside the log: %w", err)
	}
	if tiles != a.report.Tiles {
		return fmt.Errorf("%w: there are %d tiles, a log of %d entries has %d", ErrLedger, tiles, a.view.Size(), a.report.Tiles)
	}
	return nil
}

// entries sends the log through the workers and takes it up again in order.
func (a *audit) entries(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	work := make(chan *run)
	ordered := make(chan *run, 2*runtime.GOMAXPROCS(0))
	g.Go(func() error {
		defer close(work)
		defer close(ordered)
		return a.read(ctx, work, ordered)
	})
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for r := range work {
				r.done <- a.examine(r)
			}
			return nil
		})
	}
	g.Go(func() error {
		for r := range ordered {
			select {
			case err := <-r.done:
				if err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := a.grow(r); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err // the reader gave up before the end
		}
		return a.finish()
	})
	return g.Wait()
}

func (a *audit) read(ctx context.Context, work, ordered chan<- *run) error {
	for next := int64(0); next < a.view.Size(); {
		a.mu.Lock()
		entries, err := a.view.Since(next, auditRun)
		a.mu.Unlock()
		if err != nil {
			return err
		}
		if len(entries) == 0 || entries[0].Index != next || entries[len(entries)-1].Index != next+int64(len(entries))-1 {
			return fmt.Errorf("%w: entries are missing from number %d on", ErrLedger, next)
		}
		r := &run{entries: entries, done: make(chan error, 1)}
		for _, ch := range []chan<- *run{ordered, work} {
			select {
			case ch <- r:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		next += int64(len(entries))
	}
	return nil
}

// examine is what can be done with a run on its own.
func (a *audit) examine(r *run) error {
	bad, err := a.check.Signatures(r.entries)
	if err != nil {
		at := r.entries[0].Index + int64(max(bad, 0))
		return fmt.Errorf("%w: the signature of entry %d: %w", ErrLedger, at, err)
	}
	r.hashes = make([]tlog.Hash, len(r.entries))
	r.sums, r.counts = make([]uint64, len(r.entries)), make([]int32, len(r.entries))
	for i, e := range r.entries {
		leaf, keys, err := a.store.options.Project(e.Payload)
		if err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrLedger, e.Index, err)
		}
		if keys, err = cleanKeys(keys); err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrLedger, e.Index, err)
		}
		r.hashes[i] = tlog.RecordHash(leaf)
		for _, k := range keys {
			r.sums[i] += maphash.String(a.seed, k)
		}
		r.counts[i] = int32(len(keys))
	}
	return nil
}

// grow takes up a run in the order of the log.
func (a *audit) grow(r *run) error {
	from := r.entries[0].Index
	copy(a.sums[from:], r.sums)
	copy(a.counts[from:], r.counts)
	next, tiles := a.tree.Append(r.hashes...)
	a.tree = next
	for _, t := range tiles {
		at := [2]int64{int64(t.Level), t.Number}
		if len(t.Data) < tileBytes {
			a.edge[at] = t.Data
			continue
		}
		delete(a.edge, at)
		if err := a.tile(at, t.Data); err != nil {
			return err
		}
	}
	a.report.Entries = next.Size()
	if a.check.Progress != nil {
		a.check.Progress(next.Size(), a.view.Size())
	}
	return nil
}

// tileBytes is the length of a full tile.
const tileBytes = 256 * tlog.HashSize

func (a *audit) tile(at [2]int64, want []byte) error {
	a.mu.Lock()
	got, err := a.view.tile(int(at[0]), at[1])
	a.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: tile %d of level %d: %w", ErrLedger, at[1], at[0], err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: tile %d of level %d does not hold the hashes of its entries", ErrLedger, at[1], at[0])
	}
	a.report.Tiles++
	return nil
}

// finish compares the right edge and the head.
func (a *audit) finish() error {
	for at, data := range a.edge {
		if err := a.tile(at, data); err != nil {
			return err
		}
	}
	root := a.tree.Root()
	if a.tree.Size() != a.view.head.size || root != a.view.head.root {
		return fmt.Errorf("%w: the %d entries hash to %v, the head says %v at %d", ErrLedger, a.tree.Size(), root, a.view.head.root, a.view.head.size)
	}
	a.report.Root = root.String()
	return a.checkpoint(a.view.head.note, a.view.head.size)
}

// checkpoint opens one checkpoint and holds its root against the tiles, which
// have been verified by then.
func (a *audit) checkpoint(signed []byte, size int64) error {
	c, err := a.check.Checkpoint(signed)
	if err != nil {
		return fmt.Errorf("%w: the checkpoint at %d: %w", ErrLedger, size, err)
	}
	root, err := a.view.Root(c.Size)
	if err != nil {
		return fmt.Errorf("%w: the checkpoint at %d: %w", ErrLedger, size, err)
	}
	if c.Size != size || root != c.Root {
		return fmt.Errorf("%w: the checkpoint at %d says that the root is %v, the entries hash to %v", ErrLedger, size, c.Root, root)
	}
	a.report.Checkpoints++
	return nil
}

func (a *audit) checkpoints() error {
	rows, err := a.view.tx.QueryContext(a.view.ctx, "SELECT size, note FROM checkpoints ORDER BY size")
	if err != nil {
		return fmt.Errorf("reading the checkpoints: %w", err)
	}
	type kept struct {
		size int64
		note []byte
	}
	var all []kept
	for rows.Next() {
		var k kept
		if err := rows.Scan(&k.size, &k.note); err != nil {
			return errors.Join(err, rows.Close())
		}
		all = append(all, k)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("reading the checkpoints: %w", err)
	}
	for _, k := range all {
		if err := a.checkpoint(k.note, k.size); err != nil {
			return err
		}
	}
	return nil
}

// factSums reads the projection as it stands.
type factSums struct {
	seed   maphash.Seed
	sums   []uint64
	counts []int32
}

// read reads it in a view of its own, beside the entries. That view may be a
// little longer than the one that is verified.
func (f *factSums) read(v *View) error {
	rows, err := v.tx.QueryContext(v.ctx, "SELECT key, idx FROM facts")
	if err != nil {
		return fmt.Errorf("reading the projection: %w", err)
	}
	defer rows.Close()
	var key sql.RawBytes
	var idx int64
	for rows.Next() {
		if err := rows.Scan(&key, &idx); err != nil {
			return fmt.Errorf("reading the projection: %w", err)
		}
		switch {
		case idx < 0 || idx >= v.Size():
			return fmt.Errorf("%w: the projection has the key %q for entry %d of a log of %d", ErrLedger, key, idx, v.Size())
		case idx < int64(len(f.sums)):
			f.sums[idx] += maphash.Bytes(f.seed, key)
			f.counts[idx]++
		}
	}
	return rows.Err()
}
