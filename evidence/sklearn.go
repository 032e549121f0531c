package evidence

import (
	"fmt"
	"math"
	"strconv"

	"imprimatur.dev/record"
)

// sklearnFormat is what scikit-learn's users write: classification_report with
// output_dict, a confusion matrix, and a table of predictions. The report's
// recalls are counts in disguise, round(recall × support), and have intervals;
// its other numbers have none, unless the confusion matrix or the predictions
// are given too. Source: sklearn/metrics/_classification.py.
//
//	{"labels": ["benign", "malignant"], "matrix": [[50, 3], [1, 40]]}
//
// is the confusion matrix, rows true and columns predicted, and the table has
// the columns y_true, y_pred and, of a binary classifier, y_score.
var sklearnFormat = importer{
	format: "sklearn", version: 1, accepts: "scikit-learn: classification_report(output_dict=True), {labels, matrix} of confusion_matrix, CSV with y_true, y_pred, y_score", nan: true,
	match: func(h *head) string {
		d := h.one()
		switch {
		case d.has("weighted avg.support", "macro avg.precision"):
			return "report"
		case d.kind("labels") == '[' && d.kind("matrix[]") == '[':
			return "matrix"
		case h.form == formText && hasColumn(h, "y_true") && hasColumn(h, "y_pred") && !hasColumn(h, "item"):
			return "predictions"
		}
		return ""
	},
	read: readSklearn,
}

func readSklearn(in *input) error {
	s := in.suite("classification", record.Accuracy)
	s.Tool.Name = "scikit-learn"
	for _, p := range in.of("predictions") {
		if err := s.predictions(p); err != nil {
			return err
		}
	}
	for _, p := range in.of("matrix") {
		if err := s.confusion(in.json(p)); err != nil {
			return err
		}
	}
	for _, p := range in.of("report") {
		r := sklearnReport{s: s, classes: map[string]sklearnRow{}, accuracy: missing}
		if err := r.read(in.json(p)); err != nil {
			return err
		}
		if err := r.take(p); err != nil {
			return err
		}
	}
	return nil
}

// predictions reads the table; an item is known by its row.
func (s *suite) predictions(p part) error {
	at := map[string]int{}
	_, err := p.table(func(line int, row []string) error {
		if line == 0 {
			for i, c := range row {
				at[c] = i
			}
			return nil
		}
		score := missing
		if i, ok := at["y_score"]; ok && row[i] != "" {
			v, err := strconv.ParseFloat(row[i], 64)
			if err != nil || math.IsInf(v, 0) {
				return p.refuse(fmt.Sprintf("line %d, column y_score", line), "a number is expected here")
			}
			score = v
		}
		label := row[at["y_true"]]
		if label == "" {
			return p.refuse(fmt.Sprintf("line %d, column y_true", line), "the item has no label")
		}
		i := s.newItem(strconv.Itoa(s.items.len()) + " " + label)
		s.classify(i, label, row[at["y_pred"]], score)
		return nil
	})
	return err
}

// confusion makes an item of every count of a confusion matrix.
func (s *suite) confusion(d *doc) error {
	var labels []string
	var rows [][]int
	d.object(func(name string) bool {
		switch name {
		case "labels":
			d.array(func(int) { labels = append(labels, d.scalar()) })
		case "matrix":
			d.array(func(int) {
				var row []int
				d.array(func(int) { row = append(row, d.integer()) })
				rows = append(rows, row)
			})
		default:
			return false
		}
		return true
	})
	if err := d.end(); err != nil {
		return err
	}
	if len(rows) != len(labels) || len(rows) == 0 {
		return d.part.refuse("/matrix", "it has %d rows for %d labels", len(rows), len(labels))
	}
	if s.items.len() > 0 {
		return s.compareMatrix(d.part, labels, rows)
	}
	for i, row := range rows {
		if len(row) != len(labels) {
			return d.part.refuse(fmt.Sprintf("/matrix/%d", i), "it has %d columns for %d labels", len(row), len(labels))
		}
		for k, n := range row {
			if n < 0 || n > MaxItems {
				return d.part.refuse(fmt.Sprintf("/matrix/%d/%d", i, k), "%d is no count of items", n)
			}
			for c := range n {
				s.classify(s.newItem(fmt.Sprintf("%d/%d/%d", i, k, c)), labels[i], labels[k], missing)
				if len(s.broken) > 0 {
					return nil
				}
			}
		}
	}
	s.nameless = true
	return nil
}

