package statistics

import "math"

// Test is the result of a test: its statistic, near standard normal where the
// null hypothesis holds, and its p-value.
type Test struct {
	Z, P float64
}

// scoreTest is one-sided: large differences speak against the null hypothesis.
func scoreTest(difference, variance float64) Test {
	z := standardised(difference, variance)
	return Test{Z: rounded(z), P: NormalCDF(-z)}
}

// standardised is ±Inf where a difference remains without any variance.
func standardised(difference, variance float64) float64 {
	if difference == 0 {
		return 0
	}
	return difference / math.Sqrt(max(variance, 0))
}

func validPairs(b, c, n int) bool { return b >= 0 && c >= 0 && n > 0 && b <= n && c <= n-b }

// McNemarExact returns the two-sided p-value of the exact test that two models
// are equally often right: b items only the first got right, c only the second.
// It is twice the smaller tail of Binomial(b+c, 1/2): McNemar (1947).
func McNemarExact(b, c int) float64 {
	if b < 0 || c < 0 {
		return 1
	}
	return min(1, 2*BinomialAtMost(min(b, c), b+c, 0.5))
}

// NonInferiority tests whether a candidate is worse than the model in
// production by less than the margin, on the same n items. b items only
// production got right, c only the candidate; the difference is (c-b)/n. A
// small P, one-sided, speaks for the candidate. At margin 0 the test is
// McNemar's without continuity correction; a negative margin asks for
// superiority by as much.
//
// It is the score test with the likelihood maximised where the difference is
// -margin: Nam (1997), Biometrics 53, and Tango (1998), Statistics in Medicine
// 17, equation 11.
func NonInferiority(b, c, n int, margin float64) Test {
	if !validPairs(b, c, n) || !(margin > -1 && margin < 1) {
		return Test{P: 1}
	}
	return scoreTest(pairedScore(b, c, n, -margin))
}

// Tango returns the score interval of the paired difference (c-b)/n, of the
// same counts as [NonInferiority]: all differences that its test does not
// reject. Tango (1998), section 4.
func Tango(b, c, n int, level float64) Interval {
	q, ok := critical(level)
	if !ok || !validPairs(b, c, n) {
		return anyDifference
	}
	d := float64(c-b) / float64(n)
	return invert(d, q.z, func(delta float64) float64 { return standardised(pairedScore(b, c, n, delta)) })
}

// invert returns the differences at which the statistic z, which falls as delta
// rises and is 0 at the estimate d, is within ±critical.
func invert(d, critical float64, z func(delta float64) float64) Interval {
	return Interval{
		Lower: min(d, rounded(bisect(-1, d, func(delta float64) float64 { return z(delta) - critical }))),
		Upper: max(d, rounded(bisect(d, 1, func(delta float64) float64 { return z(delta) + critical }))),
	}
}

// pairedScore returns c-b less its expectation where the difference is delta,
// and its variance there.
func pairedScore(b, c, n int, delta float64) (difference, variance float64) {
	if delta < 0 { // by symmetry, so that rarer below is a probability without cancellation
		difference, variance = pairedScore(c, b, n, -delta)
		return -difference, variance
	}
	N := float64(n)
	rarer := restrictedPair(float64(b), float64(c), N, delta)
	variance = N * (float64(2*rarer) + float64(delta*(1-delta)))
	return float64(c-b) - float64(N*delta), variance
}

// restrictedPair returns the most likely probability that only the first is
// right, where that of only the second is larger by delta, from 0 to 1: the
// larger root of 2n q² - B q - b δ(1-δ) = 0 (Tango, section 3).
func restrictedPair(b, c, n, delta float64) float64 {
	B := b + c + float64((c-b)*delta) - float64(2*n*delta)
	K := 8 * n * b * delta * (1 - delta)
	s := math.Sqrt(float64(B*B) + K)
	if B >= 0 {
		return (B + s) / (4 * n)
	}
	return K / (4 * n * (s - B)) // the same root, written without cancellation
}
