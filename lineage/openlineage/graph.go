package openlineage

import (
	"time"

	"imprimatur.dev/record"
)

// Graph is what the events of one team say. It is not safe for use by several
// goroutines where one of them adds.
type Graph struct {
	datasets map[record.LineageName]*dataset
	jobs     map[record.LineageName]*job
	runs     map[string]*run
}

// NewGraph returns a graph of nothing.
func NewGraph() *Graph {
	return &Graph{datasets: map[record.LineageName]*dataset{}, jobs: map[record.LineageName]*job{}, runs: map[string]*run{}}
}

// stamp orders the events: that with the latest time counts, and of several the
// one with the greatest digest, so that the order of arrival does not.
type stamp struct {
	at     time.Time
	digest record.Digest
}

func (s stamp) before(o stamp) bool {
	if !s.at.Equal(o.at) {
		return s.at.Before(o.at)
	}
	return s.digest < o.digest
}

// latest is the value that the latest of the events gives.
type latest[T comparable] struct {
	value T
	by    stamp
}

// set takes a value, unless the event says nothing.
func (l *latest[T]) set(v T, by stamp) {
	var nothing T
	if v != nothing && l.by.before(by) {
		l.value, l.by = v, by
	}
}

// names are nodes at the other ends of edges, each with the index of the first
// statement that says so.
type names map[record.LineageName]int64

func (n *names) add(name record.LineageName, index int64) {
	if *n == nil {
		*n = names{}
	}
	if old, ok := (*n)[name]; !ok || index < old {
		(*n)[name] = index
	}
}

type dataset struct {
	// named says that an event is about it by this name: else the name is known
	// from symlinks or columns only.
	named   bool
	version latest[string]
	// aliases are names of the same data, in both directions.
	aliases map[record.LineageName]bool
	// readers and writers are jobs.
	readers, writers names
	// columns are its own, with the fields that each was made from.
	columns map[string]map[record.LineageField]bool
}

type job struct {
	inputs, outputs names
	code            latest[record.LineageCode]
	parent          latest[record.LineageName]
	run             latest[string]
}

type run struct {
	job    latest[record.LineageName]
	parent latest[string]
	// state is that of the latest event that ends a run; passing, of the others.
	state, passing  latest[string]
	began           time.Time
	inputs, outputs names
}

// Add takes in an event that stands in the statement with an index. Events may
// come in any order and several times.
func (g *Graph) Add(e record.LineageEvent, index int64) {
	by := stamp{e.Time, e.Digest}
	r, j := &run{}, &job{}
	if e.Run != "" {
		r = g.run(e.Run)
		r.add(e, by)
	}
	if e.Job != (record.LineageName{}) {
		j = g.job(e.Job)
		j.code.set(e.Code, by)
		j.run.set(e.Run, by)
	}
	for _, above := range []record.LineageRun{e.Parent, e.Root} {
		if above.Run != "" {
			// What its own events say of it counts more.
			g.run(above.Run).job.set(above.Job, stamp{digest: e.Digest})
			g.job(above.Job)
		}
	}
	j.parent.set(e.Parent.Job, by)
	for _, d := range e.Inputs {
		r.inputs.add(d.LineageName, index)
		j.inputs.add(d.LineageName, index)
		if s := g.take(d, by); e.Job != (record.LineageName{}) {
			s.readers.add(e.Job, index)
		}
	}
	for _, d := range e.Outputs {
		r.outputs.add(d.LineageName, index)
		j.outputs.add(d.LineageName, index)
		if s := g.take(d, by); e.Job != (record.LineageName{}) {
			s.writers.add(e.Job, index)
		}
	}
}

func (r *run) add(e record.LineageEvent, by stamp) {
	r.job.set(e.Job, by)
	r.parent.set(e.Parent.Run, by)
	switch e.Type {
	case record.LineageComplete, record.LineageAbort, record.LineageFail:
		r.state.set(e.Type, by)
	case record.LineageStart, record.LineageRunning:
		r.passing.set(e.Type, by)
	}
	if r.began.IsZero() || e.Time.Before(r.began) {
		r.began = e.Time
	}
}

func (g *Graph) run(id string) *run {
	r := g.runs[id]
	if r == nil {
		r = &run{}
		g.runs[id] = r
	}
	return r
}

func (g *Graph) job(n record.LineageName) *job {
	j := g.jobs[n]
	if j == nil {
		j = &job{}
		g.jobs[n] = j
	}
	return j
}

// dataset returns a dataset by one of its names. A name that is spelled unlike
// the naming rules is an alias of the one that they give.
func (g *Graph) dataset(n record.LineageName) *dataset {
	d := g.datasets[n]
	if d == nil {
		d = &dataset{}
		g.datasets[n] = d
		g.alias(n, n.Canonical())
	}
	return d
}

func (g *Graph) take(in record.LineageDataset, by stamp) *dataset {
	d := g.dataset(in.LineageName)
	d.named = true
	d.version.set(in.Version, by)
	for _, a := range in.Aliases {
		g.alias(in.LineageName, a)
	}
	if len(in.Columns) > 0 && d.columns == nil {
		d.columns = map[string]map[record.LineageField]bool{}
	}
	for _, c := range in.Columns {
		if d.columns[c.Name] == nil {
			d.columns[c.Name] = map[record.LineageField]bool{}
		}
		for _, f := range c.From {
			d.columns[c.Name][f] = true
			g.dataset(f.LineageName)
		}
	}
	return d
}

func (g *Graph) alias(a, b record.LineageName) {
	if a != b {
		g.dataset(a).also(b)
		g.dataset(b).also(a)
	}
}

func (d *dataset) also(n record.LineageName) {
	if d.aliases == nil {
		d.aliases = map[record.LineageName]bool{}
	}
	d.aliases[n] = true
}
