package evidence

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
)

// maxTimes is how many rows a row group may have of which each has a time of its
// own: the windows of all of them are in memory at once.
const maxTimes = 1 << 24

// parquetTable reads the row groups of a Parquet file.
type parquetTable struct {
	*observer
	columns []*parquet.Column
	means   []meaning
	// block is where the values of a page are put that are not as they are wanted.
	block []float64
	slot  []uint16
}

func (o *observer) parquet(file File) error {
	unsound := func(err error) error { return o.refuse("", "it is not a sound Parquet file: %v", err) }
	f, err := parquet.OpenFile(file, file.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(256<<10))
	if err != nil {
		return unsound(err)
	}
	t := &parquetTable{observer: o}
	for _, c := range f.Root().Columns() {
		m := isUnknown
		// What is nested has no name that a feature could have.
		if c.Leaf() && c.MaxRepetitionLevel() == 0 && c.MaxDefinitionLevel() <= 1 {
			m = o.meaningOf(c.Name())
		}
		t.columns, t.means = append(t.columns, c), append(t.means, m)
	}
	if err := o.fits(t.means); err != nil {
		return err
	}
	for _, group := range f.RowGroups() {
		if err := t.group(group); err != nil {
			return err
		}
	}
	return nil
}

// group counts a row group, column after column.
func (t *parquetTable) group(group parquet.RowGroup) error {
	rows := group.NumRows()
	if rows < 0 || rows > math.MaxInt32 {
		return t.refuse("", "it has a row group of %d rows", rows)
	}
	chunks := group.ColumnChunks()
	var times []int64
	for i, m := range t.means {
		if m != isTime {
			continue
		}
		if rows > maxTimes {
			return t.refuse("", "it has a row group of %d rows with times, more than %d; write smaller ones", rows, maxTimes)
		}
		err := t.pages(i, chunks, rows, func(_ int, p parquet.Page) error {
			var err error
			times, err = t.appendTimes(times, t.columns[i], p)
			return err
		})
		if err != nil {
			return err
		}
	}
	t.begin(int(rows), times, observes(t.means))
	for i, m := range t.means {
		if m == isUnknown || m == isTime {
			continue
		}
		if err := t.column(i, m, chunks, rows); err != nil {
			return err
		}
	}
	t.end()
	return nil
}

func (t *parquetTable) column(i int, m meaning, chunks []parquet.ColumnChunk, rows int64) error {
	if m >= 0 && t.categorical(m) {
		var known []uint16
		var of parquet.Dictionary
		return t.pages(i, chunks, rows, func(at int, p parquet.Page) (err error) {
			if d := p.Dictionary(); d != nil && d != of {
				known, err = t.slotsOf(m, t.columns[i], d.Page().Data(), nil)
				if of = d; err != nil {
					return err
				}
			}
			if p.Dictionary() != nil {
				t.slot, err = gather(t.slot[:0], known, indices(p))
			} else {
				t.slot, err = t.slotsOf(m, t.columns[i], p.Data(), t.slot[:0])
			}
			if err == nil {
				t.slot, err = spread(t.slot, p, t.columns[i], 0)
				t.slots(int(m), at, t.slot)
			}
			return err
		})
	}
	var known []float64
	var of parquet.Dictionary
	return t.pages(i, chunks, rows, func(at int, p parquet.Page) (err error) {
		var values []float64
		if d := p.Dictionary(); d != nil {
			if d != of {
				known, err = parquetNumbers(t.columns[i], d.Page().Data(), int(d.Page().NumValues()), m == isOutcome)
				if of = d; err != nil {
					return err
				}
			}
			t.block, err = gather(t.block[:0], known, indices(p))
			values = t.block
		} else {
			values, err = parquetNumbers(t.columns[i], p.Data(), int(p.NumValues()-p.NumNulls()), m == isOutcome)
		}
		if err == nil {
			values, err = spread(values, p, t.columns[i], math.NaN())
		}
		switch {
		case err != nil:
			return err
		case m == isOutcome:
			return t.outcomes(at, values)
		}
		t.numbers(int(m), at, values)
		return nil
	})
}

// pages calls each with the pages of a column chunk and the row at which each
// begins, and holds their rows to those of the group.
func (t *parquetTable) pages(i int, chunks []parquet.ColumnChunk, rows int64, each func(at int, p parquet.Page) error) error {
	name := "column " + strconv.Quote(t.columns[i].Name())
	leaf := t.columns[i].Index()
	if leaf < 0 || leaf >= len(chunks) {
		return t.refuse(name, "a row group lacks it")
	}
	pages := chunks[leaf].Pages()
	defer pages.Close() //nolint:errcheck // it was only read
	at := int64(0)
	for {
		p, err := pages.ReadPage()
		if err == io.EOF {
			break
		}
		if err != nil {
			return t.refuse(name, "%v", err)
		}
		if at+p.NumRows() > rows {
			return t.refuse(name, "it has more than the %d rows of its row group", rows)
		}
		if err := each(int(at), p); err != nil {
			return t.refuse(name, "%v", err)
		}
		at += p.NumRows()
		parquet.Release(p)
	}
	if at != rows {
		return t.refuse(name, "it has %d of the %d rows of its row group", at, rows)
	}
	return nil
}

