package registry

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// ProposeEnvelope states an envelope, to be approved as a release of its line is. It
// is refused where nobody could ever approve it, for want of people who took no part.
func (r *Registry) ProposeEnvelope(ctx context.Context, who Caller, in wire.EnvelopeProposal) (wire.EnvelopeCase, error) {
	got, err := command[record.Envelope](ctx, r, who, func(t *tx) error {
		e, err := t.draw(in)
		if err != nil {
			return err
		}
		raw, err := record.CanonicalOf(e)
		if err != nil {
			return err
		}
		id := record.EnvelopeID(record.DigestOf(raw))
		if err := once(t, record.KeyEnvelope(id), e, "the envelope "+id); err != nil || t.answer != nil {
			return err
		}
		return t.fillable(id)
	})
	if err != nil {
		return wire.EnvelopeCase{}, err
	}
	return r.Envelope(ctx, who, record.EnvelopeID(got.Digest))
}

// draw makes the envelope from what the ledger knows of its anchor.
func (t *tx) draw(in wire.EnvelopeProposal) (record.Envelope, error) {
	var none record.Envelope
	anchor, err := t.release(in.Anchor)
	if err != nil {
		return none, err
	}
	rel := anchor.Record
	if err := t.within(actEnvelope, rel.Behaviour.Model); err != nil {
		return none, err
	}
	history, err := lineage.History(t, rel.Line())
	if err != nil {
		return none, err
	}
	if status, _ := record.StatusAt(history, in.Anchor, t.now); status != record.Live && status != record.Replaced {
		return none, refusef(wire.Refused, "the release %s is %s, and the anchor of an envelope is one that people let run; name another: imprimatur release list", in.Anchor, status)
	}
	if !slices.ContainsFunc(history, func(e record.Event) bool {
		return e.Promotion != nil && e.Promotion.Release == in.Anchor && e.Promotion.How == record.Promote
	}) {
		return none, refusef(wire.Refused, "glass was broken for the release %s, and nobody approved it, so no envelope is anchored to it; name another: imprimatur release list", in.Anchor)
	}
	use, err := need[record.UseCase](t, record.KeyUseCase(rel.Context.UseCase), "the use case "+rel.Context.UseCase, "its owner registers it: imprimatur usecase register")
	if err != nil {
		return none, err
	}
	env, err := need[record.Environment](t, record.KeyEnvironment(rel.Context.Environment), "the environment "+rel.Context.Environment, "an administrator can set it up")
	if err != nil {
		return none, err
	}
	rules, err := need[record.Policy](t, record.KeyPolicyName(env.Record.Policy), "the policy "+env.Record.Policy, "publish it: imprimatur policy publish FILE")
	if err != nil {
		return none, err
	}
	e := record.Envelope{
		Name: in.Name, Line: rel.Line(), Tier: use.Record.Tier, Policy: record.PolicyRef{Name: rules.Record.Name, Digest: rules.Record.Digest},
		Anchor: in.Anchor, Workloads: in.Workloads, Sources: in.Sources, Code: in.Code, Parameters: in.Parameters, Evaluations: in.Evaluations,
		Rollback: in.Rollback, Tries: in.Tries, Releases: in.Releases, Weekly: in.Weekly, People: in.People, Ends: record.Millis(in.Ends), Reason: plainText(in.Reason),
	}
	if err := e.Validate(); err != nil {
		return none, err
	}
	return e, t.judgeable(e)
}

// judgeable refuses an envelope that no release could be inside, and one whose name
// is taken.
func (t *tx) judgeable(e record.Envelope) error {
	p, err := t.policyByDigest(e.Policy.Digest)
	if err != nil {
		return err
	}
	if faults := p.CheckEnvelope(&e); len(faults) > 0 {
		return refusef(wire.Invalid, "the envelope %s cannot be judged: %s; mend the file and propose it again", e.Name, sentence(faults))
	}
	if !e.Ends.After(t.now) {
		return refusef(wire.Invalid, "the envelope %s would have ended already; give a later date under ends", e.Name)
	}
	for _, w := range e.Workloads {
		p, err := t.person(w)
		if err != nil {
			return err
		}
		if p.Principal.Type != record.Workload {
			return refusef(wire.Invalid, "%s is no workload, and only a pipeline's own identity uses an envelope; enrol one: imprimatur principal enrol NAME --type workload", w)
		}
	}
	others, err := lineage.All[record.Envelope](t, record.KeyEnvelopes(e.Line))
	if err != nil {
		return err
	}
	raw, err := record.CanonicalOf(e)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.Record.Name == e.Name && o.Digest != record.DigestOf(raw) {
			return refusef(wire.Conflict, "%s has an envelope %s already, %s, and an envelope never changes; give this one a name of its own", e.Line, e.Name, record.EnvelopeID(o.Digest))
		}
	}
	return nil
}

