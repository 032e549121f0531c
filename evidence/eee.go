package evidence

import (
	"math"
	"strings"

	"imprimatur.dev/record"
)

// eeeFormat is Every Eval Ever: the aggregate JSON, and with it the lines of
// single instances. Each evaluation name is a suite; a result is its metric, of
// the name that the result gives its metric, else score. What was
// copied from a document is a claim; only an evaluation's own run is imported.
// Source: every_eval_ever/schemas, versions 0.2 and 0.3.
var eeeFormat = importer{
	format: "every-eval-ever", version: 1, accepts: "Every Eval Ever 0.2 and 0.3: aggregate JSON and instance JSONL",
	match: func(h *head) string {
		if h.one().has("schema_version", "evaluation_id", "evaluation_results", "model_info") {
			return "aggregate"
		}
		if l := h.lines(); len(l) > 0 && l[0].has("schema_version", "evaluation_id", "sample_id", "evaluation.score") {
			return "instances"
		}
		return ""
	},
	read: readEEE,
}

type eee struct {
	in      *input
	d       *doc
	id      string
	claimed bool
	labels  map[string]string
	tool    record.Tool
	// results are by their ID and by their evaluation's name, as instances refer
	// to either.
	results map[string]eeeResult
	all     []*suite
}

type eeeResult struct {
	suite  *suite
	metric string
}

func readEEE(in *input) error {
	aggregates := in.of("aggregate")
	if len(aggregates) != 1 {
		return in.refuse("", "there are %d aggregate files; give one, and its instances", len(aggregates))
	}
	r := &eee{in: in, d: in.json(aggregates[0]), labels: map[string]string{}, results: map[string]eeeResult{}}
	r.aggregate()
	if err := r.d.end(); err != nil {
		return err
	}
	for _, s := range r.all {
		s.Tool = r.tool
		for k, v := range r.labels {
			s.Labels[k] = v
		}
		if r.claimed {
			s.Assurance = record.Claimed
		}
	}
	for _, p := range in.of("instances") {
		r.d = in.json(p)
		for r.d.more() {
			r.instance()
		}
		if r.d.err != nil {
			return r.d.err
		}
	}
	return nil
}

func (r *eee) aggregate() {
	d := r.d
	d.object(func(name string) bool {
		switch name {
		case "schema_version":
			if v := d.text(); !strings.HasPrefix(v, "0.2") && !strings.HasPrefix(v, "0.3") {
				d.refuse("its schema version is %q, and 0.2 and 0.3 are read", clip(v))
			}
		case "evaluation_id":
			r.id = d.text()
			r.labels["evaluation_id"] = r.id
		case "source_metadata":
			d.object(func(name string) bool {
				switch name {
				case "source_type":
					r.claimed = d.text() != "evaluation_run"
				case "source_organization_name", "evaluator_relationship":
					r.labels[name] = d.scalar()
				default:
					d.skip()
				}
				return true
			})
		case "eval_library":
			r.tool = d.tool0()
		case "model_info":
			d.object(func(name string) bool {
				if name == "id" || name == "name" {
					r.labels["model."+name] = d.scalar()
				} else {
					d.skip()
				}
				return true
			})
		case "evaluation_results":
			d.array(func(int) { r.result() })
		case "retrieved_timestamp", "evaluation_timestamp":
			r.labels[name] = d.scalar()
		case "detailed_evaluation_results", "generation_config", "benchmark":
			d.skip()
		default:
			return false
		}
		return true
	})
}

// tool0 reads a tool whose object may have more members than ours.
func (d *doc) tool0() (t record.Tool) {
	d.object(func(name string) bool {
		switch {
		case name == "name" && d.kind() == '"':
			t.Name = d.text()
		case name == "version" && d.kind() == '"':
			t.Version = d.text()
		default:
			d.skip()
		}
		return true
	})
	return t
}

