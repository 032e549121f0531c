// Package evidence reads the files of evaluation tools: bytes in, evaluations
// out, strict.
//
// A file is recognised by its structure, never by its name; two formats that
// both claim a file are a refusal. What is read is the canonical schema of
// [record.Evaluation]. Every importer keeps these promises:
//
//   - Items come first. Counts and intervals are recomputed from the outcomes of
//     single items wherever the file has them. The tool's own totals are checked
//     against ours, and a contradiction is recorded (record.Check), not mended.
//   - An item that was asked and not answered counts against the model. Where
//     the scale of a score is not known, it makes the evaluation incomplete.
//   - A run that was cancelled, limited, empty or all without a number is
//     incomplete, and says so; a tool's own "passed" decides nothing.
//   - JSON is one value and then the end, or one value a line. Repeated members,
//     invalid UTF-8, values nested deeper than [MaxDepth] and numbers longer than
//     [MaxNumber] are refused; so are the bare words NaN and Infinity except in
//     formats whose tools write them, where they are an answer that is missing.
//   - Members of a file that an importer does not know are listed, and
//     otherwise passed over.
//   - A time without a zone is a label of the run, not a time.
//   - Memory is bounded whatever the size of a file; items are at most [MaxItems].
//
// Read is a pure function of the files and what is said of them: anybody who
// reads the same bytes gets the same evaluation.
package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// Limits on what is read.
const (
	MaxFiles  = 4096
	MaxItems  = 1 << 22
	MaxDepth  = 64
	MaxNumber = 256      // characters
	MaxString = 16 << 20 // bytes
	MaxLine   = 20 << 20 // bytes of a line of a file that is read line by line
	MaxWhole  = 1 << 30  // bytes of a file that is not read item by item
)

// File is one file of evidence. The name is shown to people and kept; nothing
// is concluded from it.
type File struct {
	Name string
	Size int64
	io.ReaderAt
}

// FileOf makes a file of bytes in memory.
func FileOf(name string, content []byte) File {
	return File{Name: name, Size: int64(len(content)), ReaderAt: strings.NewReader(string(content))}
}

// Refusal says why a file is not read. It is the only error of [Read], apart
// from errors of reading bytes.
type Refusal struct {
	File string
	// At is a place in the file: a line, a JSON pointer, a member of an
	// archive; empty for the file as a whole.
	At  string
	Why string
}

func (r *Refusal) Error() string {
	if r.At == "" {
		return r.File + ": " + r.Why
	}
	return r.File + ", " + r.At + ": " + r.Why
}

// Reading is what a set of files says.
type Reading struct {
	// Format is the importer's name.
	Format string
	// Evaluations are in the order of their suites' names. They are valid as
	// records once the run named team, artifact and dataset.
	Evaluations []record.Evaluation
}

// Format describes an importer.
type Format struct {
	Name string
	// Accepts says in words which versions of the tool it reads.
	Accepts string
}

// Formats lists the importers in the order of their use.
func Formats() []Format {
	out := make([]Format, len(importers))
	for i, im := range importers {
		out[i] = Format{im.format, im.accepts}
	}
	return out
}

// importer reads one format.
type importer struct {
	format string
	// version is raised when the importer reads the same bytes differently.
	version int
	accepts string
	// nan says that the tool writes the bare words NaN and Infinity.
	nan bool
	// match names the part that a file plays in the format, or is empty.
	match func(h *head) string
	read  func(in *input) error
}

// importers is the table of all formats; each file of this package that reads
// one defines its row.
var importers = []*importer{
	&itemsFormat,
	&driftSensitivityFormat,
	&lmEvalFormat,
	&inspectFormat,
	&garakFormat,
	&promptfooFormat,
	&sklearnFormat,
	&evidentlyFormat,
	&junitFormat,
	&intotoFormat,
	&mlflowFormat,
	&ailuminateFormat,
	&deepevalFormat,
	&helmFormat,
	&eeeFormat,
	&ragasFormat,
	&openaiEvalsFormat,
	&huggingFaceFormat,
}

// input is what an importer works on.
type input struct {
	*importer
	run    record.EvaluationRun
	parts  []part
	suites []*suite
	notes  notes
}

// part is a file with the part that it plays.
type part struct {
	File
	role string
	head *head
}

