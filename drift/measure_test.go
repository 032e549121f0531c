package drift

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func close9(t *testing.T, name string, got, want float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > 1e-9 {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

func TestMeasuresByHand(t *testing.T) {
	ln := math.Log
	close9(t, "PSI", PSI([]int64{50, 50}, []int64{25, 75}, 0), 0.25*ln(2)+0.25*ln(1.5))
	close9(t, "smoothed PSI", PSI([]int64{1, 0}, []int64{0, 1}, 1), 2*(2./3-1./3)*ln(2))
	if got := PSI([]int64{1, 1}, []int64{2, 0}, 0); !math.IsInf(got, 1) {
		t.Errorf("PSI with an empty bin is %v, want infinity", got)
	}
	close9(t, "JS base 2 of disjoint", JensenShannon([]int64{7, 0}, []int64{0, 3}, 2), 1)
	close9(t, "JS base e of disjoint", JensenShannon([]int64{7, 0}, []int64{0, 3}, math.E), math.Sqrt(ln(2)))
	// Chi-square with 9 degrees of freedom: 16.919 at 0.95, in any printed table.
	if got := PSIFloor(10, 100, 300, 0.05) / (1./100 + 1./300); math.Abs(got-16.919) > 5e-4 {
		t.Errorf("the floor is the quantile %v, want 16.919", got)
	}
	close9(t, "P at the floor", psiP(PSIFloor(7, 80, 90, 0.003), 7, 80, 90), 0.003)

	least, greatest := KolmogorovSmirnov([]int64{2, 2, 0}, []int64{0, 2, 2})
	close9(t, "least KS", least, 0.5)
	close9(t, "greatest KS", greatest, 1)

	edges := []float64{0, 1, 3}
	// Even spread over [0,1] against [1,3]: the distance of the means.
	close9(t, "Wasserstein of neighbours", Wasserstein(edges, []int64{5, 0}, []int64{0, 9}, 0.5), 1.5/0.5)
	// Distribution functions that cross in the middle of the only wide bin.
	close9(t, "Wasserstein that crosses", Wasserstein([]float64{0, 1, 2, 3}, []int64{1, 0, 1}, []int64{0, 2, 0}, 1), 0.25+0.25+0.25)
	close9(t, "Wasserstein of a constant", Wasserstein(edges, []int64{5, 0}, []int64{0, 9}, 0), 1.5/0.001)

	fit := ChiSquareFit([]int64{10, 20, 10, 0}, []int64{20, 40, 20, 0})
	if fit != (Test{Statistic: 0, Freedom: 2, P: 1}) {
		t.Errorf("fit of equal shares is %+v", fit)
	}
	// Expected 25 and 25: (15² + 15²)/25 = 18, whose root is 4.243 standard deviations.
	fit = ChiSquareFit([]int64{1, 1}, []int64{40, 10})
	close9(t, "fit", fit.Statistic, 18)
	close9(t, "P of the fit", fit.P, math.Erfc(math.Sqrt(18./2)))
	// A fourfold table: N(ad-bc)²/((a+b)(c+d)(a+c)(b+d)) = 60·600²/(30·30·40·20).
	table := ChiSquareTable([]int64{10, 20}, []int64{10 + 20, 0})
	close9(t, "table", table.Statistic, 60*600*600./(30*30*40*20))
	if table.Freedom != 1 || ChiSquareTable([]int64{3, 0}, []int64{5, 0}).P != 1 {
		t.Errorf("degrees of freedom of the tables are wrong: %+v", table)
	}
}

// Fisher's lady tasting tea: three of four right by guessing is 17 in 70.
func TestRateTest(t *testing.T) {
	upper, two := RateTest(1, 4, 3, 4)
	close9(t, "upper", upper, 17./70)
	close9(t, "two-sided", two, 34./70)
	upper, _ = RateTest(3, 4, 1, 4)
	close9(t, "the other way", upper, 69./70)
	upper, two = RateTest(0, 9, 0, 5)
	close9(t, "no events, upper", upper, 1)
	close9(t, "no events, two-sided", two, 1)
	if upper, _ := RateTest(0, 500, 5, 0); upper < 0 || upper > 1 {
		t.Errorf("an empty window has P %v", upper)
	}
	sizes := []int64{1, 2, 7, 30, 61}
	for _, n := range sizes {
		for _, m := range sizes {
			for a := range n + 1 {
				for b := range m + 1 {
					sameAsSum(t, a, n, b, m)
				}
			}
		}
	}
}

// sameAsSum holds RateTest to the sum of all terms of both tails.
func sameAsSum(t *testing.T, a, n, b, m int64) {
	t.Helper()
	wantUpper, wantLower := 0.0, 0.0
	for x := max(0, a+b-n); x <= min(a+b, m); x++ {
		term := math.Exp(logChoose(float64(m), float64(x)) + logChoose(float64(n), float64(a+b-x)) - logChoose(float64(n+m), float64(a+b)))
		if x >= b {
			wantUpper += term
		}
		if x <= b {
			wantLower += term
		}
	}
	upper, two := RateTest(a, n, b, m)
	wantTwo := min(1, 2*min(wantUpper, wantLower))
	if math.Abs(upper-wantUpper) > 1e-9 || math.Abs(two-wantTwo) > 1e-9 {
		t.Fatalf("RateTest(%d, %d, %d, %d) is %v and %v, the sums %v and %v", a, n, b, m, upper, two, wantUpper, wantTwo)
	}
}

// The bounds from bins hold the statistic of the values, and the estimate of the
// Wasserstein distance is as near as it says.
func TestBinnedMeasuresHoldTheSampleOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Map(rapid.IntRange(-40, 40), func(i int) float64 { return float64(i) / 4 })
		reference := rapid.SliceOfN(value, 2, 80).Draw(t, "reference")
		current := rapid.SliceOfN(value, 2, 80).Draw(t, "current")
		edges := LinearEdges(-10, 10, rapid.IntRange(1, 30).Draw(t, "bins"))
		r, err := CaptureEdges("x", Input, reference, edges)
		if err != nil {
			t.Fatal(err)
		}
		c, err := CaptureEdges("x", Input, current, edges)
		if err != nil {
			t.Fatal(err)
		}
		least, greatest := KolmogorovSmirnov(r.Bins, c.Bins)
		exact, _ := SampleKolmogorovSmirnov(reference, current)
		if exact < least-1e-12 || exact > greatest+1e-12 {
			t.Fatalf("the statistic %v is outside its bounds %v and %v", exact, least, greatest)
		}
		if r.SD > leastSD {
			binned, exact := Wasserstein(edges, r.Bins, c.Bins, r.SD), SampleWasserstein(reference, current)
			if width := edges[1] - edges[0]; math.Abs(binned-exact)*r.SD > 2*width+1e-9 {
				t.Fatalf("the Wasserstein distance from bins is %v, from values %v: more than two widths apart", binned, exact)
			}
		}
	})
}

