package ledger

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// TileWidth is the number of hashes in a full tile, 2 to the tile height of 8
// that C2SP tlog-tiles fixes.
const (
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// ErrTiles is wrapped by errors about tiles that are missing, too short or do
// not add up to the root that they should.
var ErrTiles = errors.New("the tiles do not make up the tree")

// A Tile is the run of hashes of tree level 8·Level that starts at
// 256·Number: len(Data)/32 of them, 1 to 256.
type Tile struct {
	Level  int
	Number int64
	Data   []byte
}

// A Tree is the right edge of the Merkle tree over the first Size leaves. It
// is a value: Append makes a new one and leaves the old one as it was. The zero
// Tree is the empty one.
type Tree struct {
	size int64
	// peaks[i] is the hash of the complete subtree of 2^i leaves that ends the
	// tree's run of that height; it is meaningful where bit i of size is set.
	peaks []tlog.Hash
	// edge[l] holds the hashes of the partial tile at level l, always fewer
	// than TileWidth.
	edge [][]byte
}

// Size returns the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Root returns the RFC 6962 Merkle tree hash.
func (t *Tree) Root() tlog.Hash {
	var root tlog.Hash
	first := true
	for i, peak := range t.peaks {
		switch {
		case t.size>>i&1 == 0:
		case first:
			root, first = peak, false
		default:
			root = tlog.NodeHash(peak, root)
		}
	}
	if first {
		root, _ = tlog.TreeHash(0, nil) // the hash of the empty tree reads nothing
	}
	return root
}

// Append returns the tree with the given record hashes (tlog.RecordHash of
// each leaf) added, and the tiles that changed: each full one once, and the
// partial one of each level that grew.
func (t *Tree) Append(records ...tlog.Hash) (*Tree, []Tile) {
	next := &Tree{size: t.size, peaks: append([]tlog.Hash(nil), t.peaks...), edge: make([][]byte, len(t.edge))}
	for l, part := range t.edge {
		next.edge[l] = append(make([]byte, 0, TileWidth*tlog.HashSize), part...)
	}
	var tiles []Tile
	grown := 0 // levels below this one have grown
	for _, h := range records {
		tiles, grown = next.add(h, tiles, grown)
	}
	for l := range grown {
		if part := next.edge[l]; len(part) > 0 {
			tiles = append(tiles, Tile{Level: l, Number: next.size >> (TileHeight * (l + 1)), Data: bytes.Clone(part)})
		}
	}
	return next, tiles
}

// add takes one record hash into the tree, climbing while it completes
// subtrees, and hands over each tile that it fills.
func (t *Tree) add(h tlog.Hash, tiles []Tile, grown int) ([]Tile, int) {
	for i := 0; ; i++ {
		if i%TileHeight == 0 {
			l := i / TileHeight
			if l == len(t.edge) {
				t.edge = append(t.edge, nil)
			}
			if t.edge[l] == nil {
				t.edge[l] = make([]byte, 0, TileWidth*tlog.HashSize)
			}
			t.edge[l] = append(t.edge[l], h[:]...)
			grown = max(grown, l+1)
			if len(t.edge[l]) == TileWidth*tlog.HashSize {
				tiles = append(tiles, Tile{Level: l, Number: t.size >> (TileHeight * (l + 1)), Data: t.edge[l]})
				t.edge[l] = nil
			}
		}
		if t.size>>i&1 == 0 {
			if i == len(t.peaks) {
				t.peaks = append(t.peaks, tlog.Hash{})
			}
			t.peaks[i] = h
			t.size++
			return tiles, grown
		}
		h = tlog.NodeHash(t.peaks[i], h)
	}
}

// Restore builds the tree of the given size from its partial tiles. tile
// returns the stored data of a tile, which may be wider than the tree (a tile
// only ever grows at its end). The caller compares the root.
func Restore(size int64, tile func(level int, number int64) ([]byte, error)) (*Tree, error) {
	if size < 0 {
		return nil, fmt.Errorf("%w: size %d", ErrTiles, size)
	}
	t := &Tree{size: size}
	for l := 0; size>>(TileHeight*l) > 0; l++ {
		number := size >> (TileHeight * (l + 1))
		width := int(size >> (TileHeight * l) & (TileWidth - 1))
		t.edge = append(t.edge, nil)
		t.peaks = append(t.peaks, make([]tlog.Hash, TileHeight)...)
		if width == 0 {
			continue
		}
		data, err := tile(l, number)
		if err != nil {
			return nil, fmt.Errorf("reading tile %d of level %d: %w", number, l, err)
		}
		if len(data) < width*tlog.HashSize {
			return nil, fmt.Errorf("%w: tile %d of level %d has %d bytes, %d hashes needed", ErrTiles, number, l, len(data), width)
		}
		data = data[:width*tlog.HashSize]
		t.edge[l] = append(make([]byte, 0, TileWidth*tlog.HashSize), data...)
		for i := TileHeight - 1; i >= 0; i-- {
			if width>>i&1 == 1 {
				t.peaks[l*TileHeight+i] = subtree(data[:tlog.HashSize<<i])
				data = data[tlog.HashSize<<i:]
			}
		}
	}
	return t, nil
}

// subtree returns the root over a power of two of hashes.
func subtree(data []byte) tlog.Hash {
	if len(data) == tlog.HashSize {
		return tlog.Hash(data)
	}
	half := len(data) / 2
	return tlog.NodeHash(subtree(data[:half]), subtree(data[half:]))
}

// NewHashReader returns a reader over stored tiles for [tlog.TreeHash],
// [tlog.ProveRecord] and [tlog.ProveTree], at any size up to that of the log.
// tile is called once for each tile that a call needs.
func NewHashReader(tile func(level int, number int64) ([]byte, error)) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		type place struct {
			level  int
			number int64
		}
		seen := map[place][]byte{}
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			at := tlog.TileForIndex(TileHeight, index)
			data, ok := seen[place{at.L, at.N}]
			if !ok {
				var err error
				if data, err = tile(at.L, at.N); err != nil {
					return nil, fmt.Errorf("reading tile %d of level %d: %w", at.N, at.L, err)
				}
				seen[place{at.L, at.N}] = data
			}
			hash, err := tlog.HashFromTile(at, data, index)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrTiles, err)
			}
			hashes[i] = hash
		}
		return hashes, nil
	})
}
