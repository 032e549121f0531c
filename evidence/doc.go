package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// tokens are the tokens of JSON text, from a stream or from a line.
type tokens interface {
	PeekKind() jsontext.Kind
	ReadToken() (jsontext.Token, error)
	ReadValue() (jsontext.Value, error)
	SkipValue() error
	StackPointer() jsontext.Pointer
	InputOffset() int64
}

// doc reads JSON values one after the other. After the first error its methods
// do nothing and return zero values, so that importers read as the format does;
// the loop that drives it looks at err.
type doc struct {
	part part
	// member is the member of an archive that is read; empty for the file.
	member string
	dec    tokens
	notes  *notes
	// known are short texts by how they are written. Lines have the same ones
	// in the same order: usual are those of the line before, of which turn is
	// next.
	known map[string]word
	usual [64]word
	turn  int
	// noted are the members that notes has; path is memory for one.
	noted map[string]bool
	path  []byte
	// row is the number of the line that is all that is read, first says that
	// it is the file's first value, and within that more lines follow.
	row           int
	first, within bool
	// fast says that a line with an error will be read again: the error says
	// nothing.
	fast bool
	err  error
}

// json opens a part as JSON.
func (in *input) json(p part) *doc {
	return in.jsonFrom(p, io.NewSectionReader(p, 0, p.Size))
}

// jsonFrom reads JSON from a stream within a part, such as an archive's member.
func (in *input) jsonFrom(p part, r io.Reader) *doc {
	return newDoc(p, jsontext.NewDecoder(newGuard(r, in.nan)), &in.notes)
}

func newDoc(p part, dec tokens, n *notes) *doc {
	return &doc{part: p, dec: dec, notes: n, known: map[string]word{}, noted: map[string]bool{}}
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
	switch {
	case d.err != nil || err == nil:
	case d.fast:
		d.err = err
	case d.within && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		d.refuse("a value does not end on its line; one value a line is read")
	default:
		d.err = at(d.file(), d.place(), err)
	}
}

// refuse refuses the file at the present place.
func (d *doc) refuse(format string, args ...any) {
	switch {
	case d.err != nil:
	case d.fast:
		d.err = errOtherwise
	default:
		d.err = &Refusal{d.file(), d.place(), fmt.Sprintf(format, args...)}
	}
}

// file names what is read.
func (d *doc) file() string {
	if d.member != "" {
		return d.part.Name + ": " + d.member
	}
	return d.part.Name
}

// at says where and why JSON cannot be read.
func at(name, place string, err error) error {
	var limited limit
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &limited):
		return &Refusal{name, place, limited.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &Refusal{name, place, "it ends in the middle of a value: the file is cut short"}
	case errors.As(err, &syntax):
		why := syntax.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			why = "a member is given twice"
		}
		return &Refusal{name, place, "it is not valid JSON: " + why}
	}
	return fmt.Errorf("reading %s: %w", name, err)
}

// place names the line and the JSON pointer where the tokens stand; within an
// archive there are no lines.
func (d *doc) place() string {
	pointer := string(d.dec.StackPointer())
	switch {
	case d.member != "":
		return pointer
	case d.row == 0:
		return place(d.dec, d.part.File)
	}
	return placeOf(d.row, pointer)
}

func place(dec tokens, f File) string {
	line := 1
	buf := make([]byte, guardBlock)
	for at, end := int64(0), min(dec.InputOffset(), f.Size); at < end; {
		n, err := f.ReadAt(buf[:min(end-at, guardBlock)], at)
		line += bytes.Count(buf[:n], []byte("\n"))
		if at += int64(n); err != nil || n == 0 {
			break
		}
	}
	return placeOf(line, string(dec.StackPointer()))
}

func placeOf(line int, pointer string) string {
	if pointer == "" {
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
	if _, err := d.dec.ReadToken(); err != nil {
		d.fail(err)
	}
	return d.err == nil
}

func (d *doc) close() {
	if d.err == nil {
		if _, err := d.dec.ReadToken(); err != nil {
			d.fail(err)
		}
	}
}

// name reads a member's name.
func (d *doc) name() string {
	raw := d.raw()
	if d.err != nil {
		return ""
	}
	return d.unquoted(raw)
}

const (
	maxKnown  = 4096
	shortWord = 64
)

// unquoted returns the text of a string. Names, and what else is short, come
// again: each is made once.
func (d *doc) unquoted(raw jsontext.Value) string {
	var usual *word
	if d.turn < len(d.usual) {
		usual = &d.usual[d.turn]
		d.turn++
		if usual.raw == string(raw) {
			return usual.text
		}
	}
	w, ok := d.known[string(raw)]
	if !ok {
		text, err := jsontext.AppendUnquote(nil, raw)
		d.fail(err)
		w = word{string(raw), string(text)}
		if len(raw) <= shortWord && len(d.known) < maxKnown {
			d.known[w.raw] = w
		}
	}
	if usual != nil && len(raw) <= shortWord {
		*usual = w
	}
	return w.text
}

// word is a short text and how it is written.
type word struct{ raw, text string }

// unknown skips a value and notes its member.
func (d *doc) unknown() {
	if len(d.notes.unknown) < maxNotes {
		if c, ok := d.dec.(*cursor); ok {
			d.path = c.appendPointer(d.path[:0])
		} else {
			d.path = append(d.path[:0], d.dec.StackPointer()...)
		}
		if !d.noted[string(d.path)] {
			p := string(d.path)
			if len(d.noted) < maxKnown {
				d.noted[p] = true
			}
			d.notes.unknownMember(generic(p))
		}
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
		if err := d.dec.SkipValue(); err != nil {
			d.fail(err)
		}
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
	if err != nil {
		d.fail(err)
	}
	return v
}

// text reads a string; null is the empty string.
func (d *doc) text() string {
	switch d.kind() {
	case 'n':
		d.skip()
	case '"':
		if raw := d.raw(); d.err == nil {
			return d.unquoted(raw)
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

// identity is scalar for what differs from item to item: it appends the text.
func (d *doc) identity(to []byte) []byte {
	kind := d.kind()
	if kind != '"' && kind != '0' {
		return append(to, d.scalar()...)
	}
	raw := d.raw()
	if d.err != nil || kind == '0' {
		return append(to, raw...)
	}
	to, err := jsontext.AppendUnquote(to, raw)
	d.fail(err)
	return to
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
