// Package lineage is the graph of what was made from what, read from
// statements: it walks from an artifact to its runs, datasets and base models,
// gathers all that a verdict on a release rests on, and walks the other way, from
// data or a credential to the releases it touches.
//
// It reads through a [Source], of which there are two: the store's snapshot, and
// a bundle. Everything it returns is a pure function of what the source finds, so
// the server and the offline verifier gather the same dossier (rule 2).
//
// What a release was made from is read as the ledger stood when the release was
// proposed: a statement that somebody makes later about the same bytes changes
// neither what was approved nor what runs. Where nothing was stated by then, the
// first later statement counts. What may change while a release lives (approvals,
// withdrawals, roles, exceptions, promotions, the use case, the environment) is
// read as the source has it; a caller who asks about an earlier time passes a
// source made by [Filter].
//
// Cycles end a walk; they never hang it. What a record refers to and the source
// does not have is named as absent rather than passed over.
package lineage

import (
	"errors"

	"imprimatur.dev/record"
)

// ErrNotFound is wrapped when the thing asked about was never stated.
var ErrNotFound = errors.New("it was never stated in this ledger")

// Entry is one statement of the ledger.
type Entry struct {
	// Index is its position in the ledger, from 0.
	Index int64
	// Digest is SHA-256 of the signed payload.
	Digest    record.Digest
	Statement record.Statement
}

// Source finds the entries under a key, oldest first.
type Source interface {
	Find(key string) ([]Entry, error)
}

// Filter returns a source of only those entries of src for which keep answers
// true: the ledger as it stood at an earlier index or time.
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

// All returns the records of one type under a key, oldest first.
func All[T record.Body](src Source, key string) ([]record.Recorded[T], error) {
	entries, err := src.Find(key)
	if err != nil {
		return nil, err
	}
	return only[T](entries), nil
}

// only returns the records of one type among entries.
func only[T record.Body](entries []Entry) (out []record.Recorded[T]) {
	for _, e := range entries {
		if body, ok := e.Statement.Body.(T); ok {
			out = append(out, recorded(e, body))
		}
	}
	return out
}

// Last returns the newest record of one type under a key.
func Last[T record.Body](src Source, key string) (record.Recorded[T], bool, error) {
	all, err := All[T](src, key)
	if err != nil || len(all) == 0 {
		return record.Recorded[T]{}, false, err
	}
	return all[len(all)-1], true, nil
}

func recorded[T record.Body](e Entry, body T) record.Recorded[T] {
	s := e.Statement
	return record.Recorded[T]{Record: body, Digest: s.Digest(), Actor: s.Actor, Time: s.Time, Index: e.Index, Statement: e.Digest}
}

// History returns what became of a line: promotions, suspensions and
// retirements, oldest first.
func History(src Source, line string) ([]record.Event, error) {
	entries, err := src.Find(record.KeyLive(line))
	if err != nil {
		return nil, err
	}
	var out []record.Event
	for _, e := range entries {
		ev := record.Event{Actor: e.Statement.Actor, Time: e.Statement.Time, Index: e.Index}
		switch b := e.Statement.Body.(type) {
		case record.Promotion:
			ev.Promotion = &b
		case record.Suspension:
			ev.Suspension = &b
		case record.Retirement:
			ev.Retirement = &b
		default:
			continue
		}
		out = append(out, ev)
	}
	return out, nil
}
