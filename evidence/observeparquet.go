package evidence

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// maxTimes is how many rows a row group may have of which each has a time of its
// own: the windows of all of them are in memory at once.
const maxTimes = 1 << 24

// parquetTable reads the row groups of a Parquet file.
type parquetTable struct {
	*observer
	in      io.ReaderAt
	size    int64
	columns []*parquet.Column
	means   []meaning
	unpacker
	// cells are how many rows of columns may still be counted.
	cells int64

	numbers64 []float64
	slots16   []uint16
	levels    []uint32
	indices   []uint32
	words     []uint64
}

func (o *observer) parquet(file File) error {
	unsound := func(err error) error { return o.refuse("", "it is not a sound Parquet file: %v", err) }
	if err := soundParquet(file, file.Size); err != nil {
		return unsound(err)
	}
	f, err := parquet.OpenFile(file, file.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return unsound(err)
	}
	t := &parquetTable{
		observer: o, in: file, size: file.Size, unpacker: unpacker{read: file.Size, left: maxParquetAll}, cells: maxParquetCells,
		numbers64: make([]float64, blockRows), slots16: make([]uint16, blockRows), levels: make([]uint32, blockRows), indices: make([]uint32, blockRows), words: make([]uint64, blockRows),
	}
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
	for i := range f.Metadata().RowGroups {
		if err := t.group(&f.Metadata().RowGroups[i]); err != nil {
			return err
		}
	}
	return nil
}

// group counts a row group, column after column.
func (t *parquetTable) group(group *format.RowGroup) error {
	rows := group.NumRows
	if rows < 0 || rows > math.MaxInt32 {
		return t.refuse("", "it has a row group of %d rows", rows)
	}
	var times []int64
	for i, m := range t.means {
		if m == isUnknown {
			continue
		}
		if t.cells -= rows; t.cells < 0 {
			return t.refuse("", "it has more than %d values of the baseline's columns; send it in parts", int64(maxParquetCells))
		}
		if m != isTime {
			continue
		}
		if rows > maxTimes {
			return t.refuse("", "it has a row group of %d rows with times, more than %d; write smaller ones", rows, maxTimes)
		}
		var err error
		if times, err = t.timesOf(i, group); err != nil {
			return err
		}
	}
	t.begin(int(rows), times, observes(t.means))
	for i, m := range t.means {
		if m == isUnknown || m == isTime {
			continue
		}
		if err := t.column(i, m, group); err != nil {
			return err
		}
	}
	t.end()
	return nil
}

func (t *parquetTable) column(i int, m meaning, group *format.RowGroup) error {
	c := t.columns[i]
	switch {
	case m == isOutcome:
		read := parquetColumn[float64]{numbersOf(c, true), t.numbers64, math.NaN()}
		return readParquet(t, i, group, read, t.outcomes)
	case t.categorical(m):
		read := parquetColumn[uint16]{t.slotsOf(m, c), t.slots16, 0}
		return readParquet(t, i, group, read, func(at int, slots []uint16) error { t.slots(int(m), at, slots); return nil })
	}
	read := parquetColumn[float64]{numbersOf(c, false), t.numbers64, math.NaN()}
	return readParquet(t, i, group, read, func(at int, values []float64) error { t.numbers(int(m), at, values); return nil })
}

// A reader reads the next values of a page.
type reader[T any] func(to []T) error

// parquetColumn is how a column is read: its values from pages of an encoding, in
// blocks, and what stands for the missing ones.
type parquetColumn[T any] struct {
	open    func(t *parquetTable, data []byte, encoding format.Encoding) (reader[T], error)
	block   []T
	missing T
}

// readParquet calls each with blocks of a column's values and the row at which each
// begins, and holds their rows to those of the group.
func readParquet[T any](t *parquetTable, i int, group *format.RowGroup, c parquetColumn[T], each func(at int, values []T) error) error {
	name := "column " + strconv.Quote(t.columns[i].Name())
	pages, err := t.chunk(t.columns[i], group)
	if err != nil {
		return t.refuse(name, "%v", err)
	}
	var known []T
	keep := func(n int, data []byte) error {
		read, err := c.open(t, data, format.Plain)
		if err != nil {
			return err
		}
		if n < 0 || n > len(data)/4 { // each takes four bytes at least
			return errFewer
		}
		known = make([]T, n)
		return read(known)
	}
	at := 0
	for {
		p, err := pages.next(keep)
		if err == io.EOF {
			break
		}
		if err == nil && (p.rows < 0 || int64(p.rows) > group.NumRows-int64(at)) {
			err = fmt.Errorf("it has more than the %d rows of its row group", group.NumRows)
		}
		if err == nil {
			err = readPage(t, p, c, known, func(from int, values []T) error { return each(at+from, values) })
		}
		if err != nil {
			return t.refuse(name, "%v", err)
		}
		at += p.rows
	}
	if int64(at) != group.NumRows {
		return t.refuse(name, "it has %d of the %d rows of its row group", at, group.NumRows)
	}
	return nil
}

