package statistics

import (
	"errors"
	"math"
)

// MeanAbsoluteError returns the mean size of the errors, in the unit of the values.
func MeanAbsoluteError(truth, predicted []float64) (float64, error) {
	return meanError(truth, predicted, math.Abs)
}

// RootMeanSquaredError returns the square root of the mean squared error, in
// the unit of the values.
func RootMeanSquaredError(truth, predicted []float64) (float64, error) {
	mean, err := meanError(truth, predicted, func(e float64) float64 { return e * e })
	return math.Sqrt(mean), err
}

func meanError(truth, predicted []float64, size func(float64) float64) (float64, error) {
	if err := regressionInput(truth, predicted); err != nil {
		return 0, err
	}
	var sum float64
	for i := range truth {
		sum += float64(size(truth[i] - predicted[i]))
	}
	return sum / float64(len(truth)), nil
}

func regressionInput(truth, predicted []float64) error {
	return errors.Join(
		sameLength(len(truth), len(predicted), "predictions"),
		finite(truth, "true value"), finite(predicted, "prediction"))
}

// R2 returns the coefficient of determination: the share of the values' variance
// that the predictions explain, negative where their mean would do better. Of
// values that are all equal it is 1 if every prediction is exact, else 0. It
// needs two items.
func R2(truth, predicted []float64) (float64, error) {
	if err := regressionInput(truth, predicted); err != nil {
		return 0, err
	}
	if len(truth) < 2 {
		return 0, errors.New("the coefficient of determination needs at least two items")
	}
	var sum, unexplained, total float64
	for _, y := range truth {
		sum += y
	}
	mean := sum / float64(len(truth))
	for i, y := range truth {
		unexplained += float64((y - predicted[i]) * (y - predicted[i]))
		total += float64((y - mean) * (y - mean))
	}
	switch {
	case unexplained == 0:
		return 1, nil
	case total == 0:
		return 0, nil
	default:
		return 1 - unexplained/total, nil
	}
}
