package demo

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat"
)

// calibrationError returns the expected calibration error over the rows picked:
// the gap between mean score and share of positives in ten bins of equal width,
// weighted by the rows in the bin. Source: Naeini, Cooper and Hauskrecht, AAAI
// 2015. It is never below the truth on average: few rows make it larger.
func calibrationError(scores, labels []float64, picked []int) float64 {
	var gap [10]float64 // the sum of score less label
	for _, i := range picked {
		gap[min(int(scores[i]*10), 9)] += scores[i] - labels[i]
	}
	var sum float64
	for _, g := range gap {
		sum += math.Abs(g)
	}
	return sum / float64(len(picked))
}

// edges returns the cuts that part the values into that many bins of equal
// share: the empirical quantiles 1/bins to (bins-1)/bins. A bin holds what lies
// at or below its upper cut; the outer two are open.
func edges(values []float64, bins int) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	cuts := make([]float64, bins-1)
	for k := range cuts {
		cuts[k] = stat.Quantile(float64(k+1)/float64(bins), stat.Empirical, sorted, nil)
	}
	return cuts
}

// binOf returns the bin of each value under the cuts.
func binOf(values, cuts []float64) []int {
	out := make([]int, len(values))
	for i, v := range values {
		out[i] = sort.SearchFloat64s(cuts, v)
	}
	return out
}

// psi returns the population stability index Σ (q-p) ln(q/p) over the bins'
// shares before (p) and after (q), of the rows picked. Half an item is added to
// every bin of both sides, so that an empty one has a logarithm, and one with a
// single item does not weigh less than none. Source of the index: Siddiqi,
// Credit Risk Scorecards (2006); of what values to expect from chance alone,
// Yurdakul and Naranjo, Journal of Risk Model Validation 14 (2020).
func psi(before, after []int, bins int, picked []int) float64 {
	p, q := make([]float64, bins), make([]float64, bins)
	for k := range bins {
		p[k], q[k] = 0.5, 0.5
	}
	for _, i := range picked {
		p[before[i]]++
		q[after[i]]++
	}
	total := float64(len(picked)) + 0.5*float64(bins)
	var sum float64
	for k := range bins {
		sum += (q[k] - p[k]) / total * math.Log(q[k]/p[k])
	}
	return sum
}

// bootstrap returns the standard deviation of a statistic over 200 resamples of
// n rows: its standard error. Source: Efron and Tibshirani, An Introduction to
// the Bootstrap (1993), chapter 6, which finds 200 enough for a standard error.
func bootstrap(n int, statistic func(picked []int) float64) float64 {
	random := rand.New(rand.NewPCG(Seed, 0))
	picked := make([]int, n)
	values := make([]float64, 200)
	for r := range values {
		for i := range picked {
			picked[i] = random.IntN(n)
		}
		values[r] = statistic(picked)
	}
	return stat.StdDev(values, nil)
}

func each(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
