package registry_test

import (
	"fmt"
	"sync/atomic"
	"testing"
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

// BenchmarkRecordEvaluations runs the whole command: evidence of 1,000 items
// kept, read and counted, and the ledger made durable; by one writer, and by 64
// at once with suites of their own.
func BenchmarkRecordEvaluations(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			h := open(b)
			model := h.train("1", true)
			var next, failed atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			atOnce(writers, func(w int) {
				for {
					i := int(next.Add(1))
					if i > b.N {
						return
					}
					in := submission(model, digest("data 1"))
					in.Run.Suite, in.Run.Labels = fmt.Sprintf("suite-%d", i), map[string]string{"run": fmt.Sprint(i)}
					if _, err := h.record(eve, in, itemsOf(i%1000, 1000, h.clock.now())); err != nil {
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
