package record

import (
	"slices"
	"time"
)

// Dossier is all that a verdict rests on: a release and the facts of its
// lineage, people and history, gathered from the ledger. Together with a policy
// and a time it determines the verdict.
type Dossier struct {
	Release Recorded[Release]
	// ID, Line and Digests are the release's.
	ID      string
	Line    string
	Digests Digests

	UseCase     Recorded[UseCase]
	Environment Recorded[Environment]
	Version     Recorded[ModelVersion]
	// Bases are the versions of the base models, nearest first.
	Bases []Recorded[ModelVersion]
	// Runs are the training runs of the version and its bases.
	Runs        []Recorded[Run]
	Datasets    []DatasetFacts
	Evaluations []Recorded[Evaluation]
	// HeldOut are the datasets that these were made on, in the order of their
	// digests.
	HeldOut []HeldOutFacts
	// Approvals are those of the whole line, oldest first, each with what the
	// approver saw.
	Approvals  []ApprovalFacts
	Exceptions []Recorded[Exception]
	Reviews    []Recorded[Review]
	// Signals are those of the line after which approvals are to be given again,
	// oldest first.
	Signals []Recorded[Signal]
	// Drills are those of the line, oldest first.
	Drills []Recorded[Drill]
	// History is what became of the line: promotions, suspensions and
	// retirements, oldest first.
	History []Event
	// Baselines are the releases that this one can be compared with: those that
	// it replaced, and the one that is live in the line now.
	Baselines []Baseline
	// Anchor is what the first release of a line can be compared with, as the use
	// case named it when the release was proposed; nil where it names none.
	Anchor *AnchorFacts
	// Vendors are those on which the release rests, in the order of their names.
	Vendors []VendorFacts
	// Envelope is what is known of the envelope that the release names; nil where
	// it names none.
	Envelope *EnvelopeFacts
	// People are the principals whom the facts name, with their roles.
	People map[string]Person
	// Absent names what the release refers to and the ledger does not have.
	Absent []string
	// Unread says of which datasets a tracking server reports that the runs read
	// them, while nobody has registered them by their bytes.
	Unread []string
}

// DatasetFacts is a dataset with the stewards' words on it, oldest first.
type DatasetFacts struct {
	Dataset   Recorded[Dataset]
	Approvals []Recorded[DataApproval]
	// Committed are the statements that carry a commitment to its items, oldest
	// first; what was committed to after the release was proposed is here too.
	Committed []Recorded[Dataset]
}

// HeldOutFacts are what is known of a dataset that the release was evaluated on.
type HeldOutFacts struct {
	Digest Digest
	// Stated are all statements of it, oldest first.
	Stated []Recorded[Dataset]
	// Overlaps say what it has in common with other datasets, oldest first.
	Overlaps []Recorded[Overlap]
}

// ApprovalFacts is an approval with the digests and the authority of the
// release it was given on.
type ApprovalFacts struct {
	Approval  Recorded[Approval]
	Digests   Digests
	Authority Authority
}

// ProductionAt returns what the release is compared with at a time: what it
// replaced where it is live then, else what is live then; nil for nothing. What
// came to run by a broken glass that no review has upheld is passed over for what
// it replaced.
func (d *Dossier) ProductionAt(t time.Time) *Baseline {
	_, id := StatusAt(d.History, d.ID, t)
	if id == d.ID {
		id = ""
		for _, e := range d.History {
			if e.Promotion != nil && e.Promotion.Release == d.ID && !e.Time.After(t) {
				id = e.Promotion.Replaces
			}
		}
	}
	id = d.upheld(id, t)
	for i := range d.Baselines {
		if d.Baselines[i].ID == id && id != d.ID {
			return &d.Baselines[i]
		}
	}
	return nil
}

