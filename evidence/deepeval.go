package evidence

import (
	"math"
	"slices"
	"strconv"

	"imprimatur.dev/record"
)

// deepevalFormat is deepeval's test run: .latest_test_run.json, or a saved run
// without its outer object. A test case is an item with a score and a pass of
// each metric; a metric with an error, or without a score, has no answer. The
// tool's passes and fails are checked and decide nothing; a case that it calls
// flaky is read like any other. Source: deepeval/test_run/test_run.py.
var deepevalFormat = importer{
	format: "deepeval", version: 1, accepts: "deepeval 2 to 4: a test run as JSON", nan: true,
	match: func(h *head) string {
		d := h.one()
		if d.has("testCases", "metricsScores", "testPassed") || d.has("testRunData.testCases", "testRunData.metricsScores") {
			return "run"
		}
		return ""
	},
	read: func(in *input) error {
		for _, p := range in.parts {
			r := &deepeval{in: in, d: in.json(p), s: in.suite("deepeval", record.Accuracy)}
			r.s.Tool.Name = "deepeval"
			r.file()
			if err := r.d.end(); err != nil {
				return err
			}
			r.totals()
		}
		return nil
	},
}

type deepeval struct {
	in     *input
	d      *doc
	s      *suite
	scores []deepevalScore
	// traced says that a case has a trace, whose steps have metrics too: the
	// tool's totals count those, and cannot be compared with the cases.
	traced bool
}

type deepevalScore struct {
	name                  string
	passes, fails, errors int
}

func (r *deepeval) file() {
	r.d.object(func(name string) bool {
		if name == "testRunData" {
			r.d.object(r.member)
			return true
		}
		return r.member(name)
	})
}

func (r *deepeval) member(name string) bool {
	d := r.d
	switch name {
	case "testCases", "conversationalTestCases":
		if d.kind() == 'n' {
			d.skip()
			return true
		}
		d.array(func(i int) { r.testCase(name, i) })
	case "metricsScores":
		d.array(func(int) { r.score() })
	case "hyperparameters":
		if d.kind() == '{' {
			d.settings(r.s.Settings, "hyperparameters.")
		} else {
			d.skip()
		}
	case "datasetAlias", "datasetId", "identifier":
		if v := d.scalar(); v != "" {
			r.s.Labels[name] = v
		}
	case "testPassed", "testFailed", "runDuration", "evaluationCost", "testRunLink", "prompts", "testFile", "traceMetricsScores", "metricsData":
		d.skip()
	default:
		return false
	}
	return true
}

func (r *deepeval) score() {
	d := r.d
	s := deepevalScore{}
	d.object(func(name string) bool {
		switch name {
		case "metric":
			s.name = d.text()
		case "passes":
			s.passes = d.integer()
		case "fails":
			s.fails = d.integer()
		case "errors":
			s.errors = d.integer()
		default:
			d.skip()
		}
		return true
	})
	r.scores = append(r.scores, s)
}

type deepevalMetric struct {
	name    string
	score   float64
	success bool
	failed  bool
}

func (r *deepeval) testCase(list string, i int) {
	d := r.d
	id, order := "", strconv.Itoa(i)
	var metrics []deepevalMetric
	d.object(func(name string) bool {
		switch name {
		case "name":
			id = d.scalar()
		case "trace":
			r.traced = r.traced || d.kind() == '{'
			d.skip()
		case "order":
			if d.kind() == '0' {
				order = d.scalar()
			} else {
				d.skip()
			}
		case "metricsData":
			if d.kind() == 'n' {
				d.skip()
				return true
			}
			d.array(func(int) { metrics = append(metrics, r.metric()) })
		default:
			d.skip()
		}
		return true
	})
	if d.err != nil {
		return
	}
	item := r.s.newItem(list + " " + order + " " + id)
	for _, m := range metrics {
		score, passed := nameOf(m.name), nameOf(m.name)+".passed"
		if r.s.byName[score] == nil {
			r.s.describe(record.Metric{Name: score, Direction: record.Higher}, 0, 1)
			r.s.describe(record.Metric{Name: passed, Direction: record.Higher}, 0, 1)
		}
		if m.failed {
			m.score = math.NaN()
			r.s.none(item, passed)
		} else {
			r.s.outcome(item, passed, m.success)
		}
		r.s.score(item, score, m.score)
	}
}

func (r *deepeval) metric() (m deepevalMetric) {
	d := r.d
	m.score = math.NaN()
	d.object(func(name string) bool {
		switch name {
		case "name":
			m.name = d.text()
		case "score":
			m.score = d.number()
		case "success":
			m.success = d.truth()
		case "error":
			m.failed = d.kind() != 'n'
			d.skip()
		case "evaluationModel":
			if d.kind() != '"' {
				d.skip()
			} else if j := (record.Judge{Model: d.text()}); j.Model != "" && !slices.Contains(r.s.Judges, j) {
				r.s.Judges = append(r.s.Judges, j)
			}
		case "threshold":
			if d.kind() == '0' {
				r.s.Settings["threshold."+nameOf(m.name)] = d.scalar()
			} else {
				d.skip()
			}
		default:
			d.skip()
		}
		return true
	})
	return m
}

// totals holds the tool's passes, fails and errors against ours.
func (r *deepeval) totals() {
	if r.traced {
		r.in.warn("the totals count the steps of traces too and are not compared with the cases")
		return
	}
	for _, t := range r.scores {
		x := r.s.byName[nameOf(t.name)+".passed"]
		if x == nil {
			continue
		}
		passes, fails, none := 0, 0, 0
		for i := range x.marks.n {
			switch x.marks.at(i) {
			case markYes:
				passes++
			case markNo:
				fails++
			case markNone:
				none++
			}
		}
		r.s.check("passes of "+t.name, float64(t.passes), float64(passes), 0)
		r.s.check("fails of "+t.name, float64(t.fails), float64(fails), 0)
		r.s.check("errors of "+t.name, float64(t.errors), float64(none), 0)
	}
}
