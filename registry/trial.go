package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// A trial looks at so many lines, for so long; what is left over is counted.
const (
	triedLines = 20_000
	triedFor   = 5 * time.Second
)

// TryPolicy evaluates a policy file over the live releases of the teams that the
// caller may read, and changes nothing. It reads the decision index, so that it
// costs one evaluation for each live release.
func (r *Registry) TryPolicy(ctx context.Context, who Caller, text []byte) (wire.Trial, error) {
	p, err := policy.Load(text)
	if err != nil {
		return wire.Trial{}, refusef(wire.Invalid, "%w", err)
	}
	out := wire.Trial{Policy: p.Name, Digest: p.Digest, Tried: []wire.Tried{}}
	var lines []string
	var now time.Time
	err = r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		people, err := t.everyoneApproving()
		if err != nil {
			return err
		}
		keys, err := t.view.EachFrom(record.KeyLive(""), "", triedLines)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if line := strings.TrimPrefix(k.Key, record.KeyLive("")); t.mayRead(teamOf(line)) {
				lines = append(lines, line)
			}
		}
		now = t.now
		out.Unsatisfiable, out.Warnings = satisfiable(p, people, now)
		return nil
	})
	if err != nil {
		return wire.Trial{}, err
	}
	until := time.Now().Add(triedFor)
	for i, line := range lines {
		if time.Now().After(until) {
			out.Left = len(lines) - i
			break
		}
		s, err := r.standing(ctx, line)
		if err != nil {
			return wire.Trial{}, err
		}
		if tried, live := try(p, s, now); live {
			out.Tried = append(out.Tried, tried)
			if !tried.Passes {
				out.Failing++
			}
		}
	}
	slices.SortStableFunc(out.Tried, func(a, b wire.Tried) int {
		switch {
		case a.Passes == b.Passes:
			return 0
		case b.Passes:
			return -1
		}
		return 1
	})
	return out, nil
}

// try judges the live release of one line by a policy.
func try(p *policy.Policy, s *standing, now time.Time) (wire.Tried, bool) {
	if s == nil || s.dossier == nil {
		return wire.Tried{}, false
	}
	at := later(now, s.at)
	if status, _ := record.StatusAt(s.dossier.History, s.dossier.ID, at); status != record.Live {
		return wire.Tried{}, false
	}
	rel := s.dossier.Release.Record
	out := wire.Tried{
		Release: s.dossier.ID, Line: s.dossier.Line, Model: rel.Behaviour.Model + "@" + rel.Behaviour.Version,
		Environment: rel.Context.Environment, Tier: rel.Context.Tier, Under: s.policy.Name + " " + s.policy.Digest.Short(),
	}
	v := p.Evaluate(s.dossier, at)
	out.Passes = v.Passed
	for _, g := range v.Blocking() {
		out.Gates = append(out.Gates, g.Name+": "+g.Reason)
	}
	return out, true
}
