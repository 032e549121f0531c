package authority

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// Call is what a running model asks to do.
type Call struct {
	// Kind is one of record.GrantKinds.
	Kind string
	// Resource and Action are compared byte by byte: whoever makes a call of a
	// path or an address brings it to its one form first.
	Resource, Action string
	// Definition is the digest of the tool as its server describes it now
	// ([ToolDigest]); it is empty where the callee has no description.
	Definition record.Digest
	// Arguments are what conditions see as args, and About what they see as about:
	// facts that the enforcement point vouches for. [ParseArguments] reads both.
	Arguments, About map[string]any
	// Opaque says that the call has arguments which could not be read, so that no
	// condition that looks at them holds.
	Opaque bool
	// Cost is what the call may use of a budget at most, where that is known before.
	Cost Cost
}

// Cost is what a call uses, by the units of budgets.
type Cost struct{ Tokens, Bytes int }

func (c Cost) in(unit string) int {
	if unit == "bytes" {
		return c.Bytes
	}
	return c.Tokens
}

// Set is an authority made ready to answer. It is safe for concurrent use.
type Set struct {
	grants map[place][]*grant
	// lengths are those of the prefixes of each kind, the longest first.
	lengths map[string][]int
}

// place is where grants are looked up: a resource, or a prefix of resources.
type place struct {
	kind, resource string
	prefix         bool
}

// grant is one grant of a set; number is its place among those of its kind.
type grant struct {
	record.Grant
	kind      string
	number    int
	condition *condition
}

// Compile makes an authority ready to answer. The error names every condition
// that cannot be used, one a line.
func Compile(a record.Authority) (*Set, error) {
	s := &Set{grants: map[place][]*grant{}, lengths: map[string][]int{}}
	compiled := map[string]*condition{"": nil}
	var faults []error
	for _, kind := range record.GrantKinds {
		for i, g := range a.Of(kind) {
			c, known := compiled[g.Condition]
			if !known {
				var err error
				if c, err = compileCondition(g.Condition); err != nil {
					faults = append(faults, fmt.Errorf("authority.%s[%d]: %w", kind, i, err))
					continue
				}
				compiled[g.Condition] = c
			}
			s.add(&grant{Grant: g, kind: kind, number: i, condition: c})
		}
	}
	return s, errors.Join(faults...)
}

// Only returns those grants of the set that [record.GrantName] calls by one of some
// names. They keep their places, so that a meter counts them with the whole set.
func (s *Set) Only(names []string) *Set {
	few := &Set{grants: map[place][]*grant{}, lengths: map[string][]int{}}
	for _, grants := range s.grants {
		for _, g := range grants {
			if slices.Contains(names, record.GrantName(g.kind, g.Resource)) {
				few.add(g)
			}
		}
	}
	return few
}

func (s *Set) add(g *grant) {
	at := place{kind: g.kind, resource: g.Resource}
	if prefix, ok := strings.CutSuffix(g.Resource, "*"); ok {
		at.resource, at.prefix = prefix, true
		if lengths := s.lengths[g.kind]; !slices.Contains(lengths, len(prefix)) {
			lengths = append(lengths, len(prefix))
			slices.SortFunc(lengths, func(a, b int) int { return b - a })
			s.lengths[g.kind] = lengths
		}
	}
	s.grants[at] = append(s.grants[at], g)
}

// Decision is the answer to a call.
type Decision struct {
	Allowed bool
	// Grant is the grant that allowed the call, or the one that came nearest;
	// its place is Number among those of Kind, or -1 where none names the
	// resource.
	Kind   string
	Number int
	Grant  record.Grant
	// Reason is a sentence on why the call is refused.
	Reason string
	// After is when the call may be tried again, where only a limit refused it.
	After time.Time
	// reserved is what the call's cost takes of the budget, in a slot of it.
	reserved int
	slot     int64
}

// nearness orders the reasons for which a grant does not allow a call, so that
// a refusal speaks of the grant that came nearest.
type nearness int

const (
	notNamed nearness = iota
	otherAction
	ended
	redefined
	conditionFails
	spent
)

// Decide answers a call at a time, and charges the meter for one that a limited
// grant allows; without a meter it answers as if nothing were spent. An unlimited
// grant that allows the call comes before a limited one.
func (s *Set) Decide(call *Call, now time.Time, m *Meter) Decision {
	best, near := Decision{Kind: call.Kind, Number: -1}, notNamed
	var limited []*grant
	for g := range s.naming(call) {
		step, why := g.admits(call, now)
		switch {
		case step == spent && (m == nil || unlimited(g.Grant) && unbudgeted(g.Grant)):
			return Decision{Allowed: true, Kind: g.kind, Number: g.number, Grant: g.Grant}
		case step == spent:
			limited = append(limited, g)
		case step > near:
			near, best = step, Decision{Kind: g.kind, Number: g.number, Grant: g.Grant, Reason: why}
		}
	}
	for _, g := range limited {
		d, ok := m.take(g, call.Cost, now)
		if ok {
			return d
		}
		if near < spent || best.After.IsZero() || !d.After.IsZero() && d.After.Before(best.After) {
			near, best = spent, d
			best.Reason = g.spent(call.Cost, d.After)
		}
	}
	if near == notNamed {
		best.Reason = "no grant of the release names the " + nouns[call.Kind] + " " + quoted(call.Resource)
	}
	return best
}

