package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Approve records a human's approval or request for changes, in one role, bound
// to what they saw. An approval that could never count, because of what the
// person did in the release's lineage, is refused rather than kept. One that
// carries a passkey's assertion answers what [Registry.AskPasskey] asked.
func (r *Registry) Approve(ctx context.Context, who Caller, in wire.Word) (wire.Case, error) {
	in.Envelope = ""
	got, err := r.say(ctx, who, in)
	if err != nil {
		return wire.Case{}, err
	}
	return r.CheckRelease(ctx, who, got.Record.Release)
}

// say records a word on a release or on an envelope.
func (r *Registry) say(ctx context.Context, who Caller, in wire.Word) (record.Recorded[record.Approval], error) {
	var asked *record.Approval
	if in.Assertion != nil {
		var err error
		if asked, err = r.takeAsked(ctx, who, *in.Assertion); err != nil {
			return record.Recorded[record.Approval]{}, err
		}
	}
	return command[record.Approval](ctx, r, who, func(t *tx) error {
		if asked != nil {
			return t.speakByPasskey(ctx, in, asked)
		}
		a, passkeyBy, err := t.word(in, t.now)
		if err != nil {
			return err
		}
		if passkeyBy != "" {
			return refusef(wire.Forbidden, "policy %s asks %s for a passkey, and %s signed in by %s; approve with a passkey on the console's page of %s", passkeyBy, in.Role, who.Name, who.Method, a.Of())
		}
		return t.spoken(a)
	})
}

// spoken states what somebody said. A word against what is live is a signal
// besides.
func (t *tx) spoken(a record.Approval) error {
	if err := t.state(a); err != nil || a.Decision == record.Approve {
		return err
	}
	events, err := lineage.History(t, a.Line)
	if err != nil {
		return err
	}
	status, live := record.StatusAt(events, a.Release, t.now)
	if a.Envelope != "" && live != "" {
		// A word on an envelope is one on what runs by it.
		rel, err := t.release(live)
		if err != nil || rel.Record.Context.Envelope != a.Record {
			return err
		}
		status, a.Release = record.Live, live
	}
	if status != record.Live {
		return nil
	}
	detail := fmt.Sprintf("%s requested changes as %s: %s", t.who.Name, a.Role, a.Reason)
	return t.signal(record.Signal{Release: a.Release, Line: a.Line, Type: record.SignalApprovalWithdrawn, Detail: short(detail), Observed: t.now})
}

// word is what the caller says of a release or an envelope, held against it at a
// time, and the policy that takes only a passkey for it, if one does.
func (t *tx) word(in wire.Word, at time.Time) (a record.Approval, passkeyBy string, err error) {
	if in.Envelope != "" {
		e, err := t.envelope(in.Envelope)
		if err != nil {
			return a, "", err
		}
		return t.wordOn(in, at, record.ModelOfLine(e.Record.Line), t.examineEnvelope)
	}
	rel, err := t.release(in.Release)
	if err != nil {
		return a, "", err
	}
	return t.wordOn(in, at, rel.Record.Behaviour.Model, t.examine)
}

func (t *tx) wordOn(in wire.Word, at time.Time, model string, examine func(string) (*examined, error)) (a record.Approval, passkeyBy string, err error) {
	if !slices.Contains(approving, in.Role) {
		return a, "", refusef(wire.Invalid, "nobody approves in the role %q; approve as %s", in.Role, orList(approving))
	}
	if err := t.mayAs(act("approve as "+string(in.Role)), model, in.Role); err != nil {
		return a, "", err
	}
	if t.who.Type != record.Human {
		return a, "", refusef(wire.Forbidden, "%s is a workload: it may comment, but only people approve; a person with the role %s can", t.who.Name, in.Role)
	}
	c, err := examine(cmp.Or(in.Envelope, in.Release))
	if err != nil {
		return a, "", err
	}
	a, passkeyBy, err = t.speak(c, in, at)
	if in.Envelope != "" && err == nil {
		a.Release, a.Envelope = "", c.ID
	}
	return a, passkeyBy, err
}

// Comment records what a person or a workload says of a release. It fills no
// seat, whoever says it.
func (r *Registry) Comment(ctx context.Context, who Caller, id, text string) (record.Recorded[record.Comment], error) {
	return command[record.Comment](ctx, r, who, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		if err := t.may(actComment, rel.Record.Behaviour.Model); err != nil {
			return err
		}
		return t.state(record.Comment{Release: id, Line: rel.Record.Line(), Record: rel.Digest, Text: text})
	})
}

// plainText is a text as a form and a script send it alike: browsers end lines
// in two ways.
func plainText(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

// longestApproval is how long an approval lasts where the policy does not say.
const longestApproval = 366 * 24 * time.Hour

// speak makes the approval after holding it against the release.
func (t *tx) speak(c *examined, in wire.Word, at time.Time) (a record.Approval, passkeyBy string, err error) {
	refused := func(err error) (record.Approval, string, error) { return record.Approval{}, "", err }
	if in.Record != c.Digests.Record {
		return refused(refusef(wire.Conflict, "%s has the record digest %s, not %s: look again at what you approve with imprimatur %s show %s", c.ID, c.Digests.Record, in.Record, c.noun(), c.ID))
	}
	if c.Status == record.Retired {
		return refused(refusef(wire.Conflict, "the release %s is retired; propose a new one", c.ID))
	}
	tier := c.policy.Tier(c.Release.Record.Context.Tier)
	if tier == nil {
		return refused(refusedBy(t.named(c), "Approving "+c.ID))
	}
	seats, ok := tier.Seats(in.Role)
	if !ok {
		asked := make([]record.RoleName, len(tier.Approvals))
		for i, s := range tier.Approvals {
			asked[i] = s.Role
		}
		return refused(refusef(wire.Invalid, "policy %s asks for no approval by %s on tier %s; approve as %s", c.Verdict.Policy.Name, in.Role, tier.Name, orList(asked)))
	}
	me, err := t.person(t.who.Name)
	if err != nil {
		return refused(err)
	}
	as, why := c.policy.Acts(c.dossier, me, in.Role, t.now)
	if in.Decision == record.Approve && why != "" {
		return refused(refusef(wire.Forbidden, "%s may not approve the %s %s: %s; another person with the role %s can", t.who.Name, c.noun(), c.ID, why, in.Role))
	}
	a = record.Approval{
		Release: c.ID, Line: c.Line, Record: c.Digests.Record, Role: in.Role, For: as.For, Lent: as.Lent, Decision: in.Decision,
		Parts: map[record.Part]record.Digest{}, Reason: plainText(in.Reason), Method: t.who.Method,
	}
	for _, p := range seats.Covers {
		a.Parts[p] = c.Digests.Parts[p]
	}
	a.Expires = record.Millis(at.Add(cmp.Or(tier.Expires, longestApproval)))
	if !in.Expires.IsZero() && in.Expires.Before(a.Expires) {
		a.Expires = record.Millis(in.Expires)
	}
	if !a.Expires.After(at) {
		return refused(refusef(wire.Invalid, "the approval would have lapsed already; give a later date"))
	}
	if in.Decision == record.Approve && seats.Passkey {
		passkeyBy = c.Verdict.Policy.Name
	}
	return a, passkeyBy, nil
}
