package statistics_test

import (
	_ "embed"
	"math"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/statistics"
)

//go:embed testdata/table.json
var tableFile []byte

// tableCase is one call: its arguments by kind, and what scipy, statsmodels,
// scikit-learn or a general optimiser answer.
type tableCase struct {
	Function  string      `json:"function"`
	Numbers   []float64   `json:"numbers"`
	Lists     [][]float64 `json:"lists"`
	Labels    [][]string  `json:"labels"`
	Want      []float64   `json:"want"`
	Tolerance float64     `json:"tolerance"`
}

func (c tableCase) count(i int) int { return int(c.Numbers[i]) }

func (c tableCase) seed() (seed [32]byte) {
	for i, b := range c.Lists[0] {
		seed[i] = byte(b)
	}
	return seed
}

func TestAgreesWithTable(t *testing.T) {
	var table struct {
		MadeBy string      `json:"made_by"`
		Cases  []tableCase `json:"cases"`
	}
	if err := json.Unmarshal(tableFile, &table, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if len(table.Cases) < 200 {
		t.Fatalf("the table has %d cases only", len(table.Cases))
	}
	called := map[string]float64{}
	for i, c := range table.Cases {
		call, known := functions[c.Function]
		if !known {
			t.Fatalf("the table calls %s, which this test does not know", c.Function)
		}
		got, err := call(c)
		if err != nil {
			t.Errorf("case %d, %s%v: %v", i, c.Function, c.Numbers, err)
			continue
		}
		if len(got) != len(c.Want) {
			t.Fatalf("case %d, %s%v gives %v, want %v", i, c.Function, c.Numbers, got, c.Want)
		}
		for j, want := range c.Want {
			off := math.Abs(got[j]-want) / max(1, math.Abs(want))
			if !(off <= c.Tolerance) {
				t.Errorf("case %d, %s%v gives %v, want %v (off by %.1e)", i, c.Function, c.Numbers, got[j], want, off)
			}
			called[c.Function] = max(called[c.Function], off)
		}
	}
	for name := range functions {
		if off, ok := called[name]; !ok {
			t.Errorf("no case calls %s", name)
		} else {
			t.Logf("%s is off by at most %.1e", name, off)
		}
	}
}

type result func(tableCase) ([]float64, error)

var functions = map[string]result{
	"NormalCDF":             one(func(c tableCase) float64 { return statistics.NormalCDF(c.Numbers[0]) }),
	"NormalQuantile":        one(func(c tableCase) float64 { return statistics.NormalQuantile(c.Numbers[0]) }),
	"IncompleteBeta":        three(statistics.IncompleteBeta),
	"IncompleteBetaInverse": three(statistics.IncompleteBetaInverse),
	"StudentQuantile":       one(func(c tableCase) float64 { return statistics.StudentQuantile(c.Numbers[0], c.Numbers[1]) }),
	"ChiSquareQuantile":     one(func(c tableCase) float64 { return statistics.ChiSquareQuantile(c.Numbers[0], c.Numbers[1]) }),
	"ChiSquareSurvival":     one(func(c tableCase) float64 { return statistics.ChiSquareSurvival(c.Numbers[0], c.Numbers[1]) }),
	"BinomialAtMost":        one(func(c tableCase) float64 { return statistics.BinomialAtMost(c.count(0), c.count(1), c.Numbers[2]) }),
	"BinomialAtLeast":       one(func(c tableCase) float64 { return statistics.BinomialAtLeast(c.count(0), c.count(1), c.Numbers[2]) }),
	"Wilson":                bounds(func(c tableCase) statistics.Interval { return statistics.Wilson(c.count(0), c.count(1), c.Numbers[2]) }),
	"ClopperPearson": bounds(func(c tableCase) statistics.Interval {
		return statistics.ClopperPearson(c.count(0), c.count(1), c.Numbers[2])
	}),
	"MeanInterval": bounds(func(c tableCase) statistics.Interval {
		return statistics.MeanInterval(c.Numbers[0], c.Numbers[1], c.Numbers[2])
	}),
	"Tango": bounds(func(c tableCase) statistics.Interval {
		return statistics.Tango(c.count(0), c.count(1), c.count(2), c.Numbers[3])
	}),
	"Newcombe":          samples(statistics.Newcombe),
	"MiettinenNurminen": samples(statistics.MiettinenNurminen),
	"McNemarExact":      one(func(c tableCase) float64 { return statistics.McNemarExact(c.count(0), c.count(1)) }),
	"NonInferiority": func(c tableCase) ([]float64, error) {
		test := statistics.NonInferiority(c.count(0), c.count(1), c.count(2), c.Numbers[3])
		return []float64{test.Z, test.P}, nil
	},
	"FarringtonManning": func(c tableCase) ([]float64, error) {
		test := statistics.FarringtonManning(c.count(0), c.count(1), c.count(2), c.count(3), c.Numbers[4])
		return []float64{test.Z, test.P}, nil
	},
	"Holm":              func(c tableCase) ([]float64, error) { return statistics.Holm(c.Lists[0]), nil },
	"BenjaminiHochberg": func(c tableCase) ([]float64, error) { return statistics.BenjaminiHochberg(c.Lists[0]), nil },
	"ItemsForNoFailure": items(func(c tableCase) (int, bool) { return statistics.ItemsForNoFailure(c.Numbers[0], c.Numbers[1]) }),
	"ItemsForUpperBound": items(func(c tableCase) (int, bool) {
		return statistics.ItemsForUpperBound(c.Numbers[0], c.Numbers[1], c.Numbers[2])
	}),
	"ItemsForLowerBound": items(func(c tableCase) (int, bool) {
		return statistics.ItemsForLowerBound(c.Numbers[0], c.Numbers[1], c.Numbers[2])
	}),
	"ClusteredMean": func(c tableCase) ([]float64, error) {
		s, err := statistics.ClusteredMean(c.Lists[0], statistics.Clusters(c.Lists[1]))
		return []float64{s.Mean, s.StdErr, s.DesignEffect}, err
	},
	"Accuracy":  confusion(func(m statistics.Confusion, _ tableCase) []float64 { return []float64{m.Accuracy()} }),
	"macro":     confusion(func(m statistics.Confusion, _ tableCase) []float64 { return scores(m.Macro()) }),
	"weighted":  confusion(func(m statistics.Confusion, _ tableCase) []float64 { return scores(m.Weighted()) }),
	"Class":     confusion(func(m statistics.Confusion, c tableCase) []float64 { return scores(m.Class(c.Labels[2][0])) }),
	"Confusion": confusion(func(m statistics.Confusion, _ tableCase) []float64 { return flat(m.Counts) }),
	"ROCAUC": numbers(func(c tableCase) (float64, error) {
		return statistics.ROCAUC(truths(c.Lists[0]), c.Lists[1])
	}),
	"Brier": numbers(func(c tableCase) (float64, error) {
		return statistics.Brier(truths(c.Lists[0]), c.Lists[1])
	}),
	"LogLoss": numbers(func(c tableCase) (float64, error) {
		return statistics.LogLoss(whole(c.Lists[0]), c.Lists[1:])
	}),
	"MeanAbsoluteError":    regression(statistics.MeanAbsoluteError),
	"RootMeanSquaredError": regression(statistics.RootMeanSquaredError),
	"R2":                   regression(statistics.R2),
	"BootstrapRatio": draws(func(c tableCase) ([]float64, error) {
		return statistics.BootstrapRatio(c.seed(), c.Lists[1], c.Lists[2], c.count(0))
	}),
	"BootstrapAUC": draws(func(c tableCase) ([]float64, error) {
		clusters := whole(c.Lists[3])
		area, err := statistics.AUC(truths(c.Lists[1]), c.Lists[2], clusters)
		return statistics.Bootstrap(c.seed(), slices.Max(clusters)+1, c.count(0), area), err
	}),
	"BootstrapF1": draws(func(c tableCase) ([]float64, error) {
		clusters := whole(c.Lists[3])
		f1, err := statistics.F1(truths(c.Lists[1]), truths(c.Lists[2]), clusters)
		return statistics.Bootstrap(c.seed(), slices.Max(clusters)+1, c.count(0), f1), err
	}),
}

func one(f func(tableCase) float64) result {
	return func(c tableCase) ([]float64, error) { return []float64{f(c)}, nil }
}

func three(f func(a, b, c float64) float64) result {
	return one(func(c tableCase) float64 { return f(c.Numbers[0], c.Numbers[1], c.Numbers[2]) })
}

func bounds(f func(tableCase) statistics.Interval) result {
	return func(c tableCase) ([]float64, error) {
		i := f(c)
		return []float64{i.Lower, i.Upper}, nil
	}
}

func samples(f func(s1, n1, s2, n2 int, level float64) statistics.Interval) result {
	return bounds(func(c tableCase) statistics.Interval {
		return f(c.count(0), c.count(1), c.count(2), c.count(3), c.Numbers[4])
	})
}

func items(f func(tableCase) (int, bool)) result {
	return one(func(c tableCase) float64 {
		n, ok := f(c)
		if !ok {
			return math.NaN()
		}
		return float64(n)
	})
}

func confusion(f func(statistics.Confusion, tableCase) []float64) result {
	return func(c tableCase) ([]float64, error) {
		m, err := statistics.NewConfusion(c.Labels[0], c.Labels[1])
		return f(m, c), err
	}
}

func numbers(f func(tableCase) (float64, error)) result {
	return func(c tableCase) ([]float64, error) {
		x, err := f(c)
		return []float64{x}, err
	}
}

func regression(f func(truth, predicted []float64) (float64, error)) result {
	return numbers(func(c tableCase) (float64, error) { return f(c.Lists[0], c.Lists[1]) })
}

func draws(f func(tableCase) ([]float64, error)) result {
	return func(c tableCase) ([]float64, error) {
		values, err := f(c)
		if err != nil {
			return nil, err
		}
		i, err := statistics.Percentile(values, c.Numbers[1])
		return []float64{i.Lower, i.Upper}, err
	}
}

func scores(s statistics.ClassScore) []float64 { return []float64{s.Precision, s.Recall, s.F1} }

func flat(counts [][]int) (all []float64) {
	for _, n := range slices.Concat(counts...) {
		all = append(all, float64(n))
	}
	return all
}

func truths(values []float64) []bool {
	all := make([]bool, len(values))
	for i, v := range values {
		all[i] = v != 0
	}
	return all
}

func whole(values []float64) []int {
	all := make([]int, len(values))
	for i, v := range values {
		all[i] = int(v)
	}
	return all
}
