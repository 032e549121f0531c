package registry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// lookedFor is how long the losses of an off-boarding are looked for.
const lookedFor = 5 * time.Second

// Offboard sees off a person who leaves: what they own goes to another, their
// roles, delegations, tokens and keys end, and they are disabled, all in one step; then their
// sessions end. A dry run changes nothing. Either way it says what the person
// had, and which releases suffer.
func (r *Registry) Offboard(ctx context.Context, who Caller, name string, in wire.Offboarding) (out wire.Offboarded, err error) {
	// The answer is more than what is stated, so a repeat looks again.
	who.Request = ""
	err = r.read(ctx, who, func(t *tx) error {
		if err := t.may(actOffboard, record.AllTeams); err != nil {
			return err
		}
		ids := r.roll.current()
		before, err := t.suffering(ids)
		if err != nil {
			return err
		}
		if out, err = t.offboard(name, in.To); err != nil {
			return err
		}
		// What was stated here is read by what follows, and then forgotten.
		out.Left = len(ids) - len(before)
		out.Losses, err = t.losses(before)
		return err
	})
	if err != nil || in.DryRun {
		return out, err
	}
	_, err = r.write(ctx, who, func(t *tx) error {
		if err := cmp.Or(who.mayState(), t.may(actOffboard, record.AllTeams)); err != nil {
			return err
		}
		done, err := t.offboard(name, in.To)
		if err == nil && in.To == "" && len(done.Owns) > 0 {
			err = refusef(wire.Refused, "%s still owns %d things, such as %s; name who takes them over: imprimatur principal offboard %s --to OTHER", name, len(done.Owns), done.Owns[0].Subject, name)
		}
		out.Owns, out.Roles, out.Delegations, out.Tokens, out.Keys = done.Owns, done.Roles, done.Delegations, done.Tokens, done.Keys
		return err
	})
	if err != nil {
		return wire.Offboarded{}, err
	}
	out.Done = true
	return out, errors.Join(r.store.Forget(ctx, spaceSession, name), r.store.Forget(ctx, spaceInvitation, name))
}

// offboard states all that ends with a person, and returns what they had.
func (t *tx) offboard(name, to string) (wire.Offboarded, error) {
	out := wire.Offboarded{Principal: name, To: to, Owns: []wire.Entry{}, Delegations: []record.Delegation{}, Tokens: []string{}, Keys: []string{}, Losses: []wire.Loss{}}
	p, err := t.leaver(name, to)
	if err != nil {
		return out, err
	}
	stated, err := t.Find(record.KeyOwned(name))
	if err != nil {
		return out, err
	}
	slices.Reverse(stated)
	owned, err := t.stillOwned(stated)
	if err != nil {
		return out, err
	}
	for _, e := range owned {
		out.Owns = append(out.Owns, entryOf(e))
		if to == "" {
			continue
		}
		if err := t.state(handed(e.Statement.Body, to)); err != nil {
			return out, err
		}
	}
	out.Roles = t.bound(p)
	for _, role := range out.Roles {
		role.Revoked = true
		if err := t.state(role); err != nil {
			return out, err
		}
	}
	if err := t.endDelegations(name, &out); err != nil {
		return out, err
	}
	tokens, err := t.endTokens(name)
	if err != nil {
		return out, err
	}
	keys, err := t.endKeys(name, "Its person left.")
	if err != nil {
		return out, err
	}
	out.Tokens, out.Keys = append(out.Tokens, tokens...), append(out.Keys, keys...)
	p.Principal.Disabled = true
	return out, t.state(p.Principal)
}

// leaver is the person who leaves, where they may and somebody takes over.
func (t *tx) leaver(name, to string) (record.Person, error) {
	p, err := t.person(name)
	if err != nil {
		return p, err
	}
	switch {
	case p.Principal.Name == "":
		return p, unknownPrincipal(name)
	case p.Principal.Type != record.Human:
		return p, refusef(wire.Invalid, "%s is a workload; disable it: imprimatur principal disable %s", name, name)
	case name == t.who.Name:
		return p, refusef(wire.Forbidden, "%s may not see themselves off: nobody might be left to let people in; ask another administrator", name)
	case to == "":
		return p, nil
	}
	other, err := t.person(to)
	if err == nil && (to == name || other.Principal.Type != record.Human || !other.Principal.Stands(t.now)) {
		err = refusef(wire.Invalid, "%q cannot take over what %s owns: that takes another person who is enrolled here; enrol one first: imprimatur principal enrol %s", to, name, to)
	}
	return p, err
}

// handed is what is owned, as another's.
func handed(body record.Body, to string) record.Body {
	switch b := body.(type) {
	case record.Model:
		b.Owner = to
		return b
	case record.UseCase:
		b.Owner = to
		return b
	case record.ModelVendor:
		b.Owner = to
		return b
	case record.Dataset:
		b.Owner = to
		return b
	case record.Principal:
		b.Owner = to
		return b
	}
	return body
}

// newestOf returns the newest statement of each ID under a key, newest first.
func newestOf[T record.Body](t *tx, key string, id func(T) string) (out []T, err error) {
	all, err := lineage.All[T](t, key)
	seen := map[string]bool{}
	for _, x := range slices.Backward(all) {
		if !seen[id(x.Record)] {
			seen[id(x.Record)] = true
			out = append(out, x.Record)
		}
	}
	return out, err
}

// current returns the releases that are live, and those that wait at the head of
// their line.
func (l *roll) current() (ids []string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, r := range l.releases {
		if r.Status == record.Live || r.Newest && r.Status == record.Proposed {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// sufferer is a release before somebody leaves.
type sufferer struct {
	id     string
	stands bool
	seats  []record.RoleName
}

// suffering says how releases stand, as many as can be looked at in time.
func (t *tx) suffering(ids []string) (out []sufferer, err error) {
	until := time.Now().Add(lookedFor)
	for _, id := range ids {
		if time.Now().After(until) {
			break
		}
		c, err := t.examine(id)
		if err != nil {
			return nil, err
		}
		seats, err := t.unfillable(c)
		if err != nil {
			return nil, err
		}
		out = append(out, sufferer{id, c.Stands, seats})
	}
	return out, nil
}

// losses says what releases have lost since.
func (t *tx) losses(before []sufferer) (out []wire.Loss, err error) {
	out = []wire.Loss{}
	for _, was := range before {
		c, err := t.examine(was.id)
		if err != nil {
			return nil, err
		}
		loss := wire.Loss{Release: c.ID, Line: c.Line, Status: c.Status}
		if was.stands && !c.Stands {
			loss.Reasons = c.Reasons
		}
		seats, err := t.unfillable(c)
		if err != nil {
			return nil, err
		}
		loss.Seats = slices.DeleteFunc(seats, func(r record.RoleName) bool { return slices.Contains(was.seats, r) })
		if len(loss.Reasons) > 0 || len(loss.Seats) > 0 {
			out = append(out, loss)
		}
	}
	return out, nil
}

// unfillable returns the roles of which more seats are empty than there are
// people who may fill them.
func (t *tx) unfillable(c *examined) (roles []record.RoleName, err error) {
	seats, err := t.seats(c)
	for _, s := range seats {
		able := 0
		for _, p := range s.Who {
			if p.Not == "" {
				able++
			}
		}
		if s.Open() > able {
			roles = append(roles, s.Role)
		}
	}
	return roles, err
}
