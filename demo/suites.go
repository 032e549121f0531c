package demo

import (
	"fmt"
	"math"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// Result is what one suite found.
type Result struct {
	Category record.Category
	Suite    string
	// Dataset is the name of the split that was evaluated on.
	Dataset string
	Metrics []record.Metric
	// Items is the evidence file: one JSON [Item] a line.
	Items []byte
}

// Item is the outcome of one item of a suite.
type Item struct {
	Item string `json:"item"`
	// Slice is the item's class, or the attack that made it.
	Slice string `json:"slice"`
	// Label is "malignant" or "benign", absent where the item is no mass.
	Label string `json:"label,omitzero"`
	// Score is the probability of malignant, or the index of an item that is a
	// feature; absent where it is not a number.
	Score   *float64 `json:"score,omitzero"`
	Outcome string   `json:"outcome"`
	// Reason is the guard's, of a refused item.
	Reason string `json:"reason,omitzero"`
}

// Outcomes of an item.
const (
	Correct  = "correct"  // the decision is right
	Wrong    = "wrong"    // the decision is not right
	Refused  = "refused"  // the guard gave no decision
	Accepted = "accepted" // the guard let an implausible input through
	Flipped  = "flipped"  // a small perturbation changed the decision
	Held     = "held"     // the worst small perturbation did not
	Measured = "measured" // nothing was decided: the score is the finding
)

// Evaluate runs the four suites. The model must not have been trained on the
// holdout; any of the other sets will do.
func Evaluate(m Model, d Data) ([]Result, error) {
	suites := []func() (Result, error){
		func() (Result, error) { return Accuracy(m, d.Holdout) },
		func() (Result, error) { return Safety(m, d.Holdout) },
		func() (Result, error) { return Drift(m, d.Train, d.Holdout, d.Shifted) },
		func() (Result, error) { return Misuse(m, d.Holdout) },
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

// Accuracy is the suite "holdout". The proportions count decisions, a refusal
// as not right; roc_auc and brier are of the scores, of refused rows too.
func Accuracy(m Model, s Split) (Result, error) {
	items, err := classify(m, s)
	if err != nil {
		return Result{}, err
	}
	malignant, benign := bySlice(items, "malignant"), bySlice(items, "benign")
	auc, aucErr := aucDeLong(scores(malignant), scores(benign))
	loss, lossErr := brier(scores(items), labels(items))
	return result(record.Accuracy, "holdout", s, items,
		proportion("accuracy", items, Correct),
		measured("roc_auc", auc, len(items), aucErr),
		measured("brier", loss, len(items), lossErr),
		proportion("sensitivity", malignant, Correct),
		proportion("specificity", benign, Correct),
		proportion("refusal_rate", items, Refused),
	)
}

// Safety is the suite "missed-malignant": the malignant masses that the model
// calls benign, and how far its probabilities are from the shares they state.
func Safety(m Model, s Split) (Result, error) {
	items, err := classify(m, s)
	if err != nil {
		return Result{}, err
	}
	p, y := scores(items), labels(items)
	gap := func(picked []int) float64 { return calibrationError(p, y, picked) }
	return result(record.Safety, "missed-malignant", s, items,
		proportion("false_negative_rate", bySlice(items, "malignant"), Wrong),
		measured("expected_calibration_error", gap(each(len(items))), len(items), bootstrap(len(items), gap)),
	)
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
	var before, after [][]int
	for j, name := range m.Features {
		cuts := edges(column(train.Rows, j), bins)
		before = append(before, binOf(column(holdout.Rows, j), cuts))
		after = append(after, binOf(column(shifted.Rows, j), cuts))
		index := psi(before[j], after[j], bins, each(len(before[j])))
		items = append(items, Item{Item: name, Slice: "psi", Score: &index, Outcome: Measured})
	}
	largest := func(picked []int) float64 {
		var most float64
		for j := range before {
			most = max(most, psi(before[j], after[j], bins, picked))
		}
		return most
	}
	n := len(shifted.Rows)
	auc, aucErr := aucDeLong(scores(bySlice(items, "malignant")), scores(bySlice(items, "benign")))
	return result(record.Drift, "shifted-holdout", shifted, items,
		measured("psi_max", largest(each(n)), n, bootstrap(n, largest)),
		measured("roc_auc", auc, n, aucErr),
	)
}

// classify judges every row of a split that has rows enough to evaluate on.
func classify(m Model, s Split) ([]Item, error) {
	items := make([]Item, len(s.Rows))
	for i, r := range s.Rows {
		items[i] = judge(m, r, className(r.Malignant))
	}
	for _, class := range []string{className(true), className(false)} {
		if n := len(bySlice(items, class)); n < 2 {
			return nil, fmt.Errorf("%s has %d %s rows: at least two are needed to evaluate on", s.Name, n, class)
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

// judge gives the row to the model and compares its decision with the label.
func judge(m Model, r Row, slice string) Item {
	item := Item{Item: r.ID, Slice: slice, Label: className(r.Malignant), Outcome: Wrong}
	malignant, score, err := m.Predict(r.Features)
	if !math.IsNaN(score) {
		item.Score = &score
	}
	switch {
	case err != nil:
		item.Outcome, item.Reason = Refused, err.Error()
	case malignant == r.Malignant:
		item.Outcome = Correct
	}
	return item
}

func result(c record.Category, suite string, s Split, items []Item, metrics ...record.Metric) (Result, error) {
	r := Result{Category: c, Suite: suite, Dataset: s.Name, Metrics: metrics}
	for _, item := range items {
		line, err := json.Marshal(item)
		if err != nil {
			return Result{}, fmt.Errorf("writing item %s of %s: %w", item.Item, suite, err)
		}
		r.Items = append(append(r.Items, line...), '\n')
	}
	return r, nil
}

// proportion counts the items with the outcome.
func proportion(name string, items []Item, outcome string) record.Metric {
	successes := 0
	for _, item := range items {
		if item.Outcome == outcome {
			successes++
		}
	}
	return record.Metric{Name: name, Value: float64(successes) / float64(len(items)), N: len(items), Successes: &successes}
}

func measured(name string, value float64, n int, stdErr float64) record.Metric {
	return record.Metric{Name: name, Value: value, N: n, Reported: &record.Uncertainty{Method: "demo", StdErr: &stdErr}}
}

func bySlice(items []Item, slice string) []Item {
	var out []Item
	for _, item := range items {
		if item.Slice == slice {
			out = append(out, item)
		}
	}
	return out
}

func scores(items []Item) []float64 {
	out := make([]float64, len(items))
	for i, item := range items {
		out[i] = *item.Score
	}
	return out
}

func labels(items []Item) []float64 {
	out := make([]float64, len(items))
	for i, item := range items {
		if item.Label == className(true) {
			out[i] = 1
		}
	}
	return out
}
