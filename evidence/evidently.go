package evidence

import (
	"math"
	"strings"

	"imprimatur.dev/record"
)

// evidentlyFormat is Evidently's JSON in three shapes: the report and the test
// suite of 0.6 and before, and the snapshot of 0.7 and later. Its drift scores
// become drift_score by feature; the tool's own verdicts are checked against its
// scores and thresholds and decide nothing. Which way a score points is known
// from its method alone, so that an unknown method is refused. No shape but the
// last says how many rows there were, and that one only with the metric
// RowCount: give --expected otherwise. Source: evidently/calculations/stattests
// and core/metric_types.py of 0.7.21.
var evidentlyFormat = importer{
	format: "evidently", version: 1, accepts: "Evidently 0.2 to 0.6 (report, test suite) and 0.7 (snapshot)", nan: true,
	match: func(h *head) string {
		d := h.one()
		switch {
		case d.has("metrics[].metric", "metrics[].result", "version"):
			return "report"
		case d.has("tests", "summary.all_passed", "version"):
			return "suite"
		case strings.HasPrefix(d.text("metrics[].config.type"), evidentlyType), d.has("metrics[].metric_name", "metrics[].config", "tests"):
			return "snapshot"
		case d.has("metrics", "tests") && len(d) < 5 && d.kind("metrics") == '[':
			return "snapshot"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			r := &evidently{in: in, d: in.json(p), rows: in.run.Expected, quality: map[string]float64{}}
			r.file(p.role)
			if err := r.d.end(); err != nil {
				return err
			}
			r.take()
		}
		return nil
	},
}

const evidentlyType = "evidently:metric_v2:"

// pValues are the methods whose score is a p-value, low where there is drift;
// distances are high there. Total-Variation-Distance is a p-value in spite of
// its name. Both spellings of the tool are here, in lower case.
var (
	pValues = map[string]string{
		"k-s p_value": "ks", "ks": "ks", "chi-square p_value": "chisquare", "chisquare": "chisquare", "z-test p_value": "z", "z": "z",
		"anderson p_value": "anderson", "anderson": "anderson", "cramer_von_mises p_value": "cramer_von_mises", "cramer_von_mises": "cramer_von_mises",
		"epps-singleton p_value": "es", "es": "es", "fisher's exact test p_value": "fisher_exact", "fisher's exact test": "fisher_exact", "fisher_exact": "fisher_exact",
		"g-test p_value": "g_test", "g_test": "g_test", "mann-whitney u-rank test p_value": "mannw", "mann-whitney u-rank test": "mannw", "mannw": "mannw",
		"t_test p_value": "t_test", "t_test": "t_test", "empirical_mmd": "empirical_mmd", "total-variation-distance": "tvd", "tvd": "tvd",
	}
	distances = map[string]string{
		"psi": "psi", "jensen-shannon distance": "jensenshannon", "jensenshannon": "jensenshannon", "wasserstein distance (normed)": "wasserstein",
		"wasserstein": "wasserstein", "kullback-leibler divergence": "kl_div", "kl_div": "kl_div", "hellinger distance": "hellinger", "hellinger": "hellinger",
		"energy-distance": "ed", "energy_distance": "ed", "ed": "ed", "absolute text content drift": "abs_text_content", "abs_text_content_drift": "abs_text_content",
		"percentile text content drift": "perc_text_content", "perc_text_content_drift": "perc_text_content",
	}
)

// evidentlyQuality are the metrics of how good predictions are, by their name in
// either shape.
var evidentlyQuality = map[string]record.Metric{
	"accuracy": {Name: "accuracy", Direction: record.Higher}, "precision": {Name: "precision", Direction: record.Higher},
	"recall": {Name: "recall", Direction: record.Higher}, "f1": {Name: "f1", Direction: record.Higher}, "f1score": {Name: "f1", Direction: record.Higher},
	"roc_auc": {Name: "roc_auc", Direction: record.Higher}, "rocauc": {Name: "roc_auc", Direction: record.Higher},
	"log_loss": {Name: "log_loss", Direction: record.Lower}, "logloss": {Name: "log_loss", Direction: record.Lower},
	"mae": {Name: "mae", Direction: record.Lower}, "rmse": {Name: "rmse", Direction: record.Lower}, "r2score": {Name: "r2", Direction: record.Higher},
}

