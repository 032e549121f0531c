package registry

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"imprimatur.dev/lineage/openlineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Bounds of the intake of lineage: of one statement, and of what waits for the
// one before it.
const (
	lineageEvents = 1000    // of one statement
	lineageBytes  = 1 << 20 // of the events of one statement, as they were sent
	lineageNodes  = 4096    // keys of one statement
	// lineageWaiting bounds the events of one sender that are in memory.
	lineageWaiting = 64 << 20
	// lineageKnown is how many events are remembered by their digest, so that one
	// that is sent again is mostly not stated again. The graph counts it once in
	// any case.
	lineageKnown = 1 << 17
)

// pipelines are the intake of lineage and the graph of every team, in memory.
type pipelines struct {
	mu     sync.RWMutex
	graphs map[string]*openlineage.Graph

	intake sync.Mutex
	open   map[string]*gathering
	// known and older are the digests of events that were stated; when known is
	// full it becomes older.
	known, older map[record.Digest]bool
}

func newPipelines() *pipelines {
	return &pipelines{graphs: map[string]*openlineage.Graph{}, open: map[string]*gathering{}, known: map[record.Digest]bool{}}
}

// gathering are the events of one sender that wait for the next statement.
type gathering struct {
	events []openlineage.Event
	bytes  int
	// done is closed when the events are stated, or err says why not.
	done chan struct{}
	err  error
}

