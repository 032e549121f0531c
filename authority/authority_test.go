package authority

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

var (
	early = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	late  = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
)

func tool(resource string, change func(*record.Grant)) record.Authority {
	g := record.Grant{Resource: resource, Actions: []string{"send"}}
	if change != nil {
		change(&g)
	}
	return record.Authority{Tools: []record.Grant{g}}
}

func acting(a record.Authority, workloads ...string) record.Authority {
	a.Workloads = workloads
	return a
}

func TestRule09AuthorityOnlyShrinksSilently(t *testing.T) {
	limited := func(calls, seconds int) func(*record.Grant) {
		return func(g *record.Grant) { g.Limit = record.Limit{Calls: calls, Seconds: seconds} }
	}
	budgeted := func(unit string, amount, seconds int) func(*record.Grant) {
		return func(g *record.Grant) { g.Budget = record.Budget{Unit: unit, Amount: amount, Seconds: seconds} }
	}
	base := tool("mail", nil)
	for _, c := range []struct {
		name     string
		old, new record.Authority
		want     Relation
	}{
		{"the same", base, base, Equal},
		{"another reason", base, tool("mail", func(g *record.Grant) { g.Why = "new words" }), Equal},
		{"nothing at all", record.Authority{}, record.Authority{}, Equal},
		{"a new grant", record.Authority{}, base, Wider},
		{"a grant taken away", base, record.Authority{}, Narrower},
		{"one kind for another", base, record.Authority{APIs: base.Tools}, Incomparable},
		{"under a pattern", tool("mail/*", nil), tool("mail/clinic", nil), Narrower},
		{"a pattern for a name", tool("mail/clinic", nil), tool("mail/*", nil), Wider},
		{"a longer pattern", tool("m*", nil), tool("mail*", nil), Narrower},
		{"any action", base, tool("mail", func(g *record.Grant) { g.Actions = []string{"*"} }), Wider},
		{"another action", base, tool("mail", func(g *record.Grant) { g.Actions = []string{"read"} }), Incomparable},
		{"a pin added", base, tool("mail", func(g *record.Grant) { g.Definition = "sha256:aa" }), Narrower},
		{"a condition added", base, tool("mail", func(g *record.Grant) { g.Condition = "args.n < 3" }), Narrower},
		{"a condition taken away", tool("mail", func(g *record.Grant) { g.Condition = "args.n < 3" }), base, Wider},
		{"a limit added", base, tool("mail", limited(10, 60)), Narrower},
		{"a lower limit", tool("mail", limited(10, 60)), tool("mail", limited(5, 60)), Narrower},
		{"as many calls in less time", tool("mail", limited(10, 60)), tool("mail", limited(10, 30)), Wider},
		{"the limit taken away", tool("mail", limited(10, 60)), base, Wider},
		{"a budget added", base, tool("mail", budgeted("tokens", 10, 60)), Narrower},
		{"a larger budget", tool("mail", budgeted("tokens", 10, 60)), tool("mail", budgeted("tokens", 11, 60)), Wider},
		{"a budget of something else", tool("mail", budgeted("tokens", 10, 60)), tool("mail", budgeted("bytes", 10, 60)), Incomparable},
		{"a budget for a limit", tool("mail", limited(10, 60)), tool("mail", budgeted("tokens", 10, 60)), Incomparable},
		{"a workload that may act", base, acting(base, "scorer"), Wider},
		{"one workload for another", acting(base, "scorer"), acting(base, "batch"), Incomparable},
		{"a workload less", acting(base, "scorer"), base, Narrower},
		{"an end added", base, tool("mail", func(g *record.Grant) { g.Until = early }), Narrower},
		{
			"a later end", tool("mail", func(g *record.Grant) { g.Until = early }),
			tool("mail", func(g *record.Grant) { g.Until = late }), Wider,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Compare(c.old, c.new); got.Relation != c.want {
				t.Errorf("got %s, want %s: %v", got.Relation, c.want, got.Changes)
			}
		})
	}
}

func TestSplittingALimitedGrantIsWider(t *testing.T) {
	limit := record.Limit{Calls: 10, Seconds: 60}
	old := tool("mail/*", func(g *record.Grant) { g.Limit = limit })
	split := record.Authority{Tools: []record.Grant{
		{Resource: "mail/a", Actions: []string{"send"}, Limit: limit},
		{Resource: "mail/b", Actions: []string{"send"}, Limit: limit},
	}}
	if got := Compare(old, split).Relation; got != Incomparable {
		t.Errorf("twenty calls a minute through two grants are %s to ten through one", got)
	}
	split.Tools[0].Limit.Calls, split.Tools[1].Limit.Calls = 4, 6
	if got := Compare(old, split).Relation; got != Narrower {
		t.Errorf("ten calls a minute shared by two grants are %s", got)
	}
}

func TestSentences(t *testing.T) {
	old := record.Authority{
		Tools:   []record.Grant{{Resource: "look-up", Actions: []string{"read"}, Limit: record.Limit{Calls: 5, Seconds: 60}}},
		Secrets: []record.Grant{{Resource: "crm-key", Actions: []string{"use"}}},
	}
	now := record.Authority{Tools: []record.Grant{
		{Resource: "look-up", Actions: []string{"read"}, Limit: record.Limit{Calls: 9, Seconds: 60}},
		{Resource: "notify-clinician", Actions: []string{"send"}},
	}}
	want := Difference{Relation: Incomparable, Changes: []Change{
		{"tools", "look-up", Wider, "may now call the tool look-up with wider terms: read, at most 9 calls in 60 seconds; before: read, at most 5 calls in 60 seconds"},
		{"tools", "notify-clinician", Wider, "may now call the tool notify-clinician: send"},
		{"secrets", "crm-key", Narrower, "may no longer use the secret crm-key: use"},
	}}
	if diff := cmp.Diff(want, Compare(old, now)); diff != "" {
		t.Error(diff)
	}
}

