package statistics

// FarringtonManning tests whether a candidate with s1 successes in n1 trials is
// worse than the model in production, with s2 in n2 other trials, by less than
// the margin: the unpaired counterpart of [NonInferiority], for items that are
// not the same. It is the score test with the likelihood maximised where the
// difference s1/n1 - s2/n2 is -margin: Farrington and Manning (1990), Statistics
// in Medicine 9.
func FarringtonManning(s1, n1, s2, n2 int, margin float64) Test {
	if !validCounts(s1, n1) || !validCounts(s2, n2) || !(margin > -1 && margin < 1) {
		return Test{P: 1}
	}
	return scoreTest(sample{s1, n1, s2, n2}.score(-margin))
}

// MiettinenNurminen returns the score interval of the difference of two
// independent proportions, s1/n1 - s2/n2: Miettinen and Nurminen (1985),
// Statistics in Medicine 4. Their variance is larger by N/(N-1), with N both
// trials together, than that of [FarringtonManning]; so the interval is
// slightly wider than what that test does not reject.
func MiettinenNurminen(s1, n1, s2, n2 int, level float64) Interval {
	q, ok := critical(level)
	if !ok || !validCounts(s1, n1) || !validCounts(s2, n2) {
		return anyDifference
	}
	d := float64(s1)/float64(n1) - float64(s2)/float64(n2)
	N := float64(n1) + float64(n2)
	return invert(d, q.z, func(delta float64) float64 {
		difference, variance := sample{s1, n1, s2, n2}.score(delta)
		return standardised(difference, variance*N/(N-1))
	})
}

// sample is two independent samples: successes and trials.
type sample struct{ s1, n1, s2, n2 int }

// score returns the observed difference less delta, and its variance under the
// most likely pair of proportions that differ by delta.
func (s sample) score(delta float64) (difference, variance float64) {
	n1, n2 := float64(s.n1), float64(s.n2)
	difference = float64(s.s1)/n1 - float64(s.s2)/n2 - delta
	p2 := s.restricted(delta)
	p1 := min(max(p2+delta, 0), 1)
	return difference, float64(p1*(1-p1))/n1 + float64(p2*(1-p2))/n2
}

// restricted returns the most likely second proportion where the first is
// larger by delta. The published closed form, a root of a cubic by cosines,
// loses half of its digits at the edges; the derivative of the likelihood
// falls throughout, so its zero is found by halving.
func (s sample) restricted(delta float64) float64 {
	term := func(count int, p float64) float64 {
		if count == 0 {
			return 0
		}
		return float64(count) / p
	}
	return bisect(max(0, -delta), min(1, 1-delta), func(p float64) float64 {
		return term(s.s1, p+delta) - term(s.n1-s.s1, 1-p-delta) + term(s.s2, p) - term(s.n2-s.s2, 1-p)
	})
}
