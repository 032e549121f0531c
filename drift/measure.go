package drift

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// PSI returns the population stability index of two histograms over the same
// bins, which is Jeffreys' divergence of their shares: the sum over the bins of
// (r-c)·ln(r/c). Smoothing is added to every count first; with 0, a bin that is
// empty on one side only makes the index infinite. It is 0 for equal shares; a
// normal feature whose mean moves by x standard deviations has about x². Common
// use calls 0.1 some and 0.25 much drift, whatever the sample sizes (Siddiqi
// 2006); of those sizes see PSIFloor.
func PSI(reference, current []int64, smoothing float64) float64 {
	r := shares(reference, smoothing)
	c := shares(current, smoothing)
	return psi(r, c)
}

func psi(r, c []float64) float64 {
	sum := 0.0
	for i := range r {
		if r[i] != c[i] {
			sum += float64((r[i] - c[i]) * math.Log(r[i]/c[i]))
		}
	}
	return sum
}

// PSIFloor returns the PSI that two samples of n and m values of one
// distribution, in the given number of bins, exceed with probability alpha:
// the 1-alpha quantile of chi-square with bins-1 degrees of freedom, times
// 1/n + 1/m (Yurdakul and Naranjo 2020). Bins must be at least 2.
func PSIFloor(bins int, n, m int64, alpha float64) float64 {
	return distuv.ChiSquared{K: float64(bins - 1)}.Quantile(1-alpha) * (1/float64(n) + 1/float64(m))
}

// psiP is the alpha at which the floor is the index.
func psiP(index float64, bins int, n, m int64) float64 {
	return chiSquareP(index/(1/float64(n)+1/float64(m)), bins-1)
}

// JensenShannon returns the Jensen-Shannon distance, the square root of the
// divergence, of two histograms over the same bins, with logarithms to the given
// base. The base decides the scale: the greatest distance is 1 in base 2, as in
// NannyML, and 0.833 in base e, as in Evidently, whose default threshold is 0.1.
func JensenShannon(reference, current []int64, base float64) float64 {
	return jensenShannon(shares(reference, 0), shares(current, 0)) / math.Sqrt(math.Log(base))
}

func jensenShannon(r, c []float64) float64 {
	sum := 0.0
	for i := range r {
		mean := (r[i] + c[i]) / 2
		if r[i] > 0 {
			sum += float64(r[i] * math.Log(r[i]/mean))
		}
		if c[i] > 0 {
			sum += float64(c[i] * math.Log(c[i]/mean))
		}
	}
	return math.Sqrt(max(sum, 0) / 2)
}

// KolmogorovSmirnov bounds the Kolmogorov-Smirnov statistic, the greatest
// distance of two distribution functions, from histograms over the same bins in
// ascending order, values out of range included as the first and last. At the
// edges the distance is known, and least is the greatest of these; within a bin
// it is not, and greatest is what it could reach there. The statistic of the
// values is in between; SampleKolmogorovSmirnov finds it.
func KolmogorovSmirnov(reference, current []int64) (least, greatest float64) {
	r, c := shares(reference, 0), shares(current, 0)
	sumR, sumC := 0.0, 0.0
	for i := range r {
		nextR, nextC := sumR+r[i], sumC+c[i]
		least = max(least, math.Abs(nextR-nextC))
		greatest = max(greatest, nextR-sumC, nextC-sumR)
		sumR, sumC = nextR, nextC
	}
	return least, min(greatest, 1)
}

// Wasserstein returns the first Wasserstein distance, in units of the
// reference's standard deviation sd, of two histograms between edges, taking
// each bin's values as spread evenly over it. It is an estimate: the distance of
// the values differs from it by at most the mean width of the bin in which a
// value falls, on each side. Values out of range are not in it. As in Evidently,
// an sd below 0.001 counts as 0.001; its default threshold is 0.1.
func Wasserstein(edges []float64, reference, current []int64, sd float64) float64 {
	r, c := shares(reference, 0), shares(current, 0)
	sum, gap := 0.0, 0.0 // gap is the difference of the distribution functions
	for i := range r {
		next := gap + r[i] - c[i]
		width := edges[i+1] - edges[i]
		area := (math.Abs(gap) + math.Abs(next)) / 2
		if gap*next < 0 { // they cross within the bin: two triangles
			area = (float64(gap*gap) + float64(next*next)) / (2 * math.Abs(next-gap))
		}
		sum += float64(width * area)
		gap = next
	}
	return sum / max(sd, leastSD)
}

const leastSD = 0.001

// A Test is the outcome of a chi-square test. With one group only there are no
// degrees of freedom, and P is 1.
type Test struct {
	Statistic float64
	Freedom   int
	P         float64
}

// ChiSquareFit tests whether current has the shares of reference, taken as
// known exactly (Pearson's goodness of fit, as in Evidently, whose default
// threshold is P < 0.05). A group that is empty in the reference only makes the
// statistic infinite and P 0. The reference's own sampling error is left out: for
// a reference that is not much larger than the window use ChiSquareTable.
func ChiSquareFit(reference, current []int64) Test {
	scale := float64(total(current)) / float64(total(reference))
	t := Test{Freedom: -1}
	for i, n := range reference {
		expected := float64(n) * scale
		if n == 0 && current[i] == 0 {
			continue
		}
		d := float64(current[i]) - expected
		t.Statistic += d * d / expected
		t.Freedom++
	}
	t.P = chiSquareP(t.Statistic, t.Freedom)
	return t
}

// ChiSquareTable tests whether both are samples of one distribution (Pearson's
// test of the two-row contingency table, without correction for continuity). It
// is an approximation for expected counts from about 5 on (Cochran 1954).
func ChiSquareTable(reference, current []int64) Test {
	n, m := float64(total(reference)), float64(total(current))
	t := Test{Freedom: -1}
	for i := range reference {
		both := float64(reference[i] + current[i])
		if both == 0 {
			continue
		}
		// Both rows' cells together: their deviations are equal but for the sign.
		d := float64(current[i]) - both*m/(n+m)
		t.Statistic += d * d * (n + m) * (n + m) / (both * n * m)
		t.Freedom++
	}
	t.P = chiSquareP(t.Statistic, t.Freedom)
	return t
}

func chiSquareP(statistic float64, freedom int) float64 {
	switch {
	case freedom < 1 || statistic <= 0:
		return 1
	case math.IsInf(statistic, 1):
		return 0
	}
	return distuv.ChiSquared{K: float64(freedom)}.Survival(statistic)
}

// shares returns each count's part of the whole, after smoothing; of nothing at
// all, zeros.
func shares(counts []int64, smoothing float64) []float64 {
	s := make([]float64, len(counts))
	all := float64(total(counts)) + float64(smoothing*float64(len(counts)))
	for i, n := range counts {
		if all > 0 {
			s[i] = (float64(n) + smoothing) / all
		}
	}
	return s
}

func total(counts []int64) int64 {
	var sum int64
	for _, n := range counts {
		sum += n
	}
	return sum
}
