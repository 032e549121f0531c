package evidence

import (
	"crypto/sha256"
	"math"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// classes are the labels and predictions of a suite's items.
type classes struct {
	names []string
	index map[string]int32
	// truth and predicted are by item: a class's number plus one, 0 for none.
	truth, predicted []int32
	// scores are those of the positive class, NaN where the item has none.
	scores []float64
}

// maxClasses bounds the classes that have metrics of their own.
const maxClasses = 1000

// classify records that an item of the class label was predicted to be of
// another, with the score of the positive class or NaN. An item without a
// prediction has no answer. With two classes the metrics are accuracy,
// precision, recall, f1, specificity, false_negative_rate and
// false_positive_rate, and from the scores roc_auc and, of probabilities, brier
// and log_loss; with more they are accuracy, and recall, precision and f1 by
// class with their plain mean. All are defined as scikit-learn defines them.
func (s *suite) classify(item int, label, prediction string, score float64) {
	if item < 0 {
		return
	}
	if s.classes == nil {
		s.classes = &classes{index: map[string]int32{}}
		s.describe(record.Metric{Name: "accuracy", Direction: record.Higher}, 0, 1)
	}
	c := s.classes
	c.truth, c.predicted = grow(c.truth, item, 0), grow(c.predicted, item, 0)
	c.scores = grow(c.scores, item, missing)
	c.truth[item], c.scores[item] = c.number(label), score
	if prediction == "" {
		s.none(item, "accuracy")
		return
	}
	c.predicted[item] = c.number(prediction)
	s.outcome(item, "accuracy", label == prediction)
}

// number returns a class's number plus one. 1, 1.0 and 1.00 are one class: a
// table writes whole numbers either way.
func (c *classes) number(name string) int32 {
	if whole, frac, ok := strings.Cut(name, "."); ok && strings.Trim(frac, "0") == "" && strings.Trim(whole, "-0123456789") == "" {
		name = whole
	}
	n, ok := c.index[name]
	if !ok {
		c.names = append(c.names, strings.Clone(name))
		n = int32(len(c.names))
		c.index[c.names[n-1]] = n
	}
	return n
}

// positives are what the positive one of two classes is called.
var positives = []string{"1", "true", "yes", "positive", "pos"}

// positive returns the number of the positive class plus one, 0 if it is not
// known. A setting may name it.
func (s *suite) positive() int32 {
	c := s.classes
	if name := s.Settings["positive"]; name != "" {
		return c.index[name]
	}
	for n, name := range c.names {
		if slices.Contains(positives, strings.ToLower(name)) {
			return int32(n + 1)
		}
	}
	return 0
}

// classified adds the metrics of the classes.
func (s *suite) classified() {
	c := s.classes
	if c == nil || len(c.names) == 0 {
		return
	}
	switch p := s.positive(); {
	case len(c.names) > 2:
		s.byClass()
	case p == 0:
		s.in.warn("which of the classes %s is the positive one is not known; say so with --setting positive=CLASS", strings.Join(c.names, " and "))
		s.byClass()
	default:
		for _, slice := range append([]map[string]string{nil}, s.singleSlices()...) {
			s.binary(p, slice)
		}
	}
}

// picked are the items of a slice that have a label. An item without a
// prediction counts as predicted wrong, whichever class that is.
func (s *suite) picked(slice map[string]string) (items []int) {
	for i := range s.classes.truth {
		if s.classes.truth[i] != 0 && s.within(i, slice) {
			items = append(items, i)
		}
	}
	return items
}

// binary adds the metrics of two classes over a slice.
func (s *suite) binary(positive int32, slice map[string]string) {
	c := s.classes
	items := s.picked(slice)
	if len(items) == 0 {
		return
	}
	truth, predicted := make([]bool, len(items)), make([]bool, len(items))
	clusters := make([]uint32, len(items))
	clustered := false
	var tp, fn, fp, tn points
	for k, i := range items {
		truth[k] = c.truth[i] == positive
		predicted[k] = c.predicted[i] == positive
		if c.predicted[i] == 0 {
			predicted[k] = !truth[k]
		}
		clusters[k] = s.clusterAt(i)
		clustered = clustered || clusters[k] != 0
		right := value(truth[k] == predicted[k])
		if truth[k] {
			tp.add(right, clusters[k])
			fn.add(1-right, clusters[k])
		} else {
			tn.add(right, clusters[k])
			fp.add(1-right, clusters[k])
		}
	}
	s.share("recall", record.Higher, slice, tp)
	s.share("false_negative_rate", record.Lower, slice, fn)
	s.share("specificity", record.Higher, slice, tn)
	s.share("false_positive_rate", record.Lower, slice, fp)
	var called points
	for k := range items {
		if predicted[k] {
			called.add(value(truth[k]), clusters[k])
		}
	}
	s.share("precision", record.Higher, slice, called)
	numbers, n := numbered(clusters, len(items))
	if !clustered {
		n = 0
	}
	s.f1(truth, predicted, numbers, n, slice)
	s.ranked(items, truth, numbers, n, slice)
}

func value(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// share adds a proportion, if it is of anything.
func (s *suite) share(name, direction string, slice map[string]string, p points) {
	if len(p.values) == 0 {
		return
	}
	m := record.Metric{Name: name, Direction: direction, Slice: slice, Case: slice[caseDimension]}
	p.summarise(&m, true, s.seed(m))
	s.Metrics = append(s.Metrics, m)
}

func (s *suite) f1(truth, predicted []bool, numbers []int, clusters int, slice map[string]string) {
	tp, wrong := 0, 0
	for i := range truth {
		switch {
		case truth[i] && predicted[i]:
			tp++
		case truth[i] != predicted[i]:
			wrong++
		}
	}
	if tp+wrong == 0 {
		return
	}
	m := record.Metric{Name: "f1", Direction: record.Higher, Slice: slice, Value: float64(2*tp) / float64(2*tp+wrong), N: len(truth), Clusters: clusters}
	m.Computed = s.drawn(m, numbers, func(seed [32]byte) (statistics.Interval, error) {
		return statistics.F1Interval(seed, truth, predicted, numbers, level)
	})
	s.Metrics = append(s.Metrics, m)
}

// drawn computes a bootstrapped interval, where there are not too many clusters
// to draw from.
func (s *suite) drawn(m record.Metric, numbers []int, draw func([32]byte) (statistics.Interval, error)) *record.Uncertainty {
	if slices.Max(numbers)+1 > maxBootstrap {
		s.in.warn("%s has no interval: it is over more than %d clusters", m.Label(), maxBootstrap)
		return nil
	}
	i, err := draw(sha256.Sum256([]byte(s.seed(m))))
	if err != nil {
		s.in.warn("%s has no interval: %v", m.Label(), err)
		return nil
	}
	// What a normal distribution of that width has.
	stdErr := (i.Upper - i.Lower) / (2 * statistics.NormalQuantile((1+level)/2))
	return &record.Uncertainty{Method: methodBootstrap, StdErr: &stdErr, Lower95: &i.Lower, Upper95: &i.Upper, Draws: statistics.Draws}
}

// ranked adds the metrics of the scores, if every item has one.
func (s *suite) ranked(items []int, truth []bool, numbers []int, clusters int, slice map[string]string) {
	c := s.classes
	scores := make([]float64, len(items))
	probabilities := true
	for k, i := range items {
		scores[k] = c.scores[i]
		if math.IsNaN(scores[k]) {
			return
		}
		probabilities = probabilities && scores[k] >= 0 && scores[k] <= 1
	}
	if a, err := statistics.ROCAUC(truth, scores); err == nil {
		m := record.Metric{Name: "roc_auc", Direction: record.Higher, Slice: slice, Value: a, N: len(items), Clusters: clusters}
		m.Computed = s.drawn(m, numbers, func(seed [32]byte) (statistics.Interval, error) {
			return statistics.AUCInterval(seed, truth, scores, numbers, level)
		})
		s.Metrics = append(s.Metrics, m)
	}
	if !probabilities {
		return
	}
	// Both are means over items, clipped as scikit-learn clips.
	const least = 0x1p-52
	var brier, loss points
	for k, i := range items {
		y, p := value(truth[k]), scores[k]
		brier.add((p-y)*(p-y), s.clusterAt(i))
		given := p
		if !truth[k] {
			given = 1 - p
		}
		loss.add(-math.Log(min(max(given, least), 1-least)), s.clusterAt(i))
	}
	for _, x := range []struct {
		name string
		p    *points
	}{{"brier", &brier}, {"log_loss", &loss}} {
		m := record.Metric{Name: x.name, Direction: record.Lower, Slice: slice}
		x.p.summarise(&m, false, s.seed(m))
		s.Metrics = append(s.Metrics, m)
	}
}

// byClass adds recall, precision and f1 of each class, and their plain mean.
func (s *suite) byClass() {
	c := s.classes
	if len(c.names) > maxClasses {
		s.in.warn("there are %d classes; only up to %d have metrics of their own", len(c.names), maxClasses)
		return
	}
	items := s.picked(nil)
	truth, predicted := make([]string, len(items)), make([]string, len(items))
	recall, precision := make([]points, len(c.names)), make([]points, len(c.names))
	for k, i := range items {
		truth[k] = c.names[c.truth[i]-1]
		right := value(c.truth[i] == c.predicted[i])
		recall[c.truth[i]-1].add(right, s.clusterAt(i))
		if p := c.predicted[i]; p != 0 {
			predicted[k] = c.names[p-1]
			precision[p-1].add(right, s.clusterAt(i))
		}
	}
	table, err := statistics.NewConfusion(truth, predicted)
	if err != nil {
		return
	}
	for n, name := range c.names {
		slice := map[string]string{"class": name}
		s.share("recall", record.Higher, slice, recall[n])
		s.share("precision", record.Higher, slice, precision[n])
		if f := table.Class(name); f.Support > 0 {
			s.Metrics = append(s.Metrics, record.Metric{Name: "f1", Direction: record.Higher, Slice: slice, Value: f.F1, N: len(items)})
		}
	}
	macro := table.Macro()
	for _, m := range []record.Metric{{Name: "recall_macro", Value: macro.Recall}, {Name: "precision_macro", Value: macro.Precision}, {Name: "f1_macro", Value: macro.F1}} {
		m.Direction, m.N = record.Higher, len(items)
		s.Metrics = append(s.Metrics, m)
	}
}