type evidently struct {
	in      *input
	d       *doc
	rows    int
	version string
	stamp   string
	drifts  []evidentlyDrift
	quality map[string]float64
	// correct of total is the accuracy's count, from a confusion matrix.
	correct, total float64
	tests          []evidentlyTest
	hasTests       bool
}

type evidentlyDrift struct {
	column, method   string
	score, threshold float64
	detected, says   bool
}

type evidentlyTest struct{ name, status string }

func (r *evidently) file(role string) {
	d := r.d
	d.object(func(name string) bool {
		switch name {
		case "version":
			r.version = d.text()
		case "timestamp":
			// It has no zone.
			r.stamp = d.text()
		case "metrics":
			d.array(func(int) {
				if role == "snapshot" {
					r.snapshot()
				} else {
					r.legacy()
				}
			})
		case "tests":
			r.hasTests = true
			d.array(func(int) { r.test() })
		case "summary":
			d.skip()
		default:
			return false
		}
		return true
	})
}

// legacy reads one metric of a report before 0.7.
func (r *evidently) legacy() {
	d := r.d
	metric := ""
	d.object(func(name string) bool {
		switch name {
		case "metric":
			metric = d.text()
		case "result":
			if d.kind() != '{' {
				d.skip()
				return true
			}
			d.object(func(name string) bool {
				switch {
				case name == "drift_by_columns":
					d.object(func(column string) bool {
						r.column(column)
						return true
					})
				case name == "current" && metric == "ClassificationQualityMetric":
					d.object(func(name string) bool {
						if _, ok := evidentlyQuality[name]; ok {
							r.quality[name] = d.number()
						} else {
							d.skip()
						}
						return true
					})
				case name == "current_matrix" && metric == "ClassificationConfusionMatrix":
					r.matrix()
				default:
					d.skip()
				}
				return true
			})
		default:
			return false
		}
		return true
	})
}

func (r *evidently) column(column string) {
	d := r.d
	x := evidentlyDrift{column: column, score: math.NaN(), threshold: math.NaN()}
	d.object(func(name string) bool {
		switch name {
		case "stattest_name":
			x.method = d.text()
		case "stattest_threshold":
			x.threshold = d.number()
		case "drift_score":
			x.score = d.number()
		case "drift_detected":
			x.detected, x.says = d.truth(), true
		default:
			d.skip()
		}
		return true
	})
	r.drifts = append(r.drifts, x)
}

// matrix counts the diagonal of a confusion matrix.
func (r *evidently) matrix() {
	d := r.d
	d.object(func(name string) bool {
		if name != "values" {
			d.skip()
			return true
		}
		d.array(func(i int) {
			d.array(func(k int) {
				n := d.number()
				if r.total += n; i == k {
					r.correct += n
				}
			})
		})
		return true
	})
}

// snapshot reads one metric of 0.7 and later.
func (r *evidently) snapshot() {
	d := r.d
	kind := ""
	x := evidentlyDrift{score: math.NaN(), threshold: math.NaN()}
	value := math.NaN()
	d.object(func(name string) bool {
		switch name {
		case "config":
			d.object(func(name string) bool {
				switch {
				case name == "type":
					kind = strings.TrimPrefix(d.text(), evidentlyType)
				case name == "column" && d.kind() == '"':
					x.column = d.text()
				case name == "method" && d.kind() == '"':
					x.method = d.text()
				case name == "threshold" && d.kind() == '0':
					x.threshold = d.number()
				default:
					d.skip()
				}
				return true
			})
		case "value":
			if d.kind() == '0' || d.kind() == '"' {
				value = d.number()
			} else {
				d.skip()
			}
		case "id", "metric_name":
			d.skip()
		default:
			return false
		}
		return true
	})
	switch {
	case kind == "ValueDrift":
		x.score = value
		r.drifts = append(r.drifts, x)
	case kind == "RowCount":
		if !math.IsNaN(value) {
			r.rows = int(value)
		}
	case evidentlyQuality[strings.ToLower(kind)].Name != "":
		r.quality[strings.ToLower(kind)] = value
	}
}

