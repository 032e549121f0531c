// Package store keeps the ledger: an append-only list of signed statements,
// the Merkle tree over their leaves and an index to find them by. It knows
// nothing about what the statements mean.
//
// # What is kept
//
//	entries      the statements, byte for byte, and their signatures, by index
//	facts        (key, index): the keys that an entry can be found under
//	tiles        the tree's hashes as C2SP tiles (package ledger)
//	head         one row: size and root of the tree and the signed checkpoint
//	checkpoints  earlier checkpoints, at most about one a second
//	asides       what is no statement and stands beside the log ([Aside])
//
// The leaf and the keys of an entry are what [Options].Project, a pure
// function, says about its payload. So the ledger alone is the truth, facts are
// an index that [Store.Verify] rebuilds and compares row by row, and the state
// of anything is the fold of the entries under its key.
//
// # Writing
//
// [Store.Append] is the only write to the log. Callers queue; one committer takes all who
// wait and writes entries, facts, tiles, checkpoint and head in one transaction
// with one flush to disk, then answers them all. What was answered is durable.
//
// A decision is made on a [View], a snapshot, which remembers what it was asked
// for. Append takes that [ReadSet] and refuses with [ErrConflict] if any of it
// has been written since, also if something that was not found exists now. So
// decisions are serialisable without holding a lock while they are made.
//
// # Crashes
//
// Everything that an append changes is in one transaction, so a crash leaves
// all of it or none; the order of the steps around it is told in commit.go. The
// tree in memory is only a copy of the committed right edge, read by the same
// function at start-up and after any error.
//
// # Forks
//
// A database restored from an old backup that signs on would contradict the
// checkpoints that it has given out. A copy of the last checkpoint is kept in a
// file outside the database, and [Open] refuses with [ErrForked] when the tree
// does not extend it. [Store.Extends] asks the same about a checkpoint from
// elsewhere, such as a witness. A backup that is to be protected by the kept
// file must not restore that file.
//
// # Databases
//
// SQLite in a folder, for one process at a time, and PostgreSQL, for any number
// of replicas: the head row is locked while a batch is written, and a replica
// that finds it moved reads the new edge first. Both run the same hand-written
// SQL but for how an INSERT names its parameters.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"imprimatur.dev/ledger"
)

// A Projector says what the ledger alone says about an entry: the leaf that
// the tree covers and the keys that the entry can be found under. It must be a
// pure function of the payload; the leaf stays the same for payloads that are
// logged, and when the keys do not, [Options].Version is raised.
type Projector func(payload []byte) (leaf []byte, keys []string, err error)

// Options say how to open a log.
type Options struct {
	// Project is needed always.
	Project Projector
	// Version numbers what Project makes. A log whose projection has a lower one
	// is projected anew when it is opened for writing; one with a higher one is
	// refused.
	Version int
	// Rebuilt, if not nil, is told of how many entries were projected anew.
	Rebuilt func(done, total int64)
	// Origin is the log's name in its checkpoints; it never changes.
	Origin string
	// Signers sign the checkpoints, at least one. Needed for writing only.
	Signers []note.Signer
	// CheckpointFile is where a copy of the last checkpoint is kept. When it
	// is empty, that is the file "checkpoint" in a SQLite log's folder, and no
	// copy is kept of a log in PostgreSQL.
	CheckpointFile string
	// AfterCommit, if not nil, is told of the entries of each transaction of
	// this store, in the order of the log, before their appenders are answered.
	// It holds up the next transaction, so it should be quick. It is not told of
	// entries of other replicas: an index that is missing is to be had from
	// Since.
	AfterCommit func([]Committed)
}

// Committed says that an entry is in the log and under which keys, sorted, it
// can be found from now on.
type Committed struct {
	Index   int64
	Keys    []string
	Payload []byte // must not be changed
}

// An Entry is one statement in the log. Its bytes must not be changed.
type Entry struct {
	Index     int64
	Payload   []byte
	Signature []byte
}

// A Store is an open log. Its methods may be called from several goroutines.
type Store struct {
	options Options
	engine  *engine
	reads   *reads

	queue *queue        // nil when the log was opened for reading only
	done  chan struct{} // closed when the committer has ended

	// Owned by the committer. writer and tree are nil when they must be made
	// anew, after an error.
	writer *writer
	tree   *ledger.Tree
	recent *recent
	// known is the last tree that was taken up; unlike tree it outlives errors.
	known    *ledger.Tree
	recorded time.Time // when a row of checkpoints was last written

	latest  atomic.Pointer[[]byte] // the last checkpoint committed by this store
	keeping sync.WaitGroup
	stop    chan struct{} // closed to end the keeper
	closing sync.Once
}

