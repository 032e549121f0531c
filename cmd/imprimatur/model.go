package main

import (
	"slices"
	"strings"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
)

// modelCmd is the noun model.
type modelCmd struct {
	Create   modelCreateCmd   `cmd:"" help:"Register a model's name, under which versions stand."`
	Register modelRegisterCmd `cmd:"" help:"Register a version: hashes the files and looks into them."`
	Show     modelShowCmd     `cmd:"" help:"Show a model version."`
	List     modelListCmd     `cmd:"" help:"List model versions, newest first."`
}

type modelCreateCmd struct {
	Ref         string `arg:"" name:"team/name" help:"Such as clinic/triage."`
	Type        string `default:"trained" enum:"trained,fine-tuned,vendor,agent" help:"One of ${enum} (default trained)."`
	Owner       string `placeholder:"NAME" help:"Who answers for it; else you."`
	Description string `placeholder:"TEXT" help:"One sentence."`
}

// Run implements the command.
func (c *modelCreateCmd) Run(a *app) error {
	team, name, ok := strings.Cut(c.Ref, "/")
	if !ok {
		return wrongf("%q is not of the form team/name", c.Ref)
	}
	if c.Owner == "" {
		me, err := a.client().Me(a.ctx)
		if err != nil {
			return err
		}
		c.Owner = me.Name
	}
	got, err := a.client().RegisterModel(a.ctx, record.Model{
		Team: team, Name: name, Type: record.ModelKind(c.Type), Owner: c.Owner, Description: c.Description,
	})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("model %s stands, owned by %s", got.Record.Ref(), got.Record.Owner)
		p.styled(quiet, "next: imprimatur model register %s@VERSION PATH", got.Record.Ref())
	})
}

type modelRegisterCmd struct {
	Ref           string   `arg:"" name:"team/name@version" help:"Such as clinic/triage@7."`
	Path          string   `arg:"" help:"The model's folder or file. It stays here; its digest and the list of its files are sent."`
	MadeBy        string   `name:"run" placeholder:"TEAM/ID" help:"The training run that made it."`
	Type          string   `enum:",trained,fine-tuned,vendor,agent" default:"" help:"How it came to be, trained, fine-tuned, vendor or agent; else as the model says."`
	Base          []string `placeholder:"MODEL" help:"What it was made from: team/name@version or the digest."`
	Prompt        string   `placeholder:"FILE" help:"An agent's prompt; its digest is sent."`
	Configuration string   `placeholder:"FILE" help:"An agent's configuration; its digest is sent."`
	Source        string   `help:"Where it came from, for a vendor's model."`
}

// Run implements the command.
func (c *modelRegisterCmd) Run(a *app) error {
	team, name, version, err := splitRef(c.Ref)
	if err != nil {
		return err
	}
	b, err := a.inspect(c.Path)
	if err != nil {
		return err
	}
	v := record.ModelVersion{
		Model: team + "/" + name, Version: version, Type: record.ModelKind(c.Type), Artifact: b.Digest,
		Files: b.Files, Run: c.MadeBy, Source: c.Source, Findings: b.Findings,
	}
	if slices.Contains(b.Ignored, artifact.SignatureFile) {
		v.Signature = record.DigestFromHex(b.manifest.Root())
	}
	if err := c.complete(a, &v); err != nil {
		return err
	}
	got, err := a.client().RegisterVersion(a.ctx, v)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("registered %s", got.Record.Ref())
		p.line("%s, %s in %s", got.Record.Artifact, size(b.Size), count(len(b.Files), "file"))
		drawFindings(p, b.Findings)
	})
}

// complete fills in what refers to other records and files.
func (c *modelRegisterCmd) complete(a *app, v *record.ModelVersion) error {
	if v.Type == "" {
		m, ok, err := newest(a, record.KindModel, func(m record.Model) bool { return m.Ref() == v.Model })
		switch {
		case err != nil:
			return err
		case !ok:
			return absent("the model "+v.Model, "register it first: imprimatur model create "+v.Model)
		}
		v.Type = m.Record.Type
	}
	for _, ref := range c.Base {
		base := record.Digest(ref)
		if base.Validate() != nil {
			got, err := a.version(ref)
			if err != nil {
				return err
			}
			base = got.Record.Artifact
		}
		v.Bases = append(v.Bases, base)
	}
	for _, file := range []struct {
		path, what string
		into       *record.Digest
	}{{c.Prompt, "the prompt", &v.Prompt}, {c.Configuration, "the configuration", &v.Configuration}} {
		if file.path == "" {
			continue
		}
		raw, err := a.readFile(file.path, file.what)
		if err != nil {
			return err
		}
		*file.into = record.DigestOf(raw)
	}
	return nil
}

// version finds a model version by team/name@version or its digest.
func (a *app) version(ref string) (record.Recorded[record.ModelVersion], error) {
	got, ok, err := newest(a, record.KindModelVersion, func(v record.ModelVersion) bool {
		return v.Ref() == ref || string(v.Artifact) == ref || isShort(v.Artifact, ref)
	})
	if err == nil && !ok {
		err = absent("the model version "+ref, "imprimatur model list shows them; imprimatur model register adds one")
	}
	return got, err
}

type modelShowCmd struct {
	Ref string `arg:"" name:"team/name@version" help:"The version, or its digest."`
}

// Run implements the command.
func (c *modelShowCmd) Run(a *app) error {
	got, err := a.version(c.Ref)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		v := got.Record
		p.field("model", "%s, %s", v.Ref(), v.Type)
		p.field("artifact", "%s", v.Artifact)
		p.field("run", "%s", orElse(v.Run, "none"))
		for _, b := range v.Bases {
			p.field("made from", "%s", b)
		}
		if v.Prompt != "" {
			p.field("prompt", "%s", v.Prompt)
		}
		if v.Configuration != "" {
			p.field("configuration", "%s", v.Configuration)
		}
		if v.Signature != "" {
			p.field("signed as", "%s", v.Signature)
		}
		p.field("registered", "by %s at %s", got.Actor, day(got.Time))
		rows := [][]cell{}
		for _, f := range v.Files {
			rows = append(rows, texts("  "+f.Path, size(f.Size), f.SHA256))
		}
		p.table(rows)
		drawFindings(p, v.Findings)
	})
}

type modelListCmd struct{ pager }

// Run implements the command.
func (c *modelListCmd) Run(a *app) error {
	return list(a, record.KindModelVersion, c.pager, heading("VERSION", "TYPE", "ARTIFACT", "RUN", "REGISTERED", "FINDINGS"), func(r record.Recorded[record.ModelVersion]) []cell {
		v := r.Record
		findings := cell{"none", good}
		if len(v.Findings) > 0 {
			findings = cell{count(len(v.Findings), "finding"), warn}
		}
		return append(texts(v.Ref(), string(v.Type), v.Artifact.Short(), v.Run, day(r.Time)), findings)
	})
}
