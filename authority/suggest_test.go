package authority

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

func TestSuggest(t *testing.T) {
	limit := record.Limit{Calls: 10, Seconds: 60}
	many := make([]Use, 12)
	for i := range many {
		many[i] = Use{"apis", 0, "w", fmt.Sprintf("crm/cases/é%d", i), "GET"}
	}
	use := func(resource, action string) Use { return Use{"apis", 0, "w", resource, action} }
	grant := func(resource string, actions ...string) record.Grant {
		return record.Grant{Resource: resource, Actions: actions}
	}
	limited := func(g record.Grant) record.Grant {
		g.Limit = limit
		return g
	}
	for _, c := range []struct {
		name string
		old  record.Grant
		used []Use
		want []record.Grant
	}{
		{"unused", grant("a", "GET"), nil, nil},
		{"actions", grant("a", "GET", "PUT"), []Use{use("a", "PUT")}, []record.Grant{grant("a", "PUT")}},
		{"any action", grant("a", "*"), []Use{use("a", "PUT"), use("a", "GET"), use("a", "GET")}, []record.Grant{grant("a", "GET", "PUT")}},
		{"names for a prefix", grant("a/*", "GET"), []Use{use("a/2", "GET"), use("a/1", "GET")}, []record.Grant{grant("a/1", "GET"), grant("a/2", "GET")}},
		{"a longer prefix for many", grant("crm/*", "GET"), many, []record.Grant{grant("crm/cases/é*", "GET")}},
		{"one name that has a limit", limited(grant("a/*", "GET")), []Use{use("a/1", "GET")}, []record.Grant{limited(grant("a/1", "GET"))}},
		{"names that share a limit", limited(grant("a/*", "GET")), []Use{use("a/b1", "GET"), use("a/b2", "GET")}, []record.Grant{limited(grant("a/b*", "GET"))}},
		{"a name like a prefix", grant("a/*", "GET"), []Use{use("a/b*", "GET")}, []record.Grant{grant("a/*", "GET")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Suggest(record.Authority{APIs: []record.Grant{c.old}, Workloads: []string{"w", "idle"}}, c.used)
			if diff := cmp.Diff(c.want, got.APIs); diff != "" {
				t.Error(diff)
			}
			if len(c.used) > 0 && !cmp.Equal(got.Workloads, []string{"w"}) {
				t.Errorf("workloads are %v", got.Workloads)
			}
		})
	}
}

// TestRule09ASuggestionIsNeverWider draws authorities and calls: what Suggest
// makes of those that were allowed is no wider, and allows them still.
func TestRule09ASuggestionIsNeverWider(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "ab", "a/b", "a/c", "a/*", "b"})
	rapid.Check(t, func(t *rapid.T) {
		var old record.Authority
		for range rapid.IntRange(0, 4).Draw(t, "grants") {
			g := record.Grant{
				Resource: rapid.SampledFrom([]string{"a", "a*", "a/*", "*", "b", "a/b"}).Draw(t, "resource"),
				Actions:  rapid.SampledFrom([][]string{{"*"}, {"r"}, {"r", "w"}}).Draw(t, "actions"),
			}
			if rapid.Bool().Draw(t, "limited") {
				g.Limit = record.Limit{Calls: 100, Seconds: 60}
			}
			old.Tools = append(old.Tools, g)
		}
		before, err := Compile(old)
		if err != nil {
			t.Fatal(err)
		}
		var used []Use
		for range rapid.IntRange(0, 12).Draw(t, "calls") {
			call := Call{Kind: "tools", Resource: name.Draw(t, "name"), Action: rapid.SampledFrom([]string{"r", "w"}).Draw(t, "action")}
			if d := before.Decide(&call, early, nil); d.Allowed {
				used = append(used, Use{"tools", d.Number, "w", call.Resource, call.Action})
			}
		}
		got := Suggest(old, used)
		if d := Compare(old, got); !d.Relation.Within() {
			t.Fatalf("%s: %+v became %+v: %v", d.Relation, old, got, d.Changes)
		}
		after, err := Compile(got)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range used {
			if d := after.Decide(&Call{Kind: u.Kind, Resource: u.Resource, Action: u.Action}, early, nil); !d.Allowed {
				t.Fatalf("%+v is refused by %+v: %s", u, got, d.Reason)
			}
		}
	})
}
