package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"imprimatur.dev/record"
)

// Standing says whether a release may run at a time.
type Standing struct {
	OK bool
	// Status is the release's state, and Live the ID of the release that is
	// live in its line.
	Status record.Status
	Live   string
	// Reasons are sentences; empty when it stands.
	Reasons []string
	// Until is when it lapses by time alone.
	Until time.Time
	Marks []string
	// Glass is the exception under which it stands, where its verdict does not pass.
	Glass *record.Recorded[record.Exception]
}

// MarkBreakGlass is shown on a release that runs in spite of its verdict.
const MarkBreakGlass = "break glass"

// Stands decides whether a release may run at a time: it is the live one of its
// line, and its verdict passes, or it was promoted by breaking glass, which stands
// and passes over each gate that blocks. Every path that hands something out asks this one function
// (rule 8).
func (p *Policy) Stands(d *record.Dossier, at time.Time) Standing {
	v := p.Evaluate(d, at)
	var s Standing
	s.Status, s.Live = record.StatusAt(d.History, d.ID, at)
	s.Marks, s.Until = v.Marks, v.Until
	if s.Status != record.Live {
		s.Reasons = append(s.Reasons, notLive(d.ID, s.Status, s.Live))
		return s
	}
	if v.Passed {
		s.OK = true
		return s
	}
	blocking := v.Blocking()
	if j := newJudge(p, d, record.Millis(at)); j.glass() != nil {
		s.Marks = append(s.Marks, MarkBreakGlass)
		until, others, void := j.opens(j.glass(), v.Gates)
		switch s.Until = until; {
		case void != "":
			s.Reasons = append(s.Reasons, fmt.Sprintf("the glass broken for %s %s", d.ID, void))
		case len(others) == 0:
			s.OK, s.Glass = true, j.glass()
			return s
		default:
			blocking = others
		}
	}
	for _, g := range blocking {
		s.Reasons = append(s.Reasons, g.Name+": "+g.Reason)
	}
	return s
}

func notLive(id string, status record.Status, live string) string {
	switch {
	case status == record.Proposed:
		return fmt.Sprintf("the release %s was never promoted; promote it with imprimatur release promote %s", id, id)
	case status == record.Replaced && live != "":
		return fmt.Sprintf("the release %s was replaced by %s", id, live)
	default:
		return fmt.Sprintf("the release %s is %s", id, status)
	}
}

// Seats returns what a tier asks of a role.
func (t *Tier) Seats(role record.RoleName) (Seats, bool) {
	for _, s := range t.Approvals {
		if s.Role == role {
			return s, true
		}
	}
	return Seats{}, false
}

// Acts says how a person acts on a release in a role: by their own binding or,
// where they have none, for the first who delegated it to them and may. Why says
// why they may fill no seat of it, because of what they, or all who delegated it to
// them, did in its lineage; it is empty where they may (rule 5). Solo tiers exclude
// nobody.
func (p *Policy) Acts(d *record.Dossier, who record.Person, role record.RoleName, at time.Time) (as record.Holding, why string) {
	j := newJudge(p, d, record.Millis(at))
	return j.acts(who, role)
}

func (j *judge) acts(who record.Person, role record.RoleName) (record.Holding, string) {
	barred := j.excluded
	if j.tier == nil || j.tier.Solo {
		barred = func(string) string { return "" }
	}
	return acting(who.Principal.Name, who.Holdings(role, j.d.Release.Record.Behaviour.Model, j.at), barred)
}

// Needs reports whether a release lacks the word of a person in a role: an
// approval by them at that time would fill a seat that is empty, or take back
// their own request for changes. It is found by giving that approval.
func (p *Policy) Needs(d *record.Dossier, who record.Person, role record.RoleName, at time.Time) bool {
	now := newJudge(p, d, record.Millis(at))
	if now.tier == nil {
		return false
	}
	seats, asked := now.tier.Seats(role)
	if !asked {
		return false
	}
	word := record.Approval{
		Release: d.ID, Line: d.Line, Record: d.Digests.Record, Role: role, Decision: record.Approve,
		Parts: map[record.Part]record.Digest{}, Method: record.MethodPasskey,
	}
	for _, part := range seats.Covers {
		word.Parts[part] = d.Digests.Parts[part]
	}
	as, _ := now.acts(who, role)
	word.For, word.Lent = as.For, as.Lent
	name, given := who.Principal.Name, *d
	given.People = maps.Clone(d.People)
	given.People[name] = who
	given.Approvals = append(slices.Clip(d.Approvals), record.ApprovalFacts{
		Approval: record.Recorded[record.Approval]{Record: word, Actor: name, Time: now.at, Index: math.MaxInt64},
		Digests:  d.Digests, Authority: d.Release.Record.Authority,
	})
	return newJudge(p, &given, now.at).lacking() < now.lacking()
}

// Carries says whether an approval given earlier in the line counts for the
// release, and why (rules 6 and 9).
func (p *Policy) Carries(d *record.Dossier, a record.ApprovalFacts, at time.Time) (ok bool, why string) {
	j := newJudge(p, d, record.Millis(at))
	if j.tier == nil {
		return false, "the policy has no tier " + d.Release.Record.Context.Tier
	}
	s, asked := j.tier.Seats(a.Approval.Record.Role)
	if !asked {
		return false, fmt.Sprintf("the policy asks for no approval by %s", a.Approval.Record.Role)
	}
	w := j.weigh(&s, &a)
	if w.void != "" {
		return false, w.void
	}
	return true, w.carried
}
