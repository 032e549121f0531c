package artifact

import (
	"context"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"imprimatur.dev/record"
)

// Format is what a file is by its content.
type Format string

// The formats that are told apart. A Zip or Tar is known by what it holds: ZipPickle is a zip with a pickle in it, as
// PyTorch writes, Keras a zip with a Keras configuration.
const (
	SafetensorsFile Format = "safetensors"
	GGUF            Format = "gguf"
	ONNX            Format = "onnx"
	Pickle          Format = "pickle"
	ZipPickle       Format = "zip-with-pickle"
	Keras           Format = "keras"
	Zip             Format = "zip"
	Tar             Format = "tar"
	Compressed      Format = "compressed"
	Numpy           Format = "numpy"
	HDF5            Format = "hdf5"
	JSON            Format = "json"
	YAML            Format = "yaml"
	Text            Format = "text"
	Python          Format = "python"
	Executable      Format = "executable"
	Image           Format = "image"
	Unknown         Format = "unknown"
)

// Kind says why a finding is one.
type Kind = string

// The kinds of findings. KindTemplate and KindCustomOp are for a person to look at; all others mean that loading the file
// may run code, or that nobody can tell.
const (
	KindPickle    Kind = "pickle"    // runs code when loaded
	KindCode      Kind = "code"      // is code, or makes a loader run some
	KindMalformed Kind = "malformed" // breaks the rules of its own format, where payloads hide
	KindEscape    Kind = "escape"    // names a path outside the model
	KindUnknown   Kind = "unknown"   // no known format, or one that can not be seen through
	KindTemplate  Kind = record.FindingTemplate
	KindCustomOp  Kind = record.FindingCustomOp
)

// Finding is one thing worth knowing about a file. Within an archive, File is "archive!member".
type Finding = record.Finding

// FileFormat is the format of one file of a model.
type FileFormat struct {
	Path   string `json:"path"`
	Format Format `json:"format"`
}

// Inspection is what [Inspect] found, both lists in the order of the paths. A model without unsafe findings is not thereby
// safe: its files are of formats that hold data only, and they keep to the rules of these formats.
type Inspection struct {
	Files    []FileFormat `json:"files"`
	Findings []Finding    `json:"findings,omitempty"`
}

// Unsafe returns the findings that are unsafe.
func (i Inspection) Unsafe() []Finding {
	return slices.DeleteFunc(slices.Clone(i.Findings), func(f Finding) bool { return !f.Unsafe() })
}

const (
	headSize = 64 << 10
	// readBudget bounds what is read of one file, whatever its headers claim.
	readBudget = 128 << 20
	// maxFindings of one file; archives of a thousand pickles need not name them all.
	maxFindings = 50
)

// Inspect tells what every file of a model is by its bytes. A name can add suspicion (x.py is code whatever it holds)
// but never take it away. It reads the beginnings, ends and headers of files, and a part of archive members that is
// bounded however far they would expand.
func Inspect(ctx context.Context, path string, opts Options) (Inspection, error) {
	t, err := openTree(path, opts.Ignore)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspecting model %s: %w", path, err)
	}
	defer t.root.Close()
	files := make([]FileFormat, len(t.files))
	findings := make([][]Finding, len(t.files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, e := range t.files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f, err := t.open(e)
			if err != nil {
				return err
			}
			defer f.Close()
			format, found, err := InspectFile(e.name, f, e.Size)
			files[i], findings[i] = FileFormat{Path: e.Path, Format: format}, found
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Inspection{}, fmt.Errorf("inspecting model %s: %w", path, err)
	}
	return Inspection{Files: files, Findings: slices.Concat(findings...)}, nil
}

// InspectFile tells what one file of the given size is; see [Inspect]. The error is one of reading; content of any kind
// gives findings.
func InspectFile(name string, r io.ReaderAt, size int64) (Format, []Finding, error) {
	b := &budget{r: r, left: readBudget}
	s := &scan{}
	format := s.content(name, b, size, 0)
	if b.failed != nil {
		return "", nil, fmt.Errorf("reading %s: %w", name, b.failed)
	}
	if len(s.findings) > maxFindings {
		more := len(s.findings) - maxFindings
		s.findings = append(s.findings[:maxFindings], Finding{File: name, Type: KindUnknown, Detail: fmt.Sprintf("and %d more findings", more)})
	}
	return format, s.findings, nil
}

