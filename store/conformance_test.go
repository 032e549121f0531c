package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
)

func TestEmptyLog(t *testing.T) {
	onEach(t, func(sc *scene) {
		want := ledger.Checkpoint{Origin: "example.org/log", Root: merkle(nil)}
		if diff := cmp.Diff(want, sc.checkpoint()); diff != "" {
			sc.t.Errorf("checkpoint of the empty log (-want +got):\n%s", diff)
		}
		sc.view(func(v *store.View) error {
			entries, err := v.Find("key")
			_, found, err2 := v.Last("key")
			each, err3 := v.LastOfEach("")
			if len(entries) != 0 || found || len(each) != 0 {
				sc.t.Errorf("the empty log has %v, %v, %v", entries, found, each)
			}
			if _, err := v.Get(0); !errors.Is(err, store.ErrNotFound) {
				sc.t.Errorf("Get(0): %v, want ErrNotFound", err)
			}
			if _, err := v.Proof(0); !errors.Is(err, store.ErrNotFound) {
				sc.t.Errorf("Proof(0): %v, want ErrNotFound", err)
			}
			return errors.Join(err, err2, err3)
		})
		if indices, err := sc.Append(sc.t.Context(), store.ReadSet{}); indices != nil || err != nil {
			sc.t.Errorf("appending nothing: %v, %v", indices, err)
		}
		if report := sc.verified(); report.Entries != 0 || report.Checkpoints != 1 {
			sc.t.Errorf("report on the empty log: %+v", report)
		}
	})
}

func TestAppendGivesBackEveryByte(t *testing.T) {
	onEach(t, func(sc *scene) {
		// The projector's JSON refuses raw NUL, so bytes beyond text go into
		// the signature, which the store does not look into.
		first := sc.draft("first \u0000 \U0010FFFF ü", "k")
		first.Signature = []byte{0, 1, 0xff, 0}
		more := []store.Draft{sc.draft("second", "k"), sc.draft("third"), sc.draft("fourth", "k", "l")}
		one, err := sc.Append(sc.t.Context(), store.ReadSet{}, first)
		if err != nil || !slices.Equal(one, []int64{0}) {
			sc.t.Fatalf("appending one: %v, %v", one, err)
		}
		three, err := sc.Append(sc.t.Context(), store.ReadSet{}, more...)
		if err != nil || !slices.Equal(three, []int64{1, 2, 3}) {
			sc.t.Fatalf("appending three: %v, %v", three, err)
		}
		want := []store.Entry{}
		for i, d := range append([]store.Draft{first}, more...) {
			want = append(want, store.Entry{Index: int64(i), Payload: d.Payload, Signature: d.Signature})
		}
		got, err := sc.Since(sc.t.Context(), 0, 10)
		if err != nil {
			sc.t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			sc.t.Errorf("the log (-want +got):\n%s", diff)
		}
		sc.view(func(v *store.View) error {
			for i := range want {
				e, err := v.Get(int64(i))
				if diff := cmp.Diff(want[i], e); diff != "" || err != nil {
					sc.t.Errorf("Get(%d): %v\n%s", i, err, diff)
				}
			}
			return nil
		})
	})
}

