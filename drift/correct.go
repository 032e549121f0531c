package drift

import (
	"cmp"
	"math"
	"slices"
)

// A verdict is a check that can be decided, with what its floor needs.
type verdict struct {
	*Check
	reference, window int64 // values
}

// correct decides the checks together: it fills in Adjusted, Floor and Outcome.
func correct(decided []*verdict, s Settings) {
	slices.SortStableFunc(decided, func(a, b *verdict) int { return cmp.Compare(a.P, b.P) })
	levels := holm
	if s.Correction == BenjaminiHochberg {
		levels = benjaminiHochberg
	}
	levels(decided, s.Alpha, func(v *verdict, adjusted, level float64) {
		v.Adjusted = adjusted
		if v.Groups > 1 && !v.Exact {
			v.Floor = PSIFloor(v.Groups, v.reference, v.window, level)
		}
		size := v.Value
		if v.Measure == MissingRate {
			size = math.Abs(size)
		}
		v.Outcome = Steady
		if adjusted <= s.Alpha && size > v.Limit {
			v.Outcome = Breach
		}
	})
}

// holm multiplies the least P by the number of checks, the next by one less, and
// so on; none is below the one before. The level that a check must pass is that
// of its rank, or that of the first check that fails.
func holm(sorted []*verdict, alpha float64, decide func(v *verdict, adjusted, level float64)) {
	adjusted, level := 0.0, 0.0
	for i, v := range sorted {
		left := float64(len(sorted) - i)
		if adjusted <= alpha {
			level = alpha / left
		}
		adjusted = max(adjusted, min(1, v.P*left))
		decide(v, adjusted, level)
	}
}

// benjaminiHochberg multiplies each P by the number of checks and divides it by
// its rank; none is above the one after. The level is that of the last check
// that passes.
func benjaminiHochberg(sorted []*verdict, alpha float64, decide func(v *verdict, adjusted, level float64)) {
	n := float64(len(sorted))
	adjusted, level := make([]float64, len(sorted)), alpha/n
	least := 1.0
	for i := len(sorted) - 1; i >= 0; i-- {
		rank := float64(i + 1)
		least = min(least, sorted[i].P*n/rank)
		adjusted[i] = least
		if least <= alpha {
			level = max(level, alpha*rank/n)
		}
	}
	for i, v := range sorted {
		decide(v, adjusted[i], level)
	}
}
