package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

// word is what an approver's latest statement in a role is worth for one entry
// of the policy.
type word struct {
	*record.ApprovalFacts
	// void says why it fills no seat; empty where it may.
	void string
	// dependent says why the approval is not independent though it counts: a
	// solo tier passes over separation, and a tier may let the trainer approve.
	dependent string
	// carried says why it still counts though given on an earlier release.
	carried string
	until   time.Time
}

func (w *word) actor() string { return w.Approval.Actor }

// behalf is who delegated the role in which the approver spoke, or empty.
func (w *word) behalf() string { return w.Approval.Record.For }

// by names the approver, and for whom they spoke.
func (w *word) by() string { return w.actor() + w.Approval.Record.Behalf() }

// people are whose approval it is: one person fills one seat, and whoever lends a
// role has no second one by it.
func (w *word) people() []string {
	if w.behalf() == "" {
		return []string{w.actor()}
	}
	return []string{w.actor(), w.behalf()}
}

// latest returns the last word of each person in a role, in the order of the
// ledger, up to the time of judgement (rule 7). A word on another release of the
// line is about this one only while the parts it covers are the same, so what
// somebody says of a later release takes nothing back from an earlier one: it
// can still be rolled back to. Of a person who has no word about this release
// the last one on another is returned, so that it can be said why it is void. What
// was said for somebody who then spoke themselves is left out.
func (j *judge) latest(s *Seats) []*record.ApprovalFacts {
	var last []*record.ApprovalFacts
	for i := range j.d.Approvals {
		a := &j.d.Approvals[i]
		if a.Approval.Record.Role != s.Role || a.Approval.Record.Line != j.d.Line || a.Approval.Time.After(j.at) {
			continue
		}
		same := slices.IndexFunc(last, func(b *record.ApprovalFacts) bool { return b.Approval.Actor == a.Approval.Actor })
		switch {
		case same < 0:
			last = append(last, a)
		case j.about(s, a) != j.about(s, last[same]):
			if j.about(s, a) {
				last[same] = a
			}
		case a.Approval.Index > last[same].Approval.Index:
			last[same] = a
		}
	}
	var stand []*record.ApprovalFacts
	for _, a := range last {
		if !slices.ContainsFunc(last, func(b *record.ApprovalFacts) bool { return j.takesBack(s, b, a) }) {
			stand = append(stand, a)
		}
	}
	slices.SortFunc(stand, func(a, b *record.ApprovalFacts) int { return cmp.Compare(a.Approval.Index, b.Approval.Index) })
	return stand
}

// takesBack reports whether b is what somebody said of this release themselves,
// after another had said a for them.
func (j *judge) takesBack(s *Seats, b, a *record.ApprovalFacts) bool {
	return b.Approval.Actor == a.Approval.Record.For && b.Approval.Record.For == "" && b.Approval.Index > a.Approval.Index && j.about(s, b)
}

// about reports whether a word speaks of this release: it was given on it, or
// the parts that the role covers have not changed since.
func (j *judge) about(s *Seats, a *record.ApprovalFacts) bool {
	if a.Approval.Record.Of() == j.d.ID || j.blocks(s, a) {
		return true
	}
	_, void := j.covered(s, a)
	return a.Approval.Record.Decision == record.Approve && void == ""
}

// weigh judges one approver's latest word (rules 5, 6, 8 and 9).
func (j *judge) weigh(s *Seats, a *record.ApprovalFacts) *word {
	w := &word{ApprovalFacts: a}
	x := &a.Approval.Record
	held, holds := j.holding(w.actor(), w.behalf(), s.Role, j.d.Release.Record.Behaviour.Model)
	own := record.Earlier(x.Expires, time.Time{})
	if j.tier.Expires > 0 {
		own = record.Earlier(own, a.Approval.Time.Add(j.tier.Expires))
	}
	due, seen := j.renewal(a)
	w.until = record.Earlier(record.Earlier(own, held.Until), due)
	switch {
	case x.Decision != record.Approve:
		w.void = fmt.Sprintf("%s requested changes", w.actor())
	case !j.human(w.actor()):
		w.void = fmt.Sprintf("%s is no person and may comment only", w.actor())
	case !record.Stands(time.Time{}, own, j.at):
		w.void = fmt.Sprintf("the approval by %s lapsed on %s", w.actor(), date(own))
	case !record.Stands(time.Time{}, due, j.at):
		w.void = fmt.Sprintf("the approval by %s had to be renewed by %s, because of the signal %s of %s", w.actor(), date(due), seen.Record.Type, date(seen.Time))
	case !holds && w.behalf() != "":
		w.void = fmt.Sprintf("%s approved for %s, whose delegation of the role %s for team %s does not stand now", w.actor(), w.behalf(), s.Role, j.team)
	case !holds:
		w.void = fmt.Sprintf("%s does not hold the role %s for team %s now", w.actor(), s.Role, j.team)
	case s.Passkey && x.Method != record.MethodPasskey:
		w.void = fmt.Sprintf("%s approved by %s, and a passkey is required", w.actor(), x.Method)
	default:
		w.carried, w.void = j.covered(s, a)
	}
	if w.void != "" {
		return w
	}
	why := j.barred(w)
	if why != "" && !j.tier.Solo {
		w.void = why
		return w
	}
	w.dependent = why
	for _, name := range w.people() {
		if trained, ok := j.took(name, Trainer); ok && w.dependent == "" {
			w.dependent = name + " " + trained
		}
	}
	return w
}

// covered judges whether what the approver saw is what the release is now.
func (j *judge) covered(s *Seats, a *record.ApprovalFacts) (carried, void string) {
	x := &a.Approval.Record
	var changed []string
	kept := "unchanged"
	for _, part := range s.Covers {
		saw, ok := x.Parts[part]
		switch {
		case !ok:
			changed = append(changed, "the "+string(part)+" was not covered")
		case saw == j.d.Digests.Parts[part]:
		case part == record.PartAuthority && saw == a.Digests.Parts[part]:
			d := authority.Compare(a.Authority, j.d.Release.Record.Authority)
			if d.Relation.Within() {
				kept = "unchanged or narrower"
				continue
			}
			changed = append(changed, "the authority is wider: it "+d.Widening())
		default:
			changed = append(changed, "the "+string(part)+" changed")
		}
	}
	if len(changed) > 0 {
		return "", fmt.Sprintf("the approval by %s of %s is void since %s", a.Approval.Actor, x.Of(), strings.Join(changed, " and "))
	}
	if x.Of() != j.d.ID {
		return fmt.Sprintf("carried over from %s: %s %s", x.Release, list(s.Covers), kept), ""
	}
	return "", ""
}

// blocks reports whether a word is a standing request for changes: on this
// release, or on an earlier one none of whose covered parts changed since. It
// never lapses, and no separation or lost role takes it away; only the person
// who asked does, or a waiver.
func (j *judge) blocks(s *Seats, a *record.ApprovalFacts) bool {
	x := &a.Approval.Record
	if x.Decision != record.RequestChanges || j.d.People[a.Approval.Actor].Principal.Type == record.Workload {
		return false
	}
	if x.Of() == j.d.ID {
		return true
	}
	for _, part := range s.Covers {
		if saw, ok := x.Parts[part]; ok && saw != j.d.Digests.Parts[part] {
			return false
		}
	}
	return true
}
