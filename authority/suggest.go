package authority

import (
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// Use is a call that a grant allowed: the one at a number among those of a kind.
type Use struct {
	Kind                       string
	Number                     int
	Workload, Resource, Action string
}

// maxNames is how many names take the place of a prefix; of more it is only made
// longer.
const maxNames = 10

// Suggest narrows an authority to what was used of it: grants and workloads that
// were not used fall away, '*' becomes the actions that were called, and a prefix
// the names that were, or a longer prefix where there are many or where they
// share a limit. Conditions, limits, budgets and ends stay. What comes out is
// never wider (rule 9), and allows each of the uses.
func Suggest(old record.Authority, used []Use) record.Authority {
	type place struct {
		kind   string
		number int
	}
	resources, actions := map[place][]string{}, map[place][]string{}
	workloads := map[string]bool{}
	for _, u := range used {
		p := place{u.Kind, u.Number}
		resources[p], actions[p] = append(resources[p], u.Resource), append(actions[p], u.Action)
		workloads[u.Workload] = true
	}
	var out record.Authority
	for _, kind := range record.GrantKinds {
		var kept []record.Grant
		for i, g := range old.Of(kind) {
			if names := distinct(resources[place{kind, i}]); len(names) > 0 {
				kept = append(kept, narrowed(g, names, distinct(actions[place{kind, i}]))...)
			}
		}
		out.Set(kind, kept)
	}
	for _, w := range old.Workloads {
		if workloads[w] {
			out.Workloads = append(out.Workloads, w)
		}
	}
	return out
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// narrowed is a grant for what was used of it.
func narrowed(g record.Grant, resources, actions []string) []record.Grant {
	if slices.Contains(g.Actions, "*") {
		g.Actions = actions
	} else {
		g.Actions = slices.DeleteFunc(slices.Clone(g.Actions), func(a string) bool { return !slices.Contains(actions, a) })
	}
	if !strings.HasSuffix(g.Resource, "*") {
		return []record.Grant{g}
	}
	shared := g.Limit != (record.Limit{}) || g.Budget != (record.Budget{})
	if len(resources) > maxNames || shared && len(resources) > 1 {
		g.Resource = commonPrefix(resources) + "*"
		return []record.Grant{g}
	}
	var out []record.Grant
	for _, name := range resources {
		// A name that ends in '*' would be read as a prefix.
		if strings.HasSuffix(name, "*") {
			return []record.Grant{g}
		}
		one := g
		one.Resource = name
		out = append(out, one)
	}
	return out
}

// commonPrefix is the longest text that all of the sorted names begin with.
func commonPrefix(names []string) string {
	first, last := names[0], names[len(names)-1]
	n := 0
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	return strings.ToValidUTF8(first[:n], "")
}
