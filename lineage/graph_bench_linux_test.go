package lineage_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
)

// estate is the history of a large organisation: projects of some 500 nodes and
// 2,500 edges each. A project has 40 raw datasets and 60 derived ones, 60 training
// runs, each of 13 datasets, with a model and a release, and one release that is
// live. A quarter of the projects read one public corpus in every run, and a tenth
// tune one foundation model.
type estate struct {
	r      *rand.Rand
	learn  func(lineage.Entry)
	drawn  uint64
	index  int64
	corpus record.Digest
	base   record.Digest
	// sets, models and releases are some of what was stated, to ask about.
	sets, models, releases []string
}

func (e *estate) digest() record.Digest {
	var b [8]byte
	e.drawn++
	binary.LittleEndian.PutUint64(b[:], e.drawn)
	return record.DigestOf(b[:])
}

func (e *estate) state(actor string, body record.Body) string {
	raw := e.digest()
	at := time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(e.index) * time.Second)
	s := record.Statement{Actor: actor, Time: at, Body: body, Raw: []byte(raw)}
	e.learn(lineage.Entry{Index: e.index, Digest: raw, Statement: s})
	e.index++
	return record.ReleaseID(s.Digest())
}

func (e *estate) dataset(team string, derived ...record.Digest) record.Digest {
	d := e.digest()
	e.state("steward-"+team, record.Dataset{Team: team, Name: fmt.Sprint("set-", e.index), Version: "1", Digest: d, Source: fmt.Sprintf("s3://lake/%s/%d", team, e.index), Derived: derived})
	e.sets = append(e.sets, string(d))
	return d
}

func tellEstate(nodes int, learn func(lineage.Entry)) *estate {
	e := &estate{r: rand.New(rand.NewPCG(1, 2)), learn: learn}
	e.corpus = e.dataset("commons")
	e.base = e.digest()
	e.state("commons", record.ModelVersion{Model: "commons/base", Version: "1", Type: record.Vendor, Artifact: e.base, Source: "https://models.example/base"})
	for p := range nodes / 505 {
		e.project(fmt.Sprint("team-", p%200), p)
	}
	return e
}

func (e *estate) project(team string, p int) {
	var sets []record.Digest
	for range 40 {
		sets = append(sets, e.dataset(team))
	}
	any := func() record.Digest { return sets[e.r.IntN(len(sets))] }
	for range 60 {
		sets = append(sets, e.dataset(team, any(), any(), any()))
	}
	for i := range 60 {
		run := record.Run{Team: team, ID: fmt.Sprintf("run-%d-%d", p, i), Code: record.Code{Commit: e.digest().Hex()[:40], Author: fmt.Sprint("person-", e.r.IntN(2000))}}
		for range 13 {
			run.Inputs = append(run.Inputs, record.Resource{Type: record.ResourceDataset, Digest: any()})
		}
		if p%4 == 0 {
			run.Inputs = append(run.Inputs, record.Resource{Type: record.ResourceDataset, Digest: e.corpus})
		}
		if p%10 == 1 {
			run.Inputs = append(run.Inputs, record.Resource{Type: record.ResourceModel, Digest: e.base})
		}
		m := e.digest()
		run.Outputs = []record.Resource{{Type: record.ResourceModel, Digest: m}}
		e.state("pipeline-"+team, run)
		v := record.ModelVersion{Model: fmt.Sprintf("%s/net-%d", team, p), Version: fmt.Sprint(i), Type: record.Trained, Artifact: m, Run: run.Ref()}
		e.state("pipeline-"+team, v)
		rel := record.Release{Behaviour: record.Behaviour{Model: v.Model, Version: v.Version, Artifact: m}, Data: record.ReleaseData{Runs: []string{run.Ref()}}}
		for _, in := range run.Inputs {
			if in.Type == record.ResourceDataset {
				rel.Data.Datasets = append(rel.Data.Datasets, in.Digest)
			}
		}
		rel.Context.UseCase, rel.Context.Environment = team+"/use", "production"
		id := e.state("owner-"+team, rel)
		if i%10 == 9 {
			e.state("owner-"+team, record.Promotion{Release: id, Line: rel.Line(), Environment: "production", Artifact: m, How: record.Promote})
		}
		e.models, e.releases = append(e.models, string(m)), append(e.releases, id)
	}
}