// Open opens a log for writing, and makes it if it is not there. dsn is the
// path of a folder, for SQLite, or a postgres:// URL. It returns an error that
// wraps [ErrLocked] if another process serves the folder, and [ErrForked] if the
// log does not extend the checkpoint kept beside it.
func Open(ctx context.Context, dsn string, options Options) (*Store, error) {
	if options.Project == nil || len(options.Signers) == 0 {
		return nil, errors.New("opening the log: a projector and a checkpoint signer are needed")
	}
	if options.CheckpointFile == "" && !isPostgres(dsn) {
		options.CheckpointFile = filepath.Join(dsn, checkpointFile)
	}
	s, err := open(ctx, dsn, options, false)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// OpenReadOnly opens a log for reading, also beside the process that writes it.
// It takes no lock, changes nothing and needs no Signers; it fails if the log
// is not there.
func OpenReadOnly(ctx context.Context, dsn string, options Options) (*Store, error) {
	if options.Project == nil {
		return nil, errors.New("opening the log: a projector is needed")
	}
	s, err := open(ctx, dsn, options, true)
	if err != nil {
		return nil, err
	}
	if _, err := s.Checkpoint(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func open(ctx context.Context, dsn string, options Options, readOnly bool) (*Store, error) {
	e, err := openEngine(ctx, dsn, readOnly)
	if err != nil {
		return nil, err
	}
	s := &Store{options: options, engine: e}
	if s.reads, err = prepareReads(ctx, e.read); err != nil {
		e.close()
		return nil, fmt.Errorf("reading the log in %s: %w", e.place, e.explain(err))
	}
	return s, nil
}

// start makes the log writable: a head, the tree, the check against the kept
// checkpoint, and then the goroutines.
func (s *Store) start(ctx context.Context) error {
	if err := s.createHead(ctx); err != nil {
		return fmt.Errorf("making the log in %s: %w", s.engine.place, s.engine.explain(err))
	}
	if err := s.restore(ctx); err != nil {
		return fmt.Errorf("reading the log in %s: %w", s.engine.place, s.engine.explain(err))
	}
	if err := s.reproject(ctx); err != nil {
		return fmt.Errorf("opening the log in %s: %w", s.engine.place, s.engine.explain(err))
	}
	signed, err := s.Checkpoint(ctx)
	if err != nil {
		return err
	}
	at, err := ledger.UnverifiedCheckpoint(signed)
	if err != nil {
		return err
	}
	if at.Origin != s.options.Origin {
		return fmt.Errorf("the log in %s is named %q, not %q; its name cannot change", s.engine.place, at.Origin, s.options.Origin)
	}
	if err := s.checkKept(ctx); err != nil {
		return err
	}
	s.latest.Store(&signed)
	s.queue, s.done, s.stop = newQueue(), make(chan struct{}), make(chan struct{})
	go s.commitAll()
	s.keeping.Go(s.keepCheckpoints)
	return nil
}

// createHead writes the checkpoint of the empty log, unless there is a head.
func (s *Store) createHead(ctx context.Context) error {
	var size int64
	err := s.engine.write.QueryRowContext(ctx, "SELECT size FROM head WHERE id = 1").Scan(&size)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	root := new(ledger.Tree).Root()
	signed, err := ledger.Checkpoint{Origin: s.options.Origin, Root: root}.Sign(s.options.Signers...)
	if err != nil {
		return err
	}
	_, err = s.engine.write.ExecContext(ctx,
		"INSERT INTO head (id, size, root, note) VALUES (1, 0, $1, $2) ON CONFLICT (id) DO NOTHING", root[:], signed)
	return err
}

// Close lets the appends that wait finish, keeps the last checkpoint and closes
// the database. Closing again does nothing.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		var kept error
		if s.queue != nil {
			s.queue.close()
			<-s.done
			close(s.stop)
			s.keeping.Wait()
			kept = s.keepCheckpoint(*s.latest.Load())
		}
		err = errors.Join(kept, s.release())
	})
	return err
}

// release closes the database. Nothing else may use the store any more.
func (s *Store) release() error {
	s.forgetWriter()
	return errors.Join(s.reads.close(), s.engine.close())
}