func TestFinding(t *testing.T) {
	onEach(t, func(sc *scene) {
		// In the order of bytes "B" < "a" < "b" < "ä"; a human order differs.
		for _, s := range []said{
			{"0", []string{"p/a", "x"}},
			{"1", []string{"p/B"}},
			{"2", []string{"p/a"}},
			{"3", []string{"p"}},
			{"4", []string{"p/ä", "p/b"}},
			{"5", []string{"p0"}},
			{"6", []string{"x", "x", "p/a"}},
			{"7", []string{"P/a"}},
		} {
			sc.say(s.Text, s.Keys...)
		}
		find := func(key string) func(*store.View) ([]store.Entry, error) {
			return func(v *store.View) ([]store.Entry, error) { return v.Find(key) }
		}
		page := func(key string, before int64, limit int) func(*store.View) ([]store.Entry, error) {
			return func(v *store.View) ([]store.Entry, error) { return v.Page(key, before, limit) }
		}
		each := func(prefix string) func(*store.View) ([]store.Entry, error) {
			return func(v *store.View) ([]store.Entry, error) { return v.LastOfEach(prefix) }
		}
		from := func(prefix, from string, limit int) func(*store.View) ([]store.Entry, error) {
			return func(v *store.View) (out []store.Entry, err error) {
				keyed, err := v.EachFrom(prefix, from, limit)
				for _, k := range keyed {
					if !strings.HasPrefix(k.Key, prefix) || k.Key < from {
						sc.t.Errorf("from %q: the key %q", from, k.Key)
					}
					out = append(out, k.Entry)
				}
				return out, err
			}
		}
		prior := func(idx int64, limit int) func(*store.View) ([]store.Entry, error) {
			return func(v *store.View) ([]store.Entry, error) { return v.Before(idx, limit) }
		}
		since := func(idx int64, limit int) func(*store.View) ([]store.Entry, error) {
			return func(v *store.View) ([]store.Entry, error) { return v.Since(idx, limit) }
		}
		for _, c := range []struct {
			name string
			ask  func(*store.View) ([]store.Entry, error)
			want string
		}{
			{"Find p/a", find("p/a"), "0 2 6"},
			{"Find x", find("x"), "0 6"},
			{"Find p", find("p"), "3"},
			{"Find p/", find("p/"), ""},
			{"Page of all", page("p/a", 0, 10), "6 2 0"},
			{"Page of two", page("p/a", -1, 2), "6 2"},
			{"Page after that", page("p/a", 2, 2), "0"},
			{"Page beyond the end", page("p/a", 99, 1), "6"},
			{"LastOfEach p/", each("p/"), "1 6 4 4"},
			{"LastOfEach p", each("p"), "3 1 6 4 4 5"},
			{"LastOfEach all", each(""), "7 3 1 6 4 4 5 6"},
			{"LastOfEach none", each("q"), ""},
			{"EachFrom the first two", from("p/", "", 2), "1 6"},
			{"EachFrom after p/a", from("p/", "p/a\x01", 2), "4 4"},
			{"EachFrom p/a itself", from("p/", "p/a", 1), "6"},
			{"EachFrom before the prefix", from("p/", "P", 1), "1"},
			{"EachFrom the end", from("p/", "p/ä\x01", 9), ""},
			{"Before the end", prior(0, 2), "7 6"},
			{"Before 2", prior(2, 9), "1 0"},
			{"Before beyond the end", prior(99, 1), "7"},
			{"Since 6", since(6, 10), "6 7"},
			{"Since 2, two", since(2, 2), "2 3"},
			{"Since the end", since(8, 2), ""},
		} {
			sc.view(func(v *store.View) error {
				entries, err := c.ask(v)
				if got := strings.Join(textsOf(sc.t, entries), " "); got != c.want {
					sc.t.Errorf("%s: %q, want %q", c.name, got, c.want)
				}
				return err
			})
		}
	})
}

func TestLast(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.say("old", "k")
		sc.say("new", "k")
		sc.say("other", "l")
		sc.view(func(v *store.View) error {
			e, found, err := v.Last("k")
			if e.Index != 1 || !found {
				sc.t.Errorf("Last: %+v, %v", e, found)
			}
			return err
		})
	})
}

// TestSnapshot holds a view to what was there when it began.
func TestSnapshot(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.say("before", "k")
		sc.view(func(v *store.View) error {
			sc.say("during", "k")
			found, err := v.Find("k")
			since, err2 := v.Since(0, 10)
			each, err3 := v.LastOfEach("")
			if len(found) != 1 || len(since) != 1 || len(each) != 1 || v.Size() != 1 || v.ReadSet().Size != 1 {
				sc.t.Errorf("a view of one entry sees %d, %d, %d of %d", len(found), len(since), len(each), v.Size())
			}
			if c := sc.opened(v.Checkpoint()); c.Size != 1 {
				sc.t.Errorf("its checkpoint has %d", c.Size)
			}
			return errors.Join(err, err2, err3)
		})
	})
}

