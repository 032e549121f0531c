package evidence_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// endless is a file of fixed-length lines that are made when they are read, so
// that a file of any size needs no disk.
type endless struct {
	line func(i int64) string
	size int64
}

func (e endless) ReadAt(p []byte, off int64) (n int, err error) {
	width := int64(len(e.line(0)))
	for n < len(p) {
		at := off + int64(n)
		if at >= e.size {
			return n, fmt.Errorf("past the end at %d", at)
		}
		n += copy(p[n:], e.line(at / width)[at%width:])
	}
	return n, nil
}

var answer = strings.Repeat("the answer of the model, word by word; ", 24)

// The per-item files of three tools, a kilobyte and more a line.
var perItem = []struct {
	name string
	head string
	line func(i int64) string
}{
	{"items", "", func(i int64) string {
		return fmt.Sprintf(`{"item":"case-%09d","slice":{"language":"en"},"metrics":{"exact":%-5t,"f1":0.%04d},"answer":%q}`+"\n", i, i%3 > 0, i%9999, answer)
	}},
	{"garak", `{"entry_type":"init","garak_version":"0.14.0","start_time":"2026-05-01T12:00:00","run":"r"}` + "\n", func(i int64) string {
		return fmt.Sprintf(`{"entry_type":"attempt","uuid":"u-%09d","seq":%-9d,"status":2,"probe_classname":"dan.Dan_11_0","prompt":{"turns":[{"role":"user","content":{"text":"prompt %09d"}}]},"outputs":[{"text":%q}],"detector_results":{"dan.DAN":[%d.0]}}`+"\n", i, i, i, answer, i%2)
	}},
	{"lm-eval", "", func(i int64) string {
		return fmt.Sprintf(`{"doc_id":%-9d,"doc":{"question":%q},"target":"3","arguments":{},"resps":[["x"]],"filtered_resps":["x"],"filter":"none","metrics":["exact_match"],"doc_hash":"%064d","prompt_hash":"%064d","target_hash":"%064d","exact_match":%d.0}`+"\n", i, answer, i, i, i, i%2)
	}},
}

// BenchmarkPerItem reads files of single items, in MB/s on one core.
func BenchmarkPerItem(b *testing.B) {
	for _, c := range perItem {
		b.Run(c.name, func(b *testing.B) {
			f := evidence.FileOf(c.name, []byte(lines(c.head, c.line, 48<<20)))
			b.SetBytes(f.Size)
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			for b.Loop() {
				if _, err := evidence.Read([]evidence.File{f}, record.EvaluationRun{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func lines(head string, line func(int64) string, size int) string {
	var text strings.Builder
	text.WriteString(head)
	for i := int64(0); text.Len() < size; i++ {
		text.WriteString(line(i))
	}
	return text.String()
}

const python = `import json, sys, time
t = time.perf_counter()
n = 0
with open(sys.argv[1], encoding="utf-8") as f:
    for line in f:
        n += json.loads(line) is not None
print(time.perf_counter() - t)`

// BenchmarkAgainstPython reads the same files with us, all of it, and with
// Python's json module, which only parses; in turn, in one run. The limit is 5
// times its speed.
func BenchmarkAgainstPython(b *testing.B) {
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		b.Fatal("python3 is needed to compare with")
	}
	for _, c := range perItem {
		b.Run(c.name, func(b *testing.B) {
			text := lines(c.head, c.line, 96<<20)
			path := filepath.Join(b.TempDir(), "lines")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			var ours, theirs float64
			for b.Loop() {
				file, err := os.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				begin := time.Now()
				if _, err := evidence.Read([]evidence.File{{Name: c.name, Size: int64(len(text)), ReaderAt: file}}, record.EvaluationRun{}); err != nil {
					b.Fatal(err)
				}
				ours += time.Since(begin).Seconds()
				file.Close()
				out, err := exec.Command(interpreter, "-c", python, path).Output()
				if err != nil {
					b.Fatal(err)
				}
				var seconds float64
				if _, err := fmt.Sscan(string(out), &seconds); err != nil {
					b.Fatal(err)
				}
				theirs += seconds
			}
			b.ReportMetric(theirs/ours, "times-python")
		})
	}
}

// TestLargeFilesInBoundedMemory reads files far larger than the memory they
// may take: 64 MiB each here, 2 GiB in the long lane.
func TestLargeFilesInBoundedMemory(t *testing.T) {
	size := int64(64 << 20)
	if os.Getenv("IMPRIMATUR_LONG") != "" {
		size = 2 << 30
	}
	const most = 128 << 20
	for _, c := range perItem {
		if c.head != "" {
			continue
		}
		width := int64(len(c.line(0)))
		f := evidence.File{Name: c.name, Size: size / width * width}
		f.ReaderAt = endless{c.line, f.Size}
		runtime.GC()
		before := heap()
		stop, peak := make(chan struct{}), make(chan uint64)
		go func() {
			var high uint64
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					peak <- high
					return
				case <-tick.C:
					high = max(high, heap())
				}
			}
		}()
		r, err := evidence.Read([]evidence.File{f}, record.EvaluationRun{})
		close(stop)
		high := <-peak
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Evaluations[0].Items.N; int64(n) != f.Size/width {
			t.Errorf("%s: %d items, want %d", c.name, n, f.Size/width)
		}
		if high > before && high-before > most {
			t.Errorf("%s: %d MiB of file took %d MiB of memory, more than %d", c.name, f.Size>>20, (high-before)>>20, most>>20)
		}
		t.Logf("%s: %d MiB of file took %d MiB of memory", c.name, f.Size>>20, (high-min(before, high))>>20)
	}
}

// heap is the memory that holds objects, live or not yet collected.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