func (r *evidently) test() {
	d := r.d
	t := evidentlyTest{}
	d.object(func(name string) bool {
		switch name {
		case "id", "name":
			if v := d.scalar(); name == "name" || t.name == "" {
				t.name = v
			}
		case "status":
			t.status = strings.ToUpper(d.scalar())
		default:
			d.skip()
		}
		return true
	})
	r.tests = append(r.tests, t)
}

// take makes the suites.
func (r *evidently) take() {
	if len(r.drifts) > 0 {
		r.drift(r.suite(record.Drift))
	}
	if len(r.quality) > 0 {
		r.qualities(r.suite(record.Accuracy))
	}
	if len(r.tests) > 0 {
		r.judged(r.suite(record.Accuracy))
	}
	if len(r.in.suites) == 0 {
		r.suite(record.Drift).incomplete("it holds no measure of drift or quality, and no test")
	}
}

func (r *evidently) suite(c record.Category) *suite {
	s := r.in.suite("evidently", c)
	s.Tool.Name, s.Tool.Version = "evidently", r.version
	if r.stamp != "" {
		s.Labels["timestamp"] = r.stamp
	}
	return s
}

func (r *evidently) drift(s *suite) {
	if r.rows == 0 {
		r.in.warn("the file does not say how many rows were compared: give --expected")
	}
	drifted := 0
	worst := map[string]float64{}
	for _, x := range r.drifts {
		method := strings.ToLower(x.method)
		p, isP := pValues[method]
		distance, isDistance := distances[method]
		switch {
		case !isP && !isDistance:
			s.refuse("the method %q of the column %q is not known, and so which way its score points is not", clip(x.method), clip(x.column))
			return
		case math.IsNaN(x.score):
			s.incomplete("the column %s has no drift score", clip(x.column))
			continue
		}
		m := record.Metric{Name: "drift_score", Direction: record.Lower, Slice: map[string]string{"feature": x.column}, Value: x.score, N: r.rows, Drift: &record.DriftMeasure{Method: distance}}
		found := x.score >= x.threshold
		if isP {
			found = x.score < x.threshold
			m.Direction, m.Drift = record.Higher, &record.DriftMeasure{Method: p, PValue: &x.score}
		}
		if found {
			drifted++
		}
		if x.says {
			s.check("drift of "+clip(x.column), truth(x.detected), truth(found), 0)
		}
		name := m.Drift.Method + "_max"
		if isP {
			name = m.Drift.Method + "_min"
		}
		if w, ok := worst[name]; !ok || (isP && x.score < w) || (!isP && x.score > w) {
			worst[name] = x.score
		}
		s.report(m)
	}
	s.Counts.Scored = r.rows
	s.report(record.Metric{Name: "drifted_features", Direction: record.Lower, Value: float64(drifted), N: r.rows})
	for _, name := range keys(worst) {
		direction := record.Lower
		if strings.HasSuffix(name, "_min") {
			direction = record.Higher
		}
		s.report(record.Metric{Name: name, Direction: direction, Value: worst[name], N: r.rows})
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (r *evidently) qualities(s *suite) {
	rows := r.rows
	if r.total > 0 {
		rows = int(r.total)
	}
	if rows == 0 {
		r.in.warn("the file does not say how many rows were evaluated: give --expected")
	}
	for _, name := range keys(r.quality) {
		m := evidentlyQuality[name]
		m.Value, m.N = r.quality[name], rows
		if m.Name == "accuracy" && r.total > 0 {
			n := int(r.correct)
			s.check("accuracy", m.Value, r.correct/r.total, 1e-6)
			m.Successes, m.Value = &n, r.correct/r.total
		}
		s.report(m)
	}
	s.Counts.Scored = rows
}

// judged reads the tests: a warning is neither success nor failure to the tool
// and not a pass here; one that is skipped was not asked.
func (r *evidently) judged(s *suite) {
	s.describe(record.Metric{Name: passRate, Direction: record.Higher}, 0, 1)
	seen := map[string]int{}
	for _, t := range r.tests {
		id := t.name
		if seen[t.name]++; seen[t.name] > 1 {
			id += "#" + string(rune('0'+min(seen[t.name], 9)))
		}
		status := t.status[strings.LastIndexByte(t.status, '.')+1:]
		switch status {
		case "SKIPPED":
			s.skip++
		case "ERROR":
			s.none(s.item(id), passRate)
		default:
			s.outcome(s.item(id), passRate, status == "SUCCESS")
		}
	}
}
