package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// lmEvalFormat is EleutherAI's lm-evaluation-harness: results_*.json, and with
// it samples_*.jsonl, which a run writes with --log_samples. Each task is a
// suite. Samples are matched with their task by the task's hash, which the
// results list; the file's name decides nothing. Source: lm_eval/result_schema.py
// and lm_eval/evaluator.py of version 0.4.9.
var lmEvalFormat = importer{
	format: "lm-eval", version: 1, accepts: "lm-evaluation-harness 0.4: results JSON and samples JSONL", nan: true,
	match: func(h *head) string {
		if d := h.one(); d.has("results", "versions", "configs", "n-shot") || d.has("results", "versions", "config.model_args") {
			return "results"
		}
		if l := h.lines(); len(l) > 0 && l[0].has("doc_id", "doc_hash", "target_hash", "filtered_resps") {
			return "samples"
		}
		return ""
	},
	read: readLMEval,
}

// lmEval is one run's results, by task.
type lmEval struct {
	tasks    map[string]*lmTask
	settings map[string]string
	labels   map[string]string
	tool     record.Tool
	started  time.Time
	seconds  float64
	configs  bool
}

type lmTask struct {
	version             string
	original, effective int
	hash                string
	// values are by "metric,filter", errors by the same key.
	values, errors map[string]float64
	better         map[string]string
	// mean are the metrics that are the mean of their samples' values.
	mean     map[string]bool
	settings map[string]string
	samples  bool
}

func (l *lmEval) task(name string) *lmTask {
	t := l.tasks[name]
	if t == nil {
		t = &lmTask{values: map[string]float64{}, errors: map[string]float64{}, better: map[string]string{}, mean: map[string]bool{}, settings: map[string]string{}}
		l.tasks[name] = t
	}
	return t
}

func readLMEval(in *input) error {
	results := in.of("results")
	if len(results) > 1 {
		return results[1].refuse("", "it is a second file of results; record one run at a time")
	}
	l := lmEval{tasks: map[string]*lmTask{}, settings: map[string]string{}, labels: map[string]string{}}
	for _, p := range results {
		if err := l.results(in.json(p)); err != nil {
			return err
		}
		if !l.configs {
			return p.refuse("", "it was written by a version before 0.4, which does not say how many samples there were; run it again with 0.4 or later")
		}
	}
	for _, name := range keys(l.tasks) {
		if t := l.tasks[name]; t.effective > 0 {
			l.suite(in, name, t)
		} else if len(t.values) > 0 {
			in.warn("%s is a group of tasks and left out: its tasks are read one by one", name)
		}
	}
	for _, p := range in.of("samples") {
		if err := l.samples(in, p); err != nil {
			return err
		}
	}
	return nil
}

func (l *lmEval) results(d *doc) error {
	d.object(func(name string) bool {
		switch name {
		case "results":
			d.object(func(task string) bool {
				l.metrics(d, l.task(task))
				return true
			})
		case "versions":
			d.object(func(task string) bool {
				l.task(task).version = d.scalar()
				return true
			})
		case "n-samples":
			d.object(func(task string) bool {
				l.counts(d, l.task(task))
				return true
			})
		case "higher_is_better":
			d.object(func(task string) bool {
				t := l.task(task)
				d.object(func(metric string) bool {
					if d.kind() == 'n' {
						d.skip()
					} else if d.truth() {
						t.better[metric] = record.Higher
					} else {
						t.better[metric] = record.Lower
					}
					return true
				})
				return true
			})
		case "task_hashes":
			d.object(func(task string) bool {
				l.task(task).hash = d.text()
				return true
			})
		case "configs":
			l.configs = true
			d.object(func(task string) bool {
				l.config(d, l.task(task))
				return true
			})
		case "config":
			all := map[string]string{}
			d.settings(all, "")
			for k, v := range all {
				if strings.HasPrefix(k, "model") || k == "device" {
					l.labels[k] = v
				} else if !strings.HasPrefix(k, "batch_size") {
					l.settings[k] = v
				}
			}
		case "lm_eval_version":
			l.tool.Version = d.text()
		case "git_hash":
			l.tool.Commit = d.text()
		case "date":
			if s := d.number(); s > 0 && s < 1e11 {
				l.started = record.Millis(time.UnixMilli(int64(s * 1000)))
			}
		case "total_evaluation_time_seconds":
			l.seconds, _ = strconv.ParseFloat(d.scalar(), 64)
		case "model_name", "model_source":
			if v := d.scalar(); v != "" {
				l.labels[name] = v
			}
		case "chat_template_sha", "system_instruction_sha", "transformers_version":
			if v := d.scalar(); v != "" {
				l.settings[name] = v
			}
		case "groups", "group_subtasks", "n-shot", "pretty_env_info", "upper_git_hash", "tokenizer_pad_token", "tokenizer_eos_token",
			"tokenizer_bos_token", "eot_token_id", "max_length", "model_name_sanitized", "system_instruction", "fewshot_as_multiturn",
			"chat_template", "start_time", "end_time", "samples":
			d.skip()
		default:
			return false
		}
		return true
	})
	return d.end()
}

