package policy

import (
	"math"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// The methods by which an interval came about, as record.Numbers names them.
// Those of an interval that was computed from items or by a tool's own rule have
// the name that the evidence gives them.
const (
	MethodWilson         = "wilson"
	MethodClopperPearson = "clopper-pearson"
	methodNewcombe       = "newcombe"
	methodTango          = "tango"
	methodMover          = "mover"
	methodStdErr         = "standard-error"
	methodTool           = "tool"
	methodNone           = "none"
)

// interval returns a metric's interval, at the level that the requirement asks
// for, from the best ground there is: what we computed from its items where
// these are dependent or no proportion, its counts, the tool's standard error,
// the tool's interval. A standard error of 0 is no ground: tools report it where
// all items agree. Nor are the counts of dependent items.
func (e *Requirement) interval(m *record.Metric) (i statistics.Interval, method string) {
	counted := m.Successes != nil && m.N > 0
	switch u := m.Computed; {
	case u == nil || (counted && m.Clusters == 0):
	case u.Lower95 != nil:
		return e.widen(m, u), u.Method
	case *u.StdErr > 0:
		return statistics.MeanInterval(m.Value, *u.StdErr, e.level), u.Method
	}
	switch u := m.Reported; {
	case counted && m.Clusters == 0:
		return e.proportion(*m.Successes, m.N), e.Interval
	case u == nil:
	case u.StdErr != nil && *u.StdErr > 0:
		return statistics.MeanInterval(m.Value, *u.StdErr, e.level), methodStdErr
	case u.Lower95 != nil:
		return e.widen(m, u), methodTool
	}
	return statistics.Interval{}, methodNone
}

func (e *Requirement) proportion(s, n int) statistics.Interval {
	if e.Interval == MethodClopperPearson {
		return statistics.ClopperPearson(s, n, e.level)
	}
	return statistics.Wilson(s, n, e.level)
}

// widen takes a 95 % interval to the requirement's level: each half of it grows
// by the ratio of the normal quantiles. A proportion stays within 0 and 1.
func (e *Requirement) widen(m *record.Metric, u *record.Uncertainty) statistics.Interval {
	i := statistics.Interval{Lower: *u.Lower95, Upper: *u.Upper95}
	if e.widening == 1 {
		return i
	}
	i.Lower = min(i.Lower, m.Value-float64((m.Value-i.Lower)*e.widening))
	i.Upper = max(i.Upper, m.Value+float64((i.Upper-m.Value)*e.widening))
	if m.Successes != nil {
		i.Lower, i.Upper = max(i.Lower, 0), min(i.Upper, 1)
	}
	return i
}

// difference returns the interval of a - b of two independent evaluations:
// Newcombe's where both are counted over independent items, else from their
// standard errors, else put together from their own intervals (Zou and Donner
// 2008, the method of variance estimates recovery, of which Newcombe's is a
// case).
func (e *Requirement) difference(a, b *record.Metric) (i statistics.Interval, method string) {
	if a.Successes != nil && b.Successes != nil && a.Clusters == 0 && b.Clusters == 0 {
		return statistics.Newcombe(*a.Successes, a.N, *b.Successes, b.N, e.level), methodNewcombe
	}
	d := a.Value - b.Value
	sa, oka := standardError(a)
	sb, okb := standardError(b)
	if oka && okb {
		return statistics.MeanInterval(d, root(sa, sb), e.level), methodStdErr
	}
	ia, ma := e.interval(a)
	ib, mb := e.interval(b)
	if ma == methodNone || mb == methodNone {
		return i, methodNone
	}
	i.Lower = d - root(a.Value-ia.Lower, ib.Upper-b.Value)
	i.Upper = d + root(ia.Upper-a.Value, b.Value-ib.Lower)
	return i, methodMover
}

func standardError(m *record.Metric) (float64, bool) {
	for _, u := range []*record.Uncertainty{m.Computed, m.Reported} {
		if u != nil && u.StdErr != nil && *u.StdErr > 0 {
			return *u.StdErr, true
		}
	}
	return 0, false
}

// root returns the square root of the sum of two squares. The conversions forbid
// the compiler to fuse a product and a sum, as it does on some machines: every
// machine gets the same bits and an auditor the same verdict. math.Hypot is
// avoided for the same reason.
func root(a, b float64) float64 { return math.Sqrt(float64(a*a) + float64(b*b)) }
