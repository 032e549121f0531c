package record

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BoundSaid is one bound of an envelope in words.
type BoundSaid struct {
	// Bound names it, as the gate of a verdict does, without "envelope/".
	Bound string
	Is    string
}

// Sentences says an envelope's bounds in words, in the order of a verdict's gates.
func (e Envelope) Sentences() []BoundSaid {
	out := []BoundSaid{{"pipeline", strings.Join(e.Workloads, " or ")}}
	say := func(bound, format string, args ...any) {
		out = append(out, BoundSaid{bound, fmt.Sprintf(format, args...)})
	}
	say("anchor", "%s: the kind of model, prompt, configuration, bases, evaluators and other parameters are its, and its authority is the widest", e.Anchor)
	for _, s := range e.Sources {
		say("sources", "%s", s)
	}
	say("code", "%s", e.Code)
	for _, name := range slices.Sorted(maps.Keys(e.Parameters)) {
		say("parameters/"+name, "%s", e.Parameters[name])
	}
	for _, m := range e.Evaluations {
		say(m.Name(), "%s", m)
	}
	if e.Rollback {
		say("rollback", "ready")
	}
	say("tries", "at most %d evaluations on one held-out set", e.Tries)
	say("releases", "at most %d, and %d in seven days", e.Releases, e.Weekly)
	switch p := e.People; {
	case p.First && p.Each > 0:
		say("people", "look at the first, and at each %s in a row", nth(p.Each))
	case p.First:
		say("people", "look at the first")
	case p.Each > 0:
		say("people", "look at each %s in a row", nth(p.Each))
	}
	say("ends", "%s", e.Ends.UTC().Format("2006-01-02 15:04 UTC"))
	return out
}

// nth writes a number of order.
func nth(n int) string {
	end := "th"
	if n%100 < 11 || n%100 > 13 {
		end = []string{"th", "st", "nd", "rd", "th", "th", "th", "th", "th", "th"}[n%10]
	}
	return fmt.Sprint(n) + end
}

// String says the source and when the data may be of.
func (s SourceBound) String() string {
	text := s.Source
	if !s.From.IsZero() {
		text += " of " + s.From.UTC().Format(time.DateOnly) + " or later"
	}
	if !s.To.IsZero() {
		text += " of " + s.To.UTC().Format(time.DateOnly) + " or earlier"
	}
	if s.MaxAge > 0 {
		text += fmt.Sprintf(", no older than %d days when the run starts", s.MaxAge)
	}
	return text
}

// String says which commits and programs of the repository.
func (b CodeBound) String() string {
	text := b.Repository
	if len(b.Commits) > 0 {
		short := make([]string, len(b.Commits))
		for i, k := range b.Commits {
			short[i] = k[:min(12, len(k))]
		}
		text += " at the commit " + strings.Join(short, " or ")
	}
	if len(b.Paths) > 0 {
		text += ", and the program " + strings.Join(b.Paths, " or ")
	}
	return text
}

// String says which values.
func (p ParameterBound) String() string {
	switch {
	case p.Any:
		return "anything"
	case p.Least == nil || p.Most == nil:
		return strings.Join(p.Values, " or ")
	}
	return "from " + plain(*p.Least) + " to " + plain(*p.Most)
}

// String says the bound and the margins.
func (m MetricBound) String() string {
	text := m.Require
	if m.Production != nil {
		text += ", no more than " + plain(*m.Production) + " worse than in production"
	}
	if m.Anchor != nil {
		text += ", no more than " + plain(*m.Anchor) + " worse than the anchor"
	}
	if m.MinSamples > 0 {
		text += fmt.Sprintf(", from at least %d samples", m.MinSamples)
	}
	return text
}

func plain(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
