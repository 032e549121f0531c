package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// rowsAtOnce is how many rows of a file of lines are counted together.
const rowsAtOnce = 1024

// rows reads a file of one JSON object a line. What the scanner accepts is read
// at its speed; any other line is read by jsontext, which says what is wrong with
// it if anything is.
type rows struct {
	*observer
	s scanner
	// columns are those seen so far, and expected are those of the row before in
	// its order.
	byName   map[string]int
	columns  []rowColumn
	expected []int
	// line is the number of the row's line, n how many rows the block has.
	line, n int
	// some says that the first row had a feature.
	some  bool
	times []int64
	timed bool
	right []float64
	// seen counts the columns of the row.
	seen int
}

// A rowColumn holds what a block has of a column. Row is the last line that had
// it.
type rowColumn struct {
	name  string
	place meaning
	row   int
	// categorical features have slots, others numbers.
	categorical bool
	values      []float64
	slots       []uint16
}

func (o *observer) ndjson(file File) error {
	r := &rows{observer: o, byName: map[string]int{}, times: make([]int64, 0, rowsAtOnce), right: make([]float64, rowsAtOnce)}
	f := &feed{part: part{File: file}, in: io.NewSectionReader(file, 0, file.Size)}
	var p piece
	for more := true; more; {
		more = f.fill(&p)
		if p.err != nil {
			return p.err
		}
		for text := p.text; len(text) > 0; {
			end := bytes.IndexByte(text, '\n') + 1
			r.line++
			if err := r.read(text[:end]); err != nil {
				return err
			}
			text = text[end:]
		}
	}
	if err := r.flush(); err != nil {
		return err
	}
	if r.out.Rows == 0 {
		return nil
	}
	places := make([]meaning, len(r.columns))
	for i, c := range r.columns {
		places[i] = c.place
	}
	return o.fits(places)
}

// read reads a line, which ends in '\n'.
func (r *rows) read(line []byte) error {
	r.s.text, r.s.names = line, r.s.names[:0]
	start := r.s.space(0)
	if start == len(line)-1 {
		return nil
	}
	r.restart()
	if !r.fast(start) {
		r.restart()
		if err := r.slow(line); err != nil {
			return r.refuse("line "+strconv.Itoa(r.line), "%v", err)
		}
	}
	if !r.timed && r.batch.Time != "" {
		return r.refuse("line "+strconv.Itoa(r.line), "it has no %q; %v", r.batch.Time, errTime)
	}
	if r.out.Rows == 0 && r.n == 0 {
		// A row without any value is one, and a row with its outcome alone is a label.
		r.some = r.has(func(p meaning) bool { return p >= 0 }) || !r.has(func(p meaning) bool { return p == isOutcome })
	}
	for i := range r.columns {
		if c := &r.columns[i]; c.row != r.line {
			c.blank(r.n)
		}
	}
	if r.n++; r.n == rowsAtOnce {
		return r.flush()
	}
	return nil
}

// restart begins a row, perhaps again.
func (r *rows) restart() {
	for i := range r.columns {
		if r.columns[i].row == r.line {
			r.columns[i].row = 0
		}
	}
	r.seen, r.timed = 0, false
	r.times = r.times[:r.n]
	r.right[r.n] = math.NaN()
}

func (r *rows) has(what func(meaning) bool) bool {
	return slices.ContainsFunc(r.columns, func(c rowColumn) bool { return what(c.place) })
}

// blank says that a row has no value of the column.
func (c *rowColumn) blank(row int) {
	switch {
	case c.place < 0:
	case c.categorical:
		c.slots[row] = 0
	default:
		c.values[row] = math.NaN()
	}
}

// fast reads the line as far as the scanner accepts it, and reports whether that
// was all of it.
func (r *rows) fast(i int) bool {
	s := &r.s
	if s.text[i] != '{' {
		return false
	}
	if i = s.space(i + 1); s.text[i] == '}' {
		return s.space(i+1) == len(s.text)-1
	}
	for {
		if s.text[i] != '"' {
			return false
		}
		s.escaped = false
		end := s.string(i)
		if end < 0 || s.escaped {
			return false
		}
		c := r.column(s.text[i+1 : end-1])
		if c == nil || c.row == r.line {
			return false
		}
		if i = s.space(end); s.text[i] != ':' {
			return false
		}
		i = s.space(i + 1)
		s.escaped = false
		if end = s.value(i, 1); end < 0 || s.escaped {
			return false
		}
		if r.set(c, s.text[i:end]) != nil {
			return false
		}
		i = s.space(end)
		switch s.text[i] {
		case '}':
			return s.space(i+1) == len(s.text)-1
		case ',':
			i = s.space(i + 1)
		default:
			return false
		}
	}
}

