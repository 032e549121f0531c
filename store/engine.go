package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
)

//go:embed migrations
var migrations embed.FS

// An engine is what differs between the two databases; all other SQL is the
// same text for both.
type engine struct {
	name      string
	place     string             // where the log is, for people; never holds a password
	dialect   goose.Dialect      //
	begin     string             // begins a transaction that will write
	forUpdate string             // makes a SELECT lock its row until the end of the transaction
	insert    string             // begins an INSERT that ends the transaction when it fails
	mark      func(n int) string // the n-th parameter of an INSERT
	write     *sql.DB            // nil when the log was opened for reading only
	read      *sql.DB
	aside     *sql.DB  // what is kept beside the log is written through it; nil like write
	lock      *os.File // held by the one server on a SQLite folder
}

const ledgerFile = "ledger.db"

func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// openEngine connects to the database that dsn names, and for writing also
// takes the folder's lock and brings the tables up to date.
func openEngine(ctx context.Context, dsn string, readOnly bool) (_ *engine, err error) {
	e := &engine{}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	if isPostgres(dsn) {
		err = e.openPostgres(dsn)
	} else {
		err = e.openSQLite(dsn, readOnly)
	}
	if err != nil {
		return nil, err
	}
	if readOnly {
		return e, nil
	}
	if err := e.migrate(ctx); err != nil {
		return nil, fmt.Errorf("bringing the tables in %s up to date: %w", e.place, e.explain(err))
	}
	return e, nil
}

func (e *engine) openPostgres(dsn string) (err error) {
	e.name, e.dialect = "postgres", goose.DialectPostgres
	e.begin, e.forUpdate, e.insert = "BEGIN", " FOR UPDATE", "INSERT INTO "
	e.mark = func(n int) string { return "$" + strconv.Itoa(n) }
	u, err := url.Parse(dsn)
	if err != nil {
		return errors.New("the database address is not a URL of the form postgres://user@host/name")
	}
	e.place = u.Redacted()
	if e.write, err = sql.Open("pgx", dsn); err != nil {
		return fmt.Errorf("opening %s: %w", e.place, err)
	}
	e.read, e.aside = e.write, e.write
	return nil
}

func (e *engine) openSQLite(folder string, readOnly bool) (err error) {
	e.name, e.dialect = "sqlite", goose.DialectSQLite3
	// OR ROLLBACK spares SQLite a journal to undo one statement alone, and
	// parameters without names spare it a search for each.
	e.begin, e.insert = "BEGIN IMMEDIATE", "INSERT OR ROLLBACK INTO "
	e.mark = func(int) string { return "?" }
	file := filepath.Join(folder, ledgerFile)
	e.place = file
	reading := []string{"mode=ro", "_pragma=cache_size(-16384)"}
	if readOnly {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("there is no log in the folder %s: %w", folder, err)
		}
		if isAtRest(folder, file) {
			reading = append(reading, "immutable=1")
		}
	} else {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("making the data folder: %w", err)
		}
		if e.lock, err = lockFolder(folder); err != nil {
			return err
		}
		// One writer. FULL makes each commit durable before it is answered.
		// A WAL of 16 MB is written back often enough to hold nobody up for
		// long. A larger cache costs more than it saves: SQLite looks through
		// all of it whenever a commit has split pages.
		if e.write, err = sql.Open("sqlite", sqliteURL(file, "_txlock=immediate",
			"_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", "_pragma=wal_autocheckpoint(4000)",
			"_pragma=cache_size(-16384)")); err != nil {
			return fmt.Errorf("opening %s: %w", file, err)
		}
		e.write.SetMaxOpenConns(1)
		// The committer keeps the writer's connection for itself.
		if e.aside, err = sql.Open("sqlite", sqliteURL(file, "_txlock=immediate", "_pragma=synchronous(FULL)")); err != nil {
			return fmt.Errorf("opening %s: %w", file, err)
		}
		e.aside.SetMaxOpenConns(1)
	}
	if e.read, err = sql.Open("sqlite", sqliteURL(file, reading...)); err != nil {
		return fmt.Errorf("opening %s: %w", file, err)
	}
	e.read.SetMaxOpenConns(4 * runtime.GOMAXPROCS(0))
	e.read.SetMaxIdleConns(4 * runtime.GOMAXPROCS(0))
	return nil
}

// isAtRest reports whether the log was closed and this process may not write
// beside it. SQLite could then not make the files through which readers and a
// writer meet, and reads only what it is told does not change.
func isAtRest(folder, file string) bool {
	_, err := os.Stat(file + "-wal")
	return errors.Is(err, fs.ErrNotExist) && unix.Access(folder, unix.W_OK) != nil
}

func sqliteURL(file string, parameters ...string) string {
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?_pragma=busy_timeout(10000)&" + strings.Join(parameters, "&")
}

// migrate applies the forward-only migrations. PostgreSQL replicas that start
// together wait for each other; a SQLite folder has one server.
func (e *engine) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/"+e.name)
	if err != nil {
		return err
	}
	var options []goose.ProviderOption
	if e.dialect == goose.DialectPostgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(e.dialect, e.write, files, options...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// closeWithin bounds the last tidying of a database that is closed.
const closeWithin = 10 * time.Second

func (e *engine) close() error {
	var errs []error
	if e.read != nil && e.read != e.write {
		errs = append(errs, e.read.Close())
	}
	if e.aside != nil && e.aside != e.write {
		errs = append(errs, e.aside.Close())
	}
	if e.write != nil && e.name == "sqlite" {
		// What is still in the write-ahead log goes into the file, so that a
		// copy of the file alone is a whole backup. After the readers, who
		// would hold it up; if it fails, the next start does it.
		ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
		e.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") //nolint:errcheck // nothing is lost by it
		cancel()
	}
	if e.write != nil {
		errs = append(errs, e.write.Close())
	}
	if e.lock != nil {
		errs = append(errs, e.lock.Close()) // closing gives the lock up
	}
	return errors.Join(errs...)
}

// SQLite's primary result codes that a person can do something about
// (https://sqlite.org/rescode.html).
const (
	sqliteReadOnly = 8
	sqliteIOError  = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteCantOpen = 14
	sqliteNotADB   = 26
)

// explain puts what a person can do in front of the database's own words.
func (e *engine) explain(err error) error {
	var code *sqlite.Error
	if !errors.As(err, &code) {
		return err
	}
	switch code.Code() & 0xff {
	case sqliteFull:
		return fmt.Errorf("the disk that holds %s is full, make room and try again: %w", e.place, err)
	case sqliteReadOnly:
		return fmt.Errorf("%s may not be written to, check the owner and mode of its folder: %w", e.place, err)
	case sqliteIOError:
		return fmt.Errorf("the disk that holds %s failed to read or write: %w", e.place, err)
	case sqliteCantOpen:
		return fmt.Errorf("%s cannot be opened, check that its folder exists and may be read: %w", e.place, err)
	case sqliteCorrupt, sqliteNotADB:
		return fmt.Errorf("%s is damaged, restore it from a backup: %w", e.place, err)
	}
	return err
}
