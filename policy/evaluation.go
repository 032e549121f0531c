package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// found is the evaluation that a requirement is judged by.
type found struct {
	evaluation *record.Recorded[record.Evaluation]
	// metrics are those that are judged: one, or that of every slice.
	metrics []*record.Metric
	// incomplete is one that would do but did not cover what it set out to.
	incomplete *record.Recorded[record.Evaluation]
	// usable says whether the evidence may be looked at.
	usable record.Gate
}

// find chooses the newest complete evaluation of the release's artifact, among
// those the release names, that has the metric.
func (j *judge) find(e *Requirement) found {
	named := j.d.Release.Record.Behaviour.Evaluations
	f := newest(e, j.d.Evaluations, j.d.Release.Record.Behaviour.Artifact, func(x *record.Recorded[record.Evaluation]) bool {
		return slices.Contains(named, x.Digest)
	})
	f.usable = j.usable(e, &f)
	return f
}

func newest(e *Requirement, all []record.Recorded[record.Evaluation], artifact record.Digest, counts func(*record.Recorded[record.Evaluation]) bool) (f found) {
	for i := range all {
		x := &all[i]
		if x.Record.Category != e.Category || x.Record.Suite != e.Suite || x.Record.Artifact != artifact || !counts(x) {
			continue
		}
		if x.Record.Incomplete != "" {
			if f.incomplete == nil || later(x, f.incomplete) {
				f.incomplete = x
			}
			continue
		}
		if f.evaluation != nil && !later(x, f.evaluation) {
			continue
		}
		if metrics := e.spokenOf(x.Record.Metrics); len(metrics) > 0 {
			f.evaluation, f.metrics = x, metrics
		}
	}
	return f
}

// spokenOf returns the metrics that the requirement speaks of.
func (e *Requirement) spokenOf(all []record.Metric) (out []*record.Metric) {
	for i := range all {
		if e.judges(&all[i]) {
			out = append(out, &all[i])
		}
	}
	return out
}

// judges reports whether a metric is one that the requirement speaks of.
func (e *Requirement) judges(m *record.Metric) bool {
	if m.Name != e.Metric {
		return false
	}
	if e.misuseCase != "" {
		return m.Case == e.misuseCase
	}
	if e.Over != "" {
		return len(m.Slice) == 1 && m.Slice[e.Over] != ""
	}
	return len(m.Slice) == len(e.Slice) && maps.Equal(m.Slice, e.Slice)
}

func later(a, b *record.Recorded[record.Evaluation]) bool {
	if !a.Record.Ran.Equal(b.Record.Ran) {
		return a.Record.Ran.After(b.Record.Ran)
	}
	return a.Index > b.Index
}

var evaluators = roles(record.Evaluator)

// evaluations judges every requirement and its comparison with production, and
// keeps the gates in the order of the file.
func (j *judge) evaluations() {
	t := j.tier
	all, own := make([]found, len(t.Evaluations)), make([]record.Gate, len(t.Evaluations))
	for _, i := range t.order {
		e := &t.Evaluations[i]
		all[i] = j.find(e)
		g := j.evaluation(e, &all[i])
		if e.with >= 0 {
			g = accompanied(g, &own[e.with])
		}
		own[i] = j.finish(e.Gate, t.lighter(e.Mode), g)
	}
	for i := range t.Evaluations {
		e := &t.Evaluations[i]
		j.gates = append(j.gates, own[i])
		if e.Margin != nil {
			j.add(e.Gate+versusSuffix, t.lighter(e.Mode), j.versusProduction(e, &all[i]))
		}
	}
}

// accompanied lets a gate pass only while its companion does: what refuses
// everything is safe, and of no use.
func accompanied(g record.Gate, with *record.Gate) record.Gate {
	switch {
	case g.Result != record.Pass:
	case with.Result == record.Pass || with.Result == record.Waived:
		g.Until = record.Earlier(g.Until, with.Until)
	default:
		g.Result, g.Who, g.Do = with.Result, with.Who, with.Do
		g.Reason += fmt.Sprintf(" It counts only while the gate %s passes, which is %s.", with.Name, with.Result)
	}
	return g
}

// evaluation judges one requirement: the evidence first, then every metric that
// it speaks of. All must pass, which keeps the level of each without correction
// (an intersection-union test).
func (j *judge) evaluation(e *Requirement, f *found) record.Gate {
	g := f.usable
	if f.evaluation == nil {
		return g
	}
	g.Evidence = []string{record.EvaluationID(f.evaluation.Digest)}
	if g.Result != record.Pass {
		first := e.measure(f.metrics[0])
		g.Numbers = first.numbers(e, f)
		return g
	}
	if e.Alarm > 0 {
		g = e.alarm(f, g)
	} else {
		g = e.allPass(f, g)
	}
	if g.Result != record.Pass {
		g.Who, g.Do = evaluators, doEvaluate(j.d, e)
	}
	return g
}

