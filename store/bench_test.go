package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/store/storetest"
)

// The figures of these benchmarks are of the whole write path: a record is
// validated, written as a statement of about 1 KB, signed, projected and
// appended under a read set of one key. Where there is something to hold them
// against, both are measured in turn within one run, and the ratio is reported.

const (
	roundTime = time.Second
	rounds    = 5
)

// evaluation is evidence as a tool gives it.
func evaluation(n int64) record.Evaluation {
	correct := 9312 + int(n%100)
	lower, upper := 0.925, 0.949
	return record.Evaluation{
		Team: "fraud", Artifact: digestOf("artifact", n/8), Category: record.Accuracy, Suite: "holdout",
		Dataset: digestOf("dataset", n%64), Tool: record.Tool{Name: "lm-evaluation-harness", Version: "0.4.9"},
		Evidence: []record.RawFile{{Name: "items.ndjson", Digest: digestOf("evidence", n), Bytes: 1 << 20, Format: "items"}},
		Metrics: []record.Metric{
			{Name: "accuracy", Value: float64(correct) / 10_000, N: 10_000, Successes: &correct},
			{Name: "roc_auc", Value: 0.937, N: 10_000, Reported: &record.Uncertainty{Method: "bootstrap", Lower95: &lower, Upper95: &upper}},
		},
		Settings:  map[string]string{"batch_size": "64", "num_fewshot": "5", "seed": "1234"},
		Assurance: record.Imported, Ran: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
	}
}

func digestOf(what string, n int64) record.Digest {
	return record.DigestOf(binary.BigEndian.AppendUint64([]byte(what), uint64(n)))
}

// draft is everything that comes before the append.
func draft(key *attest.Key, n int64) (store.Draft, error) {
	statement, err := record.New("evaluator-7", time.Now(), evaluation(n))
	if err != nil {
		return store.Draft{}, err
	}
	payload, err := attest.EncodeStatement(statement)
	if err != nil {
		return store.Draft{}, err
	}
	leaf, err := ledger.LeafOf(statement, payload)
	if err != nil {
		return store.Draft{}, err
	}
	return store.Draft{Payload: payload, Signature: key.Sign(payload), Leaf: leaf, Keys: statement.Keys()}, nil
}

