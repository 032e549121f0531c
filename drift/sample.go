package drift

import (
	"math"
	"slices"
)

// SamplePSI returns the population stability index of two samples as Evidently
// 0.7 does. NaN and infinities are left out. If the reference has more than 20
// distinct values the bins are equally wide over both samples together, as many
// as Sturges' rule gives; otherwise each distinct value of either is a bin. The
// shares of empty bins are 0.0001, or a millionth of the least share that is not
// 0 if that is 0.0001 or less. Evidently's default threshold is 0.1.
func SamplePSI(reference, current []float64) float64 {
	r, c := binned(sortedFinite(reference), sortedFinite(current))
	return evidentlyPSI(r, c)
}

// SamplePSICategories is SamplePSI for categories, each a bin. The empty string
// is left out.
func SamplePSICategories(reference, current []string) float64 {
	r, c := perValue(present(reference), present(current))
	return evidentlyPSI(r, c)
}

// SampleJensenShannon returns the Jensen-Shannon distance in base e of two
// samples in the bins of SamplePSI, empty ones left empty, as Evidently 0.7
// does. Its default threshold is 0.1.
func SampleJensenShannon(reference, current []float64) float64 {
	r, c := binned(sortedFinite(reference), sortedFinite(current))
	return JensenShannon(r, c, math.E)
}

// SampleJensenShannonCategories is SampleJensenShannon for categories.
func SampleJensenShannonCategories(reference, current []string) float64 {
	r, c := perValue(present(reference), present(current))
	return JensenShannon(r, c, math.E)
}

// SampleWasserstein returns the first Wasserstein distance of two samples in
// units of the reference's population standard deviation, or of 0.001 if that is
// greater, as Evidently 0.7 does. NaN and infinities are left out. Its default
// threshold is 0.1.
func SampleWasserstein(reference, current []float64) float64 {
	r, c := sortedFinite(reference), sortedFinite(current)
	_, sd := moments(r)
	sum, last := 0.0, math.NaN()
	walk(r, c, func(v, atR, atC float64) {
		if !math.IsNaN(last) {
			sum += float64((v - last) * math.Abs(atR-atC))
		}
		last = v
	})
	return sum / max(sd, leastSD)
}

// SampleKolmogorovSmirnov returns the two-sided two-sample Kolmogorov-Smirnov
// statistic, and the probability of at least as much if both samples are of one
// continuous distribution; with ties that is too high, never too low. NaN and
// infinities are left out. Up to 10,000 values a side the probability is exact,
// beyond that the asymptotic one, the same choice as SciPy's ks_2samp and so
// Evidently 0.7, whose default threshold is P <= 0.05. If a side is empty they
// are 0 and 1.
func SampleKolmogorovSmirnov(reference, current []float64) (statistic, p float64) {
	r, c := sortedFinite(reference), sortedFinite(current)
	if len(r) == 0 || len(c) == 0 {
		return 0, 1
	}
	walk(r, c, func(_, belowR, belowC float64) {
		statistic = max(statistic, math.Abs(belowR-belowC))
	})
	return statistic, smirnovP(statistic, len(r), len(c))
}

// SampleChiSquare is ChiSquareFit over the categories of both samples, as in
// Evidently 0.7. The empty string is left out.
func SampleChiSquare(reference, current []string) Test {
	return ChiSquareFit(perValue(present(reference), present(current)))
}

// walk visits the distinct values of two sorted samples in ascending order,
// each with the shares of the samples up to and with it. So the shares between
// that value and the next are known: those of the visit before, at the next.
func walk(r, c []float64, visit func(v, below, belowC float64)) {
	i, k := 0, 0
	shareR, shareC := 0.0, 0.0
	for i < len(r) || k < len(c) {
		v := math.Inf(1)
		if i < len(r) {
			v = r[i]
		}
		if k < len(c) {
			v = min(v, c[k])
		}
		visit(v, shareR, shareC)
		for i < len(r) && r[i] == v {
			i++
		}
		for k < len(c) && c[k] == v {
			k++
		}
		shareR, shareC = float64(i)/float64(len(r)), float64(k)/float64(len(c))
	}
}

// binned counts two sorted samples as SamplePSI says.
func binned(r, c []float64) (countsR, countsC []int64) {
	if len(slices.Compact(slices.Clone(r))) <= 20 || len(c) == 0 {
		return perValue(r, c)
	}
	edges := sturges(min(r[0], c[0]), max(r[len(r)-1], c[len(c)-1]), len(r)+len(c))
	return histogram(r, edges), histogram(c, edges)
}

// sturges returns the edges of numpy.histogram_bin_edges(bins="sturges"), by the
// same arithmetic: a value on an edge must fall to the same side.
func sturges(low, high float64, n int) []float64 {
	bins := int(math.Ceil((high - low) / ((high - low) / (math.Log2(float64(n)) + 1))))
	step := (high - low) / float64(bins)
	edges := make([]float64, bins+1)
	for i := range edges {
		edges[i] = float64(float64(i)*step) + low
	}
	edges[bins] = high
	return edges
}

// histogram counts sorted values, all between the outer edges.
func histogram(sorted, edges []float64) []int64 {
	counts := make([]int64, len(edges)-1)
	from := 0
	for i := range counts {
		to := len(sorted)
		if i < len(counts)-1 {
			to, _ = slices.BinarySearch(sorted, edges[i+1])
		}
		counts[i] = int64(to - from)
		from = to
	}
	return counts
}

// perValue counts two samples in a bin for each value that either has.
func perValue[T interface{ ~string | ~float64 }](r, c []T) (countsR, countsC []int64) {
	bins := map[T]int{}
	count := func(values []T, to, other *[]int64) {
		for _, v := range values {
			bin, ok := bins[v]
			if !ok {
				bin = len(bins)
				bins[v] = bin
				*to, *other = append(*to, 0), append(*other, 0)
			}
			(*to)[bin]++
		}
	}
	count(r, &countsR, &countsC)
	count(c, &countsC, &countsR)
	return countsR, countsC
}

func evidentlyPSI(r, c []int64) float64 {
	return psi(fillEmpty(shares(r, 0)), fillEmpty(shares(c, 0)))
}

// fillEmpty gives empty bins Evidently's shares; the sum is then a little over 1.
func fillEmpty(shares []float64) []float64 {
	least := math.Inf(1)
	for _, s := range shares {
		if s > 0 {
			least = min(least, s)
		}
	}
	fill := 0.0001
	if least <= 0.0001 {
		fill = least / 1e6
	}
	for i, s := range shares {
		if s == 0 {
			shares[i] = fill
		}
	}
	return shares
}

func present(values []string) []string {
	kept := make([]string, 0, len(values))
	for _, v := range values {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return kept
}
