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
}

// The ranks of hits: the releases that are live come first.
const (
	rankLive = iota
	rankRelease
	rankVersion
	rankOther
)

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
	seen := make([]int8, len(g.teams)) // 1 for yes, -1 for no
	steps, _ := g.Walk(starts, Down, Touched, Limits{})
	// The last steps are mostly the newest, so that few need to be moved.
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		if s.From < 0 {
			continue
		}
		n := g.at(s.Node)
		if seen[n.team] == 0 {
			seen[n.team] = -1
			if n.team == 0 || see(g.teams[n.team]) {
				seen[n.team] = 1
			}
		}
		h := g.hit(steps, i)
		if seen[n.team] < 0 {
			out.Others++
			if h.rank == rankLive {
				out.OthersLive++
			}
			continue
		}
		out.Counts[n.kind]++
		if h.rank == rankLive {
			out.Live++
		}
		if after == "" || g.before(from, h) {
			out.Hits = g.keep(out.Hits, h, limit)
		}
	}
	if len(out.Hits) > limit {
		out.Hits = out.Hits[:limit]
		last := out.Hits[limit-1]
		out.Next = fmt.Sprintf("%d.%d.%s", last.rank, last.index, unpack(g.at(last.Node).packed))
	}
	for i, h := range out.Hits {
		s := steps[h.Via.To]
		out.Hits[i].Via = Edge{steps[s.From].Node, s.Node, s.Role, g.stated[s.stated]}
	}
	return out, nil
}

// hit says where a step stands among the hits; Via.To is its place in the walk
// until the page is known.
func (g *Graph) hit(steps []Step, i int) Hit {
	id := steps[i].Node
	n := g.at(id)
	h := Hit{Node: id, rank: rankOther, index: g.stated[n.first].Index, Via: Edge{To: NodeID(i)}}
	switch n.kind {
	case NodeVersion:
		h.rank = rankVersion
	case NodeRelease:
		h.rank = rankRelease
		if _, live := g.live[id]; live {
			h.rank = rankLive
		}
	}
	return h
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
		c.name = unpack(g.at(c.node).packed).String()
	}
	return cmp.Compare(c.name, unpack(g.at(h.Node).packed).String())
}

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	parts := strings.SplitN(text, ".", 3)
	if len(parts) == 3 && parts[2] != "" {
		rank, err1 := strconv.Atoi(parts[0])
		index, err2 := strconv.ParseInt(parts[1], 10, 64)
		if err1 == nil && err2 == nil {
			return cursor{rank: rank, index: index, name: parts[2]}, nil
		}
	}
	return cursor{}, fmt.Errorf("%.40q is no cursor; give the one of the page before, or none", text)
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
