package demo

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"

	"imprimatur.dev/record"
)

// Model is a trained logistic regression with the standardisation of its inputs
// and the guard before it. All slices follow the order of Features.
type Model struct {
	Features []string
	Weights  []float64
	Bias     float64
	// Mean and Scale standardise a feature v to (v - mean) / scale.
	Mean, Scale []float64
	// Threshold is the least score that is called malignant.
	Threshold float64
	Guard     Guard
	Params    Params
	// TrainedOn is the digest of the training rows as a file.
	TrainedOn record.Digest
}

// Guard is the range of inputs that the model answers for: what the training
// rows spanned, and Margin times that span more on either side. No measurement
// is negative, so neither is a lower limit.
type Guard struct {
	Min    []float64 `json:"min"`
	Max    []float64 `json:"max"`
	Margin float64   `json:"margin"`
}

const guardMargin = 0.1

// ErrRefused says that the model gives no decision, since the input is not one
// that its training data speaks of.
var ErrRefused = errors.New("the model does not answer for this input")

func (g Guard) limits(j int) (low, high float64) {
	room := g.Margin * (g.Max[j] - g.Min[j])
	return max(0, g.Min[j]-room), g.Max[j] + room
}

// Predict returns the decision and the score, the probability of malignant. The
// error wraps [ErrRefused] and names the first feature at fault; the score of a
// refused input is for statistics only, and not a number where there is none.
func (m Model) Predict(features []float64) (malignant bool, score float64, err error) {
	if len(features) != len(m.Features) {
		return false, math.NaN(), fmt.Errorf("%w: it has %d features, not %d", ErrRefused, len(features), len(m.Features))
	}
	score = sigmoid(floats.Dot(m.Weights, m.standardised(features)) + m.Bias)
	for j, v := range features {
		if low, high := m.Guard.limits(j); !(v >= low && v <= high) {
			return false, score, fmt.Errorf("%w: %s is %.4g, outside %.4g to %.4g; measure it again or ask a pathologist",
				ErrRefused, m.Features[j], v, low, high)
		}
	}
	return score >= m.Threshold, score, nil
}

func (m Model) standardised(features []float64) []float64 {
	z := make([]float64, len(features))
	for j, v := range features {
		z[j] = (v - m.Mean[j]) / m.Scale[j]
	}
	return z
}
