package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRecentAgainstAll holds what is remembered of the last entries to a plain
// list of all entries.
func TestRecentAgainstAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 3).Draw(t, "start")
		key := rapid.StringMatching("[ab]{1,3}")
		r := newRecent(start)
		all := make([][]string, start)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if n := rapid.IntRange(0, len(r.keys)).Draw(t, "forget"); rapid.IntRange(0, 9).Draw(t, "whether") == 0 {
				r.forget(n)
			}
			keys := rapid.SliceOfN(key, 0, 3).Draw(t, "keys")
			r.add(keys)
			all = append(all, keys)

			read := ReadSet{
				Size: rapid.Int64Range(0, int64(len(all))).Draw(t, "size"),
				Keys: rapid.SliceOfN(key, 0, 2).Draw(t, "read keys"), Prefixes: rapid.SliceOfN(key, 0, 2).Draw(t, "read prefixes"),
			}
			got, found, known := r.conflict(read)
			overtaken := conflicts(all[read.Size:], read)
			switch {
			case found && !slices.Contains(overtaken, got):
				t.Fatalf("%+v: conflict over %q, which is none of %q", read, got, overtaken)
			case !found && known && len(overtaken) > 0:
				t.Fatalf("%+v: no conflict, but there are %q", read, overtaken)
			case !known && read.Size >= r.from:
				t.Fatalf("%+v is said to be older than %d", read, r.from)
			}
		}
		if remembered := slices.Concat(r.keys...); len(r.last) > len(remembered) {
			t.Fatalf("%d keys are remembered of %d", len(r.last), len(remembered))
		}
	})
}

// conflicts returns the keys of the entries that the read set was asked for.
func conflicts(entries [][]string, read ReadSet) (keys []string) {
	for _, key := range slices.Concat(entries...) {
		if slices.Contains(read.Keys, key) ||
			slices.ContainsFunc(read.Prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestRecentIsBounded adds far more than is to be remembered.
func TestRecentIsBounded(t *testing.T) {
	r := newRecent(0)
	for i := range 5 * recentWindow {
		r.add([]string{fmt.Sprint(i)})
		if len(r.keys) > 2*recentWindow || len(r.last) != len(r.keys) {
			t.Fatalf("after %d entries, %d are remembered under %d keys", i+1, len(r.keys), len(r.last))
		}
		if i >= recentWindow && len(r.keys) < recentWindow {
			t.Fatalf("after %d entries, only %d are remembered", i+1, len(r.keys))
		}
	}
}
