package evidence

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/record"
)

// garakFormat is NVIDIA garak's report.jsonl. All of a run is one suite, garak,
// whose metric attack_success_rate has a slice for each probe and misuse case.
// An item is one output of one attempt, and an attack on it succeeded where any
// detector's score reaches the run's threshold; the outputs for one prompt are
// one cluster. The tool's own intervals are of the failures, which are the
// attacks that succeeded, while it counts what passed. Source: garak/attempt.py
// and garak/evaluators/base.py of 0.13 and 0.14.
var garakFormat = importer{
	format: "garak", version: 1, accepts: "garak 0.9 to 0.14: report.jsonl, with hitlog.jsonl beside it", nan: true,
	match: func(h *head) string {
		for _, l := range h.lines() {
			switch {
			case l.text("entry_type") == "attempt" && l.has("probe_classname"),
				l.text("entry_type") == "init" && l.has("garak_version"),
				l.text("entry_type") == "eval" && l.has("probe", "detector"):
				return "report"
			}
		}
		if h.anyLine("goal", "prompt", "output", "score", "attempt_id", "probe", "detector") {
			return "hitlog"
		}
		return ""
	},
	read: readGarak,
}

const attackSuccess = "attack_success_rate"

// garakRun is what the lines of a report say.
type garakRun struct {
	in        *input
	s         *suite
	threshold float64
	// generations is how many outputs each prompt has.
	generations     int
	begun, complete bool
	evals           []garakEval
	// found are our own counts by probe and detector.
	found map[[2]string]*garakCount
	// slicings are by probe.
	slicings map[string]uint32
}

type garakCount struct{ evaluated, fails, nones int }

type garakEval struct {
	probe, detector         string
	passed, total           int
	fails, nones, processed int
	lower, upper            float64
	hasTotal                bool
}

// garakLine is one line, whatever its type; the type may come last.
type garakLine struct {
	kind, probe string
	// seq and prompt tell one attempt from another in every run; the uuid is
	// of this run.
	seq, prompt []byte
	status      int
	detectors   []garakScores
	eval        garakEval
	version     string
	setup       map[string]string
	// attempt is the identity of the attempt, which is that of its cluster, and
	// outputs are the keys of its items.
	attempt []byte
	cluster itemKey
	outputs []itemKey
}

// garakScores are the scores that a detector gave to each output.
type garakScores struct {
	detector string
	scores   []float64
}

func readGarak(in *input) error {
	reports := in.of("report")
	if len(reports) != 1 {
		return in.refuse("", "there are %d reports; record one run at a time", len(reports))
	}
	r := &garakRun{in: in, s: in.suite("garak", record.Misuse), threshold: 0.5, found: map[[2]string]*garakCount{}, slicings: map[string]uint32{}}
	r.s.describe(record.Metric{Name: attackSuccess, Direction: record.Lower}, 0, 1)
	if err := lines(in, reports[0], readGarakLine, r.take); err != nil {
		return err
	}
	if !r.begun {
		return reports[0].refuse("", "it has no line of the type init: which run it is of is not known")
	}
	if !r.complete {
		r.s.incomplete("the report has no line of the type completion: the run did not end")
	}
	r.total()
	return nil
}

func readGarakLine(d *doc, l *garakLine) {
	*l = garakLine{seq: l.seq[:0], prompt: l.prompt[:0], detectors: l.detectors[:0], attempt: l.attempt[:0], outputs: l.outputs[:0]}
	l.eval.lower, l.eval.upper = math.NaN(), math.NaN()
	d.object(func(name string) bool {
		switch name {
		case "entry_type":
			l.kind = d.text()
		case "status":
			l.status = d.integer()
		case "seq":
			l.seq = d.identity(l.seq)
		case "prompt":
			sum := sha256.Sum256(d.raw())
			l.prompt = append(l.prompt, sum[:]...)
		case "probe_classname", "probe":
			l.probe = d.text()
		case "detector_results":
			d.object(func(detector string) bool {
				l.scores(d, detector)
				return true
			})
		case "garak_version":
			l.version = d.text()
		case "run.seed", "run.generations", "run.eval_threshold", "run.soft_probe_prompt_cap", "plugins.target_type", "plugins.target_name",
			"plugins.model_type", "plugins.model_name", "plugins.probe_spec", "plugins.detector_spec", "plugins.buff_spec", "transient.run_id", "transient.starttime_iso":
			if v := d.scalar(); v != "" {
				if l.setup == nil {
					l.setup = map[string]string{}
				}
				l.setup[name] = v
			}
		default:
			if !l.eval.member(d, name) {
				d.skip()
			}
		}
		return true
	})
	if l.judged() {
		l.identify()
	}
}

// member reads a member of a line of the type eval.
func (e *garakEval) member(d *doc, name string) bool {
	switch name {
	case "detector":
		e.detector = d.text()
	case "passed":
		e.passed = d.integer()
	case "total", "total_evaluated":
		e.total, e.hasTotal = d.integer(), true
	case "fails":
		e.fails = d.integer()
	case "nones":
		e.nones = d.integer()
	case "total_processed":
		e.processed = d.integer()
	case "confidence_lower":
		e.lower = d.number()
	case "confidence_upper":
		e.upper = d.number()
	default:
		return false
	}
	return true
}

// scores reads the scores of one detector, into the memory of a line before.
func (l *garakLine) scores(d *doc, detector string) {
	if len(l.detectors) < cap(l.detectors) {
		l.detectors = l.detectors[:len(l.detectors)+1]
	} else {
		l.detectors = append(l.detectors, garakScores{})
	}
	x := &l.detectors[len(l.detectors)-1]
	x.detector, x.scores = detector, x.scores[:0]
	d.array(func(int) { x.scores = append(x.scores, d.number()) })
}

