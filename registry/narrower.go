package registry

import (
	"context"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// ProposeNarrower proposes the release that is live again, with the authority that
// was enough for what was really called since a time. All else is frozen anew as for
// any proposal; where nothing of it has changed since, approvals carry over, for
// authority only shrinks silently (rule 9).
func (r *Registry) ProposeNarrower(ctx context.Context, who Caller, id string, in wire.Narrower) (wire.Case, error) {
	err := r.read(ctx, who, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		return t.within(actPropose, rel.Record.Behaviour.Model)
	})
	if err != nil {
		return wire.Case{}, err
	}
	used, err := r.Used(ctx, who, id, in.Since)
	switch {
	case err != nil:
		return wire.Case{}, err
	case used.Calls == 0:
		return wire.Case{}, refusef(wire.Refused, "nothing was called under %s since %s, so there is nothing to go by; look further back with --since, or suspend it: imprimatur release suspend %s", id, used.From.Format("2006-01-02 15:04"), id)
	case used.Unkept > 0 && !in.Anyway:
		return wire.Case{}, refusef(wire.Refused, "of %d calls under %s only the number was kept, so that what they used would be missing; read imprimatur authority suggest %s, and propose it with --anyway", used.Unkept, id, id)
	}
	if err := narrows(used); err != nil {
		return wire.Case{}, err
	}
	got, err := command[record.Release](ctx, r, who, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		c, err := t.examine(id)
		if err != nil {
			return err
		}
		if c.Status != record.Live {
			return refusef(wire.Conflict, "the release %s is %s, and what is proposed takes the place of one that is live; see imprimatur audit live", id, c.Status)
		}
		b, x := rel.Record.Behaviour, rel.Record.Context
		return t.propose(wire.Proposal{Version: b.Model + "@" + b.Version, UseCase: x.UseCase, Environment: x.Environment, Authority: used.Suggested})
	})
	if err != nil {
		return wire.Case{}, err
	}
	return r.CheckRelease(ctx, who, record.ReleaseID(got.Digest))
}

// narrows refuses a suggestion that narrows nothing, or that might widen.
func narrows(used wire.Used) error {
	switch d := authority.Compare(used.Now, used.Suggested); d.Relation {
	case authority.Narrower:
		return nil
	case authority.Equal:
		return refusef(wire.Conflict, "all that %s grants was used since %s, so there is nothing to narrow; look at less with --since, or see imprimatur authority suggest %s", used.Release, used.From.Format("2006-01-02 15:04"), used.Release)
	default:
		return refusef(wire.Refused, "the authority that is suggested for %s is %s; write one by hand: imprimatur authority suggest %s --out FILE", used.Release, d.Relation, used.Release)
	}
}
