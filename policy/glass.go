package policy

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// MaxBreakGlass is how long a broken glass lasts at most where the tier does not
// say.
const MaxBreakGlass = 72 * time.Hour

// breakGlass reads how long a tier lets a broken glass last.
func (r *reader) breakGlass(n *yaml.Node) time.Duration {
	if n.Value == "never" {
		return 0
	}
	most := r.span(n, "breakGlass")
	if most > MaxBreakGlass {
		r.failf(at(n), "breakGlass %q is longer than the %s that a broken glass lasts at most", n.Value, spell(MaxBreakGlass))
	}
	return most
}

// Breakable reports whether a glass can pass over a gate: not over what is unknown,
// which nobody can judge, and not over a review that is due.
func Breakable(gate string) bool { return gate != gateKnown && gate != gateReviews && gate != gateTier }

// glass returns the exception by which the release came to run last, where that
// broke glass; nil otherwise.
func (j *judge) glass() *record.Recorded[record.Exception] {
	var last *record.Promotion
	for _, e := range j.d.History {
		if e.Promotion != nil && e.Promotion.Release == j.d.ID && !e.Time.After(j.at) {
			last = e.Promotion
		}
	}
	if last == nil || last.How != record.BrokeGlass {
		return nil
	}
	return brokenBy(j.d, last)
}

// brokenBy returns the exception that a promotion by breaking glass names; one of
// nothing where there is none.
func brokenBy(d *record.Dossier, p *record.Promotion) *record.Recorded[record.Exception] {
	for i := range d.Exceptions {
		x := &d.Exceptions[i]
		if x.Record.Type == record.BreakGlass && x.Record.Release == p.Release && record.ExceptionID(x.Digest) == p.Exception {
			return x
		}
	}
	return &record.Recorded[record.Exception]{}
}

// opens returns until when nothing but time ends what a broken glass opens, and the
// gates that block all the same; or says why it opens nothing, which is what follows
// "the glass broken for r-…".
func (j *judge) opens(x *record.Recorded[record.Exception], gates []record.Gate) (until time.Time, blocking []record.Gate, void string) {
	if j.tier != nil {
		until = record.Earlier(x.Record.Expires, x.Time.Add(j.tier.BreakGlass))
	}
	ends := until
	for _, g := range gates {
		switch over := Breakable(g.Name) && slices.Contains(x.Record.Gates, g.Name); {
		case !g.Lets() && !over:
			blocking = append(blocking, g)
		case g.Lets() && !over && g.Mode == record.Enforce:
			until = record.Earlier(until, g.Until)
		}
	}
	switch {
	case j.reversed(x):
		void = "opens nothing any more: its review reversed it"
	case x.Time.IsZero() || x.Record.Record != j.d.Digests.Record:
		void = "opens nothing: no exception of this release says what"
	case !record.Stands(x.Time, ends, j.at):
		void = "lapsed on " + date(ends)
	case !j.breaks(x.Actor):
		void = "opens nothing: " + x.Actor + " is no person with the role model-owner or security"
	}
	return until, blocking, void
}

// breaks reports whether somebody may break glass for the release.
func (j *judge) breaks(name string) bool {
	if !j.human(name) {
		return false
	}
	for _, role := range []record.RoleName{record.ModelOwner, record.Security} {
		if j.d.People[name].Holds(role, j.d.Release.Record.Behaviour.Model, j.at) {
			return true
		}
	}
	return false
}

// reversed reports whether a review has reversed an exception.
func (j *judge) reversed(x *record.Recorded[record.Exception]) bool {
	return slices.ContainsFunc(j.d.Reviews, func(r record.Recorded[record.Review]) bool {
		return reviews(&r, x, j.at) && r.Record.Outcome == record.Reversed
	})
}
