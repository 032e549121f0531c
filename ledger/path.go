package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A Step is one step from a leaf up to the root: the hash beside the way, on
// which side it stands, and what the two hash to.
type Step struct {
	Beside tlog.Hash
	// Left says that Beside is the left one of the two.
	Left bool
	Hash tlog.Hash
}

// Climb follows an audit path from a leaf's hash up to the root of a tree of the
// given size, as RFC 9162 section 2.1.3.2 says, and returns every step. The last
// hash is the root; without a step it is the leaf's own.
func Climb(leaf tlog.Hash, index, size int64, path []tlog.Hash) ([]Step, error) {
	if index < 0 || index >= size {
		return nil, fmt.Errorf("%w: entry %d of a tree of %d", ErrTiles, index, size)
	}
	at, last, hash := index, size-1, leaf
	steps := make([]Step, 0, len(path))
	for _, beside := range path {
		if last == 0 {
			return nil, fmt.Errorf("%w: the path has %d hashes, more than its tree", ErrTiles, len(path))
		}
		left := at&1 == 1 || at == last
		if left {
			hash = tlog.NodeHash(beside, hash)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			hash = tlog.NodeHash(hash, beside)
		}
		steps = append(steps, Step{beside, left, hash})
		at, last = at>>1, last>>1
	}
	if last != 0 {
		return nil, fmt.Errorf("%w: the path has %d hashes, fewer than its tree", ErrTiles, len(path))
	}
	return steps, nil
}
