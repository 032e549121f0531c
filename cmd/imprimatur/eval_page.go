package main

import (
	"fmt"
	"strconv"
	"strings"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// drawReading shows what files say, before anything is recorded.
func drawReading(p *page, r *evidence.Reading, all bool) {
	first := r.Evaluations[0]
	p.field("read as", "%s, by version %d of its importer", r.Format, first.Import.Version)
	drawFiles(p, first)
	for _, e := range r.Evaluations {
		p.line("")
		p.styled(strong, "%s/%s", e.Category, suiteOf(e))
		p.field("tool", "%s %s", e.Tool.Name, e.Tool.Version)
		if e.Ran.IsZero() {
			p.styled(warn, "! nothing says when it ran: give --ran TIME to record it")
		} else {
			p.field("ran", "%s", day(e.Ran))
		}
		drawResults(p, e, all)
	}
}

// drawEvaluation shows a recorded evaluation.
func drawEvaluation(p *page, r record.Recorded[record.Evaluation], all bool) {
	e := r.Record
	p.field("evaluation", "%s, %s/%s", record.EvaluationID(r.Digest), e.Category, suiteOf(e))
	p.field("model", "%s", e.Artifact)
	p.field("on", "%s", e.Dataset)
	p.field("try", "%d of team %s with this suite on this dataset", e.Attempt, e.Team)
	p.field("assurance", "%s", assurances[e.Assurance])
	p.field("tool", "%s %s", e.Tool.Name, e.Tool.Version)
	drawFiles(p, e)
	p.field("ran", "%s; recorded by %s at %s", day(e.Ran), r.Actor, day(r.Time))
	drawResults(p, e, all)
}

// assurances say how closely a result is bound to the model's bytes.
var assurances = map[string]string{
	record.SignedRun: "signed-run: the evaluator signed which bytes were run, on what, and which files came of it",
	record.Imported:  "imported: read from the tool's files, which do not say which bytes were run",
	record.Claimed:   "claimed: somebody's word, without items",
}

func suiteOf(e record.Evaluation) string { return strings.TrimSpace(e.Suite + " " + e.SuiteVersion) }

// listedFiles is how many files are shown one by one.
const listedFiles = 8

func drawFiles(p *page, e record.Evaluation) {
	for _, f := range e.Evidence[:min(len(e.Evidence), listedFiles)] {
		p.field("evidence", "%s, %s, %s, %s", f.Name, f.Format, size(f.Bytes), f.Digest)
	}
	if n := len(e.Evidence) - listedFiles; n > 0 {
		p.field("", "and %s more", count(n, "file"))
	}
}

// drawResults shows what an evaluation found: counts, metrics, and what to know
// of them.
func drawResults(p *page, e record.Evaluation, all bool) {
	p.field("items", "%s", countsOf(e))
	for _, j := range e.Judges {
		p.field("judge", "%s", j.Model)
	}
	drawMetrics(p, e, all)
	agree := 0
	for _, k := range e.Import.Checks {
		if k.OK {
			agree++
		} else {
			p.styled(bad, "✗ the tool says %s = %s, and its items say %s", k.Name, number(k.Reported), number(k.Recomputed))
		}
	}
	if agree > 0 {
		p.styled(good, "✓ %s of the tool found again in its items", count(agree, "total"))
	}
	for _, w := range e.Import.Warnings {
		p.styled(warn, "! %s", w)
	}
	if n := len(e.Import.Unknown); n > 0 {
		const most = 6
		p.styled(quiet, "%s not known to the importer and passed over: %s%s", count(n, "member"),
			strings.Join(e.Import.Unknown[:min(n, most)], ", "), map[bool]string{true: ", …"}[n > most])
	}
	switch {
	case e.Incomplete != "":
		p.styled(bad, "✗ cannot count: %s", e.Incomplete)
	case e.Contradiction() != "":
		p.styled(bad, "✗ cannot count: it contradicts itself")
	default:
		p.styled(good, "✓ complete")
	}
}

func countsOf(e record.Evaluation) string {
	n := e.Counts
	out := fmt.Sprintf("%d evaluated: %d scored, %d without an answer", n.Evaluated, n.Scored, n.Errors)
	if n.Expected > 0 {
		out = fmt.Sprintf("%d of %d evaluated: %d scored, %d without an answer", n.Evaluated, n.Expected, n.Scored, n.Errors)
	}
	if n.Skipped > 0 {
		out += fmt.Sprintf("; %d skipped", n.Skipped)
	}
	if e.Items == nil {
		return out + "; totals only, no items"
	}
	if e.Items.Clusters > 0 {
		out += fmt.Sprintf("; in %d groups", e.Items.Clusters)
	}
	return out
}

// drawMetrics lists the metrics over all items, and of every slice where all
// is asked for.
func drawMetrics(p *page, e record.Evaluation, all bool) {
	if len(e.Metrics) == 0 {
		return
	}
	rows := [][]cell{heading("  METRIC", "VALUE", "95 % INTERVAL", "N", "HOW")}
	left := 0
	for _, m := range e.Metrics {
		if len(m.Slice) > 0 && !all {
			left++
			continue
		}
		interval, how := uncertainty(m)
		label := m.Label()
		if m.Unit != "" {
			label += " (" + m.Unit + ")"
		}
		rows = append(rows, texts("  "+label, number(m.Value), interval, strconv.Itoa(m.N), how))
	}
	p.table(rows)
	if left > 0 {
		p.styled(quiet, "  and %s of single slices: --slices shows them", count(left, "metric"))
	}
}

// uncertainty returns a metric's interval, and how it came about.
func uncertainty(m record.Metric) (interval, how string) {
	between := func(low, high float64) string { return number(low) + " to " + number(high) }
	counted := ""
	if m.Successes != nil {
		counted = fmt.Sprintf("%d of %d, ", *m.Successes, m.N)
	}
	switch c, r := m.Computed, m.Reported; {
	case c != nil && c.Lower95 != nil:
		return between(*c.Lower95, *c.Upper95), counted + c.Method
	case m.Successes != nil && m.N > 0:
		w := statistics.Wilson(*m.Successes, m.N, 0.95)
		return between(w.Lower, w.Upper), counted + "Wilson"
	case r != nil && r.Lower95 != nil:
		return between(*r.Lower95, *r.Upper95), "as the tool says: " + r.Method
	case r != nil && r.StdErr != nil:
		return "± " + number(1.959964*(*r.StdErr)), "standard error as the tool says: " + r.Method
	}
	return "none", "a bare value: only a gate on the value itself can use it"
}
