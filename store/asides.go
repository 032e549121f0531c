package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// An Aside is something that the server remembers for itself and that nobody
// stated: a session, the hash of a password, a link that was handed out. It
// stands beside the log: no decision about a release rests on it, and a ledger
// without its asides is whole.
type Aside struct {
	// Space says what it is, ID which one.
	Space, ID string
	// Owner is whose it is, so that all of somebody's can be forgotten.
	Owner string
	Value []byte
	// Expires is when it is forgotten; the zero time is never.
	Expires time.Time
}

// never is the expiry of what does not expire, in milliseconds.
const never = 1<<63 - 1

func (a Aside) until() int64 {
	if a.Expires.IsZero() {
		return never
	}
	return a.Expires.UnixMilli()
}

const (
	insertAside = "INSERT INTO asides (space, id, owner, value, expires) VALUES ($1, $2, $3, $4, $5)" +
		" ON CONFLICT (space, id) DO UPDATE SET owner = excluded.owner, value = excluded.value, expires = excluded.expires"
	renewAside   = "UPDATE asides SET value = $1, expires = $2 WHERE space = $3 AND id = $4 AND expires > $5"
	selectAside  = "SELECT id, owner, value, expires FROM asides WHERE space = $1 AND id = $2 AND expires > $3"
	selectOwned  = "SELECT id, owner, value, expires FROM asides WHERE space = $1 AND owner = $2 AND expires > $3 ORDER BY id"
	takeAside    = "DELETE FROM asides WHERE space = $1 AND id = $2 AND expires > $3 RETURNING id, owner, value, expires"
	forgetOwned  = "DELETE FROM asides WHERE space = $1 AND owner = $2"
	sweepExpired = "DELETE FROM asides WHERE expires <= $1"
)

// Keep keeps an aside in the place of one with the same space and ID, durably,
// and forgets what has expired by now.
func (s *Store) Keep(ctx context.Context, a Aside, now time.Time) error {
	if err := s.setAside(ctx, sweepExpired, now.UnixMilli()); err != nil {
		return err
	}
	return s.setAside(ctx, insertAside, a.Space, a.ID, a.Owner, a.Value, a.until())
}

// Renew changes an aside that stands still; one that was taken or forgotten
// meanwhile stays gone.
func (s *Store) Renew(ctx context.Context, a Aside, now time.Time) error {
	return s.setAside(ctx, renewAside, a.Value, a.until(), a.Space, a.ID, now.UnixMilli())
}

// Forget forgets all of one owner's in a space.
func (s *Store) Forget(ctx context.Context, space, owner string) error {
	return s.setAside(ctx, forgetOwned, space, owner)
}

func (s *Store) setAside(ctx context.Context, query string, args ...any) error {
	if s.engine.aside == nil {
		return ErrReadOnly
	}
	if _, err := s.engine.aside.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("keeping what stands beside the log: %w", s.engine.explain(err))
	}
	return nil
}

// Recall returns an aside that has not expired, and whether there is one.
func (s *Store) Recall(ctx context.Context, space, id string, now time.Time) (Aside, bool, error) {
	return s.oneAside(ctx, s.engine.read, selectAside, space, id, now)
}

// Take returns an aside and forgets it, in one step: of several who take it at
// once one has it.
func (s *Store) Take(ctx context.Context, space, id string, now time.Time) (Aside, bool, error) {
	if s.engine.aside == nil {
		return Aside{}, false, ErrReadOnly
	}
	return s.oneAside(ctx, s.engine.aside, takeAside, space, id, now)
}

func (s *Store) oneAside(ctx context.Context, db *sql.DB, query, space, id string, now time.Time) (Aside, bool, error) {
	a, err := scanAside(space, db.QueryRowContext(ctx, query, space, id, now.UnixMilli()).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Aside{}, false, nil
	}
	if err != nil {
		return Aside{}, false, fmt.Errorf("reading what stands beside the log: %w", s.engine.explain(err))
	}
	return a, true, nil
}

// Owned returns all of one owner's in a space that have not expired.
func (s *Store) Owned(ctx context.Context, space, owner string, now time.Time) ([]Aside, error) {
	failed := func(err error) ([]Aside, error) {
		return nil, fmt.Errorf("reading what stands beside the log: %w", s.engine.explain(err))
	}
	rows, err := s.engine.read.QueryContext(ctx, selectOwned, space, owner, now.UnixMilli())
	if err != nil {
		return failed(err)
	}
	defer rows.Close()
	var found []Aside
	for rows.Next() {
		a, err := scanAside(space, rows.Scan)
		if err != nil {
			return failed(err)
		}
		found = append(found, a)
	}
	if err := rows.Err(); err != nil {
		return failed(err)
	}
	return found, nil
}

func scanAside(space string, scan func(...any) error) (Aside, error) {
	a := Aside{Space: space}
	var until int64
	err := scan(&a.ID, &a.Owner, &a.Value, &until)
	a.Expires = expiry(until)
	return a, err
}

func expiry(until int64) time.Time {
	if until == never {
		return time.Time{}
	}
	return time.UnixMilli(until).UTC()
}
