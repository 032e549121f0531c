package policy

import (
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// Lint returns all errors of a policy file and, where it can be read, warnings
// about what is allowed and seldom meant, in the order of the file.
func Lint(text []byte) []Problem {
	p, r := load(text)
	if r.err() == nil {
		for _, t := range p.Tiers {
			r.lintTier(t)
		}
	}
	_ = r.err() // sorts
	return r.problems
}

func (r *reader) warn(where position, message string) {
	r.problems = append(r.problems, Problem{Line: where.line, Column: where.column, Message: message, Warning: true})
}

func (r *reader) lintTier(t *Tier) {
	tier := "tier " + t.Name
	switch {
	case len(t.Approvals) == 0:
		r.warn(t.where, tier+" asks for no approval; its releases are marked \""+MarkNoIndependent+"\"")
	case t.Expires == 0:
		r.warn(t.where, tier+" has no expires; approvals last as long as the approver says")
	}
	if len(t.Approvals) > 0 && !t.Solo && !slices.Contains(t.Separation, Trainer) {
		r.warn(t.where, tier+" lets the trainer approve; name trainer under separation")
	}
	if t.Solo && len(t.Separation) > 0 {
		r.warn(t.where, tier+" is solo, so its separation does not hold")
	}
	if t.Solo && t.Rank >= defaultRanks["high"] {
		r.warn(t.where, tier+" is solo at a high rank")
	}
	for name, does := range t.Signals {
		if name != anySignal && !slices.Contains(record.SignalTypes, name) {
			r.warn(does.where, "the signal "+name+" is none that is stated by itself; somebody has to record it")
		}
	}
	if len(t.Evaluations) == 0 {
		r.warn(t.where, tier+" asks for no evaluation")
	}
	if t.Mode == record.Advise {
		r.warn(t.where, tier+" only advises; it blocks nothing but what every tier blocks")
	}
	if uncovered := t.uncovered(); len(t.Approvals) > 0 && len(uncovered) > 0 {
		r.warn(t.where, "no approval of "+tier+" covers the "+list(uncovered)+"; such a change voids nothing")
	}
	for _, e := range t.Evaluations {
		r.lintRequirement(&e)
	}
}

// uncovered returns the parts that no approver of the tier looks at.
func (t *Tier) uncovered() (parts []record.Part) {
	for _, p := range record.Parts {
		if !slices.ContainsFunc(t.Approvals, func(s Seats) bool { return slices.Contains(s.Covers, p) }) {
			parts = append(parts, p)
		}
	}
	return parts
}

func (r *reader) lintRequirement(e *Requirement) {
	b := e.Bound
	switch {
	case b.Statistic == record.StatLower && strings.HasPrefix(b.Operator, "<"):
		r.warn(e.where, e.Gate+" compares the lower bound with "+b.Operator+": few samples make that easier; compare the upper bound")
	case b.Statistic == record.StatUpper && strings.HasPrefix(b.Operator, ">"):
		r.warn(e.where, e.Gate+" compares the upper bound with "+b.Operator+": few samples make that easier; compare the lower bound")
	case b.Statistic == record.StatValue && e.MinSamples == 0:
		r.warn(e.where, e.Gate+" compares the value alone and has no minSamples: one lucky sample is enough")
	case b.Operator == "==":
		r.warn(e.where, e.Gate+" asks for equality, which a measured number seldom meets")
	}
	if e.Tries > 1 && b.Statistic == record.StatValue {
		r.warn(e.where, e.Gate+" compares the value alone, to which a number of tries makes no difference but for its limit")
	}
	if e.Over != "" && e.MinSlices == 0 {
		r.warn(e.where, e.Gate+" has no minSlices: an evaluation that leaves a slice out goes unnoticed")
	}
	if e.FreshFor == 0 {
		r.warn(e.where, e.Gate+" has no freshFor; its evidence never lapses")
	}
	if e.Assurance == record.Claimed {
		r.warn(e.where, e.Gate+" accepts somebody's word as evidence")
	}
}
