// Package authority says what a release may do: whether a call is allowed, and
// what widens from one release to the next.
//
// # Deciding
//
// A [Set] is an authority made ready to answer. A call is allowed when one
// grant of its kind names its resource and its action, has not ended, pins the
// tool as it is defined now or pins none, has a condition that holds for the
// call's arguments or has none, and has a limit and a budget that are not yet
// spent or has none. Anything else is refused: nothing is allowed that no grant
// names, and a condition that cannot be evaluated does not hold. Look-up takes
// one step for the resource and one for each length of prefix in use, however
// many grants there are. A [Meter] counts.
//
// # Covering
//
// A grant is covered by another of the same kind when every call the first
// allows is allowed by the second as well: the resource is equal or falls under
// the other's "prefix*"; the actions are a subset ("*" is every action); the
// pinned definition and the condition are the same, or the other has none; the
// rate and the budget are not looser; and the end is not later. A rate is not
// looser when it allows no more calls in no less time, which holds for sliding
// and for fixed windows alike, and a budget likewise in its unit. Several grants
// share the rate and the budget of the one that covers them, so splitting a
// limited grant in two does not double it unnoticed.
//
// # Erring
//
// [Compare] errs on the safe side only. It looks for one covering grant, not
// for a union of several, and takes two conditions with different text as
// unrelated; so it may call an authority wider that is not, and never calls one
// equal or narrower that is wider. The reason given for a grant plays no part.
//
// The package does no input or output and knows no clock.
package authority

