package registry

import (
	"cmp"
	"context"
	"slices"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Approve records a human's approval or request for changes, in one role, bound
// to what they saw. An approval that could never count, because of what the
// person did in the release's lineage, is refused rather than kept.
func (r *Registry) Approve(ctx context.Context, who Caller, in wire.Word) (wire.Case, error) {
	got, err := command[record.Approval](ctx, r, who, func(t *tx) error {
		rel, err := t.release(in.Release)
		if err != nil {
			return err
		}
		if !slices.Contains(approving, in.Role) {
			return refusef(wire.Invalid, "nobody approves in the role %q; approve as %s", in.Role, orList(approving))
		}
		if err := t.mayAs(act("approve as "+string(in.Role)), teamOf(rel.Record.Behaviour.Model), in.Role); err != nil {
			return err
		}
		if who.Type != record.Human {
			return refusef(wire.Forbidden, "%s is a workload: it may comment, but only people approve; a person with the role %s can", who.Name, in.Role)
		}
		c, err := t.examine(in.Release)
		if err != nil {
			return err
		}
		return t.speak(c, in)
	})
	if err != nil {
		return wire.Case{}, err
	}
	return r.CheckRelease(ctx, who, got.Record.Release)
}

// Comment records what a person or a workload says of a release. It fills no
// seat, whoever says it.
func (r *Registry) Comment(ctx context.Context, who Caller, id, text string) (record.Recorded[record.Comment], error) {
	return command[record.Comment](ctx, r, who, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		if err := t.may(actComment, teamOf(rel.Record.Behaviour.Model)); err != nil {
			return err
		}
		return t.state(record.Comment{Release: id, Line: rel.Record.Line(), Record: rel.Digest, Text: text})
	})
}

// longestApproval is how long an approval lasts where the policy does not say.
const longestApproval = 366 * 24 * time.Hour

// speak states the approval after holding it against the release.
func (t *tx) speak(c *examined, in wire.Word) error {
	if in.Record != c.Digests.Record {
		return refusef(wire.Conflict, "the release %s has the record digest %s, not %s: look again at what you approve with imprimatur release show %s", c.ID, c.Digests.Record, in.Record, c.ID)
	}
	if c.Status == record.Retired {
		return refusef(wire.Conflict, "the release %s is retired; propose a new one", c.ID)
	}
	tier := c.policy.Tier(c.Release.Record.Context.Tier)
	if tier == nil {
		return refusedBy(t.named(c), "Approving "+c.ID)
	}
	seats, ok := tier.Seats(in.Role)
	if !ok {
		asked := make([]record.RoleName, len(tier.Approvals))
		for i, s := range tier.Approvals {
			asked[i] = s.Role
		}
		return refusef(wire.Invalid, "policy %s asks for no approval by %s on tier %s; approve as %s", c.Verdict.Policy.Name, in.Role, tier.Name, orList(asked))
	}
	if in.Decision == record.Approve {
		if seats.Passkey && t.who.Method != record.MethodPasskey {
			return refusef(wire.Forbidden, "policy %s asks %s for a passkey, and %s signed in by %s; approve with a passkey on the console's page of %s", c.Verdict.Policy.Name, in.Role, t.who.Name, t.who.Method, c.ID)
		}
		if why := c.policy.Excluded(c.dossier, t.who.Name, t.now); why != "" {
			return refusef(wire.Forbidden, "%s may not approve the release %s: %s; another person with the role %s can", t.who.Name, c.ID, why, in.Role)
		}
	}
	a := record.Approval{
		Release: c.ID, Line: c.Line, Record: c.Digests.Record, Role: in.Role, Decision: in.Decision,
		Parts: map[record.Part]record.Digest{}, Reason: in.Reason, Method: t.who.Method,
	}
	for _, p := range seats.Covers {
		a.Parts[p] = c.Digests.Parts[p]
	}
	a.Expires = record.Millis(t.now.Add(cmp.Or(tier.Expires, longestApproval)))
	if !in.Expires.IsZero() && in.Expires.Before(a.Expires) {
		a.Expires = record.Millis(in.Expires)
	}
	if !a.Expires.After(t.now) {
		return refusef(wire.Invalid, "the approval would have lapsed already; give a later date")
	}
	return t.state(a)
}