// readPage calls each with blocks of a page's values.
func readPage[T any](t *parquetTable, p *parquetPage, c parquetColumn[T], known []T, each func(from int, values []T) error) error {
	var read reader[T]
	for from := 0; from < p.rows; from += blockRows {
		block, levels := c.block[:min(blockRows, p.rows-from)], t.levels[:min(blockRows, p.rows-from)]
		n, all, err := p.present(levels)
		if err != nil {
			return err
		}
		if n > 0 && read == nil {
			// A page without any value need not have what begins its values.
			if read, err = openPage(t, p, c, known); err != nil {
				return err
			}
		}
		if n > 0 {
			if err := read(block[:n]); err != nil {
				return err
			}
		}
		if !all {
			spread(block, levels, n, c.missing)
		}
		if err := each(from, block); err != nil {
			return err
		}
	}
	return nil
}

// firstDictionary is what the first version of the format called indices of a
// dictionary (PLAIN_DICTIONARY), as most writers do to this day.
const firstDictionary format.Encoding = 2

func openPage[T any](t *parquetTable, p *parquetPage, c parquetColumn[T], known []T) (reader[T], error) {
	if p.encoding != format.RLEDictionary && p.encoding != firstDictionary {
		return c.open(t, p.data, p.encoding)
	}
	if len(p.data) == 0 || p.data[0] > 32 {
		return nil, errFewer
	}
	h := &hybrid{data: p.data[1:], width: uint(p.data[0])}
	return func(to []T) error {
		block := t.indices[:len(to)]
		if err := h.next(block); err != nil {
			return err
		}
		for i, k := range block {
			if int(k) >= len(known) {
				return fmt.Errorf("it names the entry %d of a dictionary of %d", k, len(known))
			}
			to[i] = known[k]
		}
		return nil
	}, nil
}

// chunk finds the pages of a column in a row group.
func (t *parquetTable) chunk(c *parquet.Column, group *format.RowGroup) (*parquetPages, error) {
	leaf := int(c.Index())
	if leaf < 0 || leaf >= len(group.Columns) {
		return nil, fmt.Errorf("a row group lacks it")
	}
	of := &group.Columns[leaf]
	if of.FilePath != "" || of.CryptoMetadata.Value != nil || len(of.EncryptedColumnMetadata) > 0 {
		return nil, fmt.Errorf("it lies in another file, or is encrypted; write it into one file in the clear")
	}
	m := &of.MetaData
	at := m.DataPageOffset
	if d := m.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	if at < 4 || m.TotalCompressedSize < 0 || m.TotalCompressedSize > t.size-at {
		return nil, errParquet
	}
	return &parquetPages{in: t.in, at: at, end: at + m.TotalCompressedSize, codec: m.Codec, optional: c.MaxDefinitionLevel() == 1, unpacker: &t.unpacker}, nil
}

// kindOf is how a column's values are written.
func kindOf(c *parquet.Column) format.Type { return format.Type(c.Type().Kind()) }

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

