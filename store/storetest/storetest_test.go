package storetest

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestProgramsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	folder, err := findPrograms(filepath.Join(t.TempDir(), "*/bin"))
	if err == nil || !strings.Contains(err.Error(), "run `make setup`") {
		t.Errorf("got %q, %v; want the advice to run make setup", folder, err)
	}
}

func TestNewestPrograms(t *testing.T) {
	root := t.TempDir()
	for _, version := range []string{"9", "15", "14"} {
		bin := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(bin, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, "initdb"), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got, err := findPrograms(filepath.Join(root, "*/bin"))
	if want := filepath.Join(root, "15", "bin"); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// TestPostgresIsStrict holds the server to what makes the tests worth running.
func TestPostgresIsStrict(t *testing.T) {
	first, second := Postgres(t), Postgres(t)
	if first.DSN == second.DSN {
		t.Fatalf("two tests share %s", first.DSN)
	}
	db, err := sql.Open("pgx", first.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var fsync, commit string
	var human bool
	err = db.QueryRowContext(context.Background(),
		"SELECT current_setting('fsync'), current_setting('synchronous_commit'), 'a' < 'B'").Scan(&fsync, &commit, &human)
	if err != nil || fsync != "on" || commit != "on" || !human {
		t.Errorf("fsync %s, synchronous_commit %s, texts in a human order %v (%v)", fsync, commit, human, err)
	}
}