func newKey(t testing.TB) *attest.Key {
	t.Helper()
	key, err := attest.NewKey("imprimatur.dev/log-bench")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func optionsOf(key *attest.Key) store.Options {
	return store.Options{Project: ledger.Project, Version: record.KeysVersion, Origin: key.Name(), Signers: []note.Signer{key.NoteSigner()}}
}

// openLog opens a log that b closes.
func openLog(b *testing.B, dsn string, key *attest.Key) *store.Store {
	b.Helper()
	s, err := store.Open(context.Background(), dsn, optionsOf(key))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// number makes each entry of a write path another one, apart from those that
// fill a log.
var number atomic.Int64

// writePath returns the whole write path of one entry.
func writePath(s *store.Store, key *attest.Key) func() error {
	var size atomic.Int64
	return func() error {
		d, err := draft(key, 1<<32+number.Add(1))
		if err != nil {
			return err
		}
		indices, err := s.Append(context.Background(), store.ReadSet{Size: size.Load(), Keys: d.Keys[:1]}, d)
		if err == nil {
			size.Store(indices[0])
		}
		return err
	}
}

// A round is what one measurement gave.
type round struct {
	rate float64       // operations a second
	p99  time.Duration // of one operation
	cpu  time.Duration // of this process, for one operation
}

// median returns the median of each figure by itself.
func median(rounds []round) round {
	middle := func(less func(a, b round) int) round {
		return slices.SortedFunc(slices.Values(rounds), less)[len(rounds)/2]
	}
	return round{
		rate: middle(func(a, b round) int { return int(a.rate - b.rate) }).rate,
		p99:  middle(func(a, b round) int { return int(a.p99 - b.p99) }).p99,
		cpu:  middle(func(a, b round) int { return int(a.cpu - b.cpu) }).cpu,
	}
}

// measure lets writers work for the time of a round, each on its next operation
// as soon as the last has been answered.
func measure(b *testing.B, writers int, operation func() error) round {
	b.Helper()
	var wg sync.WaitGroup
	took := make([][]time.Duration, writers)
	errs := make([]error, writers)
	began, cpu := time.Now(), cpuTime(b)
	for w := range writers {
		wg.Go(func() {
			for start := began; start.Sub(began) < roundTime; {
				if errs[w] = operation(); errs[w] != nil {
					return
				}
				end := time.Now()
				took[w] = append(took[w], end.Sub(start))
				start = end
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return round{float64(len(all)) / elapsed.Seconds(), all[len(all)*99/100], (cpuTime(b) - cpu) / time.Duration(len(all))}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (r round) report(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(r.rate, "appends/s")
	b.ReportMetric(r.p99.Seconds()*1e3, "p99-ms")
	b.ReportMetric(float64(r.cpu.Nanoseconds())/1e3, "cpu-µs/append")
}

// BenchmarkDraft is the work before the append, step by step.
func BenchmarkDraft(b *testing.B) {
	key := newKey(b)
	statement, err := record.New("evaluator-7", time.Now(), evaluation(1))
	if err != nil {
		b.Fatal(err)
	}
	payload, err := attest.EncodeStatement(statement)
	if err != nil {
		b.Fatal(err)
	}
	body := evaluation(1)
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"validate", body.Validate},
		{"canonical", func() error { _, err := record.CanonicalOf(body); return err }},
		{"encode", func() error { _, err := attest.EncodeStatement(statement); return err }},
		{"sign", func() error { key.Sign(payload); return nil }},
		{"leaf", func() error { _, err := ledger.LeafOf(statement, payload); return err }},
		{"keys", func() error { statement.Keys(); return nil }},
		{"decode", func() error { _, err := attest.DecodeStatement(payload); return err }},
		{"project", func() error { _, _, err := ledger.Project(payload); return err }},
		{"whole", func() error { _, err := draft(key, 1); return err }},
	} {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := step.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoneWriter holds one writer against a bare commit of the same bytes
// as one row.
func BenchmarkLoneWriter(b *testing.B) {
	key := newKey(b)
	ours, bare := writePath(openLog(b, b.TempDir(), key), key), bareCommit(b)
	for b.Loop() {
		var with, without []round
		for range rounds {
			with = append(with, measure(b, 1, ours))
			without = append(without, measure(b, 1, bare))
		}
		median(with).report(b)
		b.ReportMetric(median(without).rate, "bare/s")
		b.ReportMetric(median(without).rate/median(with).rate, "slower")
	}
}

func bareCommit(b *testing.B) func() error {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE entries (idx INTEGER PRIMARY KEY, payload BLOB NOT NULL)"); err != nil {
		b.Fatal(err)
	}
	insert, err := db.Prepare("INSERT INTO entries (payload) VALUES ($1)")
	if err != nil {
		b.Fatal(err)
	}
	payload := sha256.Sum256([]byte("payload"))
	kilobyte := slices.Repeat(payload[:], 32)
	return func() error {
		_, err := insert.Exec(kilobyte)
		return err
	}
}

// BenchmarkWriters is any number of writers on each database.
func BenchmarkWriters(b *testing.B) {
	for _, at := range []func(testing.TB) storetest.Place{storetest.SQLite, storetest.Postgres} {
		for _, writers := range []int{1, 8, 64, 1024} {
			place := at(b)
			b.Run(fmt.Sprintf("%s/%d", place.Engine, writers), func(b *testing.B) {
				key := newKey(b)
				ours := writePath(openLog(b, place.DSN, key), key)
				for b.Loop() {
					var all []round
					for range rounds {
						all = append(all, measure(b, writers, ours))
					}
					median(all).report(b)
				}
			})
		}
	}
}
