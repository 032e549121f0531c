package main

import (
	"math"
	"strconv"
	"strings"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// evalCmd is the noun eval.
type evalCmd struct {
	Record  evalRecordCmd  `cmd:"" aliases:"add" help:"Read the files that an evaluation wrote, show what they say, and record it."`
	Wrap    evalWrapCmd    `cmd:"" help:"Run an evaluation tool, and sign what was evaluated, on what, when and how."`
	Show    evalShowCmd    `cmd:"" help:"Show an evaluation."`
	List    evalListCmd    `cmd:"" help:"List evaluations, newest first."`
	Export  evalExportCmd  `cmd:"" help:"Write an evaluation in a form that other tools read."`
	Formats evalFormatsCmd `cmd:"" help:"List the formats of evidence that are read."`
	Drift   evalDriftCmd   `cmd:"" help:"Replay known shifts and count what a monitor of drift sees."`
}

// number writes a metric with at most four decimals, more where it is small.
func number(v float64) string {
	if v != 0 && math.Abs(v) < 0.001 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
}

type evalShowCmd struct {
	ID     string `arg:"" help:"Such as e-0123456789ab."`
	Slices bool   `help:"Show the metrics of every slice."`
}

// Run implements the command.
func (c *evalShowCmd) Run(a *app) error {
	found, err := a.evaluation(c.ID)
	if err != nil {
		return err
	}
	return a.show(found, func(p *page) { drawEvaluation(p, found, c.Slices) })
}

// evaluation finds an evaluation by its ID or digest.
func (a *app) evaluation(id string) (found record.Recorded[record.Evaluation], err error) {
	known := false
	_, err = each(a, record.KindEvaluation, 0, func(r record.Recorded[record.Evaluation]) bool {
		if record.EvaluationID(r.Digest) == id || string(r.Digest) == id {
			found, known = r, true
		}
		return !known
	})
	if err == nil && !known {
		err = absent("the evaluation "+id, "imprimatur eval list shows them")
	}
	return found, err
}

type evalExportCmd struct {
	ID           string `arg:"" help:"Such as e-0123456789ab."`
	Model        string `required:"" help:"The name of the model, as others know it."`
	Organization string `required:"" help:"Who publishes the evaluation."`
	Relationship string `enum:"first_party,third_party,collaborative,other" default:"first_party" help:"How the evaluator is related to the model's developer."`
	Out          string `placeholder:"FILE" help:"Where to write; else to the standard output."`
}

// Help implements kong.HelpProvider.
func (c *evalExportCmd) Help() string {
	return "The form is Every Eval Ever 0.3.0 (JSON). Metrics of which it is not known which way is better have no place in it."
}

// Run implements the command.
func (c *evalExportCmd) Run(a *app) error {
	found, err := a.evaluation(c.ID)
	if err != nil {
		return err
	}
	raw, err := evidence.EveryEvalEver(found, c.Model, c.Organization, c.Relationship)
	if err != nil {
		return err
	}
	if c.Out == "" {
		_, err = a.stdout.Write(raw)
		return err
	}
	return a.write(c.Out, raw)
}

type evalListCmd struct{ pager }

// listedMetrics is how many metrics stand in a line of the list.
const listedMetrics = 4

// Run implements the command.
func (c *evalListCmd) Run(a *app) error {
	head := heading("ID", "SUITE", "MODEL", "TOOL", "BY", "RAN", "TRY", "ASSURANCE", "ITEMS", "METRICS")
	return list(a, record.KindEvaluation, c.pager, head, func(r record.Recorded[record.Evaluation]) []cell {
		e := r.Record
		var metrics []string
		for _, m := range e.Metrics {
			if len(m.Slice) == 0 {
				metrics = append(metrics, m.Name+" "+number(m.Value))
			}
		}
		last := cell{text: strings.Join(metrics[:min(len(metrics), listedMetrics)], ", ")}
		if len(metrics) > listedMetrics {
			last.text += ", …"
		}
		if why := cannotCount(e); why != "" {
			last = cell{"cannot count: " + why, bad}
		}
		return append(texts(record.EvaluationID(r.Digest), string(e.Category)+"/"+e.Suite, e.Artifact.Short(), e.Tool.Name, r.Actor, day(e.Ran),
			strconv.Itoa(e.Attempt), e.Assurance, strconv.Itoa(e.Counts.Evaluated)), last)
	})
}

type evalFormatsCmd struct{}

// Run implements the command.
func (c *evalFormatsCmd) Run(a *app) error {
	type format struct {
		Name    string `json:"name"`
		Accepts string `json:"accepts"`
	}
	var out []format
	rows := [][]cell{heading("FORMAT", "WHAT IS READ")}
	for _, f := range evidence.Formats() {
		out = append(out, format{f.Name, f.Accepts})
		rows = append(rows, texts(f.Name, f.Accepts))
	}
	return a.show(out, func(p *page) {
		p.table(rows)
		p.styled(quiet, "a file is known by its structure, never by its name: imprimatur eval record --dry-run FILE")
	})
}
