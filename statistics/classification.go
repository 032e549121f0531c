package statistics

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// The definitions in this file and in regression.go are those of scikit-learn
// 1.x, with a ratio of 0/0 counted as 0 (its zero_division=0).

// ErrNoItems says that there is nothing to compute from.
var ErrNoItems = errors.New("there are no items")

// sameLength also refuses emptiness, so that what follows may divide by n.
func sameLength(n, other int, what string) error {
	if n != other {
		return fmt.Errorf("%d items have %d %s: each needs one", n, other, what)
	}
	if n == 0 {
		return ErrNoItems
	}
	return nil
}

// finite refuses the first value that is no number.
func finite(values []float64, what string) error {
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("the %s of item %d is %v, which is no number", what, i+1, v)
		}
	}
	return nil
}

// Confusion counts items by true and predicted label. Counts[i][j] is the
// number of items of Labels[i] predicted as Labels[j]; the labels are all that
// occur, in byte order.
type Confusion struct {
	Labels []string
	Counts [][]int
}

// NewConfusion counts the items, given by their labels in the same order.
func NewConfusion(truth, predicted []string) (Confusion, error) {
	if err := sameLength(len(truth), len(predicted), "predictions"); err != nil {
		return Confusion{}, err
	}
	position := map[string]int{}
	for i := range truth {
		position[truth[i]], position[predicted[i]] = 0, 0
	}
	c := Confusion{Labels: slices.Sorted(maps.Keys(position))}
	for i, label := range c.Labels {
		position[label] = i
		c.Counts = append(c.Counts, make([]int, len(c.Labels)))
	}
	for i := range truth {
		c.Counts[position[truth[i]]][position[predicted[i]]]++
	}
	return c, nil
}

// Items returns the number of items.
func (c Confusion) Items() (n int) {
	for i := range c.Labels {
		n += c.Class(c.Labels[i]).Support
	}
	return n
}

// Correct returns the number of items predicted as what they are.
func (c Confusion) Correct() (n int) {
	for i := range c.Labels {
		n += c.Counts[i][i]
	}
	return n
}

// Accuracy returns the share of items predicted as what they are.
func (c Confusion) Accuracy() float64 { return ratio(c.Correct(), c.Items()) }

// ClassScore holds the measures of one class, or their average over classes.
// Support is the number of items that truly are of the class.
type ClassScore struct {
	Precision, Recall, F1 float64
	Support               int
}

// Class returns the measures of one label, which is also how a binary
// classifier is measured: by its positive label. They are 0 for a label that
// does not occur.
func (c Confusion) Class(label string) ClassScore {
	k, found := slices.BinarySearch(c.Labels, label)
	if !found {
		return ClassScore{}
	}
	var predicted, support int
	for i := range c.Labels {
		predicted += c.Counts[i][k]
		support += c.Counts[k][i]
	}
	hits := c.Counts[k][k]
	return ClassScore{
		Precision: ratio(hits, predicted),
		Recall:    ratio(hits, support),
		F1:        ratio(2*hits, predicted+support),
		Support:   support,
	}
}

// Macro returns the plain average over the labels.
func (c Confusion) Macro() ClassScore {
	return c.average(func(ClassScore) int { return 1 })
}

// Weighted returns the average over the labels by their support.
func (c Confusion) Weighted() ClassScore {
	return c.average(func(s ClassScore) int { return s.Support })
}

func (c Confusion) average(weigh func(ClassScore) int) ClassScore {
	var sum ClassScore
	var weights int
	for _, label := range c.Labels {
		s := c.Class(label)
		w := float64(weigh(s))
		sum.Precision += float64(w * s.Precision)
		sum.Recall += float64(w * s.Recall)
		sum.F1 += float64(w * s.F1)
		sum.Support += s.Support
		weights += weigh(s)
	}
	if weights > 0 {
		sum.Precision /= float64(weights)
		sum.Recall /= float64(weights)
		sum.F1 /= float64(weights)
	}
	return sum
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// LogLoss returns the mean negative logarithm of the probability given to what
// came true. truth[i] is the index of item i's class in its row of
// probabilities, which sum to 1. A probability is taken to be at least 2^-52, as
// scikit-learn does, so that one certain error does not make the whole loss
// infinite.
func LogLoss(truth []int, probabilities [][]float64) (float64, error) {
	if err := sameLength(len(truth), len(probabilities), "rows of probabilities"); err != nil {
		return 0, err
	}
	const epsilon = 0x1p-52
	var sum float64
	for i, row := range probabilities {
		if truth[i] < 0 || truth[i] >= len(row) {
			return 0, fmt.Errorf("item %d is of class %d, but has %d probabilities", i+1, truth[i], len(row))
		}
		var total float64
		for _, p := range row {
			if !(p >= 0 && p <= 1) {
				return 0, fmt.Errorf("item %d has the probability %v, which is not from 0 to 1", i+1, p)
			}
			total += p
		}
		if math.Abs(total-1) > 1e-5 {
			return 0, fmt.Errorf("the probabilities of item %d sum to %v, not 1", i+1, total)
		}
		sum -= math.Log(max(row[truth[i]], epsilon))
	}
	return rounded(sum / float64(len(truth))), nil
}

// Brier returns the mean squared error of the probabilities given to the
// positive class.
func Brier(truth []bool, probability []float64) (float64, error) {
	if err := sameLength(len(truth), len(probability), "probabilities"); err != nil {
		return 0, err
	}
	var sum float64
	for i, p := range probability {
		if !(p >= 0 && p <= 1) {
			return 0, fmt.Errorf("item %d has the probability %v, which is not from 0 to 1", i+1, p)
		}
		if truth[i] {
			p = 1 - p
		}
		sum += float64(p * p)
	}
	return sum / float64(len(truth)), nil
}
