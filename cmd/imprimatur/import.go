package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/go-json-experiment/json/jsontext"
)

// importCmd is the noun import.
type importCmd struct {
	Mlflow      importMLflowCmd      `cmd:"" help:"Register what a team's MLflow has in its own registry, with the history of its versions."`
	Openlineage importOpenlineageCmd `cmd:"" help:"Send OpenLineage events that were kept in files, one a line."`
}

type importOpenlineageCmd struct {
	Files []string `arg:"" name:"file" help:"Files of events, one JSON object a line; - is standard input."`
	Team  string   `placeholder:"NAME" help:"The team whose pipelines they are of; the caller's only one, where none is given."`
}

const (
	// importEvents and importBytes bound one request.
	importEvents = 1000
	importBytes  = 8 << 20
	// importLine is the longest line: the server takes no longer event.
	importLine = 4 << 20
	// toldFaults is how many faults of one file are shown.
	toldFaults = 20
)

// imported is what became of one file.
type imported struct {
	File   string   `json:"file"`
	Events int      `json:"events"`
	Kept   int      `json:"kept"`
	Faults []string `json:"faults,omitzero"`
}

// Run implements the command. Sending a file again states nothing twice.
func (c *importOpenlineageCmd) Run(a *app) error {
	var all []imported
	faulty := false
	for _, file := range c.Files {
		got, err := c.file(a, file)
		if err != nil {
			return err
		}
		all = append(all, got)
		faulty = faulty || len(got.Faults) > 0
	}
	err := a.show(all, func(p *page) {
		for _, f := range all {
			p.line("%s: %d of %s kept", f.File, f.Kept, count(f.Events, "event"))
			for i, fault := range f.Faults {
				if i == toldFaults {
					p.line("  and %d more", len(f.Faults)-i)
					break
				}
				p.line("  %s", fault)
			}
		}
	})
	if err == nil && faulty {
		return &failure{code: exitWrong, err: errors.New("some events were refused"), told: true}
	}
	return err
}

func (c *importOpenlineageCmd) file(a *app, name string) (imported, error) {
	out := imported{File: name}
	from, size, err := a.lines(name)
	if err != nil {
		return out, err
	}
	defer from.Close()
	report, end := a.progress(name)
	defer end()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, importLine)
	b := batch{c: c, a: a, into: &out}
	read := int64(0)
	for n := 1; lines.Scan(); n++ {
		read += int64(len(lines.Bytes())) + 1
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			if err := b.add(n, bytes.Clone(line)); err != nil {
				return out, err
			}
		}
		report(read, size)
	}
	if err := lines.Err(); err != nil {
		return out, wrongf("cannot read the events of %s after %d: %w", name, out.Events, err)
	}
	return out, b.send()
}

// lines opens a file of lines and says how long it is.
func (a *app) lines(name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(a.stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, 0, fmt.Errorf("cannot read the events %s: %w", name, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// batch is the events that go into the next request, with their lines.
type batch struct {
	c      *importOpenlineageCmd
	a      *app
	into   *imported
	events []jsontext.Value
	lines  []int
	bytes  int
}

func (b *batch) add(line int, event jsontext.Value) error {
	b.into.Events++
	if !event.IsValid() {
		b.into.Faults = append(b.into.Faults, fmt.Sprintf("line %d: it is not one JSON value", line))
		return nil
	}
	if len(b.events) == importEvents || b.bytes+len(event) > importBytes {
		if err := b.send(); err != nil {
			return err
		}
	}
	b.events, b.lines, b.bytes = append(b.events, event), append(b.lines, line), b.bytes+len(event)
	return nil
}

func (b *batch) send() error {
	if len(b.events) == 0 {
		return nil
	}
	got, err := b.a.client().SendLineage(b.a.ctx, b.c.Team, b.events)
	if err != nil {
		return err
	}
	for _, f := range got.Failed {
		if f.Index >= 0 && f.Index < len(b.lines) {
			b.into.Faults = append(b.into.Faults, fmt.Sprintf("line %d: %s", b.lines[f.Index], f.Reason))
		}
	}
	b.into.Kept += len(b.events) - len(got.Failed)
	b.events, b.lines, b.bytes = nil, nil, 0
	return nil
}
