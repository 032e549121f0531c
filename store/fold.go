package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	beginAside = "INSERT INTO asides (space, id, owner, value, expires) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (space, id) DO NOTHING"
	foldAside  = "SELECT owner, value, expires FROM asides WHERE space = $1 AND id = $2"
	setValue   = "UPDATE asides SET owner = $1, value = $2, expires = $3 WHERE space = $4 AND id = $5"
	selectIDs  = "SELECT id FROM asides WHERE space = $1 AND owner = $2 AND expires > $3 ORDER BY id"
)

// Fold changes asides, and remembers in another one, the mark, that it did: all
// in one transaction, and once however often it is asked, by however many servers.
// It returns the mark's value and whether this call was the first; change is called
// for that one only, with the asides as they are and values of nil where they are new,
// in the order of places, and sets the values, owners and expiries of all. Places must be in the order of their IDs, so that no two folds
// wait for each other. Without a mark, whose space is empty, every call is the first.
func (s *Store) Fold(ctx context.Context, mark Aside, places []Aside, change func(mark *Aside, places []Aside) error) (value []byte, first bool, err error) {
	if s.engine.aside == nil {
		return nil, false, ErrReadOnly
	}
	tx, err := s.engine.aside.BeginTx(ctx, nil)
	if err != nil {
		return nil, false, fmt.Errorf("folding: %w", s.engine.explain(err))
	}
	defer tx.Rollback() //nolint:errcheck // it was committed, or nothing is to be kept
	value, first, err = s.fold(ctx, tx, mark, places, change)
	if err == nil && first {
		err = tx.Commit()
	}
	if err != nil {
		return nil, false, fmt.Errorf("folding: %w", s.engine.explain(err))
	}
	return value, first, nil
}

func (s *Store) fold(ctx context.Context, tx *sql.Tx, mark Aside, places []Aside, change func(*Aside, []Aside) error) (value []byte, first bool, err error) {
	if mark.Space != "" {
		if first, err = s.beginAside(ctx, tx, &mark); err != nil || !first {
			return mark.Value, false, err
		}
	}
	for i := range places {
		if _, err := s.beginAside(ctx, tx, &places[i]); err != nil {
			return nil, false, err
		}
	}
	if err := change(&mark, places); err != nil {
		return nil, false, err
	}
	for _, a := range append(places[:len(places):len(places)], mark) {
		if a.Space == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, setValue, a.Owner, a.Value, a.until(), a.Space, a.ID); err != nil {
			return nil, false, err
		}
	}
	return mark.Value, true, nil
}

// beginAside makes an aside where there is none, locks it until the end of the
// transaction, and reads its value. An insert that waits for another's of the
// same place sees it when that has committed.
func (s *Store) beginAside(ctx context.Context, tx *sql.Tx, a *Aside) (made bool, err error) {
	done, err := tx.ExecContext(ctx, beginAside, a.Space, a.ID, a.Owner, []byte{}, a.until())
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	if err != nil {
		return false, err
	}
	a.Value = nil
	if n == 0 {
		var until int64
		err = tx.QueryRowContext(ctx, foldAside+s.engine.forUpdate, a.Space, a.ID).Scan(&a.Owner, &a.Value, &until)
		a.Expires = expiry(until)
	}
	return n > 0, err
}

// IDs returns the IDs of one owner's in a space that have not expired, in order.
func (s *Store) IDs(ctx context.Context, space, owner string, now time.Time) ([]string, error) {
	rows, err := s.engine.read.QueryContext(ctx, selectIDs, space, owner, now.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("reading what stands beside the log: %w", s.engine.explain(err))
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("reading what stands beside the log: %w", err)
		}
		found = append(found, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading what stands beside the log: %w", s.engine.explain(err))
	}
	return found, nil
}
