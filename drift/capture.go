package drift

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
)

// DefaultBins returns the number of bins for n reference values: the whole part
// of 2·n^(2/5) (Moore 1986, after Mann and Wald 1942), at least 10, the deciles
// of the PSI tradition, and at most 32, beyond which a window of usual size
// would only pool them again. 100 values have 12, 1,000 have 31.
func DefaultBins(n int) int {
	// In whole numbers, so that every machine agrees: b <= 2·n^(2/5) is b^5 <= 32·n².
	b := 10
	for b < 32 && math.Pow(float64(b+1), 5) <= 32*float64(n)*float64(n) {
		b++
	}
	return b
}

// QuantileEdges returns the edges of about equally full bins, at most bins of
// them, from values of which NaN and infinities do not count. Inner edge i of B
// is the value of rank i·n/B, rounded down, in ascending order; equal edges are
// one edge; the outer edges are the least and the greatest value. If there are
// at most B distinct values, each has a bin of its own. Nil if no value is
// finite.
func QuantileEdges(values []float64, bins int) []float64 {
	sorted := sortedFinite(values)
	if len(sorted) == 0 {
		return nil
	}
	distinct := slices.Compact(slices.Clone(sorted))
	greatest := sorted[len(sorted)-1]
	if len(distinct) <= bins {
		return append(distinct, greatest)
	}
	edges := []float64{sorted[0]}
	for i := 1; i < bins; i++ {
		if e := sorted[i*len(sorted)/bins]; e > edges[len(edges)-1] {
			edges = append(edges, e)
		}
	}
	return append(edges, greatest)
}

// LinearEdges returns the edges of bins of equal width from low to high, which
// must be finite and low < high, for a quantity whose range is known in advance.
func LinearEdges(low, high float64, bins int) []float64 {
	edges := make([]float64, bins+1)
	for i := range edges {
		edges[i] = low + float64(float64(i)*((high-low)/float64(bins)))
	}
	edges[bins] = high
	return edges
}

// CaptureNumbers counts the reference values of a numeric feature in quantile
// bins, DefaultBins of them. NaN is missing.
func CaptureNumbers(name string, source Source, values []float64) (Feature, error) {
	n := 0
	for _, v := range values {
		if finite(v) {
			n++
		}
	}
	return CaptureEdges(name, source, values, QuantileEdges(values, DefaultBins(n)))
}

// CaptureEdges counts the reference values of a numeric feature between given
// edges, as Feature describes them. NaN is missing.
func CaptureEdges(name string, source Source, values, edges []float64) (Feature, error) {
	f := Feature{Name: name, Source: source, Kind: Numeric, Edges: slices.Clone(edges)}
	f.Mean, f.SD = moments(values)
	if err := validateEdges(edges); err != nil {
		return Feature{}, fmt.Errorf("%w: feature %q %w", ErrBaseline, name, err)
	}
	counts := make([]int64, slotBins+len(edges))
	newRuler(edges).count(counts, values)
	last := len(counts) - 1
	f.Missing, f.Below, f.Bins, f.Above = counts[slotMissing], counts[slotBelow], counts[slotBins:last], counts[last]
	if err := f.validate(); err != nil {
		return Feature{}, fmt.Errorf("%w: feature %q %w", ErrBaseline, name, err)
	}
	return f, nil
}

// CaptureCategories counts the reference values of a categorical feature. The
// empty string is missing. If there are more than MaxCategories the rarest, and
// among equals the last by name, count as unseen.
func CaptureCategories(name string, source Source, values []string) (Feature, error) {
	f := Feature{Name: name, Source: source, Kind: Categorical}
	counts := map[string]int64{}
	for _, v := range values {
		counts[v]++
	}
	f.Missing = counts[""]
	delete(counts, "")
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		f.Categories = append(f.Categories, Category{v, counts[v]})
	}
	if len(f.Categories) > MaxCategories {
		slices.SortStableFunc(f.Categories, func(a, b Category) int { return cmp.Compare(b.Count, a.Count) })
		for _, c := range f.Categories[MaxCategories:] {
			f.Unseen += c.Count
		}
		f.Categories = f.Categories[:MaxCategories]
		slices.SortFunc(f.Categories, func(a, b Category) int { return cmp.Compare(a.Name, b.Name) })
	}
	if err := f.validate(); err != nil {
		return Feature{}, fmt.Errorf("%w: feature %q %w", ErrBaseline, name, err)
	}
	return f, nil
}

// sortedFinite returns the finite values in ascending order, with the negative
// zero as zero, since JSON has one zero only.
func sortedFinite(values []float64) []float64 {
	kept := make([]float64, 0, len(values))
	for _, v := range values {
		if finite(v) {
			kept = append(kept, v+0)
		}
	}
	slices.Sort(kept)
	return kept
}

// moments returns the mean and the population standard deviation of the finite
// values, or zeros. The conversions forbid fusing a product and a sum, so that
// every machine gets the same bits.
func moments(values []float64) (mean, sd float64) {
	n, sum := 0.0, 0.0
	for _, v := range values {
		if finite(v) {
			n++
			sum += v
		}
	}
	if n == 0 {
		return 0, 0
	}
	mean = sum / n
	squares := 0.0
	for _, v := range values {
		if finite(v) {
			squares += float64((v - mean) * (v - mean))
		}
	}
	return mean, math.Sqrt(squares / n)
}
