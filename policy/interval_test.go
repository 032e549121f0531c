package policy

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 0.00005 {
		t.Errorf("%s is %.5f, published as %.4f", what, got, want)
	}
}

// Newcombe, Two-sided confidence intervals for the single proportion,
// Statistics in Medicine 17 (1998) 857-872, table I, method 3.
func TestWilsonAsPublished(t *testing.T) {
	for _, c := range []struct {
		s, n         int
		lower, upper float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		lower, upper := Wilson(c.s, c.n)
		near(t, "the lower bound", lower, c.lower)
		near(t, "the upper bound", upper, c.upper)
	}
}

// Newcombe, Interval estimation for the difference between independent
// proportions, Statistics in Medicine 17 (1998) 873-890, table II, method 10.
func TestNewcombeAsPublished(t *testing.T) {
	for _, c := range []struct {
		s1, n1, s2, n2 int
		lower, upper   float64
	}{
		{56, 70, 48, 80, 0.0524, 0.3339},
		{9, 10, 3, 10, 0.1705, 0.8090},
		{6, 7, 2, 7, 0.0582, 0.8062},
		{5, 56, 0, 29, -0.0381, 0.1926},
		{0, 10, 0, 20, -0.1611, 0.2775},
		{0, 10, 0, 10, -0.2775, 0.2775},
		{10, 10, 0, 20, 0.6791, 1},
		{10, 10, 0, 10, 0.6075, 1},
	} {
		lower, upper := Newcombe(c.s1, c.n1, c.s2, c.n2)
		near(t, "the lower bound", lower, c.lower)
		near(t, "the upper bound", upper, c.upper)
	}
}

// The Wilson bounds are by definition the proportions from which the observed
// one is exactly z standard errors away.
func TestWilsonSolvesItsEquation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1_000_000).Draw(t, "n")
		s := rapid.IntRange(0, n).Draw(t, "s")
		lower, upper := Wilson(s, n)
		p := float64(s) / float64(n)
		if lower < 0 || lower > p || p > upper || upper > 1 {
			t.Fatalf("%v is not within %v to %v", p, lower, upper)
		}
		for _, q := range []float64{lower, upper} {
			if q == 0 || q == 1 {
				continue
			}
			if d := math.Abs(math.Abs(p-q) - z*math.Sqrt(q*(1-q)/float64(n))); d > 1e-9 {
				t.Fatalf("the bound %v of %d/%d is off by %v", q, s, n, d)
			}
		}
	})
}

func TestIntervalPrefersCounts(t *testing.T) {
	counts, stdErr, zero, low, high := 8, 0.1, 0.0, 0.5, 0.9
	for _, c := range []struct {
		name         string
		m            record.Metric
		lower, upper float64
		method       string
	}{
		{"counts", record.Metric{Value: 0.8, N: 10, Successes: &counts, Reported: &record.Uncertainty{StdErr: &stdErr, Lower95: &low, Upper95: &high}}, 0.4902, 0.9433, methodWilson},
		{"a standard error", record.Metric{Value: 0.8, N: 10, Reported: &record.Uncertainty{StdErr: &stdErr, Lower95: &low, Upper95: &high}}, 0.6040, 0.9960, methodStdErr},
		{"the tool's interval", record.Metric{Value: 0.8, N: 10, Reported: &record.Uncertainty{Lower95: &low, Upper95: &high}}, 0.5, 0.9, methodTool},
		{"a standard error of 0", record.Metric{Value: 0, N: 5000, Reported: &record.Uncertainty{StdErr: &zero}}, 0, 0, methodNone},
		{"nothing", record.Metric{Value: 0.8, N: 10}, 0, 0, methodNone},
	} {
		lower, upper, method := interval(c.m)
		near(t, c.name, lower, c.lower)
		near(t, c.name, upper, c.upper)
		if method != c.method {
			t.Errorf("%s: method %s, want %s", c.name, method, c.method)
		}
	}
}
