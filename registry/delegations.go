package registry

import (
	"context"
	"fmt"
	"slices"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Delegate lends a role of the caller's to another person for a time, or takes
// that back. Only what is bound to the caller can be lent, so that nothing is lent
// on; an administrator may take back what others lent, and lends nothing for them.
func (r *Registry) Delegate(ctx context.Context, who Caller, in wire.DelegationRequest) (record.Recorded[record.Delegation], error) {
	return command[record.Delegation](ctx, r, who, func(t *tx) error {
		if in.From == "" {
			in.From = who.Name
		}
		d := record.Delegation{
			From: in.From, To: in.To, Role: in.Role, Team: in.Team, Model: in.Model,
			Starts: later(record.Millis(in.Starts), t.now), Expires: record.Millis(in.Expires), Reason: plainText(in.Reason),
		}
		if in.Revoke {
			return t.takeBack(d)
		}
		if err := t.mayLend(d); err != nil {
			return err
		}
		return t.state(d)
	})
}

// mayLend refuses a delegation that the caller may not make, or whose receiver is
// no person here.
func (t *tx) mayLend(d record.Delegation) error {
	if d.From != t.who.Name {
		return refusef(wire.Forbidden, "%s may not delegate for %s: only %s may delegate what is theirs; an administrator can bind the role instead: imprimatur principal bind %s --role %s --team %s",
			t.who.Name, d.From, d.From, d.To, d.Role, d.Team)
	}
	if err := t.mayAs(act(fmt.Sprintf("delegate the role %s", d.Role)), d.Where(), d.Role); err != nil {
		return err
	}
	if t.who.Type != record.Human {
		return refusef(wire.Forbidden, "%s is a workload, and only people delegate their roles; an administrator can bind the role to whoever is to have it: imprimatur principal bind %s --role %s --team %s", t.who.Name, d.To, d.Role, d.Team)
	}
	me, err := t.person(d.From)
	if err != nil {
		return err
	}
	if lent := me.Holdings(d.Role, d.Where(), t.now); lent[0].For != "" {
		return refusef(wire.Forbidden, "%s holds the role %s for %s, and what was delegated cannot be delegated on; ask %s", d.From, d.Role, lent[0].For, lent[0].For)
	}
	to, err := t.person(d.To)
	if err == nil && (to.Principal.Type != record.Human || !to.Principal.Stands(t.now)) {
		err = refusef(wire.Invalid, "%q is no person who is enrolled here, and only people act for people; an administrator can enrol them: imprimatur principal enrol %s", d.To, d.To)
	}
	return err
}

// takeBack ends a delegation that has not ended yet.
func (t *tx) takeBack(d record.Delegation) error {
	err := t.stands()
	if d.From != t.who.Name {
		err = t.may(actBind, record.AllTeams)
	}
	if err != nil {
		return err
	}
	made, err := lineage.Delegations(t, d.From)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(made, func(m record.Recorded[record.Delegation]) bool { return m.Record.Same(d) && !m.Record.Ended(t.now) })
	if i < 0 {
		return refusef(wire.Unknown, "no delegation of the role %s for %s by %s to %s is there to take back; imprimatur principal show %s lists those that are", d.Role, d.For(), d.From, d.To, d.From)
	}
	return t.state(ended(made[i].Record, d.Reason))
}

// ended is a delegation as taken back.
func ended(d record.Delegation, reason string) record.Delegation {
	d.Revoked, d.Reason = true, reason
	return d
}

// delegations returns what a person lent and what was lent to them, as far as it
// has not ended.
func (t *tx) delegations(name string) ([]wire.Lent, error) {
	out := []wire.Lent{}
	made, err := lineage.Delegations(t, name)
	for _, d := range made {
		if d.Record.Ended(t.now) {
			continue
		}
		to, err := t.person(d.Record.To)
		if err != nil {
			return nil, err
		}
		stands := slices.ContainsFunc(to.Delegated, func(held record.Delegated) bool {
			_, ok := held.At(t.now)
			return ok && held.Delegation.Same(d.Record)
		})
		out = append(out, wire.Lent{Recorded: d, Stands: stands && to.Principal.Stands(t.now)})
	}
	return out, err
}

// endDelegations ends what a person who leaves lent, and what was lent to them.
func (t *tx) endDelegations(name string, out *wire.Offboarded) error {
	made, err := lineage.Delegations(t, name)
	for _, d := range made {
		if d.Record.Ended(t.now) {
			continue
		}
		out.Delegations = append(out.Delegations, d.Record)
		if err := t.state(ended(d.Record, name+" left.")); err != nil {
			return err
		}
	}
	return err
}

// barred says why somebody may act on a release in none of some roles, because of
// what they, or those who delegated these to them, did in its lineage.
func (t *tx) barred(c *examined, p record.Person, roles ...record.RoleName) (why string) {
	for _, role := range roles {
		_, not := c.policy.Acts(c.dossier, p, role, t.now)
		if held := p.Holds(role, c.Release.Record.Behaviour.Model, t.now); held && not == "" {
			return ""
		} else if held || why == "" {
			why = not
		}
	}
	return why
}

// holding says by what a person holds a role.
func (t *tx) holding(p record.Person, role record.RoleName, where string) string {
	held := p.Holdings(role, where, t.now)
	if len(held) == 0 || held[0].For == "" {
		return fmt.Sprintf("%s holds the role %s", p.Principal.Name, role)
	}
	return fmt.Sprintf("%s holds the role %s%s", p.Principal.Name, role, record.Approval{For: held[0].For, Lent: held[0].Lent}.Behalf())
}
