package evidence

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// doc reads JSON values one after the other. After the first error its methods
// do nothing and return zero values, so that importers read as the format does;
// the loop that drives it looks at err.
type doc struct {
	part part
	// member is the member of an archive that is read; empty for the file.
	member string
	dec    *jsontext.Decoder
	notes  *notes
	names  map[string]string
	err    error
}

// json opens a part as JSON.
func (in *input) json(p part) *doc {
	return in.jsonFrom(p, io.NewSectionReader(p, 0, p.Size))
}

// jsonFrom reads JSON from a stream within a part, such as an archive's member.
func (in *input) jsonFrom(p part, r io.Reader) *doc {
	return &doc{part: p, dec: jsontext.NewDecoder(newGuard(r, in.nan)), notes: &in.notes, names: map[string]string{}}
}

// more reports whether another value follows at the top level, in a file that
// has one a line.
func (d *doc) more() bool {
	if d.err != nil {
		return false
	}
	if d.dec.PeekKind() != 0 {
		return true
	}
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		d.fail(err)
	}
	return false
}

// end returns the first error, after making sure that nothing follows.
func (d *doc) end() error {
	if d.more() {
		d.refuse("something follows the end of its value")
	}
	return d.err
}

func (d *doc) fail(err error) {
	if d.err == nil && err != nil {
		d.err = at(d.file(), d.dec, d.lines(), err)
	}
}

// refuse refuses the file at the present place.
func (d *doc) refuse(format string, args ...any) {
	if d.err == nil {
		d.err = &Refusal{d.file(), place(d.dec, d.lines()), fmt.Sprintf(format, args...)}
	}
}

// file names what is read.
func (d *doc) file() string {
	if d.member != "" {
		return d.part.Name + ": " + d.member
	}
	return d.part.Name
}

// lines is where lines can be counted in: nothing within an archive.
func (d *doc) lines() File {
	if d.member != "" {
		return File{}
	}
	return d.part.File
}

// at says where and why JSON cannot be read.
func at(name string, dec *jsontext.Decoder, f File, err error) error {
	var limited limit
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &limited):
		return &Refusal{name, place(dec, f), limited.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &Refusal{name, place(dec, f), "it ends in the middle of a value: the file is cut short"}
	case errors.As(err, &syntax):
		why := syntax.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			why = "a member is given twice"
		}
		return &Refusal{name, place(dec, f), "it is not valid JSON: " + why}
	}
	return fmt.Errorf("reading %s: %w", name, err)
}

// place names the line and the JSON pointer where a decoder stands.
func place(dec *jsontext.Decoder, f File) string {
	line := 1
	buf := make([]byte, guardBlock)
	for at, end := int64(0), min(dec.InputOffset(), f.Size); at < end; {
		n, err := f.ReadAt(buf[:min(end-at, guardBlock)], at)
		line += strings.Count(string(buf[:n]), "\n")
		if at += int64(n); err != nil || n == 0 {
			break
		}
	}
	pointer := string(dec.StackPointer())
	switch {
	case f.ReaderAt == nil:
		return pointer
	case pointer == "":
		return "line " + strconv.Itoa(line)
	}
	return "line " + strconv.Itoa(line) + ", " + pointer
}

// object reads an object; each is called for every member and reads its value,
// or returns false, upon which the member is skipped and noted as unknown.
// Anything but an object is refused.
func (d *doc) object(each func(name string) bool) {
	if !d.open('{', "an object") {
		return
	}
	for d.err == nil && d.dec.PeekKind() == '"' {
		name := d.name()
		if d.err == nil && !each(name) {
			d.unknown()
		}
	}
	d.close()
}

// array reads an array; each reads one element.
func (d *doc) array(each func(i int)) {
	if !d.open('[', "an array") {
		return
	}
	for i := 0; d.err == nil; i++ {
		if k := d.dec.PeekKind(); k == ']' || k == 0 {
			break
		}
		each(i)
	}
	d.close()
}

func (d *doc) open(kind jsontext.Kind, what string) bool {
	if d.err != nil {
		return false
	}
	if k := d.dec.PeekKind(); k != kind && k != 0 {
		d.refuse("%s is expected here", what)
		return false
	}
	_, err := d.dec.ReadToken()
	d.fail(err)
	return d.err == nil
}

