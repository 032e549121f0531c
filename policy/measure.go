package policy

import (
	"fmt"
	"slices"
	"strconv"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// measurement is one metric held against a requirement's bound.
type measurement struct {
	metric   *record.Metric
	interval statistics.Interval
	method   string
	// measured is the statistic that the requirement asks for.
	measured float64
	result   record.Result
}

func (e *Requirement) measure(m *record.Metric) measurement {
	x := measurement{metric: m, measured: m.Value, result: record.Fail}
	x.interval, x.method = e.interval(m)
	switch e.Bound.Statistic {
	case record.StatLower:
		x.measured = x.interval.Lower
	case record.StatUpper:
		x.measured = x.interval.Upper
	}
	switch {
	case x.method == methodNone && (e.Bound.Statistic == record.StatLower || e.Bound.Statistic == record.StatUpper):
		x.measured, x.result = m.Value, record.Inconclusive
	case e.Bound.Holds(x.measured):
		x.result = record.Pass
	}
	return x
}

var badness = []record.Result{record.Pass, record.Inconclusive, record.Fail}

// worse reports whether a stands in the way more than b does.
func (e *Requirement) worse(a, b *measurement) bool {
	switch {
	case a.result != b.result:
		return slices.Index(badness, a.result) > slices.Index(badness, b.result)
	case e.Bound.Operator == "==":
		return false
	case e.Bound.HigherIsBetter():
		return a.measured < b.measured
	default:
		return a.measured > b.measured
	}
}

// reason says in a sentence how the measurement stands to the bound.
func (x *measurement) reason(e *Requirement, f *found) string {
	m := x.metric
	if x.result == record.Inconclusive {
		return fmt.Sprintf("%s gives %s = %s without counts, a standard error or an interval, so %s is not known.", f.id(), m.Label(), rounded(m.Value), e.Bound.Statistic)
	}
	which := ", which is "
	if x.result != record.Pass {
		which = ", which is not "
	}
	reason := e.stated() + " of " + m.Label() + " is " + rounded(x.measured) + which + e.Bound.Operator + " " + number(e.Bound.Threshold) + " (" + x.ground() + ")."
	if x.result != record.Pass && e.Bound.Statistic != record.StatValue && e.Bound.Holds(m.Value) {
		reason += " The value itself meets the limit: more samples may show that the model does."
	}
	return reason
}

// stated names the statistic in a sentence.
func (e *Requirement) stated() string {
	switch e.Bound.Statistic {
	case record.StatLower:
		return "The lower " + percent(e.level) + " % bound"
	case record.StatUpper:
		return "The upper " + percent(e.level) + " % bound"
	}
	return "The value"
}

// ground says in brackets what a comparison rests on.
func (x *measurement) ground() string {
	m := x.metric
	from := m.Name + " = " + rounded(m.Value) + " from " + strconv.Itoa(m.N) + " samples"
	if m.Clusters > 0 {
		from += " in " + strconv.Itoa(m.Clusters) + " clusters"
	}
	if x.method == methodNone {
		return from + ", without an interval"
	}
	return from + ", between " + rounded(x.interval.Lower) + " and " + rounded(x.interval.Upper) + " by the " + x.method + " method"
}

// numbers are what the gate shows.
func (x *measurement) numbers(e *Requirement, f *found) *record.Numbers {
	n := e.shown(f, x.metric)
	n.Statistic, n.Operator, n.Threshold, n.Method = e.Bound.Statistic, e.Bound.Operator, e.Bound.Threshold, x.method
	if x.method != methodNone {
		n.Lower, n.Upper, n.Level = &x.interval.Lower, &x.interval.Upper, e.level
	}
	return n
}

// shown are the numbers that every gate of an evaluation has.
func (e *Requirement) shown(f *found, m *record.Metric) *record.Numbers {
	x := &f.evaluation.Record
	n := &record.Numbers{Value: m.Value, N: m.N, Clusters: m.Clusters, Attempt: x.Attempt, Tries: e.Tries, Assurance: x.Assurance, Method: methodNone}
	if len(m.Slice) > 0 {
		n.Slice = m.Label()[len(m.Name):]
	}
	if e.Over != "" {
		n.Slices = len(f.metrics)
	}
	return n
}

// alarm judges the drift of every slice by its p-value, corrected for looking
// at all of them (Holm 1979): any alarm refuses.
func (e *Requirement) alarm(f *found, g record.Gate) record.Gate {
	p := make([]float64, len(f.metrics))
	for i, m := range f.metrics {
		if m.Drift == nil || m.Drift.PValue == nil {
			g.Result, g.Numbers = record.Inconclusive, e.shown(f, m)
			g.Reason = fmt.Sprintf("%s gives %s without a p-value, so whether it drifted is not known.", f.id(), m.Label())
			return g
		}
		p[i] = *m.Drift.PValue
	}
	adjusted := statistics.Holm(p)
	least := 0
	var drifted []string
	for i, m := range f.metrics {
		if adjusted[i] <= e.Alarm {
			drifted = append(drifted, m.Slice[e.Over]+" ("+rounded(adjusted[i])+")")
		}
		if adjusted[i] < adjusted[least] {
			least = i
		}
	}
	n := e.shown(f, f.metrics[least])
	n.Statistic, n.Value, n.Operator, n.Threshold, n.Method = record.StatAdjustedP, adjusted[least], ">", e.Alarm, "holm"
	g.Numbers = n
	if len(drifted) > 0 {
		g.Result = record.Fail
		g.Reason = fmt.Sprintf("%d of %d slices of %s drifted in %s, with an adjusted p-value of at most %s: %s.", len(drifted), len(p), e.Over, e.Metric, number(e.Alarm), few(drifted))
		return g
	}
	g.Reason = fmt.Sprintf("None of %d slices of %s drifted in %s: the least adjusted p-value is %s, of %s, and an alarm is at most %s.",
		len(p), e.Over, e.Metric, rounded(adjusted[least]), f.metrics[least].Slice[e.Over], number(e.Alarm))
	return g
}
