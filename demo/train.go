package demo

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat"
)

// Params are the settings of a training run.
type Params struct {
	// L2 is the weight of the penalty in the mean loss: the regularisation
	// strength that scikit-learn calls 1/(C n).
	L2 float64 `json:"l2"`
	// Seed draws the starting point. The loss has one minimum, so the seed
	// moves the result by no more than the tolerance.
	Seed uint64 `json:"seed"`
	// Iterations is the most that the optimiser may take.
	Iterations int `json:"iterations"`
}

// DefaultParams returns the settings that the story trains with.
func DefaultParams() Params { return Params{L2: 0.01, Seed: Seed, Iterations: 200} }

// ErrNotConverged says that the iterations ran out before the minimum.
var ErrNotConverged = errors.New("training did not converge")

// threshold is the score from which a mass is called malignant: one half, which
// takes a miss to be as bad as a false alarm. A model's Threshold may be set to
// another before it is saved; the suite "missed-malignant" shows what it costs.
const threshold = 0.5

// tolerance is the largest component of the gradient at which a model counts
// as trained.
const tolerance = 1e-7

// Train fits an L2-regularised logistic regression to standardised features,
// by L-BFGS: it minimises
//
//	(1/n) Σ log(1 + exp(-s(w·z + b))) + (L2/2) ‖w‖²
//
// over the weights w and the bias b, with s = +1 for malignant and -1 for
// benign, and z the features less their mean, over their standard deviation
// (divisor n). The bias is not penalised. Source: Hastie, Tibshirani and
// Friedman, The Elements of Statistical Learning, 2nd ed., section 4.4.
func Train(rows []Row, p Params) (Model, error) {
	if !(p.L2 > 0) || p.Iterations < 1 {
		return Model{}, fmt.Errorf("training needs a positive l2 and at least one iteration, not %v and %d", p.L2, p.Iterations)
	}
	m, err := standardise(rows)
	if err != nil {
		return Model{}, err
	}
	m.Params, m.Threshold, m.TrainedOn = p, threshold, Split{Rows: rows}.Digest()
	loss := newLoss(m, rows)

	start := make([]float64, len(m.Features)+1)
	random := rand.New(rand.NewPCG(p.Seed, 0))
	for j := range start {
		start[j] = 0.01 * random.NormFloat64()
	}
	problem := optimize.Problem{Func: loss.value, Grad: loss.gradient}
	settings := &optimize.Settings{
		GradientThreshold: tolerance,
		MajorIterations:   p.Iterations,
		Converger:         optimize.NeverTerminate{},
	}
	// The optimiser's own status is not asked: it also ends in an error where
	// rounding stops it at the minimum. The gradient there decides.
	found, err := optimize.Minimize(problem, start, settings, &optimize.LBFGS{})
	if found == nil {
		return Model{}, fmt.Errorf("training: %w", err)
	}
	gradient := make([]float64, len(start))
	loss.gradient(gradient, found.X)
	if steepest := floats.Norm(gradient, math.Inf(1)); !(steepest <= 10*tolerance) {
		return Model{}, fmt.Errorf("%w in %d iterations: the gradient is still %.2g; allow more iterations or raise l2",
			ErrNotConverged, p.Iterations, steepest)
	}
	m.Weights, m.Bias = found.X[:len(m.Features)], found.X[len(m.Features)]
	return m, nil
}

// standardise returns a model with all that the rows fix before any fitting:
// the mean and scale of each feature, and the guard's limits.
func standardise(rows []Row) (Model, error) {
	m := Model{Features: FeatureNames()}
	classes := map[bool]int{}
	for i, r := range rows {
		if len(r.Features) != len(m.Features) {
			return Model{}, fmt.Errorf("row %d has %d features, not %d", i+1, len(r.Features), len(m.Features))
		}
		classes[r.Malignant]++
	}
	if len(classes) != 2 {
		return Model{}, errors.New("training needs rows of both classes")
	}
	for j, name := range m.Features {
		column := column(rows, j)
		mean, scale := stat.PopMeanStdDev(column, nil)
		if !(scale > 0) || math.IsInf(scale, 0) {
			return Model{}, fmt.Errorf("feature %s does not vary or is not finite: leave it out or mend the data", name)
		}
		m.Mean, m.Scale = append(m.Mean, mean), append(m.Scale, scale)
		m.Guard.Min = append(m.Guard.Min, floats.Min(column))
		m.Guard.Max = append(m.Guard.Max, floats.Max(column))
	}
	m.Guard.Margin = guardMargin
	return m, nil
}

func column(rows []Row, j int) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		out[i] = r.Features[j]
	}
	return out
}

// loss is the training objective over the parameters θ = (w, b).
type loss struct {
	z    [][]float64 // standardised features
	sign []float64   // +1 malignant, -1 benign
	l2   float64
}

func newLoss(m Model, rows []Row) loss {
	l := loss{l2: m.Params.L2}
	for _, r := range rows {
		l.z = append(l.z, m.standardised(r.Features))
		l.sign = append(l.sign, 2*r.label()-1)
	}
	return l
}

func (l loss) value(theta []float64) float64 {
	w, b := theta[:len(theta)-1], theta[len(theta)-1]
	var sum float64
	for i, z := range l.z {
		margin := l.sign[i] * (floats.Dot(w, z) + b)
		sum += math.Max(-margin, 0) + math.Log1p(math.Exp(-math.Abs(margin)))
	}
	return sum/float64(len(l.z)) + l.l2/2*floats.Dot(w, w)
}

func (l loss) gradient(grad, theta []float64) {
	last := len(theta) - 1
	w, b := theta[:last], theta[last]
	floats.ScaleTo(grad[:last], l.l2, w)
	grad[last] = 0
	for i, z := range l.z {
		margin := l.sign[i] * (floats.Dot(w, z) + b)
		pull := -l.sign[i] * sigmoid(-margin) / float64(len(l.z))
		floats.AddScaled(grad[:last], pull, z)
		grad[last] += pull
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