// cpu is the processor time of this thread: CLOCK_THREAD_CPUTIME_ID.
func cpu() time.Duration {
	var t syscall.Timespec
	if _, _, fault := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 3, uintptr(unsafe.Pointer(&t)), 0); fault != 0 {
		panic(fault)
	}
	return time.Duration(t.Nano())
}

// timed asks n times and reports the median and the 99th percentile, in
// milliseconds by the clock and of processor time, and the mean size of an answer.
func timed(b *testing.B, n int, ask func(i int) int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		var wall, busy []time.Duration
		size := 0
		for i := range n {
			c, t := cpu(), time.Now()
			size += ask(i)
			wall, busy = append(wall, time.Since(t)), append(busy, cpu()-c)
		}
		slices.Sort(wall)
		slices.Sort(busy)
		for name, all := range map[string][]time.Duration{"wall": wall, "cpu": busy} {
			b.ReportMetric(float64(all[n/2])/1e6, "ms-p50-"+name)
			b.ReportMetric(float64(all[n*99/100])/1e6, "ms-p99-"+name)
		}
		b.ReportMetric(float64(size)/float64(n), "nodes")
	}
}

// BenchmarkGraph builds the graph at each size and asks it. Run it with
// -benchtime=1x: each sub-benchmark asks hundreds of questions itself.
func BenchmarkGraph(b *testing.B) {
	for _, nodes := range []int{10_000, 100_000, 1_000_000} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		g := lineage.NewGraph()
		runtime.LockOSThread()
		var learning time.Duration
		e := tellEstate(nodes, func(e lineage.Entry) {
			c := cpu()
			g.Learn(e)
			learning += cpu() - c
		})
		runtime.UnlockOSThread()
		g.Settle()
		runtime.GC()
		runtime.ReadMemStats(&after)
		have, edges := g.Size()
		name := func(what string) string { return fmt.Sprintf("%s/nodes=%d", what, have) }
		b.Run(name("Learn"), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(float64(edges), "edges")
				b.ReportMetric(float64(learning.Microseconds())/float64(e.index), "µs/statement-cpu")
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc-uint64(len(e.sets)+len(e.models)+len(e.releases))*90)/float64(have), "B/node-with-edges")
			}
		})
		find := func(text string) []lineage.NodeID {
			n, err := lineage.ParseName(text)
			if err != nil {
				b.Fatal(err)
			}
			return g.Find(n)
		}
		pick := func(all []string, i int) []lineage.NodeID { return find(all[(i*7919)%len(all)]) }
		ancestry := func(starts []lineage.NodeID) int {
			steps, _ := g.Walk(starts, lineage.Up, lineage.MadeFrom|lineage.Listed, lineage.Limits{})
			return len(steps)
		}
		impact := func(starts []lineage.NodeID) int {
			got, err := g.ImpactOf(starts, func(string) bool { return true }, "", 100)
			if err != nil {
				b.Fatal(err)
			}
			size := 0
			for _, n := range got.Counts {
				size += n
			}
			return size
		}
		b.Run(name("Ancestry/release"), func(b *testing.B) { timed(b, 2000, func(i int) int { return ancestry(pick(e.releases, i)) }) })
		b.Run(name("Impact/dataset"), func(b *testing.B) { timed(b, 2000, func(i int) int { return impact(pick(e.sets, i)) }) })
		b.Run(name("Impact/pipeline"), func(b *testing.B) {
			timed(b, 500, func(i int) int { return impact(find(fmt.Sprint("principal:pipeline-team-", i%min(200, nodes/505)))) })
		})
		b.Run(name("Impact/corpus"), func(b *testing.B) { timed(b, 200, func(int) int { return impact(find(string(e.corpus))) }) })
		b.Run(name("Impact/base"), func(b *testing.B) {
			timed(b, 200, func(int) int { return impact(find("model:" + strings.Clone(string(e.base)))) })
		})
	}
}
