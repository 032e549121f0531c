package statistics

import (
	"math"
	"strconv"

	"gonum.org/v1/gonum/mathext"
)

// rounded leaves 12 decimal places of a number within 1 of 0, and 12
// significant digits of a larger one.
func rounded(x float64) float64 {
	if math.Abs(x) < 1 {
		return math.Round(x*1e12) / 1e12
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	short, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 11, 64), 64)
	return short
}

// bisect returns where the falling function f passes through 0 between lower
// and upper, to the last bit that halving can tell apart.
func bisect(lower, upper float64, f func(float64) float64) float64 {
	for {
		middle := lower + (upper-lower)/2
		// A zero at 0 itself would be halved towards for a thousand steps.
		if middle <= lower || middle >= upper || upper-lower < 1e-30 {
			return middle
		}
		if f(middle) > 0 {
			lower = middle
		} else {
			upper = middle
		}
	}
}

// NormalCDF returns the probability that a standard normal variable is at most x.
func NormalCDF(x float64) float64 { return rounded(0.5 * math.Erfc(-x/math.Sqrt2)) }

// NormalQuantile returns the x at which NormalCDF is p; ±Inf at 0 and 1, and
// not a number outside. Wichura (1988), algorithm AS 241.
func NormalQuantile(p float64) float64 {
	if !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	return rounded(mathext.NormalQuantile(p))
}

// StudentQuantile returns the x that a variable of Student's distribution with
// the given degrees of freedom exceeds with probability 1-p; ±Inf at 0 and 1,
// and not a number outside. By the inverse incomplete beta function: Abramowitz
// and Stegun 26.5.27.
func StudentQuantile(p, freedom float64) float64 {
	switch {
	case !(p >= 0 && p <= 1) || !positive(freedom):
		return math.NaN()
	case p == 0 || p == 1:
		return math.Inf(int(2*p - 1))
	}
	// Of both tails together x is freedom/(freedom+t²) and y its complement; the
	// one that is solved for is the smaller, or t would lose its digits.
	tails := 2 * min(p, 1-p)
	x := bisect(0, 1, func(x float64) float64 { return tails - incompleteBeta(freedom/2, 0.5, x, 1-x) })
	y := 1 - x
	if x > 0.5 {
		y = bisect(0, 1, func(y float64) float64 { return 1 - tails - incompleteBeta(0.5, freedom/2, y, 1-y) })
		x = 1 - y
	}
	t := math.Sqrt(freedom * y / x)
	if p < 0.5 {
		t = -t
	}
	return rounded(t)
}

// ChiSquareSurvival returns the probability that a chi-square variable with the
// given degrees of freedom exceeds x. It is 1 for a negative x, and for degrees
// of freedom that are not positive.
func ChiSquareSurvival(x, freedom float64) float64 {
	if !(x > 0) || !(freedom > 0) || math.IsInf(freedom, 1) {
		return 1
	}
	if math.IsInf(x, 1) {
		return 0
	}
	return rounded(mathext.GammaIncRegComp(freedom/2, x/2))
}

// ChiSquareQuantile returns the x that a chi-square variable with the given
// degrees of freedom exceeds with probability 1-p: the critical value of a test
// at the level alpha is at p = 1-alpha. Not a number outside 0 to 1.
func ChiSquareQuantile(p, freedom float64) float64 {
	if !(p >= 0 && p <= 1) || !(freedom > 0) || math.IsInf(freedom, 1) {
		return math.NaN()
	}
	return rounded(2 * mathext.GammaIncRegCompInv(freedom/2, 1-p))
}

// BinomialAtMost returns the exact probability of at most s successes in n
// independent trials, each with probability p.
func BinomialAtMost(s, n int, p float64) float64 {
	switch {
	case n < 0 || !(p >= 0 && p <= 1) || s >= n:
		return 1
	case s < 0:
		return 0
	}
	return rounded(incompleteBeta(float64(n-s), float64(s+1), 1-p, p))
}

// BinomialAtLeast returns the exact probability of at least s successes in n
// independent trials, each with probability p.
func BinomialAtLeast(s, n int, p float64) float64 {
	switch {
	case n < 0 || !(p >= 0 && p <= 1) || s <= 0:
		return 1
	case s > n:
		return 0
	}
	return rounded(incompleteBeta(float64(s), float64(n-s+1), p, 1-p))
}
