package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"imprimatur.dev/record"
)

// evalCmd is the noun eval.
type evalCmd struct {
	Record evalRecordCmd `cmd:"" aliases:"add" help:"Record an evaluation with its evidence."`
	Show   evalShowCmd   `cmd:"" help:"Show an evaluation."`
	List   evalListCmd   `cmd:"" help:"List evaluations, newest first."`
	Drift  evalDriftCmd  `cmd:"" help:"Replay known shifts and count what a monitor of drift sees."`
}

type evalRecordCmd struct {
	Model    string `arg:"" help:"The model version that was evaluated (team/name@version); left out where the file names it."`
	File     string `arg:"" optional:"" help:"The evaluation as JSON."`
	Evidence string `placeholder:"FILE" help:"The evaluation tool's own output, kept by digest; else the JSON file itself."`
	Category string `enum:",accuracy,safety,drift,misuse" default:"" help:"accuracy, safety, drift or misuse, where the file does not say."`
	Suite    string `help:"The suite, where the file does not say."`
	Dataset  string `help:"What it was evaluated on, team/name@version or digest, where the file does not say."`
}

// Help implements kong.HelpProvider.
func (c *evalRecordCmd) Help() string {
	return `The file is one JSON object; what the model version or a flag says may be left out:

  {
    "team": "clinic", "artifact": "sha256:...", "dataset": "sha256:...",
    "category": "accuracy", "suite": "holdout",
    "tool": {"name": "our-eval", "version": "1.4"},
    "metrics": [
      {"name": "accuracy", "value": 0.95, "n": 1000, "successes": 950},
      {"name": "roc_auc", "value": 0.97, "n": 1000, "reported": {"method": "delong", "stdErr": 0.006}}
    ],
    "ran": "2026-05-01T12:00:00Z"
  }

A proportion gives its successes, another metric its "reported" standard error ("stdErr") or
interval ("lower95", "upper95"): policies judge the bounds, not the point. What the tool itself called passed or failed decides nothing.`
}

// Run implements the command.
func (c *evalRecordCmd) Run(a *app) error {
	if c.File == "" {
		c.Model, c.File = "", c.Model
	}
	raw, err := a.readFile(c.File, "the evaluation")
	if err != nil {
		return err
	}
	e, err := c.evaluation(a, raw)
	if err != nil {
		return err
	}
	if c.Evidence != "" {
		if raw, err = a.readFile(c.Evidence, "the evidence"); err != nil {
			return err
		}
	}
	e.Evidence = []record.RawFile{record.FileOf(filepath.Base(orElse(c.Evidence, c.File)), "summary", raw)}
	got, err := a.client().RecordEvaluation(a.ctx, e, raw)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawEvaluation(p, got) })
}

// evaluation reads the file and fills in what the command line says.
func (c *evalRecordCmd) evaluation(a *app, raw []byte) (record.Evaluation, error) {
	e, err := strictly[record.Evaluation](raw, c.File, "the evaluation")
	if err != nil {
		return e, err
	}
	if c.Model != "" {
		v, err := a.version(c.Model)
		if err != nil {
			return e, err
		}
		if e.Artifact != "" && e.Artifact != v.Record.Artifact {
			return e, wrongf("%s is about the model %s, but %s is %s", c.File, e.Artifact.Short(), c.Model, v.Record.Artifact.Short())
		}
		team, _, _, _ := splitRef(v.Record.Ref())
		e.Artifact, e.Team = v.Record.Artifact, orElse(e.Team, team)
	}
	if c.Category != "" {
		e.Category = record.Category(c.Category)
	}
	e.Suite = orElse(c.Suite, e.Suite)
	if ref := orElse(c.Dataset, string(e.Dataset)); ref != "" {
		if e.Dataset, err = a.dataset(ref); err != nil {
			return e, err
		}
	}
	e.Assurance = orElse(e.Assurance, record.Imported)
	e.Ran = record.Millis(e.Ran)
	return e, nil
}

func drawEvaluation(p *page, r record.Recorded[record.Evaluation]) {
	e := r.Record
	p.field("evaluation", "%s, %s/%s", record.EvaluationID(r.Digest), e.Category, e.Suite)
	p.field("model", "%s", e.Artifact)
	p.field("on", "%s", e.Dataset)
	p.field("tool", "%s %s, %s", e.Tool.Name, e.Tool.Version, e.Assurance)
	for _, f := range e.Evidence {
		p.field("evidence", "%s, %s, %s", f.Name, f.Format, f.Digest)
	}
	p.field("ran", "%s; recorded by %s at %s", day(e.Ran), r.Actor, day(r.Time))
	if e.Incomplete != "" {
		p.styled(bad, "! incomplete: %s", e.Incomplete)
	}
	rows := [][]cell{heading("  METRIC", "VALUE", "N", "UNCERTAINTY")}
	for _, m := range e.Metrics {
		rows = append(rows, texts("  "+m.Name, number(m.Value), strconv.Itoa(m.N), uncertainty(m)))
	}
	p.table(rows)
}

func uncertainty(m record.Metric) string {
	switch {
	case m.Successes != nil:
		return fmt.Sprintf("%d of %d", *m.Successes, m.N)
	case m.Computed != nil && m.Computed.Lower95 != nil:
		return fmt.Sprintf("[%s, %s] by %s", number(*m.Computed.Lower95), number(*m.Computed.Upper95), m.Computed.Method)
	case m.Reported == nil:
	case m.Reported.StdErr != nil:
		return "standard error " + number(*m.Reported.StdErr)
	case m.Reported.Lower95 != nil:
		return fmt.Sprintf("[%s, %s] by the tool", number(*m.Reported.Lower95), number(*m.Reported.Upper95))
	}
	return "none given"
}

// number writes a metric with at most four decimals, more where it is small.
func number(v float64) string {
	if v != 0 && math.Abs(v) < 0.001 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
}

type evalShowCmd struct {
	ID string `arg:"" help:"Such as e-0123456789ab."`
}

// Run implements the command.
func (c *evalShowCmd) Run(a *app) error {
	var found *record.Recorded[record.Evaluation]
	_, err := each(a, record.KindEvaluation, 0, func(r record.Recorded[record.Evaluation]) bool {
		if record.EvaluationID(r.Digest) == c.ID || string(r.Digest) == c.ID {
			found = &r
		}
		return found == nil
	})
	switch {
	case err != nil:
		return err
	case found == nil:
		return absent("the evaluation "+c.ID, "imprimatur eval list shows them")
	}
	return a.show(*found, func(p *page) { drawEvaluation(p, *found) })
}

type evalListCmd struct{ pager }

// Run implements the command.
func (c *evalListCmd) Run(a *app) error {
	return list(a, record.KindEvaluation, c.pager, heading("ID", "SUITE", "MODEL", "TOOL", "BY", "RAN", "METRICS"), func(r record.Recorded[record.Evaluation]) []cell {
		e := r.Record
		var metrics []string
		for _, m := range e.Metrics {
			metrics = append(metrics, m.Name+" "+number(m.Value))
		}
		if e.Incomplete != "" {
			metrics = append(metrics, "incomplete")
		}
		return texts(record.EvaluationID(r.Digest), string(e.Category)+"/"+e.Suite, e.Artifact.Short(), e.Tool.Name, r.Actor, day(e.Ran), join(metrics, ""))
	})
}
