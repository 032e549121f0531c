package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
	"imprimatur.dev/store/storetest"
)

func TestReopenGivesTheSame(t *testing.T) {
	onEach(t, func(sc *scene) {
		for _, size := range []int64{0, 1, 255, 256, 257, 300} {
			sc.grow(size)
			before, at := sc.texts(), sc.checkpoint()
			sc.reopen()
			if diff := cmp.Diff(before, sc.texts()); diff != "" {
				sc.t.Errorf("reopened at %d (-before +after):\n%s", size, diff)
			}
			if diff := cmp.Diff(at, sc.checkpoint()); diff != "" {
				sc.t.Errorf("checkpoint at %d (-before +after):\n%s", size, diff)
			}
		}
		sc.verified()
	})
}

func TestOpenRefuses(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(3)
		sc.close()
		other, none, blind := sc.options(), sc.options(), sc.options()
		other.Origin = "example.org/other"
		none.Signers = nil
		blind.Project = nil
		for _, c := range []struct {
			name    string
			options store.Options
			says    string
		}{
			{"another origin", other, `is named "example.org/log", not "example.org/other"`},
			{"no signer", none, "a projector and a checkpoint signer are needed"},
			{"no projector", blind, "a projector and a checkpoint signer are needed"},
		} {
			s, err := store.Open(sc.t.Context(), sc.place.DSN, c.options)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				sc.t.Errorf("%s: %v, %v; want an error that says %q", c.name, s, err, c.says)
			}
		}
		sc.Store = sc.place.Open(sc.options())
		if got := sc.size(); got != 3 {
			sc.t.Errorf("after the refusals there are %d entries, want 3", got)
		}
	})
}

// TestSeveralSigners signs checkpoints with two keys.
func TestSeveralSigners(t *testing.T) {
	onEach(t, func(sc *scene) {
		second := logKey(sc.t)
		sc.close()
		options := sc.options()
		options.Signers = append(options.Signers, second.NoteSigner())
		sc.Store = sc.place.Open(options)
		sc.say("entry")
		signed, err := sc.Checkpoint(sc.t.Context())
		if err != nil {
			sc.t.Fatal(err)
		}
		for _, key := range []string{sc.key.VerifierKey(), second.VerifierKey()} {
			verifier, err := note.NewVerifier(key)
			if err != nil {
				sc.t.Fatal(err)
			}
			if c, err := ledger.OpenCheckpoint(signed, "example.org/log", note.VerifierList(verifier)); err != nil || c.Size != 1 {
				sc.t.Errorf("checkpoint %+v: %v", c, err)
			}
		}
	})
}

// TestRestoredBackup puts an older copy of the database in the place of the
// log: it must not sign on. With the kept file gone there is nothing to see.
func TestRestoredBackup(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place storetest.Place) {
		sc := &scene{t: t, place: place, key: logKey(t)}
		options := sc.options()
		options.CheckpointFile = filepath.Join(t.TempDir(), "checkpoint")
		sc.Store = place.Open(options)
		sc.grow(5)
		sc.close()
		restore := backup(t, place)
		sc.Store = place.Open(options)
		sc.grow(9)
		sc.close()
		restore()
		says := "it has 5 entries and once had 9; a backup was restored, and writing to it would fork the log"
		for range 2 { // a refusal must not be forgotten
			_, err := store.Open(t.Context(), place.DSN, options)
			if !errors.Is(err, store.ErrForked) || !strings.Contains(err.Error(), says) {
				t.Fatalf("opening the restored log: %v; want ErrForked that says %q", err, says)
			}
		}
		read, err := store.OpenReadOnly(t.Context(), place.DSN, options)
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		if entries, err := read.Since(t.Context(), 0, 10); err != nil || len(entries) != 5 {
			t.Errorf("reading the restored log: %d entries, %v; want 5", len(entries), err)
		}

		// Somebody signs on without the kept file: another history of the same length.
		elsewhere := sc.options()
		elsewhere.CheckpointFile = filepath.Join(t.TempDir(), "checkpoint")
		sc.Store = place.Open(elsewhere)
		for range 4 {
			sc.say("another history")
		}
		sc.close()
		_, err = store.Open(t.Context(), place.DSN, options)
		if !errors.Is(err, store.ErrForked) || !strings.Contains(err.Error(), "another log was put in its place") {
			t.Errorf("opening another history: %v; want ErrForked", err)
		}
	})
}

