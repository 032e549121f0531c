package lineage

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/record"
)

// Impact is what came from a thing, or rests on it.
type Impact struct {
	// Counts are by kind, over all pages; Live counts the releases that are live.
	Counts map[NodeKind]int
	Live   int
	// Others and OthersLive count what belongs to teams that the caller may not
	// read.
	Others, OthersLive int
	// Hits are one page.
	Hits []Hit
	// Next is the cursor of the next page, empty at the end.
	Next string
}

// Hit is one node of an impact, with the edge by which it was reached first.
type Hit struct {
	Node NodeID
	Via  Edge
	rank int
	// index is that of the first statement that names the node, for the order.
	index int64
	step  int32
}

// The ranks of hits: the releases that are live come first.
const (
	rankLive = iota
	rankRelease
	rankVersion
	rankOther
	ranks
)

func (n *node) rank() int {
	switch {
	case n.live:
		return rankLive
	case n.kind == NodeRelease:
		return rankRelease
	case n.kind == NodeVersion:
		return rankVersion
	}
	return rankOther
}

// ImpactOf walks from nodes to all that was made from them, rests on them or was
// done by them: what is live first, then the other releases, then the models,
// then the rest, each newest first. After is the cursor that the page before gave,
// limit the hits of a page. See says for a team whether its things are shown.
func (g *Graph) ImpactOf(starts []NodeID, see func(team string) bool, after string, limit int) (Impact, error) {
	out := Impact{Counts: map[NodeKind]int{}}
	from, err := parseCursor(after)
	if err != nil {
		return out, err
	}
	var counts [len(kindWords)]int
	var found [ranks][]int32
	seen := make([]int8, len(g.teams)) // 1 for yes, -1 for no
	visit := func(i int, s Step, n *node) {
		if s.From < 0 {
			return
		}
		if seen[n.team] == 0 {
			seen[n.team] = -1
			if n.team == 0 || see(g.teams[n.team]) {
				seen[n.team] = 1
			}
		}
		if seen[n.team] < 0 {
			out.Others++
			if n.live {
				out.OthersLive++
			}
			return
		}
		counts[n.kind]++
		found[n.rank()] = append(found[n.rank()], int32(i))
	}
	steps, _ := g.Walk(starts, Down, Touched, Limits{visit: visit})
	for kind, n := range counts {
		if n > 0 {
			out.Counts[NodeKind(kind)] = n
		}
	}
	out.Live = len(found[rankLive])
	for rank := from.rank; rank < ranks && len(out.Hits) <= limit; rank++ {
		// The last steps are mostly the newest, so that few need to be moved.
		for _, i := range slices.Backward(found[rank]) {
			id := steps[i].Node
			h := Hit{Node: id, rank: rank, index: g.stated[g.at(id).first].Index, step: i}
			if after == "" || g.before(from, h) {
				out.Hits = g.keep(out.Hits, h, limit)
			}
		}
	}
	if len(out.Hits) > limit {
		out.Hits = out.Hits[:limit]
		last := out.Hits[limit-1]
		out.Next = fmt.Sprintf("%d.%d.%s", last.rank, last.index, unpack(g.called(last.Node).packed))
	}
	for i, h := range out.Hits {
		s := steps[h.step]
		out.Hits[i].Via = Edge{steps[s.From].Node, s.Node, s.Role, g.stated[s.stated]}
	}
	return out, nil
}

// keep inserts a hit into a page that holds one more than its limit at most.
func (g *Graph) keep(page []Hit, h Hit, limit int) []Hit {
	if len(page) > limit && !g.before(g.cursorOf(h), page[limit]) {
		return page
	}
	i, _ := slices.BinarySearchFunc(page, h, func(a, b Hit) int { return g.compare(g.cursorOf(a), b) })
	page = slices.Insert(page, i, h)
	return page[:min(len(page), limit+1)]
}

// cursor is the place of a hit in the order.
type cursor struct {
	rank  int
	index int64
	name  string
	node  NodeID
}

func (g *Graph) cursorOf(h Hit) cursor { return cursor{rank: h.rank, index: h.index, node: h.Node} }

func (g *Graph) before(c cursor, h Hit) bool { return g.compare(c, h) < 0 }

func (g *Graph) compare(c cursor, h Hit) int {
	if order := cmp.Or(cmp.Compare(c.rank, h.rank), cmp.Compare(h.index, c.index)); order != 0 {
		return order
	}
	if c.name == "" {
		c.name = unpack(g.called(c.node).packed).String()
	}
	return cmp.Compare(c.name, unpack(g.called(h.Node).packed).String())
}

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	parts := strings.SplitN(text, ".", 3)
	if len(parts) == 3 && parts[2] != "" {
		rank, err1 := strconv.Atoi(parts[0])
		index, err2 := strconv.ParseInt(parts[1], 10, 64)
		if err1 == nil && err2 == nil && rank >= 0 && rank < ranks {
			return cursor{rank: rank, index: index, name: parts[2]}, nil
		}
	}
	return cursor{}, fmt.Errorf("%.40q is no cursor; give the one of the page before, or none", text)
}

// LiveFrom returns the live releases that were made from nodes or rest on them.
func (g *Graph) LiveFrom(starts []NodeID) (out []Node) {
	g.Walk(starts, Down, Touched, Limits{visit: func(_ int, s Step, n *node) {
		if n.live {
			out = append(out, g.Node(s.Node))
		}
	}})
	return out
}

// Matching returns the datasets that a data approval or withdrawal speaks of.
func (g *Graph) Matching(a record.DataApproval) (out []NodeID) {
	if a.Dataset != "" {
		if id, ok := g.find(NodeDataset, string(a.Dataset)); ok {
			out = append(out, id)
		}
		return out
	}
	for id, uri := range g.uris {
		if a.Matches(record.Dataset{Source: uri}) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}
