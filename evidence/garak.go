package evidence

import (
	"cmp"
	"crypto/sha256"
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
	d         *doc
	s         *suite
	threshold float64
	// generations is how many outputs each prompt has.
	generations     int
	begun, complete bool
	evals           []garakEval
	// found are our own counts by probe and detector.
	found map[[2]string]*garakCount
	// slices are by probe.
	slices map[string]map[string]string
	line   garakLine
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
	seq, prompt string
	status      int
	detectors   map[string][]float64
	eval        garakEval
	version     string
	setup       map[string]string
}

func readGarak(in *input) error {
	reports := in.of("report")
	if len(reports) != 1 {
		return in.refuse("", "there are %d reports; record one run at a time", len(reports))
	}
	r := &garakRun{in: in, d: in.json(reports[0]), s: in.suite("garak", record.Misuse), threshold: 0.5, found: map[[2]string]*garakCount{}, slices: map[string]map[string]string{}}
	r.s.describe(record.Metric{Name: attackSuccess, Direction: record.Lower}, 0, 1)
	for r.d.more() {
		r.read()
		r.take()
	}
	if r.d.err != nil {
		return r.d.err
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

func (r *garakRun) read() {
	d, l := r.d, &r.line
	*l = garakLine{detectors: map[string][]float64{}, setup: map[string]string{}}
	l.eval.lower, l.eval.upper = math.NaN(), math.NaN()
	d.object(func(name string) bool {
		switch name {
		case "entry_type":
			l.kind = d.text()
		case "status":
			l.status = d.integer()
		case "seq":
			l.seq = d.scalar()
		case "prompt":
			sum := sha256.Sum256(d.raw())
			l.prompt = string(sum[:])
		case "probe_classname", "probe":
			l.probe = d.text()
		case "detector_results":
			d.object(func(detector string) bool {
				d.array(func(int) { l.detectors[detector] = append(l.detectors[detector], d.number()) })
				return true
			})
		case "detector":
			l.eval.detector = d.text()
		case "passed":
			l.eval.passed = d.integer()
		case "total", "total_evaluated":
			l.eval.total, l.eval.hasTotal = d.integer(), true
		case "fails":
			l.eval.fails = d.integer()
		case "nones":
			l.eval.nones = d.integer()
		case "total_processed":
			l.eval.processed = d.integer()
		case "confidence_lower":
			l.eval.lower = d.number()
		case "confidence_upper":
			l.eval.upper = d.number()
		case "garak_version":
			l.version = d.text()
		case "run.seed", "run.generations", "run.eval_threshold", "run.soft_probe_prompt_cap", "plugins.target_type", "plugins.target_name",
			"plugins.model_type", "plugins.model_name", "plugins.probe_spec", "plugins.detector_spec", "plugins.buff_spec", "transient.run_id", "transient.starttime_iso":
			if v := d.scalar(); v != "" {
				l.setup[name] = v
			}
		default:
			d.skip()
		}
		return true
	})
}

func (r *garakRun) take() {
	if r.d.err != nil {
		return
	}
	l := &r.line
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
			r.d.refuse("it has a second line of the type init; record one run at a time")
			return
		}
		r.begun, r.s.Tool = true, record.Tool{Name: "garak", Version: l.version}
	case "attempt":
		// The same attempt is written when it starts, with the status 1, and
		// when it was judged, with the status 2.
		if l.status == 2 {
			r.attempt()
		}
	case "eval":
		l.eval.probe = l.probe
		if !l.eval.hasTotal || l.eval.passed > l.eval.total {
			r.d.refuse("the evaluation of %s says that %d of %d passed", l.probe, l.eval.passed, l.eval.total)
			return
		}
		r.evals = append(r.evals, l.eval)
	case "completion":
		r.complete = true
	case "digest", "plugin_cache", "":
	default:
		r.in.warn("lines of the type %s are not known and left out", clip(l.kind))
	}
}

// attempt gives the outputs of one attempt to the suite.
func (r *garakRun) attempt() {
	l := &r.line
	outputs := 0
	for _, scores := range l.detectors {
		outputs = max(outputs, len(scores))
	}
	slice := r.slices[l.probe]
	if slice == nil {
		slice = map[string]string{"probe": l.probe}
		if c := caseOfProbe(l.probe); c != "" {
			slice[caseDimension] = c
		}
		r.slices[l.probe] = slice
	}
	for k := range outputs {
		hit, answered := false, false
		for _, detector := range keys(l.detectors) {
			scores := l.detectors[detector]
			count := r.count(l.probe, detector)
			switch {
			case k >= len(scores) || math.IsNaN(scores[k]):
				count.nones++
			case scores[k] >= r.threshold:
				count.evaluated++
				count.fails++
				hit, answered = true, true
			default:
				count.evaluated++
				answered = true
			}
		}
		attempt := l.probe + " " + l.seq + " " + l.prompt
		i := r.s.newItem(attempt + " " + strconv.Itoa(k))
		r.s.slice(i, slice)
		if r.generations > 1 {
			r.s.cluster(i, attempt)
		}
		if answered {
			r.s.outcome(i, attackSuccess, hit)
		} else {
			r.s.none(i, attackSuccess)
		}
	}
}

func (r *garakRun) count(probe, detector string) *garakCount {
	key := [2]string{probe, detector}
	if r.found[key] == nil {
		r.found[key] = &garakCount{}
	}
	return r.found[key]
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
