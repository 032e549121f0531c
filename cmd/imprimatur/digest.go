package main

import (
	"fmt"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
)

// digestCmd is "imprimatur digest PATH".
type digestCmd struct {
	Path  string `arg:"" help:"A file, or a folder of files."`
	Files bool   `help:"List every file with its own digest."`
}

// bytesOf is what a path holds, as commands print and register it.
type bytesOf struct {
	Path     string                `json:"path"`
	Digest   record.Digest         `json:"digest"`
	Size     int64                 `json:"size"`
	Files    []record.File         `json:"files"`
	Ignored  []string              `json:"ignored,omitzero"`
	Formats  []artifact.FileFormat `json:"formats,omitzero"`
	Findings []record.Finding      `json:"findings,omitzero"`
	manifest artifact.Manifest
}

// hash digests a file or folder, with a bar where that takes long.
func (a *app) hash(path string) (bytesOf, error) {
	report, end := a.progress("hashing " + path)
	manifest, err := artifact.Digest(a.ctx, path, artifact.Options{Progress: report})
	end()
	if err != nil {
		return bytesOf{}, fmt.Errorf("cannot digest %s: %w", path, err)
	}
	return bytesOf{
		Path: path, Digest: record.Digest(manifest.Digest()), Size: manifest.Size(),
		Files: manifest.Files, Ignored: manifest.Ignored, manifest: manifest,
	}, nil
}

// inspect is hash, and tells what the files are.
func (a *app) inspect(path string) (bytesOf, error) {
	b, err := a.hash(path)
	if err != nil {
		return b, err
	}
	found, err := artifact.Inspect(a.ctx, path, artifact.Options{})
	if err != nil {
		return b, fmt.Errorf("cannot inspect %s: %w", path, err)
	}
	b.Formats, b.Findings = found.Files, found.Findings
	return b, nil
}

// Run implements the command.
func (c *digestCmd) Run(a *app) error {
	b, err := a.inspect(c.Path)
	if err != nil {
		return err
	}
	return a.show(b, func(p *page) {
		p.line("%s", b.Digest)
		p.line("%s in %s", size(b.Size), count(len(b.Files), "file"))
		if c.Files {
			rows := [][]cell{}
			for i, f := range b.Files {
				rows = append(rows, texts(f.SHA256, size(f.Size), string(b.Formats[i].Format), f.Path))
			}
			p.table(rows)
		}
		drawFindings(p, b.Findings)
	})
}

// drawFindings lists what a person should know of a model's files.
func drawFindings(p *page, findings []record.Finding) {
	if len(findings) == 0 {
		return
	}
	p.line("")
	p.styled(warn, "%s to know before anybody loads this:", count(len(findings), "thing"))
	rows := [][]cell{}
	for _, f := range findings {
		rows = append(rows, []cell{{"  !", warn}, {text: f.File}, {text: f.Type}, {text: f.Detail}})
	}
	p.table(rows)
}

// size writes a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return count(int(n), "byte")
	}
	f, i := float64(n), -1
	for f >= unit && i < 4 {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