// metrics reads "<metric>,<filter>" and "<metric>_stderr,<filter>"; the
// standard error may be the text "N/A".
func (l *lmEval) metrics(d *doc, t *lmTask) {
	d.object(func(key string) bool {
		if key == "alias" || key == " " || d.kind() == '"' || d.kind() == '{' || d.kind() == '[' {
			d.skip()
			return true
		}
		v := d.number()
		metric, filter, ok := strings.Cut(key, ",")
		switch {
		case !ok:
		case strings.HasSuffix(metric, "_stderr"):
			t.errors[strings.TrimSuffix(metric, "_stderr")+","+filter] = v
		default:
			t.values[key] = v
		}
		return true
	})
}

func (l *lmEval) counts(d *doc, t *lmTask) {
	d.object(func(name string) bool {
		switch name {
		case "original":
			t.original = d.integer()
		case "effective":
			t.effective = d.integer()
		default:
			return false
		}
		return true
	})
}

// config reads of a task's configuration what makes two runs comparable.
func (l *lmEval) config(d *doc, t *lmTask) {
	d.object(func(name string) bool {
		switch name {
		case "dataset_path", "dataset_name", "test_split", "num_fewshot", "output_type", "repeats":
			if v := d.scalar(); v != "" {
				t.settings[name] = v
			}
		case "generation_kwargs":
			d.settings(t.settings, "generation.")
		case "metric_list":
			d.array(func(int) {
				metric, aggregation := "", ""
				d.object(func(name string) bool {
					switch {
					case name == "metric" && d.kind() == '"':
						metric = d.text()
					case name == "aggregation" && d.kind() == '"':
						aggregation = d.text()
					default:
						d.skip()
					}
					return true
				})
				t.mean[metric] = aggregation == "mean"
			})
		default:
			d.skip()
		}
		return true
	})
}

// counted are the metrics whose value for one sample is 0 or 1, and whose total
// is the mean.
var counted = []string{"acc", "acc_norm", "exact_match", "em"}

func (t *lmTask) isMean(metric string) bool {
	mean, known := t.mean[metric]
	return mean || (!known && slices.Contains(counted, metric))
}

func metricName(key string) string {
	metric, filter, _ := strings.Cut(key, ",")
	if filter == "" || filter == "none" {
		return metric
	}
	return metric + "." + filter
}

func (l *lmEval) suite(in *input, name string, t *lmTask) {
	s := in.suite(name, record.Accuracy)
	s.SuiteVersion, s.Tool = t.version, l.tool
	s.Tool.Name = "lm-evaluation-harness"
	for _, from := range []map[string]string{l.settings, t.settings} {
		for k, v := range from {
			s.Settings[k] = v
		}
	}
	for k, v := range l.labels {
		s.Labels[k] = v
	}
	s.Started = l.started
	if !l.started.IsZero() {
		s.Ran = record.Millis(l.started.Add(time.Duration(l.seconds * float64(time.Second))))
	}
	s.Counts.Expected = t.original
	s.Counts.Scored = t.effective
	for _, key := range keys(t.values) {
		metric, _, _ := strings.Cut(key, ",")
		m := record.Metric{Name: metricName(key), Direction: t.better[metric], Value: t.values[key], N: t.effective}
		if e, ok := t.errors[key]; ok && e > 0 {
			m.Reported = &record.Uncertainty{Method: "lm-eval", StdErr: &e}
		}
		if k := math.Round(m.Value * float64(m.N)); slices.Contains(counted, metric) && t.isMean(metric) && math.Abs(k-m.Value*float64(m.N)) < 1e-6*float64(m.N) {
			n := int(k)
			m.Successes, m.Value = &n, k/float64(m.N)
		}
		s.report(m)
	}
}

// sampleLine is one line of samples.
type sampleLine struct {
	id, doc, prompt, target []byte
	key                     itemKey
	filter                  string
	metrics                 []string
	values                  []sampleValue
}

