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
	"sync/atomic"
	"testing"
	"time"

	"github.com/hdevalence/ed25519consensus"
	"golang.org/x/sync/errgroup"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store"
	"imprimatur.dev/verify/verifytest"
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
	release := ""
	for i, size := range sizes() {
		fill(b, folder, key, size)
		if i == 0 {
			release = tell(b, folder, key)
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.Run("open", func(b *testing.B) { benchmarkOpen(b, folder) })
			s := openLog(b, folder, key)
			benchmarkReads(b, s, size)
			b.Run("release", func(b *testing.B) { benchmarkRelease(b, s, release) })
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

// openAndClose opens a whole registry as a server does: key, tables, tree, the
// check against the kept checkpoint, and the decision index.
func openAndClose(folder string) error {
	r, err := registry.Open(context.Background(), registry.Config{Data: folder, Background: true})
	if err != nil {
		return err
	}
	return r.Close()
}

// benchmarkOpen measures the start of a server, until it answers decisions, and
// beside it until it answers everything.
func benchmarkOpen(b *testing.B, folder string) {
	began := time.Now()
	r, err := registry.Open(context.Background(), registry.Config{Data: folder})
	if err != nil {
		b.Fatal(err)
	}
	whole := time.Since(began)
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := openAndClose(folder); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(whole.Seconds(), "whole-s")
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

// tell appends all that a release rests on, and returns the release's ID.
func tell(b *testing.B, folder string, key *attest.Key) string {
	b.Helper()
	story := verifytest.Tell(b)
	var drafts []store.Draft
	for _, e := range story.Bundle(story.Second).Entries {
		leaf, keys, err := ledger.Project(e.Payload)
		if err != nil {
			b.Fatal(err)
		}
		drafts = append(drafts, store.Draft{Payload: e.Payload, Signature: key.Sign(e.Payload), Leaf: leaf, Keys: keys})
	}
	s, err := store.Open(context.Background(), folder, optionsOf(key))
	if err != nil {
		b.Fatal(err)
	}
	_, err = s.Append(context.Background(), store.ReadSet{}, drafts...)
	if err := errors.Join(err, s.Close()); err != nil {
		b.Fatal(err)
	}
	return story.Second
}

// snapshot is a view as a lineage.Source.
type snapshot struct{ view *store.View }

func (s snapshot) Find(key string) ([]lineage.Entry, error) {
	found, err := s.view.Find(key)
	out := make([]lineage.Entry, len(found))
	for i, e := range found {
		if err == nil {
			out[i] = lineage.Entry{Index: e.Index, Digest: record.DigestOf(e.Payload)}
			out[i].Statement, err = attest.DecodeStatement(e.Payload)
		}
	}
	return out, err
}

// benchmarkRelease gathers what the page of a release shows.
func benchmarkRelease(b *testing.B, s *store.Store, release string) {
	for b.Loop() {
		err := s.View(context.Background(), func(v *store.View) error {
			d, _, err := lineage.Collect(snapshot{v}, release)
			if err == nil && (len(d.Approvals) != 6 || len(d.Absent) != 0) {
				return fmt.Errorf("%d approvals, absent: %q", len(d.Approvals), d.Absent)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkVerify holds the verification of a whole log against the checking of
// its signatures alone, in batches of 256 on all cores, within one run: by the
// library for batches, and by our own check, which makes use of there being few
// keys. The ratios of processor time hold on a machine that does other work too.
func benchmarkVerify(b *testing.B, s *store.Store, key *attest.Key) {
	trust, err := attest.ParseTrust([]byte(key.VerifierKey() + "\n"))
	if err != nil {
		b.Fatal(err)
	}
	check := store.Check{
		Signatures: func(entries []store.Entry) (int, error) { return trust.VerifyBatch(signed(key, entries)) },
		Checkpoint: func(signed []byte) (ledger.Checkpoint, error) {
			n, err := trust.VerifyNote(signed)
			if err != nil {
				return ledger.Checkpoint{}, err
			}
			return ledger.ParseCheckpoint(n.Text)
		},
	}
	batch := make([]store.Entry, 256)
	for i := range batch {
		d, err := draft(key, int64(i))
		if err != nil {
			b.Fatal(err)
		}
		batch[i] = store.Entry{Payload: d.Payload, Signature: d.Signature}
	}
	verifier := publicKey(b, key)
	library := func(batch []store.Entry) bool {
		v := ed25519consensus.NewPreallocatedBatchVerifier(len(batch))
		for _, e := range batch {
			v.Add(verifier, attest.PAE(attest.PayloadType, e.Payload), e.Signature)
		}
		return v.Verify()
	}
	own := func(batch []store.Entry) bool {
		bad, err := check.Signatures(batch)
		return bad < 0 && err == nil
	}
	for b.Loop() {
		theirs, ours := signatures(b, batch, library), signatures(b, batch, own)
		began, cpu := time.Now(), cpuTime(b)
		report, err := s.Verify(context.Background(), check)
		if err != nil {
			b.Fatal(err)
		}
		whole := pace{time.Since(began), cpuTime(b) - cpu}.per(report.Entries)
		theirs = theirs.mean(signatures(b, batch, library))
		b.ReportMetric(1/whole.wall.Seconds(), "entries/s")
		b.ReportMetric(1/theirs.wall.Seconds(), "signatures/s")
		b.ReportMetric(1/ours.wall.Seconds(), "own-signatures/s")
		b.ReportMetric(theirs.wall.Seconds()/whole.wall.Seconds(), "ratio")
		b.ReportMetric(theirs.cpu.Seconds()/whole.cpu.Seconds(), "cpu-ratio")
		b.ReportMetric(ours.cpu.Seconds()/whole.cpu.Seconds(), "own-cpu-ratio")
	}
}

// pace is what one entry or one signature takes: time, and processor time of
// this process.
type pace struct{ wall, cpu time.Duration }

func (p pace) per(n int64) pace { return pace{p.wall / time.Duration(n), p.cpu / time.Duration(n)} }

func (p pace) mean(q pace) pace { return pace{(p.wall + q.wall) / 2, (p.cpu + q.cpu) / 2} }

func signed(key *attest.Key, entries []store.Entry) []attest.Signed {
	out := make([]attest.Signed, len(entries))
	for i, e := range entries {
		out[i] = attest.Signed{Payload: e.Payload, Sig: e.Signature, KeyID: key.ID()}
	}
	return out
}

func publicKey(b *testing.B, key *attest.Key) ed25519.PublicKey {
	b.Helper()
	// A C2SP verifier key is name+hash+base64 of an algorithm byte and the key.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(key.VerifierKey(), "+", 3)[2])
	if err != nil {
		b.Fatal(err)
	}
	return ed25519.PublicKey(raw[1:])
}

// signatures checks one batch over and over on all cores at once, for two
// seconds.
func signatures(b *testing.B, batch []store.Entry, good func([]store.Entry) bool) pace {
	b.Helper()
	began, cpu := time.Now(), cpuTime(b)
	var g errgroup.Group
	var done atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for time.Since(began) < 2*time.Second {
				if !good(batch) {
					return errors.New("a good batch was refused")
				}
				done.Add(int64(len(batch)))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return pace{time.Since(began), cpuTime(b) - cpu}.per(done.Load())
}
