package registry

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"imprimatur.dev/inventory"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// workloads are every workload and what it shows, in memory, with the authority of
// the releases that name one. It follows the ledger.
type workloads struct {
	mu sync.RWMutex
	// people are principals of either kind, and names the workloads among them in
	// order.
	people map[string]*newest[record.Principal]
	names  []string
	// The credentials, by ID, and whose they are.
	tokens     map[string]*newest[record.Token]
	keys       map[string]*newest[record.PrincipalKey]
	identities map[string]*newest[record.Identity]
	of         map[string]*shows
	roles      map[string]map[string]*newest[record.Role]
	// releases are those that name a workload or grant a secret, and acts finds them
	// by the workload.
	releases map[string]*granting
	acts     map[string][]string
	// stated is when a principal last stated something.
	stated map[string]time.Time
}

// newest is the newest statement of a thing, and when the first was made.
type newest[T any] struct {
	body         T
	index, first int64
	since        time.Time
}

// shows are the IDs of what a workload shows.
type shows struct{ tokens, keys, identities []string }

// granting is a release with what it grants.
type granting struct {
	id   string
	at   time.Time
	body record.Release
	// wider is what was last found of it.
	mu    sync.Mutex
	wider narrowing
}

func newWorkloads() *workloads {
	return &workloads{
		people: map[string]*newest[record.Principal]{}, tokens: map[string]*newest[record.Token]{}, keys: map[string]*newest[record.PrincipalKey]{},
		identities: map[string]*newest[record.Identity]{}, of: map[string]*shows{}, roles: map[string]map[string]*newest[record.Role]{},
		releases: map[string]*granting{}, acts: map[string][]string{}, stated: map[string]time.Time{},
	}
}

// put takes a statement, in any order and twice, and reports whether the thing was
// not known.
func put[T any](all map[string]*newest[T], id string, body T, index int64, at time.Time) bool {
	held := all[id]
	if held == nil {
		all[id] = &newest[T]{body, index, index, at}
		return true
	}
	if index > held.index {
		held.body, held.index = body, index
	}
	if index < held.first {
		held.first, held.since = index, at
	}
	return false
}

func (x *workloads) learn(index int64, s record.Statement) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stated[s.Actor] = later(x.stated[s.Actor], s.Time)
	switch b := s.Body.(type) {
	case record.Principal:
		if put(x.people, b.Name, b, index, s.Time) && b.Type == record.Workload {
			at, _ := slices.BinarySearch(x.names, b.Name)
			x.names = slices.Insert(x.names, at, b.Name)
		}
	case record.Token:
		if put(x.tokens, b.ID, b, index, s.Time) {
			x.shown(b.Principal).tokens = append(x.shown(b.Principal).tokens, b.ID)
		}
	case record.PrincipalKey:
		if put(x.keys, b.KeyID, b, index, s.Time) {
			x.shown(b.Principal).keys = append(x.shown(b.Principal).keys, b.KeyID)
		}
	case record.Identity:
		if put(x.identities, b.ID, b, index, s.Time) {
			x.shown(b.Workload).identities = append(x.shown(b.Workload).identities, b.ID)
		}
	case record.Role:
		if x.roles[b.Principal] == nil {
			x.roles[b.Principal] = map[string]*newest[record.Role]{}
		}
		put(x.roles[b.Principal], string(b.Role)+" "+b.Where(), b, index, s.Time)
	case record.Release:
		x.release(record.ReleaseID(s.Digest()), b, s.Time)
	}
}

func (x *workloads) shown(name string) *shows {
	if x.of[name] == nil {
		x.of[name] = &shows{}
	}
	return x.of[name]
}

func (x *workloads) release(id string, b record.Release, at time.Time) {
	if x.releases[id] != nil || len(b.Authority.Workloads) == 0 && len(b.Authority.Secrets) == 0 {
		return
	}
	x.releases[id] = &granting{id: id, at: at, body: record.Release{Behaviour: record.Behaviour{Model: b.Behaviour.Model, Version: b.Behaviour.Version}, Authority: b.Authority, Context: b.Context}}
	for _, w := range b.Authority.Workloads {
		x.acts[w] = append(x.acts[w], id)
	}
}

// overseeing are the roles that see the whole inventory of what they are bound
// for; a workload's owner sees it besides.
var overseeing = []record.RoleName{record.Administrator, record.Security, record.Auditor}

// sight says what of the inventory a caller sees.
type sight struct {
	me    string
	all   bool
	owner bool
	team  func(team string) bool
}

func (r *Registry) sightOf(ctx context.Context, who Caller) (sight, time.Time, error) {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return sight{}, now, err
	}
	if err := who.stands(me, now); err != nil {
		return sight{}, now, err
	}
	teams := map[string]bool{}
	team := func(t string) bool {
		ok, asked := teams[t]
		if !asked {
			ok = who.may(me, now, actRead, t, overseeing...) == nil
			teams[t] = ok
		}
		return ok
	}
	reads := len(who.Scopes) == 0 || slices.Contains(who.Scopes, record.ScopeRead) || slices.Contains(who.Scopes, record.ScopeWrite)
	return sight{who.Name, team(record.AllTeams), reads, team}, now, nil
}

// Inventory pages through the workloads and credentials that the caller oversees
// or answers for, with what is to be mended about them.
func (r *Registry) Inventory(ctx context.Context, who Caller, q wire.InventoryQuery) (wire.Inventory, error) {
	if err := r.wholeNow(); err != nil {
		return wire.Inventory{}, err
	}
	see, now, err := r.sightOf(ctx, who)
	if err != nil {
		return wire.Inventory{}, err
	}
	if err := r.readUses(ctx); err != nil {
		return wire.Inventory{}, err
	}
	if f := q.Finding; f != "" && f != wire.AnyFinding && !slices.Contains(inventory.Codes, f) && !slices.Contains(inventory.Risks(), f) {
		return wire.Inventory{}, refusef(wire.Invalid, "there is no finding %q; ask for %s, for one of %s, or for one of %s", f, wire.AnyFinding, strings.Join(inventory.Codes, ", "), strings.Join(inventory.Risks(), ", "))
	}
	if q.Limit <= 0 || q.Limit > wire.MaxPage {
		q.Limit = wire.MaxPage
	}
	q.Text = strings.ToLower(q.Text)
	out := wire.Inventory{Items: []wire.Inventoried{}, Findings: map[string]int{}, At: now}
	for _, s := range r.survey(see, now, q) {
		if !out.Counts(s.Item, q.Finding) {
			continue
		}
		out.Total++
		switch {
		case cursorOf(s.Item) <= q.From:
		case len(out.Items) < q.Limit:
			out.Items = append(out.Items, r.listed(s))
		case out.Next == "":
			out.Next = cursorOf(out.Items[len(out.Items)-1])
		}
	}
	return out, nil
}

// cursorOf orders the items: workloads before secrets, each by name.
func cursorOf(i wire.Inventoried) string {
	if i.Type == wire.InventorySecret {
		return "2 " + i.Name
	}
	return "1 " + i.Name
}
