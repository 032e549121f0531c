package registry_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"imprimatur.dev/record"
)

// BenchmarkDecide decides on a live release from memory, on every processor.
func BenchmarkDecide(b *testing.B) {
	h := open(b)
	h.live("1")
	h.allowed("1")
	artifact := digest("model 1")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !h.reg.Decide(h.ctx, "production", artifact).Allowed {
				b.Error("it may not run")
			}
		}
	})
}

// BenchmarkDecideUnknown refuses a model that was never seen.
func BenchmarkDecideUnknown(b *testing.B) {
	h := open(b)
	h.live("1")
	artifact := digest("another")
	b.ReportAllocs()
	for b.Loop() {
		if h.reg.Decide(h.ctx, "production", artifact).Allowed {
			b.Error("it may run")
		}
	}
}

// BenchmarkCheckRelease judges a release from the database.
func BenchmarkCheckRelease(b *testing.B) {
	h := open(b)
	c := h.live("1")
	b.ReportAllocs()
	for b.Loop() {
		h.check(c.ID)
	}
}

// BenchmarkRecordEvaluation runs the whole command, evidence and ledger made
// durable, by one writer and by 64 at once.
func BenchmarkRecordEvaluation(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			h := open(b)
			model := h.train("1", true)
			var next, failed atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			atOnce(writers, func(int) {
				for {
					i := int(next.Add(1))
					if i > b.N {
						return
					}
					n := i % 1000
					evidence := fmt.Appendf(nil, "evidence %d", i)
					_, err := h.reg.RecordEvaluation(h.ctx, eve, record.Evaluation{
						Team: "lab", Artifact: model, Category: record.Accuracy, Suite: "holdout", Dataset: digest("data 1"),
						Tool: record.Tool{Name: "own", Version: "1"}, Evidence: []record.RawFile{record.FileOf("items.ndjson", "items", evidence)}, Assurance: record.Imported,
						Metrics: []record.Metric{{Name: "accuracy", Value: float64(n) / 1000, N: 1000, Successes: &n}},
						Ran:     record.Millis(h.clock.now()),
					}, evidence)
					if err != nil {
						failed.Add(1)
					}
				}
			})
			b.StopTimer()
			if failed.Load() > 0 {
				b.Errorf("%d of %d failed", failed.Load(), b.N)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "evaluations/s")
		})
	}
}