// gather looks values up in a dictionary.
func gather[T any](to, known []T, indices []int32) ([]T, error) {
	for _, k := range indices {
		if k < 0 || int(k) >= len(known) {
			return to, fmt.Errorf("it names the entry %d of a dictionary of %d", k, len(known))
		}
		to = append(to, known[k])
	}
	return to, nil
}

// spread puts what is missing where the page has nulls.
func spread[T any](values []T, p parquet.Page, c *parquet.Column, missing T) ([]T, error) {
	levels := p.DefinitionLevels()
	if p.NumNulls() == 0 || len(levels) == 0 {
		if int64(len(values)) != p.NumRows() {
			return nil, fmt.Errorf("a page has %d values in %d rows", len(values), p.NumRows())
		}
		return values, nil
	}
	out := make([]T, len(levels))
	next := 0
	for i, level := range levels {
		out[i] = missing
		if int(level) == c.MaxDefinitionLevel() {
			if next >= len(values) {
				return nil, fmt.Errorf("a page has fewer values than it says")
			}
			out[i] = values[next]
			next++
		}
	}
	return out, nil
}

// parquetNumbers returns numbers, and truth values as 1 and 0 where these may be.
func parquetNumbers(c *parquet.Column, data encoding.Values, n int, truths bool) ([]float64, error) {
	switch logical(c).(type) {
	case nil, *format.IntType:
	default:
		return nil, fmt.Errorf("it is of the type %s, and the baseline has numbers", c.Type())
	}
	switch c.Type().Kind() {
	case parquet.Double:
		return data.Double(), nil
	case parquet.Float:
		return widen(data.Float()), nil
	case parquet.Int32:
		if unsigned(c) {
			return widen(data.Uint32()), nil
		}
		return widen(data.Int32()), nil
	case parquet.Int64:
		if unsigned(c) {
			return widen(data.Uint64()), nil
		}
		return widen(data.Int64()), nil
	case parquet.Boolean:
		if truths {
			bits := data.Boolean()
			values := make([]float64, n)
			for i := range values {
				values[i] = float64(bits[i/8] >> (i % 8) & 1)
			}
			return values, nil
		}
	}
	return nil, fmt.Errorf("it is of the type %s, and the baseline has numbers", c.Type())
}

func indices(p parquet.Page) []int32 {
	data := p.Data()
	return data.Int32()
}

// logical returns what the values of a column stand for, nil for themselves.
func logical(c *parquet.Column) format.LogicalTypeValue {
	if l := c.Type().LogicalType(); l != nil {
		return l.Value
	}
	return nil
}

func unsigned(c *parquet.Column) bool {
	l, ok := logical(c).(*format.IntType)
	return ok && !l.IsSigned
}

// slotsOf appends the slots of values.
func (t *parquetTable) slotsOf(m meaning, c *parquet.Column, data encoding.Values, to []uint16) ([]uint16, error) {
	wrong := fmt.Errorf("it is of the type %s, and the baseline has categories: text, whole numbers or truth values", c.Type())
	switch logical(c).(type) {
	case nil, *format.IntType, *format.StringType, *format.EnumType:
	default:
		return nil, wrong
	}
	var scratch []byte
	add := func(text []byte) { to = append(to, t.frame.Slot(int(m), text)) }
	switch kind := c.Type().Kind(); {
	case kind == parquet.ByteArray:
		text, ends := data.ByteArray()
		for i := 1; i < len(ends); i++ {
			add(text[ends[i-1]:ends[i]])
		}
	case (kind == parquet.Int32 || kind == parquet.Int64) && unsigned(c):
		values, _ := parquetNumbers(c, data, 0, false)
		for _, v := range values {
			scratch = strconv.AppendUint(scratch[:0], uint64(v), 10)
			add(scratch)
		}
	case kind == parquet.Int32:
		for _, v := range data.Int32() {
			scratch = strconv.AppendInt(scratch[:0], int64(v), 10)
			add(scratch)
		}
	case kind == parquet.Int64:
		for _, v := range data.Int64() {
			scratch = strconv.AppendInt(scratch[:0], v, 10)
			add(scratch)
		}
	default:
		return nil, wrong
	}
	return to, nil
}

// appendTimes appends the numbers of the windows of a page of times.
func (t *parquetTable) appendTimes(to []int64, c *parquet.Column, p parquet.Page) ([]int64, error) {
	if p.NumNulls() > 0 {
		return to, fmt.Errorf("a row has no time")
	}
	stamp, stamped := logical(c).(*format.TimestampType)
	values := p.Values()
	buffer := make([]parquet.Value, 512)
	for {
		n, err := values.ReadValues(buffer)
		for _, v := range buffer[:n] {
			var number int64
			var fault error
			switch {
			case stamped:
				number, fault = t.within(parquetTime(stamp.Unit, v.Int64()))
			case c.Type().Kind() == parquet.ByteArray:
				number, fault = t.parseTime(string(v.ByteArray()))
			default:
				fault = fmt.Errorf("it is of the type %s; a time is a timestamp, or text of RFC 3339", c.Type())
			}
			if fault != nil {
				return to, fault
			}
			to = append(to, number)
		}
		if err == io.EOF {
			return to, nil
		}
		if err != nil {
			return to, err
		}
	}
}

func parquetTime(unit format.TimeUnit, v int64) time.Time {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return time.UnixMilli(v)
	case *format.MicroSeconds:
		return time.UnixMicro(v)
	}
	return time.Unix(0, v)
}
