package tessera

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tlog "github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

const (
	rounds    = 5
	roundTime = time.Second
)

// BenchmarkAppend compares the two at the numbers of writers, and with the
// batch settings, that suit Tessera: a short age where few write, the default
// and a wider batch where many do.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		writers int
		size    uint
		age     time.Duration
	}{
		{64, 256, 5 * time.Millisecond},
		{64, 64, 5 * time.Millisecond},
		{1024, tlog.DefaultBatchMaxSize, tlog.DefaultBatchMaxAge},
		{1024, 1024, 50 * time.Millisecond},
	} {
		b.Run(fmt.Sprintf("writers=%d/tessera=%d,%v", c.writers, c.size, c.age), func(b *testing.B) {
			ours, theirs := openOurs(b), openTessera(b, c.size, c.age)
			for b.Loop() {
				var mine, peer []round
				for range rounds {
					mine = append(mine, measure(b, c.writers, ours))
					peer = append(peer, measure(b, c.writers, theirs))
				}
				report(b, median(mine), median(peer))
			}
		})
	}
}

func report(b *testing.B, ours, theirs round) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.rate, "ours/s")
	b.ReportMetric(theirs.rate, "tessera/s")
	b.ReportMetric(ours.rate/theirs.rate, "ratio")
	b.ReportMetric(ours.p99.Seconds()*1e3, "ours-p99-ms")
	b.ReportMetric(theirs.p99.Seconds()*1e3, "tessera-p99-ms")
}

// A round is what one measurement gave.
type round struct {
	rate float64 // appends a second
	p99  time.Duration
}

// median returns the median of each figure by itself.
func median(rounds []round) round {
	var rates []float64
	var p99s []time.Duration
	for _, r := range rounds {
		rates, p99s = append(rates, r.rate), append(p99s, r.p99)
	}
	slices.Sort(rates)
	slices.Sort(p99s)
	return round{rates[len(rates)/2], p99s[len(p99s)/2]}
}

// measure lets writers append for the time of a round, each as soon as its last
// append was answered.
func measure(b *testing.B, writers int, appendOne func(n int64) error) round {
	b.Helper()
	var wg sync.WaitGroup
	took := make([][]time.Duration, writers)
	errs := make([]error, writers)
	began := time.Now()
	for w := range writers {
		wg.Go(func() {
			for start := began; start.Sub(began) < roundTime; {
				if errs[w] = appendOne(number.Add(1)); errs[w] != nil {
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
	return round{float64(len(all)) / elapsed.Seconds(), all[len(all)*99/100]}
}

// number makes each entry another one.
var number atomic.Int64

// openOurs returns the whole write path of a ledger in SQLite.
func openOurs(b *testing.B) func(n int64) error {
	b.Helper()
	key, s := openStore(b)
	ctx := context.Background()
	var size atomic.Int64 // as a decision would have seen it just now
	return func(n int64) error {
		draft, err := draftOf(key, n)
		if err != nil {
			return err
		}
		indices, err := s.Append(ctx, store.ReadSet{Size: size.Load(), Keys: draft.Keys[:1]}, draft)
		if err == nil {
			size.Store(indices[0])
		}
		return err
	}
}

// draftOf is everything that comes before the append.
func draftOf(key *attest.Key, n int64) (store.Draft, error) {
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

func openStore(t testing.TB) (*attest.Key, *store.Store) {
	t.Helper()
	key, err := attest.NewKey("imprimatur.dev/log-bench")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), t.TempDir(), store.Options{
		Project: ledger.Project, Version: record.KeysVersion, Origin: key.Name(), Signers: []note.Signer{key.NoteSigner()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return key, s
}

// evaluation is evidence as a tool gives it; its statement has about 1 KB.
func evaluation(n int64) record.Evaluation {
	correct := 9312 + int(n%100)
	lower, upper := 0.925, 0.949
	return record.Evaluation{
		Team: "fraud", Artifact: digest("artifact", n/8), Category: record.Accuracy, Suite: "holdout",
		Dataset: digest("dataset", n%64), Tool: record.Tool{Name: "lm-evaluation-harness", Version: "0.4.9"},
		Evidence: []record.RawFile{{Name: "items.ndjson", Digest: digest("evidence", n), Bytes: 1 << 20, Format: "items"}},
		Metrics: []record.Metric{
			{Name: "accuracy", Value: float64(correct) / 10_000, N: 10_000, Successes: &correct},
			{Name: "roc_auc", Value: 0.937, N: 10_000, Reported: &record.Uncertainty{Method: "bootstrap", Lower95: &lower, Upper95: &upper}},
		},
		Settings:  map[string]string{"batch_size": "64", "num_fewshot": "5", "seed": "1234"},
		Assurance: record.Imported, Ran: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
	}
}

func digest(what string, n int64) record.Digest {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(what), uint64(n)))
	return record.DigestFromHex(fmt.Sprintf("%x", sum))
}

// openTessera returns the append of a Tessera log in a folder.
func openTessera(b *testing.B, batch uint, age time.Duration) func(n int64) error {
	b.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, "example.com/tessera")
	if err != nil {
		b.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	driver, err := posix.New(ctx, posix.Config{Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	appender, shutdown, _, err := tlog.NewAppender(ctx, driver, tlog.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(batch, age))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := shutdown(ctx); err != nil {
			b.Error(err)
		}
		cancel()
	})
	return func(n int64) error {
		entry := make([]byte, 1024)
		binary.BigEndian.PutUint64(entry, uint64(n))
		_, err := appender.Add(ctx, tlog.NewEntry(entry))()
		return err
	}
}