// fillable refuses an envelope whose seats nobody could fill (rule 5).
func (t *tx) fillable(id string) error {
	c, err := t.examineEnvelope(id)
	if err != nil {
		return err
	}
	people, err := t.everyoneApproving()
	if err != nil {
		return err
	}
	people = slices.DeleteFunc(people, func(p record.Person) bool { return t.barred(c, p, approving...) != "" })
	if lack := c.policy.Unfilled(c.dossier, people, t.now); len(lack) > 0 {
		return refusef(wire.Refused, "nobody could approve this envelope as %s: whoever holds the role took part in the training; bind the role to somebody else with imprimatur principal bind", orList(lack))
	}
	return nil
}

// envelope returns an envelope by its ID.
func (t *tx) envelope(id string) (record.Recorded[record.Envelope], error) {
	e, ok, err := lineage.First[record.Envelope](t, record.KeyEnvelope(id))
	if err == nil && !ok {
		err = refusef(wire.Unknown, "the envelope %s is not known here; imprimatur envelope list shows them", id)
	}
	return e, err
}

// envelopeOf finds an envelope of a line by its name or ID.
func (t *tx) envelopeOf(line, name string) (record.Digest, error) {
	all, err := lineage.All[record.Envelope](t, record.KeyEnvelopes(line))
	if err != nil {
		return "", err
	}
	for _, e := range all {
		if e.Record.Name == name || record.EnvelopeID(e.Digest) == name {
			return e.Digest, nil
		}
	}
	return "", refusef(wire.Unknown, "%s has no envelope %s; imprimatur envelope list shows them", line, name)
}

// examineEnvelope gathers what an envelope's approval rests on and judges it now, as
// examine does a release.
func (t *tx) examineEnvelope(id string) (*examined, error) {
	if _, err := t.envelope(id); err != nil {
		return nil, err
	}
	d, entries, err := lineage.CollectEnvelope(t, id)
	if err != nil {
		return nil, err
	}
	p, err := t.policyByDigest(d.Envelope.Envelope.Record.Policy.Digest)
	if err != nil {
		return nil, err
	}
	c := &examined{Case: wire.Case{ID: id, Line: d.Line, Release: d.Release, Digests: d.Digests}, dossier: d, policy: p}
	c.Verdict = p.Envelope(d, t.now)
	for _, e := range entries {
		c.Verdict.Inputs = append(c.Verdict.Inputs, e.Digest)
	}
	c.Stands = c.Verdict.Passed
	return c, nil
}

// noun says what was examined.
func (c *examined) noun() string {
	if policy.IsEnvelope(c.dossier) {
		return "envelope"
	}
	return "release"
}

// Envelope returns an envelope with how it stands and what it spent.
func (r *Registry) Envelope(ctx context.Context, who Caller, id string) (wire.EnvelopeCase, error) {
	var out wire.EnvelopeCase
	err := r.read(ctx, who, func(t *tx) error {
		e, err := t.envelope(id)
		if err != nil {
			return err
		}
		if err := t.may(actRead, record.ModelOfLine(e.Record.Line)); err != nil {
			return err
		}
		out, err = t.envelopeCase(id)
		return err
	})
	return out, err
}

