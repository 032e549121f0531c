package registry

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// spaceUse is where the store keeps when identities were last shown. It is no
// statement: a workload shows its identity every few minutes, and no decision
// rests on it.
const spaceUse = "identity-use"

// useKept is how often that is kept; what a crash loses is no more.
const useKept = time.Minute

func (x *identities) use(id string, at time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.used[id] = later(x.used[id], at)
}

// unkept takes what was not kept yet.
func (x *identities) unkept() map[string]time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := x.used
	x.used = map[string]time.Time{}
	return out
}

// keepUse keeps when identities were shown, now and then until ctx ends.
func (r *Registry) keepUse(ctx context.Context) {
	tick := time.NewTicker(useKept)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// What could not be kept is told again by the next use.
			_ = r.flushUse(ctx)
		}
	}
}

func (r *Registry) flushUse(ctx context.Context) (err error) {
	now := record.Millis(r.now())
	for id, at := range r.identities.unkept() {
		value, fault := at.MarshalText()
		err = errors.Join(err, fault, r.store.Keep(ctx, store.Aside{Space: spaceUse, ID: id, Owner: spaceUse, Value: value}, now))
	}
	return err
}

// Identities returns the identities of a workload, or all, in the order of their workloads, and
// when each was last shown.
func (r *Registry) Identities(ctx context.Context, who Caller, workload string) ([]wire.KeptIdentity, error) {
	used, err := r.lastUses(ctx)
	if err != nil {
		return nil, err
	}
	key := record.KeyKind(record.KindIdentity)
	if workload != "" {
		key = record.KeyIdentities(workload)
	}
	out := []wire.KeptIdentity{}
	err = r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		all, err := lineage.All[record.Identity](t, key)
		newest := map[string]record.Recorded[record.Identity]{}
		for _, x := range all {
			newest[x.Record.ID] = x
		}
		for _, x := range newest {
			out = append(out, wire.KeptIdentity{Identity: x, Used: used[x.Record.ID]})
		}
		return err
	})
	slices.SortFunc(out, func(a, b wire.KeptIdentity) int {
		return cmp.Or(cmp.Compare(a.Identity.Record.Workload, b.Identity.Record.Workload), cmp.Compare(a.Identity.Record.ID, b.Identity.Record.ID))
	})
	return out, err
}

// lastUses returns when identities were last shown, here or to another replica.
func (r *Registry) lastUses(ctx context.Context) (map[string]time.Time, error) {
	r.identities.mu.RLock()
	used := maps.Clone(r.identities.used)
	r.identities.mu.RUnlock()
	kept, err := r.store.Owned(ctx, spaceUse, spaceUse, record.Millis(r.now()))
	for _, a := range kept {
		var at time.Time
		err = errors.Join(err, at.UnmarshalText(a.Value))
		used[a.ID] = later(used[a.ID], at)
	}
	return used, err
}
