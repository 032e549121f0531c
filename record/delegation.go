package record

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// MaxDelegation is the longest that one delegation may last: long enough for a
// leave, too short to stand for a binding that an administrator should make.
const MaxDelegation = 90 * 24 * time.Hour

// Delegation lends a role that a person holds to another for a time, or takes
// that back. The person states it for themselves, and lends only what is bound to
// them: what was lent to them cannot be lent on, and administrator cannot be lent
// at all. The newest statement for the two people, the role, and the team or model
// wins.
type Delegation struct {
	From string   `json:"from"`
	To   string   `json:"to"`
	Role RoleName `json:"role"`
	Team string   `json:"team"`
	// Model, "team/name", narrows model-owner to one model of the team, as in
	// [Role].
	Model   string    `json:"model,omitzero"`
	Starts  time.Time `json:"starts"`
	Expires time.Time `json:"expires"`
	Reason  string    `json:"reason"`
	Revoked bool      `json:"revoked,omitzero"`
}

// Kind implements Body.
func (Delegation) Kind() Kind { return KindDelegation }

// Keys implements Body. It is found with the roles of both people, so that
// whatever reads what somebody may do reads what was lent to them too.
func (d Delegation) Keys(Digest) []string {
	return []string{KeyRoles(d.To), KeyRoles(d.From), KeyRoster(d.Role)}
}

// Subject implements Body.
func (d Delegation) Subject() (string, Digest) {
	return fmt.Sprintf("delegation/%s/%s/%s/%s", d.From, d.To, d.Role, d.Where()), ""
}

// Validate implements Body.
func (d Delegation) Validate() error {
	c := checker{kind: KindDelegation}
	c.principal("from", d.From)
	if c.principal("to", d.To); d.To == d.From {
		c.failf("to is the same person as from")
	}
	c.where(d.Role, d.Team, d.Model)
	if d.Role == Administrator {
		c.failf("role %s cannot be delegated: an administrator binds it", Administrator)
	}
	c.time("starts", d.Starts)
	c.time("expires", d.Expires)
	if life := d.Expires.Sub(d.Starts); !d.Starts.IsZero() && !d.Expires.IsZero() && (life <= 0 || life > MaxDelegation) {
		c.failf("expires is not within %d days after starts", int(MaxDelegation.Hours()/24))
	}
	c.text("reason", d.Reason, true)
	return c.err()
}

// Where is what the role is for: a team, all, or a model "team/name".
func (d Delegation) Where() string { return cmp.Or(d.Model, d.Team) }

// Same reports whether two statements are of the same delegation, so that the
// newer one wins.
func (d Delegation) Same(o Delegation) bool {
	return d.From == o.From && d.To == o.To && d.Role == o.Role && d.Where() == o.Where()
}

// Binding is the role as a binding of the person to whom it is lent, whatever
// the time.
func (d Delegation) Binding() Role {
	return Role{Principal: d.To, Role: d.Role, Team: d.Team, Model: d.Model, Revoked: d.Revoked, Expires: d.Expires}
}

// For says in words what the role is for.
func (d Delegation) For() string { return d.Binding().For() }

// Ended reports whether it can give nothing any more, at t or later.
func (d Delegation) Ended(t time.Time) bool { return d.Revoked || !Stands(time.Time{}, d.Expires, t) }

// Delegated is a delegation to a person, with whoever made it.
type Delegated struct {
	Delegation Delegation
	// From is the person with their own bindings, and without what was lent to
	// them.
	From Person
}

// At returns the role that the delegation gives at t, as a binding that ends when
// the first of these does: the delegation, the delegator's own binding, and the
// delegator.
func (d Delegated) At(t time.Time) (Role, bool) {
	r := d.Delegation.Binding()
	own, holds := d.From.own(r.Role, r.Where(), t)
	if !holds || r.Revoked || !Stands(d.Delegation.Starts, d.Delegation.Expires, t) {
		return Role{}, false
	}
	r.Expires = Earlier(r.Expires, own)
	return r, true
}

// Holding is one way in which a person holds a role.
type Holding struct {
	// For is who delegated it; empty where it is bound to the person.
	For string
	// Lent is until when it was delegated; zero where it is the person's own.
	Lent time.Time
	// Until is when it ends, whatever ends first; zero for never.
	Until time.Time
}

// Holdings returns how a person holds a role at t for a team, or for a model
// "team/name": by a binding of their own first, then by what was delegated, in
// the order in which it first was.
func (p Person) Holdings(role RoleName, where string, t time.Time) (out []Holding) {
	if until, ok := p.own(role, where, t); ok {
		out = append(out, Holding{Until: until})
	}
	if !p.Principal.Stands(t) {
		return nil
	}
	for _, d := range p.Delegated {
		if r, ok := d.At(t); ok && r.Role == role && r.Covers(where, t) {
			out = append(out, Holding{For: d.Delegation.From, Lent: d.Delegation.Expires, Until: Earlier(r.Expires, p.Principal.Expires)})
		}
	}
	return out
}

// own returns until when a person holds a role by a binding of their own; zero
// for no end.
func (p Person) own(role RoleName, where string, t time.Time) (until time.Time, ok bool) {
	if !p.Principal.Stands(t) {
		return until, false
	}
	for _, r := range p.Roles {
		if r.Role != role || !r.Covers(where, t) {
			continue
		}
		if !ok || r.Expires.IsZero() || !until.IsZero() && r.Expires.After(until) {
			until = r.Expires
		}
		ok = true
	}
	return Earlier(until, p.Principal.Expires), ok
}

// RolesAt returns the roles that a person holds at t: the bindings that stand, and
// what stands of the delegations to them, as bindings.
func (p Person) RolesAt(t time.Time) (out []Role) {
	if !p.Principal.Stands(t) {
		return nil
	}
	for _, r := range p.Roles {
		if r.Covers(r.Where(), t) {
			out = append(out, r)
		}
	}
	for _, d := range p.Delegated {
		if r, ok := d.At(t); ok {
			out = append(out, r)
		}
	}
	return out
}

// OnlyFor reports whether a person holds any of some roles at t only because
// another delegated it: what they do in it, the other does.
func (p Person) OnlyFor(other string, roles []RoleName, where string, t time.Time) bool {
	var all []Holding
	for _, role := range roles {
		all = append(all, p.Holdings(role, where, t)...)
	}
	return len(all) > 0 && !slices.ContainsFunc(all, func(h Holding) bool { return h.For != other })
}

// Earlier returns the earlier of two ends, where zero is never.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b.UTC()
	}
	return a.UTC()
}