func (r *eee) result() {
	d := r.d
	id, title, metric := "", "", ""
	low, high := math.NaN(), math.NaN()
	m := record.Metric{Value: math.NaN()}
	settings := map[string]string{}
	var judges []record.Judge
	d.object(func(name string) bool {
		switch name {
		case "evaluation_result_id":
			id = d.scalar()
		case "evaluation_name":
			title = d.text()
		case "metric_config":
			d.object(func(name string) bool {
				switch name {
				case "lower_is_better":
					if m.Direction = record.Higher; d.truth() {
						m.Direction = record.Lower
					}
				case "metric_name":
					metric = d.scalar()
				case "min_score":
					low = r.bound()
				case "max_score":
					high = r.bound()
				case "metric_unit":
					m.Unit = d.scalar()
				case "llm_scoring":
					judges = r.judges()
				default:
					d.skip()
				}
				return true
			})
		case "score_details":
			r.score(&m)
		case "source_data":
			d.settings(settings, "source.")
		case "generation_config":
			if d.kind() == '{' {
				d.settings(settings, "generation.")
			} else {
				d.skip()
			}
		case "evaluation_timestamp":
			d.skip()
		default:
			return false
		}
		return true
	})
	if d.err != nil {
		return
	}
	if m.Name = metric; metric == "" || metric == title {
		m.Name = "score"
	}
	s := r.in.suite(title, record.Accuracy)
	if s.byName[m.Name] != nil {
		d.refuse("%s has the metric %s twice", clip(title), clip(m.Name))
		return
	}
	s.Settings, s.Judges = settings, judges
	s.describe(record.Metric{Name: m.Name, Direction: m.Direction, Unit: m.Unit}, low, high)
	if v := m.Value; v < low || v > high {
		s.check("score within its scale", v, math.Min(math.Max(v, low), high), 0)
	}
	s.report(m)
	s.Counts.Scored = max(s.Counts.Scored, m.N)
	r.all = append(r.all, s)
	if _, taken := r.results[title]; !taken {
		r.results[title] = eeeResult{s, m.Name}
	}
	if id != "" {
		r.results[id] = eeeResult{s, m.Name}
	}
}

// bound reads an end of a scale, which may be null or a word such as unknown.
func (r *eee) bound() float64 {
	if r.d.kind() == '"' {
		r.d.skip()
		return math.NaN()
	}
	return r.d.number()
}

func (r *eee) judges() (out []record.Judge) {
	d := r.d
	if d.kind() != '{' {
		d.skip()
		return nil
	}
	d.object(func(name string) bool {
		if name != "judges" || d.kind() != '[' {
			d.skip()
			return true
		}
		d.array(func(int) {
			d.object(func(name string) bool {
				switch {
				case name == "model_info" && d.kind() == '{':
					d.object(func(name string) bool {
						if name == "id" {
							out = append(out, record.Judge{Model: d.scalar()})
						} else {
							d.skip()
						}
						return true
					})
				default:
					d.skip()
				}
				return true
			})
		})
		return true
	})
	return out
}

func (r *eee) score(m *record.Metric) {
	d := r.d
	u := record.Uncertainty{Method: "every-eval-ever"}
	level := 0.95
	d.object(func(name string) bool {
		switch {
		case name == "score":
			m.Value = d.number()
		case name == "uncertainty" && d.kind() == '{':
			d.object(func(name string) bool {
				switch {
				case name == "num_samples":
					m.N = d.integer()
				case name == "standard_error" && d.kind() == '{':
					d.object(func(name string) bool {
						if name == "value" {
							if v := d.number(); v > 0 {
								u.StdErr = &v
							}
						} else {
							d.skip()
						}
						return true
					})
				case name == "confidence_interval" && d.kind() == '{':
					d.object(func(name string) bool {
						switch name {
						case "lower":
							v := d.number()
							u.Lower95 = &v
						case "upper":
							v := d.number()
							u.Upper95 = &v
						case "confidence_level":
							level = d.number()
						default:
							d.skip()
						}
						return true
					})
				default:
					d.skip()
				}
				return true
			})
		default:
			d.skip()
		}
		return true
	})
	if level != 0.95 || u.Lower95 == nil || u.Upper95 == nil || !(*u.Lower95 <= *u.Upper95) {
		u.Lower95, u.Upper95 = nil, nil
	}
	if u.StdErr != nil || u.Lower95 != nil {
		m.Reported = &u
	}
}

// instance reads one line of instances.
func (r *eee) instance() {
	d := r.d
	id, result, title, sample, hash := "", "", "", "", ""
	score, failed := math.NaN(), false
	d.object(func(name string) bool {
		switch name {
		case "evaluation_id":
			id = d.text()
		case "evaluation_result_id":
			result = d.scalar()
		case "evaluation_name":
			title = d.text()
		case "sample_id":
			sample = d.scalar()
		case "sample_hash":
			hash = d.scalar()
		case "error":
			failed = d.kind() != 'n'
			d.skip()
		case "evaluation":
			d.object(func(name string) bool {
				if name == "score" {
					score = d.number()
				} else {
					d.skip()
				}
				return true
			})
		default:
			d.skip()
		}
		return true
	})
	of, known := r.results[result]
	if !known {
		of, known = r.results[title]
	}
	switch {
	case d.err != nil:
		return
	case id != r.id:
		d.refuse("the instance is of the evaluation %q, and the aggregate of %q", clip(id), clip(r.id))
		return
	case !known:
		d.refuse("the instance is of %q, which the aggregate does not have", clip(title))
		return
	}
	if failed {
		score = math.NaN()
	}
	of.suite.Counts.Scored = 0
	of.suite.score(of.suite.item(sample+" "+hash), of.metric, score)
}
