package evidence

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"imprimatur.dev/drift"
)

// theReport is what Evidently 0.7 makes of the rows after the first 20,000: the
// PSI of every column. It prints the seconds of processor time of reading the file and of
// the report, and leaves out its start.
const theReport = `
import sys, time
import pyarrow.ipc as ipc
from evidently import Report
from evidently.presets import DataDriftPreset
begin = time.process_time()
table = ipc.open_stream(sys.argv[1]).read_pandas()
reference, current = table[:20000], table[20000:]
Report([DataDriftPreset(method="psi")]).run(current_data=current, reference_data=reference).dict()
print(time.process_time() - begin)
`

// processor is the time that the processor has spent on this process.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAgainstEvidently judges a file of 500,000 rows of ten numbers, by turns
// with Evidently on the same file: read, counted against the baseline of its first
// 20,000 rows, and every column compared. Times are of the processor for both.
func BenchmarkAgainstEvidently(b *testing.B) {
	tools, err := exec.Command("../scripts/tools.sh").Output()
	if err != nil {
		b.Fatal(err)
	}
	python := filepath.Join(strings.TrimSpace(string(tools)), "bin", "python")
	const columns, n, first = 10, 500_000, 20_000
	rng := rand.New(rand.NewPCG(1, 1))
	var fields []arrow.Field
	var features []drift.Feature
	values := make([][]float64, columns)
	for i := range columns {
		for range n {
			values[i] = append(values[i], rng.NormFloat64())
		}
		fields = append(fields, arrow.Field{Name: "feature_" + strconv.Itoa(i), Type: arrow.PrimitiveTypes.Float64})
		f, err := drift.CaptureNumbers(fields[i].Name, drift.Input, values[i][:first])
		if err != nil {
			b.Fatal(err)
		}
		features = append(features, f)
	}
	schema := arrow.NewSchema(fields, nil)
	var stream bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(schema))
	r := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	for from := 0; from < n; from += 50_000 {
		for i := range columns {
			r.Field(i).(*array.Float64Builder).AppendValues(values[i][from:from+50_000], nil)
		}
		if err := w.Write(r.NewRecordBatch()); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "rows.arrows")
	if err := os.WriteFile(path, stream.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	baseline, err := drift.NewBaseline(features...)
	if err != nil {
		b.Fatal(err)
	}
	frame, err := drift.NewFrame(baseline)
	if err != nil {
		b.Fatal(err)
	}
	batch := Batch{From: noon, To: noon.Add(time.Hour), Window: time.Hour}
	var ours, theirs float64
	for b.Loop() {
		begin := processor(b)
		raw, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		got, err := Observe(frame, batch, FileOf("rows", raw))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := drift.Judge(frame, got.Windows[0].Sketch, drift.Defaults()); err != nil {
			b.Fatal(err)
		}
		ours += (processor(b) - begin).Seconds()
		out, err := exec.Command(python, "-c", theReport, path).Output()
		if err != nil {
			b.Fatal(err)
		}
		var seconds float64
		if _, err := fmt.Sscan(string(out), &seconds); err != nil {
			b.Fatal(err)
		}
		theirs += seconds
	}
	b.ReportMetric(theirs/ours, "times-evidently")
	b.ReportMetric(float64(b.N)*n/ours, "our-rows/s")
	b.ReportMetric(float64(b.N)*n/theirs, "evidently-rows/s")
}