func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name     string
		look     func(*store.View) error
		between  []string // the keys of the entry written in between
		conflict string   // the key named, or "" when there is none
	}{
		{"the same key", find("k"), []string{"k"}, "k"},
		{"one of several keys", find("k"), []string{"a", "k", "z"}, "k"},
		{"another key", find("k"), []string{"k2", "K"}, ""},
		{"nothing was read", func(*store.View) error { return nil }, []string{"k"}, ""},
		{"a key that had no entry", find("none"), []string{"none"}, "none"},
		{"the last of a key", func(v *store.View) error { _, _, err := v.Last("k"); return err }, []string{"k"}, "k"},
		{"the newest page", func(v *store.View) error { _, err := v.Page("k", 0, 1); return err }, []string{"k"}, "k"},
		{"a page from beyond the end", func(v *store.View) error { _, err := v.Page("k", 99, 1); return err }, []string{"k"}, "k"},
		{"an older page", func(v *store.View) error { _, err := v.Page("k", 1, 1); return err }, []string{"k"}, ""},
		{"a prefix", each("p/"), []string{"p/a"}, "p/a"},
		{"a phantom under a prefix", each("q/"), []string{"q/ä"}, "q/ä"},
		{"beside a prefix", each("p/"), []string{"p", "p0", "P/a", "p."}, ""},
		{"the empty prefix", each(""), []string{"anything"}, "anything"},
		{"an entry by its index", func(v *store.View) error { _, err := v.Get(0); return err }, []string{"k"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(sc *scene) {
				sc.say("first", "k", "p/a")
				sc.say("second", "k", "p/b")
				read := sc.view(c.look)
				sc.say("between", c.between...)
				// Once from memory and once, after the reopening, from the database.
				sc.appendsOrConflicts(read, c.conflict)
				sc.reopen()
				sc.appendsOrConflicts(read, c.conflict)
			})
		})
	}
}

func find(key string) func(*store.View) error {
	return func(v *store.View) error { _, err := v.Find(key); return err }
}

func each(prefix string) func(*store.View) error {
	return func(v *store.View) error { _, err := v.LastOfEach(prefix); return err }
}

// appendsOrConflicts appends under the read set, and expects a conflict over the
// key or, when it is empty, none.
func (sc *scene) appendsOrConflicts(read store.ReadSet, key string) {
	sc.t.Helper()
	before := sc.size()
	indices, err := sc.Append(sc.t.Context(), read, sc.draft("decided", "decision"))
	switch {
	case key == "" && (err != nil || len(indices) != 1):
		sc.t.Errorf("appending: %v, %v; want no conflict", indices, err)
	case key != "" && (!errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), fmt.Sprintf("%q", key))):
		sc.t.Errorf("appending: %v; want a conflict over %q", err, key)
	case key != "" && sc.size() != before:
		sc.t.Errorf("the refused entry is in the log")
	}
}

// TestLongLog is a log whose tiles fill on the second level, and that is longer
// than what the committer remembers of it.
func TestLongLog(t *testing.T) {
	const size = 1<<16 + 300
	sc := newSQLiteScene(t)
	read := sc.view(func(v *store.View) error { return errors.Join(find("key 5")(v), each("early/")(v)) })
	var drafts []store.Draft
	for i := range size {
		keys := []string{fmt.Sprint("key ", i)}
		if i == 6 {
			keys = append(keys, "early/6")
		}
		payload := payloadOf(fmt.Sprint("entry ", i), keys...)
		drafts = append(drafts, store.Draft{Payload: payload, Signature: []byte("unsigned")})
	}
	for part := range slices.Chunk(drafts, 4096) {
		if _, err := sc.Append(t.Context(), store.ReadSet{}, part...); err != nil {
			t.Fatal(err)
		}
	}
	sc.appendsOrConflicts(store.ReadSet{Size: read.Size, Keys: read.Keys}, "key 5")
	sc.appendsOrConflicts(store.ReadSet{Size: read.Size, Prefixes: read.Prefixes}, "early/6")
	sc.appendsOrConflicts(store.ReadSet{Size: read.Size, Keys: []string{"unwritten"}, Prefixes: []string{"un"}}, "")
	leaves := sc.leaves()
	if c := sc.checkpoint(); c.Size != size+1 || c.Root != merkle(leaves) {
		t.Errorf("checkpoint %+v, want size %d and root %v", c, size+1, merkle(leaves))
	}
	var want []byte
	for i := range 256 {
		h := merkle(leaves[i<<8 : (i+1)<<8])
		want = append(want, h[:]...)
	}
	for _, c := range []struct {
		tile tlog.Tile
		want []byte
	}{
		{tlog.Tile{H: 8, L: 1, N: 0, W: 256}, want},
		{tlog.Tile{H: 8, L: 2, N: 0, W: 1}, slices.Clone(hashBytes(merkle(leaves[:1<<16])))},
	} {
		if got, err := sc.Tile(t.Context(), c.tile); err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("tile %s is wrong (%v)", ledger.TilePath(c.tile), err)
		}
	}
}

func hashBytes(h tlog.Hash) []byte { return h[:] }
