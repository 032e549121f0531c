package evidence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// mlflowFormat is an MLflow run: its JSON as the REST API and "mlflow runs
// describe" write it; the folder of a file store with meta.yaml, metrics and
// tags; and the table eval_results_table.json of mlflow.evaluate, whose rows are
// items. A metric has neither a count nor an interval nor a direction in MLflow.
// The latest point of a metric is the one with the greatest (step, time); where
// two points tie with different values it is refused, while MLflow would take
// the greater value. Source: mlflow/store/tracking/file_store.py and
// mlflow/models/evaluation.
var mlflowFormat = importer{
	format: "mlflow", version: 1, accepts: "MLflow 2 and 3: a run's JSON, a run's folder (meta.yaml, metrics, tags), eval_results_table.json", nan: true,
	match: func(h *head) string {
		d := h.one()
		switch {
		case d.has("info.run_id", "data.metrics"):
			return "run"
		case d.has("run.info.run_id", "run.data"):
			return "response"
		case d.kind("columns") == '[' && d.kind("data") == '[' && len(d) < 16 && (d.kind("data[]") == '[' || d.kind("data[]") == 0):
			return "table"
		case h.form != formText:
			return ""
		case strings.Contains("\n"+h.first, "\nrun_id: ") && strings.Contains(h.first, "\nlifecycle_stage: "),
			strings.HasPrefix(h.first, "artifact_uri: ") && strings.Contains(h.first, "\nrun_id: "):
			return "meta"
		case mlflowPoint(strings.SplitN(h.first, "\n", 2)[0]):
			return "metric"
		case !strings.Contains(h.first, "\n") && strings.HasPrefix(path.Base(h.name), "mlflow."):
			return "tag"
		}
		return ""
	},
	read: readMLflow,
}

// mlflowPoint reports whether a line is a point of a metric: 2 to 6 fields,
// milliseconds first.
func mlflowPoint(line string) bool {
	f := strings.Fields(line)
	if len(f) < 2 || len(f) > 6 {
		return false
	}
	ms, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil || ms < 1e11 {
		return false
	}
	_, err = strconv.ParseFloat(f[1], 64)
	return err == nil
}

type mlflowRun struct {
	in *input
	s  *suite
	// metrics are by name.
	metrics map[string]mlflowValue
	ended   bool
}

type mlflowValue struct {
	step, time int64
	value      float64
}

func readMLflow(in *input) error {
	r := &mlflowRun{in: in, s: in.suite("mlflow", record.Accuracy), metrics: map[string]mlflowValue{}}
	r.s.Tool.Name = "mlflow"
	runs := 0
	for _, p := range in.parts {
		var err error
		switch p.role {
		case "run", "response":
			runs++
			err = r.json(in.json(p), p.role)
		case "meta":
			runs++
			err = r.meta(p)
		case "metric":
			err = r.metric(p)
		case "tag":
			err = r.tag(p)
		case "table":
			err = r.table(in.json(p))
		}
		if err != nil {
			return err
		}
	}
	if runs > 1 {
		return in.refuse("", "these are files of %d runs; record one run at a time", runs)
	}
	if runs == 1 && !r.ended {
		r.s.incomplete("the run's status is not finished")
	}
	for _, name := range keys(r.metrics) {
		r.report(name)
	}
	if r.s.items.len() == 0 {
		if r.rows() == 0 {
			in.warn("MLflow does not say how many items a metric is over: give --expected")
		}
		r.s.Counts.Scored = r.rows()
	}
	return nil
}

// mlflowDirections are of the metrics that mlflow.evaluate logs of a classifier
// or a regressor; of others the direction is not known.
var mlflowDirections = map[string]string{
	"accuracy_score": record.Higher, "recall_score": record.Higher, "precision_score": record.Higher, "f1_score": record.Higher,
	"roc_auc": record.Higher, "precision_recall_auc": record.Higher, "log_loss": record.Lower, "r2_score": record.Higher,
	"mean_absolute_error": record.Lower, "mean_squared_error": record.Lower, "root_mean_squared_error": record.Lower,
}

