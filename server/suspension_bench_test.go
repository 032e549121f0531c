package server_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// BenchmarkSuspension measures how long after its suspension was asked for a
// release still acts, with 10,000 releases that stand and 1,000 decisions a second
// on others.
func BenchmarkSuspension(b *testing.B) {
	const standing, rate = 10_000, 1000
	h, _ := big(b, standing, standing)
	ids, workloads := h.standing()
	ask := func(ctx context.Context, id string) bool {
		who := registry.Caller{Name: workloads[id], Type: record.Workload, Method: record.MethodToken}
		got, err := h.reg.Authorize(ctx, who, wire.Ask{Workload: who.Name, Kind: "tools", Resource: "look-up", Action: "call"})
		if err != nil {
			b.Error(err)
		}
		return got.Allowed
	}
	for _, id := range ids {
		if !ask(h.ctx, id) {
			b.Fatalf("%s may not act", id)
		}
	}
	ctx, stop := context.WithCancel(h.ctx)
	var asking sync.WaitGroup
	var asked atomic.Int64
	began := time.Now()
	asking.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; <-tick.C {
			for ; float64(n) < time.Since(began).Seconds()*rate; n++ {
				ask(h.ctx, ids[n%len(ids)])
				asked.Add(1)
			}
		}
	})
	sam := registry.Caller{Name: "sam", Type: record.Human, Method: record.MethodToken}
	var took []time.Duration
	n := 0
	for b.Loop() {
		id := ids[len(ids)-1-n%len(ids)]
		n++
		start := time.Now()
		done := make(chan time.Duration)
		go func() {
			for ask(h.ctx, id) {
			}
			done <- time.Since(start)
		}()
		must[wire.Case](b)(h.reg.Suspend(h.ctx, sam, id, "incident", false))
		took = append(took, <-done)
		b.StopTimer()
		must[wire.Case](b)(h.reg.Suspend(h.ctx, sam, id, "over", true))
		if !ask(h.ctx, id) {
			b.Fatalf("%s may not act again", id)
		}
		b.StartTimer()
	}
	stop()
	asking.Wait()
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(float64(asked.Load())/time.Since(began).Seconds(), "decisions/s")
}

// standing are the releases that are live in the lines of a big house, and the
// workload of each.
func (h *house) standing() (ids []string, workloads map[string]string) {
	h.Helper()
	workloads = map[string]string{}
	live := must[[]wire.LiveRelease](h)(h.reg.Live(h.ctx, registry.Caller{Name: "rita", Type: record.Human}, time.Time{}))
	for _, l := range live {
		if number, ok := strings.CutPrefix(l.Model, "lab/net-"); ok {
			ids = append(ids, l.Release)
			workloads[l.Release], _, _ = strings.Cut("w-"+number, "@")
		}
	}
	return ids, workloads
}
