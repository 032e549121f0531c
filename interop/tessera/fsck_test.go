package tessera

import (
	"bytes"
	"context"
	"testing"

	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
)

// published is a ledger as its readers see it: a checkpoint and tiles.
type published struct {
	log *store.Store
	// forged says that one leaf is another one than the tree covers. One only:
	// each of Tessera's workers ends at the first fault that it finds, and when
	// none is left it waits for ever.
	forged bool
}

func (p published) ReadCheckpoint(ctx context.Context) ([]byte, error) { return p.log.Checkpoint(ctx) }

func (p published) ReadTile(ctx context.Context, level, index uint64, partial uint8) ([]byte, error) {
	return p.log.Tile(ctx, tile(int(level), index, partial))
}

func (p published) ReadEntryBundle(ctx context.Context, index uint64, partial uint8) ([]byte, error) {
	bundle, err := p.log.Tile(ctx, tile(ledger.EntriesLevel, index, partial))
	if p.forged && index == 7 {
		bundle = bytes.Replace(bundle, []byte("evaluator-7"), []byte("evaluator-8"), 1)
	}
	return bundle, err
}

// tile names a tile as Tessera does: a width of 0 is a full one.
func tile(level int, index uint64, partial uint8) tlog.Tile {
	width := int(partial)
	if width == 0 {
		width = ledger.TileWidth
	}
	return tlog.Tile{H: ledger.TileHeight, L: level, N: int64(index), W: width}
}

func leafHashes(bundle []byte) ([][]byte, error) {
	leaves, err := ledger.ParseEntries(bundle)
	var hashes [][]byte
	for _, leaf := range leaves {
		hash := tlog.RecordHash(leaf)
		hashes = append(hashes, hash[:])
	}
	return hashes, err
}

// 70,000 leaves make three levels of tiles, full and partial.
const leaves = 70_000

func TestTesseraChecksOurLedger(t *testing.T) {
	key, log := openStore(t)
	drafts := make([]store.Draft, 4000)
	for have := 0; have < leaves; have += len(drafts) {
		for i := range drafts {
			d, err := draftOf(key, int64(have+i))
			if err != nil {
				t.Fatal(err)
			}
			drafts[i] = d
		}
		if _, err := log.Append(t.Context(), store.ReadSet{}, drafts[:min(len(drafts), leaves-have)]...); err != nil {
			t.Fatal(err)
		}
	}
	verifier, err := note.NewVerifier(key.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	check := func(p published) error {
		return fsck.New(key.Name(), verifier, p, leafHashes, fsck.Opts{N: 16}).Check(t.Context())
	}
	if err := check(published{log: log}); err != nil {
		t.Errorf("Tessera refuses our ledger: %v", err)
	}
	if err := check(published{log: log, forged: true}); err == nil {
		t.Error("Tessera accepts a forged leaf too, so this test shows nothing")
	}
}