// upheld returns a release that has run, or the one that ran before it where it
// came to run by a broken glass that no review has upheld.
func (d *Dossier) upheld(id string, t time.Time) string {
	for _, e := range slices.Backward(d.History) {
		p := e.Promotion
		if p == nil || p.Release != id || e.Time.After(t) {
			continue
		}
		if p.How != BrokeGlass || slices.ContainsFunc(d.Reviews, func(r Recorded[Review]) bool {
			return r.Record.Exception == p.Exception && r.Record.Outcome == Upheld && r.Actor != e.Actor && !r.Time.After(t)
		}) {
			return id
		}
		id = p.Replaces
	}
	return ""
}

// Baseline is the release that a new one is compared with.
type Baseline struct {
	ID          string
	Release     Recorded[Release]
	Evaluations []Recorded[Evaluation]
	// Others are evaluations of its artifact that it does not name, oldest
	// first, by whomever: made later, on another held-out set.
	Others []Recorded[Evaluation]
	// Until is when its promotion's verdict lapses.
	Until time.Time
}

// AnchorFacts are what is known of the model that a use case names for its first
// release to be compared with.
type AnchorFacts struct {
	Artifact Digest
	// Evaluations are all that were recorded of it, oldest first, by whomever.
	Evaluations []Recorded[Evaluation]
}

// Event is one promotion, suspension or retirement in a line.
type Event struct {
	Actor      string
	Time       time.Time
	Index      int64
	Promotion  *Promotion
	Suspension *Suspension
	Retirement *Retirement
}

// Person is a principal with its role bindings, and the roles that others
// delegated to it.
type Person struct {
	Principal Principal
	Roles     []Role
	Delegated []Delegated
}

// Holds reports whether the person holds a role at t for a team, or for a model
// "team/name".
func (p Person) Holds(role RoleName, where string, t time.Time) bool {
	return p.holdsOne(t, func(r Role) bool { return r.Role == role && r.Covers(where, t) })
}

// HoldsWithin reports whether the person holds a role at t for the team, or for
// some model of it.
func (p Person) HoldsWithin(role RoleName, team string, t time.Time) bool {
	return p.holdsOne(t, func(r Role) bool { return r.Role == role && r.Within(team, t) })
}

// holdsOne is asked by every request, and makes no list.
func (p Person) holdsOne(t time.Time, fits func(Role) bool) bool {
	return p.Principal.Stands(t) && (slices.ContainsFunc(p.Roles, fits) || slices.ContainsFunc(p.Delegated, func(d Delegated) bool {
		r, ok := d.At(t)
		return ok && fits(r)
	}))
}

// Status is where a release stands in its life.
type Status string

// The states of a release.
const (
	Proposed  Status = "proposed"
	Live      Status = "live"
	Replaced  Status = "replaced"
	Suspended Status = "suspended"
	Retired   Status = "retired"
)

// StatusAt folds a line's history up to and including time t. It returns the
// state of one release, and the ID of the release that is live in the line
// (empty when none is): a suspended or retired release is not live, and what it
// replaced does not come back by itself.
func StatusAt(history []Event, release string, t time.Time) (status Status, live string) {
	states := map[string]Status{}
	promoted := map[string]bool{}
	current := ""
	for _, e := range history {
		if e.Time.After(t) {
			continue
		}
		switch {
		case e.Promotion != nil:
			if states[current] == Live {
				states[current] = Replaced
			}
			current = e.Promotion.Release
			promoted[current] = true
			// A promotion lifts no suspension and undoes no retirement.
			if states[current] != Suspended && states[current] != Retired {
				states[current] = Live
			}
		case e.Retirement != nil:
			states[e.Retirement.Release] = Retired
		case e.Suspension != nil:
			id := e.Suspension.Release
			states[id] = afterSuspension(states[id], e.Suspension.Lifted, current == id, promoted[id])
		}
	}
	if states[current] == Live {
		live = current
	}
	if status = states[release]; status == "" {
		status = Proposed
	}
	return status, live
}

func afterSuspension(before Status, lifted, current, promoted bool) Status {
	switch {
	case before == Retired:
		return Retired
	case !lifted:
		return Suspended
	case before != Suspended:
		return before
	case current:
		return Live
	case promoted:
		return Replaced
	default:
		return Proposed
	}
}
