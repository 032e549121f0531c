package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// Satisfiable checks a policy against the real roster of a team before it
// becomes active. Problems are tiers whose seats nobody could fill; warnings
// are people without whom, or tiers whose seats, would stay empty once one of
// the contributors has trained the model. What is delegated is passed over: it ends,
// and an approval by it fills a seat only where the delegator's own would too.
func Satisfiable(p *Policy, people []record.Person, team string, at time.Time) (problems, warnings []string) {
	people = slices.Clone(people)
	for i := range people {
		people[i].Delegated = nil
	}
	slices.SortFunc(people, func(a, b record.Person) int { return strings.Compare(a.Principal.Name, b.Principal.Name) })
	for _, t := range p.Tiers {
		if lack := t.unfilled(people, team, at, ""); len(lack) > 0 {
			problems = append(problems, fmt.Sprintf(
				"Tier %s cannot be satisfied in team %s: nobody is left for %s. Bind the role to more people, or ask for fewer.", t.Name, team, seatNames(lack)))
			continue
		}
		if !t.Separates(Trainer) {
			continue
		}
		for _, who := range people {
			if who.Principal.Type != record.Human || !who.Holds(record.Contributor, team, at) {
				continue
			}
			if lack := t.unfilled(people, team, at, who.Principal.Name); len(lack) > 0 {
				warnings = append(warnings, fmt.Sprintf(
					"Tier %s in team %s: when %s has trained the model, nobody is left for %s.", t.Name, team, who.Principal.Name, seatNames(lack)))
			}
		}
	}
	return problems, warnings
}

// unfilled returns the roles of the seats that stay empty, without one person.
func (t *Tier) unfilled(people []record.Person, team string, at time.Time, without string) (lack []record.RoleName) {
	var fits [][]int
	var seats []record.RoleName
	for _, s := range t.Approvals {
		var able []int
		for i, p := range people {
			if p.Principal.Name != without && p.Principal.Type == record.Human && p.HoldsWithin(s.Role, team, at) {
				able = append(able, i)
			}
		}
		if t.Solo && len(able) > 0 {
			continue
		}
		for range s.Count {
			fits, seats = append(fits, able), append(seats, s.Role)
		}
	}
	for seat, person := range match(fits, len(people)) {
		if person < 0 {
			lack = append(lack, seats[seat])
		}
	}
	return lack
}

func seatNames(roles []record.RoleName) string {
	texts := make([]string, len(roles))
	for i, r := range roles {
		texts[i] = "the seat of " + string(r)
	}
	return list(texts)
}
