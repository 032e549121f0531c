package main

import (
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// runCmd is the noun run.
type runCmd struct {
	Record runRecordCmd `cmd:"" help:"Record a training run from a JSON file; best by the pipeline's own workload."`
	Show   runShowCmd   `cmd:"" help:"Show a training run."`
	List   runListCmd   `cmd:"" help:"List training runs, newest first."`

	Exec runExecCmd `cmd:"" name:"exec" default:"withargs" help:"Start a command (after --) that may use the model while its release stands, and stop it then."`
}

type runRecordCmd struct {
	File   string   `arg:"" name:"run.json" help:"The run; - is standard input."`
	Output []string `placeholder:"PATH" help:"A model that the run made: its folder or file, or its digest. Added to the outputs of the file."`
	Input  []string `placeholder:"DATASET" help:"A dataset that the run read: team/name@version or its digest. Added to the inputs of the file."`
}

// Help implements kong.HelpProvider.
func (c *runRecordCmd) Help() string {
	return `The file is one JSON object:

  {
    "team": "clinic", "id": "run-42",
    "code": {"repository": "https://git.example/net", "commit": "<40 hex digits>", "author": "ann@clinic.example"},
    "parameters": {"epochs": "20"}, "environment": {"python": "3.14"},
    "inputs":  [{"type": "dataset", "name": "scans", "digest": "sha256:..."}],
    "outputs": [{"type": "model", "name": "net", "digest": "sha256:..."}],
    "started": "2026-05-01T09:00:00Z", "finished": "2026-05-01T11:30:00Z"
  }

A run counts as attested when a workload, the pipeline's own identity, records it.`
}

// Run implements the command.
func (c *runRecordCmd) Run(a *app) error {
	run, err := readJSON[record.Run](a, c.File, "the run")
	if err != nil {
		return err
	}
	for _, ref := range c.Input {
		d, err := a.datasetRecord(ref)
		if err != nil {
			return err
		}
		run.Inputs = withResource(run.Inputs, record.Resource{Type: record.ResourceDataset, Name: d.Record.Ref(), Digest: d.Record.Digest})
	}
	for _, path := range c.Output {
		digest := record.Digest(path)
		if digest.Validate() != nil {
			b, err := a.hash(path)
			if err != nil {
				return err
			}
			digest = b.Digest
		}
		run.Outputs = withResource(run.Outputs, record.Resource{Type: record.ResourceModel, Name: "model", Digest: digest})
	}
	run.Started, run.Finished = record.Millis(run.Started), record.Millis(run.Finished)
	got, err := a.client().RecordRun(a.ctx, run)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("recorded the run %s, by %s", got.Record.Ref(), got.Actor)
		for _, o := range got.Record.Outputs {
			p.line("  made %s %s", o.Name, o.Digest)
		}
	})
}

// withResource adds a resource unless its digest is there already.
func withResource(rs []record.Resource, r record.Resource) []record.Resource {
	if slices.ContainsFunc(rs, func(have record.Resource) bool { return have.Digest == r.Digest }) {
		return rs
	}
	return append(rs, r)
}

type runShowCmd struct {
	Ref string `arg:"" name:"team/id" help:"The run."`
}

// Run implements the command.
func (c *runShowCmd) Run(a *app) error {
	got, ok, err := newest(a, record.KindRun, func(r record.Run) bool { return r.Ref() == c.Ref })
	switch {
	case err != nil:
		return err
	case !ok:
		return absent("the training run "+c.Ref, "imprimatur run list shows them")
	}
	return a.show(got, func(p *page) {
		r := got.Record
		p.field("run", "%s", r.Ref())
		p.field("recorded", "by %s at %s", got.Actor, day(got.Time))
		p.field("code", "%s at %s%s", r.Code.Repository, r.Code.Commit, map[bool]string{true: ", with changes that are not committed"}[r.Code.Dirty])
		if r.Code.Author != "" {
			p.field("author", "%s", r.Code.Author)
		}
		p.field("ran", "%s to %s", day(r.Started), day(r.Finished))
		for _, k := range sorted(r.Parameters) {
			p.field("parameter", "%s = %s", k, r.Parameters[k])
		}
		for _, i := range r.Inputs {
			p.field("read", "%s %s %s", i.Type, i.Name, i.Digest)
		}
		for _, o := range r.Outputs {
			p.field("made", "%s %s %s", o.Type, o.Name, o.Digest)
		}
	})
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

type runListCmd struct{ pager }

// Run implements the command.
func (c *runListCmd) Run(a *app) error {
	return list(a, record.KindRun, c.pager, heading("RUN", "BY", "FINISHED", "COMMIT", "MADE"), func(r record.Recorded[record.Run]) []cell {
		var made []string
		for _, o := range r.Record.Outputs {
			made = append(made, o.Digest.Short())
		}
		return texts(r.Record.Ref(), r.Actor, day(r.Record.Finished), r.Record.Code.Commit[:min(12, len(r.Record.Code.Commit))], strings.Join(made, " "))
	})
}
