package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Glass is what somebody would break: which gates it passes over, which grants may
// be used under it (all where none is named), why, and for how long.
type Glass struct {
	Gates, Grants []string
	Reason        string
	Lasting       time.Duration
}

// BreakGlass promotes a release in spite of the gates that are named, for a short
// time and with a review to follow; package policy says what it opens. It is shown
// on the line for ever.
func (r *Registry) BreakGlass(ctx context.Context, who Caller, id string, in Glass) (wire.Promoted, error) {
	return r.promoted(ctx, who, func(t *tx) error {
		c, err := t.exceptional(actBreakGlass, id, in.Lasting, policy.MaxBreakGlass)
		if err != nil {
			return err
		}
		switch {
		case c.Status == record.Suspended || c.Status == record.Retired:
			return stopped(id, c.Status)
		case c.Stands:
			return refusef(wire.Conflict, "the release %s is live and stands already; see imprimatur release show %s", id, id)
		case c.Verdict.Passed:
			return refusef(wire.Conflict, "nothing blocks the release %s; promote it with imprimatur release promote %s", id, id)
		}
		if err := t.breakable(c, in); err != nil {
			return err
		}
		x := t.exception(c, record.Exception{Type: record.BreakGlass, Gates: in.Gates, Grants: in.Grants, Reason: in.Reason}, in.Lasting)
		if err := t.state(x); err != nil {
			return err
		}
		exception := record.ExceptionID(t.stated[len(t.stated)-1].entry.Statement.Digest())
		// The verdict rests on the exception too.
		if c, err = t.examine(id); err != nil {
			return err
		}
		return t.promote(c, record.Promotion{How: record.BrokeGlass, Reason: in.Reason, Until: x.Expires, Exception: exception})
	})
}

// breakable refuses a glass that opens more than it needs to, or less than would
// let the release run, and one in a line whose last one nobody has reviewed.
func (t *tx) breakable(c *examined, in Glass) error {
	tier := c.policy.Tier(c.Release.Record.Context.Tier)
	most := time.Duration(0)
	if tier != nil {
		most = tier.BreakGlass
	}
	if in.Lasting > most {
		return refusef(wire.Invalid, "the policy %s lets a glass be broken for at most %s at tier %s, and not for %s; give a shorter time with --for", c.policy.Name, most, c.Release.Record.Context.Tier, in.Lasting)
	}
	for _, x := range c.Exceptions {
		id := record.ExceptionID(x.Digest)
		reviewed := slices.ContainsFunc(c.dossier.Reviews, func(r record.Recorded[record.Review]) bool { return r.Record.Exception == id && r.Actor != x.Actor })
		if x.Record.Type == record.BreakGlass && !reviewed {
			return refusef(wire.Refused, "the glass that %s broke for %s is not reviewed, and until then no other is broken in %s; somebody other than %s with the role risk or auditor can: imprimatur release review %s --outcome OUTCOME --reason TEXT", x.Actor, x.Record.Release, c.Line, x.Actor, id)
		}
	}
	blocking := make([]string, 0, 4)
	for _, g := range c.Verdict.Blocking() {
		if !policy.Breakable(g.Name) {
			return refusef(wire.Refused, "no glass is broken over the gate %s: %s See what it asks for: imprimatur release check %s", g.Name, g.Reason, c.ID)
		}
		blocking = append(blocking, g.Name)
	}
	if !slices.Equal(slices.Sorted(slices.Values(in.Gates)), slices.Sorted(slices.Values(blocking))) {
		return refusef(wire.Invalid, "a broken glass names each gate that it passes over and no other, and %s is blocked by %s; it names %s: give the first, each with --gate", c.ID, strings.Join(blocking, ", "), orNone(in.Gates))
	}
	return t.granted(c, in.Grants)
}

// granted refuses names that call no grant of a release.
func (t *tx) granted(c *examined, names []string) error {
	may := c.Release.Record.Authority
	var all []string
	for _, kind := range record.GrantKinds {
		for _, g := range may.Of(kind) {
			all = append(all, record.GrantName(kind, g.Resource))
		}
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return refusef(wire.Invalid, "the release %s has no grant %q; its grants are %s; name some of these with --grant", c.ID, name, orNone(all))
		}
	}
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
