package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
)

// stops are the sizes that the tests' log stops at: around the width of a tile.
var stops = []int64{1, 2, 7, 255, 256, 257, 512, 600}

// TestRoots holds each checkpoint, and the root of each size, to the tree of
// the RFC's own definition.
func TestRoots(t *testing.T) {
	onEach(t, func(sc *scene) {
		for _, size := range stops {
			sc.grow(size)
			want := ledger.Checkpoint{Origin: "example.org/log", Size: size, Root: merkle(sc.leaves())}
			if got := sc.checkpoint(); got != want {
				sc.t.Errorf("checkpoint %+v, want %+v", got, want)
			}
		}
		leaves := sc.leaves()
		sc.view(func(v *store.View) error {
			for size := range int64(len(leaves)) + 1 {
				root, err := v.Root(size)
				if err != nil || root != merkle(leaves[:size]) {
					return fmt.Errorf("root of %d is %v (%w), want %v", size, root, err, merkle(leaves[:size]))
				}
			}
			for _, size := range []int64{-1, int64(len(leaves)) + 1} {
				if _, err := v.Root(size); !errors.Is(err, store.ErrNotFound) {
					sc.t.Errorf("root of %d: %v, want ErrNotFound", size, err)
				}
			}
			return nil
		})
	})
}

func TestInclusion(t *testing.T) {
	onEach(t, func(sc *scene) {
		for _, size := range stops {
			sc.grow(size)
			leaves := sc.leaves()
			for _, idx := range []int64{0, size / 3, size / 2, size - 1} {
				p, err := sc.Proof(sc.t.Context(), idx)
				if err != nil {
					sc.t.Fatal(err)
				}
				c := sc.opened(p.Checkpoint)
				if c.Size != size || p.Index != idx {
					sc.t.Fatalf("the proof of %d is of %d, in a log of %d", idx, p.Index, c.Size)
				}
				if err := tlog.CheckRecord(p.Hashes, c.Size, c.Root, idx, tlog.RecordHash(leaves[idx])); err != nil {
					sc.t.Errorf("entry %d of %d: %v", idx, size, err)
				}
				if tlog.CheckRecord(p.Hashes, c.Size, c.Root, idx, tlog.RecordHash([]byte("another leaf"))) == nil {
					sc.t.Errorf("the proof of entry %d of %d proves anything", idx, size)
				}
			}
		}
		for _, idx := range []int64{-1, 600} {
			if _, err := sc.Proof(sc.t.Context(), idx); !errors.Is(err, store.ErrNotFound) {
				sc.t.Errorf("proof of entry %d: %v, want ErrNotFound", idx, err)
			}
		}
	})
}

func TestConsistency(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(600)
		leaves := sc.leaves()
		for i, larger := range stops {
			for _, smaller := range stops[:i+1] {
				p, err := sc.Consistency(sc.t.Context(), smaller, larger)
				if err != nil {
					sc.t.Fatal(err)
				}
				if err := tlog.CheckTree(p, larger, merkle(leaves[:larger]), smaller, merkle(leaves[:smaller])); err != nil {
					sc.t.Errorf("from %d to %d: %v", smaller, larger, err)
				}
			}
		}
		for _, sizes := range [][2]int64{{0, 1}, {-1, 1}, {2, 1}, {1, 601}} {
			if _, err := sc.Consistency(sc.t.Context(), sizes[0], sizes[1]); !errors.Is(err, store.ErrNotFound) {
				sc.t.Errorf("from %d to %d: %v, want ErrNotFound", sizes[0], sizes[1], err)
			}
		}
	})
}

// TestTiles asks for every tile and bundle of every width that the log has.
func TestTiles(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(600)
		leaves := sc.leaves()
		for n := range int64(3) {
			for width := 1; width <= min(256, 600-256*int(n)); width++ {
				if width > 3 && width < 250 && width != 88 {
					continue // all alike
				}
				part := leaves[256*n : 256*int(n)+width]
				var hashes []byte
				for _, leaf := range part {
					hashes = append(hashes, hashBytes(merkle([][]byte{leaf}))...)
				}
				sc.tileIs(tlog.Tile{H: 8, L: 0, N: n, W: width}, hashes)
				sc.tileIs(tlog.Tile{H: 8, L: ledger.EntriesLevel, N: n, W: width}, bundleOf(part))
			}
		}
		first, second := merkle(leaves[:256]), merkle(leaves[256:512])
		sc.tileIs(tlog.Tile{H: 8, L: 1, N: 0, W: 1}, first[:])
		sc.tileIs(tlog.Tile{H: 8, L: 1, N: 0, W: 2}, append(first[:], second[:]...))
		for _, beyond := range []tlog.Tile{
			{H: 8, L: 0, N: 2, W: 89},
			{H: 8, L: 0, N: 2, W: 256},
			{H: 8, L: 0, N: 3, W: 1},
			{H: 8, L: 1, N: 0, W: 3},
			{H: 8, L: 2, N: 0, W: 1},
			{H: 8, L: -1, N: 2, W: 89},
			{H: 8, L: 0, N: 1 << 62, W: 1},
			{H: 8, L: 0, N: 0, W: 257},
			{H: 8, L: 0, N: 0, W: 0},
			{H: 8, L: 0, N: -1, W: 1},
			{H: 8, L: -2, N: 0, W: 1},
			{H: 7, L: 0, N: 0, W: 1},
		} {
			if data, err := sc.Tile(sc.t.Context(), beyond); !errors.Is(err, store.ErrNotFound) {
				sc.t.Errorf("tile %+v: %d bytes, %v; want ErrNotFound", beyond, len(data), err)
			}
		}
	})
}

func (sc *scene) tileIs(tile tlog.Tile, want []byte) {
	sc.t.Helper()
	got, err := sc.Tile(sc.t.Context(), tile)
	if err != nil || !bytes.Equal(got, want) {
		sc.t.Errorf("%s: %d bytes, %v; want other %d bytes", ledger.TilePath(tile), len(got), err, len(want))
	}
}

// TestExtends asks about checkpoints from elsewhere.
func TestExtends(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(5)
		older := sc.checkpoint()
		sc.grow(9)
		other := older
		other.Root = merkle(sc.leaves()[:6])
		longer := sc.checkpoint()
		longer.Size++
		foreign := older
		foreign.Origin = "example.org/other"
		for _, c := range []struct {
			name string
			at   ledger.Checkpoint
			ok   bool
		}{
			{"older", older, true},
			{"the newest", sc.checkpoint(), true},
			{"the empty log", ledger.Checkpoint{Origin: older.Origin, Root: merkle(nil)}, true},
			{"another history", other, false},
			{"longer", longer, false},
			{"another log", foreign, false},
		} {
			err := sc.Extends(sc.t.Context(), c.at)
			if c.ok && err != nil || !c.ok && !errors.Is(err, store.ErrForked) {
				sc.t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}
