package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// lineageCmd is the noun lineage.
type lineageCmd struct {
	Show lineageShowCmd `cmd:"" help:"What a dataset, job or run was made from, and what goes on from it."`
}

type lineageShowCmd struct {
	Node  string `arg:"" help:"dataset:NAMESPACE:NAME, job:NAMESPACE:NAME, run:ID, or the URI of a dataset, as s3://bucket/key."`
	Depth int    `default:"20" help:"How many edges to follow (default 20)."`
	Dot   bool   `help:"Print it as a graph for Graphviz."`
}

// Run implements the command.
func (c *lineageShowCmd) Run(a *app) error {
	got, err := a.client().LineageOf(a.ctx, nodeOf(c.Node), c.Depth)
	if err != nil {
		return err
	}
	if c.Dot && !a.json {
		return drawDot(a, got)
	}
	return a.show(got, func(p *page) { drawLineage(p, got) })
}

// nodeOf takes the URI of a dataset for its node.
func nodeOf(text string) string {
	for _, kind := range []string{"dataset:", "job:", "run:"} {
		if strings.HasPrefix(text, kind) {
			return text
		}
	}
	if n, ok := record.LineageNameOf(text); ok {
		return record.NodeDataset(n)
	}
	return text
}

// branch draws one direction of a graph as a tree.
type branch struct {
	p     *page
	nodes map[string]wire.LineageNode
	next  func(wire.LineageNode) []string
	seen  map[string]bool
}

func drawLineage(p *page, got wire.Lineage) {
	nodes := map[string]wire.LineageNode{}
	unknown := 0
	for _, n := range got.Graph {
		nodes[n.ID] = n
		if n.Data.Standing == wire.DataUnknown || n.Data.Standing == wire.DataUnapproved {
			unknown++
		}
	}
	start := got.Graph[0]
	drawNode(p, "", start, false)
	for _, n := range start.Data.Symlinks {
		p.line("  also %s", n)
	}
	for _, side := range []struct {
		title string
		next  func(wire.LineageNode) []string
	}{{"made from", origins}, {"goes into", destinations}} {
		if len(side.next(start)) > 0 {
			p.styled(strong, "%s", side.title)
			b := branch{p, nodes, side.next, map[string]bool{start.ID: true}}
			b.draw(start, "  ")
		}
	}
	p.line("%s, %s not approved", count(len(got.Graph), "node"), count(unknown, "dataset"))
	if got.Truncated {
		p.line("there are more nodes than are shown; ask with a smaller --depth")
	}
}

func origins(n wire.LineageNode) (ids []string) {
	for _, e := range n.InEdges {
		ids = append(ids, e.Origin)
	}
	return ids
}

func destinations(n wire.LineageNode) (ids []string) {
	for _, e := range n.OutEdges {
		ids = append(ids, e.Destination)
	}
	return ids
}

// draw draws what is beyond a node. A node that was drawn is not opened again.
func (b *branch) draw(n wire.LineageNode, indent string) {
	for _, id := range b.next(n) {
		other, known := b.nodes[id]
		if !known {
			b.p.line("%s%s …", indent, id)
			continue
		}
		again := b.seen[id]
		drawNode(b.p, indent, other, again && len(b.next(other)) > 0)
		if !again {
			b.seen[id] = true
			b.draw(other, indent+"  ")
		}
	}
}

func drawNode(p *page, indent string, n wire.LineageNode, again bool) {
	text := indent + n.ID
	if len(n.Data.Datasets) > 0 {
		text += " = " + strings.Join(n.Data.Datasets, ", ")
	}
	if r := n.Data.Run; r != nil && r.State != "" {
		text += " " + r.State
	}
	if again {
		text += ", as above"
	}
	switch n.Data.Standing {
	case wire.DataApproved:
		p.line("%s  ✓ approved for %s", text, strings.Join(n.Data.Purposes, ", "))
	case wire.DataUnapproved:
		p.styled(bad, "%s  ✗ registered, not approved", text)
	case wire.DataUnknown:
		p.styled(bad, "%s  ✗ nobody registered it", text)
	default:
		p.line("%s", text)
	}
}

// drawDot writes the graph in the language of Graphviz.
func drawDot(a *app, got wire.Lineage) error {
	w := bufio.NewWriter(a.stdout)
	shapes := map[string]string{"DATASET": "cylinder", "JOB": "box", "RUN": "ellipse"}
	colours := map[wire.Standing]string{wire.DataApproved: "darkgreen", wire.DataUnapproved: "red", wire.DataUnknown: "red"}
	fmt.Fprintln(w, "digraph lineage {\n  rankdir=LR;")
	drawn := map[string]bool{}
	for _, n := range got.Graph {
		label := n.Data.ID.String()
		if n.Type == "RUN" {
			label = n.ID
		}
		if n.Data.Standing != "" {
			label += "\n" + string(n.Data.Standing)
		}
		colour := colours[n.Data.Standing]
		if colour == "" {
			colour = "black"
		}
		fmt.Fprintf(w, "  %s [label=%s shape=%s color=%s];\n", quoted(n.ID), quoted(label), shapes[n.Type], colour)
		for _, e := range append(n.InEdges, n.OutEdges...) {
			edge := quoted(e.Origin) + " -> " + quoted(e.Destination)
			if !drawn[edge] {
				drawn[edge] = true
				fmt.Fprintf(w, "  %s;\n", edge)
			}
		}
	}
	fmt.Fprintln(w, "}")
	return w.Flush()
}

// quoted is a quoted ID of the DOT language, where only '"' needs an escape and a
// line break is written as \n.
func quoted(s string) string { return strconv.Quote(plain(s)) }
