package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprimatur.dev/store"
)

// TestAnsweredIsInTheFiles copies the database's files after each append, as a
// crash would leave them, and demands all that was answered from the copy. The
// transactions are smaller and larger than what is gathered.
func TestAnsweredIsInTheFiles(t *testing.T) {
	sc := newSQLiteScene(t)
	var want int64
	for _, c := range []struct{ entries, bytes int }{{1, 10}, {1, 10}, {10, 1000}, {100, 1000}, {1, 1 << 20}, {1500, 16 << 10}, {1, 10}} {
		drafts := make([]store.Draft, c.entries)
		for i := range drafts {
			drafts[i] = store.Draft{
				Payload: []byte(strings.Repeat("x", c.bytes)), Signature: []byte("s"),
				Leaf: []byte("leaf"), Keys: []string{fmt.Sprint("key ", i*7919%1500), "every"},
			}
		}
		if _, err := sc.Append(sc.t.Context(), store.ReadSet{}, drafts...); err != nil {
			t.Fatal(err)
		}
		want += int64(c.entries)
		if got := sizeOfCopy(t, sc); got != want {
			t.Fatalf("after %d entries of %d bytes, the files hold %d entries, want %d", c.entries, c.bytes, got, want)
		}
	}
}

// sizeOfCopy returns how many entries a copy of the database's files has.
func sizeOfCopy(t *testing.T, sc *scene) (size int64) {
	t.Helper()
	folder := t.TempDir()
	for _, end := range []string{"", "-wal"} {
		if _, err := os.Stat(sc.ledgerFile() + end); err == nil {
			copyFile(t, sc.ledgerFile()+end, filepath.Join(folder, "ledger.db"+end))
		}
	}
	log, err := store.OpenReadOnly(t.Context(), folder, sc.options())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.View(t.Context(), func(v *store.View) error {
		size = v.Size()
		entries, err := v.Since(0, int(size)+1)
		if err == nil && int64(len(entries)) != size {
			err = fmt.Errorf("%d entries of %d", len(entries), size)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return size
}
