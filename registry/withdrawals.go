package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// DecideData records a steward's approval or withdrawal of data. A withdrawal
// takes effect at once wherever a release rests on the data.
func (r *Registry) DecideData(ctx context.Context, who Caller, a record.DataApproval) (record.Recorded[record.DataApproval], error) {
	return command[record.DataApproval](ctx, r, who, func(t *tx) error {
		if err := t.mayDecide(a); err != nil {
			return err
		}
		if a.Decision == record.Withdraw {
			return t.withdraw(a, "")
		}
		if !a.Expires.After(t.now) {
			return refusef(wire.Invalid, "the approval would have lapsed already; give a later date with --until")
		}
		return t.state(a)
	})
}

// Withdraw is [Registry.DecideData] of a withdrawal, held to the hit list that the
// steward saw: where another release is hit now, it is refused, and the list is to
// be looked at again.
func (r *Registry) Withdraw(ctx context.Context, who Caller, w wire.Withdrawal) (record.Recorded[record.DataApproval], error) {
	return command[record.DataApproval](ctx, r, who, func(t *tx) error {
		if w.Approval.Decision != record.Withdraw {
			return refusef(wire.Invalid, "a withdrawal has the decision %s; approve with imprimatur dataset approve", record.Withdraw)
		}
		if err := t.mayDecide(w.Approval); err != nil {
			return err
		}
		return t.withdraw(w.Approval, w.Seen)
	})
}

// PreviewWithdrawal returns what a withdrawal would hit, and changes nothing.
func (r *Registry) PreviewWithdrawal(ctx context.Context, who Caller, a record.DataApproval) (wire.Hits, error) {
	var out wire.Hits
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayDecide(a); err != nil {
			return err
		}
		hits, err := t.hits(a)
		if err != nil {
			return err
		}
		out.Digest, out.Releases = hitDigest(hits), []wire.Hit{}
		for _, h := range hits {
			if t.mayRead(teamOf(h.Line)) {
				out.Releases = append(out.Releases, h)
			} else {
				out.Others++
			}
		}
		r.graph.mu.RLock()
		defer r.graph.mu.RUnlock()
		out.Impact, err = t.impact(r.graph.g.Matching(a), "", 0)
		return err
	})
	return out, err
}

// mayDecide refuses unless the caller may decide on the data.
func (t *tx) mayDecide(a record.DataApproval) error {
	if err := a.Validate(); err != nil {
		return err
	}
	team := record.AllTeams
	if a.Dataset != "" {
		d, err := need[record.Dataset](t, record.KeyDataset(a.Dataset), "the dataset "+a.Dataset.Short(), "register it first: imprimatur dataset register")
		if err != nil {
			return err
		}
		team = d.Record.Team
	}
	return t.may(actDecideData, team)
}

// maxHits bounds the live releases of which one withdrawal states a signal; those
// beyond are stopped by their verdicts all the same.
const maxHits = 2000

// withdraw states a withdrawal and, in the same transaction, a signal for each live
// release that it hits, with what their policies say of it.
func (t *tx) withdraw(a record.DataApproval, seen record.Digest) error {
	hits, err := t.hits(a)
	if err != nil {
		return err
	}
	if now := hitDigest(hits); seen != "" && seen != now {
		return refusef(wire.Conflict, "the releases that the withdrawal hits have changed since they were shown, there are %d now; look at them again and give the new digest: imprimatur dataset withdraw", len(hits))
	}
	if err := t.state(a); err != nil {
		return err
	}
	what := cmp.Or(a.Source, a.Dataset.Short())
	for _, h := range hits[:min(len(hits), maxHits)] {
		detail := fmt.Sprintf("%s withdrew the approval of %s: %s", t.who.Name, what, a.Reason)
		if err := t.signal(record.Signal{Release: h.Release, Line: h.Line, Type: record.SignalDataWithdrawn, Detail: detail, Observed: t.now}); err != nil {
			return err
		}
	}
	return nil
}

// hits returns the live releases that rest on the data for a purpose that the
// withdrawal speaks of, in the order of their lines. A promotion in between runs
// the command again.
func (t *tx) hits(a record.DataApproval) ([]wire.Hit, error) {
	if _, err := t.lines(); err != nil {
		return nil, err
	}
	var out []wire.Hit
	for _, n := range t.liveFrom(a) {
		rel, err := t.release(n.Name.Key)
		if err != nil {
			return nil, err
		}
		use, known, err := lineage.Last[record.UseCase](t, record.KeyUseCase(rel.Record.Context.UseCase))
		if err != nil {
			return nil, err
		}
		if known && !a.ForPurpose(use.Record.Purpose, use.Record.Ref()) {
			continue
		}
		h := wire.Hit{Release: n.Name.Key, LiveIn: *liveIn(n.Live), Model: rel.Record.Behaviour.Model + "@" + rel.Record.Behaviour.Version, Does: t.responds(rel.Record, record.SignalDataWithdrawn).Does, Stops: true}
		if p, err := t.policyByDigest(rel.Record.Context.Policy.Digest); err == nil {
			if tier := p.Tier(rel.Record.Context.Tier); tier != nil {
				h.Stops = h.Does == record.Suspend || h.Does == record.RollBack || tier.Datasets && tier.Mode == record.Enforce
			}
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b wire.Hit) int { return cmp.Compare(a.Line, b.Line) })
	return out, nil
}

func (t *tx) liveFrom(a record.DataApproval) []lineage.Node {
	t.reg.graph.mu.RLock()
	defer t.reg.graph.mu.RUnlock()
	return t.reg.graph.g.LiveFrom(t.reg.graph.g.Matching(a))
}

func hitDigest(hits []wire.Hit) record.Digest {
	var ids []string
	for _, h := range hits {
		ids = append(ids, h.Release)
	}
	return record.DigestOf([]byte(strings.Join(ids, "\n")))
}
