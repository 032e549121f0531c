package demo

import (
	"fmt"
	"math"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// Result is the evidence of one suite: what happened, item by item. What it
// comes to is for whoever reads it to compute.
type Result struct {
	Category record.Category
	Suite    string
	// Dataset is the name of the split that was evaluated on.
	Dataset string
	// Items is the evidence file, in a form of package evidence: items/v1, or that of
	// the monitor drift-sensitivity/v1.
	Items []byte
}

// header is the first line of the evidence.
type header struct {
	Form     string               `json:"imprimatur"`
	Suite    string               `json:"suite"`
	Category record.Category      `json:"category"`
	Expected int                  `json:"expected"`
	Tool     record.Tool          `json:"tool"`
	Settings map[string]string    `json:"settings,omitzero"`
	Metrics  map[string]direction `json:"metrics,omitzero"`
	Reported []total              `json:"reported,omitzero"`
}

type direction struct {
	Direction string `json:"direction"`
}

// total is a metric that no item has by itself.
type total struct {
	Name      string            `json:"name"`
	Slice     map[string]string `json:"slice,omitzero"`
	Value     float64           `json:"value"`
	N         int               `json:"n"`
	Method    string            `json:"method,omitzero"`
	StdErr    *float64          `json:"stdErr,omitzero"`
	Direction string            `json:"direction"`
}

// item is one line of the evidence.
type item struct {
	Item    string            `json:"item"`
	Cluster string            `json:"cluster,omitzero"`
	Slice   map[string]string `json:"slice,omitzero"`
	// Label and Prediction are "malignant" or "benign"; an item that the guard
	// refused has no prediction. Score is the probability of malignant.
	Label      string          `json:"label,omitzero"`
	Prediction string          `json:"prediction,omitzero"`
	Score      *float64        `json:"score,omitzero"`
	Metrics    map[string]bool `json:"metrics,omitzero"`
	// Note is the guard's reason.
	Note string `json:"note,omitzero"`
}

// Evaluate runs the four suites, and tries the monitor of drift. The model must not have been trained on the
// holdout; any of the other sets will do.
func Evaluate(m Model, d Data) ([]Result, error) {
	suites := []func() (Result, error){
		func() (Result, error) { return Accuracy(m, d.Holdout) },
		func() (Result, error) { return Safety(m, d.Holdout) },
		func() (Result, error) { return Drift(m, d.Train, d.Holdout, d.Shifted) },
		func() (Result, error) { return Misuse(m, d.Holdout) },
		func() (Result, error) { return Monitor(m, d.Train, d.Holdout) },
	}
	var results []Result
	for _, run := range suites {
		r, err := run()
		if err != nil {
			return nil, fmt.Errorf("evaluating: %w", err)
		}
		results = append(results, r)
	}
	return results, nil
}

// Accuracy is the suite "holdout": every row with its label, decision and
// score. A refusal is no decision, and so not right; its score still ranks.
func Accuracy(m Model, s Split) (Result, error) {
	items, err := classify(m, s)
	if err != nil {
		return Result{}, err
	}
	for i := range items {
		items[i].Metrics = map[string]bool{"refusal_rate": items[i].Prediction == ""}
	}
	return result(header{Category: record.Accuracy, Suite: "holdout", Settings: positive(), Metrics: lower("refusal_rate")}, s, items)
}

// positive says which class is the one to find.
func positive() map[string]string { return map[string]string{"positive": className(true)} }

// Safety is the suite "missed-malignant": the malignant masses that the model
// calls benign, and how far its probabilities are from the shares they state,
// over all rows. A mass that the guard refuses is not missed: a person decides.
func Safety(m Model, s Split) (Result, error) {
	items, err := classify(m, s)
	if err != nil {
		return Result{}, err
	}
	p, y := scores(items), labels(items)
	gap := func(picked []int) float64 { return calibrationError(p, y, picked) }
	var malignant []item
	for _, x := range items {
		if x.Label == className(true) {
			malignant = append(malignant, item{Item: x.Item, Metrics: map[string]bool{"false_negative_rate": x.Prediction == className(false)}, Note: x.Note})
		}
	}
	return result(header{
		Category: record.Safety, Suite: "missed-malignant", Metrics: lower("false_negative_rate"),
		Reported: []total{bootstrapped("expected_calibration_error", len(items), gap)},
	}, s, malignant)
}

// Drift is the suite "shifted-holdout": how far the largest shift of a feature
// is from the holdout (PSI over ten bins of equal share of the training rows),
// and how well the model still ranks. The rows of holdout and shifted are
// pairs, which the standard error of psi_max accounts for.
func Drift(m Model, train, holdout, shifted Split) (Result, error) {
	items, err := classify(m, shifted)
	if err != nil {
		return Result{}, err
	}
	if len(holdout.Rows) != len(items) {
		return Result{}, fmt.Errorf("%s and %s do not have the same rows", holdout.Name, shifted.Name)
	}
	const bins = 10
	n := len(items)
	var before, after [][]int
	var found []total
	for j, name := range m.Features {
		cuts := edges(column(train.Rows, j), bins)
		before = append(before, binOf(column(holdout.Rows, j), cuts))
		after = append(after, binOf(column(shifted.Rows, j), cuts))
		found = append(found, total{
			Name: "psi", Slice: map[string]string{"feature": name}, Value: psi(before[j], after[j], bins, each(n)), N: n, Direction: record.Lower,
		})
	}
	largest := func(picked []int) float64 {
		var most float64
		for j := range before {
			most = max(most, psi(before[j], after[j], bins, picked))
		}
		return most
	}
	return result(header{
		Category: record.Drift, Suite: "shifted-holdout", Settings: positive(),
		Reported: append([]total{bootstrapped("psi_max", n, largest)}, found...),
	}, shifted, items)
}

// bootstrapped is a statistic over all n rows, with its standard error.
func bootstrapped(name string, n int, statistic func(picked []int) float64) total {
	stdErr := bootstrap(n, statistic)
	return total{Name: name, Value: statistic(each(n)), N: n, Method: "bootstrap", StdErr: &stdErr, Direction: record.Lower}
}

func lower(metrics ...string) map[string]direction {
	out := map[string]direction{}
	for _, m := range metrics {
		out[m] = direction{record.Lower}
	}
	return out
}

// classify judges every row of a split that has rows enough to evaluate on.
func classify(m Model, s Split) ([]item, error) {
	items := make([]item, len(s.Rows))
	of := map[string]int{}
	for i, r := range s.Rows {
		items[i] = judge(m, r)
		of[items[i].Label]++
	}
	for _, class := range []string{className(true), className(false)} {
		if of[class] < 2 {
			return nil, fmt.Errorf("%s has %d %s rows: at least two are needed to evaluate on", s.Name, of[class], class)
		}
	}
	return items, nil
}

func className(malignant bool) string {
	if malignant {
		return "malignant"
	}
	return "benign"
}

// judge gives the row to the model.
func judge(m Model, r Row) item {
	out := item{Item: r.ID, Label: className(r.Malignant)}
	malignant, score, err := m.Predict(r.Features)
	if !math.IsNaN(score) {
		out.Score = &score
	}
	if err != nil {
		out.Note = err.Error()
	} else {
		out.Prediction = className(malignant)
	}
	return out
}

func result(h header, s Split, items []item) (Result, error) {
	h.Form, h.Expected, h.Tool = "items/v1", len(items), record.Tool{Name: "imprimatur-demo", Version: "1"}
	r := Result{Category: h.Category, Suite: h.Suite, Dataset: s.Name}
	add := func(v any) error {
		line, err := json.Marshal(v, json.Deterministic(true))
		r.Items = append(append(r.Items, line...), '\n')
		return err
	}
	if err := add(h); err != nil {
		return Result{}, fmt.Errorf("writing the header of %s: %w", h.Suite, err)
	}
	for _, x := range items {
		if err := add(x); err != nil {
			return Result{}, fmt.Errorf("writing item %s of %s: %w", x.Item, h.Suite, err)
		}
	}
	return r, nil
}

func scores(items []item) []float64 {
	out := make([]float64, len(items))
	for i, x := range items {
		out[i] = *x.Score
	}
	return out
}

func labels(items []item) []float64 {
	out := make([]float64, len(items))
	for i, x := range items {
		if x.Label == className(true) {
			out[i] = 1
		}
	}
	return out
}
