package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
)

// inDatabase opens the log's database behind its back.
func (sc *scene) inDatabase() *sql.DB {
	sc.t.Helper()
	driver, dsn := "pgx", sc.place.DSN
	if sc.place.Engine == "sqlite" {
		driver, dsn = "sqlite", "file:"+filepath.ToSlash(sc.ledgerFile())+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		sc.t.Fatal(err)
	}
	sc.t.Cleanup(func() { db.Close() })
	return db
}

// tamper changes the database. It must change something.
func (sc *scene) tamper(query string, args ...any) {
	sc.t.Helper()
	db := sc.inDatabase()
	defer db.Close()
	done, err := db.ExecContext(background, query, args...)
	if err != nil {
		sc.t.Fatalf("%s: %v", query, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		sc.t.Fatalf("%s changed nothing (%v)", query, err)
	}
}

func TestVerifyReports(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(300)
		sc.grow(600)
		var steps []int64
		check := sc.check()
		check.Progress = func(done, total int64) {
			if total != 600 {
				sc.t.Errorf("progress: %d of %d", done, total)
			}
			steps = append(steps, done)
		}
		got, err := sc.Verify(sc.t.Context(), check)
		if err != nil {
			sc.t.Fatal(err)
		}
		// Two keys to an entry; three tiles on the first level and one on the
		// second; the head's checkpoint and that of the first transaction, which
		// alone was recorded within the first second.
		want := store.Report{Entries: 600, Facts: 1200, Tiles: 4, Checkpoints: got.Checkpoints, Root: merkle(sc.leaves()).String()}
		if diff := cmp.Diff(want, got); diff != "" || got.Checkpoints < 2 {
			sc.t.Errorf("report (-want +got):\n%s%d checkpoints", diff, got.Checkpoints)
		}
		if want := []int64{256, 512, 600}; !cmp.Equal(want, steps) {
			sc.t.Errorf("progress %v, want %v", steps, want)
		}
	})
}

// TestVerifyWhileWriting must not take what is appended meanwhile for a fault.
func TestVerifyWhileWriting(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(400)
		check := sc.check()
		signatures := check.Signatures
		check.Signatures = func(entries []store.Entry) (int, error) {
			sc.say("meanwhile", "key 3", "meanwhile")
			return signatures(entries)
		}
		report, err := sc.Verify(sc.t.Context(), check)
		if err != nil || report.Entries != 400 {
			sc.t.Errorf("verified %+v, %v; want 400 entries", report, err)
		}
		if report := sc.verified(); report.Entries != 402 {
			sc.t.Errorf("verified %+v, want 402 entries", report)
		}
	})
}

// TestRule01ProjectionEqualsItsRebuild rebuilds the projection from the
// entries alone and compares it with what stands in the database, row by row,
// without the help of Verify.
func TestRule01ProjectionEqualsItsRebuild(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(300)
		sc.say("many keys", "b", "a", "b", "ä", "key 3", strings.Repeat("long", 256))
		sc.say("no keys")
		entries, err := sc.Since(sc.t.Context(), 0, 1000)
		if err != nil {
			sc.t.Fatal(err)
		}
		want := map[string]bool{}
		for _, e := range entries {
			_, keys, err := project(e.Payload)
			if err != nil {
				sc.t.Fatal(err)
			}
			for _, key := range keys {
				want[fmt.Sprintf("%d %s", e.Index, key)] = true
			}
		}
		rows, err := sc.inDatabase().QueryContext(background, "SELECT key, idx FROM facts")
		if err != nil {
			sc.t.Fatal(err)
		}
		defer rows.Close()
		got := map[string]bool{}
		for rows.Next() {
			var key string
			var idx int64
			if err := rows.Scan(&key, &idx); err != nil {
				sc.t.Fatal(err)
			}
			got[fmt.Sprintf("%d %s", idx, key)] = true
		}
		if err := rows.Err(); err != nil {
			sc.t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			sc.t.Errorf("the projection differs from its rebuild (-rebuilt +stored):\n%s", diff)
		}
		if report := sc.verified(); report.Facts != int64(len(want)) {
			sc.t.Errorf("Verify compared %d facts, want %d", report.Facts, len(want))
		}
	})
}

// tampering is one way to change the database of a log of 512 entries, and
// what Verify must name.
type tampering struct {
	name  string
	do    func(*scene)
	names string
}

func run(queries ...string) func(*scene) {
	return func(sc *scene) {
		for _, query := range queries {
			sc.tamper(query)
		}
	}
}

