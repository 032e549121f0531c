package registry

import (
	"context"
	"errors"
	"fmt"

	"imprimatur.dev/authority"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// RecordSignal records something seen after promotion, and does what the
// release's policy says of it.
func (r *Registry) RecordSignal(ctx context.Context, who Caller, s record.Signal) (record.Recorded[record.Signal], error) {
	return command[record.Signal](ctx, r, who, func(t *tx) error {
		if s.Move != nil {
			return refusef(wire.Invalid, "a move of an alias is stated by who watches the registry, imprimatur serve --mlflow-watch; leave it out")
		}
		if s.Does != "" || !s.Due.IsZero() {
			return refusef(wire.Invalid, "what a signal does is for the policy of its release to say; give the signal without does and due")
		}
		rel, err := t.release(s.Release)
		if err != nil {
			return err
		}
		if err := t.may(actSignal, rel.Record.Behaviour.Model); err != nil {
			return err
		}
		if line := rel.Record.Line(); s.Line != line {
			return refusef(wire.Invalid, "the release %s is of the line %s, not %s; give its own line", s.Release, line, s.Line)
		}
		return t.signal(s)
	})
}

// responds returns what a signal of a release does. A policy that cannot be read
// stops the release by itself, and what is said of it must not wait for that.
func (t *tx) responds(rel record.Release, signal string) policy.Response {
	if p, err := t.policyByDigest(rel.Context.Policy.Digest); err == nil {
		if tier := p.Tier(rel.Context.Tier); tier != nil {
			return tier.Responds(signal)
		}
	}
	return policy.Response{Does: record.Notify}
}

// signal states a signal of a release and, where that is live, does in the same
// step what its policy says: the policy acts here, not the caller, who need not
// have the right.
func (t *tx) signal(s record.Signal) error {
	rel, err := t.release(s.Release)
	if err != nil {
		return err
	}
	does := t.responds(rel.Record, s.Type)
	if does.Does == record.Notify {
		return t.state(s)
	}
	c, err := t.examine(s.Release)
	if err != nil {
		return err
	}
	if c.Status == record.Live {
		s.Does = does.Does
	}
	if s.Does == record.Reapprove {
		s.Due = record.Millis(t.now.Add(does.Within))
	}
	if err := t.state(s); err != nil {
		return err
	}
	reason := fmt.Sprintf("The policy acts on the signal %s: %s", s.Type, s.Detail)
	switch s.Does {
	case record.Suspend:
		return t.stop(c, reason)
	case record.RollBack:
		return t.rollbackOr(c, reason)
	}
	return nil
}

// short is a text cut to what a reason may have.
func short(text string) string {
	if runes := []rune(text); len(runes) > record.MaxText {
		text = string(runes[:record.MaxText-1]) + "…"
	}
	return text
}

// stop suspends a release.
func (t *tx) stop(c *examined, reason string) error {
	return t.state(record.Suspension{Release: c.ID, Line: c.Line, Record: c.Digests.Record, Reason: short(reason)})
}

// rollbackOr goes back to the release before, or stops the one that is live where
// that cannot take over.
func (t *tx) rollbackOr(c *examined, reason string) error {
	target, err := t.takesOver(c)
	var refusal *Error
	switch {
	case errors.As(err, &refusal):
		return t.stop(c, reason+"; nothing could take over: "+refusal.Error())
	case err != nil:
		return err
	}
	return t.promote(target, record.Promotion{How: record.Rollback, Reason: short(reason), Until: target.Verdict.Until})
}

// takesOver returns the release that can take over from one that is live, or the
// refusal that says why none can.
func (t *tx) takesOver(from *examined) (*examined, error) {
	to := replacedBy(from.dossier.History, from.ID)
	if to == "" {
		return nil, refusef(wire.Refused, "nothing ran in %s before %s, so there is nothing to roll back to; stop it with imprimatur release suspend %s", from.Line, from.ID, from.ID)
	}
	c, err := t.examine(to)
	if err != nil {
		return nil, err
	}
	if wider := authority.Compare(from.Release.Record.Authority, c.Release.Record.Authority).Widening(); wider != "" {
		return nil, refusef(wire.Refused, "going back to %s would widen what the model may do, for it %s; a person can do that: imprimatur release rollback %s --reason TEXT", to, wider, from.ID)
	}
	if g := from.policy.Drilled(from.dossier, to, t.now); !g.Lets() {
		return nil, refusef(wire.Refused, "%s try it: imprimatur release drill %s", g.Reason, to)
	}
	return c, t.promotes(c)
}
