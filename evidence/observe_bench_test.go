package evidence

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"imprimatur.dev/drift"
)

// BenchmarkObserve counts ten columns of 200,000 numbers on one core, as lines,
// as Arrow and as Parquet packed by Snappy; values/s are decoded values that are counted.
func BenchmarkObserve(b *testing.B) {
	const columns, n = 10, 200_000
	rng := rand.New(rand.NewPCG(1, 1))
	var features []drift.Feature
	fields := make([]arrow.Field, columns)
	values := make([][]float64, columns)
	for i := range columns {
		name := "feature_" + strconv.Itoa(i)
		for range n {
			values[i] = append(values[i], float64(int(rng.NormFloat64()*1e6))/1e6)
		}
		f, err := drift.CaptureNumbers(name, drift.Input, values[i][:5000])
		if err != nil {
			b.Fatal(err)
		}
		features = append(features, f)
		fields[i] = arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float64}
	}
	baseline, err := drift.NewBaseline(features...)
	if err != nil {
		b.Fatal(err)
	}
	frame, err := drift.NewFrame(baseline)
	if err != nil {
		b.Fatal(err)
	}
	var text, stream bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(arrow.NewSchema(fields, nil)))
	r := array.NewRecordBuilder(memory.NewGoAllocator(), arrow.NewSchema(fields, nil))
	for row := range n {
		for i := range columns {
			fmt.Fprintf(&text, `%c"%s":%v`, "{,"[min(i, 1)], fields[i].Name, values[i][row])
			r.Field(i).(*array.Float64Builder).Append(values[i][row])
		}
		text.WriteString("}\n")
		if row%65536 == 65535 || row == n-1 {
			if err := w.Write(r.NewRecordBatch()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	numbers := parquet.Group{}
	for _, f := range fields {
		numbers[f.Name] = parquet.Leaf(parquet.DoubleType)
	}
	var table bytes.Buffer
	p := parquet.NewWriter(&table, parquet.NewSchema("rows", numbers), parquet.Compression(&parquet.Snappy), parquet.PageBufferSize(1<<20))
	for row := range n {
		cells := make(parquet.Row, columns)
		for i := range columns {
			cells[i] = parquet.DoubleValue(values[i][row]).Level(0, 0, i)
		}
		if _, err := p.WriteRows([]parquet.Row{cells}); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
	batch := Batch{From: noon, To: noon.Add(time.Hour), Window: time.Hour}
	for _, name := range []string{"ndjson", "arrow", "parquet"} {
		raw := map[string][]byte{"ndjson": text.Bytes(), "arrow": stream.Bytes(), "parquet": table.Bytes()}[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			file := FileOf("file", raw)
			for b.Loop() {
				if _, err := Observe(frame, batch, file); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*columns*n/b.Elapsed().Seconds(), "values/s")
		})
	}
}
