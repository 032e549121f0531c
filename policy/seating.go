package policy

import (
	"slices"
	"time"

	"imprimatur.dev/record"
)

// Seating is how the seats of one role stand.
type Seating struct {
	Seats
	// Words are the last words of those who spoke in the role, in the order in
	// which they are preferred.
	Words []Spoken
}

// Spoken is the last word of one person in a role, and what it is worth.
type Spoken struct {
	Approval record.Recorded[record.Approval]
	// Fills says that it fills a seat, Blocks that it is a standing request for
	// changes.
	Fills, Blocks bool
	// Why says why it fills none, or what is special about it: carried over, or
	// not independent. It is empty for a plain approval of this release.
	Why string
	// Until is when it lapses by time alone.
	Until time.Time
}

// Open is how many seats are empty.
func (s Seating) Open() int {
	open := s.Count
	for _, w := range s.Words {
		if w.Fills {
			open--
		}
	}
	return max(open, 0)
}

// Seating returns how the seats of each role stand that the release's tier asks
// for, as [Policy.Evaluate] judges them at a time.
func (p *Policy) Seating(d *record.Dossier, at time.Time) []Seating {
	j := newJudge(p, d, record.Millis(at))
	if j.tier == nil {
		return nil
	}
	words := j.words()
	filled := j.seat(words)
	out := make([]Seating, len(j.tier.Approvals))
	for i := range j.tier.Approvals {
		s := &j.tier.Approvals[i]
		out[i].Seats = *s
		for _, w := range words[i] {
			said := Spoken{
				Approval: w.Approval, Fills: slices.Contains(filled[i], w), Blocks: j.blocks(s, w.ApprovalFacts),
				Why: w.void, Until: w.until,
			}
			switch {
			case said.Fills && w.dependent != "":
				said.Why = "not independent: " + w.dependent
			case said.Fills:
				said.Why = w.carried
			case said.Why == "":
				said.Why = j.elsewhere(filled, w)
			}
			out[i].Words = append(out[i].Words, said)
		}
	}
	return out
}

// DataStanding says whether a steward's approval of one of a release's datasets
// stands, for the purpose of its use case.
type DataStanding struct {
	OK bool
	// By approved it, Until is when that lapses.
	By    string
	Until time.Time
	// Why says why none stands; Lapsed, that one did.
	Why    string
	Lapsed bool
}

// DataStanding judges the datasets of a release, in the order of the dossier,
// as the gate lineage/datasets does.
func (p *Policy) DataStanding(d *record.Dossier, at time.Time) []DataStanding {
	j := newJudge(p, d, record.Millis(at))
	out := make([]DataStanding, len(j.stewards))
	for i, s := range j.stewards {
		out[i] = DataStanding{OK: s.ok, By: s.steward, Until: s.until, Why: s.why, Lapsed: s.lapsed}
	}
	return out
}
