package statistics_test

import (
	"errors"
	"math"
	"testing"

	"imprimatur.dev/statistics"
)

func TestNonsenseProvesNothing(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name string
		got  statistics.Interval
		want statistics.Interval
	}{
		{"no trials", statistics.Wilson(0, 0, 0.95), statistics.Interval{Lower: 0, Upper: 1}},
		{"more successes than trials", statistics.Wilson(5, 3, 0.95), statistics.Interval{Lower: 0, Upper: 1}},
		{"a negative count", statistics.ClopperPearson(-1, 3, 0.95), statistics.Interval{Lower: 0, Upper: 1}},
		{"the level 1", statistics.Wilson(1, 3, 1), statistics.Interval{Lower: 0, Upper: 1}},
		{"no level", statistics.ClopperPearson(1, 3, nan), statistics.Interval{Lower: 0, Upper: 1}},
		{"no trials of one", statistics.Newcombe(1, 2, 0, 0, 0.95), statistics.Interval{Lower: -1, Upper: 1}},
		{"no trials of the other", statistics.MiettinenNurminen(0, 0, 1, 2, 0.95), statistics.Interval{Lower: -1, Upper: 1}},
		{"more discordant pairs than pairs", statistics.Tango(6, 6, 10, 0.95), statistics.Interval{Lower: -1, Upper: 1}},
		{"a standard error of 0", statistics.MeanInterval(1, 0, 0.95), statistics.Interval{Lower: math.Inf(-1), Upper: math.Inf(1)}},
		{"a mean that is no number", statistics.MeanInterval(nan, 1, 0.95), statistics.Interval{Lower: math.Inf(-1), Upper: math.Inf(1)}},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	for name, p := range map[string]float64{
		"negative pairs":       statistics.McNemarExact(-1, 4),
		"too many pairs":       statistics.NonInferiority(math.MaxInt, math.MaxInt, 10, 0.1).P,
		"a margin of 1":        statistics.NonInferiority(0, 1, 10, 1).P,
		"no trials":            statistics.FarringtonManning(0, 0, 9, 10, 0.1).P,
		"no margin":            statistics.FarringtonManning(1, 2, 1, 2, nan).P,
		"p-values not a value": statistics.Holm([]float64{nan})[0],
		"p-values negative":    statistics.BenjaminiHochberg([]float64{-1})[0],
	} {
		if p != 1 {
			t.Errorf("%s: a p-value of %v, want 1", name, p)
		}
	}
	for name, f := range map[string]func() (int, bool){
		"a rate at the limit":   func() (int, bool) { return statistics.ItemsForUpperBound(0.1, 0.1, 0.95) },
		"a rate over the limit": func() (int, bool) { return statistics.ItemsForUpperBound(0.2, 0.1, 0.95) },
		"a rate below a floor":  func() (int, bool) { return statistics.ItemsForLowerBound(0.8, 0.85, 0.95) },
		"a floor of 1":          func() (int, bool) { return statistics.ItemsForLowerBound(1, 1, 0.95) },
		"a limit of 0":          func() (int, bool) { return statistics.ItemsForNoFailure(0, 0.95) },
		"a limit beyond counts": func() (int, bool) { return statistics.ItemsForNoFailure(1e-15, 0.95) },
	} {
		if n, ok := f(); ok {
			t.Errorf("%s: %d items, want none", name, n)
		}
	}
}

