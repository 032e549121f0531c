package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// The forms of a file that recognition tells apart.
const (
	formJSON = "JSON"
	formZip  = "a zip archive"
	formXML  = "XML"
	formText = "text" // CSV, YAML, Markdown
)

// head is what recognition sees of a file: its form and the skeleton of its
// structure. Importers match on it.
type head struct {
	name string
	form string
	// docs are the skeletons of the first JSON values of the file: one for a
	// JSON file, several where there is one a line.
	docs []skeleton
	// entries are the members of an archive.
	entries []string
	// root is the name of the root element.
	root string
	// first is the beginning of a text file, columns what its first line names
	// if that is a line of comma-separated names.
	first   string
	columns []string
	// digest is of the whole file, once that was read line by line.
	digest record.Digest
}

// skeleton maps the path of every member, down to the third level, to its
// value: the kind of JSON value, followed by the text of a short string. A path
// is "results.version"; "tests[].status" is of an array's first element.
type skeleton map[string]string

// has reports whether every path is there.
func (s skeleton) has(paths ...string) bool {
	for _, p := range paths {
		if _, ok := s[p]; !ok {
			return false
		}
	}
	return true
}

// kind returns the kind of the value at a path: one of n t f " 0 { [, or 0
// where there is none.
func (s skeleton) kind(path string) jsontext.Kind {
	if v := s[path]; v != "" {
		return jsontext.Kind(v[0])
	}
	return 0
}

// text returns the string at a path, if it is a short one.
func (s skeleton) text(path string) string {
	if v := s[path]; strings.HasPrefix(v, `"`) {
		return v[1:]
	}
	return ""
}

const (
	headLines  = 8
	headDepth  = 3
	headLevels = 4096 // members looked at
	headText   = 64 << 10
	shortText  = 128
)

// one returns the skeleton of a file that is one JSON value, else nil.
func (h *head) one() skeleton {
	if len(h.docs) == 1 {
		return h.docs[0]
	}
	return nil
}

// lines returns the skeletons of the first values of a file that has one JSON
// object a line. A file of one line is both this and [head.one].
func (h *head) lines() []skeleton { return h.docs }

// anyLine reports whether one of the first lines has all the paths.
func (h *head) anyLine(paths ...string) bool {
	return slices.ContainsFunc(h.docs, func(s skeleton) bool { return s.has(paths...) })
}

func headOf(f File) (*head, error) {
	h := &head{name: f.Name}
	start := make([]byte, min(f.Size, headText))
	if _, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %w", f.Name, err)
	}
	text := bytes.TrimLeft(start, " \t\r\n")
	switch {
	case f.Size == 0 || len(text) == 0:
		return nil, &Refusal{f.Name, "", "it is empty"}
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")):
		return h, h.archive(f)
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")), bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return nil, &Refusal{f.Name, "", "it begins with a byte order mark; write it as UTF-8 without one"}
	case text[0] == '<':
		return h, h.markup(f, text)
	case text[0] == '{', text[0] == '[':
		return h, h.json(f)
	}
	return h, h.text(f, text)
}

func (h *head) archive(f File) error {
	h.form = formZip
	z, err := zip.NewReader(f, f.Size)
	if err != nil {
		return &Refusal{f.Name, "", "it is a zip archive that cannot be read: " + err.Error()}
	}
	if len(z.File) > maxEntries {
		return &Refusal{f.Name, "", fmt.Sprintf("it has %d members, more than %d", len(z.File), maxEntries)}
	}
	for _, m := range z.File {
		h.entries = append(h.entries, m.Name)
	}
	return nil
}

func (h *head) markup(f File, text []byte) error {
	h.form = formXML
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		t, err := d.Token()
		if err != nil {
			return &Refusal{f.Name, "", "it looks like XML, but has no root element"}
		}
		if start, ok := t.(xml.StartElement); ok {
			h.root = start.Name.Local
			return nil
		}
	}
}

func (h *head) text(f File, text []byte) error {
	h.form = formText
	for !utf8.Valid(text) && len(text) > 0 {
		// A rune may be cut at the end of what was read.
		cut := text[:len(text)-1]
		if len(text) < headText-utf8.UTFMax || len(cut) == 0 {
			return &Refusal{f.Name, "", "it is neither JSON, XML, a zip archive nor UTF-8 text"}
		}
		text = cut
	}
	h.first = string(text)
	line, _, _ := strings.Cut(h.first, "\n")
	for _, c := range strings.Split(strings.TrimRight(line, "\r"), ",") {
		h.columns = append(h.columns, strings.Trim(c, `"`))
	}
	return nil
}

func (h *head) json(f File) error {
	h.form = formJSON
	dec := jsontext.NewDecoder(newGuard(io.NewSectionReader(f, 0, f.Size), true))
	budget := headLevels
	for len(h.docs) < headLines {
		if dec.PeekKind() == 0 {
			if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
				return at(f.Name, place(dec, f), err)
			}
			break
		}
		s := skeleton{}
		if err := s.scan(dec, "", headDepth, &budget); err != nil {
			return at(f.Name, place(dec, f), err)
		}
		h.docs = append(h.docs, s)
	}
	return nil
}

// scan reads one value into the skeleton.
func (s skeleton) scan(dec *jsontext.Decoder, path string, depth int, budget *int) error {
	*budget--
	kind := dec.PeekKind()
	short := string(rune(kind))
	switch {
	case kind == '{' && depth > 0 && *budget > 0:
		s[path] = "{"
		return s.object(dec, path, depth, budget)
	case kind == '[' && depth > 0 && *budget > 0:
		s[path] = "["
		return s.array(dec, path, depth, budget)
	case kind == '"' && *budget > 0:
		t, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if text := t.String(); len(text) <= shortText {
			short += text
		}
		s[path] = short
		return nil
	case kind != 0:
		s[path] = short
	}
	return dec.SkipValue()
}

func (s skeleton) object(dec *jsontext.Decoder, path string, depth int, budget *int) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		t, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := t.String()
		if path != "" {
			name = path + "." + name
		}
		if err := s.scan(dec, name, depth-1, budget); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (s skeleton) array(dec *jsontext.Decoder, path string, depth int, budget *int) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for i := 0; dec.PeekKind() != ']'; i++ {
		var err error
		if i == 0 {
			err = s.scan(dec, path+"[]", depth-1, budget)
		} else {
			err = dec.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// unlike says what was seen of a file that no importer knows.
func (h *head) unlike() string {
	seen := h.form
	switch {
	case len(h.docs) > 0:
		var names []string
		for p := range h.docs[0] {
			if p != "" && !strings.ContainsAny(p, ".[") {
				names = append(names, p)
			}
		}
		slices.Sort(names)
		seen += " with the members " + strings.Join(names[:min(len(names), 8)], ", ")
		if len(names) == 0 {
			seen = "JSON without members that tell a format"
		}
	case h.root != "":
		seen += " with the root <" + h.root + ">"
	}
	return "no importer knows it: it is " + seen + "; imprimatur eval formats lists what is read"
}
