package policy

import (
	"math"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.00005 {
		t.Errorf("%s is %.5f, want %.4f", what, got, want)
	}
}

func ptr[T any](v T) *T { return &v }

// ends makes an uncertainty of an interval alone.
func ends(method string, lower, upper float64) *record.Uncertainty {
	return &record.Uncertainty{Method: method, Lower95: &lower, Upper95: &upper}
}

// withTries returns a requirement as it is read with further members.
func withTries(t *testing.T, tries string) *Requirement {
	t.Helper()
	return &mustLoad(t, minimal("require: lower95 >= 0.5"+tries)).Tiers[0].Evaluations[0]
}

func TestIntervalTakesTheBestGround(t *testing.T) {
	tool := &record.Uncertainty{StdErr: ptr(0.1), Lower95: ptr(0.5), Upper95: ptr(0.9)}
	for _, c := range []struct {
		name, asked  string
		m            record.Metric
		lower, upper float64
		method       string
	}{
		{"counts, before the tool's word", "", record.Metric{Value: 0.8, N: 10, Successes: ptr(8), Reported: tool}, 0.4902, 0.9433, MethodWilson},
		{"counts, exactly", ", interval: clopper-pearson", record.Metric{Value: 0.8, N: 10, Successes: ptr(8)}, 0.4439, 0.9748, MethodClopperPearson},
		{"counts, before what was computed of independent items", "", record.Metric{Value: 0.8, N: 10, Successes: ptr(8), Computed: ends("x", 0.1, 0.2)}, 0.4902, 0.9433, MethodWilson},
		{"dependent items, by what was computed", "", record.Metric{Value: 0.8, N: 10, Clusters: 2, Successes: ptr(8), Computed: ends("cluster-bootstrap", 0.2, 1)}, 0.2, 1, "cluster-bootstrap"},
		{"dependent items that nobody computed", "", record.Metric{Value: 0.8, N: 10, Clusters: 2, Successes: ptr(8)}, 0, 0, methodNone},
		{"no proportion, by what was computed", "", record.Metric{Value: 0.8, N: 10, Computed: ends("cluster-robust", 0.7, 0.95), Reported: tool}, 0.7, 0.95, "cluster-robust"},
		{"no proportion, by a computed standard error", "", record.Metric{Value: 0.8, N: 10, Computed: &record.Uncertainty{Method: "cluster-robust", StdErr: ptr(0.05)}}, 0.7020, 0.8980, "cluster-robust"},
		{"a standard error", "", record.Metric{Value: 0.8, N: 10, Reported: tool}, 0.6040, 0.9960, methodStdErr},
		{"the tool's interval", "", record.Metric{Value: 0.8, N: 10, Reported: ends("x", 0.5, 0.9)}, 0.5, 0.9, methodTool},
		{"a standard error of 0", "", record.Metric{Value: 0, N: 5000, Reported: &record.Uncertainty{StdErr: ptr(0.0)}}, 0, 0, methodNone},
		{"nothing", "", record.Metric{Value: 0.8, N: 10}, 0, 0, methodNone},
		// 1 - 0.05/10 = 99.5 %, whose quantile is 2.8070 and 1.43218 times 1.95996.
		{"counts, for one of ten tries", ", tries: { atMost: 10 }", record.Metric{Value: 0.8, N: 10, Successes: ptr(8)}, 0.3712, 0.9644, MethodWilson},
		{"a standard error, for one of ten tries", ", tries: { atMost: 10 }", record.Metric{Value: 0.8, N: 10, Reported: tool}, 0.5193, 1.0807, methodStdErr},
		{"an interval, widened for one of ten tries", ", tries: { atMost: 10 }", record.Metric{Value: 0.8, N: 10, Computed: ends("cluster-robust", 0.7, 0.82)}, 0.6568, 0.8286, "cluster-robust"},
		{"a proportion's interval ends at 1", ", tries: { atMost: 10 }", record.Metric{Value: 0.8, N: 10, Clusters: 5, Successes: ptr(8), Computed: ends("cluster-bootstrap", 0.6, 0.99)}, 0.5136, 1, "cluster-bootstrap"},
		{"one try widens nothing", ", tries: { atMost: 1 }", record.Metric{Value: 0.8, N: 10, Successes: ptr(8)}, 0.4902, 0.9433, MethodWilson},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, method := withTries(t, c.asked).interval(&c.m)
			near(t, "the lower bound", i.Lower, c.lower)
			near(t, "the upper bound", i.Upper, c.upper)
			if method != c.method {
				t.Errorf("method %s, want %s", method, c.method)
			}
		})
	}
}

// Put together from Wilson's intervals, the method of variance estimates
// recovery is Newcombe's.
func TestDifferenceWithoutCounts(t *testing.T) {
	e := withTries(t, "")
	a := record.Metric{Value: 0.8, N: 70, Successes: ptr(56)}
	b := record.Metric{Value: 0.6, N: 80, Successes: ptr(48)}
	i, method := e.difference(&a, &b)
	if method != methodNewcombe || i != statistics.Newcombe(56, 70, 48, 80, 0.95) {
		t.Errorf("%v by %s", i, method)
	}
	w := statistics.Wilson(56, 70, 0.95)
	a.Successes, a.Computed = nil, ends("cluster-robust", w.Lower, w.Upper)
	j, method := e.difference(&a, &b)
	if method != methodMover {
		t.Errorf("method %s", method)
	}
	near(t, "the lower bound", j.Lower, i.Lower)
	near(t, "the upper bound", j.Upper, i.Upper)
	a.Computed.StdErr, b.Reported = ptr(0.03), &record.Uncertainty{StdErr: ptr(0.04)}
	b.Successes = nil
	i, method = e.difference(&a, &b) // 0.2 ± 1.95996 · 0.05
	near(t, "the lower bound", i.Lower, 0.1020)
	near(t, "the upper bound", i.Upper, 0.2980)
	if method != methodStdErr {
		t.Errorf("method %s", method)
	}
}

// Counts of dependent items say less than they seem to.
func TestDependentItemsAreNotComparedByTheirCounts(t *testing.T) {
	e := withTries(t, "")
	a := record.Metric{Value: 0.8, N: 70, Successes: ptr(56), Clusters: 7, Computed: ends("cluster-bootstrap", 0.5, 0.95)}
	b := record.Metric{Value: 0.6, N: 80, Successes: ptr(48)}
	if i, method := e.difference(&a, &b); method != methodMover || i.Lower > -0.1 {
		t.Errorf("%v by %s", i, method)
	}
}
