package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"imprimatur.dev/gateway/mcp"
	"imprimatur.dev/record"
)

// callEvery is how often each of many sessions makes a call; one alone makes ten
// times as many.
const callEvery = 200 * time.Millisecond

// BenchmarkCall makes calls of one tool from one and from 64 sessions, to a server directly and
// through the gateway in turn, in one process: what is added at the median and the
// 99th percentile, the CPU of a call with its client and its server, and the
// memory that a session takes in the gateway.
func BenchmarkCall(b *testing.B) {
	for _, c := range []struct {
		version string
		n       int
	}{{"2025-11-25", 1}, {"2026-07-28", 1}, {"2025-11-25", 64}, {"2026-07-28", 64}} {
		version := c.version
		b.Run(fmt.Sprintf("%s/sessions=%d", version, c.n), func(b *testing.B) {
			server := address(b, clerk(), version == "2026-07-28")
			a := record.Authority{Tools: []record.Grant{{
				Resource: "clerk/read_note", Actions: []string{"call"}, Definition: definition(b, clerk(), "read_note"),
				Condition: `args.ward == "7"`, Limit: record.Limit{Calls: 1_000_000, Seconds: 60},
			}}}
			g := setup(b, a, map[string]mcp.Server{"clerk": server})
			before := memory()
			direct := sessions(b, server.URL, version, c.n)
			between := memory()
			through := sessions(b, g.url+"/clerk", version, c.n)
			after := memory()
			var alone, guarded run
			for b.Loop() {
				for range max(5, 64/c.n) {
					alone.round(b, direct)
					guarded.round(b, through)
				}
			}
			b.ReportMetric(alone.at(0.5), "direct-p50-µs")
			b.ReportMetric(alone.at(0.99), "direct-p99-µs")
			b.ReportMetric(guarded.at(0.5)-alone.at(0.5), "added-p50-µs")
			b.ReportMetric(guarded.at(0.99)-alone.at(0.99), "added-p99-µs")
			b.ReportMetric(alone.cpuOfCall(), "direct-cpu-µs")
			b.ReportMetric(guarded.cpuOfCall()-alone.cpuOfCall(), "added-cpu-µs")
			b.ReportMetric(float64((after-between)-(between-before))/float64(c.n)/1024, "KiB/session")
		})
	}
}

// memory is what is in use, after a collection.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func sessions(b *testing.B, url, version string, n int) []*sdk.ClientSession {
	b.Helper()
	out := make([]*sdk.ClientSession, n)
	for i := range out {
		transport := &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearing("token")}, MaxRetries: -1}
		s, err := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, nil).Connect(b.Context(), transport, &sdk.ClientSessionOptions{ProtocolVersion: version})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		if got, err := call(b, s, "read_note", note{Ward: "7"}); err != nil || got != "the note of ward 7" {
			b.Fatal(got, err)
		}
		out[i] = s
	}
	return out
}

// run is what was measured one way.
type run struct {
	mu    sync.Mutex
	took  []time.Duration
	cpu   time.Duration
	calls int
}

// round lets every session make five calls, spread over the time.
func (r *run) round(b *testing.B, sessions []*sdk.ClientSession) {
	began, pause := used(), callEvery
	if len(sessions) == 1 {
		pause /= 10
	}
	var all sync.WaitGroup
	for i, s := range sessions {
		all.Go(func() {
			tick := time.NewTimer(time.Duration(i) * pause / time.Duration(len(sessions)))
			defer tick.Stop()
			for range 5 {
				<-tick.C
				tick.Reset(pause)
				at := time.Now()
				_, err := s.CallTool(context.Background(), &sdk.CallToolParams{Name: "read_note", Arguments: note{Ward: "7"}})
				took := time.Since(at)
				if err != nil {
					b.Error(err)
					return
				}
				r.mu.Lock()
				r.took = append(r.took, took)
				r.mu.Unlock()
			}
		})
	}
	all.Wait()
	r.cpu += used() - began
	r.calls += 5 * len(sessions)
}

func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (r *run) at(part float64) float64 {
	slices.Sort(r.took)
	return float64(r.took[int(part*float64(len(r.took)-1))].Nanoseconds()) / 1e3
}

func (r *run) cpuOfCall() float64 { return float64(r.cpu.Nanoseconds()) / float64(r.calls) / 1e3 }
