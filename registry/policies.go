package registry

import (
	"context"
	"slices"
	"time"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// PublishPolicy publishes a policy file. It is refused when it does not load,
// or when the people enrolled could never satisfy it (rule 5).
func (r *Registry) PublishPolicy(ctx context.Context, who Caller, text []byte, reason string) (wire.Published, error) {
	p, err := policy.Load(text)
	if err != nil {
		return wire.Published{}, refusef(wire.Invalid, "%w", err)
	}
	var warnings []string
	got, err := command[record.Policy](ctx, r, who, func(t *tx) error {
		if err := t.may(actPolicy, record.AllTeams); err != nil {
			return err
		}
		people, err := t.everyoneApproving()
		if err != nil {
			return err
		}
		var problems []string
		if problems, warnings = satisfiable(p, people, t.now); len(problems) > 0 {
			return refusef(wire.Refused, "the people enrolled could never satisfy policy %s: %s", p.Name, sentence(problems))
		}
		digest := record.DigestOf(text)
		return once(t, record.KeyPolicy(digest), record.Policy{Name: p.Name, Text: string(text), Digest: digest, Reason: reason}, "the policy")
	})
	return wire.Published{Policy: got, Warnings: warnings}, err
}

// satisfiable holds a policy against the people of each team: it has problems
// when no team could satisfy it, and warns of the teams that could not.
func satisfiable(p *policy.Policy, people []record.Person, now time.Time) (problems, warnings []string) {
	teams := teamsOf(people)
	able := false
	for _, team := range teams {
		wrong, warned := policy.Satisfiable(p, people, team, now)
		able = able || len(wrong) == 0
		problems = append(problems, wrong...)
		warnings = append(warnings, warned...)
	}
	if able {
		return nil, append(problems, warnings...)
	}
	return problems, warnings
}

// teamsOf returns the teams for which anybody holds a role, in order; where
// roles are bound for all teams only, that is the one "team".
func teamsOf(people []record.Person) []string {
	var teams []string
	for _, p := range people {
		for _, r := range p.Roles {
			if r.Team != record.AllTeams && !slices.Contains(teams, r.Team) {
				teams = append(teams, r.Team)
			}
		}
	}
	if len(teams) == 0 {
		return []string{record.AllTeams}
	}
	slices.Sort(teams)
	return teams
}

// everyoneApproving returns the people who hold a role that can approve, for
// any team.
func (t *tx) everyoneApproving() ([]record.Person, error) {
	var people []record.Person
	seen := map[string]bool{}
	for _, role := range approving {
		bindings, err := t.Find(record.KeyRoster(role))
		if err != nil {
			return nil, err
		}
		for _, e := range bindings {
			b, ok := e.Statement.Body.(record.Role)
			if !ok || seen[b.Principal] {
				continue
			}
			seen[b.Principal] = true
			p, err := t.person(b.Principal)
			if err != nil {
				return nil, err
			}
			people = append(people, p)
		}
	}
	slices.SortFunc(people, byName)
	return people, nil
}

// policyByDigest returns a published policy, compiled once.
func (t *tx) policyByDigest(d record.Digest) (*policy.Policy, error) {
	t.reg.mu.Lock()
	p := t.reg.policies[d]
	t.reg.mu.Unlock()
	if p != nil {
		return p, nil
	}
	text, err := need[record.Policy](t, record.KeyPolicy(d), "the policy "+d.Short(), "publish it: imprimatur policy publish FILE")
	if err != nil {
		return nil, err
	}
	if p, err = policy.Load([]byte(text.Record.Text)); err != nil {
		return nil, err
	}
	t.reg.mu.Lock()
	t.reg.policies[d] = p
	t.reg.mu.Unlock()
	return p, nil
}