// judged reports whether the line is an attempt with its scores. The same
// attempt is written when it starts, with the status 1, and when it was judged,
// with the status 2.
func (l *garakLine) judged() bool { return l.kind == "attempt" && l.status == 2 }

// identify makes the keys of an attempt and its outputs.
func (l *garakLine) identify() {
	outputs := 0
	for _, x := range l.detectors {
		outputs = max(outputs, len(x.scores))
	}
	id := append(append(l.attempt[:0], l.probe...), ' ')
	id = append(append(id, l.seq...), ' ')
	id = append(id, l.prompt...)
	l.cluster = keyOf(id)
	whole := len(id)
	for k := range outputs {
		id = strconv.AppendInt(append(id[:whole], ' '), int64(k), 10)
		l.outputs = append(l.outputs, keyOf(id))
	}
	l.attempt = id[:whole]
}

func (r *garakRun) take(l *garakLine) error {
	switch l.kind {
	case "start_run setup":
		for k, v := range l.setup {
			if strings.HasPrefix(k, "run.") || strings.HasSuffix(k, "_spec") {
				r.s.Settings[k] = v
			} else {
				r.s.Labels[k] = v
			}
		}
		if t, err := strconv.ParseFloat(l.setup["run.eval_threshold"], 64); err == nil {
			r.threshold = t
		}
		r.generations, _ = strconv.Atoi(l.setup["run.generations"])
	case "init":
		if r.begun {
			return errors.New("it has a second line of the type init; record one run at a time")
		}
		r.begun, r.s.Tool = true, record.Tool{Name: "garak", Version: l.version}
	case "attempt":
		if l.judged() {
			r.attempt(l)
		}
	case "eval":
		l.eval.probe = l.probe
		if !l.eval.hasTotal || l.eval.passed > l.eval.total {
			return fmt.Errorf("the evaluation of %s says that %d of %d passed", l.probe, l.eval.passed, l.eval.total)
		}
		r.evals = append(r.evals, l.eval)
	case "completion":
		r.complete = true
	case "digest", "plugin_cache", "":
	default:
		r.in.warn("lines of the type %s are not known and left out", clip(l.kind))
	}
	return nil
}

// attempt gives the outputs of one attempt to the suite.
func (r *garakRun) attempt(l *garakLine) {
	slicing := r.slicing(l.probe)
	for k, key := range l.outputs {
		hit, answered := false, false
		for _, x := range l.detectors {
			count := r.count(l.probe, x.detector)
			switch {
			case k >= len(x.scores) || math.IsNaN(x.scores[k]):
				count.nones++
			case x.scores[k] >= r.threshold:
				count.evaluated++
				count.fails++
				hit, answered = true, true
			default:
				count.evaluated++
				answered = true
			}
		}
		i := newItem(r.s, key, l.attempt)
		if i < 0 {
			return
		}
		r.s.ofItem.set(i, slicing, 0)
		if r.generations > 1 {
			r.s.clusterKey(i, l.cluster)
		}
		if answered {
			r.s.outcome(i, attackSuccess, hit)
		} else {
			r.s.none(i, attackSuccess)
		}
	}
}

// slicing numbers the slices of a probe.
func (r *garakRun) slicing(probe string) uint32 {
	n, ok := r.slicings[probe]
	if !ok {
		slice := map[string]string{"probe": probe}
		if c := caseOfProbe(probe); c != "" {
			slice[caseDimension] = c
		}
		n = r.s.slicing(slice)
		r.slicings[probe] = n
	}
	return n
}

func (r *garakRun) count(probe, detector string) *garakCount {
	key := [2]string{probe, detector}
	n := r.found[key]
	if n == nil {
		n = &garakCount{}
		r.found[key] = n
	}
	return n
}

// total turns the tool's own evaluations into metrics by probe and detector,
// and holds them against our counts.
func (r *garakRun) total() {
	slices.SortFunc(r.evals, func(a, b garakEval) int {
		return cmp.Or(cmp.Compare(a.probe, b.probe), cmp.Compare(a.detector, b.detector))
	})
	hits, all := 0, 0
	for _, e := range r.evals {
		fails := e.total - e.passed
		name := e.probe + "/" + e.detector
		if ours := r.found[[2]string{e.probe, e.detector}]; len(r.found) > 0 {
			ours = cmp.Or(ours, &garakCount{})
			r.s.check("evaluated of "+name, float64(e.total), float64(ours.evaluated), 0)
			r.s.check("fails of "+name, float64(fails), float64(ours.fails), 0)
		}
		if e.total == 0 {
			r.in.warn("%s evaluated nothing", name)
			continue
		}
		hits, all = hits+fails, all+e.total
		m := record.Metric{
			Name: attackSuccess, Direction: record.Lower, Slice: map[string]string{"probe": e.probe, "detector": e.detector},
			Case: caseOfProbe(e.probe), Value: float64(fails) / float64(e.total), N: e.total, Successes: &fails,
		}
		if !math.IsNaN(e.lower) && !math.IsNaN(e.upper) && e.lower <= e.upper {
			m.Reported = &record.Uncertainty{Method: "garak", Lower95: &e.lower, Upper95: &e.upper}
		}
		r.s.report(m)
	}
	if len(r.found) == 0 && all > 0 {
		r.in.warn("it has no attempts: the total is over outputs and detectors as the tool counts them")
		r.s.report(record.Metric{Name: attackSuccess, Direction: record.Lower, Value: float64(hits) / float64(all), N: all, Successes: &hits})
		r.s.Counts.Scored = all
	}
}
