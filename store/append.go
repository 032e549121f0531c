package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/ledger"
)

var (
	// ErrConflict is wrapped by the refusal of an append whose read set has
	// been overtaken. Read again, decide again, append again.
	ErrConflict = errors.New("somebody else wrote this first")
	// ErrUnknown is wrapped when the database failed while it was committing,
	// so that the entry may or may not be in the log. Read before trying again.
	ErrUnknown = errors.New("it is not known whether the entry was kept")
	// ErrDraft is wrapped by the refusal of a draft that can never be appended.
	ErrDraft = errors.New("the entry cannot be logged")
	// ErrClosed is returned by an append to a store that is being closed.
	ErrClosed = errors.New("the log is closed")
	// ErrReadOnly is returned by an append to a store that was opened for
	// reading only.
	ErrReadOnly = errors.New("the log was opened for reading only")
)

// A Draft is an entry that is not in the log yet.
type Draft struct {
	Payload   []byte // the statement, byte for byte as it was signed
	Signature []byte // the signature over it
	// Leaf and Keys are what Options.Project says about Payload. When Leaf is
	// nil, Append asks it.
	Leaf []byte
	Keys []string
}

// Bounds of a draft. A key must fit PostgreSQL's index rows.
const (
	maxKey     = 1024
	maxPayload = 16 << 20
	// endOfPrefix is greater than any character of a key, so that a prefix
	// and it bound the keys that begin with the prefix. It is a Unicode
	// noncharacter and refused in keys.
	endOfPrefix = "\U0010FFFF"
)

// Bounds of one transaction.
const (
	maxBatchDrafts = 4096
	maxBatchBytes  = 16 << 20
)

// A request is one call of Append on its way through the committer.
type request struct {
	read   ReadSet
	drafts []Draft
	hashes []tlog.Hash // of the leaves
	bytes  int
	done   chan struct{} // closed when first and err are set
	first  int64
	err    error
}

// Append adds the drafts to the log, together, one after another and without
// anything between them, and returns their indices once they are durable. It
// fails with [ErrConflict], and nothing is added, if the decision that led to
// them no longer holds: if an entry under a key of read has been written at or
// after read.Size.
//
// When ctx ends before the drafts have been taken into a transaction, nothing
// is added and the context's error is returned; after that Append waits for the
// transaction's outcome.
func (s *Store) Append(ctx context.Context, read ReadSet, drafts ...Draft) ([]int64, error) {
	if s.queue == nil {
		return nil, ErrReadOnly
	}
	if len(drafts) == 0 {
		return nil, nil
	}
	r, err := s.newRequest(read, drafts)
	if err != nil {
		return nil, err
	}
	if err := s.queue.put(r); err != nil {
		return nil, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if s.queue.withdraw(r) {
			return nil, ctx.Err()
		}
		<-r.done
	}
	if r.err != nil {
		return nil, r.err
	}
	indices := make([]int64, len(drafts))
	for i := range indices {
		indices[i] = r.first + int64(i)
	}
	return indices, nil
}

// newRequest does all work on the drafts that needs no transaction, in the
// caller's goroutine.
func (s *Store) newRequest(read ReadSet, drafts []Draft) (*request, error) {
	if len(drafts) > maxBatchDrafts {
		return nil, fmt.Errorf("%w: %d entries at once, at most %d", ErrDraft, len(drafts), maxBatchDrafts)
	}
	r := &request{read: read, drafts: slices.Clone(drafts), hashes: make([]tlog.Hash, len(drafts)), done: make(chan struct{})}
	for i := range r.drafts {
		d := &r.drafts[i]
		if len(d.Payload) == 0 || len(d.Payload) > maxPayload || len(d.Signature) == 0 {
			return nil, fmt.Errorf("%w: a payload of 1 to %d bytes and a signature are needed", ErrDraft, maxPayload)
		}
		if d.Leaf == nil {
			var err error
			if d.Leaf, d.Keys, err = s.options.Project(d.Payload); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrDraft, err)
			}
		}
		if len(d.Leaf) > ledger.MaxLeaf {
			return nil, fmt.Errorf("%w: its leaf has %d bytes, at most %d", ErrDraft, len(d.Leaf), ledger.MaxLeaf)
		}
		var err error
		if d.Keys, err = cleanKeys(d.Keys); err != nil {
			return nil, err
		}
		r.hashes[i] = tlog.RecordHash(d.Leaf)
		r.bytes += len(d.Payload)
	}
	return r, nil
}

// cleanKeys returns the keys as a sorted set.
func cleanKeys(keys []string) ([]string, error) {
	for _, key := range keys {
		if key == "" || len(key) > maxKey || !utf8.ValidString(key) {
			return nil, fmt.Errorf("%w: key %q is not 1 to %d bytes of UTF-8", ErrDraft, key, maxKey)
		}
		for _, c := range key {
			if c == 0 || c == utf8.MaxRune {
				return nil, fmt.Errorf("%w: key %q has the character %U", ErrDraft, key, c)
			}
		}
	}
	for i := 1; i < len(keys); i++ {
		if keys[i-1] >= keys[i] {
			keys = slices.Clone(keys)
			slices.Sort(keys)
			return slices.Compact(keys), nil
		}
	}
	return keys, nil
}

// A queue holds requests until the committer takes them.
type queue struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting []*request
	closed  bool
}

func newQueue() *queue {
	q := &queue{}
	q.changed.L = &q.mu
	return q
}

func (q *queue) put(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.waiting = append(q.waiting, r)
	q.changed.Signal()
	return nil
}

// withdraw takes a request out again; it is too late when it returns false.
func (q *queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, r)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// take waits for requests and returns those that go into one transaction, or
// nil when the queue is closed and empty.
func (q *queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 {
		if q.closed {
			return nil
		}
		q.changed.Wait()
	}
	n, drafts, bytes := 0, 0, 0
	for _, r := range q.waiting {
		drafts += len(r.drafts)
		bytes += r.bytes
		if n > 0 && (drafts > maxBatchDrafts || bytes > maxBatchBytes) {
			break
		}
		n++
	}
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}