import (
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// Relation is how a new authority stands to an old one.
type Relation string

// The relations. Equal and Narrower need no new approval; Wider and
// Incomparable do.
const (
	Equal        Relation = "equal"
	Narrower     Relation = "narrower"
	Wider        Relation = "wider"
	Incomparable Relation = "incomparable"
)

// Difference is what changed from an old authority to a new one.
type Difference struct {
	Relation Relation `json:"relation"`
	// Changes are in the order of record.GrantKinds, then who may act, what
	// widens before what narrows.
	Changes []Change `json:"changes,omitzero"`
}

// Change is one grant that widened or narrowed.
type Change struct {
	Kind      string   `json:"kind"`
	Resource  string   `json:"resource"`
	Direction Relation `json:"direction"`
	// Sentence has the model as its subject: "may now call the tool x: send".
	Sentence string `json:"sentence"`
}

// Within reports whether the relation needs no new approval.
func (r Relation) Within() bool { return r == Equal || r == Narrower }

// Widening says what the new authority allows and the old one does not, three
// sentences at most; empty for nothing.
func (d Difference) Widening() string {
	var wider []string
	for _, c := range d.Changes {
		if c.Direction == Wider {
			wider = append(wider, c.Sentence)
		}
	}
	const shown = 3
	if len(wider) > shown {
		wider = append(wider[:shown], fmt.Sprintf("%d more", len(wider)-shown))
	}
	return strings.Join(wider, "; ")
}

// Compare says how the new authority stands to the old one, and what changed.
func Compare(old, new record.Authority) Difference {
	var d Difference
	wider, narrower := false, false
	for _, kind := range record.GrantKinds {
		was, is := old.Of(kind), new.Of(kind)
		gained, lost := uncovered(is, was), uncovered(was, is)
		wider, narrower = wider || len(gained) > 0, narrower || len(lost) > 0
		for _, g := range gained {
			d.Changes = append(d.Changes, Change{kind, g.Resource, Wider, gain(kind, g, was)})
		}
		for _, g := range lost {
			d.Changes = append(d.Changes, Change{kind, g.Resource, Narrower, loss(kind, g, is)})
		}
	}
	for _, w := range missing(new.Workloads, old.Workloads) {
		wider = true
		d.Changes = append(d.Changes, Change{workloads, w, Wider, "may now be run by the workload " + w})
	}
	for _, w := range missing(old.Workloads, new.Workloads) {
		narrower = true
		d.Changes = append(d.Changes, Change{workloads, w, Narrower, "may no longer be run by the workload " + w})
	}
	switch {
	case wider && narrower:
		d.Relation = Incomparable
	case wider:
		d.Relation = Wider
	case narrower:
		d.Relation = Narrower
	default:
		d.Relation = Equal
	}
	return d
}

// workloads is the kind of a change of who may act.
const workloads = "workloads"

// missing returns the names that are not among the others.
func missing(names, others []string) (out []string) {
	for _, n := range names {
		if !slices.Contains(others, n) {
			out = append(out, n)
		}
	}
	return out
}

// purse is what is left of a limited cover to the grants that it covers.
type purse struct{ calls, amount int }

// uncovered returns the grants that no single one of the covers allows. Each
// limited cover has a purse that the grants it covers share; what is unchanged
// takes its share first.
func uncovered(grants, covers []record.Grant) []record.Grant {
	left := make([]purse, len(covers))
	for i, c := range covers {
		left[i] = purse{c.Limit.Calls, c.Budget.Amount}
	}
	// Where the cover has a limit or budget, so has what it covers.
	affords := func(i int, g record.Grant) bool {
		return (unlimited(covers[i]) || left[i].calls >= g.Limit.Calls) && (unbudgeted(covers[i]) || left[i].amount >= g.Budget.Amount)
	}
	var rest, out []record.Grant
	for _, g := range grants {
		if !take(left, covers, g, func(i int) bool { return equal(g, covers[i]) && affords(i, g) }) {
			rest = append(rest, g)
		}
	}
	for _, g := range rest {
		free := func(i int) bool { return unlimited(covers[i]) && unbudgeted(covers[i]) && Covers(covers[i], g) }
		within := func(i int) bool { return Covers(covers[i], g) && affords(i, g) }
		if !take(left, covers, g, free) && !take(left, covers, g, within) {
			out = append(out, g)
		}
	}
	return out
}

func unlimited(g record.Grant) bool  { return g.Limit == (record.Limit{}) }
func unbudgeted(g record.Grant) bool { return g.Budget == (record.Budget{}) }

// take charges a grant to the first cover that fits it.
func take(left []purse, covers []record.Grant, g record.Grant, fits func(int) bool) bool {
	for i := range covers {
		if fits(i) {
			left[i].calls -= g.Limit.Calls
			left[i].amount -= g.Budget.Amount
			return true
		}
	}
	return false
}

func equal(a, b record.Grant) bool {
	return Covers(a, b) && Covers(b, a) && a.Resource == b.Resource
}

// Covers reports whether every call that g allows is allowed by cover, the two
// being of the same kind and used alone.
func Covers(cover, g record.Grant) bool {
	return resourceCovers(cover.Resource, g.Resource) &&
		actionsCover(cover.Actions, g.Actions) &&
		(cover.Definition == "" || cover.Definition == g.Definition) &&
		(cover.Condition == "" || cover.Condition == g.Condition) &&
		limitCovers(cover.Limit, g.Limit) &&
		budgetCovers(cover.Budget, g.Budget) &&
		(cover.Until.IsZero() || (!g.Until.IsZero() && !g.Until.After(cover.Until)))
}

func resourceCovers(cover, resource string) bool {
	if prefix, ok := strings.CutSuffix(cover, "*"); ok {
		return strings.HasPrefix(strings.TrimSuffix(resource, "*"), prefix)
	}
	return cover == resource
}

func actionsCover(cover, actions []string) bool {
	if slices.Contains(cover, "*") {
		return true
	}
	for _, a := range actions {
		if !slices.Contains(cover, a) {
			return false
		}
	}
	return true
}

func limitCovers(cover, l record.Limit) bool {
	none := record.Limit{}
	return cover == none || (l != none && l.Calls >= 0 && l.Calls <= cover.Calls && l.Seconds >= cover.Seconds)
}

func budgetCovers(cover, b record.Budget) bool {
	none := record.Budget{}
	return cover == none || (b != none && b.Unit == cover.Unit && b.Amount >= 0 && b.Amount <= cover.Amount && b.Seconds >= cover.Seconds)
}

// verbs say what a grant of each kind lets a model do.
var verbs = map[string]string{
	"access":  "reach",
	"tools":   "call the tool",
	"apis":    "call the API",
	"records": "write the records",
	"secrets": "use the secret",
	"models":  "call the model",
	"data":    "read the data",
}

func gain(kind string, g record.Grant, old []record.Grant) string {
	i := slices.IndexFunc(old, func(o record.Grant) bool { return o.Resource == g.Resource })
	if i < 0 {
		return fmt.Sprintf("may now %s %s: %s", verbs[kind], g.Resource, Describe(g))
	}
	return fmt.Sprintf("may now %s %s with wider terms: %s; before: %s", verbs[kind], g.Resource, Describe(g), Describe(old[i]))
}

func loss(kind string, g record.Grant, now []record.Grant) string {
	i := slices.IndexFunc(now, func(n record.Grant) bool { return n.Resource == g.Resource })
	if i < 0 {
		return fmt.Sprintf("may no longer %s %s: %s", verbs[kind], g.Resource, Describe(g))
	}
	return fmt.Sprintf("may %s %s only with narrower terms: %s; before: %s", verbs[kind], g.Resource, Describe(now[i]), Describe(g))
}

// Describe says what a grant allows on its resource, for people.
func Describe(g record.Grant) string {
	actions := strings.Join(g.Actions, ", ")
	if slices.Contains(g.Actions, "*") {
		actions = "any action"
	}
	parts := []string{actions}
	if g.Definition != "" {
		parts = append(parts, "as defined by "+g.Definition.Short())
	}
	if g.Condition != "" {
		parts = append(parts, "when "+g.Condition)
	}
	if b := bounds(g); b != "" {
		parts = append(parts, b)
	}
	if !g.Until.IsZero() {
		parts = append(parts, "until "+g.Until.UTC().Format("2006-01-02 15:04 MST"))
	}
	return strings.Join(parts, ", ")
}

// bounds says what limits a grant has, or nothing.
func bounds(g record.Grant) string {
	var parts []string
	if !unlimited(g) {
		parts = append(parts, fmt.Sprintf("at most %d calls in %d seconds", g.Limit.Calls, g.Limit.Seconds))
	}
	if !unbudgeted(g) {
		parts = append(parts, fmt.Sprintf("at most %d %s in %d seconds", g.Budget.Amount, g.Budget.Unit, g.Budget.Seconds))
	}
	return strings.Join(parts, ", ")
}