// allPass judges every metric by the bound.
func (e *Requirement) allPass(f *found, g record.Gate) record.Gate {
	var worst measurement
	var failed []string
	for i, m := range f.metrics {
		x := e.measure(m)
		if x.result != record.Pass && e.Over != "" {
			failed = append(failed, m.Slice[e.Over]+" ("+rounded(x.measured)+")")
		}
		if i == 0 || e.worse(&x, &worst) {
			worst = x
		}
	}
	g.Result, g.Reason, g.Numbers = worst.result, worst.reason(e, f), worst.numbers(e, f)
	switch {
	case e.Over == "":
	case len(failed) == 0:
		g.Reason = fmt.Sprintf("All %d slices of %s pass. The nearest to the limit: %s", len(f.metrics), e.Over, g.Reason)
	default:
		g.Reason = fmt.Sprintf("%d of %d slices of %s do not pass: %s. The worst: %s", len(failed), len(f.metrics), e.Over, few(failed), g.Reason)
	}
	return g
}

// few writes the first names of a long list.
func few(names []string) string {
	const shown = 8
	if len(names) <= shown {
		return list(names)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// usable judges whether the evidence may be looked at: everything about it but
// its numbers. A pass carries the time until which it is fresh.
func (j *judge) usable(e *Requirement, f *found) record.Gate {
	not := func(result record.Result, format string, args ...any) record.Gate {
		return refuse(result, evaluators, doEvaluate(j.d, e), format, args...)
	}
	switch {
	case f.evaluation == nil && f.incomplete != nil:
		return not(record.Invalid, "%s is incomplete: %s.", f.id(), f.incomplete.Record.Incomplete)
	case f.evaluation == nil:
		return not(record.Missing, "The release names no evaluation of the %s suite %s with the metric %s.", e.Category, e.Suite, e.sought())
	}
	if why := j.invalid(f); why != "" {
		return not(record.Invalid, "%s %s.", f.id(), why)
	}
	x := &f.evaluation.Record
	until := time.Time{}
	if e.FreshFor > 0 {
		until = x.Ran.Add(e.FreshFor).UTC()
	}
	if why := j.otherwise(x); why != "" {
		return not(record.Fail, "%s %s; evaluate what is to be released.", f.id(), why)
	}
	switch {
	case slices.Index(assurances, x.Assurance) < slices.Index(assurances, e.Assurance):
		return not(record.Fail, "%s has the assurance %s, and %s or better is asked for.", f.id(), x.Assurance, e.Assurance)
	case !record.Stands(time.Time{}, until, j.at):
		return not(record.Fail, "%s ran on %s and counted for %s, until %s; evaluate again.", f.id(), date(x.Ran), spell(e.FreshFor), date(until))
	case e.Tries > 0 && x.Attempt > e.Tries:
		return not(record.Fail, "%s is the try %d of %d: the held-out set is spent; evaluate on a fresh one.", f.id(), x.Attempt, e.Tries)
	case e.Tries > 0 && x.Attempt <= 0:
		return not(record.Inconclusive, "%s does not say how many tries on its held-out set there were before it; record it again.", f.id())
	case len(f.metrics) < e.MinSlices:
		return not(record.Inconclusive, "%s has %d slices of %s, and at least %d are asked for.", f.id(), len(f.metrics), e.Over, e.MinSlices)
	}
	for _, m := range f.metrics {
		if m.N < e.MinSamples {
			return not(record.Inconclusive, "%s has %d samples%s, and at least %d are asked for.", f.id(), m.N, inSlice(m), e.MinSamples)
		}
	}
	return record.Gate{Result: record.Pass, Until: until}
}

// inSlice names the slice of a metric in a sentence.
func inSlice(m *record.Metric) string {
	if len(m.Slice) == 0 {
		return ""
	}
	return " in " + strings.TrimSuffix(m.Label()[len(m.Name)+1:], "]")
}

// sought names what is looked for in a sentence.
func (e *Requirement) sought() string {
	if e.Over != "" {
		return e.Metric + " of any slice of " + e.Over
	}
	return e.label()
}

// id names the evaluation in a sentence.
func (f *found) id() string {
	x := f.evaluation
	if x == nil {
		x = f.incomplete
	}
	return "Evaluation " + record.EvaluationID(x.Digest)
}
