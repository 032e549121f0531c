package policy

import (
	"math"

	"imprimatur.dev/record"
)

// z is the 0.975 quantile of the standard normal distribution.
const z = 1.959963984540054

// The conversions to float64 below look idle. They forbid the compiler to fuse
// a product and a sum, as it does on some machines, so that every machine gets
// the same bits and an auditor the same verdict. math.Hypot is avoided for the
// same reason; math.Sqrt is exact everywhere.

// Wilson returns the 95 % score interval for s successes in n trials: Wilson
// (1927), in the form of Brown, Cai and DasGupta (2001), equation 4. It is
// honest at the edges, where an interval from the standard error collapses:
// 0 of 50 reaches up to 7.1 %. n must be positive.
func Wilson(s, n int) (lower, upper float64) {
	N := float64(n)
	p := float64(s) / N
	const z2 = z * z
	denominator := 1 + float64(z2/N)
	centre := (p + float64(z2/float64(2*N))) / denominator
	variance := float64(float64(p*(1-p))/N) + float64(z2/float64(float64(4*N)*N))
	half := float64(z/denominator) * math.Sqrt(variance)
	lower, upper = centre-float64(half), centre+float64(half)
	// At the edges the bound is exactly 0 or 1, which rounding would miss.
	if s == 0 {
		lower = 0
	}
	if s == n {
		upper = 1
	}
	return lower, upper
}

// Newcombe returns the 95 % hybrid score interval for the difference of two
// independent proportions, s1/n1 - s2/n2: Newcombe (1998), method 10. Both
// counts of trials must be positive.
func Newcombe(s1, n1, s2, n2 int) (lower, upper float64) {
	p1, p2 := float64(s1)/float64(n1), float64(s2)/float64(n2)
	l1, u1 := Wilson(s1, n1)
	l2, u2 := Wilson(s2, n2)
	d := p1 - p2
	return d - root(p1-l1, u2-p2), d + root(u1-p1, p2-l2)
}

// root returns the square root of the sum of two squares.
func root(a, b float64) float64 { return math.Sqrt(float64(a*a) + float64(b*b)) }

// The methods by which an interval came about, as record.Numbers names them.
const (
	methodWilson   = "wilson"
	methodNewcombe = "newcombe"
	methodStdErr   = "standard-error"
	methodTool     = "tool"
	methodNone     = "none"
)

// interval returns a metric's 95 % interval from the best ground there is: what
// we computed from its items, its counts, then the tool's standard error, then
// the tool's interval. A standard error of 0 is no ground: tools report it where
// all items agree.
func interval(m record.Metric) (lower, upper float64, method string) {
	switch {
	case m.Computed != nil && m.Computed.Lower95 != nil:
		return *m.Computed.Lower95, *m.Computed.Upper95, m.Computed.Method
	case m.Successes != nil && m.N > 0:
		lower, upper = Wilson(*m.Successes, m.N)
		return lower, upper, methodWilson
	case m.Reported == nil:
		return 0, 0, methodNone
	case m.Reported.StdErr != nil && *m.Reported.StdErr > 0:
		half := float64(z * *m.Reported.StdErr)
		return m.Value - half, m.Value + half, methodStdErr
	case m.Reported.Lower95 != nil:
		return *m.Reported.Lower95, *m.Reported.Upper95, methodTool
	default:
		return 0, 0, methodNone
	}
}

// difference returns the 95 % interval of a - b.
func difference(a, b record.Metric) (lower, upper float64, method string) {
	if a.Successes != nil && b.Successes != nil && a.N > 0 && b.N > 0 {
		lower, upper = Newcombe(*a.Successes, a.N, *b.Successes, b.N)
		return lower, upper, methodNewcombe
	}
	sa, oka := standardError(a)
	sb, okb := standardError(b)
	if !oka || !okb {
		return 0, 0, methodNone
	}
	d, half := a.Value-b.Value, float64(z*root(sa, sb))
	return d - half, d + half, methodStdErr
}

func standardError(m record.Metric) (float64, bool) {
	for _, u := range []*record.Uncertainty{m.Computed, m.Reported} {
		if u != nil && u.StdErr != nil && *u.StdErr > 0 {
			return *u.StdErr, true
		}
	}
	return 0, false
}
