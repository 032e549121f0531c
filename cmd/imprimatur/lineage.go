package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"imprimatur.dev/wire"
)

// lineageCmd is the noun lineage.
type lineageCmd struct {
	Show lineageShowCmd `cmd:"" help:"What a thing was made from, and what goes on from it."`
}

type lineageShowCmd struct {
	Node  string `arg:"" help:"A release's ID, a digest, team/name@version, run:TEAM/ID, the URI of data, job:NAMESPACE:NAME, or any node's name."`
	Way   string `enum:",from,into" default:"" help:"from: only what it was made from; into: only what goes on from it."`
	Depth int    `default:"20" help:"How many edges to follow (default 20, at most 100)."`
	Nodes int    `default:"200" help:"How many nodes to show each way (default 200, at most 2,000)."`
	Dot   bool   `help:"Print it as a graph for Graphviz."`
}

// Help implements kong.HelpProvider.
func (c *lineageShowCmd) Help() string {
	return `Data that no steward's approval covers, and whatever is named and was never stated, is marked with
the reason; the first path that leads to such a thing is shown with the statements that say so.

  imprimatur lineage show r-0123456789ab
  imprimatur lineage show clinic/triage@3 --way from --dot | dot -Tsvg > triage.svg
  imprimatur lineage show s3://lake/cases --way into`
}

// Run implements the command.
func (c *lineageShowCmd) Run(a *app) error {
	got, err := a.client().Graph(a.ctx, c.Node, c.Way, c.Depth, c.Nodes)
	if err != nil {
		return err
	}
	if c.Dot && !a.json {
		return drawDot(a, got)
	}
	return a.show(got, func(p *page) { drawGraph(p, got) })
}

// branch draws one direction of a graph as a tree.
type branch struct {
	title string
	p     *page
	nodes map[string]wire.GraphNode
	next  map[string][]wire.GraphEdge
	other func(wire.GraphEdge) string
	seen  map[string]bool
}

func drawGraph(p *page, got wire.Graph) {
	nodes, lacking := map[string]wire.GraphNode{}, 0
	up, down := map[string][]wire.GraphEdge{}, map[string][]wire.GraphEdge{}
	for _, n := range got.Nodes {
		nodes[n.ID] = n
		if n.Reason != "" {
			lacking++
		}
	}
	for _, e := range got.Edges {
		up[e.To] = append(up[e.To], e)
		down[e.From] = append(down[e.From], e)
	}
	for _, start := range got.Nodes {
		if start.Way != "" {
			continue
		}
		drawNode(p, "", "", start, false)
		for _, side := range []branch{
			{"made from", p, nodes, up, func(e wire.GraphEdge) string { return e.From }, map[string]bool{start.ID: true}},
			{"goes into", p, nodes, down, func(e wire.GraphEdge) string { return e.To }, map[string]bool{start.ID: true}},
		} {
			if len(side.next[start.ID]) > 0 {
				p.styled(strong, "%s", side.title)
				side.draw(start.ID, "  ")
			}
		}
	}
	if got.Broken != nil {
		p.styled(bad, "the first path that breaks: %s", got.Broken.Reason)
		for _, e := range got.Broken.Edges {
			p.line("  %s is %s of %s, by entry %d, %s", calledBy(nodes, e.From), e.Role, calledBy(nodes, e.To), e.Entry, e.Statement.Short())
		}
	}
	p.line("%s, %d not approved or not known", count(len(got.Nodes), "node"), lacking)
	if got.Cut != "" {
		p.line("%s", got.Cut)
	}
}

// calledBy is what people call a node.
func calledBy(nodes map[string]wire.GraphNode, id string) string {
	if n, ok := nodes[id]; ok && len(n.Labels) > 0 {
		return n.Kind + ":" + n.Labels[0]
	}
	return id
}

// draw draws what is beyond a node. A node that was drawn is not opened again.
func (b *branch) draw(id, indent string) {
	for _, e := range b.next[id] {
		n, known := b.nodes[b.other(e)]
		if !known {
			continue
		}
		again := b.seen[n.ID]
		drawNode(b.p, indent, e.Role, n, again && len(b.next[n.ID]) > 0)
		if !again {
			b.seen[n.ID] = true
			b.draw(n.ID, indent+"  ")
		}
	}
}

func drawNode(p *page, indent, role string, n wire.GraphNode, again bool) {
	text := indent + n.ID
	if len(n.Labels) > 0 {
		text += " = " + strings.Join(n.Labels, ", ")
	}
	if role != "" {
		text += " (" + role + ")"
	}
	if n.Live != nil {
		text += fmt.Sprintf(" live in %s since %s", n.Live.Environment, day(n.Live.Since))
	}
	if again {
		text += ", as above"
	}
	switch n.Standing {
	case wire.DataApproved:
		p.line("%s  ✓ approved for %s", text, join(n.Purposes, "this release"))
	case wire.DataUnapproved, wire.DataUnknown:
		p.styled(bad, "%s  ✗ %s", text, n.Reason)
	default:
		p.line("%s", text)
	}
}

// drawDot writes the graph in the language of Graphviz.
func drawDot(a *app, got wire.Graph) error {
	w := bufio.NewWriter(a.stdout)
	shapes := map[string]string{"source": "folder", "dataset": "cylinder", "run": "ellipse", "events": "ellipse", "job": "box", "model": "component", "release": "house"}
	fmt.Fprintln(w, "digraph lineage {\n  rankdir=LR;")
	for _, n := range got.Nodes {
		label, colour, shape := n.ID, "black", shapes[n.Kind]
		if len(n.Labels) > 0 {
			label = n.Kind + ":" + n.Labels[0]
		}
		switch {
		case n.Reason != "":
			label, colour = label+"\n"+string(n.Standing), "red"
		case n.Standing == wire.DataApproved || n.Live != nil:
			colour = "darkgreen"
		}
		if shape == "" {
			shape = "plaintext"
		}
		fmt.Fprintf(w, "  %s [label=%s shape=%s color=%s];\n", quoted(n.ID), quoted(label), shape, colour)
	}
	for _, e := range got.Edges {
		fmt.Fprintf(w, "  %s -> %s [label=%s];\n", quoted(e.From), quoted(e.To), quoted(e.Role))
	}
	fmt.Fprintln(w, "}")
	return w.Flush()
}

// quoted is a quoted ID of the DOT language, where only '"' needs an escape and a
// line break is written as \n.
func quoted(s string) string { return strconv.Quote(plain(s)) }
