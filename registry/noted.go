package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// noted is what is remembered of a release that was examined: enough to tell
// without reading the ledger how it stands, and whether it waits for anybody. It
// holds until a statement comes under one of the keys that it was read under, or
// until something that it rests on lapses.
type noted struct {
	Summary
	// waits are the roles for which something waits in the release's line, and
	// anybody says that a role that is not among them may be concerned too.
	waits []record.RoleName
	// drill says that workloads of the environment may be concerned too.
	drill bool
	// open is the examined release where something waits for anybody, for as many
	// as are kept.
	open  *examined
	keys  []string
	until time.Time
}

// Summary is how a release stands, in short.
type Summary struct {
	Status record.Status
	// Live is the release that is live in the line.
	Live string
	// Passed says that the verdict passes, Stands that it may run.
	Passed, Stands bool
	// Blocking are the names of the gates in the way.
	Blocking []string
	Marks    []string
}

// maxNoted bounds how many releases are remembered, about 8 KB each, and maxOpen
// how many of these whole, about 100 KB each.
const (
	maxNoted = 10_000
	maxOpen  = 500
)

// note examines a release, or remembers what came of it.
func (r *Registry) note(ctx context.Context, id string) (*noted, error) {
	now := record.Millis(r.now())
	r.index.mu.RLock()
	n := r.index.notes[id]
	r.index.mu.RUnlock()
	if n != nil && (n.until.IsZero() || now.Before(n.until)) {
		return n, nil
	}
	from := r.index.told()
	err := r.read(ctx, Caller{}, func(t *tx) error {
		c, err := t.examine(id)
		if err != nil {
			return err
		}
		n = c.noted()
		if len(n.waits) > 0 {
			n.open = c
		}
		n.keys = t.view.ReadSet().Keys
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.index.keep(id, n, from)
	return n, nil
}

// noted sums up an examined release.
func (c *examined) noted() *noted {
	n := &noted{Summary: Summary{Status: c.Status, Live: c.Live, Passed: c.Verdict.Passed, Stands: c.Stands, Marks: c.Verdict.Marks}}
	for _, g := range c.Verdict.Gates {
		if !g.Until.IsZero() && (n.until.IsZero() || g.Until.Before(n.until)) {
			n.until = g.Until
		}
		if g.Lets() {
			continue
		}
		n.Blocking = append(n.Blocking, g.Name)
		n.waits = append(n.waits, g.Who...)
		if role, ok := strings.CutPrefix(g.Name, approvalGate); ok {
			n.waits = append(n.waits, record.RoleName(role))
		}
	}
	if c.Status != record.Proposed && c.Status != record.Live {
		n.waits = nil
	} else if c.Verdict.Passed && c.Status == record.Proposed {
		n.waits = append(n.waits, rights[actPromote]...)
	} else if c.Verdict.Passed && !c.renewBy(c.Verdict.At).IsZero() {
		n.waits = append(n.waits, approving...)
	}
	if before, from, _ := c.policy.DrillDue(c.dossier, c.Verdict.At); before != "" && c.Status == record.Live {
		if n.drill = !from.After(c.Verdict.At); n.drill {
			n.waits = append(n.waits, rights[actPromote]...)
		} else {
			n.until = record.Earlier(n.until, from)
		}
	}
	if len(c.Exceptions) > len(c.dossier.Reviews) {
		n.waits = append(n.waits, rights[actReview]...)
	}
	return n
}

// concerns reports whether something waits for one of the roles that a person
// holds for a team or some model of it.
func (n *noted) concerns(me record.Person, team string, at time.Time) bool {
	return n.drill && me.Principal.Type == record.Workload || slices.ContainsFunc(n.waits, func(role record.RoleName) bool { return me.HoldsWithin(role, team, at) })
}

// Summaries tells how releases stand, in short, by their IDs. Those that the
// caller may not read are left out.
func (r *Registry) Summaries(ctx context.Context, who Caller, ids []string) (map[string]Summary, error) {
	may, err := r.readers(ctx, who)
	if err != nil {
		return nil, err
	}
	out := map[string]Summary{}
	for _, id := range ids {
		r.roll.mu.RLock()
		l := r.roll.byID[id]
		r.roll.mu.RUnlock()
		if l == nil || !may(teamOf(l.Model)) {
			continue
		}
		n, err := r.note(ctx, id)
		if err != nil {
			return nil, err
		}
		out[id] = n.Summary
	}
	return out, nil
}

// newest returns the newest release of every line of the teams for which ask
// answers true, in the order in which they were proposed.
func (l *roll) newest(ask func(team string) bool) []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var ids []string
	for _, r := range l.releases {
		if r.Newest && ask(teamOf(r.Model)) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// keep remembers a note, unless one of the entries of which the index was told
// from the count on has overtaken it.
func (x *index) keep(id string, n *noted, from int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.overtaken(n.keys, from) {
		return
	}
	if len(x.notes) >= maxNoted {
		clear(x.notes)
		clear(x.noters)
		x.open = 0
	}
	x.open -= map[bool]int{true: 1}[x.notes[id] != nil && x.notes[id].open != nil]
	if n.open != nil && x.open >= maxOpen {
		kept := *n
		kept.open = nil
		n = &kept
	}
	x.open += map[bool]int{true: 1}[n.open != nil]
	x.notes[id] = n
	for _, k := range n.keys {
		if x.noters[k] == nil {
			x.noters[k] = map[string]bool{}
		}
		x.noters[k][id] = true
	}
}

// drop forgets what was read under a key.
func (x *index) drop(key string) {
	for id := range x.noters[key] {
		if n := x.notes[id]; n != nil && n.open != nil {
			x.open--
		}
		delete(x.notes, id)
	}
	delete(x.noters, key)
}

// waitingFor returns what waits for a person in the line of its newest release,
// and in the one that runs, without reading anything where nothing does.
func (r *Registry) waitingFor(ctx context.Context, me record.Person, newest string) ([]wire.Waiting, error) {
	n, err := r.note(ctx, newest)
	if err != nil {
		return nil, err
	}
	ids := []string{newest}
	if n.Live != "" && n.Live != newest {
		ids = append(ids, n.Live)
	}
	r.roll.mu.RLock()
	team := teamOf(r.roll.byID[newest].Model)
	r.roll.mu.RUnlock()
	var out []wire.Waiting
	for _, id := range ids {
		if n, err = r.note(ctx, id); err != nil {
			return nil, err
		}
		if !n.concerns(me, team, record.Millis(r.now())) {
			continue
		}
		c := n.open
		if c == nil {
			if c, err = r.examined(ctx, id); err != nil {
				return nil, err
			}
		}
		t := &tx{reg: r, now: later(record.Millis(r.now()), c.Verdict.At)}
		out = append(out, t.waitingOn(c, me)...)
		if id == newest {
			out = append(out, t.reviews(c, me)...)
		}
	}
	return out, nil
}

// examined examines a release outside of a command.
func (r *Registry) examined(ctx context.Context, id string) (c *examined, err error) {
	err = r.read(ctx, Caller{}, func(t *tx) error {
		c, err = t.examine(id)
		return err
	})
	return c, err
}

// warm looks at the newest release of every line after a start, so that nobody
// waits for that who asks first. It begins at the end: who asks meanwhile begins at
// the other, and each line is looked at once.
func (r *Registry) warm(ctx context.Context) {
	for _, id := range slices.Backward(r.roll.newest(func(string) bool { return true })) {
		if ctx.Err() != nil {
			return
		}
		n, err := r.note(ctx, id)
		if err == nil && n.Live != "" && n.Live != id {
			_, err = r.note(ctx, n.Live)
		}
		if err != nil {
			return // whoever asks is told
		}
	}
}
