package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"imprimatur.dev/drift"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// observed is a row of the tables in these tests; nil is missing.
type observed struct {
	Age     *float64  `parquet:"age,optional"`
	Visits  int64     `parquet:"visits"`
	City    *string   `parquet:"city,optional,dict"`
	Ward    int32     `parquet:"ward"`
	Correct *bool     `parquet:"correct,optional"`
	At      time.Time `parquet:"at,timestamp(millisecond)"`
	Note    string    `parquet:"note"`
}

// rowsOf draws rows of three hours, not in their order.
func rowsOf(seed uint64, n int) []observed {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]observed, n)
	for i := range out {
		r := observed{Visits: rng.Int64N(9), Ward: rng.Int32N(4), At: noon.Add(time.Duration(rng.IntN(3*3600*1000)) * time.Millisecond), Note: "n"}
		if rng.IntN(10) > 0 {
			age := 50 + 10*rng.NormFloat64()
			r.Age = &age
		}
		if rng.IntN(10) > 0 {
			city := []string{"Łódź", "Rome", "a \"b\" \\ c", "elsewhere"}[rng.IntN(4)]
			r.City = &city
		}
		if rng.IntN(3) > 0 {
			right := rng.IntN(5) > 0
			r.Correct = &right
		}
		out[i] = r
	}
	return out
}

