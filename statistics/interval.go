package statistics

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Interval is a closed interval. Lower is at most Upper.
type Interval struct {
	Lower, Upper float64
}

// Contains tells whether x is within the bounds or on one of them.
func (i Interval) Contains(x float64) bool { return i.Lower <= x && x <= i.Upper }

// hull returns the narrowest interval that holds both.
func (i Interval) hull(j Interval) Interval {
	return Interval{min(i.Lower, j.Lower), max(i.Upper, j.Upper)}
}

var (
	anyProportion = Interval{0, 1}
	anyDifference = Interval{-1, 1}
	anyNumber     = Interval{math.Inf(-1), math.Inf(1)}
)

// quantile is the two-sided critical value of the standard normal distribution
// at a level, and its square.
type quantile struct{ z, square float64 }

// The usual critical values, as written in every table, to the precision of a
// float64. Their squares are taken before rounding: the last bit of an interval
// depends on it.
const (
	z80  = 1.2815515655446004
	z90  = 1.6448536269514722
	z95  = 1.959963984540054
	z98  = 2.3263478740408408
	z99  = 2.5758293035489004
	z999 = 3.2905267314919255
)

var usualQuantiles = map[float64]quantile{
	0.8: {z80, z80 * z80}, 0.9: {z90, z90 * z90}, 0.95: {z95, z95 * z95},
	0.98: {z98, z98 * z98}, 0.99: {z99, z99 * z99}, 0.999: {z999, z999 * z999},
}

// critical returns the critical value of a level; ok is false outside 0 to 1.
func critical(level float64) (q quantile, ok bool) {
	if !(level > 0 && level < 1) {
		return quantile{}, false
	}
	if q, ok = usualQuantiles[level]; ok {
		return q, true
	}
	z := rounded(-mathext.NormalQuantile((1 - level) / 2))
	return quantile{z, z * z}, true
}

func validCounts(s, n int) bool { return 0 <= s && s <= n && n > 0 }

// Wilson returns the score interval for s successes in n trials: Wilson (1927),
// in the form of Brown, Cai and DasGupta (2001), equation 4. It is honest at
// the edges, where an interval from the standard error collapses: at level 0.95,
// 0 of 50 reaches up to 7.1 %.
func Wilson(s, n int, level float64) Interval {
	q, ok := critical(level)
	if !ok || !validCounts(s, n) {
		return anyProportion
	}
	return score(float64(s)/float64(n), float64(n), q)
}

// score is Wilson's interval for the proportion p of n trials.
func score(p, n float64, q quantile) Interval {
	denominator := 1 + float64(q.square/n)
	centre := (p + float64(q.square/float64(2*n))) / denominator
	variance := float64(float64(p*(1-p))/n) + float64(q.square/float64(float64(4*n)*n))
	half := float64(q.z/denominator) * math.Sqrt(variance)
	i := Interval{centre - float64(half), centre + float64(half)}
	// At the edges the bound is exactly 0 or 1, which rounding would miss.
	if p == 0 {
		i.Lower = 0
	}
	if p == 1 {
		i.Upper = 1
	}
	return i
}

// ClopperPearson returns the exact interval for s successes in n trials:
// Clopper and Pearson (1934), by quantiles of the beta distribution. It covers
// at least at its level whatever the true proportion, and is wider than Wilson.
func ClopperPearson(s, n int, level float64) Interval {
	if !validCounts(s, n) || !(level > 0 && level < 1) {
		return anyProportion
	}
	tail := (1 - level) / 2
	i := anyProportion
	if s > 0 {
		i.Lower = IncompleteBetaInverse(float64(s), float64(n-s+1), tail)
	}
	if s < n {
		// By the mirrored distribution, whose tail is the small one.
		i.Upper = rounded(1 - IncompleteBetaInverse(float64(n-s), float64(s+1), tail))
	}
	return i
}

// Newcombe returns the hybrid score interval for the difference of two
// independent proportions, s1/n1 - s2/n2: Newcombe (1998), method 10.
func Newcombe(s1, n1, s2, n2 int, level float64) Interval {
	q, ok := critical(level)
	if !ok || !validCounts(s1, n1) || !validCounts(s2, n2) {
		return anyDifference
	}
	p1, p2 := float64(s1)/float64(n1), float64(s2)/float64(n2)
	i1, i2 := score(p1, float64(n1), q), score(p2, float64(n2), q)
	d := p1 - p2
	return Interval{d - root(p1-i1.Lower, i2.Upper-p2), d + root(i1.Upper-p1, p2-i2.Lower)}
}

// root returns the square root of the sum of two squares.
func root(a, b float64) float64 { return math.Sqrt(float64(a*a) + float64(b*b)) }

// MeanInterval returns the interval of a mean from its standard error, by the
// normal approximation, unbounded to both sides. A standard error of 0 proves
// nothing: tools report it where all items agree.
func MeanInterval(mean, stdErr, level float64) Interval {
	q, ok := critical(level)
	if !ok || math.IsNaN(mean) || math.IsInf(mean, 0) || !(stdErr > 0) || math.IsInf(stdErr, 1) {
		return anyNumber
	}
	half := float64(q.z * stdErr)
	return Interval{mean - half, mean + half}
}
