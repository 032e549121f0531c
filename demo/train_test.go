package demo

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
)

func trained(t testing.TB) (Model, Data) {
	t.Helper()
	d := splits(t)
	m, err := Train(d.Train.Rows, DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

func TestTrainFindsTheMinimum(t *testing.T) {
	m, d := trained(t)
	theta := append(append([]float64(nil), m.Weights...), m.Bias)
	l := newLoss(m, d.Train.Rows)
	// The slope by differences of the loss alone, not by the gradient's formula.
	slope := fd.Gradient(nil, l.value, theta, &fd.Settings{Formula: fd.Central, Step: 1e-5})
	if steepest := floats.Norm(slope, math.Inf(1)); steepest > 1e-6 {
		t.Errorf("the loss has the slope %g at the trained weights, want 0", steepest)
	}
}

func TestGradientIsTheSlopeOfTheLoss(t *testing.T) {
	m, d := trained(t)
	l := newLoss(m, d.Train.Rows)
	random := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		theta := make([]float64, len(m.Weights)+1)
		for j := range theta {
			theta[j] = random.NormFloat64()
		}
		got := make([]float64, len(theta))
		l.gradient(got, theta)
		want := fd.Gradient(nil, l.value, theta, &fd.Settings{Formula: fd.Central, Step: 1e-5})
		if !floats.EqualApprox(got, want, 1e-6) {
			t.Fatalf("gradient\n%v\nslope\n%v", got, want)
		}
	}
}

func TestTrainAgreesWithScikitLearn(t *testing.T) {
	m, _ := trained(t)
	want := readReference(t)
	if !floats.EqualApprox(m.Weights, want.Weights, 1e-5) || math.Abs(m.Bias-want.Bias) > 1e-5 {
		t.Errorf("weights %v and bias %v\nscikit-learn's %v and %v", m.Weights, m.Bias, want.Weights, want.Bias)
	}
}

func TestSeedDoesNotMoveTheMinimum(t *testing.T) {
	m, d := trained(t)
	p := DefaultParams()
	p.Seed++
	other, err := Train(d.Train.Rows, p)
	if err != nil {
		t.Fatal(err)
	}
	if !floats.EqualApprox(m.Weights, other.Weights, 1e-5) {
		t.Errorf("two seeds give\n%v\n%v", m.Weights, other.Weights)
	}
}

func TestTrainRefuses(t *testing.T) {
	rows := splits(t).Train.Rows
	var benign, constant []Row
	for _, r := range rows {
		if !r.Malignant {
			benign = append(benign, r)
		}
		r.Features = append([]float64{1}, r.Features[1:]...)
		constant = append(constant, r)
	}
	short := []Row{{Features: []float64{1}}, {Features: []float64{2}, Malignant: true}}
	for name, c := range map[string]struct {
		rows []Row
		p    Params
	}{
		"one class":         {benign, DefaultParams()},
		"no rows":           {nil, DefaultParams()},
		"a constant column": {constant, DefaultParams()},
		"too few features":  {short, DefaultParams()},
		"no penalty":        {rows, Params{Iterations: 10}},
		"a penalty of NaN":  {rows, Params{L2: math.NaN(), Iterations: 10}},
		"no iterations":     {rows, Params{L2: 1}},
	} {
		if _, err := Train(c.rows, c.p); err == nil {
			t.Errorf("%s: trained", name)
		}
	}
	if _, err := Train(rows, Params{L2: 0.01, Iterations: 2}); !errors.Is(err, ErrNotConverged) {
		t.Errorf("two iterations: %v, want ErrNotConverged", err)
	}
}

func BenchmarkTrain(b *testing.B) {
	rows := splits(b).Train.Rows
	for b.Loop() {
		if _, err := Train(rows, DefaultParams()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	m, d := trained(b)
	for b.Loop() {
		if _, err := Evaluate(m, d); err != nil {
			b.Fatal(err)
		}
	}
}