type sampleValue struct {
	metric string
	value  float64
}

// maxSampleMetrics is how many metrics a sample may have.
const maxSampleMetrics = 256

// sampleReader takes the lines of a file of samples. Which task they are of
// shows at its end, when their hash is known, so that they are first given to a
// suite of their own.
type sampleReader struct {
	s     *suite
	hash  hash.Hash
	lines int
	// names are the names of metrics in the suite, by metric and filter.
	names map[[2]string]string
}

func (l *lmEval) samples(in *input, p part) error {
	r := sampleReader{s: newSuite(in), hash: sha256.New(), names: map[[2]string]string{}}
	if err := lines(in, p, readSample, r.take); err != nil {
		return err
	}
	name, t := l.byHash(hex.EncodeToString(r.hash.Sum(nil)), r.lines)
	if t == nil {
		if len(l.tasks) > 0 {
			return p.refuse("", "its %d samples are not those of any task in the results: no task has their hash", r.lines)
		}
		in.warn("without the file of results the settings of the run are not known")
		name, t = "samples", &lmTask{}
	}
	target := in.suite(name, record.Accuracy)
	if t.samples {
		return p.refuse("", "a file before it has the samples of %s already", name)
	}
	t.samples = true
	target.take(r.s, t)
	return nil
}

func (l *lmEval) byHash(hash string, lines int) (string, *lmTask) {
	for _, name := range keys(l.tasks) {
		if t := l.tasks[name]; t.hash == hash && t.effective > 0 {
			return name, t
		}
	}
	return "", nil
}

// take takes over the items of another suite, and leaves to the tool's word
// what is not the mean of its samples.
func (s *suite) take(from *suite, t *lmTask) {
	s.items, s.broken, s.Counts.Scored = from.items, append(s.broken, from.broken...), 0
	for _, x := range from.series {
		metric, _, _ := strings.Cut(x.metric.Name, ".")
		if len(t.values) > 0 && !t.isMean(metric) {
			continue
		}
		x.metric.Direction = t.better[metric]
		s.series = append(s.series, x)
		s.byName[x.metric.Name] = x
	}
}

func readSample(d *doc, line *sampleLine) {
	*line = sampleLine{id: line.id[:0], doc: line.doc[:0], prompt: line.prompt[:0], target: line.target[:0], metrics: line.metrics[:0], values: line.values[:0]}
	d.object(func(name string) bool {
		switch name {
		case "doc_id":
			line.id = d.identity(line.id)
		case "doc_hash":
			line.doc = d.identity(line.doc)
		case "prompt_hash":
			line.prompt = d.identity(line.prompt)
		case "target_hash":
			line.target = d.identity(line.target)
		case "filter":
			line.filter = d.text()
		case "metrics":
			d.array(func(int) {
				if line.metrics = append(line.metrics, d.text()); len(line.metrics) > maxSampleMetrics {
					d.refuse("a sample has more than %d metrics", maxSampleMetrics)
				}
			})
		case "doc", "target", "arguments", "resps", "filtered_resps", "task_name":
			d.skip()
		default:
			if d.kind() == '0' || d.kind() == 'n' || d.kind() == '"' && slices.Contains(line.metrics, name) {
				line.values = append(line.values, sampleValue{name, d.number()})
			} else {
				d.skip()
			}
		}
		return true
	})
	line.key = line.identity()
}

// identity is the key of an item: what the model was asked and what was
// expected, without the prompt's template.
func (line *sampleLine) identity() itemKey {
	var buf [256]byte
	id := append(append(buf[:0], line.id...), ' ')
	id = append(append(id, line.doc...), ' ')
	return keyOf(append(id, line.target...))
}

// take gives a line to the suite.
func (r *sampleReader) take(line *sampleLine) error {
	r.lines++
	r.hash.Write(line.doc)
	r.hash.Write(line.prompt)
	r.hash.Write(line.target)
	i, _ := r.s.items.add(line.key)
	if i < 0 {
		return fmt.Errorf("it has more than %d items", MaxItems)
	}
	for _, metric := range line.metrics {
		for _, v := range line.values {
			if v.metric == metric {
				r.s.score(i, r.name(metric, line.filter), v.value)
			}
		}
	}
	return nil
}

func (r *sampleReader) name(metric, filter string) string {
	name, ok := r.names[[2]string{metric, filter}]
	if !ok {
		name = metricName(metric + "," + filter)
		r.names[[2]string{metric, filter}] = name
	}
	return name
}
