package store_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hdevalence/ed25519consensus"
	"golang.org/x/sync/errgroup"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store"
)

// sizes are the lengths of log at which growth is measured.
func sizes() []int64 {
	if os.Getenv("IMPRIMATUR_LONG") == "1" {
		return []int64{10_000, 100_000, 1_000_000}
	}
	return []int64{10_000, 100_000}
}

// BenchmarkGrowth shows how the cost of everything grows with the log, which is
// one registry's, filled from size to size.
func BenchmarkGrowth(b *testing.B) {
	folder := b.TempDir()
	if err := openAndClose(folder); err != nil { // makes the key
		b.Fatal(err)
	}
	key, err := attest.LoadKey(filepath.Join(folder, "keys", "server.key"), "")
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range sizes() {
		fill(b, folder, key, size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.Run("open", func(b *testing.B) {
				for b.Loop() {
					if err := openAndClose(folder); err != nil {
						b.Fatal(err)
					}
				}
			})
			s := openLog(b, folder, key)
			benchmarkReads(b, s, size)
			b.Run("verify", func(b *testing.B) { benchmarkVerify(b, s, key) })
			appendOne := writePath(s, key)
			b.Run("append", func(b *testing.B) {
				for b.Loop() {
					if err := appendOne(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// openAndClose opens a whole registry: key, tables, tree, the check against the
// kept checkpoint, and the decision index.
func openAndClose(folder string) error {
	r, err := registry.Open(context.Background(), registry.Config{Data: folder})
	if err != nil {
		return err
	}
	return r.Close()
}

// fill appends entries, made on all cores, until the log has at least size.
func fill(b *testing.B, folder string, key *attest.Key, size int64) {
	b.Helper()
	s, err := store.Open(context.Background(), folder, optionsOf(key))
	if err != nil {
		b.Fatal(err)
	}
	var have int64
	if err := s.View(context.Background(), func(v *store.View) error {
		have = v.Size()
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	const batch = 2000
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for first := have; first < size; first += batch {
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
	if err := errors.Join(g.Wait(), s.Close()); err != nil {
		b.Fatal(err)
	}
}

// benchmarkReads asks a log of a size for what is known to be in it.
func benchmarkReads(b *testing.B, s *store.Store, size int64) {
	number := func(entries []store.Entry, err error) (int, error) { return len(entries), err }
	for _, question := range []struct {
		name string
		ask  func(v *store.View, n int64) (int, error)
	}{
		// Those of the first filling are numbered without gaps.
		{"find", func(v *store.View, n int64) (int, error) {
			return number(v.Find(record.KeyEvaluations(digestOf("artifact", n%sizes()[0]/8))))
		}},
		{"page", func(v *store.View, n int64) (int, error) {
			return number(v.Page(record.KeyKind(record.KindEvaluation), n+1, 50))
		}},
		{"lastOfEach", func(v *store.View, _ int64) (int, error) { return number(v.LastOfEach("uses/")) }},
		{"proof", func(v *store.View, n int64) (int, error) {
			p, err := v.Proof(n)
			return len(p.Hashes), err
		}},
	} {
		b.Run(question.name, func(b *testing.B) {
			var n int64
			for b.Loop() {
				n = (n + 7919) % size
				err := s.View(context.Background(), func(v *store.View) error {
					got, err := question.ask(v, n)
					if err == nil && got == 0 {
						return fmt.Errorf("nothing found of entry %d", n)
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchmarkVerify holds the verification of a whole log against the checking of
// its signatures alone, in batches of 256 on all cores, within one run.
func benchmarkVerify(b *testing.B, s *store.Store, key *attest.Key) {
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
			n, err := trust.VerifyNote(signed)
			if err != nil {
				return ledger.Checkpoint{}, err
			}
			return ledger.ParseCheckpoint(n.Text)
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
					return errors.New("a good batch was refused")
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
