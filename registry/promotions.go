package registry

import (
	"context"
	"slices"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Promote makes a release the one that runs in its environment, when its
// verdict passes now. The verdict is stated beside the promotion. The bytes of
// what MLflow's clients registered are read again before.
func (r *Registry) Promote(ctx context.Context, who Caller, id string) (wire.Promoted, error) {
	err := r.before(ctx, who, func(t *tx) (record.RegisteredVersion, bool, error) {
		if err := t.repeated(); err != nil || t.answer != nil {
			return record.RegisteredVersion{}, false, err
		}
		c, err := t.promotable(id)
		if err != nil {
			return record.RegisteredVersion{}, false, err
		}
		b := c.Release.Record.Behaviour
		v, registered := r.registeredAs(teamOf(b.Model), b.Model+"@"+b.Version)
		return v, registered, nil
	})
	if err != nil {
		return wire.Promoted{}, err
	}
	return r.promoted(ctx, who, func(t *tx) error { return t.promoteNow(id) })
}

func (t *tx) promoteNow(id string) error {
	c, err := t.promotable(id)
	if err != nil {
		return err
	}
	return t.promote(c, record.Promotion{How: record.Promote, Until: c.Verdict.Until})
}

func (r *Registry) promoted(ctx context.Context, who Caller, fn func(*tx) error) (wire.Promoted, error) {
	got, err := command[record.Promotion](ctx, r, who, fn)
	if err != nil {
		return wire.Promoted{}, err
	}
	out := wire.Promoted{Promotion: got}
	// Who may promote sees what came of it, though the workload of an
	// environment may read nothing else.
	err = r.read(ctx, who, func(t *tx) error {
		c, err := t.examine(got.Record.Release)
		if err != nil {
			return err
		}
		out.Case = t.named(c).Case
		return nil
	})
	return out, err
}

// promotable examines a release for a caller who wants to promote it.
func (t *tx) promotable(id string) (*examined, error) {
	c, err := t.byEnvelope(id)
	if err == nil && c == nil {
		c, err = t.deployable(id)
	}
	if err != nil {
		return nil, err
	}
	return c, t.promotes(c)
}

// promotes refuses unless a release may be promoted now, by whomever.
func (t *tx) promotes(c *examined) error {
	switch c.Status {
	case record.Live:
		return refusef(wire.Conflict, "the release %s is live already; see imprimatur release show %s", c.ID, c.ID)
	case record.Suspended, record.Retired:
		return stopped(c.ID, c.Status)
	}
	if !c.Verdict.Passed {
		return refusedBy(t.named(c), "Promoting "+c.ID)
	}
	return nil
}

// stopped refuses to promote what somebody stopped.
func stopped(id string, status record.Status) error {
	if status == record.Suspended {
		return refusef(wire.Refused, "the release %s is suspended; lift the suspension first: imprimatur release suspend %s --lift --reason TEXT", id, id)
	}
	return refusef(wire.Refused, "the release %s is retired for good; propose a new one", id)
}

// deployable examines a release for a model owner, or for a workload that the
// environment names.
func (t *tx) deployable(id string) (*examined, error) {
	rel, err := t.release(id)
	if err != nil {
		return nil, err
	}
	env, err := need[record.Environment](t, record.KeyEnvironment(rel.Record.Context.Environment), "the environment "+rel.Record.Context.Environment, "an administrator can set it up again")
	if err != nil {
		return nil, err
	}
	if slices.Contains(env.Record.Workloads, t.who.Name) {
		me, err := t.person(t.who.Name)
		if err != nil {
			return nil, err
		}
		if me.Principal.Type == record.Workload && me.Principal.Stands(t.now) && t.who.reaches(actPromote, "") {
			return t.examine(id)
		}
	}
	if err := t.may(actPromote, rel.Record.Behaviour.Model); err != nil {
		return nil, err
	}
	return t.examine(id)
}

// promote states the verdict and a promotion, which says how, why and until when.
func (t *tx) promote(c *examined, p record.Promotion) error {
	if p.How == record.Promote {
		p.Envelope, p.Until = c.policy.Uses(c.dossier, t.now)
	}
	if err := t.state(c.Verdict); err != nil {
		return err
	}
	p.Verdict = t.stated[len(t.stated)-1].entry.Statement.Digest()
	p.Release, p.Line, p.Record, p.Replaces = c.ID, c.Line, c.Digests.Record, c.Live
	p.Environment, p.Artifact = c.Release.Record.Context.Environment, c.Release.Record.Behaviour.Artifact
	if p.Replaces == c.ID {
		// Glass broken for what is live already: what it replaced stays that.
		p.Replaces = replacedBy(c.dossier.History, c.ID)
	}
	return t.state(p)
}

// replacedBy returns the release that another one replaced when it was last
// promoted, or is empty.
func replacedBy(history []record.Event, id string) string {
	for _, e := range slices.Backward(history) {
		if e.Promotion != nil && e.Promotion.Release == id {
			return e.Promotion.Replaces
		}
	}
	return ""
}

// lastTurn returns what became of a release last, nil for nothing.
func lastTurn(history []record.Event, id string) *wire.Turn {
	for _, e := range slices.Backward(history) {
		m := wire.Turn{By: e.Actor, At: e.Time}
		switch {
		case e.Promotion != nil && (e.Promotion.Release == id || e.Promotion.Replaces == id):
			m.How, m.Release, m.Reason = e.Promotion.How, e.Promotion.Release, e.Promotion.Reason
		case e.Suspension != nil && e.Suspension.Release == id:
			m.How, m.Reason = "suspend", e.Suspension.Reason
			if e.Suspension.Lifted {
				m.How = "lift"
			}
		case e.Retirement != nil && e.Retirement.Release == id:
			m.How, m.Reason = "retire", e.Retirement.Reason
		default:
			continue
		}
		return &m
	}
	return nil
}

// Rollback promotes an earlier release of the line that still stands in place of
// one that is live, or was until it was stopped: the one named, or the one that
// it replaced.
func (r *Registry) Rollback(ctx context.Context, who Caller, live, to, reason string) (wire.Promoted, error) {
	return r.promoted(ctx, who, func(t *tx) error { return t.rollback(live, to, reason) })
}

func (t *tx) rollback(live, to, reason string) error {
	from, err := t.deployable(live)
	if err != nil {
		return err
	}
	if from.Live != "" && from.Live != live {
		return refusef(wire.Conflict, "the release %s is not the one that runs in %s: that is %s; name it to roll it back", live, from.Line, from.Live)
	}
	if to == "" {
		if to = replacedBy(from.dossier.History, live); to == "" {
			return refusef(wire.Refused, "nothing ran in %s before %s, so there is nothing to roll back to; stop it with imprimatur release suspend %s", from.Line, live, live)
		}
	}
	target, err := t.promotable(to)
	if err != nil {
		return err
	}
	if target.Line != from.Line || !ranBefore(target.dossier.History, to) {
		return refusef(wire.Invalid, "%s never ran in %s, so it is no rollback; promote it instead", to, from.Line)
	}
	return t.promote(target, record.Promotion{How: record.Rollback, Reason: reason, Until: target.Verdict.Until})
}

func ranBefore(history []record.Event, id string) bool {
	return slices.ContainsFunc(history, func(e record.Event) bool { return e.Promotion != nil && e.Promotion.Release == id })
}

// Suspend stops a release at once, or lets a suspended one go on.
func (r *Registry) Suspend(ctx context.Context, who Caller, id, reason string, lift bool) (wire.Case, error) {
	_, err := command[record.Suspension](ctx, r, who, func(t *tx) error { return t.suspend(id, reason, lift) })
	if err != nil {
		return wire.Case{}, err
	}
	return r.CheckRelease(ctx, who, id)
}

func (t *tx) suspend(id, reason string, lift bool) error {
	rel, status, err := t.stoppable(actSuspend, id)
	if err != nil {
		return err
	}
	if lift != (status == record.Suspended) {
		return refusef(wire.Conflict, "the release %s is %s, so there is nothing to %s; see imprimatur release show %s", id, status, map[bool]string{true: "lift", false: "suspend"}[lift], id)
	}
	return t.state(record.Suspension{Release: id, Line: rel.Record.Line(), Record: rel.Digest, Lifted: lift, Reason: reason})
}

// stoppable returns a release and its state, for a caller who may stop it.
func (t *tx) stoppable(a act, id string) (record.Recorded[record.Release], record.Status, error) {
	rel, err := t.release(id)
	if err != nil {
		return rel, "", err
	}
	if err := t.may(a, rel.Record.Behaviour.Model); err != nil {
		return rel, "", err
	}
	c, err := t.examine(id)
	if err != nil {
		return rel, "", err
	}
	if c.Status == record.Retired {
		return rel, "", refusef(wire.Conflict, "the release %s is retired already; propose a new one", id)
	}
	return rel, c.Status, nil
}

// Retire ends a release for good, with the tokens of workloads that had nothing
// else to do.
func (r *Registry) Retire(ctx context.Context, who Caller, id, reason string) (wire.Case, error) {
	_, err := command[record.Retirement](ctx, r, who, func(t *tx) error {
		rel, _, err := t.stoppable(actRetire, id)
		if err != nil {
			return err
		}
		return t.retire(rel, id, reason)
	})
	r.lookNow()
	if err != nil {
		return wire.Case{}, err
	}
	return r.CheckRelease(ctx, who, id)
}
