package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Waiting returns what waits for the caller over all lines of their teams: what
// runs first, then by falling risk, then the oldest. It needs no right: what
// waits for somebody is what they have the right to do.
func (r *Registry) Waiting(ctx context.Context, who Caller) ([]wire.Waiting, error) {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return nil, err
	}
	if err := who.stands(me, now); err != nil {
		return nil, err
	}
	out := []wire.Waiting{}
	for _, id := range r.roll.newest(func(team string) bool { return anyRole(me, team, now) }) {
		waiting, err := r.waitingFor(ctx, me, id)
		if err != nil {
			return nil, err
		}
		out = append(out, waiting...)
	}
	err = r.read(ctx, who, func(t *tx) error {
		envelopes, err := t.envelopesWaiting(me)
		out = append(out, envelopes...)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b wire.Waiting) int {
		if a.Live != b.Live {
			return map[bool]int{true: -1, false: 1}[a.Live]
		}
		return cmp.Or(cmp.Compare(b.Rank, a.Rank), a.Since.Compare(b.Since))
	})
	return out, nil
}

func anyRole(p record.Person, team string, at time.Time) bool {
	return slices.ContainsFunc(p.RolesAt(at), func(r record.Role) bool { return r.Within(team, at) })
}

// waitingOn returns what waits for a person in one release.
func (t *tx) waitingOn(c *examined, me record.Person) (out []wire.Waiting) {
	if c.Status != record.Proposed && c.Status != record.Live {
		return nil
	}
	model, w := c.Release.Record.Behaviour.Model, c.waiting()
	if c.Verdict.Passed && c.Status == record.Proposed {
		if role, ok := holdsOne(me, rights[actPromote], model, t.now); ok {
			w.Act, w.Role, w.Since = wire.WaitsPromote, role, c.lastWord()
			w.Why = fmt.Sprintf("Every gate passes, and %s may promote it as %s.", me.Principal.Name, role)
			w.Do = "imprimatur release promote " + c.ID
			out = append(out, w)
		}
		return out
	}
	if c.Verdict.Passed {
		return append(t.renewals(c, me, w), t.drillsAgain(c, me, w)...)
	}
	lacks := map[record.RoleName]*wire.Waiting{}
	for _, g := range c.Verdict.Blocking() {
		role, approval := strings.CutPrefix(g.Name, approvalGate)
		if approval {
			if c.policy.Needs(c.dossier, me, record.RoleName(role), t.now) {
				w.Act, w.Role, w.Gates, w.Do = wire.WaitsApprove, record.RoleName(role), []string{g.Name}, g.Do
				w.Why = fmt.Sprintf("%s %s.", g.Reason, t.holding(me, w.Role, model))
				out = append(out, w)
			}
			continue
		}
		held, ok := holdsOne(me, g.Who, model, t.now)
		if !ok {
			continue
		}
		if had := lacks[held]; had != nil {
			had.Gates = append(had.Gates, g.Name)
			continue
		}
		s := w
		s.Act, s.Role, s.Gates, s.Do = wire.WaitsSupply, held, []string{g.Name}, g.Do
		s.Why = fmt.Sprintf("%s: %s %s.", g.Name, g.Reason, t.holding(me, held, model))
		lacks[held] = &s
	}
	for _, role := range record.RoleNames {
		if w := lacks[role]; w != nil {
			out = append(out, *w)
		}
	}
	return out
}

// renewals returns the approvals that a person is to give again of what runs,
// because of what was seen, though the old ones still count for a while.
func (t *tx) renewals(c *examined, me record.Person, w wire.Waiting) (out []wire.Waiting) {
	due := c.renewBy(t.now)
	if due.IsZero() {
		return nil
	}
	then := c.policy.Evaluate(c.dossier, due)
	for _, g := range then.Blocking() {
		role, approval := strings.CutPrefix(g.Name, approvalGate)
		if !approval || !c.policy.Needs(c.dossier, me, record.RoleName(role), due) {
			continue
		}
		w.Act, w.Role, w.Gates, w.Due, w.Do = wire.WaitsApprove, record.RoleName(role), []string{g.Name}, due, g.Do
		w.Why = fmt.Sprintf("%s %s.", g.Reason, t.holding(me, w.Role, c.Release.Record.Behaviour.Model))
		out = append(out, w)
	}
	return out
}

// renewBy is when the next approvals lapse because of what was seen; the zero time
// where none do.
func (c *examined) renewBy(now time.Time) (due time.Time) {
	for _, s := range c.dossier.Signals {
		if s.Record.Due.After(now) {
			due = record.Earlier(due, s.Record.Due)
		}
	}
	return due
}

// holdsOne returns the first of some roles that a person holds for a team or a
// model.
func holdsOne(p record.Person, roles []record.RoleName, where string, at time.Time) (record.RoleName, bool) {
	i := slices.IndexFunc(roles, func(r record.RoleName) bool { return p.Holds(r, where, at) })
	if i < 0 {
		return "", false
	}
	return roles[i], true
}

// waiting is what is the same of everything that waits in a release.
func (c *examined) waiting() wire.Waiting {
	b, x := c.Release.Record.Behaviour, c.Release.Record.Context
	w := wire.Waiting{
		Release: c.ID, Line: c.Line, Model: b.Model + "@" + b.Version, UseCase: x.UseCase, Environment: x.Environment,
		Tier: x.Tier, Live: c.Status == record.Live, Since: c.Release.Time,
	}
	w.Rank, _ = c.policy.Rank(x.Tier)
	for _, e := range c.dossier.History {
		if !w.Live || e.Promotion == nil || e.Promotion.Release != c.ID {
			continue
		}
		w.Since = e.Time
		if until := e.Promotion.Until; !until.IsZero() && until.Before(c.Verdict.At) {
			w.Since = until
		}
	}
	return w
}

// lastWord is when a release was proposed, or last approved.
func (c *examined) lastWord() time.Time {
	at := c.Release.Time
	for _, a := range c.dossier.Approvals {
		if a.Approval.Record.Release == c.ID {
			at = later(at, a.Approval.Time)
		}
	}
	return at
}

// reviews returns the exceptions of a line that a person may review and nobody
// has.
func (t *tx) reviews(c *examined, me record.Person) (out []wire.Waiting) {
	role, ok := holdsOne(me, rights[actReview], teamOf(c.Line), t.now)
	if !ok || me.Principal.Type != record.Human {
		return nil
	}
	for _, x := range c.Exceptions {
		id := record.ExceptionID(x.Digest)
		done := slices.ContainsFunc(c.dossier.Reviews, func(r record.Recorded[record.Review]) bool { return r.Record.Exception == id })
		if done || x.Actor == me.Principal.Name || me.OnlyFor(x.Actor, rights[actReview], teamOf(c.Line), t.now) {
			continue
		}
		w := c.waiting()
		w.Act, w.Release, w.Exception, w.Role = wire.WaitsReview, x.Record.Release, id, role
		w.Since, w.Due, w.Live = x.Time, x.Record.ReviewBy, c.Live == x.Record.Release
		w.Why = fmt.Sprintf("%s made the exception %s (%s): %s Somebody else must review it, and %s holds the role %s.",
			x.Actor, id, x.Record.Type, strings.TrimSuffix(x.Record.Reason, ".")+".", me.Principal.Name, role)
		w.Do = "imprimatur release review " + id + " --outcome upheld --reason TEXT"
		out = append(out, w)
	}
	return out
}
