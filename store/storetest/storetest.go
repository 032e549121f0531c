// Package storetest runs a test on each database that package store can keep
// a log in: SQLite in a temporary folder, and a PostgreSQL server of the test
// process's own, which is started from the machine's programs when the first
// test asks for it. Every test has a folder or a database to itself.
//
// A test binary that uses this package hands its tests to [Main]:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
//
// PostgreSQL runs as it does in production: every commit is flushed, and texts
// sort in a human language's order, not in that of their bytes. Where its
// programs are missing, the tests fail and say how to get them.
package storetest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"imprimatur.dev/store"
)

// Main runs the tests, stops the PostgreSQL server if they started one, and
// returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		return max(code, 1)
	}
	return code
}

// A Place is where one test keeps its log.
type Place struct {
	// Engine is "sqlite" or "postgres".
	Engine string
	// DSN is what store.Open takes. Nothing is there yet.
	DSN string

	t testing.TB
}

// Each runs f as one subtest for each database.
func Each(t *testing.T, f func(t *testing.T, place Place)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// SQLite returns a place in a temporary folder.
func SQLite(t testing.TB) Place {
	t.Helper()
	return Place{Engine: "sqlite", DSN: t.TempDir(), t: t}
}

// Postgres returns a place in a new database of the test process's server. It
// fails the test when there is no PostgreSQL to start.
func Postgres(t testing.TB) Place {
	t.Helper()
	dsn, err := shared.newDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return Place{Engine: "postgres", DSN: dsn, t: t}
}

// Open opens the place's log for writing, fails the test if that fails, and
// closes the log at the test's end; closing it before is all right.
func (p Place) Open(options store.Options) *store.Store {
	p.t.Helper()
	s, err := store.Open(context.Background(), p.DSN, options)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			p.t.Errorf("closing the log: %v", err)
		}
	})
	return s
}
