package policy

import (
	"fmt"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// waive turns a gate's result into waived where a waiver stands for it. Two
// gates know no waiver: known, for what is unknown cannot be judged, and tier,
// for without a tier there are no rules to make an exception of.
func (j *judge) waive(g record.Gate) record.Gate {
	if g.Name == gateKnown {
		return g
	}
	var best *record.Recorded[record.Exception]
	var until time.Time
	for i := range j.d.Exceptions {
		x := &j.d.Exceptions[i]
		if x.Record.Type != record.Waiver || x.Record.Gate != g.Name || x.Record.Release != j.d.ID ||
			x.Record.Record != j.d.Digests.Record || x.Time.After(j.at) {
			continue
		}
		end, void := j.waiver(x)
		if void != "" {
			g.Reason += fmt.Sprintf(" The waiver %s by %s does not count: %s.", record.ExceptionID(x.Digest), x.Actor, void)
			continue
		}
		if best == nil || end.After(until) {
			best, until = x, end
		}
	}
	if best == nil {
		return g
	}
	g.Reason = fmt.Sprintf("Waived by %s until %s: %s. Without the waiver it is %s: %s",
		best.Actor, date(until), strings.TrimSuffix(best.Record.Reason, "."), g.Result, g.Reason)
	g.Result, g.Until = record.Waived, until
	g.Evidence = append(g.Evidence, record.ExceptionID(best.Digest))
	return g
}

// waiver returns the end of a waiver, or says why it does not count.
func (j *judge) waiver(x *record.Recorded[record.Exception]) (until time.Time, void string) {
	holdings := j.d.People[x.Actor].Holdings(record.Risk, j.team, j.at)
	held, made := acting(x.Actor, holdings, j.made)
	switch {
	case !record.Stands(x.Time, x.Record.Expires, j.at):
		return until, "it lapsed on " + date(x.Record.Expires)
	case j.reversed(x):
		return until, "its review reversed it"
	case !j.human(x.Actor) || len(holdings) == 0:
		return until, fmt.Sprintf("%s does not hold the role risk for team %s", x.Actor, j.team)
	case made != "":
		return until, made
	}
	return record.Earlier(held.Until, x.Record.Expires), ""
}

// made says that somebody trained the model or proposed the release; empty where
// they did neither.
func (j *judge) made(name string) string {
	for _, as := range []Contributor{Trainer, Proposer} {
		if why, ok := j.took(name, as); ok {
			return name + " " + why
		}
	}
	return ""
}

// reviews reports whether r is a review of x, by somebody else, up to t.
func reviews(r *record.Recorded[record.Review], x *record.Recorded[record.Exception], t time.Time) bool {
	return r.Record.Exception == record.ExceptionID(x.Digest) && r.Actor != x.Actor && !r.Time.After(t)
}

// reviews judges that no exception of the line is past its review.
func (j *judge) reviews() record.Gate {
	var until time.Time
	count := 0
	for i := range j.d.Exceptions {
		x := &j.d.Exceptions[i]
		if x.Time.After(j.at) || j.reviewed(x) {
			continue
		}
		if !record.Stands(time.Time{}, x.Record.ReviewBy, j.at) {
			id := record.ExceptionID(x.Digest)
			return refuse(record.Fail, roles(record.Risk), doReview(id),
				"The %s %s by %s of release %s was to be reviewed by %s and is not; somebody other than %s with the role risk must review it.",
				x.Record.Type, id, x.Actor, x.Record.Release, date(x.Record.ReviewBy), x.Actor)
		}
		count++
		until = record.Earlier(until, x.Record.ReviewBy)
	}
	g := pass("No exception of this line waits for its review.")
	if count > 0 {
		g.Reason = fmt.Sprintf("%d exceptions of this line are to be reviewed, the first by %s.", count, date(until))
	}
	g.Until = until
	return g
}

func (j *judge) reviewed(x *record.Recorded[record.Exception]) bool {
	for i := range j.d.Reviews {
		if reviews(&j.d.Reviews[i], x, j.at) {
			return true
		}
	}
	return false
}
