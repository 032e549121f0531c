package statistics

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Draws is the number of draws of a bootstrap that decides on a release.
const Draws = 10_000

// A Statistic computes a number from items whose clusters are repeated:
// weights[c] times for cluster c. It is not a number where it is undefined. It
// must not keep the weights, nor run twice at the same time.
type Statistic func(weights []uint32) float64

// Bootstrap draws as many clusters as there are, with replacement, and returns
// the statistic of each draw, sorted, with undefined values first. The package
// comment states the generator.
func Bootstrap(seed [32]byte, clusters, draws int, statistic Statistic) []float64 {
	values := make([]float64, 0, max(draws, 0))
	if clusters <= 0 {
		return values
	}
	source := rand.NewChaCha8(seed)
	weights := make([]uint32, clusters)
	for range draws {
		clear(weights)
		for range clusters {
			weights[pick(source, clusters)]++
		}
		values = append(values, statistic(weights))
	}
	slices.Sort(values)
	return values
}

// pick favours no cluster by more than one part in 2^64/k, which no number of
// draws could show.
func pick(source *rand.ChaCha8, k int) uint64 {
	high, _ := bits.Mul64(source.Uint64(), uint64(k))
	return high
}

// Ratio returns the statistic of a ratio of sums, given the sums of each
// cluster: a mean, with the number of items as denominators, or a precision, a
// recall, an F1. [BootstrapRatio] computes its draws faster.
func Ratio(numerators, denominators []float64) Statistic {
	return func(weights []uint32) float64 {
		var a, b float64
		for c, w := range weights {
			a += float64(float64(w) * numerators[c])
			b += float64(float64(w) * denominators[c])
		}
		return quotient(a, b)
	}
}

// quotient is undefined, not infinite, over 0.
func quotient(a, b float64) float64 {
	if b == 0 {
		return math.NaN()
	}
	return a / b
}

// Difference returns the statistic a - b on the same draws: two models on the
// same items.
func Difference(a, b Statistic) Statistic {
	return func(weights []uint32) float64 { return a(weights) - b(weights) }
}

// BootstrapRatio is Bootstrap of [Ratio], with the sums taken in the order of
// the draw. Whole numbers, as counts are, give the same values either way.
func BootstrapRatio(seed [32]byte, numerators, denominators []float64, draws int) ([]float64, error) {
	k := len(numerators)
	if err := sameLength(k, len(denominators), "denominators"); err != nil {
		return nil, err
	}
	if err := errors.Join(finite(numerators, "numerator"), finite(denominators, "denominator")); err != nil {
		return nil, err
	}
	values := make([]float64, 0, max(draws, 0))
	source := rand.NewChaCha8(seed)
	if pairs, ok := packed(numerators, denominators); ok {
		for range draws {
			var sum uint64
			for range pairs {
				sum += pairs[pick(source, k)]
			}
			values = append(values, quotient(float64(sum>>32), float64(sum&math.MaxUint32)))
		}
	} else {
		for range draws {
			var a, b float64
			for range k {
				c := pick(source, k)
				a += numerators[c]
				b += denominators[c]
			}
			values = append(values, quotient(a, b))
		}
	}
	slices.Sort(values)
	return values, nil
}

// packed puts each cluster's counts into one word, so that one addition sums
// both; ok is false unless no draw can overflow its half.
func packed(numerators, denominators []float64) (pairs []uint64, ok bool) {
	limit := float64(math.MaxUint32 / len(numerators))
	pairs = make([]uint64, len(numerators))
	for i, a := range numerators {
		b := denominators[i]
		if !(a >= 0 && a <= limit && a == math.Trunc(a) && b >= 0 && b <= limit && b == math.Trunc(b)) {
			return nil, false
		}
		pairs[i] = uint64(a)<<32 | uint64(b)
	}
	return pairs, true
}

// ErrUndefined and ErrCollapsed are the reasons for which draws make no interval.
var (
	ErrUndefined = errors.New("the statistic is undefined on too many draws: there are too few items of some kind")
	ErrCollapsed = errors.New("all draws give the same value: the items show no variation from which an interval could be computed")
)

// Percentile returns the percentile interval of the draws of [Bootstrap]:
// Efron (1979), by the rule in the package comment. Draws that all agree are no
// ground for an interval of no width: they give ErrCollapsed, and too many
// undefined ones ErrUndefined.
func Percentile(draws []float64, level float64) (Interval, error) {
	if len(draws) == 0 || !(level > 0 && level < 1) {
		return Interval{}, fmt.Errorf("no interval of %d draws at the level %v", len(draws), level)
	}
	undefined := 0
	for undefined < len(draws) && math.IsNaN(draws[undefined]) {
		undefined++
	}
	defined := draws[undefined:]
	left := leftOut(len(draws), level) - undefined
	if left < 0 || len(defined) == 0 {
		return Interval{}, ErrUndefined
	}
	if defined[0] == defined[len(defined)-1] {
		return Interval{}, ErrCollapsed
	}
	return Interval{defined[left], defined[len(defined)-1-left]}, nil
}

// leftOut returns ⌊draws·(1-level)/2⌋, in whole numbers, as (1-0.9)/2 is not
// 0.05 in a float64.
func leftOut(draws int, level float64) int {
	const parts = 1_000_000_000
	high, low := bits.Mul64(uint64(draws), parts-uint64(math.Round(level*parts)))
	quotient, _ := bits.Div64(high, low, 2*parts)
	return int(quotient)
}