// report reports a metric of the run: where the run has the cells of a binary
// confusion matrix, the shares of them are counts and checked against these. The
// mean of a column of the table is checked against its rows.
func (r *mlflowRun) report(name string) {
	m := record.Metric{Name: name, Direction: mlflowDirections[name], Value: r.metrics[name].value, N: r.rows()}
	if base, ok := strings.CutSuffix(name, "/mean"); ok {
		if column, ok := mlflowScore(base); ok && r.s.byName[column] != nil {
			m.Name = column
		}
	}
	cell := func(name string) int {
		v := r.metrics[name].value
		if v != math.Trunc(v) || v < 0 || v > MaxItems {
			return -1 << 31 // no count: nothing that it enters is one
		}
		return int(v)
	}
	if _, binary := r.metrics["true_positives"]; binary {
		tp, tn, fp, fn := cell("true_positives"), cell("true_negatives"), cell("false_positives"), cell("false_negatives")
		k, n := 0, 0
		switch name {
		case "accuracy_score":
			k, n = tp+tn, tp+tn+fp+fn
		case "recall_score":
			k, n = tp, tp+fn
		case "precision_score":
			k, n = tp, tp+fp
		}
		if k >= 0 && n >= max(k, 1) {
			share := float64(k) / float64(n)
			r.s.check(name+" from the confusion matrix", m.Value, share, 1e-9)
			m.Value, m.N, m.Successes = share, n, &k
		}
	}
	r.s.report(m)
}

// rows is how many items the metrics are over, as far as anything says so.
func (r *mlflowRun) rows() int {
	if n := r.s.items.len(); n > 0 {
		return n
	}
	if m, ok := r.metrics["example_count"]; ok {
		return int(m.value)
	}
	return r.in.run.Expected
}

func (r *mlflowRun) json(d *doc, role string) error {
	if role == "response" {
		d.object(func(name string) bool {
			if name != "run" {
				return false
			}
			d.object(func(name string) bool { return r.member(d, name) })
			return true
		})
	} else {
		d.object(func(name string) bool { return r.member(d, name) })
	}
	return d.end()
}

func (r *mlflowRun) member(d *doc, name string) bool {
	switch name {
	case "info":
		d.object(func(name string) bool {
			switch name {
			case "status":
				status := d.scalar()
				r.ended = status == "FINISHED" || status == "3"
			case "run_id", "experiment_id", "run_name", "user_id":
				if v := d.scalar(); v != "" {
					r.s.Labels[name] = v
				}
			case "start_time":
				r.s.Started = millis(d.scalar())
			case "end_time":
				r.s.Ran = millis(d.scalar())
			default:
				d.skip()
			}
			return true
		})
	case "data":
		d.object(func(name string) bool { return r.data(d, name) })
	case "inputs", "outputs":
		d.skip()
	default:
		return false
	}
	return true
}

func millis(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// data reads metrics, parameters and tags: objects in "mlflow runs describe",
// lists of keys and values in the REST API.
func (r *mlflowRun) data(d *doc, name string) bool {
	each := func(take func(key string, v mlflowValue, text string)) {
		if d.kind() == '{' {
			d.object(func(key string) bool {
				if d.kind() == '0' {
					take(key, mlflowValue{value: d.number()}, "")
				} else {
					take(key, mlflowValue{value: missing}, d.scalar())
				}
				return true
			})
			return
		}
		d.array(func(int) {
			key, text := "", ""
			v := mlflowValue{value: missing}
			d.object(func(name string) bool {
				switch {
				case name == "key":
					key = d.scalar()
				case name == "value" && d.kind() == '0':
					v.value = d.number()
				case name == "value":
					text = d.scalar()
				case name == "step":
					v.step, _ = strconv.ParseInt(d.scalar(), 10, 64)
				case name == "timestamp":
					v.time, _ = strconv.ParseInt(d.scalar(), 10, 64)
				default:
					d.skip()
				}
				return true
			})
			take(key, v, text)
		})
	}
	switch name {
	case "metrics":
		each(func(key string, v mlflowValue, _ string) { r.metrics[key] = v })
	case "params":
		each(func(key string, v mlflowValue, text string) {
			if text == "" && !math.IsNaN(v.value) {
				text = strconv.FormatFloat(v.value, 'g', -1, 64)
			}
			r.s.Settings["param."+key] = clip(text)
		})
	case "tags":
		each(func(key string, _ mlflowValue, text string) { r.tagged(key, text) })
	default:
		return false
	}
	return true
}

func (r *mlflowRun) tagged(key, text string) {
	switch key {
	case "mlflow.source.git.commit":
		r.s.Tool.Commit = clip(text)
	case "mlflow.source.name", "mlflow.user", "mlflow.runName":
		r.s.Labels[key] = clip(text)
	}
}

// meta reads a run's meta.yaml: flat, one member a line.
func (r *mlflowRun) meta(p part) error {
	text, err := p.small()
	if err != nil {
		return err
	}
	for _, line := range strings.Split(text, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		value = strings.Trim(value, `"'`)
		switch key {
		case "status":
			r.ended = value == "3" || value == "FINISHED"
		case "run_id":
			r.s.Labels["run_id"] = clip(value)
		case "start_time":
			r.s.Started = millis(value)
		case "end_time":
			r.s.Ran = millis(value)
		}
	}
	return nil
}

func (p part) small() (string, error) {
	if p.Size > maxCard {
		return "", p.refuse("", "it has %d bytes, more than %d", p.Size, maxCard)
	}
	raw, err := io.ReadAll(io.NewSectionReader(p, 0, p.Size))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", p.Name, err)
	}
	return string(raw), nil
}

