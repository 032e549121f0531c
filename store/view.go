package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrNotFound is wrapped when there is no entry with the index asked for.
var ErrNotFound = errors.New("there is no such entry")

const (
	selectHead   = "SELECT size, root, note FROM head WHERE id = 1"
	selectTile   = "SELECT data FROM tiles WHERE level = $1 AND num = $2"
	selectEntry  = "SELECT idx, payload, sig FROM entries WHERE idx = $1"
	selectSince  = "SELECT idx, payload, sig FROM entries WHERE idx >= $1 AND idx < (SELECT size FROM head) ORDER BY idx LIMIT $2"
	selectFind   = "SELECT e.idx, e.payload, e.sig FROM facts f JOIN entries e ON e.idx = f.idx WHERE f.key = $1 ORDER BY f.idx"
	selectNewest = "SELECT e.idx, e.payload, e.sig FROM facts f JOIN entries e ON e.idx = f.idx" +
		" WHERE f.key = $1 AND f.idx < $2 ORDER BY f.idx DESC LIMIT $3"
	selectBefore = "SELECT idx, payload, sig FROM entries WHERE idx < $1 ORDER BY idx DESC LIMIT $2"
	// selectLastOfEach hops from key to key, so that it costs one step for
	// each key, however many entries each has.
	selectLastOfEach = `
WITH RECURSIVE keys(key, n) AS (
	SELECT min(key), 1 FROM facts WHERE key >= $1 AND key < $2
	UNION ALL
	SELECT (SELECT min(f.key) FROM facts f WHERE f.key > keys.key AND f.key < $2), n + 1 FROM keys WHERE keys.key IS NOT NULL AND n < $3
)
SELECT e.idx, e.payload, e.sig, keys.key FROM keys
JOIN entries e ON e.idx = (SELECT max(f.idx) FROM facts f WHERE f.key = keys.key)
WHERE keys.key IS NOT NULL ORDER BY keys.key`
)

// reads are the prepared statements of the readers, shared by all views.
type reads struct {
	head, tile, entry, since, before, find, newest, lastOfEach *sql.Stmt
}

func prepareReads(ctx context.Context, db *sql.DB) (*reads, error) {
	r := &reads{}
	for _, p := range []struct {
		stmt  **sql.Stmt
		query string
	}{
		{&r.head, selectHead},
		{&r.tile, selectTile},
		{&r.entry, selectEntry},
		{&r.since, selectSince},
		{&r.before, selectBefore},
		{&r.find, selectFind},
		{&r.newest, selectNewest},
		{&r.lastOfEach, selectLastOfEach},
	} {
		var err error
		if *p.stmt, err = db.PrepareContext(ctx, p.query); err != nil {
			r.close()
			return nil, err
		}
	}
	return r, nil
}

func (r *reads) close() error {
	var errs []error
	for _, s := range []*sql.Stmt{r.head, r.tile, r.entry, r.since, r.before, r.find, r.newest, r.lastOfEach} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// A View is a snapshot of the log. It is for one goroutine and ends with the
// function that it was given to.
type View struct {
	ctx   context.Context
	reads *reads
	tx    *sql.Tx
	head  head
	read  ReadSet
}

// View calls f with a snapshot of the log. It returns f's error, or that of the
// database.
func (s *Store) View(ctx context.Context, f func(*View) error) error {
	tx, err := s.engine.read.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading the log: %w", s.engine.explain(err))
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	v := &View{ctx: ctx, reads: s.reads, tx: tx}
	// The snapshot begins with the first read, which is this one.
	if v.head, err = scanHead(tx.StmtContext(ctx, s.reads.head).QueryRowContext(ctx)); err != nil {
		return fmt.Errorf("reading the log: %w", s.engine.explain(err))
	}
	v.read.Size = v.head.size
	return f(v)
}

// Size returns the number of entries.
func (v *View) Size() int64 { return v.head.size }

// ReadSet returns what the view has been asked for until now, for Append.
func (v *View) ReadSet() ReadSet {
	slices.Sort(v.read.Keys)
	v.read.Keys = slices.Compact(v.read.Keys)
	return ReadSet{Size: v.read.Size, Keys: slices.Clone(v.read.Keys), Prefixes: slices.Clone(v.read.Prefixes)}
}

// Get returns the entry with the index; the error wraps [ErrNotFound] when the
// log is not that long. Entries never change, so it adds nothing to the read set.
func (v *View) Get(idx int64) (Entry, error) {
	entries, err := v.entries(v.reads.entry, idx)
	if err != nil {
		return Entry{}, err
	}
	if len(entries) == 0 {
		return Entry{}, fmt.Errorf("%w: entry %d of a log of %d", ErrNotFound, idx, v.head.size)
	}
	return entries[0], nil
}

// Find returns all entries under the key, oldest first.
func (v *View) Find(key string) ([]Entry, error) {
	v.read.Keys = append(v.read.Keys, key)
	return v.entries(v.reads.find, key)
}

// Last returns the newest entry under the key, and whether there is one.
func (v *View) Last(key string) (Entry, bool, error) {
	entries, err := v.Page(key, 0, 1)
	if err != nil || len(entries) == 0 {
		return Entry{}, false, err
	}
	return entries[0], true, nil
}

// Page returns up to limit entries under the key with an index less than
// before, newest first; a before of 0 or less begins with the newest.
func (v *View) Page(key string, before int64, limit int) ([]Entry, error) {
	if before <= 0 || before > v.head.size {
		before = v.head.size
		v.read.Keys = append(v.read.Keys, key)
	}
	return v.entries(v.reads.newest, key, before, limit)
}

// LastOfEach returns the newest entry of each key that begins with the prefix,
// in the order of the keys. An entry that is the newest of several keys comes
// once for each.
func (v *View) LastOfEach(prefix string) ([]Entry, error) {
	each, err := v.EachFrom(prefix, "", math.MaxInt32)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(each))
	for i, k := range each {
		entries[i] = k.Entry
	}
	return entries, nil
}

// Keyed is an entry with a key under which it is found.
type Keyed struct {
	Key string
	Entry
}

// EachFrom returns, for each of up to limit keys that begin with the prefix and
// are not before from, the newest entry, in the order of the keys.
func (v *View) EachFrom(prefix, from string, limit int) ([]Keyed, error) {
	v.read.Prefixes = append(v.read.Prefixes, prefix)
	rows, err := v.tx.StmtContext(v.ctx, v.reads.lastOfEach).QueryContext(v.ctx, max(prefix, from), prefix+endOfPrefix, limit)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	defer rows.Close()
	var found []Keyed
	for rows.Next() {
		var k Keyed
		if err := rows.Scan(&k.Index, &k.Payload, &k.Signature, &k.Key); err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		found = append(found, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return found, nil
}

// Before returns up to limit entries with an index less than idx, newest first;
// an idx of 0 or less, or beyond the view, begins with the newest.
func (v *View) Before(idx int64, limit int) ([]Entry, error) {
	if idx <= 0 || idx > v.head.size {
		idx = v.head.size
	}
	return v.entries(v.reads.before, idx, limit)
}

// Since returns up to limit entries from the index on, oldest first.
func (v *View) Since(idx int64, limit int) ([]Entry, error) {
	return v.entries(v.reads.since, idx, limit)
}

func (v *View) entries(stmt *sql.Stmt, args ...any) ([]Entry, error) {
	rows, err := v.tx.StmtContext(v.ctx, stmt).QueryContext(v.ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return scanEntries(rows)
}

func scanEntries(rows *sql.Rows) ([]Entry, error) {
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Index, &e.Payload, &e.Signature); err != nil {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return entries, nil
}