func TestPooling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reference := rapid.SliceOfN(rapid.Int64Range(0, 60), 1, 40).Draw(t, "reference")
		reference[0]++
		window := rapid.SliceOfN(rapid.Int64Range(0, 60), len(reference), len(reference)).Draw(t, "window")
		most := rapid.IntRange(2, 20).Draw(t, "most")
		least := leastInGroup(reference, window)
		for name, pool := range map[string]func(a, b []int64, n int) (x, y []int64){"bins": poolBins, "categories": poolCategories} {
			r, w := pool(reference, window, most)
			if total(r) != total(reference) || total(w) != total(window) || len(r) != len(w) {
				t.Fatalf("%s: pooling loses counts: %v of %v, %v of %v", name, r, reference, w, window)
			}
			if len(r) > 1 && slices.Min(r[:len(r)-1]) < least || name == "bins" && len(r) > max(most, 1) {
				t.Fatalf("%s: %v has a group below %d, or more than %d groups", name, r, least, most)
			}
			if name == "bins" && len(r) > 1 && r[len(r)-1] < least {
				t.Fatalf("the last group of %v is below %d", r, least)
			}
		}
	})
	even := slices.Repeat([]int64{100}, 32)
	r, _ := poolBins(even, even, 10)
	if len(r) != 10 || slices.Min(r) != 300 || slices.Max(r) != 400 {
		t.Errorf("32 equal bins are pooled to %v, want ten groups of three or four", r)
	}
}

// What is out of range is in the outer bins, so that nothing moves out of sight.
func TestFolded(t *testing.T) {
	if got := folded([]int64{9, 1, 2, 3, 4}); !slices.Equal(got, []int64{3, 7}) {
		t.Errorf("two bins with 1 below and 4 above are folded to %v, want [3 7]", got)
	}
	if got := folded([]int64{9, 1, 2, 4}); !slices.Equal(got, []int64{7}) {
		t.Errorf("one bin with 1 below and 4 above is folded to %v, want [7]", got)
	}
}
