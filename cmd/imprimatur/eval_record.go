package main

import (
	"fmt"
	"io"
	"strings"

	"imprimatur.dev/attest"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type evalRecordCmd struct {
	Files       []string          `arg:"" name:"file" help:"The files that the evaluation wrote; a folder stands for its files."`
	Model       string            `placeholder:"REF" help:"The model version that was evaluated, team/name@version."`
	Dataset     string            `placeholder:"REF" help:"What it was evaluated on: team/name@version or the digest."`
	Category    string            `enum:",accuracy,safety,drift,misuse" default:"" help:"accuracy, safety, drift or misuse, where the tool's own kind is not meant."`
	Suite       string            `help:"The name of the suite; chooses one where the files have several."`
	Subject     string            `placeholder:"NAME" help:"The model, as the tool calls it, where a file has results of several."`
	Ran         moment            `placeholder:"TIME" help:"When it ran, where the files do not say: 2026-05-01T12:00:00Z, or 2h ago."`
	ToolVersion string            `placeholder:"TEXT" help:"The tool's version, where the files do not say."`
	Setting     map[string]string `mapsep:"none" placeholder:"K=V" help:"A setting that two evaluations must share to be compared."`
	Expected    int               `placeholder:"N" help:"How many items there should be, where the files do not say."`
	Envelope    string            `placeholder:"FILE" help:"The signed run, as imprimatur eval wrap wrote it."`
	DryRun      bool              `help:"Read and show only; needs no server, no model and no dataset."`
	Slices      bool              `help:"Show the metrics of every slice."`
}

// Help implements kong.HelpProvider.
func (c *evalRecordCmd) Help() string {
	return `The files are those of the tool, as it wrote them; imprimatur eval formats lists what is read. They are read here first and shown, then sent,
and read again by the server, which records what they say: one evaluation for each suite. What the tool itself called passed or failed decides nothing.

A tool of your own writes one JSON object a line, after a header:

  {"imprimatur": "items/v1", "suite": "holdout", "category": "accuracy", "expected": 2, "ran": "2026-05-01T12:00:00Z",
   "tool": {"name": "our-eval", "version": "1.4"}, "metrics": {"accuracy": {"direction": "higher"}}}
  {"item": "p-001", "metrics": {"accuracy": true}, "slice": {"sex": "f"}}
  {"item": "p-002", "error": "timeout"}

or CSV with the columns item and outcome, score, label and prediction, or metric.NAME.

  exit 0  recorded, or with --dry-run read, and it can count
  exit 1  it reads well and cannot count: the run is not complete, or contradicts itself; it is recorded all the same, as a try
  exit 2  a file is refused
  exit 3  the server or a file is out of reach`
}

// Run implements the command.
func (c *evalRecordCmd) Run(a *app) error {
	said := c.said(a)
	envelope, signed, err := c.signedRun(a)
	if err != nil {
		return err
	}
	if !c.DryRun && c.Model == "" && signed.Artifact == "" {
		return wrongf("say which model was evaluated: --model team/name@version; --dry-run only reads")
	}
	if !c.DryRun && c.Dataset == "" && signed.Dataset == "" {
		return wrongf("say what it was evaluated on: --dataset team/name@version; --dry-run only reads")
	}
	run, _, err := signed.Complete(said)
	if err != nil {
		return wrongf("%s contradicts the command line: %w", c.Envelope, err)
	}
	files, done, err := a.openEvidence(c.Files)
	if err != nil {
		return err
	}
	defer done()
	reading, err := a.readEvidence(files, run)
	if err != nil {
		return err
	}
	if c.DryRun || !a.json {
		if err := a.show(readOf(reading), func(p *page) { drawReading(p, reading, c.Slices) }); err != nil {
			return err
		}
	}
	if !c.DryRun {
		if err := c.resolve(a, &said); err != nil {
			return err
		}
		if err := a.record(files, reading, wire.Submission{Run: said, Envelope: envelope}); err != nil {
			return err
		}
	}
	return a.judged(reading.Evaluations)
}

// said is what the command line says of the run, without what the server knows.
func (c *evalRecordCmd) said(a *app) record.EvaluationRun {
	return record.EvaluationRun{
		Category: record.Category(c.Category), Suite: c.Suite, Subject: c.Subject, Finished: c.Ran.before(a.now()),
		Tool: record.Tool{Version: c.ToolVersion}, Settings: c.Setting, Expected: c.Expected,
	}
}

// signedRun reads the envelope. Whether its signature is good is the server's to
// say.
func (c *evalRecordCmd) signedRun(a *app) (raw []byte, run record.EvaluationRun, err error) {
	if c.Envelope == "" {
		return nil, run, nil
	}
	if raw, err = a.readFile(c.Envelope, "the signed run"); err != nil {
		return nil, run, err
	}
	envelope, err := attest.ParseEnvelope(raw)
	if err == nil {
		run, err = attest.DecodeRun(envelope.Payload)
	}
	if err != nil {
		return nil, run, wrongf("%s is not what imprimatur eval wrap writes: %w", c.Envelope, err)
	}
	return raw, run, nil
}

// resolve asks the server for what the references mean.
func (c *evalRecordCmd) resolve(a *app, run *record.EvaluationRun) error {
	if c.Model != "" {
		v, err := a.version(c.Model)
		if err != nil {
			return err
		}
		run.Team, _, _ = strings.Cut(v.Record.Model, "/")
		run.Artifact, run.Prompt, run.Configuration = v.Record.Artifact, v.Record.Prompt, v.Record.Configuration
	}
	if c.Dataset != "" {
		var err error
		if run.Dataset, err = a.dataset(c.Dataset); err != nil {
			return err
		}
	}
	return nil
}

// readEvidence reads files, with a bar where that takes long.
func (a *app) readEvidence(files []evidence.File, run record.EvaluationRun) (*evidence.Reading, error) {
	report, end := a.progress("reading")
	defer end()
	counted := make([]evidence.File, len(files))
	w := &watched{report: report}
	for i, f := range files {
		// A file is read once for what it says and once for its digest.
		w.total += 2 * f.Size
		counted[i] = evidence.File{Name: f.Name, Size: f.Size, ReaderAt: watchedFile{f, w}}
	}
	return evidence.Read(counted, run)
}

// watched counts what is read of several files.
type watched struct {
	done, total int64
	report      func(done, total int64)
}

type watchedFile struct {
	io.ReaderAt
	of *watched
}

// ReadAt implements io.ReaderAt.
func (w watchedFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, at)
	w.of.done += int64(n)
	w.of.report(min(w.of.done, w.of.total), w.of.total)
	return n, err
}

