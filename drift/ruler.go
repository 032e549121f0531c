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

// A ruler finds the slot of a value. A grid over the edges gives, for the value's
// cell, the lowest slot possible; from there it walks up. The map from values to
// cells never falls as values rise, whatever the rounding, so an edge in a lower cell
// is below the value and one in a higher cell above it, and only edges in the
// value's own cell need comparing: the slot is exact. Of two grids it takes the one
// whose fullest cell has fewer edges: cells of equal width, or, where a few values are a
// million times the rest, cells that widen with the values.
type ruler struct {
	grid grid
	// thresholds[s] is the least value that is above slot s, NaN for the last
	// slot, from which no comparison with it moves on.
	thresholds [MaxBins + 2]float64
	first      [cells]uint8
	fullest    uint8 // edges in one cell
}

// A grid has cells of equal width from low on, or, if it widens, of 2^shift
// neighbouring floating-point numbers from base on.
type grid struct {
	low, scale float64
	widens     bool
	base       uint64
	shift      uint
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
	r.lay(linearGrid(max(edges[0], inner[0]-width), min(steps[len(steps)-1], inner[len(inner)-1]+width)), steps)
	if full := r.fullest; full > maxInCell {
		linear := r.grid
		if r.lay(wideningGrid(inner[0], inner[len(inner)-1]), steps); r.fullest >= full {
			r.lay(linear, steps)
		}
	}
	return r
}

// lay lays a grid over the edges.
func (r *ruler) lay(g grid, steps []float64) {
	var in [cells]uint8
	for _, t := range steps {
		in[g.cell(t)]++
	}
	r.grid, r.fullest = g, slices.Max(in[:])
	slot := uint8(slotBelow)
	for c, n := range in {
		r.first[c] = slot
		slot += n
	}
}

// maxInCell is up to how many edges in a cell no other grid is tried.
const maxInCell = 3

func linearGrid(low, high float64) grid {
	g := grid{low: low, scale: cells / (high - low)}
	if !finite(g.scale) || !finite(g.low) {
		g.low, g.scale = 0, 0
	}
	return g
}

func wideningGrid(low, high float64) grid {
	g := grid{widens: true, base: rank(low)}
	for (rank(high)-g.base)>>g.shift >= cells {
		g.shift++
	}
	return g
}

// rank numbers floating-point values in their order; the two zeros are one apart.
func rank(v float64) uint64 {
	bits := math.Float64bits(v)
	return bits ^ (uint64(int64(bits)>>63) | 1<<63)
}

// cell returns the cell of a value, which must not be NaN.
func (g *grid) cell(v float64) int {
	if g.widens {
		return g.wideCell(v)
	}
	return g.linearCell(v)
}

func (g *grid) linearCell(v float64) int {
	x := (v - g.low) * g.scale
	if !(x > 0) { // also where infinities made it NaN
		return 0
	}
	if x > cells-1 {
		return cells - 1
	}
	return int(x)
}

func (g *grid) wideCell(v float64) int {
	at := rank(v + 0) // no negative zero, which equals the other
	return int(min((max(at, g.base)-g.base)>>g.shift, cells-1))
}

// slot returns the slot of a value that is not NaN.
func (r *ruler) slot(v float64) uint8 { return r.from(r.grid.cell(v), v) }

// from walks from a value's cell to its slot.
func (r *ruler) from(cell int, v float64) uint8 {
	s := r.first[cell&(cells-1)]
	for v >= r.thresholds[s] {
		s++
	}
	return s
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
	if r.grid.widens {
		for i, v := range values {
			if v != v {
				tally[0][slotMissing]++
				continue
			}
			tally[i&1][r.from(r.grid.wideCell(v), v)]++
		}
	} else {
		for i, v := range values {
			if v != v {
				tally[0][slotMissing]++
				continue
			}
			tally[i&1][r.from(r.grid.linearCell(v), v)]++
		}
	}
	for s := range counts {
		counts[s] += int64(tally[0][s]) + int64(tally[1][s])
	}
}
