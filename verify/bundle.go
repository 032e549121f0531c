package verify

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
)

// MediaType is the media type of a bundle.
const MediaType = "application/vnd.imprimatur.bundle.v1+json"

// MaxBundle is the length in bytes of the largest bundle that is read.
const MaxBundle = 64 << 20

// format is the value of the member "bundle".
const format = "imprimatur/v1"

// ErrBundle is wrapped by every error about the form of a bundle.
var ErrBundle = errors.New("not a valid bundle")

// Bundle is a release with the statements that it rests on, proved against one
// checkpoint. Its members stand in the order of RFC 8785.
type Bundle struct {
	// Checkpoint is a signed note.
	Checkpoint string `json:"checkpoint"`
	// Entries are in ledger order.
	Entries []Entry `json:"entries"`
	// Origin is the name of the ledger.
	Origin string `json:"origin"`
	// Release is the release's ID.
	Release string `json:"release"`
}

// Entry is one statement with its signature and its proof. Its members stand in
// the order of RFC 8785.
type Entry struct {
	Index int64  `json:"index"`
	KeyID string `json:"keyid"`
	// Payload is the in-toto statement.
	Payload []byte `json:"payload"`
	// Proof is the RFC 6962 audit path from the leaf to the checkpoint.
	Proof []tlog.Hash `json:"proof"`
	// Signature is over the DSSE encoding of the payload.
	Signature []byte `json:"sig"`
}

type bundleJSON struct {
	Format string `json:"bundle"`
	Bundle `json:",inline"`
}

// Marshal writes the bundle in its only form. It refuses what [ParseBundle]
// would refuse.
func (b *Bundle) Marshal() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	out, err := writeForm(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	case len(out) > MaxBundle:
		return nil, fmt.Errorf("%w: it would have %d bytes, more than %d", ErrBundle, len(out), MaxBundle)
	}
	return out, nil
}

// ParseBundle reads a bundle, strictly: what it accepts, [Bundle.Marshal] writes
// back byte for byte. Errors wrap [ErrBundle] and say where the fault is.
func ParseBundle(data []byte) (*Bundle, error) {
	if len(data) > MaxBundle {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", ErrBundle, len(data), MaxBundle)
	}
	b, ok := readForm(data)
	if !ok {
		var err error
		if b, err = explain(data); err != nil {
			return nil, err
		}
	}
	again, err := b.Marshal()
	if err != nil {
		return nil, err
	}
	if at := firstDifference(again, data); at >= 0 {
		return nil, fmt.Errorf("%w: at byte %d it is not in canonical form (RFC 8785)", ErrBundle, at)
	}
	return b, nil
}

// explain reads as JSON what is not in the form of a bundle, to say what is
// wrong with it.
func explain(data []byte) (*Bundle, error) {
	var in bundleJSON
	if err := json.Unmarshal(data, &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if in.Format != format {
		return nil, fmt.Errorf("%w: its format is %q, not %q", ErrBundle, in.Format, format)
	}
	return &in.Bundle, nil
}

// firstDifference returns the offset of the first byte that differs, or -1.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func (b *Bundle) check() error {
	if !strings.HasPrefix(b.Release, "r-") {
		return fmt.Errorf("%w: release %q is not a release's ID", ErrBundle, b.Release)
	}
	if len(b.Entries) == 0 {
		return fmt.Errorf("%w: it has no entries", ErrBundle)
	}
	for i, e := range b.Entries {
		switch {
		case e.Index < 0 || e.Index > 1<<53:
			return fmt.Errorf("%w: the index %d of entry %d is out of range", ErrBundle, e.Index, i)
		case i > 0 && b.Entries[i-1].Index >= e.Index:
			return fmt.Errorf("%w: entry %d, with the index %d, is repeated or out of order", ErrBundle, i, e.Index)
		case len(e.Payload) == 0 || len(e.Signature) == 0 || e.KeyID == "":
			return fmt.Errorf("%w: the entry with the index %d has no payload, signature or key", ErrBundle, e.Index)
		}
	}
	return nil
}

// entries are the statements of a bundle, found by key. It is a lineage.Source.
type entries struct {
	all      []lineage.Entry
	byKey    map[string][]lineage.Entry
	byDigest map[record.Digest]bool
}

// together is how many statements one goroutine reads.
const together = 8

// readEntries reads and proves the statements, on all cores, and returns the
// first fault in their order.
func readEntries(in []Entry, at ledger.Checkpoint) (entries, error) {
	read, faults := make([]lineage.Entry, len(in)), make([]error, len(in))
	var working sync.WaitGroup
	for first := 0; first < len(in); first += together {
		working.Go(func() {
			for i := first; i < min(first+together, len(in)); i++ {
				read[i], faults[i] = readEntry(in[i], at)
			}
		})
	}
	working.Wait()
	out := entries{all: read, byKey: make(map[string][]lineage.Entry, 8*len(in)), byDigest: make(map[record.Digest]bool, len(in))}
	for i, e := range read {
		if faults[i] != nil {
			return entries{}, faults[i]
		}
		out.byDigest[e.Digest] = true
		for _, key := range e.Statement.Keys() {
			if under := out.byKey[key]; len(under) == 0 || under[len(under)-1].Index != e.Index {
				out.byKey[key] = append(under, e)
			}
		}
	}
	return out, nil
}

// readEntry decodes a statement, computes its leaf anew and proves it against
// the checkpoint.
func readEntry(e Entry, at ledger.Checkpoint) (lineage.Entry, error) {
	s, err := attest.DecodeStatement(e.Payload)
	if err != nil {
		return lineage.Entry{}, fmt.Errorf("the statement at index %d cannot be read: %w", e.Index, err)
	}
	leaf, err := ledger.LeafOf(s, e.Payload)
	if err != nil {
		return lineage.Entry{}, fmt.Errorf("the statement at index %d has no leaf: %w", e.Index, err)
	}
	if err := prove(e, at, leaf); err != nil {
		return lineage.Entry{}, fmt.Errorf("the statement at index %d, a %s by %s, is not proved to be in the ledger: %w", e.Index, s.Body.Kind(), s.Actor, err)
	}
	return lineage.Entry{Index: e.Index, Digest: record.DigestOf(e.Payload), Statement: s}, nil
}

func prove(e Entry, at ledger.Checkpoint, leaf []byte) error {
	if e.Index >= at.Size {
		return fmt.Errorf("the checkpoint has only %d statements", at.Size)
	}
	return tlog.CheckRecord(e.Proof, at.Size, at.Root, e.Index, tlog.RecordHash(leaf))
}

// Find implements lineage.Source.
func (e entries) Find(key string) ([]lineage.Entry, error) { return e.byKey[key], nil }
