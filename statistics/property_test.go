package statistics_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"imprimatur.dev/statistics"
)

const z95 = 1.959963984540054

type counts struct{ s, n int }

func drawCounts(t *rapid.T, most int) counts {
	n := rapid.IntRange(1, most).Draw(t, "n")
	return counts{rapid.IntRange(0, n).Draw(t, "s"), n}
}

func drawLevel(t *rapid.T) float64 {
	return rapid.OneOf(rapid.SampledFrom([]float64{0.8, 0.9, 0.95, 0.99}), rapid.Float64Range(0.5, 0.999)).Draw(t, "level")
}

func TestProportionIntervals(t *testing.T) {
	for name, f := range map[string]func(s, n int, level float64) statistics.Interval{
		"Wilson": statistics.Wilson, "Clopper-Pearson": statistics.ClopperPearson,
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				c, level := drawCounts(t, 100_000), drawLevel(t)
				i, p := f(c.s, c.n, level), float64(c.s)/float64(c.n)
				if i.Lower < 0 || i.Upper > 1 || !i.Contains(p) {
					t.Fatalf("%v is not within %v", p, i)
				}
				if wider := f(c.s, c.n, level+(1-level)/2); wider.Lower > i.Lower || wider.Upper < i.Upper {
					t.Fatalf("at a higher level %v is not around %v", wider, i)
				}
				if c.s < c.n {
					if next := f(c.s+1, c.n, level); next.Lower < i.Lower || next.Upper < i.Upper {
						t.Fatalf("one success more lowers %v to %v", i, next)
					}
				}
				mirror := f(c.n-c.s, c.n, level)
				if math.Abs(mirror.Lower-(1-i.Upper)) > 1e-12 || math.Abs(mirror.Upper-(1-i.Lower)) > 1e-12 {
					t.Fatalf("%v is not the mirror of %v", mirror, i)
				}
			})
		})
	}
}

// The bounds are by definition the proportions from which the observed one is
// exactly z standard errors away, or whose tail is exactly 2.5 %.
func TestProportionIntervalsInvertTheirTests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCounts(t, 100_000)
		n, p := float64(c.n), float64(c.s)/float64(c.n)
		wilson, exact := statistics.Wilson(c.s, c.n, 0.95), statistics.ClopperPearson(c.s, c.n, 0.95)
		for _, q := range []float64{wilson.Lower, wilson.Upper} {
			if q > 0 && q < 1 && math.Abs(math.Abs(p-q)-z95*math.Sqrt(q*(1-q)/n)) > 1e-9 {
				t.Fatalf("the bound %v of %v is not at its distance", q, c)
			}
		}
		if c.s > 0 && math.Abs(statistics.BinomialAtLeast(c.s, c.n, exact.Lower)-0.025) > 1e-6 {
			t.Fatalf("the tail at the lower bound of %v is %v", exact, statistics.BinomialAtLeast(c.s, c.n, exact.Lower))
		}
		if c.s < c.n && math.Abs(statistics.BinomialAtMost(c.s, c.n, exact.Upper)-0.025) > 1e-6 {
			t.Fatalf("the tail at the upper bound of %v is %v", exact, statistics.BinomialAtMost(c.s, c.n, exact.Upper))
		}
	})
}

func TestTangoInvertsItsTest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20_000).Draw(t, "n")
		b := rapid.IntRange(0, n).Draw(t, "b")
		c := rapid.IntRange(0, n-b).Draw(t, "c")
		i, d := statistics.Tango(b, c, n, 0.95), float64(c-b)/float64(n)
		if i.Lower < -1 || i.Upper > 1 || !i.Contains(d) {
			t.Fatalf("%v is not within %v", d, i)
		}
		swapped := statistics.Tango(c, b, n, 0.95)
		if math.Abs(swapped.Lower+i.Upper) > 1e-11 || math.Abs(swapped.Upper+i.Lower) > 1e-11 {
			t.Fatalf("%v is not the mirror of %v", swapped, i)
		}
		for bound, want := range map[float64]float64{i.Lower: z95, i.Upper: -z95} {
			if math.Abs(bound) > 0.9999 {
				continue
			}
			test := statistics.NonInferiority(b, c, n, -bound)
			if math.Abs(test.Z-want) > 1e-6 {
				t.Fatalf("z at the bound %v is %v, want %v", bound, test.Z, want)
			}
			looser := statistics.NonInferiority(b, c, n, min(-bound+0.01, 0.9999))
			if looser.P > test.P {
				t.Fatalf("a wider margin raises the p-value from %v to %v", test.P, looser.P)
			}
		}
	})
}

