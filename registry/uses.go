package registry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/authority"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// uses are when workloads and what they show were last seen at work, and which
// calls were allowed under each release. The decision log has each answer for as
// long as its files are kept; this is what lists look at without reading them. It
// is no statement: no decision rests on it.
type uses struct {
	mu sync.RWMutex
	// last is when, and unkept are those of which the store does not know yet.
	last   map[useOf]time.Time
	unkept map[useOf]bool
	// under are the calls of each release.
	under map[string]map[authority.Use]time.Time
	calls map[releaseUse]bool
	// read is when what other replicas saw was last read.
	read time.Time
}

// useOf names what was used: an identity, token or key by its own ID, which stands
// alone, or a workload or a secret.
type useOf struct{ Kind, ID string }

// Kinds of what was used that have no ID of their own.
const (
	useWorkload = "workload"
	useSecret   = "secret"
)

type releaseUse struct {
	Release string
	Use     authority.Use
}

const (
	// spaceUse is where the store keeps when something was last used, and spaceCalls
	// which calls were.
	spaceUse   = "identity-use"
	spaceCalls = "authority-use"
	// useKept is how often that is kept; what a crash loses is no more.
	useKept = time.Minute
	// useRead is how old what other replicas saw may be.
	useRead = 10 * time.Second
	// maxCalls is how many different calls of one grant by one workload are told
	// apart; with more, the whole grant counts as used.
	maxCalls = 50
)

func newUses() *uses {
	return &uses{
		last: map[useOf]time.Time{}, unkept: map[useOf]bool{},
		under: map[string]map[authority.Use]time.Time{}, calls: map[releaseUse]bool{},
	}
}

// note keeps that something was used. Within a minute it is not noted twice: many
// ask all the time.
func (x *uses) note(of useOf, at time.Time) {
	x.mu.RLock()
	fresh := at.Sub(x.last[of]) < useKept
	x.mu.RUnlock()
	if fresh {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last[of] = later(x.last[of], at)
	x.unkept[of] = true
}

// decided takes a line of the decision log.
func (x *uses) decided(d wire.Decided) {
	at := later(d.At, d.Last)
	if d.Release == "" {
		return
	}
	// Of a line that only counts, it is known who asked: the workload, or its gateway.
	x.note(useOf{useWorkload, cmp.Or(d.Workload, d.By)}, at)
	if !d.Allowed || d.Cut {
		return
	}
	if d.Kind == "secrets" {
		x.note(useOf{useSecret, d.Team + "/" + d.Resource}, at)
	}
	x.called(d.Release, authority.Use{Kind: d.Kind, Number: d.Grant, Workload: d.Workload, Resource: d.Resource, Action: d.Action}, at, false)
}

// called keeps that a call was allowed; kept says that the store knows.
func (x *uses) called(release string, u authority.Use, at time.Time, kept bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	calls := x.under[release]
	if calls == nil {
		calls = map[authority.Use]time.Time{}
		x.under[release] = calls
	}
	if _, known := calls[u]; !known && !kept && alike(calls, u) >= maxCalls {
		u.Resource, u.Action = "", ""
	}
	if !kept && at.Sub(calls[u]) >= useKept {
		x.calls[releaseUse{release, u}] = true
	}
	calls[u] = later(calls[u], at)
}

// alike counts the calls of the same grant by the same workload.
func alike(calls map[authority.Use]time.Time, u authority.Use) (n int) {
	for c := range calls {
		if c.Kind == u.Kind && c.Number == u.Number && c.Workload == u.Workload {
			n++
		}
	}
	return n
}

// since returns the calls under a release since a time, of an authority: where a
// grant was used in too many ways to tell, all that it allows.
func (x *uses) since(release string, a record.Authority, from time.Time) []authority.Use {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []authority.Use
	for u, at := range x.under[release] {
		grants := a.Of(u.Kind)
		if at.Before(from) || u.Number >= len(grants) {
			continue
		}
		if u.Resource != "" {
			out = append(out, u)
			continue
		}
		for _, u.Action = range grants[u.Number].Actions {
			u.Resource = grants[u.Number].Resource
			out = append(out, u)
		}
	}
	slices.SortFunc(out, byUse)
	return out
}

func byUse(a, b authority.Use) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Workload, b.Workload))
}

