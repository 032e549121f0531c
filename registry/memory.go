package registry

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// graph is the graph of what was made from what, with its lock. A walk holds up
// the next statement for as long as it takes, some milliseconds at most.
type graph struct {
	mu sync.RWMutex
	g  *lineage.Graph
}

// drafts are the statements that are on their way into the ledger, by the first
// byte of their payload: what has been read once is not read again when the
// store tells of it.
type drafts struct {
	mu sync.Mutex
	at map[*byte]lineage.Entry
}

func (d *drafts) put(stated []staged) (forget func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range stated {
		d.at[&s.payload[0]] = s.entry
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, s := range stated {
			delete(d.at, &s.payload[0])
		}
	}
}

func (d *drafts) entry(e store.Committed) (lineage.Entry, bool) {
	d.mu.Lock()
	got, ok := d.at[&e.Payload[0]]
	d.mu.Unlock()
	if !ok {
		return entryFrom(e.Index, e.Payload)
	}
	got.Index = e.Index
	return got, true
}

// entryFrom reads an entry of the ledger. It is not there where an older program
// does not know a newer kind.
func entryFrom(index int64, payload []byte) (lineage.Entry, bool) {
	stated, err := attest.DecodeStatement(payload)
	return lineage.Entry{Index: index, Digest: record.DigestOf(payload), Statement: stated}, err == nil
}

// committed is called by the store with what it appended, before the authors
// are answered.
func (r *Registry) committed(entries []store.Committed) {
	learnt := make([]lineage.Entry, 0, len(entries))
	for _, e := range entries {
		r.index.touch(e.Keys)
		r.known.forget(e.Keys)
		if got, ok := r.drafts.entry(e); ok {
			learnt = append(learnt, got)
		}
	}
	r.learn(learnt)
}

// learn tells what is kept in memory of entries of the ledger: identities, the shelf, the
// roll, the inventory, the secrets and gateways, what pipelines sent, the graph, and the outbox. All are told at the start of every entry, from
// the first, then of each new one before its author is answered. They take
// entries in any order and twice: a replica hears of its own before those of
// others that stand earlier.
func (r *Registry) learn(entries []lineage.Entry) {
	for _, e := range entries {
		r.identities.learn(e.Index, e.Statement)
		r.shelf.learn(e.Index, e.Statement)
		r.roll.learn(e.Index, e.Statement)
		r.workloads.learn(e.Index, e.Statement)
		r.secrets.learn(e)
		r.gateways.learn(e)
		if body, ok := e.Statement.Body.(record.LineageEvents); ok {
			r.pipelines.put(e.Index, body)
		}
	}
	r.graph.mu.Lock()
	defer r.graph.mu.Unlock()
	for _, e := range entries {
		r.graph.g.Learn(e)
	}
	r.graph.g.Settle()
	r.outbox.learn(entries)
}

// followed is how many entries are read from the ledger at once.
const followed = 1000

// remember reads the ledger from its first entry and learns all that it held at
// the start.
func (r *Registry) remember(ctx context.Context, size int64) error {
	for next := int64(0); next < size; {
		entries, err := r.store.Since(ctx, next, followed)
		if err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		r.learn(readAll(entries))
		next += int64(len(entries))
	}
	return nil
}

// readAll reads entries with all processors.
func readAll(entries []store.Entry) []lineage.Entry {
	read := make([]lineage.Entry, len(entries))
	known := make([]bool, len(entries))
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		all.Go(func() {
			for i := w; i < len(entries); i += workers {
				read[i], known[i] = entryFrom(entries[i].Index, entries[i].Payload)
			}
		})
	}
	all.Wait()
	out := read[:0]
	for i, e := range read {
		if known[i] {
			out = append(out, e)
		}
	}
	return out
}

// follow reads what was appended from an index on, and returns the next one.
func (r *Registry) follow(ctx context.Context, from int64) (int64, error) {
	for {
		entries, err := r.store.Since(ctx, from, followed)
		if err != nil {
			return from, fmt.Errorf("following the ledger: %w", err)
		}
		for _, e := range entries {
			if _, keys, err := ledger.Project(e.Payload); err == nil {
				r.index.touch(keys)
				r.known.forget(keys)
			}
		}
		r.learn(readAll(entries))
		from += int64(len(entries))
		if len(entries) < followed {
			return from, nil
		}
	}
}
