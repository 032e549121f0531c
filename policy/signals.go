package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// Response is what a signal of a live release does.
type Response struct {
	Does record.Response
	// Within is how long approvals that were given before still count, of
	// [record.Reapprove]; 0 is not at all.
	Within time.Duration

	where position
}

// anySignal stands for the signals that a tier does not name.
const anySignal = "default"

// Responds returns what a signal of a type does.
func (t *Tier) Responds(signal string) Response {
	for _, name := range []string{signal, anySignal} {
		if r, ok := t.Signals[name]; ok {
			return r
		}
	}
	return Response{Does: record.Notify}
}

// signals reads what signals do, such as "vendor-model-changed: reapprove within 7d".
func (r *reader) signals(n *yaml.Node) map[string]Response {
	out := map[string]Response{}
	r.members(n, "signals", func(key, value *yaml.Node) {
		name := r.name(key, "a type of signal")
		out[name] = r.response(value, "the signal "+name)
	})
	return out
}

func (r *reader) response(n *yaml.Node, what string) Response {
	does, within, timed := strings.Cut(n.Value, " within ")
	v := *n
	v.Value = does
	out := Response{where: at(n), Does: record.Response(r.oneOf(&v, what, record.Responses...))}
	if !timed {
		return out
	}
	if out.Does != record.Reapprove {
		r.failf(at(n), "%s: only %s has a time within which", what, record.Reapprove)
		return out
	}
	v.Value = within
	out.Within = r.span(&v, "the time of "+what)
	return out
}

// Sentence says what a response is, after "it".
func (r Response) Sentence() string {
	switch r.Does {
	case record.Suspend:
		return "suspends the release until a person lifts that"
	case record.RollBack:
		return "rolls back to the release before where that is ready, and suspends the release otherwise"
	case record.Reapprove:
		if r.Within == 0 {
			return "voids the approvals that were given before it"
		}
		return "voids the approvals that were given before it, " + spell(r.Within) + " later"
	}
	return "is told to people, and nothing more"
}

// signalRules says what signals do, as rules of the tier.
func (t *Tier) signalRules() (out []GateRule) {
	for _, name := range slices.Sorted(maps.Keys(t.Signals)) {
		of := "a signal " + name
		if name == anySignal {
			of = "any other signal"
		}
		out = append(out, GateRule{"signal/" + name, fmt.Sprintf("%s of a live release %s.", of, t.Signals[name].Sentence()), record.Enforce})
	}
	return out
}

// renewal returns when an approval lapses because of what was seen later, and the
// signal; the zero time where nothing was.
func (j *judge) renewal(a *record.ApprovalFacts) (due time.Time, s *record.Recorded[record.Signal]) {
	for i := range j.d.Signals {
		seen := &j.d.Signals[i]
		if seen.Time.After(j.at) || a.Approval.Index > seen.Index {
			continue
		}
		if due.IsZero() || seen.Record.Due.Before(due) {
			due, s = seen.Record.Due, seen
		}
	}
	return due, s
}
