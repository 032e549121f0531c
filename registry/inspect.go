package registry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Inspection is all that somebody decides from who looks at a release, as it
// was at one moment.
type Inspection struct {
	wire.Case
	// At is the moment.
	At time.Time
	// Dossier is what the verdict rests on.
	Dossier *record.Dossier
	// Data says of each dataset of the dossier whether its approval stands.
	Data []policy.DataStanding
	// Diff is against Since; nil where there is nothing to compare with.
	Diff *wire.Diff
	// Since is the release that the difference is shown against.
	Since string
	Seats []Seat
	// Siblings are the releases of the line, newest first.
	Siblings []Sibling
	// Comments are those of the line, oldest first.
	Comments []record.Recorded[record.Comment]
	// Mine are the roles in which the caller may speak of the release.
	Mine []record.RoleName
	// MayComment says that the caller may say something of it.
	MayComment bool
}

// Seat is how the seats of one role stand, and who could take those that are
// open.
type Seat struct {
	policy.Seating
	Who []Candidate
}

// Candidate is somebody who holds the role and fills no seat of it. For is who
// delegated it to them; it is empty where it is theirs. Not says why they may not;
// it is empty where they may.
type Candidate struct{ Name, For, Not string }

// Sibling is a release of the same line.
type Sibling struct {
	ID      string
	Version string
	Status  record.Status
	Time    time.Time
	// Approved says that it was live once, which takes every approval.
	Approved bool
}

// InspectRelease returns a release with all that surrounds it, and what changed
// since another: the one that is named, or the one that was approved last
// before it.
func (r *Registry) InspectRelease(ctx context.Context, who Caller, id, since string) (Inspection, error) {
	var out Inspection
	err := r.read(ctx, who, func(t *tx) error {
		c, err := t.readable(id)
		if err != nil {
			return err
		}
		out = Inspection{Case: t.named(c).Case, At: t.now, Dossier: c.dossier, Data: c.policy.DataStanding(c.dossier, t.now), Since: since}
		if out.Siblings, err = t.siblings(c); err != nil {
			return err
		}
		if out.Since == "" {
			out.Since = lastApproved(out.Siblings, c)
		}
		if out.Since != "" && out.Since != id {
			older, err := t.readable(out.Since)
			if err != nil {
				return err
			}
			diff := compare(older, c)
			out.Diff = &diff
		}
		if out.Seats, err = t.seats(c); err != nil {
			return err
		}
		if out.Comments, err = lineage.All[record.Comment](t, record.KeyComments(c.Line)); err != nil {
			return err
		}
		out.Mine = t.mine(out.Seats, c)
		out.MayComment = t.may(actComment, c.Release.Record.Behaviour.Model) == nil && !t.who.onlyReads()
		return nil
	})
	return out, err
}

// siblings returns the releases of a release's line, newest first.
func (t *tx) siblings(c *examined) ([]Sibling, error) {
	entries, err := t.Find(record.KeyReleases(c.Line))
	if err != nil {
		return nil, err
	}
	var out []Sibling
	for _, e := range slices.Backward(entries) {
		rel, ok := e.Statement.Body.(record.Release)
		if !ok {
			continue
		}
		s := Sibling{ID: record.ReleaseID(e.Statement.Digest()), Version: rel.Behaviour.Version, Time: e.Statement.Time}
		s.Status, _ = record.StatusAt(c.dossier.History, s.ID, t.now)
		s.Approved = slices.ContainsFunc(c.dossier.History, func(h record.Event) bool {
			return h.Promotion != nil && h.Promotion.Release == s.ID
		})
		out = append(out, s)
	}
	return out, nil
}

// lastApproved returns what a reviewer compares a release with: what it is to
// replace, or the newest that ran before it.
func lastApproved(siblings []Sibling, c *examined) string {
	if p := c.dossier.ProductionAt(c.Verdict.At); p != nil {
		return p.ID
	}
	for _, s := range siblings {
		if s.Approved && s.ID != c.ID && s.Time.Before(c.Release.Time) {
			return s.ID
		}
	}
	return ""
}

// seats returns how the seats of each role stand, and of whoever holds the role
// and fills none whether they may, in the policy's words.
func (t *tx) seats(c *examined) ([]Seat, error) {
	var out []Seat
	for _, s := range c.policy.Seating(c.dossier, t.now) {
		people, err := t.roster(s.Role, c.Release.Record.Behaviour.Model)
		if err != nil {
			return nil, err
		}
		seat := Seat{Seating: s}
		for _, p := range people {
			name := p.Principal.Name
			if slices.ContainsFunc(s.Words, func(w policy.Spoken) bool { return w.Fills && w.Approval.Actor == name }) {
				continue
			}
			as, barred := c.policy.Acts(c.dossier, p, s.Role, t.now)
			seat.Who = append(seat.Who, Candidate{name, as.For, cmp.Or(barred, t.cannot(c, p, s, as))})
		}
		out = append(out, seat)
	}
	return out, nil
}

// cannot says why somebody who holds a role may not fill one of its seats.
func (t *tx) cannot(c *examined, p record.Person, s policy.Seating, as record.Holding) string {
	name := p.Principal.Name
	switch {
	case p.Principal.Type != record.Human:
		return name + " is a workload and may only comment"
	case s.Open() == 0 || c.policy.Needs(c.dossier, p, s.Role, t.now):
		return ""
	case as.For != "":
		return fmt.Sprintf("%s would act for %s, and one of the two fills a seat: one person fills one", name, as.For)
	}
	return name + " fills another seat, and one person fills one"
}

// mine returns the roles in which the caller may speak of a release.
func (t *tx) mine(seats []Seat, c *examined) (roles []record.RoleName) {
	for _, s := range seats {
		if t.who.Type == record.Human && t.mayAs(act("approve as "+string(s.Role)), c.Release.Record.Behaviour.Model, s.Role) == nil {
			roles = append(roles, s.Role)
		}
	}
	return roles
}