// SendLineage states what a pipeline's events say, for a workload or the owner of
// one, and returns when that is durable. An event that was stated before is not
// stated again. Events that come while others are being written wait, and go into
// one statement together.
func (r *Registry) SendLineage(ctx context.Context, who Caller, team string, events []openlineage.Event) error {
	team, err := r.lineageTeam(ctx, who, team)
	if err != nil || len(events) == 0 {
		return err
	}
	g, err := r.pipelines.gather(r, who, team, events)
	if err != nil {
		return err
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lineageTeam returns the team for which a caller sends lineage: the one that is
// asked for, or else the only one that the caller may send for.
func (r *Registry) lineageTeam(ctx context.Context, who Caller, asked string) (string, error) {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return "", err
	}
	if asked == "" {
		var teams []string
		for _, role := range me.RolesAt(now) {
			if slices.Contains(rights[actLineage], role.Role) && role.Covers(role.Team, now) && !slices.Contains(teams, role.Team) {
				teams = append(teams, role.Team)
			}
		}
		switch {
		case len(teams) == 0:
			asked = record.AllTeams // for the refusal's words
		case len(teams) > 1 || teams[0] == record.AllTeams:
			return "", refusef(wire.Invalid, "%s may send lineage for several teams; name one at the end of the address: /api/v1/lineage?team=NAME", who.Name)
		default:
			asked = teams[0]
		}
	}
	if err := who.may(me, now, actLineage, asked, rights[actLineage]...); err != nil {
		return "", err
	}
	if who.Type == record.Workload {
		return asked, nil
	}
	return asked, r.ownsWorkload(ctx, who)
}

// ownsWorkload refuses a person who owns no workload: lineage is a pipeline's.
func (r *Registry) ownsWorkload(ctx context.Context, who Caller) error {
	return r.read(ctx, who, func(t *tx) error {
		newest, err := t.view.LastOfEach(record.KeyPrincipal(""))
		if err != nil {
			return err
		}
		entries, err := t.decode(newest)
		for _, e := range entries {
			if p, ok := e.Statement.Body.(record.Principal); ok && p.Owner == who.Name && p.Type == record.Workload && p.Stands(t.now) {
				return nil
			}
		}
		if err != nil {
			return err
		}
		return refusef(wire.Forbidden, "%s owns no workload, and lineage is sent by a workload or its owner; an administrator can enrol the pipeline: imprimatur principal enrol", who.Name)
	})
}

// gather adds events to those that wait, and sees to it that somebody states them.
func (p *pipelines) gather(r *Registry, who Caller, team string, events []openlineage.Event) (*gathering, error) {
	size := 0
	for _, e := range events {
		size += len(e.Raw)
	}
	sender := strings.Join(append([]string{team, who.Name}, who.Scopes...), "\n")
	p.intake.Lock()
	defer p.intake.Unlock()
	g, busy := p.open[sender]
	if g == nil {
		g = &gathering{done: make(chan struct{})}
		p.open[sender] = g
	}
	if g.bytes > 0 && g.bytes+size > lineageWaiting {
		return nil, refusef(wire.Unavailable, "more events wait than can be written; send these again in a moment")
	}
	g.events, g.bytes = append(g.events, events...), g.bytes+size
	if !busy {
		who.Request = ""
		r.tailing.Go(func() { p.write(r, sender, who, team) })
	}
	return g, nil
}

// write states what waits until nothing waits.
func (p *pipelines) write(r *Registry, sender string, who Caller, team string) {
	for {
		p.intake.Lock()
		g := p.open[sender]
		if g == nil {
			delete(p.open, sender)
			p.intake.Unlock()
			return
		}
		// A nil says that somebody writes and nothing waits.
		p.open[sender] = nil
		fresh := p.fresh(g.events)
		p.intake.Unlock()
		g.err = r.stateLineage(r.working, who, team, fresh)
		if g.err == nil {
			p.remember(fresh)
		}
		close(g.done)
	}
}

// fresh returns the events that are not known to be stated, each once.
func (p *pipelines) fresh(events []openlineage.Event) []openlineage.Event {
	seen := make(map[record.Digest]bool, len(events))
	out := events[:0]
	for _, e := range events {
		if !seen[e.Digest] && !p.known[e.Digest] && !p.older[e.Digest] {
			seen[e.Digest] = true
			out = append(out, e)
		}
	}
	return out
}

func (p *pipelines) remember(events []openlineage.Event) {
	p.intake.Lock()
	defer p.intake.Unlock()
	for _, e := range events {
		p.known[e.Digest] = true
	}
	if len(p.known) > lineageKnown {
		p.known, p.older = map[record.Digest]bool{}, p.known
	}
}

// stateLineage keeps the events and appends the statements that name them.
func (r *Registry) stateLineage(ctx context.Context, who Caller, team string, events []openlineage.Event) error {
	var bodies []record.LineageEvents
	for len(events) > 0 {
		n, raw := portion(events)
		body := record.LineageEvents{Team: team, Events: make([]record.LineageEvent, n)}
		for i, e := range events[:n] {
			body.Events[i] = e.LineageEvent
		}
		digest, _, err := r.blobs.Put(ctx, bytes.NewReader(raw))
		if err != nil {
			return err
		}
		body.Raw = record.Digest(digest)
		bodies, events = append(bodies, body), events[n:]
	}
	_, err := r.write(ctx, who, func(t *tx) error {
		if err := who.mayState(); err != nil {
			return err
		}
		if err := t.within(actLineage, team); err != nil {
			return err
		}
		for _, b := range bodies {
			if err := t.state(b); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// portion returns how many events go into one statement, at least one, and their
// file.
func portion(events []openlineage.Event) (n int, raw []byte) {
	nodes := map[string]bool{}
	for _, e := range events {
		for _, id := range e.Nodes() {
			nodes[id] = true
		}
		full := n == lineageEvents || len(raw)+len(e.Raw) > lineageBytes || len(nodes) > lineageNodes
		if n > 0 && full {
			break
		}
		raw = append(append(raw, e.Raw...), '\n')
		n++
	}
	return n, raw
}

// put takes in what a statement says. It may come twice.
func (p *pipelines) put(index int64, body record.LineageEvents) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.graphs[body.Team]
	if g == nil {
		g = openlineage.NewGraph()
		p.graphs[body.Team] = g
	}
	for _, e := range body.Events {
		g.Add(e, index)
	}
}