func frameOf(t testing.TB) *drift.Frame {
	t.Helper()
	var age, visits []float64
	var city, ward []string
	for _, r := range rowsOf(1, 2000) {
		if r.Age != nil {
			age = append(age, *r.Age)
		}
		if r.City != nil && *r.City != "elsewhere" {
			city = append(city, *r.City)
		}
		visits, ward = append(visits, float64(r.Visits)), append(ward, fmt.Sprint(r.Ward))
	}
	var features []drift.Feature
	for _, f := range []struct {
		name string
		make func(name string) (drift.Feature, error)
	}{
		{"age", func(n string) (drift.Feature, error) { return drift.CaptureNumbers(n, drift.Input, age) }},
		{"visits", func(n string) (drift.Feature, error) { return drift.CaptureNumbers(n, drift.Input, visits) }},
		{"city", func(n string) (drift.Feature, error) { return drift.CaptureCategories(n, drift.Input, city) }},
		{"ward", func(n string) (drift.Feature, error) { return drift.CaptureCategories(n, drift.Prediction, ward) }},
	} {
		x, err := f.make(f.name)
		if err != nil {
			t.Fatal(err)
		}
		features = append(features, x)
	}
	b, err := drift.NewBaseline(features...)
	if err != nil {
		t.Fatal(err)
	}
	f, err := drift.NewFrame(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func asNDJSON(rows []observed) []byte {
	var out bytes.Buffer
	for i, r := range rows {
		var m []string
		if r.Age != nil {
			m = append(m, fmt.Sprintf(`"age":%v`, *r.Age))
		} else if i%2 == 0 {
			m = append(m, `"age": null`)
		}
		if r.City != nil {
			m = append(m, fmt.Sprintf(`"city":%q`, *r.City))
		}
		if r.Correct != nil {
			m = append(m, fmt.Sprintf(`"correct":%v`, *r.Correct))
		}
		m = append(m, fmt.Sprintf(`"visits":%d`, r.Visits), fmt.Sprintf(`"ward":%d`, r.Ward), fmt.Sprintf(`"at":%q`, r.At.Format(time.RFC3339Nano)), `"note":{"a":[1]}`)
		if i%3 == 0 {
			slices.Reverse(m)
		}
		fmt.Fprintf(&out, "{%s}\n", strings.Join(m, ", "))
	}
	return out.Bytes()
}

func asParquet(t testing.TB, rows []observed) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[observed](&out, parquet.MaxRowsPerRowGroup(300), parquet.PageBufferSize(512), parquet.Compression(&parquet.Snappy))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func asArrow(t testing.TB, rows []observed, file bool) []byte {
	t.Helper()
	city := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "age", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "visits", Type: arrow.PrimitiveTypes.Uint16},
		{Name: "city", Type: city, Nullable: true},
		{Name: "ward", Type: arrow.PrimitiveTypes.Int32},
		{Name: "correct", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "at", Type: arrow.FixedWidthTypes.Timestamp_ms},
		{Name: "note", Type: arrow.BinaryTypes.String},
	}, nil)
	var out bytes.Buffer
	var write func(arrow.RecordBatch) error
	var done func() error
	if file {
		w, err := ipc.NewFileWriter(&out, ipc.WithSchema(schema), ipc.WithZstd())
		if err != nil {
			t.Fatal(err)
		}
		write, done = w.Write, w.Close
	} else {
		w := ipc.NewWriter(&out, ipc.WithSchema(schema), ipc.WithDictionaryDeltas(true))
		write, done = w.Write, w.Close
	}
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	for i, r := range rows {
		for k, null := range []bool{r.Age == nil, false, r.City == nil, false, r.Correct == nil, false, false} {
			if null {
				b.Field(k).AppendNull()
				continue
			}
			switch f := b.Field(k).(type) {
			case *array.Float64Builder:
				f.Append(*r.Age)
			case *array.Uint16Builder:
				f.Append(uint16(r.Visits))
			case *array.BinaryDictionaryBuilder:
				if err := f.AppendString(*r.City); err != nil {
					t.Fatal(err)
				}
			case *array.Int32Builder:
				f.Append(r.Ward)
			case *array.BooleanBuilder:
				f.Append(*r.Correct)
			case *array.TimestampBuilder:
				f.Append(arrow.Timestamp(r.At.UnixMilli()))
			case *array.StringBuilder:
				f.Append(r.Note)
			}
		}
		if i%400 == 399 || i == len(rows)-1 {
			if err := write(b.NewRecordBatch()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// said is what came of a file, to compare.
func said(t testing.TB, f *drift.Frame, b Batch, raw []byte) []string {
	t.Helper()
	o, err := Observe(f, b, FileOf("file", raw))
	if err != nil {
		t.Fatal(err)
	}
	out := []string{fmt.Sprintf("%d rows, besides %q", o.Rows, o.Unknown)}
	for _, w := range o.Windows {
		sketch, err := w.Sketch.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s: %d rows, %d of %d, %s", w.From, w.Rows, w.Right, w.Labelled, sketch))
	}
	return out
}

// countedBy is what should come of rows, one by one.
func countedBy(t testing.TB, f *drift.Frame, rows []observed) []string {
	t.Helper()
	windows := map[int64]*ObservedWindow{}
	index := func(name string) int { i, _ := f.Index(name); return i }
	for _, r := range rows {
		hour := r.At.Truncate(time.Hour)
		w := windows[hour.Unix()]
		if w == nil {
			w = &ObservedWindow{From: hour, Sketch: f.NewSketch()}
			windows[hour.Unix()] = w
		}
		w.Rows++
		age, city := math.NaN(), ""
		if r.Age != nil {
			age = *r.Age
		}
		if r.City != nil {
			city = *r.City
		}
		if r.Correct != nil {
			w.Labelled++
			if *r.Correct {
				w.Right++
			}
		}
		w.Sketch.Add(index("age"), age)
		w.Sketch.Add(index("visits"), float64(r.Visits))
		w.Sketch.AddCategory(index("city"), city)
		w.Sketch.AddCategory(index("ward"), fmt.Sprint(r.Ward))
	}
	out := []string{fmt.Sprintf("%d rows, besides %q", len(rows), []string{"note"})}
	for hour := noon; hour.Before(noon.Add(3 * time.Hour)); hour = hour.Add(time.Hour) {
		w := windows[hour.Unix()]
		sketch, err := w.Sketch.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s: %d rows, %d of %d, %s", w.From, w.Rows, w.Right, w.Labelled, sketch))
	}
	return out
}

var threeHours = Batch{From: noon, To: noon.Add(3 * time.Hour), Time: "at", Window: time.Hour}

func TestEveryFormatCountsTheSame(t *testing.T) {
	f := frameOf(t)
	for name, rows := range map[string][]observed{"in any order": rowsOf(2, 2500), "in the order of time": sortedRows(rowsOf(3, 2500))} {
		want := countedBy(t, f, rows)
		for format, raw := range map[string][]byte{
			"ndjson": asNDJSON(rows), "parquet": asParquet(t, rows), "arrow stream": asArrow(t, rows, false), "arrow file": asArrow(t, rows, true),
		} {
			if diff := cmp.Diff(want, said(t, f, threeHours, raw)); diff != "" {
				t.Errorf("%s, %s: %s", format, name, diff)
			}
		}
	}
}

func sortedRows(rows []observed) []observed {
	slices.SortFunc(rows, func(a, b observed) int { return a.At.Compare(b.At) })
	return rows
}

// TestObserveRefusesWhole demands that no file of which something is wrong counts.
func TestObserveRefusesWhole(t *testing.T) {
	f := frameOf(t)
	good := `{"age":1,"at":"2026-05-01T12:30:00Z"}` + "\n"
	for raw, says := range map[string]string{
		"":                              "no row",
		"\n\n":                          "no row",
		"[1]\n":                         "no JSON object",
		good + `{"age":1`:               "line 2",
		good + `{"age":"1"}`:            "feature of numbers",
		good + `{"age":true}`:           "feature of numbers",
		good + `{"city":[1]}`:           "feature of categories",
		good + `{"age":1,"age":2}`:      "duplicate",
		good + `{"a\u0067e":1,"age":2}`: "duplicate",
		good + "{\"city\":\"\xff\"}":    "UTF-8",
		good + `{"age":1}`:              "it has no \"at\"",
		good + `{"age":1,"at":"noon"}`:  "RFC 3339",
		good + `{"age":1,"at":5}`:       "RFC 3339",
		good + `{"age":1,"at":"2026-05-01T15:00:00Z"}`:     "the batch is of",
		good + `{"correct":2,"at":"2026-05-01T12:30:00Z"}`: "true or false",
		good + `{} {}`:                                             "something follows",
		`{"note":1,"at":"2026-05-01T12:30:00Z"}`:                   "none of the baseline's columns",
		`{"correct":1,"at":"2026-05-01T12:30:00Z"}` + "\n" + good:  "send labels that came later",
		good + strings.Repeat("[", 100) + strings.Repeat("]", 100): "line 2",
		"PAR1": "not a sound Parquet file",
		"PAR1" + strings.Repeat("x", 100) + "PAR1": "not a sound",
		"ARROW1\x00\x00rest":                       "not a sound Arrow file",
		"\xff\xff\xff\xff\xff\xff\xff\x7f":         "not a sound",
	} {
		_, err := Observe(f, threeHours, FileOf("file", []byte(raw)))
		var refused *Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %v, want a refusal that says %q", raw, err, says)
		}
	}
	two := Batch{From: noon, To: noon.Add(2 * time.Hour), Window: time.Hour}
	if _, err := Observe(f, two, FileOf("file", []byte(good))); err == nil || !strings.Contains(err.Error(), "cut it where a window begins, such as 2026-05-01T13:00:00Z") {
		t.Errorf("a batch over two windows: %v", err)
	}
}

// TestFilesOfPyArrow reads what pyarrow 25.0.1 wrote: the same 200 rows of ages,
// cities and times as Parquet, with dictionaries, nulls and Zstandard, and as an Arrow stream.
func TestFilesOfPyArrow(t *testing.T) {
	f := frameOf(t)
	var all [][]string
	for _, name := range []string{"pyarrow.parquet", "pyarrow.arrows", "pyarrow.ndjson"} {
		raw, err := os.ReadFile("testdata/observed/" + name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, said(t, f, threeHours, raw))
	}
	if diff := cmp.Diff(all[2], all[0]); diff != "" || len(all[2]) != 4 {
		t.Errorf("Parquet against lines: %s", diff)
	}
	if diff := cmp.Diff(all[2], all[1]); diff != "" {
		t.Errorf("Arrow against lines: %s", diff)
	}
}

// TestDamagedFilesAreRefusedOrCounted changes some bytes of files of columns. Their
// readers believe what a file declares, and this one must not: nothing may take more
// memory or time than a file of its size can have.
func TestDamagedFilesAreRefusedOrCounted(t *testing.T) {
	f, rows := frameOf(t), rowsOf(4, 40)
	rng := rand.New(rand.NewPCG(1, 2))
	refusals := 0
	for _, raw := range [][]byte{asParquet(t, rows), asArrow(t, rows, false), asArrow(t, rows, true)} {
		for range 400 {
			damaged := bytes.Clone(raw)
			for range 1 + rng.IntN(3) {
				damaged[4+rng.IntN(len(raw)-4)] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(rng.Uint32())}[rng.IntN(6)]
			}
			_, err := Observe(f, threeHours, FileOf("file", damaged))
			if refused := (*Refusal)(nil); err != nil && !errors.As(err, &refused) {
				t.Fatalf("%v is no refusal", err)
			}
			if err != nil {
				refusals++
			}
		}
	}
	if refusals < 200 {
		t.Errorf("only %d of 1200 damaged files were refused", refusals)
	}
}

// FuzzObserve demands of what is taken that each feature has as many values as its
// window has rows.
func FuzzObserve(f *testing.F) {
	frame := frameOf(f)
	rows := rowsOf(4, 40)
	f.Add(asNDJSON(rows), true)
	f.Add(asParquet(f, rows), true)
	f.Add(asArrow(f, rows, false), true)
	f.Add(asArrow(f, rows, true), false)
	f.Add([]byte(`{"correct":1}`), false)
	levels, values := []byte{2, 0, 0, 0, 0x10, 1}, []byte{8, 1, 4, 0, 0, 0, 'R', 'o', 'm', 'e'}
	f.Add(handmade{name: "age", kind: format.Double, optional: true, rows: 8, pages: []format.PageHeader{v1(70, 70, 8, format.Plain)}, data: append(levels, make([]byte, 64)...)}.file(f), false)
	f.Add(handmade{name: "city", kind: format.ByteArray, rows: 1, pages: []format.PageHeader{v2(8, 8, 1, 0, 0, format.Plain)}, data: values[2:]}.file(f), false)
	f.Add(handmade{name: "visits", kind: format.Int64, rows: 9, pages: []format.PageHeader{v1(9, 9, 9, format.DeltaBinaryPacked)}, data: []byte{0x80, 1, 4, 9, 2, 2, 0, 0, 0}}.file(f), false)
	f.Fuzz(func(t *testing.T, raw []byte, timed bool) {
		b := Batch{From: noon, To: noon.Add(time.Hour), Window: time.Hour}
		if timed {
			b = threeHours
		}
		o, err := Observe(frame, b, FileOf("file", raw))
		if err != nil {
			if refused := (*Refusal)(nil); !errors.As(err, &refused) {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		for _, w := range o.Windows {
			for i := range frame.Baseline().Features {
				c := w.Sketch.Tally(i)
				sum := c.Missing + c.Below + c.Above + c.Unseen
				for _, n := range append(c.Bins, c.Categories...) {
					sum += n
				}
				if sum != w.Rows {
					t.Fatalf("%s has %d values in %d rows", c.Name, sum, w.Rows)
				}
			}
		}
	})
}

// FuzzObserveLine demands that a line which the scanner reads is read by jsontext
// as well, and means the same.
func FuzzObserveLine(f *testing.F) {
	frame := frameOf(f)
	for _, line := range bytes.Split(asNDJSON(rowsOf(5, 6)), []byte("\n")) {
		f.Add(line)
	}
	f.Add([]byte(`{"age":-1.25e-7,"visits":123456789012345678901234567890,"city":true}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\n") {
			return
		}
		line = append(line, '\n')
		read := func(how func(r *rows) bool) (string, bool) {
			o := &observer{frame: frame, batch: threeHours, windows: map[int64]*ObservedWindow{}}
			r := &rows{observer: o, byName: map[string]int{}, right: make([]float64, rowsAtOnce), line: 1}
			r.s.text = line
			if !how(r) {
				return "", false
			}
			var out []string
			for _, c := range r.columns {
				v := fmt.Sprint(c.name, c.place)
				if c.values != nil {
					v += fmt.Sprint(c.values[0])
				}
				if c.slots != nil {
					v += fmt.Sprint(c.slots[0])
				}
				out = append(out, v)
			}
			return fmt.Sprint(out, r.times, r.right[0]), true
		}
		fast, ok := read(func(r *rows) bool { r.restart(); return r.fast(r.s.space(0)) })
		slow, sound := read(func(r *rows) bool { r.restart(); return r.slow(line) == nil })
		if ok && (!sound || fast != slow) {
			t.Fatalf("%q is %s to the scanner and %s (%v) to jsontext", line, fast, slow, sound)
		}
	})
}