// numbersOf reads numbers, and truth values as 1 and 0 where these may be.
func numbersOf(c *parquet.Column, truths bool) func(*parquetTable, []byte, format.Encoding) (reader[float64], error) {
	wrong := fmt.Errorf("it is of the type %s, and the baseline has numbers", c.Type())
	kind := kindOf(c)
	switch logical(c).(type) {
	case nil, *format.IntType:
	default:
		kind = -1
	}
	var number func(uint64) float64
	switch {
	case kind == format.Double:
		number = math.Float64frombits
	case kind == format.Float:
		number = func(v uint64) float64 { return float64(math.Float32frombits(uint32(v))) }
	case kind == format.Int32 && !unsigned(c):
		number = func(v uint64) float64 { return float64(int32(v)) }
	case kind == format.Int32:
		number = func(v uint64) float64 { return float64(uint32(v)) }
	case kind == format.Int64 && !unsigned(c):
		number = func(v uint64) float64 { return float64(int64(v)) }
	case kind == format.Int64, kind == format.Boolean && truths:
		number = func(v uint64) float64 { return float64(v) }
	}
	return func(t *parquetTable, data []byte, encoding format.Encoding) (reader[float64], error) {
		switch {
		case number == nil:
			return nil, wrong
		case kind == format.Double && encoding == format.Plain: // most of all there is
			return func(to []float64) error {
				if len(data) < 8*len(to) {
					return errFewer
				}
				for i := range to {
					to[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
				}
				data = data[8*len(to):]
				return nil
			}, nil
		}
		return eachWord(t, data, encoding, kind, number)
	}
}

// eachWord reads values that are written as numbers, and makes of each what it is.
func eachWord[T any](t *parquetTable, data []byte, encoding format.Encoding, kind format.Type, of func(uint64) T) (reader[T], error) {
	read, err := wordsOf(data, encoding, kind)
	return func(to []T) error {
		for len(to) > 0 {
			block := t.words[:min(len(to), blockRows)]
			if err := read(block); err != nil {
				return err
			}
			for i, v := range block {
				to[i] = of(v)
			}
			to = to[len(block):]
		}
		return nil
	}, err
}

// slotsOf reads categories as their slots.
func (t *parquetTable) slotsOf(m meaning, c *parquet.Column) func(*parquetTable, []byte, format.Encoding) (reader[uint16], error) {
	wrong := fmt.Errorf("it is of the type %s, and the baseline has categories: text, whole numbers or truth values", c.Type())
	kind := kindOf(c)
	switch logical(c).(type) {
	case nil, *format.IntType, *format.StringType, *format.EnumType:
	default:
		kind = -1
	}
	var scratch []byte
	var write func(v uint64) []byte
	switch {
	case kind == format.Boolean:
		write = func(v uint64) []byte { return strconv.AppendBool(scratch[:0], v == 1) }
	case kind == format.Int32 && unsigned(c):
		write = func(v uint64) []byte { return strconv.AppendUint(scratch[:0], uint64(uint32(v)), 10) }
	case kind == format.Int32:
		write = func(v uint64) []byte { return strconv.AppendInt(scratch[:0], int64(int32(v)), 10) }
	case kind == format.Int64 && unsigned(c):
		write = func(v uint64) []byte { return strconv.AppendUint(scratch[:0], v, 10) }
	case kind == format.Int64:
		write = func(v uint64) []byte { return strconv.AppendInt(scratch[:0], int64(v), 10) }
	}
	return func(t *parquetTable, data []byte, encoding format.Encoding) (reader[uint16], error) {
		switch {
		case kind == format.ByteArray:
			return eachText(data, encoding, func(text []byte) (uint16, error) { return t.frame.Slot(int(m), text), nil })
		case write == nil:
			return nil, wrong
		}
		return eachWord(t, data, encoding, kind, func(v uint64) uint16 {
			scratch = write(v)
			return t.frame.Slot(int(m), scratch)
		})
	}
}

// eachText reads text, and makes of each what it is.
func eachText[T any](data []byte, encoding format.Encoding, of func(text []byte) (T, error)) (reader[T], error) {
	read, err := textsOf(data, encoding)
	return func(to []T) error {
		return read(len(to), func(i int, text []byte) (err error) { to[i], err = of(text); return err })
	}, err
}

// timesOf returns the numbers of the windows of a column of times.
func (t *parquetTable) timesOf(i int, group *format.RowGroup) (times []int64, err error) {
	c := t.columns[i]
	stamp, stamped := logical(c).(*format.TimestampType)
	open := func(t *parquetTable, data []byte, encoding format.Encoding) (reader[int64], error) {
		switch kind := kindOf(c); {
		case stamped && kind == format.Int64:
			return eachWord(t, data, encoding, kind, func(v uint64) int64 { return int64(v) })
		case kind == format.ByteArray:
			return eachText(data, encoding, func(text []byte) (int64, error) { return t.parseTime(string(text)) })
		}
		return nil, fmt.Errorf("it is of the type %s; a time is a timestamp, or text of RFC 3339", c.Type())
	}
	const none = math.MinInt64
	read := parquetColumn[int64]{open, make([]int64, blockRows), none}
	err = readParquet(t, i, group, read, func(_ int, values []int64) (err error) {
		for _, v := range values {
			switch {
			case v == none:
				return fmt.Errorf("a row has no time")
			case stamped:
				if v, err = t.within(parquetTime(stamp.Unit, v)); err != nil {
					return err
				}
			}
			times = append(times, v)
		}
		return nil
	})
	return times, err
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
