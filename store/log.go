package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
)

// head is the row that says how far the log has come.
type head struct {
	size int64
	root tlog.Hash
	note []byte // the signed checkpoint
}

func scanHead(row *sql.Row) (head, error) {
	var h head
	var root []byte
	if err := row.Scan(&h.size, &root, &h.note); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return head{}, errors.New("there is no log in this database yet")
		}
		return head{}, err
	}
	if len(root) != tlog.HashSize {
		return head{}, fmt.Errorf("the head's root has %d bytes", len(root))
	}
	h.root = tlog.Hash(root)
	return h, nil
}

// querier is a connection or a pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// restoreTree reads the head and the right edge, and checks that they agree.
func restoreTree(ctx context.Context, db querier) (*ledger.Tree, error) {
	h, err := scanHead(db.QueryRowContext(ctx, selectHead))
	if err != nil {
		return nil, err
	}
	tree, err := ledger.Restore(h.size, func(level int, number int64) ([]byte, error) {
		return scanTile(db.QueryRowContext(ctx, selectTile, level, number))
	})
	if err != nil {
		return nil, err
	}
	if tree.Root() != h.root {
		return nil, fmt.Errorf("%w: at %d entries they hash to %v, the head says %v", ledger.ErrTiles, h.size, tree.Root(), h.root)
	}
	return tree, nil
}

func scanTile(row *sql.Row) ([]byte, error) {
	var data []byte
	if err := row.Scan(&data); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("%w: it is missing", ledger.ErrTiles)
		}
		return nil, err
	}
	return data, nil
}

func queryEntries(ctx context.Context, db querier, query string, args ...any) ([]Entry, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanEntries(rows)
}

func anyRow(ctx context.Context, stmt *sql.Stmt, into *string, args ...any) (bool, error) {
	err := stmt.QueryRowContext(ctx, args...).Scan(into)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// A Proof shows that a log contains an entry: the RFC 6962 audit path from the
// entry's leaf to the root of the checkpoint.
type Proof struct {
	Index      int64
	Hashes     tlog.RecordProof
	Checkpoint []byte // signed note, with the size and root that the proof leads to
}

// Checkpoint returns the signed checkpoint of the view.
func (v *View) Checkpoint() []byte { return v.head.note }

// Proof proves the entry against the view's checkpoint. The error wraps
// [ErrNotFound] when the log is not that long.
func (v *View) Proof(idx int64) (Proof, error) {
	if idx < 0 || idx >= v.head.size {
		return Proof{}, fmt.Errorf("%w: entry %d of a log of %d", ErrNotFound, idx, v.head.size)
	}
	hashes, err := tlog.ProveRecord(v.head.size, idx, v.hashes())
	if err != nil {
		return Proof{}, fmt.Errorf("proving entry %d: %w", idx, err)
	}
	return Proof{Index: idx, Hashes: hashes, Checkpoint: v.head.note}, nil
}

// Consistency proves that the log of the larger size begins with that of the
// smaller one (RFC 6962 section 2.1.2). 1 ≤ smaller ≤ larger ≤ v.Size().
func (v *View) Consistency(smaller, larger int64) (tlog.TreeProof, error) {
	if smaller < 1 || smaller > larger || larger > v.head.size {
		return nil, fmt.Errorf("%w: no proof from %d to %d entries in a log of %d", ErrNotFound, smaller, larger, v.head.size)
	}
	return tlog.ProveTree(larger, smaller, v.hashes())
}

// Root returns the root of the log when it had size entries.
func (v *View) Root(size int64) (tlog.Hash, error) {
	if size < 0 || size > v.head.size {
		return tlog.Hash{}, fmt.Errorf("%w: size %d of a log of %d", ErrNotFound, size, v.head.size)
	}
	return tlog.TreeHash(size, v.hashes())
}

// Tile returns what stands at a C2SP tile path: the hashes of a tile or, for
// level [ledger.EntriesLevel], an entry bundle. The error wraps [ErrNotFound]
// when the log is not that long. A full tile never changes.
func (s *Store) Tile(ctx context.Context, t tlog.Tile) (data []byte, err error) {
	err = s.View(ctx, func(v *View) error {
		if !isTile(t) {
			return fmt.Errorf("%w: %+v is not a tile", ErrNotFound, t)
		}
		hashes := v.head.size >> (ledger.TileHeight * max(t.L, 0)) // on the tile's level
		if t.N > hashes/ledger.TileWidth || t.N*ledger.TileWidth+int64(t.W) > hashes {
			return fmt.Errorf("%w: %s is beyond a log of %d", ErrNotFound, ledger.TilePath(t), v.head.size)
		}
		if t.L == ledger.EntriesLevel {
			data, err = s.bundle(v, t)
			return err
		}
		if data, err = v.tile(t.L, t.N); err == nil {
			data = data[:t.W*tlog.HashSize]
		}
		return err
	})
	return data, err
}

func isTile(t tlog.Tile) bool {
	return t.H == ledger.TileHeight && t.L >= ledger.EntriesLevel && t.L < 8 && t.N >= 0 && t.W > 0 && t.W <= ledger.TileWidth
}

func (s *Store) bundle(v *View, t tlog.Tile) ([]byte, error) {
	entries, err := v.Since(t.N*ledger.TileWidth, t.W)
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, e := range entries {
		leaf, _, err := s.options.Project(e.Payload)
		if err != nil {
			return nil, fmt.Errorf("projecting entry %d: %w", e.Index, err)
		}
		if data, err = ledger.AppendEntry(data, leaf); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (v *View) hashes() tlog.HashReader { return ledger.NewHashReader(v.tile) }

func (v *View) tile(level int, number int64) ([]byte, error) {
	return scanTile(v.tx.StmtContext(v.ctx, v.reads.tile).QueryRowContext(v.ctx, level, number))
}

// Checkpoint returns the signed checkpoint of the whole log.
func (s *Store) Checkpoint(ctx context.Context) ([]byte, error) {
	h, err := scanHead(s.reads.head.QueryRowContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("reading the log in %s: %w", s.engine.place, s.engine.explain(err))
	}
	return h.note, nil
}

// Proof proves an entry against the log's checkpoint; see [View.Proof].
func (s *Store) Proof(ctx context.Context, idx int64) (p Proof, err error) {
	err = s.View(ctx, func(v *View) error {
		p, err = v.Proof(idx)
		return err
	})
	return p, err
}

// Consistency proves that the log of one size begins with that of another; see
// [View.Consistency].
func (s *Store) Consistency(ctx context.Context, smaller, larger int64) (p tlog.TreeProof, err error) {
	err = s.View(ctx, func(v *View) error {
		p, err = v.Consistency(smaller, larger)
		return err
	})
	return p, err
}

// Since returns up to limit entries from the index on, oldest first. It is how
// a replica follows the log.
func (s *Store) Since(ctx context.Context, idx int64, limit int) ([]Entry, error) {
	rows, err := s.reads.since.QueryContext(ctx, idx, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the log in %s: %w", s.engine.place, s.engine.explain(err))
	}
	return scanEntries(rows)
}
