package lineage

import (
	"math"
	"slices"

	"imprimatur.dev/record"
)

// Trail is where an artifact comes from: through its base models, the runs that
// made them, and the datasets those read, with what these were derived from.
type Trail struct {
	// Versions are the artifact's own version first, then its bases', nearest
	// first: the newest where several stand for the same bytes.
	Versions []record.Recorded[record.ModelVersion]
	// Runs are the artifact's own first, each in its newest statement.
	Runs []record.Recorded[record.Run]
	// Datasets and Bases are digests in order without repeats.
	Datasets []record.Digest
	Bases    []record.Digest
	// Absent names what is referred to and was never stated.
	Absent []string
	// Unread says which datasets a tracking server reports as read and nobody
	// has registered.
	Unread []string
}

// RunRefs returns the runs as "team/id", the artifact's own first.
func (t Trail) RunRefs() []string {
	refs := make([]string, len(t.Runs))
	for i, r := range t.Runs {
		refs[i] = r.Record.Ref()
	}
	return refs
}

// Trace walks from an artifact to everything it was made from. Where a thing
// was stated several times, what any of the statements says went into it counts:
// nobody takes an input away by stating less of it.
func Trace(src Source, artifact record.Digest) (Trail, error) {
	return traceAsOf(src, artifact, math.MaxInt64)
}

// traceAsOf traces over the ledger as it stood at an index.
func traceAsOf(src Source, artifact record.Digest, index int64) (Trail, error) {
	w := &walk{src: src, index: index, runs: map[string]bool{}, queue: []record.Digest{artifact}}
	for i := 0; i < len(w.queue); i++ {
		if err := w.model(w.queue[i]); err != nil {
			return Trail{}, err
		}
	}
	if err := w.derive(); err != nil {
		return Trail{}, err
	}
	w.trail.Bases = slices.Clone(w.queue[1:])
	slices.Sort(w.trail.Bases)
	slices.Sort(w.trail.Datasets)
	return w.trail, nil
}

type walk struct {
	src   Source
	index int64
	runs  map[string]bool
	// queue holds the artifacts in the order in which they were met.
	queue []record.Digest
	trail Trail
}

func (w *walk) absent(what string) { w.trail.Absent = append(w.trail.Absent, what) }

// model visits one artifact: every version that stands for it, and every run
// that made it.
func (w *walk) model(artifact record.Digest) error {
	versions, err := asOf[record.ModelVersion](w.src, record.KeyArtifact(artifact), w.index)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		w.absent("the model " + string(artifact))
	} else {
		w.trail.Versions = append(w.trail.Versions, versions[len(versions)-1])
	}
	for _, v := range versions {
		for _, b := range v.Record.Bases {
			w.base(b)
		}
		if err := w.claimed(v.Record); err != nil {
			return err
		}
	}
	made, err := asOf[record.Run](w.src, record.KeyRunsOf(artifact), w.index)
	for _, r := range made {
		if err := w.run(r.Record.Ref()); err != nil {
			return err
		}
	}
	return err
}

// claimed visits the run that a version names, and holds it to having made it.
func (w *walk) claimed(v record.ModelVersion) error {
	if v.Run == "" {
		return nil
	}
	stated, err := asOf[record.Run](w.src, record.KeyRun(v.Run), w.index)
	if err != nil {
		return err
	}
	made := slices.ContainsFunc(stated, func(r record.Recorded[record.Run]) bool {
		return slices.ContainsFunc(r.Record.Outputs, func(o record.Resource) bool { return o.Digest == v.Artifact })
	})
	if !made {
		w.absent("the run " + v.Run + " with " + v.Ref() + " among its outputs")
	}
	return w.run(v.Run)
}

func (w *walk) run(ref string) error {
	if w.runs[ref] {
		return nil
	}
	w.runs[ref] = true
	stated, err := asOf[record.Run](w.src, record.KeyRun(ref), w.index)
	if err != nil || len(stated) == 0 {
		return err
	}
	w.trail.Runs = append(w.trail.Runs, stated[len(stated)-1])
	for _, r := range stated {
		for _, in := range r.Record.Inputs {
			switch in.Type {
			case record.ResourceModel:
				w.base(in.Digest)
			case record.ResourceDataset:
				w.dataset(in.Digest)
			}
		}
		if err := w.unread(r.Record); err != nil {
			return err
		}
	}
	return w.seen(stated)
}

func (w *walk) base(artifact record.Digest) {
	if !slices.Contains(w.queue, artifact) {
		w.queue = append(w.queue, artifact)
	}
}

func (w *walk) dataset(d record.Digest) {
	if !slices.Contains(w.trail.Datasets, d) {
		w.trail.Datasets = append(w.trail.Datasets, d)
	}
}

// derive adds what the datasets were derived from; the list grows as it is walked.
func (w *walk) derive() error {
	for i := 0; i < len(w.trail.Datasets); i++ {
		stated, err := asOf[record.Dataset](w.src, record.KeyDataset(w.trail.Datasets[i]), w.index)
		if err != nil {
			return err
		}
		if len(stated) == 0 {
			w.absent("the dataset " + string(w.trail.Datasets[i]))
		}
		for _, d := range stated {
			for _, from := range d.Record.Derived {
				w.dataset(from)
			}
		}
	}
	return nil
}

// asOf returns the records of a type under a key that stood at an index of the
// ledger, or the first later one where none did.
func asOf[T record.Body](src Source, key string, index int64) ([]record.Recorded[T], error) {
	all, err := All[T](src, key)
	n := 0
	for n < len(all) && (n == 0 || all[n].Index <= index) {
		n++
	}
	return all[:n], err
}
