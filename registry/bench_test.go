package registry_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
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

// BenchmarkInventory shows one page of 10,000 workloads with three credentials
// each, of which every tenth acts under a release of its own and a secret: all of
// them, by a text, and by what is to be mended.
func BenchmarkInventory(b *testing.B) {
	h := open(b)
	h.live("1")
	at := record.Millis(h.clock.now())
	index := int64(1 << 40)
	learn := func(body record.Body) {
		index++
		h.reg.LearnForInventory(index, must[record.Statement](b)(record.New("administrator", at, body)))
	}
	for i := range 10_000 {
		name := fmt.Sprintf("w%05d", i)
		learn(record.Principal{Name: name, Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: at.AddDate(0, 2, 0)})
		for j := range 3 {
			id := fmt.Sprintf("%05d%d", i, j)
			learn(record.Token{ID: id, Principal: name, Hash: digest(id), Scopes: []string{record.ScopeRead}, Expires: at.AddDate(0, 2, 0)})
		}
		if i%10 == 0 {
			learn(record.Release{
				Behaviour: record.Behaviour{Model: "lab/" + name, Version: "1", Type: record.Trained, Artifact: digest(name)}, Authority: scoring(name),
				Context: record.Context{UseCase: "lab/triage", Tier: "high", Environment: "production", Owner: "olga", Policy: record.PolicyRef{Name: "house", Digest: digest("house")}},
			})
		}
	}
	for name, q := range map[string]wire.InventoryQuery{
		"all": {Limit: 50}, "text": {Text: "w0777", Limit: 50}, "finding": {Finding: wire.AnyFinding, Limit: 50}, "last page": {From: "1 w09949", Limit: 50},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := h.inventory(administrator, q); len(got.Items) == 0 && q.Finding == "" {
					b.Fatal("nothing is shown")
				}
			}
		})
	}
}
