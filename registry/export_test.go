package registry

import (
	"context"
	"errors"
	"os"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
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

// LearnForInventory tells what the inventory is made of of a statement that is in no
// ledger.
func (r *Registry) LearnForInventory(index int64, s record.Statement) {
	r.workloads.learn(index, s)
	r.roll.learn(index, s)
}

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

// SealDecisions states what was answered so far.
func (r *Registry) SealDecisions(ctx context.Context) error { return r.journal.step(ctx, true) }

// WriteDecisions writes what was answered so far to the open file.
func (r *Registry) WriteDecisions() error { return r.journal.step(context.Background(), false) }

// SweepDecisions removes decision logs that are older.
func (r *Registry) SweepDecisions(ctx context.Context, keep time.Duration) error {
	r.journal.doing.Lock()
	defer r.journal.doing.Unlock()
	r.journal.keep = keep
	return r.journal.sweep(ctx)
}

// FillDecisions makes the decision log one that cannot be written, with as much
// in it as fits in memory.
func (r *Registry) FillDecisions() error {
	r.journal.doing.Lock()
	defer r.journal.doing.Unlock()
	readOnly, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	r.journal.mu.Lock()
	defer r.journal.mu.Unlock()
	r.journal.pending = make([]wire.Decided, maxPending)
	err = r.journal.file.Close()
	r.journal.file = readOnly
	return err
}

// CloseWindows closes the windows whose time has come.
func (r *Registry) CloseWindows(ctx context.Context) error { return r.closeWindows(ctx) }

// FindSilence states the signals of observations that have stopped.
func (r *Registry) FindSilence(ctx context.Context) error { return r.findSilence(ctx) }

// SetLease sets how long servers that are opened from now on have a target, and
// wait for one that another has, until the function that it returns is called.
func SetLease(d time.Duration) (restore func()) {
	lease, again := leaseFor, lookAgain
	leaseFor, lookAgain = d, d
	return func() { leaseFor, lookAgain = lease, again }
}

// KeepValue does the half of setting a secret that comes before it is stated.
func (r *Registry) KeepValue(ctx context.Context, x record.Secret, value []byte) error {
	return r.sealValue(ctx, x, value)
}

// LookAtVendors states the signals of what vendors assure of no more, and of models that nobody probes any more.
func (r *Registry) LookAtVendors(ctx context.Context) error {
	return errors.Join(r.lapseAssurance(ctx), r.missProbes(ctx))
}
