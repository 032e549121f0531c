package evidence

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// maxArrow is how much memory the blocks of an Arrow file may take at once.
const maxArrow = 512 << 20

// frugal is Arrow's allocator with an end: what a file declares is no reason to
// take that much.
type frugal struct {
	memory.Allocator
	left int
}

// Allocate implements memory.Allocator.
func (f *frugal) Allocate(size int) []byte {
	f.take(size)
	return f.Allocator.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (f *frugal) Reallocate(size int, b []byte) []byte {
	f.take(size - len(b))
	return f.Allocator.Reallocate(size, b)
}

// Free implements memory.Allocator.
func (f *frugal) Free(b []byte) {
	f.left += len(b)
	f.Allocator.Free(b)
}

func (f *frugal) take(n int) {
	if f.left -= n; f.left < 0 {
		panic(fmt.Sprintf("its blocks take more than %d bytes of memory; write it in smaller ones", maxArrow))
	}
}

// arrow counts an Arrow IPC stream. A file is a stream between a mark and an index,
// which is not needed.
func (o *observer) arrow(file File) error {
	unsound := func(err error) error { return o.refuse("", "it is not a sound Arrow file: %v", err) }
	start := make([]byte, 6)
	if _, err := file.ReadAt(start, 0); err != nil && err != io.EOF {
		return fmt.Errorf("reading %s: %w", file.Name, err)
	}
	at := int64(0)
	if string(start) == "ARROW1" {
		at = 8
	}
	if err := soundArrow(file, at, file.Size); err != nil {
		return unsound(err)
	}
	stream, err := ipc.NewReader(io.NewSectionReader(file, at, file.Size-at), ipc.WithAllocator(&frugal{memory.NewGoAllocator(), maxArrow}))
	if err != nil {
		return unsound(err)
	}
	defer stream.Release()
	for stream.Next() {
		if err := o.records(stream.RecordBatch()); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil {
		return unsound(err)
	}
	return nil
}

// records counts a block of records.
func (o *observer) records(block arrow.RecordBatch) error {
	n := int(block.NumRows())
	means := make([]meaning, block.NumCols())
	var times []int64
	for i, field := range block.Schema().Fields() {
		for _, other := range block.Schema().Fields()[:i] {
			if other.Name == field.Name {
				return o.refuse("", "it has two columns %q", field.Name)
			}
		}
		if have := block.Column(i).Len(); have != n {
			return o.refuse("column "+strconv.Quote(field.Name), "it has %d of the %d rows of its block", have, n)
		}
		means[i] = o.meaningOf(field.Name)
		if means[i] == isTime {
			var err error
			if times, err = o.arrowTimes(block.Column(i)); err != nil {
				return o.refuse("column "+strconv.Quote(field.Name), "%v", err)
			}
		}
	}
	if err := o.fits(means); err != nil {
		return err
	}
	o.begin(n, times, observes(means))
	for i, m := range means {
		if err := o.arrowColumn(m, block.Column(i)); err != nil {
			return o.refuse("column "+strconv.Quote(block.ColumnName(i)), "%v", err)
		}
	}
	o.end()
	return nil
}

func (o *observer) arrowColumn(m meaning, column arrow.Array) error {
	switch {
	case m == isUnknown || m == isTime:
		return nil
	case m == isOutcome:
		values, err := arrowOutcomes(column)
		if err != nil {
			return err
		}
		return o.outcomes(0, values)
	case o.categorical(m):
		slots, err := o.arrowSlots(int(m), column)
		if err != nil {
			return err
		}
		o.slots(int(m), 0, slots)
		return nil
	}
	values, err := arrowNumbers(column)
	if err != nil {
		return err
	}
	o.numbers(int(m), 0, values)
	return nil
}

// arrowTimes returns the numbers of the windows of a column of times.
func (o *observer) arrowTimes(column arrow.Array) ([]int64, error) {
	times := make([]int64, column.Len())
	for i := range times {
		if column.IsNull(i) {
			return nil, fmt.Errorf("row %d has no time", i+1)
		}
		var err error
		switch c := column.(type) {
		case *array.Timestamp:
			times[i], err = o.within(c.Value(i).ToTime(c.DataType().(*arrow.TimestampType).Unit))
		case texts:
			times[i], err = o.parseTime(c.Value(i))
		default:
			err = fmt.Errorf("it is of the type %s; a time is a timestamp, or text of RFC 3339", column.DataType())
		}
		if err != nil {
			return nil, err
		}
	}
	return times, nil
}

// texts are arrays of text of any layout.
type texts interface {
	arrow.Array
	Value(int) string
}

func arrowOutcomes(column arrow.Array) ([]float64, error) {
	truths, ok := column.(*array.Boolean)
	if !ok {
		return arrowNumbers(column)
	}
	values := make([]float64, truths.Len())
	for i := range values {
		switch {
		case truths.IsNull(i):
			values[i] = math.NaN()
		case truths.Value(i):
			values[i] = 1
		}
	}
	return values, nil
}

// arrowNumbers returns the values of a column of numbers; NaN is null.
func arrowNumbers(column arrow.Array) ([]float64, error) {
	var values []float64
	switch c := column.(type) {
	case *array.Float64:
		if c.NullN() == 0 {
			return c.Float64Values(), nil
		}
		values = append(values, c.Float64Values()...)
	case *array.Float32:
		values = widen(c.Float32Values())
	case *array.Int64:
		values = widen(c.Int64Values())
	case *array.Int32:
		values = widen(c.Int32Values())
	case *array.Int16:
		values = widen(c.Int16Values())
	case *array.Int8:
		values = widen(c.Int8Values())
	case *array.Uint64:
		values = widen(c.Uint64Values())
	case *array.Uint32:
		values = widen(c.Uint32Values())
	case *array.Uint16:
		values = widen(c.Uint16Values())
	case *array.Uint8:
		values = widen(c.Uint8Values())
	case *array.Null:
		values = make([]float64, c.Len())
	default:
		return nil, fmt.Errorf("it is of the type %s, and the baseline has numbers", column.DataType())
	}
	if column.NullN() > 0 {
		for i := range values {
			if column.IsNull(i) {
				values[i] = math.NaN()
			}
		}
	}
	return values, nil
}

type number interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

func widen[T number](values []T) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// arrowSlots returns the slots of a column of categories.
func (o *observer) arrowSlots(feature int, column arrow.Array) ([]uint16, error) {
	if column.Len() > maxArrowRows {
		return nil, fmt.Errorf("it has a dictionary of %d entries, more than %d", column.Len(), maxArrowRows)
	}
	slots := make([]uint16, column.Len())
	if d, ok := column.(*array.Dictionary); ok {
		known, err := o.arrowSlots(feature, d.Dictionary())
		if err != nil {
			return nil, err
		}
		for i := range slots {
			if !d.IsNull(i) {
				slots[i] = known[d.GetValueIndex(i)]
			}
		}
		return slots, nil
	}
	var text func(to []byte, i int) []byte
	switch c := column.(type) {
	case texts:
		text = func(to []byte, i int) []byte { return append(to, c.Value(i)...) }
	case *array.Boolean:
		text = func(to []byte, i int) []byte { return strconv.AppendBool(to, c.Value(i)) }
	case *array.Null:
		return slots, nil
	default:
		whole, err := arrowWhole(column)
		if err != nil {
			return nil, err
		}
		text = whole
	}
	var scratch []byte
	for i := range slots {
		if !column.IsNull(i) {
			scratch = text(scratch[:0], i)
			slots[i] = o.frame.Slot(feature, scratch)
		}
	}
	return slots, nil
}

// arrowWhole writes whole numbers as text.
func arrowWhole(column arrow.Array) (func(to []byte, i int) []byte, error) {
	signed := func(at func(int) int64) func([]byte, int) []byte {
		return func(to []byte, i int) []byte { return strconv.AppendInt(to, at(i), 10) }
	}
	switch c := column.(type) {
	case *array.Int64:
		return signed(c.Value), nil
	case *array.Int32:
		return signed(func(i int) int64 { return int64(c.Value(i)) }), nil
	case *array.Int16:
		return signed(func(i int) int64 { return int64(c.Value(i)) }), nil
	case *array.Int8:
		return signed(func(i int) int64 { return int64(c.Value(i)) }), nil
	case *array.Uint64:
		return func(to []byte, i int) []byte { return strconv.AppendUint(to, c.Value(i), 10) }, nil
	case *array.Uint32:
		return signed(func(i int) int64 { return int64(c.Value(i)) }), nil
	case *array.Uint16:
		return signed(func(i int) int64 { return int64(c.Value(i)) }), nil
	case *array.Uint8:
		return signed(func(i int) int64 { return int64(c.Value(i)) }), nil
	}
	return nil, fmt.Errorf("it is of the type %s, and the baseline has categories: text, whole numbers or truth values", column.DataType())
}