// Reaches reports whether a grant of a kind that has not ended names a resource,
// for whatever action.
func (s *Set) Reaches(kind, resource string, now time.Time) bool {
	for g := range s.naming(&Call{Kind: kind, Resource: resource}) {
		if record.Stands(time.Time{}, g.Until, now) {
			return true
		}
	}
	return false
}

// naming yields the grants that name the call's resource.
func (s *Set) naming(call *Call) func(func(*grant) bool) {
	return func(yield func(*grant) bool) {
		for _, g := range s.grants[place{kind: call.Kind, resource: call.Resource}] {
			if !yield(g) {
				return
			}
		}
		for _, n := range s.lengths[call.Kind] {
			if n > len(call.Resource) {
				continue
			}
			for _, g := range s.grants[place{kind: call.Kind, resource: call.Resource[:n], prefix: true}] {
				if !yield(g) {
					return
				}
			}
		}
	}
}

// Offers reports whether the call would be allowed for some arguments and within
// the limits: what is not offered, [Set.Decide] refuses whatever its arguments. It
// is asked for lists of what may be called, where there are no arguments yet.
func (s *Set) Offers(call *Call, now time.Time) bool {
	for g := range s.naming(call) {
		if step, _ := g.names(call, now); step == conditionFails {
			return true
		}
	}
	return false
}

// admits says how near a grant that names the resource comes to allowing the
// call: spent means that nothing but its limits can still refuse it.
func (g *grant) admits(call *Call, now time.Time) (nearness, string) {
	step, why := g.names(call, now)
	if step < conditionFails {
		return step, why
	}
	if g.condition != nil {
		if ok, why := g.condition.holds(call, now); !ok {
			return conditionFails, fmt.Sprintf("the grant of %s does not allow it: %s", quoted(g.Resource), why)
		}
	}
	return spent, ""
}

// names is admits without the arguments: conditionFails means that nothing but
// the condition and the limits can still refuse the call.
func (g *grant) names(call *Call, now time.Time) (nearness, string) {
	switch {
	case !actionsCover(g.Actions, []string{call.Action}):
		return otherAction, fmt.Sprintf("the grant of %s allows %s, not %s", quoted(g.Resource), strings.Join(g.Actions, ", "), quoted(call.Action))
	case !record.Stands(time.Time{}, g.Until, now):
		return ended, fmt.Sprintf("the grant of %s ended at %s", quoted(g.Resource), g.Until.UTC().Format(time.RFC3339))
	case g.Definition != "" && g.Definition != call.Definition:
		return redefined, fmt.Sprintf("%s is not defined as it was approved: the grant pins %s, and it is %s now", quoted(call.Resource), g.Definition.Short(), definition(call))
	}
	return conditionFails, ""
}

func definition(call *Call) string {
	if call.Definition == "" {
		return "without a definition"
	}
	return call.Definition.Short()
}

func (g *grant) spent(cost Cost, after time.Time) string {
	if after.IsZero() {
		return fmt.Sprintf("the grant of %s allows %s, and this call may use %d; ask for less in one call", quoted(g.Resource), bounds(g.Grant), cost.in(g.Budget.Unit))
	}
	return fmt.Sprintf("the grant of %s is spent: %s; it may be used again from %s", quoted(g.Resource), bounds(g.Grant), after.UTC().Format(time.RFC3339))
}

// quoted shows a name that a caller chose: what is not plain is escaped, so
// that a look-alike or a line break is seen.
func quoted(name string) string {
	if len(name) > 200 {
		name = strings.ToValidUTF8(name[:200], "") + "…"
	}
	return fmt.Sprintf("%+q", name)
}

// nouns say what a grant of each kind is about.
var nouns = map[string]string{
	"access":  "place",
	"tools":   "tool",
	"apis":    "API",
	"records": "record",
	"secrets": "secret",
	"models":  "model",
	"data":    "data",
}

// Names returns the resources of a kind that grants name in full, and the
// actions that grants of the kind name, each in order and once.
func (s *Set) Names(kind string) (resources, actions []string) {
	for at, grants := range s.grants {
		if at.kind != kind {
			continue
		}
		if !at.prefix {
			resources = append(resources, at.resource)
		}
		for _, g := range grants {
			actions = append(actions, g.Actions...)
		}
	}
	slices.Sort(resources)
	slices.Sort(actions)
	return resources, slices.DeleteFunc(slices.Compact(actions), func(a string) bool { return a == "*" })
}
