package authority

import (
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// Sentence is what one grant allows, or what no grant does, in words whose
// subject is the model: "may create issues in acme/support, at most 60 times a
// minute".
type Sentence struct {
	Kind string
	May  bool
	Text string
	// Why is the reason given for the grant.
	Why string
}

// withheld say what a model may not do that has no grant of a kind.
var withheld = map[string]string{
	"access":  "may reach no network or account",
	"tools":   "may call no tools",
	"apis":    "may call no APIs",
	"records": "may write no records",
	"secrets": "may use no secrets",
	"models":  "may call no other models",
	"data":    "may read no data",
}

// Sentences says all that an authority allows, and of what it allows nothing, in
// the order of record.GrantKinds.
func Sentences(a record.Authority) []Sentence {
	var out []Sentence
	for _, kind := range record.GrantKinds {
		grants := a.Of(kind)
		if len(grants) == 0 {
			out = append(out, Sentence{Kind: kind, Text: withheld[kind]})
		}
		for _, g := range grants {
			out = append(out, Sentence{Kind: kind, May: true, Text: phrase(kind, g), Why: g.Why})
		}
	}
	return out
}

// objects say what a grant's actions are done to: one thing, all that begin
// alike, and all there are.
var objects = map[string]struct{ one, under, all string }{
	"access":  {"to", "to all under", "to every network and account"},
	"tools":   {"with the tool", "with every tool under", "with every tool"},
	"apis":    {"at the API", "at every API under", "at every API"},
	"records": {"in the records", "in all records under", "in all records"},
	"secrets": {"with the secret", "with every secret under", "with every secret"},
	"models":  {"with the model", "with every model under", "with every model"},
	"data":    {"from the data", "from all data under", "from all data"},
}

func phrase(kind string, g record.Grant) string {
	actions := "do anything"
	if !slices.Contains(g.Actions, "*") {
		actions = list(g.Actions)
	}
	object := objects[kind].one + " " + g.Resource
	if prefix, ok := strings.CutSuffix(g.Resource, "*"); ok {
		object = objects[kind].under + " " + prefix
		if prefix == "" {
			object = objects[kind].all
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "may %s %s", actions, object)
	if g.Condition != "" {
		fmt.Fprintf(&b, ", only when %s", g.Condition)
	}
	if g.Limit != (record.Limit{}) {
		b.WriteString(", " + times(g.Limit))
	}
	if g.Budget != (record.Budget{}) {
		fmt.Fprintf(&b, ", at most %d %s %s", g.Budget.Amount, g.Budget.Unit, span(g.Budget.Seconds))
	}
	if !g.Until.IsZero() {
		fmt.Fprintf(&b, ", until %s", g.Until.UTC().Format("2006-01-02 15:04 MST"))
	}
	if g.Definition != "" {
		fmt.Fprintf(&b, ", as defined by %s", g.Definition.Short())
	}
	return b.String()
}

// times says a rate as people do: "at most 60 times a minute".
func times(l record.Limit) string {
	switch l.Calls {
	case 0:
		return "never"
	case 1:
		return "at most once " + span(l.Seconds)
	}
	return fmt.Sprintf("at most %d times %s", l.Calls, span(l.Seconds))
}

// span says a span of seconds: "a minute", "in 90 seconds".
func span(seconds int) string {
	for _, unit := range []struct {
		seconds   int
		one, many string
	}{{24 * 3600, "a day", "days"}, {3600, "an hour", "hours"}, {60, "a minute", "minutes"}} {
		switch {
		case seconds == unit.seconds:
			return unit.one
		case seconds > 0 && seconds%unit.seconds == 0:
			return fmt.Sprintf("in %d %s", seconds/unit.seconds, unit.many)
		}
	}
	if seconds == 1 {
		return "a second"
	}
	return fmt.Sprintf("in %d seconds", seconds)
}

func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