// scan collects the findings of one file on disk and of what is in it.
type scan struct {
	findings      []Finding
	expandedBytes int // of compressed members so far
}

func (s *scan) add(name string, kind Kind, format string, args ...any) {
	s.findings = append(s.findings, Finding{File: name, Type: kind, Detail: fmt.Sprintf(format, args...)})
}

// recognizer looks at content and, if it is of its format, adds the findings and returns the format; otherwise it adds
// nothing and returns "". Depth counts the archives around it.
type recognizer func(s *scan, name string, c content, depth int) Format

// content is what recognizers look at: the whole, its first bytes, and its last.
type content struct {
	io.ReaderAt
	size       int64
	head, tail []byte
}

// recognizers are tried in this order: those with a signature first, those that must parse to know last.
var recognizers []recognizer

func init() { // the archives among them look at their members with all of them
	recognizers = []recognizer{
		scanExecutable, scanImage, scanGGUF, scanNumpy, scanHDF5, scanZip, scanTar, scanCompressed,
		scanSafetensors, scanPickle, scanText, scanONNX,
	}
}

func (s *scan) content(name string, r io.ReaderAt, size int64, depth int) Format {
	c := content{ReaderAt: r, size: size, head: make([]byte, min(size, headSize)), tail: make([]byte, min(size, headSize))}
	_, err := r.ReadAt(c.head, 0)
	if n, tailErr := r.ReadAt(c.tail, size-int64(len(c.tail))); n < len(c.tail) {
		c.tail = nil // of a member that is expanded in part
		if tailErr != errCut {
			err = tailErr
		}
	}
	if err != nil && err != io.EOF {
		s.add(name, KindUnknown, "it can not be looked at: %v", err)
		return Unknown
	}
	before := len(s.findings)
	format := Unknown
	for _, recognize := range recognizers {
		if found := recognize(s, name, c, depth); found != "" {
			format = found
			break
		}
	}
	if format != Zip && format != ZipPickle && format != Keras && endsAsZip(c.tail) {
		s.add(name, KindMalformed, "a zip archive is hidden at its end")
	}
	if format == Unknown && len(s.findings) == before {
		s.add(name, KindUnknown, "its content is of no known format")
	}
	s.byName(name, before)
	return format
}

// byName adds what a loader would do because of the name alone.
func (s *scan) byName(name string, before int) {
	switch strings.ToLower(path.Ext(name)) {
	case ".jinja", ".jinja2", ".j2":
		s.add(name, KindTemplate, "its name makes it a template that a loader interprets")
	case ".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat", ".ps1", ".jar", ".ipynb":
		if len(s.findings) == before {
			s.add(name, KindCode, "its name makes it code for those who load it")
		}
	}
}

func scanExecutable(s *scan, name string, c content, _ int) Format {
	for _, magic := range []string{
		"\x7fELF", "MZ", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe",
		"\x00asm", "BC\xc0\xde", "#!",
	} {
		if strings.HasPrefix(string(c.head), magic) {
			s.add(name, KindCode, "it is a program")
			return Executable
		}
	}
	if len(c.head) >= 16 && string(c.head[2:4]) == "\r\n" && c.head[4] < 4 && c.head[5] == 0 {
		s.add(name, KindCode, "it is compiled Python")
		return Executable
	}
	return ""
}

func scanImage(_ *scan, _ string, c content, _ int) Format {
	for _, magic := range []string{"\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "GIF87a", "GIF89a"} {
		if strings.HasPrefix(string(c.head), magic) {
			return Image
		}
	}
	return ""
}

func scanSafetensors(s *scan, name string, c content, _ int) Format {
	if len(c.head) < 9 || c.head[8] != '{' || c.head[4]|c.head[5]|c.head[6]|c.head[7] != 0 {
		return ""
	}
	if _, err := ReadSafetensors(c, c.size); err != nil {
		s.add(name, KindMalformed, "%v", err)
	}
	return SafetensorsFile
}