// column returns the column of a name, nil where there are too many. Most rows
// have the columns of the row before in the same order.
func (r *rows) column(name []byte) *rowColumn {
	if r.seen < len(r.expected) {
		if c := &r.columns[r.expected[r.seen]]; c.name == string(name) {
			r.seen++
			return c
		}
	}
	i, ok := r.byName[string(name)]
	if !ok {
		if i = len(r.columns); i >= maxColumns {
			return nil
		}
		c := rowColumn{name: string(name), place: r.meaningOf(string(name))}
		if c.place >= 0 {
			if c.categorical = r.categorical(c.place); c.categorical {
				c.slots = make([]uint16, rowsAtOnce)
			} else {
				c.values = make([]float64, rowsAtOnce)
			}
			for row := range r.n {
				c.blank(row)
			}
		}
		r.columns, r.byName[c.name] = append(r.columns, c), i
	}
	r.expected = append(r.expected[:min(r.seen, len(r.expected))], i)
	r.seen++
	return &r.columns[i]
}

// maxColumns bounds the columns of a file, those that the baseline does not have
// among them.
const maxColumns = 20_000

// set notes a value: JSON text without escapes, or a word.
func (r *rows) set(c *rowColumn, text []byte) error {
	c.row = r.line
	switch c.place {
	case isUnknown:
		return nil
	case isTime:
		if text[0] != '"' {
			return fmt.Errorf("%w, not %s", errTime, clip(string(text)))
		}
		number, err := r.parseTime(string(text[1 : len(text)-1]))
		r.times, r.timed = append(r.times[:r.n], number), true
		return err
	case isOutcome:
		return r.setOutcome(text)
	}
	if !r.some && (r.n > 0 || r.out.Rows > 0) {
		return fmt.Errorf("it has %q, which is the baseline's, and the first row has none of these; send labels that came later in a file of their own", c.name)
	}
	if c.categorical {
		slot, err := r.slotOf(c, text)
		c.slots[r.n] = slot
		return err
	}
	v, err := numberOf(text)
	if err != nil {
		return fmt.Errorf("%q has %s, and is a feature of numbers", c.name, clip(string(text)))
	}
	c.values[r.n] = v
	return nil
}

func (r *rows) setOutcome(text []byte) error {
	switch string(text) {
	case "true", "1":
		r.right[r.n] = 1
	case "false", "0":
		r.right[r.n] = 0
	case "null":
	default:
		return fmt.Errorf("%q is %s; an outcome is true or false, 1 or 0", OutcomeColumn, clip(string(text)))
	}
	return nil
}

func (r *rows) slotOf(c *rowColumn, text []byte) (uint16, error) {
	switch text[0] {
	case '"':
		text = text[1 : len(text)-1]
	case 'n':
		text = nil
	case '{', '[':
		return 0, fmt.Errorf("%q has %s, and is a feature of categories", c.name, clip(string(text)))
	}
	return r.frame.Slot(int(c.place), text), nil
}

var errNumber = errors.New("not a number")

// numberOf reads a JSON number, and null as NaN.
func numberOf(text []byte) (float64, error) {
	if string(text) == "null" {
		return math.NaN(), nil
	}
	// Up to 2^53 a whole number and a power of ten up to 22 are exact, and so is
	// their quotient once rounded (Clinger 1990).
	i, negative := 0, false
	if text[0] == '-' {
		i, negative = 1, true
	}
	var mantissa uint64
	point, digits := -1, 0
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			point = i
			continue
		}
		if c < '0' || c > '9' || digits == 18 {
			break
		}
		mantissa = mantissa*10 + uint64(c-'0')
		digits++
	}
	if i < len(text) || mantissa > 1<<53 {
		if text[0] != '-' && (text[0] < '0' || text[0] > '9') {
			return 0, errNumber
		}
		v, err := strconv.ParseFloat(string(text), 64)
		if err != nil && !math.IsInf(v, 0) {
			return 0, errNumber
		}
		return v, nil
	}
	v := float64(mantissa)
	if point >= 0 {
		v /= powers[len(text)-1-point]
	}
	if negative {
		v = -v
	}
	return v, nil
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// slow reads the line with jsontext, after what costs too much was looked for.
func (r *rows) slow(line []byte) error {
	d := jsontext.NewDecoder(newGuard(bytes.NewReader(line), false))
	if d.PeekKind() != '{' {
		_, err := d.ReadValue()
		return errors.Join(errors.New("it is no JSON object"), err)
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		c := r.column([]byte(name.String()))
		if c == nil {
			return fmt.Errorf("the file has more than %d columns", maxColumns)
		}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		// Without escapes, as set wants it.
		if value.Kind() == '"' {
			plain, err := jsontext.AppendUnquote([]byte{'"'}, value)
			if err != nil {
				return err
			}
			value = append(plain, '"')
		}
		if err := r.set(c, value); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return errors.Join(errors.New("something follows its object"), err)
	}
	return nil
}

// flush counts the rows of the block.
func (r *rows) flush() error {
	var numbers []int64
	if r.batch.Time != "" {
		numbers = r.times[:r.n]
	}
	r.begin(r.n, numbers, r.some)
	for _, c := range r.columns {
		switch {
		case c.place < 0:
		case c.categorical:
			r.slots(int(c.place), 0, c.slots[:r.n])
		default:
			r.numbers(int(c.place), 0, c.values[:r.n])
		}
	}
	err := r.outcomes(0, r.right[:r.n])
	r.end()
	r.n, r.times = 0, r.times[:0]
	return err
}
