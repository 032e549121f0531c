// Package verifytest keeps a small signed ledger in memory and tells on it the
// story of two releases, for the tests of lineage and verify. Everything in it
// is real: statements, signatures, tree and checkpoints.
package verifytest

import (
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/verify"
)

// Origin is the name of every ledger here.
const Origin = "ledger.example/test"

// Ledger is an append-only log in memory. It is a lineage.Source.
type Ledger struct {
	// Now is the time of the next statement; each statement moves it on by a
	// minute.
	Now     time.Time
	Key     *attest.Key
	Entries []lineage.Entry

	tb       testing.TB
	payloads [][]byte
	byKey    map[string][]lineage.Entry
	hashes   hashes
}

// hashes are the stored hashes of the tree, in the order of package tlog.
type hashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = h[at]
	}
	return out, nil
}

// New returns an empty ledger with a key of its own.
func New(tb testing.TB) *Ledger {
	tb.Helper()
	key, err := attest.NewKey(Origin)
	must(tb, err)
	return &Ledger{
		Now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC),
		Key: key, tb: tb, byKey: map[string][]lineage.Entry{},
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// Find implements lineage.Source.
func (l *Ledger) Find(key string) ([]lineage.Entry, error) { return l.byKey[key], nil }

// State appends a statement and returns its entry.
func (l *Ledger) State(actor string, body record.Body) lineage.Entry {
	l.tb.Helper()
	s, err := record.New(actor, l.Now, body)
	must(l.tb, err)
	payload, err := attest.EncodeStatement(s)
	must(l.tb, err)
	s, err = attest.DecodeStatement(payload)
	must(l.tb, err)
	l.Now = l.Now.Add(time.Minute)
	e := lineage.Entry{Index: int64(len(l.Entries)), Digest: record.DigestOf(payload), Statement: s}
	leaf, keys, err := ledger.Project(payload)
	must(l.tb, err)
	stored, err := tlog.StoredHashes(e.Index, leaf, l.hashes)
	must(l.tb, err)
	l.hashes = append(l.hashes, stored...)
	l.Entries = append(l.Entries, e)
	l.payloads = append(l.payloads, payload)
	seen := map[string]bool{}
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			l.byKey[k] = append(l.byKey[k], e)
		}
	}
	return e
}

// Trust returns a trust root of the ledger's key alone.
func (l *Ledger) Trust() attest.Trust {
	l.tb.Helper()
	trust, err := attest.ParseTrust([]byte(l.Key.VerifierKey() + "\n"))
	must(l.tb, err)
	return trust
}

// Checkpoint returns the signed checkpoint of the first size statements.
func (l *Ledger) Checkpoint(size int64) string {
	l.tb.Helper()
	root, err := tlog.TreeHash(size, l.hashes)
	must(l.tb, err)
	signed, err := ledger.Checkpoint{Origin: Origin, Size: size, Root: root}.Sign(l.Key.NoteSigner())
	must(l.tb, err)
	return string(signed)
}

// Bundle returns the bundle of a release against the newest checkpoint.
func (l *Ledger) Bundle(release string) *verify.Bundle {
	l.tb.Helper()
	entries, err := lineage.Gather(l, release)
	must(l.tb, err)
	return l.BundleOf(release, entries, int64(len(l.Entries)))
}

// BundleOf returns a bundle of the entries given, against the checkpoint of the
// first size statements.
func (l *Ledger) BundleOf(release string, entries []lineage.Entry, size int64) *verify.Bundle {
	l.tb.Helper()
	b := &verify.Bundle{Release: release, Origin: Origin, Checkpoint: l.Checkpoint(size)}
	for _, e := range entries {
		out := verify.Entry{Index: e.Index, Payload: l.payloads[e.Index], KeyID: l.Key.ID(), Signature: l.Key.Sign(l.payloads[e.Index])}
		if e.Index < size {
			proof, err := tlog.ProveRecord(size, e.Index, l.hashes)
			must(l.tb, err)
			out.Proof = proof
		}
		b.Entries = append(b.Entries, out)
	}
	return b
}

// Judge evaluates a release's policy now and returns the verdict as it would be
// stated.
func (l *Ledger) Judge(release string) record.Verdict {
	l.tb.Helper()
	d, entries, err := lineage.Collect(l, release)
	must(l.tb, err)
	texts, err := lineage.All[record.Policy](l, record.KeyPolicy(d.Release.Record.Context.Policy.Digest))
	must(l.tb, err)
	p, err := policy.Load([]byte(texts[0].Record.Text))
	must(l.tb, err)
	v := p.Evaluate(d, l.Now)
	for _, e := range entries {
		v.Inputs = append(v.Inputs, e.Digest)
	}
	return v
}

// Promote states a verdict as it is given and a promotion that rests on it, at
// the same time, as the registry does.
func (l *Ledger) Promote(actor string, v record.Verdict, how string, until time.Time) {
	l.tb.Helper()
	rel, _, err := lineage.Last[record.Release](l, record.KeyRelease(v.Release))
	must(l.tb, err)
	history, err := lineage.History(l, v.Line)
	must(l.tb, err)
	_, live := record.StatusAt(history, v.Release, l.Now)
	now := l.Now
	verdict := l.State(actor, v)
	exception := ""
	if how == record.BrokeGlass {
		made, _, err := lineage.Last[record.Exception](l, record.KeyExceptions(v.Line))
		must(l.tb, err)
		exception = record.ExceptionID(made.Digest)
	}
	l.Now = now
	l.State(actor, record.Promotion{
		Release: v.Release, Line: v.Line, Record: v.Record, Environment: rel.Record.Context.Environment, Artifact: v.Artifact,
		How: how, Verdict: verdict.Statement.Digest(), Until: until, Replaces: live, Reason: "as the story goes", Exception: exception,
	})
}

// Relog writes the statements of a bundle on a new ledger with another key,
// with one payload put in the place of another. It answers false where the
// payload could not be logged.
func Relog(key *attest.Key, b *verify.Bundle, at int, payload []byte) (*verify.Bundle, bool) {
	var tree hashes
	out := &verify.Bundle{Release: b.Release, Origin: Origin}
	for i, e := range b.Entries {
		if i == at {
			e.Payload = payload
		}
		leaf, _, err := ledger.Project(e.Payload)
		if err != nil {
			return nil, false
		}
		stored, err := tlog.StoredHashes(int64(i), leaf, tree)
		if err != nil {
			return nil, false
		}
		tree = append(tree, stored...)
		out.Entries = append(out.Entries, verify.Entry{Index: int64(i), Payload: e.Payload, KeyID: key.ID(), Signature: key.Sign(e.Payload)})
	}
	size := int64(len(out.Entries))
	for i := range out.Entries {
		proof, err := tlog.ProveRecord(size, int64(i), tree)
		if err != nil {
			return nil, false
		}
		out.Entries[i].Proof = proof
	}
	root, err := tlog.TreeHash(size, tree)
	if err != nil {
		return nil, false
	}
	signed, err := ledger.Checkpoint{Origin: Origin, Size: size, Root: root}.Sign(key.NoteSigner())
	out.Checkpoint = string(signed)
	return out, err == nil
}
