package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"imprimatur.dev/ledger"
)

// kept is the storage of a test: tiles by place, as a database would hold them.
type kept map[[2]int64][]byte

func (k kept) put(t testing.TB, tiles []ledger.Tile) {
	t.Helper()
	for _, tile := range tiles {
		at := [2]int64{int64(tile.Level), tile.Number}
		if n := len(tile.Data); n == 0 || n%tlog.HashSize != 0 || n > ledger.TileWidth*tlog.HashSize {
			t.Fatalf("tile %v has %d bytes", at, n)
		}
		if old := k[at]; !bytes.HasPrefix(tile.Data, old) || len(old) == len(tile.Data) {
			t.Fatalf("tile %v did not grow at its end", at)
		}
		k[at] = bytes.Clone(tile.Data)
	}
}

func (k kept) tile(level int, number int64) ([]byte, error) {
	data, ok := k[[2]int64{int64(level), number}]
	if !ok {
		return nil, errors.New("not kept")
	}
	return data, nil
}

func record(i int) tlog.Hash {
	return tlog.RecordHash(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

// bruteRoot is RFC 6962 section 2.1 word for word.
func bruteRoot(leaves []tlog.Hash) tlog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := bruteRoot(leaves[:k]), bruteRoot(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func records(n int) []tlog.Hash {
	out := make([]tlog.Hash, n)
	for i := range out {
		out[i] = record(i)
	}
	return out
}

func TestTreeGrowsInAnyBatches(t *testing.T) {
	all := records(70_000)
	rapid.Check(t, func(t *rapid.T) {
		store := kept{}
		tree := new(ledger.Tree)
		sizes := rapid.SliceOfN(rapid.OneOf(
			rapid.IntRange(0, 5), rapid.IntRange(250, 260), rapid.SampledFrom([]int{1, 255, 256, 257, 512, 3000}),
			rapid.SampledFrom([]int{65_535, 65_536, 65_537})), 1, 8).Draw(t, "batches")
		for _, n := range sizes {
			n = min(n, len(all)-int(tree.Size()))
			before, root := tree.Size(), tree.Root()
			next, tiles := tree.Append(all[before : before+int64(n)]...)
			if tree.Size() != before || tree.Root() != root {
				t.Fatal("Append changed the tree that it was called on")
			}
			for _, tile := range tiles {
				at := [2]int64{int64(tile.Level), tile.Number}
				if !bytes.HasPrefix(tile.Data, store[at]) || len(tile.Data) == len(store[at]) {
					t.Fatalf("tile %v did not grow at its end", at)
				}
				store[at] = tile.Data
			}
			tree = next
			if want := bruteRoot(all[:tree.Size()]); tree.Root() != want {
				t.Fatalf("root at %d is %v, want %v", tree.Size(), tree.Root(), want)
			}
			again, err := ledger.Restore(tree.Size(), store.tile)
			if err != nil {
				t.Fatal(err)
			}
			if again.Root() != tree.Root() || again.Size() != tree.Size() {
				t.Fatalf("restored at %d: root %v, want %v", tree.Size(), again.Root(), tree.Root())
			}
			if rapid.Bool().Draw(t, "restart") {
				tree = again
			}
		}
		for at, data := range store {
			if at[0] != 0 {
				continue
			}
			for i := range len(data) / tlog.HashSize {
				if tlog.Hash(data[i*tlog.HashSize:][:tlog.HashSize]) != all[at[1]*ledger.TileWidth+int64(i)] {
					t.Fatalf("tile %v has a wrong hash at %d", at, i)
				}
			}
		}
	})
}

func TestProofsAtEverySmallSize(t *testing.T) {
	const n = 300
	all := records(n)
	store := kept{}
	tree, tiles := new(ledger.Tree).Append(all...)
	store.put(t, tiles)
	reader := ledger.NewHashReader(store.tile)
	roots := make([]tlog.Hash, n+1)
	for size := range n + 1 {
		roots[size] = bruteRoot(all[:size])
		got, err := tlog.TreeHash(int64(size), reader)
		if err != nil || got != roots[size] {
			t.Fatalf("root at %d: %v, %v", size, got, err)
		}
	}
	if tree.Root() != roots[n] {
		t.Fatal("the tree's own root is wrong")
	}
	for size := int64(1); size <= n; size += 7 {
		for i := int64(0); i < size; i += 3 {
			proof, err := tlog.ProveRecord(size, i, reader)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(proof, size, roots[size], i, all[i]); err != nil {
				t.Fatalf("leaf %d in %d: %v", i, size, err)
			}
			if err := tlog.CheckRecord(proof, size, roots[size], i, record(n+1)); err == nil {
				t.Fatalf("leaf %d in %d: a foreign leaf was accepted", i, size)
			}
		}
		for old := int64(1); old <= size; old += 5 {
			proof, err := tlog.ProveTree(size, old, reader)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckTree(proof, size, roots[size], old, roots[old]); err != nil {
				t.Fatalf("%d is in %d: %v", old, size, err)
			}
		}
	}
}

func TestProofsInABigTree(t *testing.T) {
	all := records(66_000)
	store := kept{}
	_, tiles := new(ledger.Tree).Append(all...)
	store.put(t, tiles)
	reader := ledger.NewHashReader(store.tile)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, len(all)).Draw(t, "size")
		i := rapid.IntRange(0, size-1).Draw(t, "leaf")
		root := bruteRoot(all[:size])
		proof, err := tlog.ProveRecord(int64(size), int64(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, int64(size), root, int64(i), all[i]); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMissingAndShortTilesAreReported(t *testing.T) {
	store := kept{}
	_, tiles := new(ledger.Tree).Append(records(700)...)
	store.put(t, tiles)
	short := kept{}
	for at, data := range store {
		short[at] = data[:len(data)-tlog.HashSize]
	}
	if _, err := ledger.Restore(700, short.tile); !errors.Is(err, ledger.ErrTiles) {
		t.Errorf("restoring from short tiles: %v", err)
	}
	if _, err := tlog.TreeHash(700, ledger.NewHashReader(short.tile)); !errors.Is(err, ledger.ErrTiles) {
		t.Errorf("reading short tiles: %v", err)
	}
	if _, err := ledger.Restore(1<<20, store.tile); err == nil {
		t.Error("restoring a tree larger than its tiles succeeded")
	}
	if _, err := ledger.Restore(-1, store.tile); !errors.Is(err, ledger.ErrTiles) {
		t.Errorf("restoring a negative size: %v", err)
	}
}

func BenchmarkTreeAppend(b *testing.B) {
	for _, batch := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			hashes := records(batch)
			tree := new(ledger.Tree)
			b.ReportAllocs()
			for b.Loop() {
				tree, _ = tree.Append(hashes...)
				tree.Root()
			}
		})
	}
}
