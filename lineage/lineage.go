// Package lineage is the graph of what was made from what, read from
// statements: it walks from an artifact to its runs, datasets and base models,
// gathers all that a verdict on a release rests on, and walks the other way, from
// data or a credential to the releases it touches.
//
// It reads through a [Source], of which there are two: the store's snapshot, and
// a bundle. Everything it returns is a pure function of what the source finds, so
// the server and the offline verifier gather the same dossier (rule 2).
//
// Cycles end a walk; they never hang it. What a record refers to and the source
// does not have is named as absent rather than passed over.
package lineage

import (
	"errors"
	"slices"

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
	var out []record.Recorded[T]
	for _, e := range entries {
		if body, ok := e.Statement.Body.(T); ok {
			out = append(out, recorded(e, body))
		}
	}
	return out, nil
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

// Trail is where an artifact comes from: through its base models, the runs that
// made them, and the datasets those read, with what these were derived from.
type Trail struct {
	// Versions are the artifact's own version first, then its bases', nearest first.
	Versions []record.Recorded[record.ModelVersion]
	// Runs are the artifact's own first.
	Runs []record.Recorded[record.Run]
	// Datasets and Bases are digests in order without repeats.
	Datasets []record.Digest
	Bases    []record.Digest
	// Absent names what is referred to and was never stated.
	Absent []string
}

// RunRefs returns the runs as "team/id", the artifact's own first.
func (t Trail) RunRefs() []string {
	refs := make([]string, len(t.Runs))
	for i, r := range t.Runs {
		refs[i] = r.Record.Ref()
	}
	return refs
}

// Trace walks from an artifact to everything it was made from.
func Trace(src Source, artifact record.Digest) (Trail, error) {
	w := walk{src: src, seen: map[record.Digest]bool{artifact: true}}
	queue := []record.Digest{artifact}
	for len(queue) > 0 {
		next, err := w.version(queue[0])
		if err != nil {
			return Trail{}, err
		}
		for _, base := range next {
			if !w.seen[base] {
				w.seen[base] = true
				w.trail.Bases = append(w.trail.Bases, base)
				queue = append(queue, base)
			}
		}
		queue = queue[1:]
	}
	if err := w.derive(); err != nil {
		return Trail{}, err
	}
	slices.Sort(w.trail.Bases)
	slices.Sort(w.trail.Datasets)
	return w.trail, nil
}

type walk struct {
	src   Source
	seen  map[record.Digest]bool
	trail Trail
}

// version visits one artifact and returns the base models it names.
func (w *walk) version(artifact record.Digest) ([]record.Digest, error) {
	v, ok, err := Last[record.ModelVersion](w.src, record.KeyArtifact(artifact))
	if err != nil {
		return nil, err
	}
	var bases []record.Digest
	named := ""
	if ok {
		w.trail.Versions = append(w.trail.Versions, v)
		bases, named = v.Record.Bases, v.Record.Run
	} else {
		w.trail.Absent = append(w.trail.Absent, "the model "+string(artifact))
	}
	runs, err := All[record.Run](w.src, record.KeyRunsOf(artifact))
	if err != nil {
		return nil, err
	}
	if named != "" && !slices.ContainsFunc(runs, func(r record.Recorded[record.Run]) bool { return r.Record.Ref() == named }) {
		w.trail.Absent = append(w.trail.Absent, "the run "+named+" with "+v.Record.Ref()+" among its outputs")
	}
	for _, r := range runs {
		w.trail.Runs = append(w.trail.Runs, r)
		for _, in := range r.Record.Inputs {
			switch in.Type {
			case record.ResourceModel:
				bases = append(bases, in.Digest)
			case record.ResourceDataset:
				w.dataset(in.Digest)
			}
		}
	}
	return bases, nil
}

func (w *walk) dataset(d record.Digest) {
	if !slices.Contains(w.trail.Datasets, d) {
		w.trail.Datasets = append(w.trail.Datasets, d)
	}
}

// derive adds what the datasets were derived from; the list grows as it is walked.
func (w *walk) derive() error {
	for i := 0; i < len(w.trail.Datasets); i++ {
		d, ok, err := Last[record.Dataset](w.src, record.KeyDataset(w.trail.Datasets[i]))
		if err != nil {
			return err
		}
		if !ok {
			w.trail.Absent = append(w.trail.Absent, "the dataset "+string(w.trail.Datasets[i]))
		}
		for _, from := range d.Record.Derived {
			w.dataset(from)
		}
	}
	return nil
}
