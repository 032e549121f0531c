package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// ErrNewer is wrapped by the refusal to open a log whose projection a newer
// program has made.
var ErrNewer = errors.New("the log was written by a newer program")

// rebuildRun is how many entries are projected at once.
const rebuildRun = 2000

// reproject makes the projection anew where an older program made it, whose
// statements had other keys: all of it in one transaction, under the lock of the
// head, so that a crash leaves the old one and no replica appends meanwhile.
func (s *Store) reproject(ctx context.Context) (err error) {
	w := s.writer
	if err := w.exec(ctx, w.begin); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			w.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") //nolint:errcheck // the first error counts
		}
	}()
	var size int64
	var root []byte
	if err := w.lockHead.QueryRowContext(ctx).Scan(&size, &root); err != nil {
		return err
	}
	version := 0
	err = w.conn.QueryRowContext(ctx, "SELECT version FROM projection WHERE id = 1").Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	switch {
	case version > s.options.Version:
		return fmt.Errorf("%w: its projection has version %d, this program makes version %d; start a newer program", ErrNewer, version, s.options.Version)
	case version < s.options.Version && size > 0:
		if err := s.rebuild(ctx, size); err != nil {
			return fmt.Errorf("rebuilding the projection: %w", err)
		}
	}
	if _, err := w.conn.ExecContext(ctx, "INSERT INTO projection (id, version) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET version = excluded.version", s.options.Version); err != nil {
		return err
	}
	return w.exec(ctx, "COMMIT")
}

// rebuild writes every fact anew, from the payloads.
func (s *Store) rebuild(ctx context.Context, size int64) error {
	if err := s.writer.exec(ctx, "DELETE FROM facts"); err != nil {
		return err
	}
	for next := int64(0); next < size; {
		entries, err := queryEntries(ctx, s.writer.conn, selectSince, next, rebuildRun)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return fmt.Errorf("%w: entries from number %d on are missing", ErrLedger, next)
		}
		var found []fact
		for _, e := range entries {
			_, keys, err := s.options.Project(e.Payload)
			if err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
			for _, key := range keys {
				found = append(found, fact{key, e.Index})
			}
		}
		slices.SortFunc(found, compareFacts)
		var facts []any
		for _, f := range found {
			facts = append(facts, f.key, f.idx)
		}
		if err := s.writer.facts.insert(ctx, facts); err != nil {
			return err
		}
		next += int64(len(entries))
		if s.options.Rebuilt != nil {
			s.options.Rebuilt(next, size)
		}
	}
	return nil
}
