package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"imprimatur.dev/drift"
)

// OutcomeColumn is the column that says whether a prediction was right: true or
// false, 1 or 0. It is a feature instead where the baseline has one of that name.
const OutcomeColumn = "correct"

// A Batch is what is said of a file of observations.
type Batch struct {
	// From and To are the span in which they were made, [From, To).
	From, To time.Time
	// Time is the column with the time of each row. Without one all rows are of the
	// window in which the span lies.
	Time string
	// Window is the length of a window, whole milliseconds; windows begin at whole
	// multiples of it since 1970, in UTC.
	Window time.Duration
}

// Observed is what a file of observations came to: counts, and no value of any
// row.
type Observed struct {
	// Format is what the file was recognised as.
	Format string
	Rows   int64
	// Windows are those of which there are rows, in order of time.
	Windows []ObservedWindow
	// Unknown are columns that are none of the baseline's, the first hundred.
	Unknown []string
}

// ObservedWindow is one window of a batch. Of a file without any of the baseline's
// columns, which brings labels that came later, the sketch is empty and Rows is 0.
type ObservedWindow struct {
	From   time.Time
	Rows   int64
	Sketch *drift.Sketch
	// Labelled are the rows with an outcome, and Right those of them that were right.
	Labelled, Right int64
}

// The formats of observations.
const (
	ObservedNDJSON  = "ndjson"
	ObservedArrow   = "arrow"
	ObservedParquet = "parquet"
)

const maxUnknown = 100

// MaxObservations is the largest file of observations, in bytes.
const MaxObservations = 1 << 30

// Observe counts a file of observations in the frame of a baseline. It is
// recognised by its bytes: Apache Parquet, Apache Arrow (the file or the streaming
// form of its IPC format), or else one JSON object a line. Columns are found by their
// names. Of a numeric feature a number is a value, of a categorical one text, a truth
// value or a whole number, as it is written; null, or a column that is not there, is
// missing; anything else is refused, and a file is counted whole or not at all.
//
// Memory is bounded whatever the number of rows, but for what a block of an Arrow
// or Parquet file takes in memory. The error is a *Refusal, apart from errors of
// reading bytes.
func Observe(f *drift.Frame, b Batch, file File) (out *Observed, err error) {
	o := &observer{frame: f, batch: b, file: file.Name, windows: map[int64]*ObservedWindow{}}
	if err := o.span(); err != nil {
		return nil, err
	}
	defer func() {
		// The readers of columns are written for files of their own writers.
		if fault := recover(); fault != nil {
			out, err = nil, o.refuse("", "it is not a sound %s file: %v", o.out.Format, fault)
		}
	}()
	if file.Size > MaxObservations {
		return nil, o.refuse("", "it has %d bytes, more than %d; send it in parts", file.Size, int64(MaxObservations))
	}
	start := make([]byte, 8)
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading %s: %w", file.Name, err)
	}
	switch start = start[:n]; {
	case bytes.HasPrefix(start, []byte("PAR1")):
		o.out.Format = ObservedParquet
		err = o.parquet(file)
	case bytes.HasPrefix(start, []byte("ARROW1")), bytes.HasPrefix(start, []byte{0xff, 0xff, 0xff, 0xff}):
		o.out.Format = ObservedArrow
		err = o.arrow(file)
	default:
		o.out.Format = ObservedNDJSON
		err = o.ndjson(file)
	}
	if err != nil {
		return nil, err
	}
	return o.done()
}

// An observer counts what a reader of one format gives it: block after block of
// rows, and of each block column after column, or parts of columns.
type observer struct {
	frame   *drift.Frame
	batch   Batch
	file    string
	out     Observed
	windows map[int64]*ObservedWindow
	// first and last are the numbers of the windows in which the batch's span begins
	// and ends.
	first, last int64

	// rows are those of the block, and runs which of them are of one window.
	rows int
	runs []run
	// had are the features of which the block had a column, and observations says
	// whether it had any at all.
	had          []bool
	observations bool
}

// A run is rows [from, to) of a block, which are of one window.
type run struct {
	from, to int
	of       *ObservedWindow
}

func (o *observer) refuse(at, format string, args ...any) error {
	return &Refusal{File: o.file, At: at, Why: fmt.Sprintf(format, args...)}
}

// span checks what is said of the batch.
func (o *observer) span() error {
	b := o.batch
	if !b.From.Before(b.To) {
		return o.refuse("", "its span ends, at %s, before it begins; give --from and --to", b.To.Format(time.RFC3339))
	}
	o.first, o.last = o.number(b.From), o.number(b.To.Add(-time.Millisecond))
	if b.Time == "" && o.first != o.last {
		return o.refuse("", "its span goes over %d windows of %s; cut it where a window begins, such as %s, or name the column with each row's time",
			o.last-o.first+1, b.Window, o.begins(o.first+1).Format(time.RFC3339))
	}
	return nil
}

// number is that of the window in which a time lies.
func (o *observer) number(t time.Time) int64 {
	ms, length := t.UnixMilli(), o.batch.Window.Milliseconds()
	n := ms / length
	if ms%length < 0 {
		n--
	}
	return n
}

func (o *observer) begins(number int64) time.Time {
	return time.UnixMilli(number * o.batch.Window.Milliseconds()).UTC()
}

// window returns what is counted of a window.
func (o *observer) window(number int64) *ObservedWindow {
	w := o.windows[number]
	if w == nil {
		w = &ObservedWindow{From: o.begins(number), Sketch: o.frame.NewSketch()}
		o.windows[number] = w
	}
	return w
}

