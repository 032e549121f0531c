// Package lineage answers what was made from what, and what rests on what, by
// walking the statements of a ledger.
//
// It reads statements through a [Source], which finds entries under the keys
// that package record defines. The two sources are the registry's view of the
// database and the entries of an offline bundle; over the same entries both
// give the same answer, which is how an auditor reaches the server's verdict
// (rule 2).
//
// # What counts
//
// What a release was made from is read as the ledger stood when the release was
// proposed: a statement that somebody makes afterwards about the same bytes
// changes neither what was approved nor what runs. Where the ledger had nothing
// at that time, the first later statement counts. What may change while a
// release lives (approvals, withdrawals, roles, exceptions, promotions, the use
// case, the environment) is read as it stands now; a caller who asks about an
// earlier time passes a source made by [Filter].
//
// Cycles end a walk, they never hang it. What a record refers to and the source
// does not have is named as absent rather than passed over.
//
// # Closed under itself
//
// [Collect] returns with the dossier every entry that it used. Collecting again
// over only those entries gives the same dossier and the same entries: nothing
// that was passed over may have had a say. The tests hold this.
//
// The package does no input or output and reads no clock.
package lineage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"imprimatur.dev/record"
)

// ErrNotFound says that the ledger has no release with the ID.
var ErrNotFound = errors.New("no such release")

// Entry is one statement of the ledger.
type Entry struct {
	// Index is the position in the ledger, from 0.
	Index int64
	// Digest is SHA-256 of the statement's payload.
	Digest    record.Digest
	Statement record.Statement
}

// Source finds the entries under a key, oldest first.
type Source interface {
	Find(key string) ([]Entry, error)
}

// Filter returns a source of only those entries of src for which keep answers
// true.
func Filter(src Source, keep func(Entry) bool) Source { return filtered{src, keep} }

type filtered struct {
	src  Source
	keep func(Entry) bool
}

func (f filtered) Find(key string) ([]Entry, error) {
	all, err := f.src.Find(key)
	if err != nil {
		return nil, err
	}
	var kept []Entry
	for _, e := range all {
		if f.keep(e) {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// Last returns the newest record of type T under a key, and whether there is one.
func Last[T record.Body](src Source, key string) (record.Recorded[T], bool, error) {
	all, err := All[T](src, key)
	if err != nil || len(all) == 0 {
		return record.Recorded[T]{}, false, err
	}
	return all[len(all)-1], true, nil
}

// All returns the records of type T under a key, oldest first.
func All[T record.Body](src Source, key string) ([]record.Recorded[T], error) {
	r := newReader(src)
	return pick[T](r, key, nil), r.err
}

// History returns what became of a line, oldest first: the promotions,
// suspensions and retirements of its releases.
func History(src Source, line string) ([]record.Event, error) {
	r := newReader(src)
	return r.history(line), r.err
}

// PersonOf returns a principal with its current role bindings, and whether it
// was ever enrolled.
func PersonOf(src Source, name string) (record.Person, bool, error) {
	r := newReader(src)
	p, ok := r.person(name)
	return p, ok, r.err
}

// reader reads a source, each key once, and keeps the entries that were used.
type reader struct {
	src  Source
	seen map[string][]Entry
	used map[int64]Entry
	err  error // the first error of the source; after it nothing is found
}

func newReader(src Source) *reader {
	return &reader{src: src, seen: map[string][]Entry{}, used: map[int64]Entry{}}
}

func (r *reader) find(key string) []Entry {
	if found, ok := r.seen[key]; ok || r.err != nil {
		return found
	}
	found, err := r.src.Find(key)
	if err != nil {
		r.err = fmt.Errorf("finding %s: %w", key, err)
		return nil
	}
	r.seen[key] = found
	return found
}

// entries returns what was used, in ledger order.
func (r *reader) entries() []Entry {
	out := make([]Entry, 0, len(r.used))
	for _, e := range r.used {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Index, b.Index) })
	return out
}

// use marks an entry as one that the answer rests on.
func use[T record.Body](r *reader, e Entry) record.Recorded[T] {
	r.used[e.Index] = e
	return record.Recorded[T]{
		Record: e.Statement.Body.(T), Digest: e.Statement.Digest(), Actor: e.Statement.Actor, Time: e.Statement.Time,
		Index: e.Index, Statement: e.Digest,
	}
}

// pick uses all records of type T under a key for which want answers true; a
// nil want takes all.
func pick[T record.Body](r *reader, key string, want func(Entry, T) bool) []record.Recorded[T] {
	var out []record.Recorded[T]
	for _, e := range r.find(key) {
		if body, ok := e.Statement.Body.(T); ok && (want == nil || want(e, body)) {
			out = append(out, use[T](r, e))
		}
	}
	return out
}

// newest uses the last record of type T under a key.
func newest[T record.Body](r *reader, key string) (record.Recorded[T], bool) {
	for _, e := range slices.Backward(r.find(key)) {
		if _, ok := e.Statement.Body.(T); ok {
			return use[T](r, e), true
		}
	}
	return record.Recorded[T]{}, false
}

// asOf uses the records of type T under a key that stood at an index of the
// ledger, or the first later one where none did.
func asOf[T record.Body](r *reader, key string, index int64) []record.Recorded[T] {
	first := int64(-1)
	return pick(r, key, func(e Entry, _ T) bool {
		if first < 0 {
			first = e.Index
		}
		return e.Index <= max(index, first)
	})
}

func (r *reader) history(line string) []record.Event {
	var out []record.Event
	for _, e := range r.find(record.KeyLive(line)) {
		event := record.Event{Actor: e.Statement.Actor, Time: e.Statement.Time, Index: e.Index}
		switch b := e.Statement.Body.(type) {
		case record.Promotion:
			event.Promotion = &b
		case record.Suspension:
			event.Suspension = &b
		case record.Retirement:
			event.Retirement = &b
		default:
			continue
		}
		r.used[e.Index] = e
		out = append(out, event)
	}
	return out
}

// person finds a principal and the newest binding of each role and team.
func (r *reader) person(name string) (record.Person, bool) {
	principal, ok := newest[record.Principal](r, record.KeyPrincipal(name))
	if !ok {
		return record.Person{}, false
	}
	type seat struct {
		role record.RoleName
		team string
	}
	last := map[seat]int64{}
	for _, e := range r.find(record.KeyRoles(name)) {
		if b, ok := e.Statement.Body.(record.Role); ok {
			last[seat{b.Role, b.Team}] = e.Index
		}
	}
	p := record.Person{Principal: principal.Record}
	for _, b := range pick(r, record.KeyRoles(name), func(e Entry, b record.Role) bool {
		return last[seat{b.Role, b.Team}] == e.Index
	}) {
		p.Roles = append(p.Roles, b.Record)
	}
	return p, true
}