// backup copies the closed log and returns what puts the copy back.
func backup(t *testing.T, place storetest.Place) (restore func()) {
	t.Helper()
	if place.Engine == "sqlite" {
		file, copied := filepath.Join(place.DSN, "ledger.db"), filepath.Join(t.TempDir(), "backup")
		copyFile(t, file, copied)
		return func() { copyFile(t, copied, file) }
	}
	u, err := url.Parse(place.DSN)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	server, err := sql.Open("pgx", u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	run := func(query string) {
		if _, err := server.ExecContext(background, query); err != nil {
			t.Fatal(err)
		}
	}
	run(fmt.Sprintf("CREATE DATABASE %s_copy TEMPLATE %[1]s", name))
	return func() {
		run("DROP DATABASE " + name)
		run(fmt.Sprintf("CREATE DATABASE %s TEMPLATE %[1]s_copy", name))
	}
}

// TestLostDatabase keeps the folder but loses the database in it.
func TestLostDatabase(t *testing.T) {
	sc := newSQLiteScene(t)
	sc.grow(5)
	sc.close()
	if err := os.Remove(sc.ledgerFile()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), sc.place.DSN, sc.options()); !errors.Is(err, store.ErrForked) {
		t.Errorf("opening: %v, want ErrForked", err)
	}
}

func TestDamagedKeptCheckpoint(t *testing.T) {
	sc := newSQLiteScene(t)
	sc.close()
	path := filepath.Join(sc.place.DSN, "checkpoint")
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), sc.place.DSN, sc.options()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("opening: %v, want an error that names %s", err, path)
	}
}

// TestDamagedTree finds the edge of the tree changed at the start.
func TestDamagedTree(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(3)
		sc.tamper("UPDATE tiles SET data = (SELECT root FROM head) || data")
		sc.close()
		if _, err := store.Open(sc.t.Context(), sc.place.DSN, sc.options()); !errors.Is(err, ledger.ErrTiles) {
			sc.t.Errorf("opening: %v, want ErrTiles", err)
		}
	})
}

func TestOneServerOnAFolder(t *testing.T) {
	sc := newSQLiteScene(t)
	sc.say("entry")
	_, err := store.Open(t.Context(), sc.place.DSN, sc.options())
	if says := fmt.Sprintf("process %d is serving %s", os.Getpid(), sc.place.DSN); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), says) {
		t.Errorf("opening twice: %v; want ErrLocked that says %q", err, says)
	}
	sc.say("the first goes on")
	sc.reopen()
	if got := sc.size(); got != 2 {
		t.Errorf("%d entries, want 2", got)
	}
}

func TestReadOnly(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(300)
		read, err := store.OpenReadOnly(sc.t.Context(), sc.place.DSN, store.Options{Project: project})
		if err != nil {
			sc.t.Fatal(err)
		}
		defer read.Close()
		if _, err := read.Append(sc.t.Context(), store.ReadSet{}, sc.draft("written")); !errors.Is(err, store.ErrReadOnly) {
			sc.t.Errorf("appending: %v, want ErrReadOnly", err)
		}
		sc.say("while it is open")
		report, err := read.Verify(sc.t.Context(), sc.check())
		if err != nil || report.Entries != 301 {
			sc.t.Errorf("verified %+v, %v; want 301 entries", report, err)
		}
	})
}

func TestReadOnlyNeedsALog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place storetest.Place) {
		if place.Engine == "sqlite" {
			place.DSN = filepath.Join(place.DSN, "folder")
		}
		s, err := store.OpenReadOnly(t.Context(), place.DSN, store.Options{Project: project})
		if err == nil {
			t.Fatalf("opened %v in an empty place", s)
		}
		if _, err := os.Stat(place.DSN); place.Engine == "sqlite" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder was made: %v", err)
		}
		if _, err := store.OpenReadOnly(t.Context(), place.DSN, store.Options{}); err == nil || !strings.Contains(err.Error(), "projector") {
			t.Errorf("opening without a projector: %v", err)
		}
	})
}