// record sends the files and has the server record them.
func (a *app) record(files []evidence.File, reading *evidence.Reading, in wire.Submission) error {
	for i, f := range files {
		digest := reading.Evaluations[0].Evidence[i].Digest
		in.Files = append(in.Files, wire.EvidenceFile{Name: f.Name, Digest: digest})
		report, end := a.progress("sending " + f.Name)
		err := a.client().KeepEvidence(a.ctx, digest, f, f.Size, report)
		end()
		if err != nil {
			return fmt.Errorf("sending %s: %w", f.Name, err)
		}
	}
	got, err := a.client().RecordEvaluations(a.ctx, in)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("")
		for _, r := range got {
			e := r.Record
			p.line("recorded %s, %s/%s: try %d on this dataset, %s", record.EvaluationID(r.Digest), e.Category, e.Suite, e.Attempt, e.Assurance)
		}
	})
}

// judged answers no where evidence cannot count.
func (a *app) judged(es []record.Evaluation) error {
	bad := false
	for _, e := range es {
		if why := cannotCount(e); why != "" {
			bad = true
			fmt.Fprintf(a.stderr, "imprimatur: %s/%s cannot count: %s\n", e.Category, plain(e.Suite), plain(why))
		}
	}
	if bad {
		return no()
	}
	return nil
}

// cannotCount says why an evaluation passes no gate, or is empty.
func cannotCount(e record.Evaluation) string {
	if e.Incomplete != "" {
		return e.Incomplete
	}
	return e.Contradiction()
}

// read is the JSON of what files say.
type read struct {
	Format      string              `json:"format"`
	Evaluations []record.Evaluation `json:"evaluations"`
}

func readOf(r *evidence.Reading) read { return read{r.Format, r.Evaluations} }
