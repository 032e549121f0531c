package registry

import (
	"context"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// toBeGiven stands for the reason in what is only foreseen.
const toBeGiven = "to be given"

// foresee runs a command and appends nothing: it returns what the command would
// state, or why it is refused.
func (r *Registry) foresee(ctx context.Context, who Caller, fn func(*tx) error) ([]wire.Entry, error) {
	out := []wire.Entry{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := who.mayState(); err != nil {
			return err
		}
		if err := fn(t); err != nil {
			return err
		}
		for _, s := range t.stated {
			out = append(out, entryOf(s.entry))
		}
		return nil
	})
	return out, err
}

// ForeseePromote returns what [Registry.Promote] would state now, or its refusal.
// It changes nothing, and reads no bytes again.
func (r *Registry) ForeseePromote(ctx context.Context, who Caller, id string) ([]wire.Entry, error) {
	return r.foresee(ctx, who, func(t *tx) error { return t.promoteNow(id) })
}

// ForeseeRollback returns what [Registry.Rollback] would state now, or its
// refusal. It changes nothing.
func (r *Registry) ForeseeRollback(ctx context.Context, who Caller, live, to string) ([]wire.Entry, error) {
	return r.foresee(ctx, who, func(t *tx) error { return t.rollback(live, to, toBeGiven) })
}

// ForeseeSuspend returns what [Registry.Suspend] would state now, or its refusal.
// It changes nothing.
func (r *Registry) ForeseeSuspend(ctx context.Context, who Caller, id string, lift bool) ([]wire.Entry, error) {
	return r.foresee(ctx, who, func(t *tx) error { return t.suspend(id, toBeGiven, lift) })
}

// ForeseeEnvelopeWithdrawal returns what [Registry.WithdrawEnvelope] would state now,
// or its refusal. It changes nothing.
func (r *Registry) ForeseeEnvelopeWithdrawal(ctx context.Context, who Caller, id string) ([]wire.Entry, error) {
	return r.foresee(ctx, who, func(t *tx) error { return t.withdrawEnvelope(id, toBeGiven) })
}

// ForeseeData returns the refusal that [Registry.DecideData] would meet now, if
// any. It changes nothing.
func (r *Registry) ForeseeData(ctx context.Context, who Caller, a record.DataApproval) ([]wire.Entry, error) {
	a.Reason = toBeGiven
	return r.foresee(ctx, who, func(t *tx) error { return t.mayDecide(a) })
}

// ForeseePolicy returns the refusal of a caller who may not publish policies.
func (r *Registry) ForeseePolicy(ctx context.Context, who Caller) error {
	_, err := r.foresee(ctx, who, func(t *tx) error { return t.may(actPolicy, record.AllTeams) })
	return err
}

// ForeseeEnrol returns the refusal of a caller who may not enrol principals.
func (r *Registry) ForeseeEnrol(ctx context.Context, who Caller) error {
	_, err := r.foresee(ctx, who, func(t *tx) error { return t.may(actEnrol, record.AllTeams) })
	return err
}

// ForeseeBind returns the refusal of a caller who may not bind roles.
func (r *Registry) ForeseeBind(ctx context.Context, who Caller) error {
	_, err := r.foresee(ctx, who, func(t *tx) error { return t.may(actBind, record.AllTeams) })
	return err
}

// ForeseeInvite returns the refusal that [Registry.Invite] would meet now, if any.
// It makes no link.
func (r *Registry) ForeseeInvite(ctx context.Context, who Caller, name string) error {
	_, err := r.foresee(ctx, who, func(t *tx) error {
		if err := t.may(actInvite, record.AllTeams); err != nil {
			return err
		}
		return t.mayBeInvited(name)
	})
	return err
}
