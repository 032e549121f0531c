package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrPath is wrapped by errors about tile paths.
var ErrPath = errors.New("not a tile path")

// EntriesLevel is the level of an entry bundle in a [tlog.Tile].
const EntriesLevel = -1

// maxTileLevel is the highest level of C2SP tlog-tiles ("Merkle Tree": L is
// between 0 and 5).
const maxTileLevel = 5

// TilePath returns the C2SP tlog-tiles path of a tile or, for level
// [EntriesLevel], of an entry bundle: "tile/0/x001/x234/067.p/8".
func TilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/8/")
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return "tile/" + path
}

// ParseTilePath is the inverse of [TilePath]; paths in any other form are
// refused with an error that wraps [ErrPath].
func ParseTilePath(path string) (tlog.Tile, error) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || strings.HasPrefix(rest, "data/") {
		return tlog.Tile{}, fmt.Errorf("%w: %q", ErrPath, path)
	}
	if entries, ok := strings.CutPrefix(rest, "entries/"); ok {
		rest = "data/" + entries
	}
	t, err := tlog.ParseTilePath("tile/8/" + rest)
	if err != nil || t.L > maxTileLevel || t.N < 0 || TilePath(t) != path {
		return tlog.Tile{}, fmt.Errorf("%w: %q", ErrPath, path)
	}
	return t, nil
}

// AppendEntry appends a leaf to an entry bundle (C2SP tlog-tiles, "Log
// entries": a big-endian uint16 length, then the leaf).
func AppendEntry(bundle, leaf []byte) ([]byte, error) {
	if len(leaf) > MaxLeaf {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrLeaf, len(leaf), MaxLeaf)
	}
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf)))
	return append(bundle, leaf...), nil
}

// ParseEntries returns the leaves of an entry bundle; they share its memory.
func ParseEntries(bundle []byte) ([][]byte, error) {
	var leaves [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("entry bundle ends inside the length of leaf %d", len(leaves))
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+n {
			return nil, fmt.Errorf("entry bundle ends inside leaf %d", len(leaves))
		}
		if len(leaves) == TileWidth {
			return nil, fmt.Errorf("entry bundle has more than %d leaves", TileWidth)
		}
		leaves = append(leaves, bundle[2:2+n:2+n])
		bundle = bundle[2+n:]
	}
	return leaves, nil
}