// flip changes one bit in the middle of a value.
func flip(column, table, where string) func(*scene) {
	return func(sc *scene) {
		var data []byte
		db := sc.inDatabase()
		if err := db.QueryRow(fmt.Sprintf("SELECT %s FROM %s WHERE %s", column, table, where)).Scan(&data); err != nil {
			sc.t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		sc.tamper(fmt.Sprintf("UPDATE %s SET %s = $1 WHERE %s", table, column, where), data)
	}
}

// signAnother puts a checkpoint with another root, signed with the log's own
// key, in the place of one.
func signAnother(table string, size int64) func(*scene) {
	return func(sc *scene) {
		c := ledger.Checkpoint{Origin: sc.key.Name(), Size: size, Root: merkle(nil)}
		signed, err := c.Sign(sc.key.NoteSigner())
		if err != nil {
			sc.t.Fatal(err)
		}
		sc.tamper("UPDATE "+table+" SET note = $1 WHERE size = $2", signed, size)
	}
}

var tamperings = []tampering{
	{"a payload byte", flip("payload", "entries", "idx = 300"), "the signature of entry 300"},
	{"a signature byte", flip("sig", "entries", "idx = 511"), "the signature of entry 511"},
	{"another signed payload", func(sc *scene) {
		d := sc.draft("never said", "key 300", fmt.Sprint("every ", 300%7))
		sc.tamper("UPDATE entries SET payload = $1, sig = $2 WHERE idx = 300", d.Payload, d.Signature)
	}, "tile 1 of level 0"},
	{"a payload that is no statement", func(sc *scene) {
		payload := []byte("{")
		sc.tamper("UPDATE entries SET payload = $1, sig = $2 WHERE idx = 300", payload, sc.key.Sign(payload))
	}, "entry 300"},
	{"a deleted entry", run("DELETE FROM entries WHERE idx = 300"), "entries are missing from number 256 on"},
	{"the last entry deleted", run("DELETE FROM entries WHERE idx = 511"), "entries are missing from number 511 on"},
	{"all entries deleted", run("DELETE FROM entries"), "entries are missing from number 0 on"},
	{"a swapped pair", run("UPDATE entries SET idx = 9999 WHERE idx = 300", "UPDATE entries SET idx = 300 WHERE idx = 301",
		"UPDATE entries SET idx = 301 WHERE idx = 9999"), "tile 1 of level 0"},
	{"an entry beyond the head", run("INSERT INTO entries SELECT 512, payload, sig FROM entries WHERE idx = 1"), "outside the log of 512"},
	{"an entry below the first", run("INSERT INTO entries SELECT -1, payload, sig FROM entries WHERE idx = 1"), "outside the log of 512"},
	{"a tile byte", flip("data", "tiles", "level = 0 AND num = 1"), "tile 1 of level 0"},
	{"a byte of an upper tile", flip("data", "tiles", "level = 1 AND num = 0"), "tile 0 of level 1"},
	{"a missing tile", run("DELETE FROM tiles WHERE level = 0 AND num = 0"), "tile 0 of level 0"},
	{"a tile too many", run("INSERT INTO tiles SELECT 0, 2, data FROM tiles WHERE level = 0 AND num = 0"), "there are 4 tiles"},
	{"the head's root", flip("root", "head", "id = 1"), "the head says"},
	{"the head's size", run("UPDATE head SET size = 511"), "outside the log of 511"},
	{"the head's note", flip("note", "head", "id = 1"), "the checkpoint at 512"},
	{"the head's note, signed anew", signAnother("head", 512), "the checkpoint at 512"},
	{"a checkpoint's note", flip("note", "checkpoints", "size = 200"), "the checkpoint at 200"},
	{"a checkpoint's note, signed anew", signAnother("checkpoints", 200), "the checkpoint at 200"},
	{"a checkpoint moved", run("UPDATE checkpoints SET size = 201 WHERE size = 200"), "the checkpoint at 201"},
	{"a checkpoint beyond the head", run("UPDATE checkpoints SET size = 9999 WHERE size = 200"), "the checkpoint at 9999"},
	{"a missing fact", run("DELETE FROM facts WHERE key = 'key 300'"), "the projection of entry 300"},
	{"an extra fact", run("INSERT INTO facts (key, idx) VALUES ('extra', 300)"), "the projection of entry 300"},
	{"a changed key", run("UPDATE facts SET key = 'key 3OO' WHERE key = 'key 300'"), "the projection of entry 300"},
	{"a fact of another entry", run("UPDATE facts SET idx = 301 WHERE key = 'key 300'"), "the projection of entry 300"},
	{"a fact for an index beyond the head", run("INSERT INTO facts (key, idx) VALUES ('extra', 512)"), `the key "extra" for entry 512`},
	{"a fact for a negative index", run("INSERT INTO facts (key, idx) VALUES ('extra', -1)"), `the key "extra" for entry -1`},
}

// TestVerifyNamesTampering changes the database in one way after another, and
// puts it back in between by a copy of its rows.
func TestVerifyNamesTampering(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.grow(200)
		sc.grow(512)
		db := sc.inDatabase()
		tables := []string{"entries", "facts", "tiles", "head", "checkpoints"}
		for _, table := range tables {
			if _, err := db.Exec(fmt.Sprintf("CREATE TABLE copy_%s AS SELECT * FROM %[1]s", table)); err != nil {
				sc.t.Fatal(err)
			}
		}
		for _, c := range tamperings {
			sc.verified()
			c.do(sc)
			report, err := sc.Verify(sc.t.Context(), sc.check())
			if !errors.Is(err, store.ErrLedger) || !strings.Contains(err.Error(), c.names) {
				sc.t.Errorf("%s: %+v, %v; want ErrLedger that names %q", c.name, report, err, c.names)
			}
			for _, table := range tables {
				if _, err := db.Exec(fmt.Sprintf("DELETE FROM %s", table)); err != nil {
					sc.t.Fatal(err)
				}
				if _, err := db.Exec(fmt.Sprintf("INSERT INTO %s SELECT * FROM copy_%[1]s", table)); err != nil {
					sc.t.Fatal(err)
				}
			}
		}
		sc.verified()
	})
}

// TestVerifyWithAnotherKey trusts another key than the log's.
func TestVerifyWithAnotherKey(t *testing.T) {
	onEach(t, func(sc *scene) {
		sc.say("entry")
		other := logKey(sc.t)
		if bytes.Equal(other.Sign(nil), sc.key.Sign(nil)) {
			sc.t.Fatal("the keys are the same")
		}
		_, err := sc.Verify(sc.t.Context(), checkWith(other.VerifierKey(), other.ID(), other.Name()))
		if !errors.Is(err, store.ErrLedger) || !strings.Contains(err.Error(), "the signature of entry 0") {
			sc.t.Errorf("verified with another key: %v", err)
		}
	})
}