// Where all outcomes agree a bootstrap has no width: what remains is how many
// clusters there are.
func TestAgreementDoesNotCollapse(t *testing.T) {
	const n = 60
	yes, scores, clusters := make([]bool, n), make([]float64, n), make([]int, n)
	mixed := make([]bool, n)
	for i := range n {
		yes[i], mixed[i], clusters[i] = true, i%2 == 0, i/6 // ten clusters, each of both kinds
		if mixed[i] {
			scores[i] = 1
		}
	}
	ten := statistics.Wilson(10, 10, 0.95)
	i, err := statistics.ClusteredProportion([32]byte{}, yes, clusters, 0.95)
	if err != nil || i != ten {
		t.Errorf("all right: %v (%v), want Wilson over ten clusters, %v", i, err, ten)
	}
	i, err = statistics.AUCInterval([32]byte{}, mixed, scores, clusters, 0.95)
	if err != nil || i != ten {
		t.Errorf("perfectly separated: %v (%v), want Wilson over ten clusters, %v", i, err, ten)
	}
	i, err = statistics.F1Interval([32]byte{}, mixed, mixed, clusters, 0.95)
	if want := 2 * ten.Lower / (1 + ten.Lower); err != nil || i.Lower != want || i.Upper != 1 {
		t.Errorf("no error: %v (%v), want %v to 1", i, err, want)
	}
	i, err = statistics.ClusteredProportion([32]byte{}, mixed, make([]int, n), 0.95)
	if err != nil || i.Upper-i.Lower < 0.8 {
		t.Errorf("one cluster: %v (%v), want nearly the whole range", i, err)
	}
	i, err = statistics.ClusteredProportion([32]byte{}, mixed, clusters, 0.95)
	if w := statistics.Wilson(n/2, n, 0.95); err != nil || i.Lower > w.Lower || i.Upper < w.Upper {
		t.Errorf("all clusters alike: %v (%v), want no less than Wilson over the items, %v", i, err, w)
	}
	if _, err := statistics.Percentile([]float64{0.5, 0.5, 0.5}, 0.95); !errors.Is(err, statistics.ErrCollapsed) {
		t.Errorf("draws that agree give %v", err)
	}
}

// The rule of the package comment, by hand: of 10 draws at 80 % one is left out
// at each end.
func TestPercentileRule(t *testing.T) {
	nan := math.NaN()
	i, err := statistics.Percentile([]float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 0.8)
	if want := (statistics.Interval{Lower: 1, Upper: 8}); err != nil || i != want {
		t.Errorf("%v (%v), want %v", i, err, want)
	}
	i, err = statistics.Percentile([]float64{nan, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 0.8)
	if want := (statistics.Interval{Lower: 1, Upper: 9}); err != nil || i != want {
		t.Errorf("with one undefined %v (%v), want %v", i, err, want)
	}
	if _, err = statistics.Percentile([]float64{nan, nan, 2, 3, 4, 5, 6, 7, 8, 9}, 0.8); !errors.Is(err, statistics.ErrUndefined) {
		t.Errorf("with two undefined: %v", err)
	}
	if _, err = statistics.Percentile(nil, 0.8); err == nil {
		t.Error("no draws make an interval")
	}
}

func TestWrongItemsAreRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	two, values := []bool{true, false}, []float64{1, 2}
	for name, f := range map[string]func() error{
		"no items":              func() error { _, err := statistics.NewConfusion(nil, nil); return err },
		"a missing prediction":  func() error { _, err := statistics.NewConfusion([]string{"a"}, nil); return err },
		"one class":             func() error { _, err := statistics.ROCAUC([]bool{true, true}, values); return err },
		"a score of NaN":        func() error { _, err := statistics.ROCAUC(two, []float64{nan, 1}); return err },
		"a missing score":       func() error { _, err := statistics.ROCAUC(two, values[:1]); return err },
		"a class out of range":  func() error { _, err := statistics.LogLoss([]int{2}, [][]float64{{0.5, 0.5}}); return err },
		"a sum over 1":          func() error { _, err := statistics.LogLoss([]int{1}, [][]float64{{0.9, 0.5}}); return err },
		"a probability of 2":    func() error { _, err := statistics.Brier(two, values); return err },
		"an infinite value":     func() error { _, err := statistics.MeanAbsoluteError(values, []float64{1, inf}); return err },
		"one item for R2":       func() error { _, err := statistics.R2(values[:1], values[:1]); return err },
		"one cluster":           func() error { _, err := statistics.ClusteredMean(values, []int{0, 0}); return err },
		"one item":              func() error { _, err := statistics.ClusteredMean(values[:1], nil); return err },
		"a gap in the clusters": func() error { _, err := statistics.ClusteredMean(values, []int{1, 1}); return err },
		"a negative cluster":    func() error { _, err := statistics.ClusteredMean(values, []int{0, -1}); return err },
		"a missing cluster": func() error {
			_, err := statistics.ClusteredProportion([32]byte{}, two, []int{0}, 0.95)
			return err
		},
		"a value of NaN": func() error {
			_, err := statistics.BootstrapRatio([32]byte{}, []float64{nan}, []float64{1}, 10)
			return err
		},
		"clusters of F1": func() error { _, err := statistics.F1Interval([32]byte{}, two, two, nil, 0.95); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
