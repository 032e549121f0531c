package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
)

// recordEvery is how often a checkpoint becomes a row of checkpoints.
const recordEvery = time.Second

// commitAll is the committer: it runs until the queue is closed and empty.
func (s *Store) commitAll() {
	defer close(s.done)
	for {
		batch := s.queue.take()
		if batch == nil {
			return
		}
		s.commit(context.Background(), batch)
		for _, r := range batch {
			close(r.done)
		}
	}
}

// commit writes one batch and sets the outcome of each of its requests.
//
// The order of things, and what a crash after each step means:
//
//  1. Lock the head, read it, and bring the tree up to it. Nothing has changed.
//  2. Refuse what has been overtaken, grow a copy of the tree, sign its
//     checkpoint. The checkpoint is in memory only: nobody has seen it, so
//     signing another one for the same size later contradicts nothing.
//  3. Write entries, facts, tiles, checkpoint and head in the transaction. The
//     database undoes it at the next start.
//  4. COMMIT, which flushes. From here on the entries are in the log. A crash
//     before the answers leaves entries whose appenders do not know; they look
//     before they try again.
//  5. Take over the grown tree, tell AfterCommit, answer.
//
// The kept file is written after step 4, so it is never ahead of the log.
//
// After an error the tree and the connection are thrown away, and the next
// batch begins with the same restore that a start begins with.
func (s *Store) commit(ctx context.Context, batch []*request) {
	accepted, committed, err := s.write(ctx, batch)
	if err != nil {
		err = fmt.Errorf("writing to the log: %w", s.engine.explain(err))
		s.forgetWriter()
		for _, r := range accepted {
			r.err = err
		}
		return
	}
	if s.options.AfterCommit != nil && len(committed) > 0 {
		s.options.AfterCommit(committed)
	}
}

func (s *Store) forgetWriter() {
	if s.writer != nil {
		s.writer.close()
	}
	s.writer, s.tree, s.recent = nil, nil, nil
}