// call is one call of a small universe, which a brute force walks whole.
type call struct {
	resource, action string
	definition       record.Digest
	condition        string // the one condition that holds for it
	at               time.Time
}

func universe() []call {
	var calls []call
	for _, r := range []string{"a", "ab", "b"} {
		for _, a := range []string{"r", "w"} {
			for _, d := range []record.Digest{"d1", "d2"} {
				for _, c := range []string{"c1", "c2"} {
					calls = append(calls, call{r, a, d, c, early.Add(-time.Hour)}, call{r, a, d, c, early.Add(time.Hour)})
				}
			}
		}
	}
	return calls
}

func (c call) allowedBy(g record.Grant) bool {
	return resourceCovers(g.Resource, c.resource) && actionsCover(g.Actions, []string{c.action}) &&
		(g.Definition == "" || g.Definition == c.definition) && (g.Condition == "" || g.Condition == c.condition) &&
		record.Stands(time.Time{}, g.Until, c.at)
}

// admits reports whether the grants let these calls happen within one second,
// each of which costs one token.
func admits(grants []record.Grant, used []int, calls []call) bool {
	if len(calls) == 0 {
		return true
	}
	for i, g := range grants {
		if calls[0].allowedBy(g) && (unlimited(g) || used[i] < g.Limit.Calls) && (unbudgeted(g) || used[i] < g.Budget.Amount) {
			used[i]++
			ok := admits(grants, used, calls[1:])
			used[i]--
			if ok {
				return true
			}
		}
	}
	return false
}

func drawGrant(t *rapid.T) record.Grant {
	g := record.Grant{
		Resource:   rapid.SampledFrom([]string{"a", "ab", "b", "a*", "*"}).Draw(t, "resource"),
		Actions:    rapid.SampledFrom([][]string{{"r"}, {"w"}, {"r", "w"}, {"*"}}).Draw(t, "actions"),
		Definition: rapid.SampledFrom([]record.Digest{"", "", "d1", "d2"}).Draw(t, "definition"),
		Condition:  rapid.SampledFrom([]string{"", "", "c1", "c2"}).Draw(t, "condition"),
		Until:      rapid.SampledFrom([]time.Time{{}, {}, early, late}).Draw(t, "until"),
	}
	if n := rapid.IntRange(0, 2).Draw(t, "limit"); n > 0 {
		g.Limit = record.Limit{Calls: n, Seconds: 1}
	}
	if n := rapid.IntRange(0, 2).Draw(t, "budget"); n > 0 {
		g.Budget = record.Budget{Unit: "tokens", Amount: n, Seconds: 1}
	}
	return g
}

// Compare never calls an authority equal or narrower that lets through one,
// two or three calls which the old one would not.
func TestCompareAgainstBruteForce(t *testing.T) {
	calls := universe()
	within := 0
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.SliceOfN(rapid.Custom(drawGrant), 0, 3).Draw(t, "old")
		now := rapid.SliceOfN(rapid.Custom(drawGrant), 0, 2).Draw(t, "new")
		if rapid.Bool().Draw(t, "keeps") && len(old) > 0 {
			now = append(now, old[0])
		}
		got := Compare(record.Authority{Tools: old}, record.Authority{Tools: now})
		if !got.Relation.Within() {
			return
		}
		within++
		for i, a := range calls {
			checkSequence(t, old, now, got.Relation, []call{a})
			b := calls[(i*7+3)%len(calls)]
			checkSequence(t, old, now, got.Relation, []call{a, a})
			checkSequence(t, old, now, got.Relation, []call{a, b})
			checkSequence(t, old, now, got.Relation, []call{a, a, b})
			checkSequence(t, old, now, got.Relation, []call{a, a, a})
		}
	})
	if within == 0 {
		t.Error("no pair was equal or narrower; the property was never tried")
	}
}

func checkSequence(t *rapid.T, old, now []record.Grant, relation Relation, calls []call) {
	is, was := admits(now, make([]int, len(now)), calls), admits(old, make([]int, len(old)), calls)
	if (is && !was) || (relation == Equal && is != was) {
		t.Fatalf("%s, yet %v: allowed now %v, before %v", relation, calls, is, was)
	}
}

func TestCompareWithItselfIsEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := record.Authority{Data: rapid.SliceOfN(rapid.Custom(drawGrant), 0, 5).Draw(t, "grants")}
		if got := Compare(a, a); got.Relation != Equal || len(got.Changes) > 0 {
			t.Fatalf("%v", got)
		}
	})
}

func ExampleCompare() {
	old := record.Authority{Tools: []record.Grant{{Resource: "search", Actions: []string{"read"}}}}
	now := record.Authority{Tools: []record.Grant{{Resource: "search", Actions: []string{"read"}}, {Resource: "notify-clinician", Actions: []string{"send"}}}}
	d := Compare(old, now)
	fmt.Println(d.Relation)
	fmt.Println(d.Changes[0].Sentence)
	// Output:
	// wider
	// may now call the tool notify-clinician: send
}
