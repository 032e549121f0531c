package registry

import (
	"context"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// Rights returns the names of the roles of each act.
func Rights() map[string][]record.RoleName {
	out := map[string][]record.RoleName{}
	for a, roles := range rights {
		out[string(a)] = roles
	}
	return out
}

// WithoutRight runs fn while an act has no row in the table of rights.
func WithoutRight(a string, fn func()) {
	row := rights[act(a)]
	defer func() { rights[act(a)] = row }()
	delete(rights, act(a))
	fn()
}

// Approving are the roles in which people approve.
var Approving = approving

// SetStale sets the staleness bound of a replica.
func (r *Registry) SetStale(d time.Duration) { r.stale = d }

// Size returns the number of statements in the ledger.
func (r *Registry) Size(ctx context.Context) (n int64, err error) {
	err = r.store.View(ctx, func(v *store.View) error {
		n = v.Size()
		return nil
	})
	return n, err
}

// Payloads returns all statements as they were signed.
func (r *Registry) Payloads(ctx context.Context) ([][]byte, error) {
	entries, err := r.store.Since(ctx, 0, 1<<20)
	out := make([][]byte, len(entries))
	for i, e := range entries {
		out[i] = e.Payload
	}
	return out, err
}

// CutStore closes the store under the registry, as a failed disk would. The
// function that it returns makes Close pass over that.
func (r *Registry) CutStore() (forget func(), err error) {
	return func() { r.closed.Store(true) }, r.store.Close()
}

// SetPatience sets how long a registration waits for its bytes.
func (r *Registry) SetPatience(d time.Duration) { r.patience = d }

// Forget makes the registry one whose memory is still being read, until the
// function that it returns is called.
func (r *Registry) Forget() (remember func()) {
	r.whole = make(chan struct{})
	return func() { close(r.whole) }
}

// TeamOfRecord returns whose readers see a record; empty is everybody.
func TeamOfRecord(body record.Body) string { return teamOfRecord(body) }
