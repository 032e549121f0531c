package store_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hdevalence/ed25519consensus"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// sizes are the lengths of log at which growth is measured.
func sizes() []int64 {
	if os.Getenv("IMPRIMATUR_LONG") == "1" {
		return []int64{10_000, 100_000, 1_000_000}
	}
	return []int64{10_000, 100_000}
}

// fill appends entries, made on all cores, until the log has size of them.
func fill(b *testing.B, s *store.Store, key *attest.Key, from, size int64) {
	b.Helper()
	const batch = 2000
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for first := from; first < size; first += batch {
		g.Go(func() error {
			var drafts []store.Draft
			for n := first; n < min(first+batch, size); n++ {
				d, err := draft(key, n)
				if err != nil {
					return err
				}
				drafts = append(drafts, d)
			}
			_, err := s.Append(ctx, store.ReadSet{}, drafts...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGrowth shows how the cost of an operation grows with the log.
func BenchmarkGrowth(b *testing.B) {
	key, folder := newKey(b), b.TempDir()
	s := openLog(b, folder, key)
	appendOne := writePath(s, key)
	var have int64
	for _, size := range sizes() {
		fill(b, s, key, have, size)
		have = size
		ask := func(f func(v *store.View, n int64) (int, error)) func(n int64) error {
			return func(n int64) error {
				return s.View(context.Background(), func(v *store.View) error {
					got, err := f(v, n*7919%size)
					if err == nil && got == 0 {
						return fmt.Errorf("nothing found for entry %d", n)
					}
					return err
				})
			}
		}
		count := func(entries []store.Entry, err error) (int, error) { return len(entries), err }
		for _, op := range []struct {
			name string
			run  func(n int64) error
		}{
			{"append", func(int64) error { return appendOne() }},
			{"find", ask(func(v *store.View, n int64) (int, error) {
				return count(v.Find(record.KeyEvaluations(digestOf("artifact", n/8))))
			})},
			{"page", ask(func(v *store.View, n int64) (int, error) {
				return count(v.Page(record.KeyKind(record.KindEvaluation), n+1, 50))
			})},
			{"lastOfEach", ask(func(v *store.View, _ int64) (int, error) { return count(v.LastOfEach("uses/")) })},
			{"proof", ask(func(v *store.View, n int64) (int, error) {
				p, err := v.Proof(n)
				return len(p.Hashes), err
			})},
			{"open", func(int64) error { return openAndClose(folder, key) }},
		} {
			b.Run(fmt.Sprintf("%s/%d", op.name, size), func(b *testing.B) {
				var n int64
				for b.Loop() {
					n++
					if err := op.run(n); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// openAndClose opens the log beside the server that holds it.
func openAndClose(folder string, key *attest.Key) error {
	s, err := store.OpenReadOnly(context.Background(), folder, store.Options{Project: ledger.Project, Origin: key.Name()})
	if err != nil {
		return err
	}
	return s.Close()
}

// BenchmarkVerify holds the verification of a whole log against the checking of
// its signatures alone, in batches of 256 on all cores, within one run.
func BenchmarkVerify(b *testing.B) {
	all := sizes()
	size := all[len(all)-1]
	key, folder := newKey(b), b.TempDir()
	s := openLog(b, folder, key)
	fill(b, s, key, 0, size)
	trust, err := attest.ParseTrust([]byte(key.VerifierKey() + "\n"))
	if err != nil {
		b.Fatal(err)
	}
	check := store.Check{
		Signatures: func(entries []store.Entry) (int, error) {
			batch := make([]attest.Signed, len(entries))
			for i, e := range entries {
				batch[i] = attest.Signed{Payload: e.Payload, Sig: e.Signature, KeyID: key.ID()}
			}
			return trust.VerifyBatch(batch)
		},
		Checkpoint: func(signed []byte) (ledger.Checkpoint, error) {
			verifier, err := note.NewVerifier(key.VerifierKey())
			if err != nil {
				return ledger.Checkpoint{}, err
			}
			return ledger.OpenCheckpoint(signed, key.Name(), note.VerifierList(verifier))
		},
	}
	for b.Loop() {
		alone := signaturesPerSecond(b, key)
		began := time.Now()
		report, err := s.Verify(context.Background(), check)
		if err != nil {
			b.Fatal(err)
		}
		whole := float64(report.Entries) / time.Since(began).Seconds()
		alone = (alone + signaturesPerSecond(b, key)) / 2
		b.ReportMetric(whole, "entries/s")
		b.ReportMetric(alone, "signatures/s")
		b.ReportMetric(whole/alone, "ratio")
	}
}

// signaturesPerSecond checks batches of 256 signatures of statements, all cores
// at once, for two seconds.
func signaturesPerSecond(b *testing.B, key *attest.Key) float64 {
	b.Helper()
	// A C2SP verifier key is name+hash+base64 of an algorithm byte and the key.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(key.VerifierKey(), "+", 3)[2])
	if err != nil {
		b.Fatal(err)
	}
	verifier := ed25519.PublicKey(raw[1:])
	batch := make([]store.Draft, 256)
	for i := range batch {
		if batch[i], err = draft(key, int64(i)); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	var g errgroup.Group
	done := make([]int, runtime.GOMAXPROCS(0))
	for core := range done {
		g.Go(func() error {
			for time.Since(began) < 2*time.Second {
				v := ed25519consensus.NewPreallocatedBatchVerifier(len(batch))
				for _, d := range batch {
					v.Add(verifier, attest.PAE(attest.PayloadType, d.Payload), d.Signature)
				}
				if !v.Verify() {
					return fmt.Errorf("a good batch was refused")
				}
				done[core] += len(batch)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	total := 0
	for _, n := range done {
		total += n
	}
	return float64(total) / time.Since(began).Seconds()
}
