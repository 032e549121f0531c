package store_test

import (
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
	"imprimatur.dev/store/storetest"
)

// TestBackupRestoredUnderARunningServer puts the database back to an earlier
// state while it is being served: signing on would fork the log.
func TestBackupRestoredUnderARunningServer(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(300)
		old, err := sc.Checkpoint(sc.t.Context())
		if err != nil {
			sc.t.Fatal(err)
		}
		c := sc.checkpoint()
		sc.grow(400)
		sc.tamper("DELETE FROM entries WHERE idx >= $1", c.Size)
		sc.tamper("DELETE FROM facts WHERE idx >= $1", c.Size)
		sc.tamper("UPDATE head SET size = $1, root = $2, note = $3", c.Size, c.Root[:], old)
		for range 3 { // the refusal lasts, whatever was forgotten after an error
			if _, err := sc.Append(sc.t.Context(), store.ReadSet{}, sc.draft("on", "k")); !errors.Is(err, store.ErrForked) {
				sc.t.Fatalf("appended to a log that had gone back: %v, want ErrForked", err)
			}
		}
		if n := len(sc.texts()); n != 300 {
			sc.t.Errorf("reading gives %d entries", n)
		}
		sc.close()
		if sc.place.Engine == "sqlite" { // what was kept beside it still tells of 400
			if _, err := store.Open(sc.t.Context(), sc.place.DSN, sc.options()); !errors.Is(err, store.ErrForked) {
				sc.t.Errorf("opened again: %v, want ErrForked", err)
			}
		}
	})
}

// TestOtherLogUnderARunningServer puts a longer log of the same name and key in
// the place of the one that is being served.
func TestOtherLogUnderARunningServer(t *testing.T) {
	sc := newScene(t, storetest.Postgres(t))
	sc.grow(10)
	other := &scene{t: t, place: storetest.Postgres(t), key: sc.key}
	other.Store = other.place.Open(sc.options())
	other.say("not entry 0", "k")
	other.grow(12)
	signed, err := other.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := other.Since(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries[:10] {
		sc.tamper("UPDATE entries SET payload = $1, sig = $2 WHERE idx = $3", e.Payload, e.Signature, e.Index)
	}
	for _, e := range entries[10:] {
		sc.tamper("INSERT INTO entries (idx, payload, sig) VALUES ($1, $2, $3)", e.Index, e.Payload, e.Signature)
	}
	c := other.checkpoint()
	tile, err := other.Tile(t.Context(), tlog.Tile{H: ledger.TileHeight, W: 12})
	if err != nil {
		t.Fatal(err)
	}
	sc.tamper("UPDATE tiles SET data = $1 WHERE level = 0 AND num = 0", tile)
	sc.tamper("UPDATE head SET size = $1, root = $2, note = $3", c.Size, c.Root[:], signed)
	for range 2 {
		if _, err := sc.Append(t.Context(), store.ReadSet{}, sc.draft("on", "k")); !errors.Is(err, store.ErrForked) {
			t.Fatalf("appended to another log: %v, want ErrForked", err)
		}
	}
}

// TestReadSetOfALongerLog is one that no view of this log can have given.
func TestReadSetOfALongerLog(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.say("one", "k")
		read := store.ReadSet{Size: 2, Keys: []string{"k"}}
		if _, err := sc.Append(sc.t.Context(), read, sc.draft("two", "k")); !errors.Is(err, store.ErrConflict) {
			sc.t.Errorf("%v, want ErrConflict", err)
		}
		read.Size = 1
		if _, err := sc.Append(sc.t.Context(), read, sc.draft("two", "k")); err != nil {
			sc.t.Error(err)
		}
	})
}