// write is steps 1 to 4. It returns the requests that share the outcome; the
// others have had their refusal.
func (s *Store) write(ctx context.Context, batch []*request) (accepted []*request, committed []Committed, err error) {
	if s.writer == nil {
		if err := s.restore(ctx); err != nil {
			return batch, nil, err
		}
	}
	w := s.writer
	if err := w.exec(ctx, w.begin); err != nil {
		return batch, nil, err
	}
	if err := s.lockHead(ctx); err != nil {
		return batch, nil, err
	}
	if accepted, err = s.accept(ctx, batch); err != nil {
		return batch, nil, err
	}
	if len(accepted) == 0 {
		return nil, nil, w.exec(ctx, "ROLLBACK")
	}
	next, signed, err := s.insert(ctx, accepted)
	if err != nil {
		return accepted, nil, err
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		return accepted, nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	committed = number(accepted, s.tree.Size())
	s.tree, s.known = next, next
	s.latest.Store(&signed)
	return accepted, committed, nil
}

// lockHead takes the head for the rest of the transaction. If another replica
// has moved it, the tree is read again.
func (s *Store) lockHead(ctx context.Context) error {
	var size int64
	var root []byte
	if err := s.writer.lockHead.QueryRowContext(ctx).Scan(&size, &root); err != nil {
		return err
	}
	if size == s.tree.Size() && tlog.Hash(root) == s.tree.Root() {
		return nil
	}
	tree, err := s.takeUp(ctx, s.writer.conn)
	if err != nil {
		return err
	}
	s.recent, err = s.catchUp(ctx, tree.Size())
	s.tree = tree
	return err
}

// takeUp reads the tree from the database. It must extend the one that was last
// known here, or signing on would contradict checkpoints that have been given
// out: a backup restored, or another log put in its place, under a running
// server. What was known is kept over errors, so the refusal lasts.
func (s *Store) takeUp(ctx context.Context, db querier) (*ledger.Tree, error) {
	tree, err := restoreTree(ctx, db)
	if err != nil {
		return nil, err
	}
	if s.known != nil {
		if tree.Size() < s.known.Size() {
			return nil, fmt.Errorf("%w: it has %d entries and had %d; a backup was restored under a running server, and writing to it would fork the log",
				ErrForked, tree.Size(), s.known.Size())
		}
		root, err := tlog.TreeHash(s.known.Size(), ledger.NewHashReader(func(level int, number int64) ([]byte, error) {
			return scanTile(db.QueryRowContext(ctx, selectTile, level, number))
		}))
		if err != nil {
			return nil, err
		}
		if root != s.known.Root() {
			return nil, fmt.Errorf("%w: its first %d entries hash to %v and hashed to %v; another log was put in its place under a running server",
				ErrForked, s.known.Size(), root, s.known.Root())
		}
	}
	s.known = tree
	return tree, nil
}

// accept refuses the requests whose read set has been overtaken, by the log or
// by an earlier request of the batch, and returns the others.
func (s *Store) accept(ctx context.Context, batch []*request) ([]*request, error) {
	accepted := make([]*request, 0, len(batch))
	for _, r := range batch {
		if r.read.Size > s.tree.Size() {
			r.err = fmt.Errorf("%w: the decision was read from a log of %d entries, this one has %d", ErrConflict, r.read.Size, s.tree.Size())
			continue
		}
		key, found, known := s.recent.conflict(r.read)
		if !found && !known {
			var err error
			if key, found, err = s.writer.conflict(ctx, r.read); err != nil {
				return nil, err
			}
		}
		if found {
			r.err = fmt.Errorf("%w: there is a new entry under %q", ErrConflict, key)
			continue
		}
		accepted = append(accepted, r)
		for _, d := range r.drafts {
			s.recent.add(d.Keys)
		}
	}
	return accepted, nil
}

// insert writes the accepted requests and returns the grown tree and its
// checkpoint.
func (s *Store) insert(ctx context.Context, accepted []*request) (*ledger.Tree, []byte, error) {
	size := s.tree.Size()
	var entries, facts []any
	var hashes []tlog.Hash
	var found []fact
	idx := size
	for _, r := range accepted {
		for i := range r.drafts {
			d := &r.drafts[i]
			entries = append(entries, idx, d.Payload, d.Signature)
			for _, key := range d.Keys {
				found = append(found, fact{key, idx})
			}
			idx++
		}
		hashes = append(hashes, r.hashes...)
	}
	// In the order of the index, neighbours fall on the same page.
	slices.SortFunc(found, compareFacts)
	for _, f := range found {
		facts = append(facts, f.key, f.idx)
	}
	next, tiles := s.tree.Append(hashes...)
	root := next.Root()
	signed, err := ledger.Checkpoint{Origin: s.options.Origin, Size: next.Size(), Root: root}.Sign(s.options.Signers...)
	if err != nil {
		return nil, nil, err
	}
	var tileRows []any
	for _, t := range tiles {
		tileRows = append(tileRows, t.Level, t.Number, t.Data)
	}
	w := s.writer
	// Nothing may follow a failure: it may have ended the transaction.
	if err := w.entries.insert(ctx, entries); err != nil {
		return nil, nil, err
	}
	if err := w.facts.insert(ctx, facts); err != nil {
		return nil, nil, err
	}
	if err := w.tiles.insert(ctx, tileRows); err != nil {
		return nil, nil, err
	}
	if now := time.Now(); now.Sub(s.recorded) >= recordEvery {
		if err := w.checkpoints.insert(ctx, []any{next.Size(), signed}); err != nil {
			return nil, nil, err
		}
		s.recorded = now
	}
	moved, err := w.moveHead.ExecContext(ctx, next.Size(), root[:], signed, size)
	if err != nil {
		return nil, nil, err
	}
	if n, err := moved.RowsAffected(); err != nil {
		return nil, nil, err
	} else if n != 1 {
		return nil, nil, errors.New("the head of the log moved while it was locked")
	}
	return next, signed, nil
}

// number tells the requests their indices.
func number(accepted []*request, size int64) []Committed {
	var committed []Committed
	for _, r := range accepted {
		r.first = size
		for i := range r.drafts {
			committed = append(committed, Committed{Index: size, Keys: r.drafts[i].Keys, Payload: r.drafts[i].Payload})
			size++
		}
	}
	return committed
}

// restore connects and reads the right edge of the tree: at the start, and
// whenever what is in memory may differ from what was committed.
func (s *Store) restore(ctx context.Context) error {
	w, err := newWriter(ctx, s.engine)
	if err != nil {
		return err
	}
	tree, err := s.takeUp(ctx, w.conn)
	if err != nil {
		w.close()
		return err
	}
	s.writer, s.tree, s.recent = w, tree, newRecent(tree.Size())
	return nil
}

// catchUp returns what is remembered after another replica has moved the head
// to size: the keys of its entries too, unless they are too many.
func (s *Store) catchUp(ctx context.Context, size int64) (*recent, error) {
	from := s.tree.Size()
	if size-from > recentWindow {
		return newRecent(size), nil
	}
	entries, err := queryEntries(ctx, s.writer.conn, selectSince, from, size-from)
	if err != nil {
		return nil, err
	}
	if int64(len(entries)) != size-from {
		return nil, fmt.Errorf("%w: entries from number %d on are missing", ErrLedger, from+int64(len(entries)))
	}
	for _, e := range entries {
		_, keys, err := s.options.Project(e.Payload)
		if err != nil {
			return nil, fmt.Errorf("projecting entry %d: %w", e.Index, err)
		}
		s.recent.add(keys)
	}
	return s.recent, nil
}

// conflict looks in the database for an entry that has overtaken the read set.
func (w *writer) conflict(ctx context.Context, read ReadSet) (key string, found bool, err error) {
	for _, key := range read.Keys {
		if found, err := anyRow(ctx, w.factSince, &key, key, read.Size); found || err != nil {
			return key, found, err
		}
	}
	for _, prefix := range read.Prefixes {
		if found, err := anyRow(ctx, w.prefixSince, &key, prefix, prefix+endOfPrefix, read.Size); found || err != nil {
			return key, found, err
		}
	}
	return "", false, nil
}

// A fact is a row of the index: the entry idx can be found under key.
type fact struct {
	key string
	idx int64
}

func compareFacts(a, b fact) int {
	if c := cmp.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.idx, b.idx)
}