func (r *mlflowRun) tag(p part) error {
	text, err := p.small()
	r.tagged(path.Base(p.Name), strings.TrimSpace(text))
	return err
}

// metric reads the points of one metric; the file store keeps its name as the
// file's.
func (r *mlflowRun) metric(p part) error {
	lines := bufio.NewScanner(io.NewSectionReader(p, 0, p.Size))
	var last mlflowValue
	n := 0
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		n++
		at := fmt.Sprintf("line %d", n)
		if !mlflowPoint(lines.Text()) {
			return p.refuse(at, "it is no point of a metric: time, value and step are expected")
		}
		f := strings.Fields(lines.Text())
		x := mlflowValue{}
		x.time, _ = strconv.ParseInt(f[0], 10, 64)
		x.value, _ = strconv.ParseFloat(f[1], 64)
		if len(f) > 2 && len(f) != 4 && len(f) != 6 {
			var err error
			if x.step, err = strconv.ParseInt(f[2], 10, 64); err != nil {
				return p.refuse(at, "%q is no step", clip(f[2]))
			}
		}
		switch order := slices.Compare([]int64{x.step, x.time}, []int64{last.step, last.time}); {
		case n == 1 || order > 0:
			last = x
		case order == 0 && x.value != last.value:
			return p.refuse(at, "two points of step %d and time %d have different values", x.step, x.time)
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return p.refuse("", "it has a line longer than %d bytes", bufio.MaxScanTokenSize)
		}
		return fmt.Errorf("reading %s: %w", p.Name, err)
	}
	r.metrics[path.Base(p.Name)] = last
	return nil
}

// table reads the rows of mlflow.evaluate: columns that end in "/score" or hold
// numbers or truth values are metrics, one outcome a row.
func (r *mlflowRun) table(d *doc) error {
	var columns []string
	var rows [][]float64
	d.object(func(name string) bool {
		switch name {
		case "columns":
			d.array(func(int) { columns = append(columns, d.scalar()) })
		case "data":
			d.array(func(int) {
				var row []float64
				d.array(func(int) { row = append(row, tableCell(d)) })
				rows = append(rows, row)
				if len(rows) > MaxItems/64 {
					d.refuse("it has more than %d rows", MaxItems/64)
				}
			})
		default:
			return false
		}
		return true
	})
	if err := d.end(); err != nil {
		return err
	}
	for i, row := range rows {
		if len(row) != len(columns) {
			return d.part.refuse(fmt.Sprintf("/data/%d", i), "the row has %d cells, and there are %d columns", len(row), len(columns))
		}
		item := r.s.newItem(strconv.Itoa(i))
		for k, c := range columns {
			metric, ok := mlflowScore(c)
			switch {
			case !ok || row[k] == notNumber:
			default:
				r.s.score(item, metric, row[k])
			}
		}
	}
	return nil
}

// notNumber marks a cell that holds something else than a number.
const notNumber = -math.MaxFloat64

func tableCell(d *doc) float64 {
	switch d.kind() {
	case '0', 'n':
		return d.number()
	case 't', 'f':
		return truth(d.truth())
	}
	d.skip()
	return notNumber
}

// mlflowScore returns the metric of a column, which MLflow names "exact_match/v1"
// or "toxicity/v1/score"; other columns are inputs and outputs.
func mlflowScore(column string) (string, bool) {
	parts := strings.Split(column, "/")
	switch {
	case len(parts) >= 2 && strings.HasPrefix(parts[1], "v") && (len(parts) == 2 || parts[2] == "score"):
		return parts[0], true
	case len(parts) == 2 && parts[1] == "score":
		return parts[0], true
	}
	return "", false
}