func (d *doc) close() {
	if d.err == nil {
		_, err := d.dec.ReadToken()
		d.fail(err)
	}
}

// name reads a member's name. Names repeat, so each is made once.
func (d *doc) name() string {
	raw, err := d.dec.ReadValue()
	if err != nil {
		d.fail(err)
		return ""
	}
	if n, ok := d.names[string(raw)]; ok {
		return n
	}
	n, err := jsontext.AppendUnquote(nil, raw)
	d.fail(err)
	if len(d.names) < 4096 {
		d.names[string(raw)] = string(n)
	}
	return string(n)
}

// unknown skips a value and notes its member.
func (d *doc) unknown() {
	if len(d.notes.unknown) < maxNotes {
		d.notes.unknownMember(generic(string(d.dec.StackPointer())))
	}
	d.skip()
}

// generic writes '-' for every index of a pointer.
func generic(pointer string) string {
	parts := strings.Split(pointer, "/")
	for i, p := range parts {
		if _, err := strconv.Atoi(p); err == nil {
			parts[i] = "-"
		}
	}
	return strings.Join(parts, "/")
}

// skip passes over a value that the importer knows and does not need.
func (d *doc) skip() {
	if d.err == nil {
		d.fail(d.dec.SkipValue())
	}
}

// kind returns the kind of the next value, 0 after an error.
func (d *doc) kind() jsontext.Kind {
	if d.err != nil {
		return 0
	}
	k := d.dec.PeekKind()
	if k == 0 {
		_, err := d.dec.ReadToken()
		d.fail(err)
	}
	return k
}

// raw reads a value as it stands. It is valid until the next call.
func (d *doc) raw() jsontext.Value {
	if d.err != nil {
		return nil
	}
	v, err := d.dec.ReadValue()
	d.fail(err)
	return v
}

// text reads a string; null is the empty string.
func (d *doc) text() string {
	switch d.kind() {
	case 'n':
		d.skip()
	case '"':
		t, err := d.dec.ReadToken()
		d.fail(err)
		if err == nil {
			return t.String()
		}
	case 0:
	default:
		d.refuse("text is expected here")
	}
	return ""
}

// scalar reads a string, number or truth value as text: identities are
// written as any of these. null is the empty string.
func (d *doc) scalar() string {
	switch d.kind() {
	case '"', 'n':
		return d.text()
	case '0', 't', 'f':
		return string(d.raw())
	case 0:
	default:
		d.refuse("a text or number is expected here")
	}
	return ""
}

// number reads a number; null, and NaN and infinities where the format has
// them, are NaN.
func (d *doc) number() float64 {
	switch d.kind() {
	case 'n':
		d.skip()
		return math.NaN()
	case '0':
		v, err := strconv.ParseFloat(string(d.raw()), 64)
		if err != nil {
			d.refuse("the number is out of range")
		}
		return v
	case '"':
		if d.text() != "" {
			d.refuse("a number is expected here")
		}
		return math.NaN()
	case 0:
	default:
		d.refuse("a number is expected here")
	}
	return math.NaN()
}

// integer reads a whole number, also written as 32.0; null is 0.
func (d *doc) integer() int {
	v := d.number()
	switch {
	case math.IsNaN(v):
		return 0
	case v != math.Trunc(v) || math.Abs(v) > 1<<53:
		d.refuse("a whole number is expected here")
		return 0
	}
	return int(v)
}

// truth reads true or false; null is false.
func (d *doc) truth() bool {
	switch d.kind() {
	case 't':
		d.skip()
		return true
	case 'f', 'n':
		d.skip()
	case 0:
	default:
		d.refuse("true or false is expected here")
	}
	return false
}

// texts reads an object of scalars as settings, with a prefix to their names.
// What is deeper is passed over.
func (d *doc) settings(into map[string]string, prefix string) {
	d.object(func(name string) bool {
		switch d.kind() {
		case '"', '0', 't', 'f':
			into[prefix+name] = d.scalar()
		default:
			d.skip()
		}
		return true
	})
}
