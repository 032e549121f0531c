package lineage

import (
	"fmt"
	"math"
	"slices"

	"imprimatur.dev/record"
)

// Trail is everything that an artifact was made from, as far as the ledger
// knows.
type Trail struct {
	// Version is the newest version with the artifact.
	Version record.Recorded[record.ModelVersion]
	// Bases are the versions of the base models, nearest first.
	Bases []record.Recorded[record.ModelVersion]
	// Runs are those that made the artifact, then those that made its bases.
	Runs []record.Recorded[record.Run]
	// Datasets are what the runs read and what that was derived from, in order
	// of digest.
	Datasets []record.Digest
	// Absent names what is referred to and not on the ledger.
	Absent []string

	bases []record.Digest
}

// RunRefs returns the runs as "team/id", the artifact's own first.
func (t Trail) RunRefs() []string {
	out := make([]string, 0, len(t.Runs))
	for _, r := range t.Runs {
		if ref := r.Record.Ref(); !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}

// BaseDigests returns the artifacts of the base models in order of digest,
// those included that are not on the ledger.
func (t Trail) BaseDigests() []record.Digest { return slices.Sorted(slices.Values(t.bases)) }

// Trace walks from an artifact to its versions, its runs, its base models and
// datasets, and onwards through each of these. An artifact that the ledger does
// not know gives a trail whose Absent says so.
func Trace(src Source, artifact record.Digest) (Trail, error) {
	r := newReader(src)
	w := newWalk(r, math.MaxInt64, artifact)
	w.drain()
	t := w.trail()
	if own := w.versions[artifact]; len(own) > 0 {
		t.Version = own[len(own)-1]
	} else {
		t.Absent = append([]string{"model version with the artifact " + string(artifact)}, t.Absent...)
	}
	return t, r.err
}

// walk visits what an artifact was made from, breadth first, each thing once.
type walk struct {
	r     *reader
	index int64 // the ledger counts as it stood then
	root  record.Digest

	versions map[record.Digest][]record.Recorded[record.ModelVersion]
	bases    []record.Digest // in the order in which they were met
	runs     []record.Recorded[record.Run]
	datasets map[record.Digest]record.Recorded[record.Dataset]
	// because says of a run, base or dataset through what it was met first.
	because map[string]string
	order   []record.Digest // datasets in the order in which they were met
	absent  []string
	queue   []record.Digest
}

func newWalk(r *reader, index int64, root record.Digest) *walk {
	return &walk{
		r: r, index: index, root: root, queue: []record.Digest{root},
		versions: map[record.Digest][]record.Recorded[record.ModelVersion]{},
		datasets: map[record.Digest]record.Recorded[record.Dataset]{},
		because:  map[string]string{},
	}
}

// drain visits the artifacts in the queue until nothing new is met.
func (w *walk) drain() {
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		if _, done := w.versions[next]; done {
			continue
		}
		found := asOf[record.ModelVersion](w.r, record.KeyArtifact(next), w.index)
		w.versions[next] = found
		if len(found) == 0 && next != w.root {
			w.absent = append(w.absent, "base model "+string(next))
		}
		for _, v := range found {
			w.version(v.Record)
		}
		for _, run := range asOf[record.Run](w.r, record.KeyRunsOf(next), w.index) {
			w.run(run.Record.Ref(), "model "+string(next))
		}
	}
}

func (w *walk) version(v record.ModelVersion) {
	if v.Run != "" {
		w.run(v.Run, "model "+v.Ref())
	}
	for _, b := range v.Bases {
		w.base(b, "model "+v.Ref())
	}
}

func (w *walk) base(base record.Digest, through string) {
	if _, done := w.because["base "+string(base)]; done || base == w.root {
		return
	}
	w.because["base "+string(base)] = through
	w.bases = append(w.bases, base)
	w.queue = append(w.queue, base)
}

// run visits every statement of a run: one that was stated again with fewer
// inputs still read what it first said it had read.
func (w *walk) run(ref, through string) {
	if _, done := w.because["run "+ref]; done {
		return
	}
	w.because["run "+ref] = through
	found := asOf[record.Run](w.r, record.KeyRun(ref), w.index)
	if len(found) == 0 {
		w.absent = append(w.absent, "training run "+ref)
		return
	}
	w.runs = append(w.runs, found[len(found)-1])
	for _, run := range found {
		for _, in := range run.Record.Inputs {
			switch in.Type {
			case record.ResourceModel:
				w.base(in.Digest, "run "+ref)
			case record.ResourceDataset:
				w.dataset(in.Digest, "run "+ref)
			}
		}
	}
}

func (w *walk) dataset(digest record.Digest, through string) {
	if _, done := w.because["dataset "+string(digest)]; done {
		return
	}
	w.because["dataset "+string(digest)] = through
	w.order = append(w.order, digest)
	found := asOf[record.Dataset](w.r, record.KeyDataset(digest), w.index)
	if len(found) == 0 {
		w.absent = append(w.absent, "dataset "+string(digest))
		return
	}
	w.datasets[digest] = found[len(found)-1]
	for _, d := range found {
		for _, from := range d.Record.Derived {
			w.dataset(from, "dataset "+d.Record.Ref())
		}
	}
}

// named visits what a release names besides.
func (w *walk) named(data record.ReleaseData) {
	for _, base := range data.Bases {
		w.base(base, "the release")
	}
	for _, ref := range data.Runs {
		w.run(ref, "the release")
	}
	for _, d := range data.Datasets {
		w.dataset(d, "the release")
	}
	w.drain()
}

func (w *walk) trail() Trail {
	t := Trail{Runs: w.runs, Datasets: slices.Sorted(slices.Values(w.order)), Absent: w.absent, bases: w.bases}
	for _, b := range w.bases {
		if vs := w.versions[b]; len(vs) > 0 {
			t.Bases = append(t.Bases, vs[len(vs)-1])
		}
	}
	return t
}

// hidden returns a sentence fragment for each thing the walk met that a
// release does not name.
func (w *walk) hidden(data record.ReleaseData) []string {
	named := map[string]bool{}
	for _, ref := range data.Runs {
		named["run "+ref] = true
	}
	for _, b := range data.Bases {
		named["base "+string(b)] = true
	}
	for _, d := range data.Datasets {
		named["dataset "+string(d)] = true
	}
	var out []string
	for _, run := range w.runs {
		if key := "run " + run.Record.Ref(); !named[key] {
			out = append(out, fmt.Sprintf("training run %s made %s but is not in the release", run.Record.Ref(), w.because[key]))
		}
	}
	for _, b := range w.bases {
		if key := "base " + string(b); !named[key] {
			out = append(out, fmt.Sprintf("base model %s was used by %s but is not in the release", b, w.because[key]))
		}
	}
	for _, d := range w.order {
		if key := "dataset " + string(d); !named[key] {
			out = append(out, fmt.Sprintf("dataset %s was used by %s but is not in the release", d, w.because[key]))
		}
	}
	return out
}
