package registry

import (
	"context"
	"slices"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Bounds on exceptions: a waiver is not a policy. The review is due a week after
// either kind.
const (
	MaxWaiver    = 90 * 24 * time.Hour
	reviewWithin = 7 * 24 * time.Hour
)

// Waive sets aside one named gate of one release for a time.
func (r *Registry) Waive(ctx context.Context, who Caller, id, gate, reason string, lasting time.Duration) (wire.Case, error) {
	_, err := command[record.Exception](ctx, r, who, func(t *tx) error {
		c, err := t.exceptional(actWaive, id, lasting, MaxWaiver)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(c.Verdict.Gates, func(g record.Gate) bool { return g.Name == gate }) {
			return refusef(wire.Invalid, "the release %s has no gate %q; imprimatur release check %s names them", id, gate, id)
		}
		if err := t.state(t.exception(c, record.Exception{Type: record.Waiver, Gate: gate, Reason: reason}, lasting)); err != nil {
			return err
		}
		return t.counts(c, gate)
	})
	if err != nil {
		return wire.Case{}, err
	}
	return r.CheckRelease(ctx, who, id)
}

// exceptional examines a release for a person who wants an exception. Who made
// the release may not except it from its own gates.
func (t *tx) exceptional(a act, id string, lasting, most time.Duration) (*examined, error) {
	rel, err := t.release(id)
	if err != nil {
		return nil, err
	}
	if err := t.may(a, rel.Record.Behaviour.Model); err != nil {
		return nil, err
	}
	if t.who.Type != record.Human {
		return nil, refusef(wire.Forbidden, "%s is a workload: a person with the role %s makes exceptions", t.who.Name, orList(rights[a]))
	}
	if lasting <= 0 || lasting > most {
		return nil, refusef(wire.Invalid, "an exception of this kind lasts for more than nothing and at most %d hours; give a shorter time", int(most.Hours()))
	}
	c, err := t.examine(id)
	if err != nil {
		return nil, err
	}
	me, err := t.person(t.who.Name)
	if err != nil {
		return nil, err
	}
	if why := t.barred(c, me, rights[a]...); why != "" {
		return nil, refusef(wire.Forbidden, "%s may not %s of %s: %s; another person with the role %s can", t.who.Name, a, id, why, orList(rights[a]))
	}
	return c, nil
}

// counts refuses a waiver that the policy would pass over, in the policy's own
// words, so that nobody trusts in it.
func (t *tx) counts(before *examined, gate string) error {
	c, err := t.examine(before.ID)
	if err != nil {
		return err
	}
	for _, g := range c.Verdict.Gates {
		if g.Name == gate && g.Result != record.Pass && g.Result != record.Waived {
			return refusef(wire.Forbidden, "a waiver of %s by %s would not count, so it was not kept; another person with the role %s may give one. %s", gate, t.who.Name, orList(rights[actWaive]), g.Reason)
		}
	}
	return nil
}

// exception completes an exception from the release that it is of.
func (t *tx) exception(c *examined, x record.Exception, lasting time.Duration) record.Exception {
	x.Release, x.Line, x.Record = c.ID, c.Line, c.Digests.Record
	x.Expires, x.ReviewBy = record.Millis(t.now.Add(lasting)), record.Millis(t.now.Add(reviewWithin))
	return x
}

// ReviewException records the look back at an exception, by somebody else.
func (r *Registry) ReviewException(ctx context.Context, who Caller, id, outcome, reason string) (record.Recorded[record.Review], error) {
	return command[record.Review](ctx, r, who, func(t *tx) error {
		x, err := need[record.Exception](t, record.KeyException(id), "the exception "+id, "imprimatur release show lists them")
		if err != nil {
			return err
		}
		if err := t.may(actReview, teamOf(x.Record.Line)); err != nil {
			return err
		}
		if t.who.Type != record.Human {
			return refusef(wire.Forbidden, "%s is a workload: a person with the role risk or auditor reviews exceptions", t.who.Name)
		}
		if x.Actor == t.who.Name {
			return refusef(wire.Forbidden, "%s made the exception %s and may not review it; another person with the role risk or auditor can", t.who.Name, id)
		}
		if err := t.otherHand(x); err != nil {
			return err
		}
		return t.state(record.Review{Exception: id, Release: x.Record.Release, Line: x.Record.Line, Outcome: outcome, Reason: reason})
	})
}

// otherHand refuses a review by one role of one person: where who reviews holds it
// only for who made the exception, or the other way round.
func (t *tx) otherHand(x record.Recorded[record.Exception]) error {
	team := teamOf(x.Record.Line)
	me, err := t.person(t.who.Name)
	if err != nil {
		return err
	}
	maker, err := t.person(x.Actor)
	if err != nil {
		return err
	}
	if me.OnlyFor(x.Actor, rights[actReview], team, t.now) || maker.OnlyFor(t.who.Name, slices.Concat(rights[actWaive], rights[actBreakGlass]), team, x.Time) {
		return refusef(wire.Forbidden, "%s and %s, who made the exception, hold the role by one binding, so %s may not review it; another person with the role risk or auditor can", t.who.Name, x.Actor, t.who.Name)
	}
	return nil
}
