package lineage

import (
	"math"
	"slices"
	"time"

	"imprimatur.dev/record"
)

// became takes in what became of a release.
func (g *Graph) became(e Entry, by uint32) {
	ev := record.Event{Actor: e.Statement.Actor, Time: e.Statement.Time, Index: e.Index}
	name, release := "", ""
	switch b := e.Statement.Body.(type) {
	case record.Promotion:
		ev.Promotion, name, release = &b, b.Line, b.Release
	case record.Suspension:
		ev.Suspension, name, release = &b, b.Line, b.Release
	case record.Retirement:
		ev.Retirement, name, release = &b, b.Line, b.Release
	}
	id := g.node(NodeRelease, release, by)
	if ev.Promotion != nil {
		g.did(e.Statement.Actor, id, RolePromoted, by)
	}
	l := g.lines[name]
	if l == nil {
		l = &line{}
		g.lines[name] = l
	}
	i, known := slices.BinarySearchFunc(l.events, e.Index, func(e record.Event, index int64) int { return int(e.Index - index) })
	if !known {
		l.events = slices.Insert(l.events, i, ev)
	}
	g.dirty[name] = true
}

// Settle works out which releases are live, where what was learnt may have
// changed it.
func (g *Graph) Settle() {
	end := time.Unix(math.MaxInt32*1000, 0)
	for name := range g.dirty {
		events := g.lines[name].events
		for _, e := range events {
			if e.Promotion != nil {
				if id, ok := g.find(NodeRelease, e.Promotion.Release); ok {
					delete(g.live, id)
					g.at(id).live = false
				}
			}
		}
		_, live := record.StatusAt(events, "", end)
		id, ok := g.find(NodeRelease, live)
		for _, e := range slices.Backward(events) {
			if ok && e.Promotion != nil && e.Promotion.Release == live {
				g.at(id).live = true
				g.live[id] = Live{Line: name, Environment: e.Promotion.Environment, Since: e}
				break
			}
		}
	}
	clear(g.dirty)
}
