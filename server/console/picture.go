package console

import (
	"fmt"
	"slices"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// Picture is a graph laid out in layers from left to right, each node in the
// layer after the last of what it was made from.
type Picture struct {
	Width, Height int
	Nodes         []Node
	Edges         []Edge
}

// Node is one box. State is a key of shapes where it is special, else empty,
// and Word says what is special.
type Node struct {
	ID    string
	Kind  string
	Label string
	// Short is the label as it fits the box.
	Short string
	Href  string
	State string
	Word  string
	Note  string
	X, Y  int
	layer int
	// From are the IDs of what it was made from, Sources the same as links.
	From    []string
	Sources []Link
}

// Edge is a line between two boxes, as an SVG path.
type Edge struct{ Path string }

const (
	boxWidth, boxHeight = 172, 48
	gapX, gapY          = 32, 14
	mostInBox           = 22 // characters
)

// lineageOf gathers what a release was made from as nodes, as its verdict sees
// it.
func lineageOf(in *registry.Inspection) []Node {
	d, b := in.Dossier, in.Release.Record.Behaviour
	known := map[string]bool{}
	var nodes []Node
	add := func(n Node) {
		if !known[n.ID] {
			known[n.ID] = true
			nodes = append(nodes, n)
		}
	}
	for i := range d.Datasets {
		add(dataNode(in, i))
	}
	for _, r := range d.Runs {
		n := Node{ID: "run:" + r.Record.Ref(), Kind: "training run", Label: r.Record.Ref(), Href: runHref(r.Record.Ref()), Note: "recorded by " + r.Actor}
		if d.People[r.Actor].Principal.Type != record.Workload {
			n.State, n.Word = "missing", "not attested"
		}
		if r.Record.Code.Dirty {
			n.State, n.Word = "fail", "uncommitted code"
		}
		for _, input := range r.Record.Inputs {
			n.From = append(n.From, string(input.Digest))
		}
		add(n)
	}
	for _, v := range append([]record.Recorded[record.ModelVersion]{d.Version}, d.Bases...) {
		add(versionNode(in, v))
	}
	for _, h := range d.HeldOut {
		n := Node{ID: string(h.Digest), Kind: "held-out data", Label: h.Digest.Short(), Href: dataHref(h.Digest)}
		if len(h.Stated) > 0 {
			n.Label = h.Stated[len(h.Stated)-1].Record.Ref()
		}
		add(n)
	}
	for _, e := range d.Evaluations {
		id := record.EvaluationID(e.Digest)
		n := Node{ID: id, Kind: "evaluation", Label: string(e.Record.Category) + "/" + e.Record.Suite, Href: entryHref(e.Index), Note: "by " + e.Actor, From: []string{string(e.Record.Dataset), string(e.Record.Artifact)}}
		if e.Record.Incomplete != "" {
			n.State, n.Word = "invalid", "incomplete"
		}
		add(n)
	}
	for _, what := range d.Absent {
		add(Node{ID: what, Kind: "absent", Label: what, State: "missing", Word: "not in the ledger"})
	}
	release := Node{ID: in.ID, Kind: "release", Label: in.ID, Href: "/releases/" + in.ID, From: []string{string(b.Artifact)}}
	for _, e := range d.Evaluations {
		release.From = append(release.From, record.EvaluationID(e.Digest))
	}
	add(release)
	return nodes
}

func dataNode(in *registry.Inspection, i int) Node {
	set := in.Dossier.Datasets[i].Dataset.Record
	n := Node{ID: string(set.Digest), Kind: "dataset", Label: set.Ref(), Href: dataHref(set.Digest)}
	for _, from := range set.Derived {
		n.From = append(n.From, string(from))
	}
	s := in.Data[i]
	switch {
	case s.OK:
		n.Note = "approved by " + s.By
	case s.Lapsed:
		n.State, n.Word, n.Note = "inconclusive", "approval lapsed", s.Why
	default:
		n.State, n.Word, n.Note = "fail", "not approved", s.Why
	}
	return n
}

func versionNode(in *registry.Inspection, v record.Recorded[record.ModelVersion]) Node {
	n := Node{ID: string(v.Record.Artifact), Kind: string(v.Record.Type) + " model", Label: v.Record.Ref(), Href: versionHref(v.Record.Ref())}
	for _, b := range v.Record.Bases {
		n.From = append(n.From, string(b))
	}
	for _, r := range in.Dossier.Runs {
		if slices.ContainsFunc(r.Record.Outputs, func(o record.Resource) bool { return o.Digest == v.Record.Artifact }) {
			n.From = append(n.From, "run:"+r.Record.Ref())
		}
	}
	for _, f := range v.Record.Findings {
		if f.Unsafe() {
			n.State, n.Word = "fail", "unsafe file"
		}
	}
	return n
}

// draw lays nodes out. Edges to what is not among them, and those that would
// make a circle, are left out.
func draw(nodes []Node) Picture {
	at := map[string]int{}
	for i, n := range nodes {
		at[n.ID] = i
	}
	const visiting = -1
	depth := map[int]int{}
	var visit func(i int) int
	visit = func(i int) int {
		if l, seen := depth[i]; seen {
			return l
		}
		depth[i] = visiting
		layer := 0
		nodes[i].From = slices.DeleteFunc(nodes[i].From, func(id string) bool {
			j, ok := at[id]
			if !ok {
				return true
			}
			l := visit(j)
			layer = max(layer, l+1)
			return l == visiting
		})
		depth[i] = layer
		return layer
	}
	for i := range nodes {
		nodes[i].layer = visit(i)
	}
	late(nodes, at)
	return place(nodes, at)
}

// late moves what was made from nothing here next to what was made from it.
func late(nodes []Node, at map[string]int) {
	next := map[int]int{}
	for _, n := range nodes {
		for _, id := range n.From {
			j := at[id]
			if l, seen := next[j]; !seen || n.layer < l {
				next[j] = n.layer
			}
		}
	}
	for j, l := range next {
		if len(nodes[j].From) == 0 {
			nodes[j].layer = l - 1
		}
	}
}

// place gives nodes their places: in each layer in the order of the middle of
// what they were made from, so that few lines cross.
func place(nodes []Node, at map[string]int) Picture {
	var layers [][]int
	for i, n := range nodes {
		for len(layers) <= n.layer {
			layers = append(layers, nil)
		}
		layers[n.layer] = append(layers[n.layer], i)
	}
	p := Picture{}
	tallest := 0
	for _, l := range layers {
		tallest = max(tallest, len(l))
	}
	p.Height = tallest*(boxHeight+gapY) - gapY + 4
	p.Width = len(layers)*(boxWidth+gapX) - gapX + 4
	for x, l := range layers {
		slices.SortStableFunc(l, func(a, b int) int { return middle(nodes, at, a) - middle(nodes, at, b) })
		top := (p.Height - (len(l)*(boxHeight+gapY) - gapY)) / 2
		for y, i := range l {
			nodes[i].X, nodes[i].Y = 2+x*(boxWidth+gapX), top+y*(boxHeight+gapY)
			nodes[i].Short = shorten(nodes[i].Label)
		}
	}
	for i, n := range nodes {
		for _, id := range n.From {
			p.Edges = append(p.Edges, edge(nodes[at[id]], n))
			nodes[i].Sources = append(nodes[i].Sources, Link{Text: nodes[at[id]].Label, Href: nodes[at[id]].Href})
		}
	}
	p.Nodes = nodes
	return p
}

func middle(nodes []Node, at map[string]int, i int) int {
	sum := 0
	for _, id := range nodes[i].From {
		sum += nodes[at[id]].Y
	}
	return sum / max(1, len(nodes[i].From))
}

func edge(from, to Node) Edge {
	x1, y1 := from.X+boxWidth, from.Y+boxHeight/2
	x2, y2 := to.X, to.Y+boxHeight/2
	bend := gapX / 2
	return Edge{fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)}
}

// shorten keeps the beginning and the end of a label that does not fit.
func shorten(label string) string {
	r := []rune(label)
	if len(r) <= mostInBox {
		return label
	}
	return string(r[:mostInBox/2]) + "…" + string(r[len(r)-mostInBox/2+1:])
}
