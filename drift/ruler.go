package drift

import (
	"math"
	"slices"
)

// The counts of a feature lie side by side in slots. A numeric feature has
// missing, below, its bins, above; a categorical one has missing, unseen, its
// categories.
const (
	slotMissing    = 0
	slotBelow      = 1
	slotUnseen     = 1
	slotBins       = 2
	slotCategories = 2
)

// cells is the number of cells of a ruler's grid. With one byte each they stay
// in the first-level cache beside the tallies.
const cells = 4096

// maxInCell is the number of steps up to which walking from a cell's first slot
// beats a search over all edges.
const maxInCell = 3

// A ruler finds the slot of a value. An equal-width grid over the edges gives,
// for the value's cell, the lowest slot possible; from there it walks up. The
// map from values to cells never falls as values rise, whatever the rounding, so
// an edge in a lower cell is below the value and one in a higher cell above it,
// and only edges in the value's own cell need comparing: the slot is exact.
type ruler struct {
	low, scale float64
	// thresholds[s] is the least value that is above slot s, NaN for the last
	// slot, from which no comparison with it moves on.
	thresholds [MaxBins + 2]float64
	first      [cells]uint8
	// search holds the thresholds, padded with NaN to a power of two, if too many
	// of them fall in one cell, as when a few values are a million times the rest.
	search []float64
}

func newRuler(edges []float64) *ruler {
	r := &ruler{}
	steps := slices.Clone(edges)
	// The last bin holds its upper edge, so the first value above it is the next.
	steps[len(steps)-1] = math.Nextafter(edges[len(edges)-1], math.Inf(1))
	for s := range r.thresholds {
		r.thresholds[s] = math.NaN()
		if k := s - slotBelow; k >= 0 && k < len(steps) {
			r.thresholds[s] = steps[k]
		}
	}
	// The outer bins may be long: the grid covers the inner edges and as much
	// again on either side, if there is so much.
	inner := edges
	if len(edges) > 3 {
		inner = edges[1 : len(edges)-1]
	}
	width := inner[len(inner)-1] - inner[0]
	r.low = max(edges[0], inner[0]-width)
	high := min(steps[len(steps)-1], inner[len(inner)-1]+width)
	r.scale = cells / (high - r.low)
	if !finite(r.scale) || !finite(r.low) {
		r.low, r.scale = 0, 0
	}
	inCell := [cells]int{}
	for _, t := range steps {
		inCell[r.cell(t)]++
	}
	slot := slotBelow
	for c, n := range inCell {
		r.first[c] = uint8(slot)
		slot += n
	}
	if slices.Max(inCell[:]) > maxInCell {
		r.prepareSearch(steps)
	}
	return r
}

func (r *ruler) prepareSearch(steps []float64) {
	size := 1
	for size < len(steps)+1 {
		size *= 2
	}
	r.search = slices.Repeat([]float64{math.NaN()}, size)
	copy(r.search, steps)
}

// cell returns the cell of a value, which must not be NaN.
func (r *ruler) cell(v float64) int {
	x := (v - r.low) * r.scale
	if !(x > 0) { // also where infinities made it NaN
		return 0
	}
	if x > cells-1 {
		return cells - 1
	}
	return int(x)
}

// slot returns the slot of a value that is not NaN.
func (r *ruler) slot(v float64) uint8 {
	s := r.first[r.cell(v)&(cells-1)]
	for v >= r.thresholds[s] {
		s++
	}
	return s
}

// searchSlot is slot by halving. The outcome of a comparison is a number and
// steers no branch, so it takes as long whatever the values.
func (r *ruler) searchSlot(v float64) uint8 {
	at := 0
	for half := len(r.search) / 2; half > 0; half /= 2 {
		passed := 0
		if v >= r.search[at+half-1] {
			passed = 1
		}
		at += passed * half
	}
	return uint8(at + slotBelow)
}

// count adds the values to a feature's slots.
func (r *ruler) count(counts []int64, values []float64) {
	const batch = 1 << 30 // no tally overflows
	for len(values) > batch {
		r.countBatch(counts, values[:batch])
		values = values[batch:]
	}
	r.countBatch(counts, values)
}

// countBatch keeps tallies that neighbouring values use in turn: equal values
// one after the other would otherwise wait for each other's addition.
func (r *ruler) countBatch(counts []int64, values []float64) {
	var tally [2][256]uint32
	if r.search != nil {
		for i, v := range values {
			if v != v {
				tally[0][slotMissing]++
				continue
			}
			tally[i&1][r.searchSlot(v)]++
		}
	} else {
		for i, v := range values {
			if v != v {
				tally[0][slotMissing]++
				continue
			}
			tally[i&1][r.slot(v)]++
		}
	}
	for s := range counts {
		counts[s] += int64(tally[0][s]) + int64(tally[1][s])
	}
}