// within returns the number of the window of a row's time, which must lie in the
// batch's span.
func (o *observer) within(t time.Time) (int64, error) {
	if t.Before(o.batch.From) || !t.Before(o.batch.To) {
		return 0, fmt.Errorf("the row is of %s, and the batch is of %s to %s", t.UTC().Format(time.RFC3339Nano), o.batch.From.Format(time.RFC3339), o.batch.To.Format(time.RFC3339))
	}
	return o.number(t), nil
}

// begin begins a block of rows, whose windows have these numbers; nil is all of
// the batch's one. Observations says that the file has columns of the baseline.
func (o *observer) begin(rows int, numbers []int64, observations bool) {
	o.rows, o.runs = rows, o.runs[:0]
	if o.had == nil {
		o.had = make([]bool, len(o.frame.Baseline().Features))
	}
	clear(o.had)
	o.observations = observations
	o.out.Rows += int64(rows)
	if numbers == nil && rows > 0 {
		o.runs = append(o.runs, run{0, rows, o.window(o.first)})
	}
	for i := 0; i < len(numbers); {
		k := i + 1
		for k < len(numbers) && numbers[k] == numbers[i] {
			k++
		}
		o.runs = append(o.runs, run{i, k, o.window(numbers[i])})
		i = k
	}
	if observations {
		for _, r := range o.runs {
			r.of.Rows += int64(r.to - r.from)
		}
	}
}

// end counts as missing the features of which the block had no column.
func (o *observer) end() {
	for feature, had := range o.had {
		if had || !o.observations {
			continue
		}
		for _, r := range o.runs {
			r.of.Sketch.AddMissing(feature, int64(r.to-r.from))
		}
	}
}

// each calls count for the parts of a column's n values, from row at of the block
// on, that are of one window.
func (o *observer) each(at, n int, count func(w *ObservedWindow, from, to int)) {
	i, _ := slices.BinarySearchFunc(o.runs, at, func(r run, at int) int {
		if r.to <= at {
			return -1
		}
		return 1
	})
	for ; i < len(o.runs) && o.runs[i].from < at+n; i++ {
		r := o.runs[i]
		count(r.of, max(r.from, at)-at, min(r.to, at+n)-at)
	}
}

// few is up to how many values are counted one by one: a batch of them costs more
// to begin.
const few = 32

// numbers counts values of a numeric feature; NaN is missing.
func (o *observer) numbers(feature, at int, values []float64) {
	o.had[feature] = true
	o.each(at, len(values), func(w *ObservedWindow, from, to int) {
		if to-from > few {
			w.Sketch.AddBatch(feature, values[from:to])
			return
		}
		for _, v := range values[from:to] {
			w.Sketch.Add(feature, v)
		}
	})
}

// slots counts values of a categorical feature by their slots, 0 of which is
// missing.
func (o *observer) slots(feature, at int, slots []uint16) {
	o.had[feature] = true
	o.each(at, len(slots), func(w *ObservedWindow, from, to int) { w.Sketch.AddSlots(feature, slots[from:to]) })
}

// outcomes counts outcomes: 1, 0, or NaN of a row that has none.
func (o *observer) outcomes(at int, values []float64) error {
	var wrong error
	o.each(at, len(values), func(w *ObservedWindow, from, to int) {
		for _, v := range values[from:to] {
			switch {
			case v == 1:
				w.Labelled++
				w.Right++
			case v == 0:
				w.Labelled++
			case !math.IsNaN(v):
				wrong = o.refuse("", "the column %s has the value %v; an outcome is 1 or true, or 0 or false", OutcomeColumn, v)
			}
		}
	})
	return wrong
}

// meaning is what a column of a file is.
type meaning int

const (
	isUnknown meaning = -1 - iota
	isTime
	isOutcome
)

// meaningOf returns the feature that a column is, or what else it is.
func (o *observer) meaningOf(name string) meaning {
	if i, ok := o.frame.Index(name); ok && name != o.batch.Time {
		return meaning(i)
	}
	switch name {
	case o.batch.Time:
		return isTime
	case OutcomeColumn:
		return isOutcome
	}
	if len(o.out.Unknown) < maxUnknown && !slices.Contains(o.out.Unknown, name) {
		o.out.Unknown = append(o.out.Unknown, name)
	}
	return isUnknown
}

func (o *observer) categorical(p meaning) bool {
	return o.frame.Baseline().Features[p].Kind == drift.Categorical
}

// fits says what is wrong with the columns of a file, of which these are known.
func (o *observer) fits(places []meaning) error {
	if o.batch.Time != "" && !slices.Contains(places, isTime) {
		return o.refuse("", "it has no column %q, which is to have each row's time", o.batch.Time)
	}
	if !observes(places) && !slices.Contains(places, isOutcome) {
		return o.refuse("", "it has none of the baseline's columns, such as %q, and no column %q", o.frame.Baseline().Features[0].Name, OutcomeColumn)
	}
	return nil
}

// observes reports whether one of the columns is a feature.
func observes(places []meaning) bool {
	return slices.ContainsFunc(places, func(p meaning) bool { return p >= 0 })
}

func (o *observer) done() (*Observed, error) {
	if o.out.Rows == 0 {
		return nil, o.refuse("", "it has no row")
	}
	for _, number := range slices.Sorted(maps.Keys(o.windows)) {
		o.out.Windows = append(o.out.Windows, *o.windows[number])
	}
	slices.Sort(o.out.Unknown)
	return &o.out, nil
}

var errTime = errors.New("a time is text of RFC 3339, such as 2026-05-01T12:00:00Z")

func (o *observer) parseTime(text string) (int64, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("%w, not %s", errTime, strconv.Quote(clip(text)))
	}
	return o.within(t)
}