func (x *uses) at(of useOf) time.Time {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.last[of]
}

// keptUse is when something was used, as the store keeps it: the name in its ID
// may hold anything.
type keptUse struct {
	Of  useOf      `json:"of,omitzero"`
	Use releaseUse `json:"use,omitzero"`
	At  time.Time  `json:"at"`
}

// take takes what was not kept yet.
func (x *uses) take() (seen, called []keptUse) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for of := range x.unkept {
		seen = append(seen, keptUse{Of: of, At: x.last[of]})
	}
	for c := range x.calls {
		called = append(called, keptUse{Use: c, At: x.under[c.Release][c.Use]})
	}
	clear(x.unkept)
	clear(x.calls)
	return seen, called
}

// learn takes what the store keeps.
func (x *uses) learn(k keptUse) {
	if k.Use.Release != "" {
		x.called(k.Use.Release, k.Use.Use, k.At, true)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last[k.Of] = later(x.last[k.Of], k.At)
}

// keepUse keeps what was used, now and then until ctx ends.
func (r *Registry) keepUse(ctx context.Context) {
	every(ctx, useKept, func() {
		// What could not be kept is told again by the next use.
		_ = r.flushUse(ctx)
	})
}

func (r *Registry) flushUse(ctx context.Context) (err error) {
	now := record.Millis(r.now())
	seen, called := r.uses.take()
	keep := func(space string, k keptUse, name any) {
		value, fault := json.Marshal(k)
		id, unnamed := record.CanonicalOf(name)
		err = errors.Join(err, fault, unnamed)
		if fault == nil && unnamed == nil {
			err = errors.Join(err, r.store.Keep(ctx, store.Aside{Space: space, ID: string(record.DigestOf(id)), Owner: space, Value: value}, now))
		}
	}
	for _, k := range seen {
		keep(spaceUse, k, k.Of)
	}
	for _, k := range called {
		keep(spaceCalls, k, k.Use)
	}
	return err
}

// readUses reads what was used before the start, and by others' word since.
func (r *Registry) readUses(ctx context.Context) error {
	r.uses.mu.Lock()
	now := time.Now()
	due := r.uses.read.IsZero() || r.replica && now.Sub(r.uses.read) >= useRead
	if due {
		r.uses.read = now
	}
	r.uses.mu.Unlock()
	if !due {
		return nil
	}
	for _, space := range []string{spaceUse, spaceCalls} {
		kept, err := r.store.Owned(ctx, space, space, record.Millis(r.now()))
		if err != nil {
			r.uses.mu.Lock()
			r.uses.read = time.Time{}
			r.uses.mu.Unlock()
			return err
		}
		for _, a := range kept {
			var k keptUse
			// An earlier program kept a bare time under the ID of an identity.
			if json.Unmarshal(a.Value, &k) != nil {
				k = keptUse{Of: useOf{ID: a.ID}}
				if k.At.UnmarshalText(a.Value) != nil {
					continue
				}
			}
			r.uses.learn(k)
		}
	}
	return nil
}

// Identities returns the identities of a workload, or all, in the order of their workloads, and
// when each was last shown.
func (r *Registry) Identities(ctx context.Context, who Caller, workload string) ([]wire.KeptIdentity, error) {
	if err := r.readUses(ctx); err != nil {
		return nil, err
	}
	key := record.KeyKind(record.KindIdentity)
	if workload != "" {
		key = record.KeyIdentities(workload)
	}
	out := []wire.KeptIdentity{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		all, err := lineage.All[record.Identity](t, key)
		newest := map[string]record.Recorded[record.Identity]{}
		for _, x := range all {
			newest[x.Record.ID] = x
		}
		for _, x := range newest {
			out = append(out, wire.KeptIdentity{Identity: x, Used: r.uses.at(useOf{ID: x.Record.ID})})
		}
		return err
	})
	slices.SortFunc(out, func(a, b wire.KeptIdentity) int {
		return cmp.Or(cmp.Compare(a.Identity.Record.Workload, b.Identity.Record.Workload), cmp.Compare(a.Identity.Record.ID, b.Identity.Record.ID))
	})
	return out, err
}
