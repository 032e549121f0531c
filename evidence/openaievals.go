package evidence

import (
	"math"

	"imprimatur.dev/record"
)

// openaiEvalsFormat is the record of OpenAI evals: a line with the spec, lines
// of events, and a final report, which may come second, because events are
// written late. Accuracy is recomputed from the match events; a sample whose
// last event is an error has no answer. Source: evals/record.py.
var openaiEvalsFormat = importer{
	format: "openai-evals", version: 1, accepts: "OpenAI evals: the record JSONL of oaieval", nan: true,
	match: func(h *head) string {
		if h.anyLine("spec.eval_name", "spec.run_id") || h.anyLine("run_id", "event_id", "sample_id", "type", "data") {
			return "record"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readOpenAIEvals(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

type openaiEvents struct {
	in     *input
	d      *doc
	s      *suite
	name   string
	run    string
	report map[string]float64
	asked  map[string]bool
}

func readOpenAIEvals(in *input, p part) error {
	r := &openaiEvents{in: in, d: in.json(p), s: newSuite(in), report: map[string]float64{}, asked: map[string]bool{}}
	r.s.describe(record.Metric{Name: "accuracy", Direction: record.Higher}, 0, 1)
	for r.d.more() {
		r.line()
	}
	if r.d.err != nil {
		return r.d.err
	}
	if r.run == "" {
		return p.refuse("", "it has no line with the spec: which evaluation it is of is not known")
	}
	for id, open := range r.asked {
		if open {
			r.s.none(r.s.item(id), "accuracy")
		}
	}
	s, err := in.adopt(p, r.s, r.name, record.Accuracy)
	if err != nil {
		return err
	}
	s.Tool.Name = "openai-evals"
	if len(r.report) == 0 {
		s.incomplete("it has no final report: the run did not end")
	}
	for _, name := range keys(r.report) {
		s.report(record.Metric{Name: name, Value: r.report[name], N: s.items.len()})
	}
	return nil
}

func (r *openaiEvents) line() {
	d := r.d
	kind, sample, run := "", "", ""
	correct, match := false, false
	d.object(func(name string) bool {
		switch name {
		case "spec":
			r.spec()
		case "final_report":
			d.object(func(metric string) bool {
				if d.kind() == '0' {
					r.report[metric] = d.number()
				} else {
					d.skip()
				}
				return true
			})
		case "run_id":
			run = d.text()
		case "sample_id":
			sample = d.scalar()
		case "type":
			kind = d.text()
		case "data":
			if d.kind() != '{' {
				d.skip()
				return true
			}
			d.object(func(name string) bool {
				if name == "correct" && (d.kind() == 't' || d.kind() == 'f') {
					correct, match = d.truth(), true
				} else {
					d.skip()
				}
				return true
			})
		case "event_id", "created_by", "created_at":
			d.skip()
		default:
			return false
		}
		return true
	})
	if d.err != nil || sample == "" {
		return
	}
	if r.run != "" && run != r.run {
		d.refuse("the event is of the run %s, and the spec of %s", clip(run), clip(r.run))
		return
	}
	switch {
	case kind == "match" && match:
		r.asked[sample] = false
		r.s.outcome(r.s.newItem(sample), "accuracy", correct)
	case kind == "match", kind == "error":
		if _, seen := r.asked[sample]; !seen {
			r.asked[sample] = true
		}
	}
}

func (r *openaiEvents) spec() {
	d := r.d
	if r.run != "" {
		d.refuse("it has the spec of a second run")
	}
	d.object(func(name string) bool {
		switch name {
		case "eval_name":
			r.name = d.text()
		case "run_id":
			r.run = d.text()
			r.s.Labels["run_id"] = r.run
		case "created_at":
			// It has no zone.
			r.s.Labels["created_at"] = d.scalar()
		case "base_eval", "split":
			if v := d.scalar(); v != "" {
				r.s.Settings[name] = v
			}
		case "completion_fns":
			d.array(func(int) { r.s.Labels["completion_fns"] = d.scalar() })
		case "run_config":
			d.object(func(name string) bool {
				switch {
				case name == "max_samples" && d.kind() == '0':
					if n := d.number(); !math.IsNaN(n) {
						r.s.incomplete("the run was limited to %v samples", n)
					}
				case name == "seed":
					r.s.Settings["seed"] = d.scalar()
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
}
