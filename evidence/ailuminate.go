package evidence

import (
	"math"

	"imprimatur.dev/record"
)

// ailuminateFormat is MLCommons ModelBench's benchmark record. Each hazard is a
// metric of its own, unsafe_rate over the hazard's items: the benchmark's own
// grade pools the hazards, and one bad hazard can hide in it. The tool's
// interval is of the safe share and exact (Clopper-Pearson); it is kept for the
// complement. Source: modelbench/record.py and scoring.py, format version 1.
var ailuminateFormat = importer{
	format: "ailuminate", version: 1, accepts: "MLCommons ModelBench (AILuminate) benchmark record, format version 1",
	match: func(h *head) string {
		if h.one().has("_metadata.format_version", "benchmark.uid", "scores") {
			return "record"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			if err := readAILuminate(in, p); err != nil {
				return err
			}
		}
		return nil
	},
}

type ailuminate struct {
	in      *input
	d       *doc
	s       *suite
	name    string
	systems int
}

func readAILuminate(in *input, p part) error {
	r := &ailuminate{in: in, d: in.json(p), s: newSuite(in)}
	r.file()
	if err := r.d.end(); err != nil {
		return err
	}
	switch {
	case r.systems == 0 && in.run.Subject != "":
		return p.refuse("", "it has no scores of the system %q", in.run.Subject)
	case r.systems > 1:
		return p.refuse("", "it has scores of %d systems; say which one with --subject", r.systems)
	}
	s, err := in.adopt(p, r.s, r.name, record.Safety)
	if err == nil {
		s.Tool.Name = "modelbench"
	}
	return err
}

func (r *ailuminate) file() {
	d := r.d
	d.object(func(name string) bool {
		switch name {
		case "_metadata":
			d.object(r.metadata)
		case "benchmark":
			d.object(func(name string) bool {
				if name == "uid" {
					r.name = d.text()
				} else {
					d.skip()
				}
				return true
			})
		case "run_uid":
			r.s.Labels["run_uid"] = d.text()
		case "scores":
			d.array(func(int) { r.score() })
		default:
			return false
		}
		return true
	})
}

func (r *ailuminate) metadata(name string) bool {
	d := r.d
	switch name {
	case "format_version":
		if v := d.integer(); v != 1 {
			d.refuse("its format version is %d, and 1 is read", v)
		}
	case "run":
		d.object(func(name string) bool {
			if name == "timestamp" {
				r.s.Labels["timestamp"] = d.scalar()
			} else {
				d.skip()
			}
			return true
		})
	case "code":
		d.object(func(name string) bool {
			if name != "source" || d.kind() != '{' {
				d.skip()
				return true
			}
			d.object(func(name string) bool {
				switch {
				case name == "code_version" && d.kind() == '"':
					r.s.Tool.Version = d.text()
				case name == "changed_files" && d.kind() == '[':
					d.array(func(int) {
						r.s.Tool.Dirty = true
						d.skip()
					})
				default:
					d.skip()
				}
				return true
			})
			return true
		})
	default:
		d.skip()
	}
	return true
}

// ailuminateHazard is what the record says of one hazard.
type ailuminateHazard struct {
	name                   string
	lower, value, upper    float64
	samples, scored, safe  int
	exceptions, hasCounted int
}

// score reads the scores of one system under test.
func (r *ailuminate) score() {
	d := r.d
	subject := ""
	var hazards []ailuminateHazard
	d.object(func(name string) bool {
		switch name {
		case "sut":
			d.object(func(name string) bool {
				if name == "uid" {
					subject = d.text()
				} else {
					d.skip()
				}
				return true
			})
		case "end_time":
			if r.s.Ran.IsZero() && d.kind() == '"' {
				r.s.Labels["end_time"] = d.text()
			} else {
				d.skip()
			}
		case "hazard_scores":
			if d.kind() == '{' {
				d.object(func(name string) bool {
					hazards = append(hazards, r.hazard(name))
					return true
				})
			} else {
				d.array(func(int) { hazards = append(hazards, r.hazard("")) })
			}
		case "score", "numeric_grade", "text_grade", "numeric_grade_name", "reference_score", "reference_uid":
			d.skip()
		default:
			return false
		}
		return true
	})
	if d.err != nil || (r.in.run.Subject != "" && r.in.run.Subject != subject) {
		return
	}
	r.systems++
	r.s.Labels["sut"] = subject
	for _, h := range hazards {
		r.take(h)
	}
}

func (r *ailuminate) hazard(name string) ailuminateHazard {
	d := r.d
	h := ailuminateHazard{name: name, lower: math.NaN(), upper: math.NaN(), value: math.NaN()}
	d.object(func(name string) bool {
		switch name {
		case "score":
			d.object(func(name string) bool {
				switch name {
				case "lower":
					h.lower = d.number()
				case "estimate":
					h.value = d.number()
				case "upper":
					h.upper = d.number()
				case "samples":
					h.samples = d.integer()
				default:
					d.skip()
				}
				return true
			})
		case "num_scored_items":
			h.scored = d.integer()
			h.hasCounted++
		case "num_safe_items":
			h.safe = d.integer()
			h.hasCounted++
		case "exceptions":
			h.exceptions = d.integer()
		case "hazard_definition", "hazard", "hazard_key", "uid":
			if d.kind() == '"' {
				h.name = d.text()
			} else {
				d.object(func(name string) bool {
					if name == "uid" || name == "key" {
						h.name = d.scalar()
					} else {
						d.skip()
					}
					return true
				})
			}
		default:
			d.skip()
		}
		return true
	})
	return h
}

func (r *ailuminate) take(h ailuminateHazard) {
	n, safe := h.samples, int(math.Round(h.value*float64(h.samples)))
	if h.hasCounted == 2 {
		n, safe = h.scored, h.safe
		r.s.check("safe share of "+h.name, h.value, float64(safe)/math.Max(1, float64(n)), 1e-6)
	}
	r.s.Counts.Scored += n
	r.s.Counts.Errors += h.exceptions
	if n == 0 || safe > n || math.IsNaN(h.value) {
		r.s.incomplete("the hazard %s has no items that were scored", h.name)
		return
	}
	if h.exceptions > 0 {
		r.s.incomplete("%d items of the hazard %s ended with an exception", h.exceptions, h.name)
	}
	unsafe := n - safe
	m := record.Metric{
		Name: "unsafe_rate", Direction: record.Lower, Slice: map[string]string{"hazard": h.name},
		Case: caseOfHazard(h.name), Value: float64(unsafe) / float64(n), N: n, Successes: &unsafe,
	}
	if !math.IsNaN(h.lower) && !math.IsNaN(h.upper) && h.lower <= h.upper {
		lower, upper := 1-h.upper, 1-h.lower
		m.Reported = &record.Uncertainty{Method: "modelbench", Lower95: &lower, Upper95: &upper}
	}
	r.s.report(m)
}
