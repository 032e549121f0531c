package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// A stream draws rows of four features: a bell, a heavy tail with many zeros, a
// count, and a category with a long tail of rare values; some values are missing.
type stream struct {
	rng   *rand.Rand
	shift float64 // of the first feature, in standard deviations
}

func newStream(seed uint64) *stream {
	return &stream{rng: rand.New(rand.NewPCG(seed, 7))}
}

func (s *stream) numbers(feature, n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		switch {
		case s.rng.IntN(50) == 0:
			values[i] = math.NaN()
		case feature == 0:
			values[i] = s.rng.NormFloat64() + s.shift
		case feature == 1:
			if s.rng.IntN(3) > 0 {
				values[i] = math.Exp(2 * s.rng.NormFloat64())
			}
		default:
			values[i] = math.Floor(s.rng.ExpFloat64() * 4)
		}
	}
	return values
}

func (s *stream) labels(n int) []string {
	values := make([]string, n)
	for i := range values {
		if s.rng.IntN(50) > 0 {
			values[i] = fmt.Sprint("c", math.Floor(s.rng.ExpFloat64()*3))
		}
	}
	return values
}

func (s *stream) frame(t testing.TB, n int) *Frame {
	return frameOf(t,
		numbers(t, "f0", s.numbers(0, n)), numbers(t, "f1", s.numbers(1, n)), numbers(t, "f2", s.numbers(2, n)),
		labels(t, "f3", s.labels(n)))
}

func (s *stream) window(f *Frame, n int) *Sketch {
	w := f.NewSketch()
	for i := range 3 {
		w.AddBatch(i, s.numbers(i, n))
	}
	w.AddCategories(3, s.labels(n))
	return w
}

// judge is Judge where nothing can go wrong.
func judge(t testing.TB, f *Frame, w *Sketch, s Settings) Report {
	t.Helper()
	r, err := Judge(f, w, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func long() bool { return os.Getenv("IMPRIMATUR_LONG") == "1" }

// Without drift at most Alpha of windows may breach, whatever their size and
// the reference's. Materiality is off here: it would only help. Each stream has
// a reference of its own, since a reference errs in the same way for all its
// windows. The numbers beside it are what the defaults see of a shift by a
// quarter of a standard deviation in one of the four features.
func TestFalseAlarmsAndDetection(t *testing.T) {
	streams, sizes := 150, []int{50, 100, 1000, 5000}
	if long() {
		streams, sizes = 1000, []int{50, 100, 200, 500, 1000, 5000, 20_000, 100_000}
	}
	strict := Defaults()
	strict.Alpha = 0.05
	strict.PSILimit, strict.MissingLimit, strict.UnseenLimit, strict.OutsideLimit = 0, 0, 0, 0
	for _, reference := range []int{500, 5000} {
		for _, n := range sizes {
			const windows = 3
			breaches, defaults, alarms, detected := 0, 0, 0, 0
			for seed := range streams {
				s := newStream(uint64(seed))
				f := s.frame(t, reference)
				state := State{}
				for range windows {
					w := s.window(f, n)
					if judge(t, f, w, strict).Outcome == Breach {
						breaches++
					}
					outcome := judge(t, f, w, Defaults()).Outcome
					if outcome == Breach {
						defaults++
					}
					state = state.Next(outcome, Defaults())
				}
				if state.Alarm {
					alarms++
				}
				s.shift = 0.25
				if judge(t, f, s.window(f, n), Defaults()).Features[0].Outcome == Breach {
					detected++
				}
			}
			t.Logf("reference %5d, window %6d: breaches at 0.05 without limits %.3f; with the defaults %.4f, alarms %d of %d; a quarter sd seen in %.2f",
				reference, n, rate(breaches, windows*streams), rate(defaults, windows*streams), alarms, streams, rate(detected, streams))
			mostOf(t, breaches, windows*streams, 0.05)
			mostOf(t, defaults, windows*streams, 0.01)
			if n >= 1000 && reference >= 5000 && rate(detected, streams) < 0.8 {
				t.Errorf("a quarter sd is seen in %d of %d windows of %d, want 0.8", detected, streams, n)
			}
		}
	}
}

func rate(k, n int) float64 { return float64(k) / float64(n) }

// mostOf fails the test if so many of n would be a chance of less than one in
// ten thousand at the rate.
func mostOf(t *testing.T, k, n int, most float64) {
	t.Helper()
	if p := 1 - (distuv.Binomial{N: float64(n), P: most}).CDF(float64(k-1)); k > 0 && p < 1e-4 {
		t.Errorf("%d of %d breach without drift, more than a rate of %v would give (P = %.1g)", k, n, most, p)
	}
}

// lottery draws windows without drift.
type lottery struct{ *rand.Rand }

func (l lottery) uniform(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = l.Float64()
	}
	return values
}

// rare has categories of which there are always more.
func (l lottery) rare(n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprint(int(1 / l.Float64()))
	}
	return values
}

// psi returns the P of a window of n values in bins that are equally likely.
func (l lottery) psi(n, m, bins int) float64 {
	window := make([]int64, bins)
	for range n {
		window[l.IntN(bins)]++
	}
	return psiCheck(slices.Repeat([]int64{int64(m / bins)}, bins), window, Defaults(), poolBins).P
}

// newcomers returns the P of what the baseline has not seen.
func (l lottery) newcomers(t *testing.T, reference Feature, fill func(*Sketch)) float64 {
	f := frameOf(t, reference)
	w := f.NewSketch()
	fill(w)
	return judge(t, f, w, Defaults()).Features[0].Checks[2].P
}

// Without drift each P is at most alpha no more often than alpha, also where it
// is small, as a correction over many checks needs, and in windows so small that
// the approximations are strained.
func TestProbabilitiesHoldTheirLevel(t *testing.T) {
	trials := 20_000
	if long() {
		trials = 500_000
	}
	l := lottery{rand.New(rand.NewPCG(3, 3))}
	for _, c := range []struct {
		name   string
		trials int
		p      func() float64
	}{
		{"psi of 50 in 5 bins", trials, func() float64 { return l.psi(50, 5000, 5) }},
		{"psi of 100 in 10 bins", trials, func() float64 { return l.psi(100, 10_000, 10) }},
		{"psi of 100 in 32 bins", trials, func() float64 { return l.psi(100, 9600, 32) }},
		{"psi of 1,000 in 10 bins", trials / 10, func() float64 { return l.psi(1000, 10_000, 10) }},
		{"outside of 60", trials / 5, func() float64 {
			return l.newcomers(t, numbers(t, "x", l.uniform(60)), func(w *Sketch) { w.AddBatch(0, l.uniform(60)) })
		}},
		{"unseen of 60", trials / 5, func() float64 {
			return l.newcomers(t, labels(t, "x", l.rare(60)), func(w *Sketch) { w.AddCategories(0, l.rare(60)) })
		}},
	} {
		levels := []float64{0.05, 0.01, 0.001}
		passed := make([]int, len(levels))
		for range c.trials {
			p := c.p()
			for i, level := range levels {
				if p <= level {
					passed[i]++
				}
			}
		}
		t.Logf("%s: %v of %d at %v", c.name, passed, c.trials, levels)
		for i, level := range levels {
			mostOf(t, passed[i], c.trials, level)
		}
	}
}
