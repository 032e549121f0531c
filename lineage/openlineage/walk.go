package openlineage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// MaxNodes bounds what one walk returns.
const MaxNodes = 10_000

// The types of node, as Marquez names them, and run.
const (
	TypeDataset = "DATASET"
	TypeJob     = "JOB"
	TypeRun     = "RUN"
)

// Node is a dataset, a job or a run with its edges, which lead from what was read
// to what reads it and from what writes to what was written.
type Node struct {
	ID   string
	Type string
	// Name is a dataset's or a job's; of a run, that of its job.
	Name record.LineageName
	// Aliases are all names of a dataset, its own among them.
	Aliases []record.LineageName
	Version string
	Columns []record.LineageColumn
	// Parent is the ID of the node of the parent job or run, or empty.
	Parent string
	Code   record.LineageCode
	// Run is the latest run of a job, or the run itself.
	Run    string
	State  string
	Began  time.Time
	Ended  time.Time
	In     []Edge
	Out    []Edge
	joined []string
}

// Edge leads from one node to another.
type Edge struct {
	From, To string
	// Index is that of the first statement of the ledger that says so.
	Index int64
}

// Around returns the node with an ID ("dataset:NAMESPACE:NAME", "job:NAMESPACE:NAME"
// or "run:ID") and those up to depth edges away, nearest first, over several
// graphs. Names of the same data are one node. It returns nothing where no graph
// has the node; at most [MaxNodes] are returned, and all says whether these are all.
func Around(graphs []*Graph, id string, depth int) (nodes []Node, all bool) {
	v := view(graphs)
	start, ok := v.resolve(id)
	if !ok {
		return nil, true
	}
	seen := map[string]bool{start.ID: true}
	frontier := []Node{start}
	for level := 0; len(frontier) > 0; level++ {
		var next []Node
		for _, n := range frontier {
			if len(nodes) == MaxNodes {
				return nodes, false
			}
			nodes = append(nodes, n)
			if level == depth {
				continue
			}
			for _, other := range n.joined {
				if at, ok := v.resolve(other); ok && !seen[at.ID] {
					seen[at.ID] = true
					next = append(next, at)
				}
			}
		}
		frontier = next
	}
	return nodes, true
}

// view reads several graphs as one.
type view []*Graph

func (v view) resolve(id string) (Node, bool) {
	kind, rest, _ := strings.Cut(id, ":")
	if kind == "run" {
		return v.run(rest)
	}
	// Both parts of a name may have colons in them.
	for i := range len(rest) {
		if rest[i] != ':' {
			continue
		}
		name := record.LineageName{Namespace: rest[:i], Name: rest[i+1:]}
		for _, g := range v {
			if kind == "dataset" && g.datasets[name] != nil {
				return v.dataset(name), true
			}
			if kind == "job" && g.jobs[name] != nil {
				return v.job(name), true
			}
		}
	}
	return Node{}, false
}

// group returns all names of a dataset, and the one under which it is shown: the
// first that an event is about.
func (v view) group(name record.LineageName) (shown record.LineageName, all []record.LineageName) {
	found := map[record.LineageName]bool{name: true}
	named := map[record.LineageName]bool{}
	for queue := []record.LineageName{name}; len(queue) > 0; queue = queue[1:] {
		for _, g := range v {
			d := g.datasets[queue[0]]
			if d == nil {
				continue
			}
			if d.named {
				named[queue[0]] = true
			}
			for a := range d.aliases {
				if !found[a] {
					found[a] = true
					queue = append(queue, a)
				}
			}
		}
	}
	all = sorted(found)
	if len(named) > 0 {
		return sorted(named)[0], all
	}
	return all[0], all
}

func sorted[V any](m map[record.LineageName]V) []record.LineageName {
	return slices.SortedFunc(maps.Keys(m), compareNames)
}

func compareNames(a, b record.LineageName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func (v view) dataset(name record.LineageName) Node {
	shown, all := v.group(name)
	n := Node{ID: record.NodeDataset(shown), Type: TypeDataset, Name: shown, Aliases: all}
	var version latest[string]
	columns := map[string]map[record.LineageField]bool{}
	for _, g := range v {
		for _, a := range all {
			d := g.datasets[a]
			if d == nil {
				continue
			}
			version.set(d.version.value, d.version.by)
			for _, w := range sorted(d.writers) {
				n.in(record.NodeJob(w), d.writers[w])
			}
			for _, r := range sorted(d.readers) {
				n.out(record.NodeJob(r), d.readers[r])
			}
			for c, from := range d.columns {
				if columns[c] == nil {
					columns[c] = map[record.LineageField]bool{}
				}
				maps.Copy(columns[c], from)
			}
		}
	}
	n.Version = version.value
	for _, c := range slices.Sorted(maps.Keys(columns)) {
		n.Columns = append(n.Columns, record.LineageColumn{Name: c, From: slices.SortedFunc(maps.Keys(columns[c]), func(a, b record.LineageField) int {
			return cmp.Or(compareNames(a.LineageName, b.LineageName), cmp.Compare(a.Field, b.Field))
		})})
	}
	return n
}

func (v view) job(name record.LineageName) Node {
	n := Node{ID: record.NodeJob(name), Type: TypeJob, Name: name}
	var parent latest[record.LineageName]
	var code latest[record.LineageCode]
	var last latest[string]
	for _, g := range v {
		j := g.jobs[name]
		if j == nil {
			continue
		}
		parent.set(j.parent.value, j.parent.by)
		code.set(j.code.value, j.code.by)
		last.set(j.run.value, j.run.by)
		v.edges(&n, j.inputs, j.outputs)
	}
	n.Code = code.value
	if parent.value != (record.LineageName{}) {
		n.Parent = record.NodeJob(parent.value)
	}
	if r, ok := v.run(last.value); ok {
		n.Run, n.State, n.Began, n.Ended = r.Run, r.State, r.Began, r.Ended
	}
	return n
}

func (v view) run(id string) (Node, bool) {
	n := Node{ID: record.NodeRun(id), Type: TypeRun, Run: id}
	found := false
	for _, g := range v {
		r := g.runs[id]
		if r == nil {
			continue
		}
		found = true
		n.Name, n.Began = r.job.value, r.began
		n.State, n.Ended = r.state.value, r.state.by.at
		if n.State == "" {
			n.State = r.passing.value
		}
		if r.parent.value != "" {
			n.Parent = record.NodeRun(r.parent.value)
		}
		v.edges(&n, r.inputs, r.outputs)
	}
	return n, found
}

// edges adds what a job or run reads and writes.
func (v view) edges(n *Node, inputs, outputs names) {
	for _, d := range sorted(inputs) {
		shown, _ := v.group(d)
		n.in(record.NodeDataset(shown), inputs[d])
	}
	for _, d := range sorted(outputs) {
		shown, _ := v.group(d)
		n.out(record.NodeDataset(shown), outputs[d])
	}
}

func (n *Node) in(from string, index int64) { n.In = n.add(n.In, Edge{from, n.ID, index}, from) }
func (n *Node) out(to string, index int64)  { n.Out = n.add(n.Out, Edge{n.ID, to, index}, to) }

// add keeps one edge between two nodes, with its first statement.
func (n *Node) add(edges []Edge, e Edge, other string) []Edge {
	i := slices.IndexFunc(edges, func(o Edge) bool { return o.From == e.From && o.To == e.To })
	if i >= 0 {
		edges[i].Index = min(edges[i].Index, e.Index)
		return edges
	}
	n.joined = append(n.joined, other)
	return append(edges, e)
}
