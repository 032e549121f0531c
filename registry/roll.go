package registry

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/record"
)

// roll lists every release in memory, about 500 bytes each: built at the start
// from the ledger and told of every later entry before its author is answered,
// so that a search of all of them touches no database.
type roll struct {
	mu       sync.RWMutex
	releases []*Listed // oldest first
	byID     map[string]*Listed
	lines    map[string]*rolled
}

// rolled is one line.
type rolled struct {
	releases []*Listed
	events   []record.Event
}

// Listed is a release as a list shows it.
type Listed struct {
	ID, Line    string
	Model       string // team/name
	Version     string
	UseCase     string
	Environment string
	Tier        string
	Proposer    string
	Proposed    time.Time
	Status      record.Status
	// Marks are those of the last verdict that was stated of it: at its promotion.
	Marks []string
	// Newest says that no later release was proposed in its line.
	Newest bool

	index   int64
	verdict int64
}

// Query says which releases a list is to have. Empty members ask for nothing.
type Query struct {
	// Text is looked for in the ID, model, version, use case and proposer.
	Text string
	// Model is "team/name".
	Model, Environment, Tier string
	Status                   record.Status
	// Before is the index of a release: only older ones are listed.
	Before int64
	Limit  int
}

// Releases are a part of the list, newest first; Next is the Before of the
// following part, 0 at the end, and Total counts all that the query asks for.
type Releases struct {
	List  []Listed
	Next  int64
	Total int
}

func newRoll() *roll {
	return &roll{byID: map[string]*Listed{}, lines: map[string]*rolled{}}
}

// learn takes in an entry. Entries may come twice and out of order.
func (l *roll) learn(index int64, s record.Statement) {
	switch s.Body.(type) {
	case record.Release, record.Verdict, record.Promotion, record.Suspension, record.Retirement:
	default:
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(index, s)
}

func (l *roll) put(index int64, s record.Statement) {
	e := record.Event{Actor: s.Actor, Time: s.Time, Index: index}
	switch b := s.Body.(type) {
	case record.Release:
		l.release(index, s, b)
	case record.Verdict:
		if r := l.byID[b.Release]; r != nil && r.verdict < index {
			r.verdict, r.Marks = index, b.Marks
		}
	case record.Promotion:
		e.Promotion = &b
		l.event(b.Line, e)
	case record.Suspension:
		e.Suspension = &b
		l.event(b.Line, e)
	case record.Retirement:
		e.Retirement = &b
		l.event(b.Line, e)
	}
}

func (l *roll) line(name string) *rolled {
	if l.lines[name] == nil {
		l.lines[name] = &rolled{}
	}
	return l.lines[name]
}

func (l *roll) release(index int64, s record.Statement, b record.Release) {
	id := record.ReleaseID(s.Digest())
	if l.byID[id] != nil {
		return
	}
	x := b.Context
	r := &Listed{
		ID: id, Line: b.Line(), Model: b.Behaviour.Model, Version: b.Behaviour.Version, UseCase: x.UseCase, Environment: x.Environment,
		Tier: x.Tier, Proposer: s.Actor, Proposed: s.Time, index: index, verdict: -1,
	}
	l.byID[id] = r
	l.releases = inOrder(l.releases, r)
	line := l.line(r.Line)
	line.releases = inOrder(line.releases, r)
	line.fold()
}

// inOrder inserts a release by its index, which is nearly always the end.
func inOrder(list []*Listed, r *Listed) []*Listed {
	i := len(list)
	for i > 0 && list[i-1].index > r.index {
		i--
	}
	return slices.Insert(list, i, r)
}

func (l *roll) event(name string, e record.Event) {
	line := l.line(name)
	i := len(line.events)
	for i > 0 && line.events[i-1].Index > e.Index {
		i--
	}
	if i > 0 && line.events[i-1].Index == e.Index {
		return
	}
	line.events = slices.Insert(line.events, i, e)
	line.fold()
}

// always is later than anything that was stated.
var always = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// fold finds out how the releases of a line stand.
func (l *rolled) fold() {
	for i, r := range l.releases {
		r.Status, _ = record.StatusAt(l.events, r.ID, always)
		r.Newest = i == len(l.releases)-1
	}
}

// FindReleases lists the releases of the caller's teams that a query asks for,
// newest first.
func (r *Registry) FindReleases(ctx context.Context, who Caller, q Query) (Releases, error) {
	may, err := r.readers(ctx, who)
	if err != nil {
		return Releases{}, err
	}
	if q.Limit <= 0 || q.Limit > maxListed {
		q.Limit = maxListed
	}
	r.roll.mu.RLock()
	defer r.roll.mu.RUnlock()
	from := r.roll.releases
	if q.Text != "" {
		q.Text = strings.ToLower(q.Text)
	}
	var out Releases
	for _, l := range slices.Backward(from) {
		if !q.asks(l) || !may(teamOf(l.Model)) {
			continue
		}
		out.Total++
		switch {
		case q.Before > 0 && l.index >= q.Before:
		case len(out.List) < q.Limit:
			out.List = append(out.List, *l)
		case out.Next == 0:
			out.Next = out.List[len(out.List)-1].index
		}
	}
	return out, nil
}

// maxListed is the most releases that one part of the list has.
const maxListed = 200

// asks reports whether a query asks for a release.
func (q *Query) asks(l *Listed) bool {
	return (q.Model == "" || q.Model == l.Model) && (q.Environment == "" || q.Environment == l.Environment) &&
		(q.Tier == "" || q.Tier == l.Tier) && (q.Status == "" || q.Status == l.Status) && (q.Text == "" || l.has(q.Text))
}

// has reports whether one of a release's names has a text in it.
func (l *Listed) has(text string) bool {
	for _, s := range []string{l.ID, l.Model + "@" + l.Version, l.UseCase, l.Proposer} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// readers returns of which teams the caller may read, from memory.
func (r *Registry) readers(ctx context.Context, who Caller) (func(team string) bool, error) {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return nil, err
	}
	if err := who.stands(me, now); err != nil {
		return nil, err
	}
	teams, somewhere := map[string]bool{}, false
	may := func(team string) bool {
		ok, asked := teams[team]
		if !asked {
			ok = who.may(me, now, actRead, team, rights[actRead]...) == nil
			teams[team] = ok
		}
		return ok
	}
	for _, role := range me.RolesAt(now) {
		somewhere = somewhere || who.may(me, now, actRead, role.Team, rights[actRead]...) == nil
	}
	if !somewhere {
		return nil, who.may(me, now, actRead, record.AllTeams, rights[actRead]...)
	}
	return may, nil
}