func (t *tx) envelopeCase(id string) (wire.EnvelopeCase, error) {
	c, err := t.examineEnvelope(id)
	if err != nil {
		return wire.EnvelopeCase{}, err
	}
	f := c.dossier.Envelope
	e := f.Envelope
	out := wire.EnvelopeCase{ID: id, Envelope: e, Verdict: c.Verdict, Seats: []wire.EnvelopeSeat{}, Approvals: []record.Recorded[record.Approval]{}, Uses: []wire.EnvelopeSpent{}}
	out.Approvers = t.named(c).Approvers
	for _, a := range f.Approvals {
		out.Approvals = append(out.Approvals, a.Approval)
	}
	seats, err := t.seats(c)
	if err != nil {
		return out, err
	}
	for _, s := range seats {
		out.Seats = append(out.Seats, wire.EnvelopeSeat{Role: s.Role, Count: s.Count, Open: s.Open(), Passkey: s.Passkey})
	}
	out.Mine = t.mine(seats, c)
	week := 0
	for _, u := range record.UsesOf(c.dossier.History, e.Digest) {
		out.Uses = append(out.Uses, wire.EnvelopeSpent{Release: u.Promotion.Release, Use: u.Promotion.Envelope.Use, By: u.Actor, Time: u.Time})
		if t.now.Sub(u.Time) < policy.Week {
			week++
		}
	}
	out.Left = max(0, e.Record.Releases-len(out.Uses))
	out.LeftThisWeek = min(out.Left, max(0, e.Record.Weekly-week))
	out.Releases, err = t.namingEnvelope(c)
	return out, err
}

// namingEnvelope lists the releases that name an envelope.
func (t *tx) namingEnvelope(c *examined) ([]wire.EnvelopeRelease, error) {
	entries, err := t.Find(record.KeyEnvelopeReleases(c.ID))
	out := []wire.EnvelopeRelease{}
	for _, e := range entries {
		rel, ok := e.Statement.Body.(record.Release)
		if !ok {
			continue
		}
		id := record.ReleaseID(e.Statement.Digest())
		x := wire.EnvelopeRelease{Release: id, Version: rel.Behaviour.Version, By: e.Statement.Actor, Time: e.Statement.Time}
		x.Status, _ = record.StatusAt(c.dossier.History, id, t.now)
		verdict, _, err := lineage.First[record.Verdict](t, record.KeyVerdicts(id))
		if err != nil {
			return nil, err
		}
		for _, g := range verdict.Record.Gates {
			if !strings.HasPrefix(g.Name, policy.EnvelopePrefix) {
				continue
			}
			if x.Bounds = append(x.Bounds, g); g.Result != record.Pass {
				x.Outside = append(x.Outside, g.Name+": "+g.Reason)
			}
		}
		out = append(out, x)
	}
	return out, err
}

// Envelopes lists the envelopes of the teams that the caller may read, newest first:
// of one line, or of all where it is empty.
func (r *Registry) Envelopes(ctx context.Context, who Caller, line string) ([]record.Recorded[record.Envelope], error) {
	out := []record.Recorded[record.Envelope]{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		key := record.KeyKind(record.KindEnvelope)
		if line != "" {
			key = record.KeyEnvelopes(line)
		}
		all, err := lineage.All[record.Envelope](t, key)
		for _, e := range slices.Backward(all) {
			if t.mayRead(teamOf(e.Record.Line)) {
				out = append(out, e)
			}
		}
		return err
	})
	return out, err
}

// ApproveEnvelope records a human's approval of an envelope, or request for changes,
// as [Registry.Approve] does of a release.
func (r *Registry) ApproveEnvelope(ctx context.Context, who Caller, in wire.Word) (wire.EnvelopeCase, error) {
	in.Release = ""
	got, err := r.say(ctx, who, in)
	if err != nil {
		return wire.EnvelopeCase{}, err
	}
	return r.Envelope(ctx, who, got.Record.Envelope)
}

// WithdrawEnvelope ends an envelope: no further release is approved by it. What runs
// by it goes on as long as its approvals stand.
func (r *Registry) WithdrawEnvelope(ctx context.Context, who Caller, id, reason string) (wire.EnvelopeCase, error) {
	_, err := command[record.EnvelopeWithdrawal](ctx, r, who, func(t *tx) error { return t.withdrawEnvelope(id, reason) })
	if err != nil {
		return wire.EnvelopeCase{}, err
	}
	return r.Envelope(ctx, who, id)
}

