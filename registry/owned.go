package registry

import (
	"context"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Owned returns what a principal owns as it was last stated: models, data, use
// cases and workloads that the caller may read, newest first, the newest
// wire.MaxPage statements looked at.
func (r *Registry) Owned(ctx context.Context, who Caller, name string) ([]wire.Entry, error) {
	var out []wire.Entry
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		stored, err := t.view.Page(record.KeyOwned(name), 0, wire.MaxPage)
		if err != nil {
			return err
		}
		entries, err := t.decode(stored)
		if err != nil {
			return err
		}
		owned, err := t.stillOwned(entries)
		for _, e := range owned {
			if t.visible(e.Statement.Body) {
				out = append(out, entryOf(e))
			}
		}
		return err
	})
	return out, err
}

// stillOwned keeps, of what was stated to be somebody's, newest first, what has
// no other owner by now.
func (t *tx) stillOwned(entries []lineage.Entry) (out []lineage.Entry, err error) {
	seen := map[string]bool{}
	for _, e := range entries {
		key := e.Statement.Body.Keys(e.Statement.Digest())[0]
		if seen[key] {
			continue
		}
		seen[key] = true
		newest, _, err := t.view.Last(key)
		if err != nil {
			return nil, err
		}
		if newest.Index == e.Index {
			out = append(out, e)
		}
	}
	return out, nil
}