func TestMiettinenNurminenInvertsItsTest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawCounts(t, 20_000), drawCounts(t, 20_000)
		i := statistics.MiettinenNurminen(x.s, x.n, y.s, y.n, 0.95)
		d := float64(x.s)/float64(x.n) - float64(y.s)/float64(y.n)
		if i.Lower < -1 || i.Upper > 1 || !i.Contains(d) {
			t.Fatalf("%v is not within %v", d, i)
		}
		N := float64(x.n + y.n)
		for bound, want := range map[float64]float64{i.Lower: z95, i.Upper: -z95} {
			if math.Abs(bound) > 0.9999 {
				continue
			}
			test := statistics.FarringtonManning(x.s, x.n, y.s, y.n, -bound)
			if math.Abs(test.Z*math.Sqrt((N-1)/N)-want) > 1e-5 {
				t.Fatalf("z at the bound %v is %v, want %v", bound, test.Z, want)
			}
		}
	})
}

func TestNewcombeContainsTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawCounts(t, 100_000), drawCounts(t, 100_000)
		i := statistics.Newcombe(x.s, x.n, y.s, y.n, drawLevel(t))
		d := float64(x.s)/float64(x.n) - float64(y.s)/float64(y.n)
		if i.Lower < -1-1e-15 || i.Upper > 1+1e-15 || !i.Contains(d) {
			t.Fatalf("%v is not within %v", d, i)
		}
	})
}

func TestQuantilesInvertTheirDistributions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Float64Range(1e-6, 1-1e-6).Draw(t, "p")
		a := rapid.Float64Range(2, 10_000).Draw(t, "a")
		b := rapid.Float64Range(2, 10_000).Draw(t, "b")
		for name, back := range map[string]float64{
			"normal":     statistics.NormalCDF(statistics.NormalQuantile(p)),
			"beta":       statistics.IncompleteBeta(a, b, statistics.IncompleteBetaInverse(a, b, p)),
			"chi-square": 1 - statistics.ChiSquareSurvival(statistics.ChiSquareQuantile(p, a), a),
		} {
			if math.Abs(back-p) > 1e-7 {
				t.Errorf("%s: %v comes back as %v (a %v, b %v)", name, p, back, a, b)
			}
		}
		if s := statistics.IncompleteBeta(a, b, p) + statistics.IncompleteBeta(b, a, 1-p); math.Abs(s-1) > 1e-9 {
			t.Errorf("both sides of %v sum to %v", p, s)
		}
	})
}

func TestAdjustedPValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Float64Range(0, 1)).Draw(t, "p")
		holm, screened := statistics.Holm(p), statistics.BenjaminiHochberg(p)
		for i := range p {
			if !(p[i] <= screened[i] && screened[i] <= holm[i] && holm[i] <= 1) {
				t.Fatalf("%v becomes %v and %v", p[i], screened[i], holm[i])
			}
			for j := range p {
				if p[i] < p[j] && (holm[i] > holm[j] || screened[i] > screened[j]) {
					t.Fatalf("%v and %v change their order", p[i], p[j])
				}
			}
		}
	})
}