func (t *tx) withdrawEnvelope(id, reason string) error {
	e, err := t.envelope(id)
	if err != nil {
		return err
	}
	if err := t.may(actWithdraw, record.ModelOfLine(e.Record.Line)); err != nil {
		return err
	}
	before, err := lineage.All[record.EnvelopeWithdrawal](t, record.KeyEnvelope(id))
	if err != nil {
		return err
	}
	if len(before) > 0 {
		return refusef(wire.Conflict, "the envelope %s was withdrawn already, by %s; see imprimatur envelope show %s", id, before[0].Actor, id)
	}
	return t.state(record.EnvelopeWithdrawal{Envelope: id, Line: e.Record.Line, Record: e.Digest, Reason: plainText(reason)})
}

// promoteProposed promotes a release that was just proposed, where an envelope
// answers for it. Where it does not, the proposal stays and goes to people.
func (r *Registry) promoteProposed(ctx context.Context, who Caller, id string) (wire.Case, error) {
	if key, print, ok := strings.Cut(who.Request, "#"); ok {
		// The proposal has the key; its promotion is another statement of the same request.
		who.Request = key + "+promote#" + print
	}
	if c, err := r.CheckRelease(ctx, who, id); err != nil || c.Status == record.Live {
		return c, err
	}
	promoted, err := r.Promote(ctx, who, id)
	var refused *Error
	if errors.As(err, &refused) && refused.Code != wire.Unavailable {
		c, err := r.CheckRelease(ctx, who, id)
		c.NotPromoted = refused.Message
		return c, err
	}
	return promoted.Case, err
}

// byEnvelope examines a release for the workload that proposed it by an envelope, the
// one case in which a workload promotes by no right of its own: nil for all others.
func (t *tx) byEnvelope(id string) (*examined, error) {
	rel, err := t.release(id)
	if err != nil || rel.Record.Context.Envelope == "" || rel.Actor != t.who.Name {
		return nil, err
	}
	me, err := t.person(t.who.Name)
	if err != nil || me.Principal.Type != record.Workload || !t.who.reaches(actPropose, record.Contributor) {
		return nil, err
	}
	if err := t.who.stands(me, t.now); err != nil {
		return nil, err
	}
	c, err := t.examine(id)
	switch {
	case err != nil:
		return nil, err
	case c.Status == record.Proposed && !c.Verdict.Passed:
		return nil, refusedBy(t.named(c), "Promoting "+id)
	case c.Status == record.Proposed && c.Verdict.Envelope != "":
		return c, nil
	}
	return nil, nil
}

// envelopesWaiting returns the envelopes that wait for a person's approval.
func (t *tx) envelopesWaiting(me record.Person) (out []wire.Waiting, err error) {
	all, err := lineage.All[record.Envelope](t, record.KeyKind(record.KindEnvelope))
	for _, e := range all {
		model := record.ModelOfLine(e.Record.Line)
		if !anyRole(me, teamOf(model), t.now) || !record.Stands(time.Time{}, e.Record.Ends, t.now) {
			continue
		}
		c, err := t.examineEnvelope(record.EnvelopeID(e.Digest))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(c.Verdict.Gates, func(g record.Gate) bool {
			return g.Name == policy.EnvelopePrefix+"stands" && g.Result != record.Pass
		}) {
			continue
		}
		for _, g := range c.Verdict.Blocking() {
			role := record.RoleName(strings.TrimPrefix(g.Name, approvalGate))
			if !c.policy.Needs(c.dossier, me, role, t.now) {
				continue
			}
			line := strings.Split(e.Record.Line, "/")
			w := wire.Waiting{
				Act: wire.WaitsApprove, Envelope: c.ID, Line: e.Record.Line, Model: model, UseCase: strings.Replace(line[2], ":", "/", 1), Environment: line[3],
				Tier: e.Record.Tier, Role: role, Gates: []string{g.Name}, Since: e.Time, Do: g.Do,
				Why: "The envelope " + e.Record.Name + ": " + g.Reason + " " + t.holding(me, role, model) + ".",
			}
			w.Rank, _ = c.policy.Rank(e.Record.Tier)
			out = append(out, w)
		}
	}
	return out, err
}