// Read reads the files of one evaluation run. The run says what no file does;
// where it names a suite, and the files have several, that one is chosen, and
// where they have one, it is given that name.
func Read(files []File, run record.EvaluationRun) (*Reading, error) {
	in, err := recognise(files)
	if err != nil {
		return nil, err
	}
	in.run = run
	if err := in.read(in); err != nil {
		return nil, err
	}
	raw, err := in.rawFiles()
	if err != nil {
		return nil, err
	}
	if err := in.choose(); err != nil {
		return nil, err
	}
	out := &Reading{Format: in.format}
	for _, s := range in.suites {
		e, err := s.finish(raw)
		if err != nil {
			return nil, err
		}
		out.Evaluations = append(out.Evaluations, e)
	}
	slices.SortFunc(out.Evaluations, func(a, b record.Evaluation) int { return strings.Compare(a.Suite, b.Suite) })
	return out, nil
}

func recognise(files []File) (*input, error) {
	if len(files) == 0 || len(files) > MaxFiles {
		return nil, fmt.Errorf("%d files given; an evaluation has 1 to %d", len(files), MaxFiles)
	}
	var in *input
	for _, f := range files {
		h, err := headOf(f)
		if err != nil {
			return nil, err
		}
		im, role, err := h.format()
		if err != nil {
			return nil, err
		}
		if in == nil {
			in = &input{importer: im}
		}
		if in.importer != im {
			return nil, &Refusal{f.Name, "", fmt.Sprintf("it is a file of %s, and %s is one of %s; record them one after the other", im.format, in.parts[0].Name, in.format)}
		}
		in.parts = append(in.parts, part{f, role, h})
	}
	return in, nil
}

// format finds the one importer that knows the file.
func (h *head) format() (*importer, string, error) {
	var found []string
	var chosen *importer
	role := ""
	for _, im := range importers {
		if r := im.match(h); r != "" {
			found = append(found, im.format)
			chosen, role = im, r
		}
	}
	switch len(found) {
	case 1:
		return chosen, role, nil
	case 0:
		return nil, "", &Refusal{h.name, "", h.unlike()}
	}
	return nil, "", &Refusal{h.name, "", "it could be a file of " + strings.Join(found, " or of ") + ", and which one is not to be guessed"}
}

// of returns the parts that play a role.
func (in *input) of(role string) []part {
	var out []part
	for _, p := range in.parts {
		if p.role == role {
			out = append(out, p)
		}
	}
	return out
}

// rawFiles hashes the files that were not hashed while they were read.
func (in *input) rawFiles() ([]record.RawFile, error) {
	out := make([]record.RawFile, len(in.parts))
	for i, p := range in.parts {
		out[i] = record.RawFile{Name: p.Name, Bytes: p.Size, Format: in.importer.format, Digest: p.head.digest}
		if p.head.digest != "" {
			continue
		}
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(p, 0, p.Size)); err != nil {
			return nil, fmt.Errorf("hashing %s: %w", p.Name, err)
		}
		out[i].Digest = record.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
	}
	return out, nil
}

// choose leaves the suite that the run names, if it names one.
func (in *input) choose() error {
	name := in.run.Suite
	switch {
	case len(in.suites) == 0:
		return in.refuse("", "it has no evaluation in it")
	case name == "":
		return nil
	case len(in.suites) == 1:
		in.suites[0].Suite = name
		return nil
	}
	names := make([]string, len(in.suites))
	for i, s := range in.suites {
		names[i] = s.Suite
		if s.Suite == name {
			in.suites = []*suite{s}
			return nil
		}
	}
	return in.refuse("", "it has no suite %q; it has %s", name, strings.Join(names, ", "))
}

// refuse refuses the first file.
func (in *input) refuse(at, format string, args ...any) error {
	return &Refusal{in.parts[0].Name, at, fmt.Sprintf(format, args...)}
}

func (p part) refuse(at, format string, args ...any) error {
	return &Refusal{p.Name, at, fmt.Sprintf(format, args...)}
}

// warn notes something that a reviewer should know.
func (in *input) warn(format string, args ...any) { in.notes.warn(format, args...) }

// notes are what an import report says beside the numbers.
type notes struct {
	unknown  []string
	warnings []string
}

// maxNotes bounds the lists of a report; more adds nothing for a reader.
const maxNotes = 100

func (n *notes) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(n.warnings) < maxNotes && !slices.Contains(n.warnings, text) {
		n.warnings = append(n.warnings, text)
	}
}

func (n *notes) unknownMember(pointer string) {
	if len(n.unknown) < maxNotes && !slices.Contains(n.unknown, pointer) {
		n.unknown = append(n.unknown, pointer)
	}
}