// compareMatrix holds a matrix against the predictions.
func (s *suite) compareMatrix(p part, labels []string, rows [][]int) error {
	ours := map[[2]int32]int{}
	for i := range s.classes.truth {
		ours[[2]int32{s.classes.truth[i], s.classes.predicted[i]}]++
	}
	for i, row := range rows {
		if len(row) != len(labels) {
			return p.refuse(fmt.Sprintf("/matrix/%d", i), "it has %d columns for %d labels", len(row), len(labels))
		}
		for k, n := range row {
			key := [2]int32{s.classes.number(labels[i]), s.classes.number(labels[k])}
			if n != 0 || ours[key] != 0 {
				s.check(fmt.Sprintf("%s predicted as %s", clip(labels[i]), clip(labels[k])), float64(n), float64(ours[key]), 0)
			}
		}
	}
	return nil
}

type sklearnRow struct{ precision, recall, f1, support float64 }

type sklearnReport struct {
	s        *suite
	names    []string
	classes  map[string]sklearnRow
	accuracy float64
	macro    sklearnRow
}

func (r *sklearnReport) read(d *doc) error {
	d.object(func(name string) bool {
		switch {
		case name == "accuracy" && d.kind() == '0':
			r.accuracy = d.number()
		case name == "macro avg":
			r.macro = sklearnScores(d)
		case name == "weighted avg", name == "micro avg", name == "samples avg":
			d.skip()
		default:
			r.names = append(r.names, name)
			r.classes[name] = sklearnScores(d)
		}
		return true
	})
	return d.end()
}

func sklearnScores(d *doc) (x sklearnRow) {
	d.object(func(name string) bool {
		switch name {
		case "precision":
			x.precision = d.number()
		case "recall":
			x.recall = d.number()
		case "f1-score":
			x.f1 = d.number()
		case "support":
			x.support = d.number()
		default:
			return false
		}
		return true
	})
	return x
}

// take reports the classes, and holds the report against itself.
func (r *sklearnReport) take(p part) error {
	s := r.s
	var n, correct float64
	for _, name := range r.names {
		x := r.classes[name]
		if x.support != math.Trunc(x.support) || x.support < 0 {
			return p.refuse("/"+name+"/support", "%v is no count of items", x.support)
		}
		hits := math.Round(x.recall * x.support)
		n, correct = n+x.support, correct+hits
		s.check("recall × support of "+clip(name)+" is whole", x.recall*x.support, hits, 1e-6*max(1, x.support))
	}
	if n == 0 {
		s.incomplete("its classes have no items")
		return nil
	}
	s.check("support of macro avg", r.macro.support, n, 0)
	if !math.IsNaN(r.accuracy) {
		s.check("accuracy from the recalls", r.accuracy, correct/n, 1e-9)
		c := int(correct)
		s.report(record.Metric{Name: "accuracy", Direction: record.Higher, Value: correct / n, N: int(n), Successes: &c})
	} else {
		s.in.warn("it has no accuracy: it is of several labels an item, or of some of the classes")
	}
	s.Counts.Scored = cmp0(s.Counts.Scored, int(n))
	r.byClass(int(n))
	return nil
}

func (r *sklearnReport) byClass(n int) {
	positive := ""
	if len(r.names) == 2 {
		for _, name := range r.names {
			if name == r.s.in.run.Settings["positive"] || name == "1" || name == "True" || name == "1.0" {
				positive = name
			}
		}
	}
	for _, name := range r.names {
		x := r.classes[name]
		slice := map[string]string{"class": name}
		if name == positive {
			slice = nil
		} else if positive != "" {
			continue
		}
		if hits := int(math.Round(x.recall * x.support)); x.support > 0 {
			r.s.report(record.Metric{Name: "recall", Direction: record.Higher, Slice: slice, Value: float64(hits) / x.support, N: int(x.support), Successes: &hits})
		}
		r.s.report(record.Metric{Name: "precision", Direction: record.Higher, Slice: slice, Value: x.precision, N: n})
		r.s.report(record.Metric{Name: "f1", Direction: record.Higher, Slice: slice, Value: x.f1, N: n})
	}
	if positive == "" {
		r.s.report(record.Metric{Name: "recall_macro", Direction: record.Higher, Value: r.macro.recall, N: n})
		r.s.report(record.Metric{Name: "precision_macro", Direction: record.Higher, Value: r.macro.precision, N: n})
		r.s.report(record.Metric{Name: "f1_macro", Direction: record.Higher, Value: r.macro.f1, N: n})
	}
}