// TestReadOnlyFolder reads a log in a folder without the right to write there,
// in a process of its own: this one may be root's, whom nothing stops.
func TestReadOnlyFolder(t *testing.T) {
	for _, state := range []string{"closed", "served"} {
		t.Run(state, func(t *testing.T) {
			sc := newSQLiteScene(t)
			sc.grow(300)
			if state == "closed" {
				sc.close()
			}
			for path, mode := range map[string]os.FileMode{filepath.Dir(sc.place.DSN): 0o755, sc.place.DSN: 0o555} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			t.Cleanup(func() { os.Chmod(sc.place.DSN, 0o755) }) //nolint:errcheck // the removal would fail, and say so
			files, err := filepath.Glob(filepath.Join(sc.place.DSN, "ledger*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if err := os.Chmod(file, 0o444); err != nil {
					t.Fatal(err)
				}
			}
			child := exec.Command("/proc/self/exe")
			child.Env = append(os.Environ(), childVariable+"=readonly", "FOLDER="+sc.place.DSN)
			if os.Geteuid() == 0 {
				child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
			out, err := child.CombinedOutput()
			if err != nil || string(out) != "300 entries" {
				t.Errorf("the reader says %q, %v; want 300 entries", out, err)
			}
		})
	}
}

func readWithoutRights() error {
	folder := os.Getenv("FOLDER")
	if err := os.WriteFile(filepath.Join(folder, "proof"), nil, 0o600); !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("this process may write to the folder (%w)", err)
	}
	s, err := store.OpenReadOnly(background, folder, store.Options{Project: project})
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Append(background, store.ReadSet{}, store.Draft{}); !errors.Is(err, store.ErrReadOnly) {
		return fmt.Errorf("appending: %w", err)
	}
	entries, err := s.Since(background, 0, 1000)
	if err != nil {
		return err
	}
	_, err = io.WriteString(os.Stdout, fmt.Sprint(len(entries), " entries"))
	return err
}

func TestFolderThatIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	options := (&scene{key: logKey(t)}).options()
	for _, folder := range []string{path, filepath.Join(path, "below")} {
		if _, err := store.Open(t.Context(), folder, options); err == nil || !strings.Contains(err.Error(), "making the data folder") || !strings.Contains(err.Error(), path) {
			t.Errorf("opening: %v; want an error that says what could not be made, and where", err)
		}
	}
}

func TestFileThatIsNoDatabase(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "ledger.db"), []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), folder, (&scene{key: logKey(t)}).options())
	if err == nil || !strings.Contains(err.Error(), "is damaged, restore it from a backup") {
		t.Errorf("opening: %v; want the advice to restore a backup", err)
	}
}

// TestFullDisk lets the database grow to a limit, as a disk does.
func TestFullDisk(t *testing.T) {
	sc := newSQLiteScene(t)
	sc.grow(10)
	var pages int
	if err := sc.QueryOnWriter("PRAGMA page_count", &pages); err != nil {
		t.Fatal(err)
	}
	if err := sc.QueryOnWriter(fmt.Sprintf("PRAGMA max_page_count = %d", pages+3), new(int)); err != nil {
		t.Fatal(err)
	}
	for range 3 { // it must be as clear the third time
		large := []store.Draft{sc.draft("small", "k"), sc.draft(strings.Repeat("x", 60_000), "k")}
		if _, err := sc.Append(t.Context(), store.ReadSet{}, large...); err == nil || !strings.Contains(err.Error(), "is full, make room and try again") {
			t.Fatalf("appending to a full disk: %v", err)
		}
	}
	if got := sc.size(); got != 10 {
		t.Errorf("%d entries, want the 10 from before", got)
	}
	sc.verified()
	if err := sc.QueryOnWriter("PRAGMA max_page_count = 1000000", new(int)); err != nil {
		t.Fatal(err)
	}
	if idx := sc.say(strings.Repeat("x", 60_000), "k"); idx != 10 {
		t.Errorf("with room again: entry %d, want 10", idx)
	}
	sc.verified()
	sc.reopen()
	sc.verified()
}

// TestCloseLetsGo leaves no connection behind, whatever happened before: SQLite
// keeps one open as long as anything of it is in use.
func TestCloseLetsGo(t *testing.T) {
	sc := newSQLiteScene(t)
	sc.grow(100)
	sc.say("alone", "k")
	sc.close()
	other := sc.options()
	other.Origin = "example.org/other"
	if _, err := store.Open(t.Context(), sc.place.DSN, other); err == nil {
		t.Error("opened under another name")
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range descriptors {
		// One that is gone by now, such as the listing's own, leads nowhere.
		if file, _ := os.Readlink("/proc/self/fd/" + d.Name()); strings.HasPrefix(file, sc.place.DSN) {
			t.Errorf("%s is still open", file)
		}
	}
	for _, left := range []string{"ledger.db-wal", "ledger.db-shm"} {
		if _, err := os.Stat(filepath.Join(sc.place.DSN, left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was left behind (%v), so the database is not one file", left, err)
		}
	}
}
