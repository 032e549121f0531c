package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
)

// The reference is tlog's own proof: every entry of every small tree must lead to
// the root that tlog computes, and to no other by a path that is a hash off.
func TestClimbReachesTheRoot(t *testing.T) {
	var leaves, stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, x := range at {
			out[i] = stored[x]
		}
		return out, nil
	})
	for size := int64(1); size <= 70; size++ {
		leaf := fmt.Appendf(nil, "leaf %d", size-1)
		leaves = append(leaves, tlog.RecordHash(leaf))
		more, err := tlog.StoredHashes(size-1, leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		root, err := tlog.TreeHash(size, read)
		if err != nil {
			t.Fatal(err)
		}
		for i := range size {
			path, err := tlog.ProveRecord(size, i, read)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := ledger.Climb(leaves[i], i, size, path)
			if err != nil {
				t.Fatalf("%d of %d: %v", i, size, err)
			}
			top := leaves[i]
			if len(steps) > 0 {
				top = steps[len(steps)-1].Hash
			}
			if top != root || len(steps) != len(path) {
				t.Fatalf("%d of %d: %v after %d steps, want %v", i, size, top, len(steps), root)
			}
			if _, err := ledger.Climb(leaves[i], i, size, append(path, root)); !errors.Is(err, ledger.ErrTiles) {
				t.Errorf("%d of %d: a longer path is %v", i, size, err)
			}
			if len(path) > 0 {
				if _, err := ledger.Climb(leaves[i], i, size, path[1:]); !errors.Is(err, ledger.ErrTiles) {
					t.Errorf("%d of %d: a shorter path is %v", i, size, err)
				}
			}
		}
	}
	if _, err := ledger.Climb(tlog.Hash{}, 3, 3, nil); err == nil {
		t.Error("an entry beyond the tree has a path")
	}
}