// The number named is enough, and one fewer is not.
func TestItemsAreEnoughAndFewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit, level := rapid.Float64Range(1e-4, 0.9).Draw(t, "limit"), drawLevel(t)
		n, ok := statistics.ItemsForUpperBound(0, limit, level)
		if !ok || statistics.Wilson(0, n, level).Upper > limit || n > 1 && statistics.Wilson(0, n-1, level).Upper <= limit {
			t.Fatalf("%d items for %v at %v (%v)", n, limit, level, ok)
		}
		n, ok = statistics.ItemsForLowerBound(1, limit, level)
		if !ok || statistics.Wilson(n, n, level).Lower < limit || n > 1 && statistics.Wilson(n-1, n-1, level).Lower >= limit {
			t.Fatalf("%d items for %v at %v (%v)", n, limit, level, ok)
		}
		n, ok = statistics.ItemsForNoFailure(limit, level)
		tail := func(n int) float64 { return math.Pow(1-limit, float64(n)) - (1 - level) }
		if !ok || tail(n) > 1e-11 || n > 1 && tail(n-1) < -1e-11 {
			t.Fatalf("%d items for %v at %v (%v)", n, limit, level, ok)
		}
	})
}

// At the very bound of n items the answer is n, whatever rounding does to the
// estimate.
func TestItemsAtTheBound(t *testing.T) {
	for n := 1; n <= 3000; n++ {
		upper, lower := statistics.Wilson(0, n, 0.95).Upper, statistics.Wilson(n, n, 0.95).Lower
		if got, ok := statistics.ItemsForUpperBound(0, upper, 0.95); !ok || got != n {
			t.Errorf("%d items for the upper bound of %d (%v)", got, n, ok)
		}
		if got, ok := statistics.ItemsForUpperBound(0, math.Nextafter(upper, 0), 0.95); !ok || got != n+1 {
			t.Errorf("%d items for just less than the upper bound of %d (%v)", got, n, ok)
		}
		if got, ok := statistics.ItemsForLowerBound(1, lower, 0.95); !ok || got != n {
			t.Errorf("%d items for the lower bound of %d (%v)", got, n, ok)
		}
	}
}

// Counts too large to be summed in half a word take the plain path.
func TestBootstrapRatioDoesNotOverflow(t *testing.T) {
	const large = 1 << 31
	values, err := statistics.BootstrapRatio([32]byte{}, []float64{large, large, large}, []float64{large, large, large}, 20)
	if err != nil || values[0] != 1 || values[19] != 1 {
		t.Errorf("%v (%v), want 1 throughout", values, err)
	}
}

// A sum over clusters in any order and with any weights is the ratio's, and the
// fast path gives the values of the plain one.
func TestBootstrapRatioIsBootstrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 30).Draw(t, "clusters")
		whole := rapid.Map(rapid.IntRange(0, 1000), func(n int) float64 { return float64(n) })
		signed := rapid.Map(rapid.IntRange(-1000, 1000), func(n int) float64 { return float64(n) })
		a := rapid.SliceOfN(rapid.SampledFrom([]*rapid.Generator[float64]{whole, signed}).Draw(t, "kind"), k, k).Draw(t, "a")
		b := rapid.SliceOfN(whole, k, k).Draw(t, "b")
		seed := [32]byte{byte(k)}
		plain := statistics.Bootstrap(seed, k, 50, statistics.Ratio(a, b))
		fast, err := statistics.BootstrapRatio(seed, a, b, 50)
		same := func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }
		if err != nil || !slices.EqualFunc(plain, fast, same) {
			t.Fatalf("%v, %v and %v", err, plain, fast)
		}
	})
}

func TestROCAUCIsTheShareOfPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		truth := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "truth")
		scores := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 0.1, 0.5, 0.7, 1, 3}), n, n).Draw(t, "scores")
		var won, pairs float64
		for i := range n {
			for j := range n {
				if truth[i] && !truth[j] {
					pairs += 2
					switch {
					case scores[i] > scores[j]:
						won += 2
					case scores[i] == scores[j]:
						won++
					}
				}
			}
		}
		a, err := statistics.ROCAUC(truth, scores)
		if (err != nil) != (pairs == 0) || err == nil && a != won/pairs {
			t.Fatalf("%v (%v), want %v/%v", a, err, won, pairs)
		}
	})
}
