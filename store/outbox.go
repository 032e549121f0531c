package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// The log is its own outbox: what committed is what there is to tell of, and
// nothing else is. A Reader is somebody who is told of it, with the place that
// they have come to; a restart goes on from there. Of several servers on one log
// one at a time serves a reader, by a lease in the reader's row.
type Reader struct {
	ID string
	// Next is the index of the first entry that the reader was not told of.
	Next int64
	// Rest is the time before which nothing is sent, and Failures how often in a
	// row it failed.
	Rest     time.Time
	Failures int
	// Sent counts what was delivered, Last is when something last was, and Fault
	// says what went wrong last; it is empty when the last attempt went well.
	Sent  int64
	Last  time.Time
	Fault string
}

// States of a delivery.
const (
	DeliveryDue  = "due"
	DeliveryDead = "dead" // given up: it waits for somebody to replay it
	DeliverySent = "sent" // kept until Due so that it is not sent twice
)

// A Delivery is what could not be delivered at once: it has left the order of
// the log and is tried again by itself.
type Delivery struct {
	// ID is the same for each attempt, whoever makes it.
	ID, Reader string
	// Entry is the index of what is told of, and Part the how-manieth message
	// about it. An Entry of -1 is a message of its own, which is in Message.
	Entry    int64
	Part     int
	Message  []byte
	State    string
	Attempts int
	// Due is when it is tried next, of one that was sent when it is forgotten.
	Due   time.Time
	Fault string
	Made  time.Time
}

// Settlement is what becomes of deliveries when a reader moves on.
type Settlement struct {
	Add  []Delivery // those that are there already stay as they are
	Set  []Delivery // their state, attempts, due time and fault are replaced
	Gone []string   // the IDs of those that are forgotten
}

// ErrLease is wrapped by the refusal to move a reader whose lease was lost.
var ErrLease = errors.New("another server has taken over this reader")

const (
	readerColumns = "id, next, rest, failures, sent, last, fault"
	addReader     = "INSERT INTO readers (" + readerColumns + ", holder, until) VALUES ($1, $2, 0, 0, 0, 0, '', '', 0) ON CONFLICT (id) DO NOTHING"
	claimReader   = "UPDATE readers SET holder = $1, until = $2 WHERE id = $3 AND (holder = $1 OR until <= $4) RETURNING " + readerColumns
	moveReader    = "UPDATE readers SET next = $1, rest = $2, failures = $3, sent = $4, last = $5, fault = $6, until = $7 WHERE id = $8 AND holder = $9"
	selectReader  = "SELECT " + readerColumns + " FROM readers WHERE id = $1"
	leaveReaders  = "UPDATE readers SET until = 0 WHERE holder = $1"
	wakeReader    = "UPDATE readers SET rest = 0, failures = 0 WHERE id = $1"
	dropReader    = "DELETE FROM readers WHERE id = $1"

	deliveryColumns = "id, reader, entry, part, message, state, attempts, due, fault, made"
	addDelivery     = "INSERT INTO deliveries (" + deliveryColumns + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING"
	setDelivery     = "UPDATE deliveries SET state = $1, attempts = $2, due = $3, fault = $4 WHERE id = $5 AND reader = $6"
	forgetDelivery  = "DELETE FROM deliveries WHERE id = $1 AND reader = $2"
	forgetSent      = "DELETE FROM deliveries WHERE reader = $1 AND state = 'sent' AND due <= $2"
	dropDeliveries  = "DELETE FROM deliveries WHERE reader = $1"
	nextDelivery    = "SELECT " + deliveryColumns + " FROM deliveries WHERE reader = $1 AND state = 'due' ORDER BY due, id LIMIT 1"
	listDeliveries  = "SELECT " + deliveryColumns + " FROM deliveries WHERE reader = $1 AND state <> 'sent' ORDER BY made DESC, id LIMIT $2"
	replayDelivery  = "UPDATE deliveries SET state = 'due', attempts = 0, due = $1 WHERE reader = $2 AND state = 'dead' AND ($3 = '' OR id = $3)"
)

// Claim takes a reader for a holder until the lease ends, and makes it where it
// is new, to be told of what is appended from the index start on. It returns
// false while another holder has it.
func (s *Store) Claim(ctx context.Context, id, holder string, start int64, now time.Time, lease time.Duration) (Reader, bool, error) {
	if err := s.setAside(ctx, addReader, id, start); err != nil {
		return Reader{}, false, err
	}
	return s.oneReader(s.engine.aside.QueryRowContext(ctx, claimReader, holder, now.Add(lease).UnixMilli(), id, now.UnixMilli()))
}

// ReaderOf returns a reader as it stands, and whether there is one.
func (s *Store) ReaderOf(ctx context.Context, id string) (Reader, bool, error) {
	return s.oneReader(s.engine.read.QueryRowContext(ctx, selectReader, id))
}

func (s *Store) oneReader(row *sql.Row) (Reader, bool, error) {
	var r Reader
	var rest, last int64
	err := row.Scan(&r.ID, &r.Next, &rest, &r.Failures, &r.Sent, &last, &r.Fault)
	if errors.Is(err, sql.ErrNoRows) {
		return Reader{}, false, nil
	}
	if err != nil {
		return Reader{}, false, fmt.Errorf("reading the outbox: %w", s.engine.explain(err))
	}
	r.Rest, r.Last = at(rest), at(last)
	return r, true, nil
}

// at and millis write times as milliseconds, the zero time as 0.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Settle moves a reader on and settles deliveries, in one transaction, and
// renews the lease. It fails with [ErrLease] when the holder has it no more.
func (s *Store) Settle(ctx context.Context, r Reader, holder string, until time.Time, d Settlement) error {
	if s.engine.aside == nil {
		return ErrReadOnly
	}
	tx, err := s.engine.aside.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing to the outbox: %w", s.engine.explain(err))
	}
	defer tx.Rollback() //nolint:errcheck // it was committed, or nothing is to be kept
	moved, err := tx.ExecContext(ctx, moveReader, r.Next, millis(r.Rest), r.Failures, r.Sent, millis(r.Last), r.Fault, until.UnixMilli(), r.ID, holder)
	if err == nil {
		if n, _ := moved.RowsAffected(); n == 0 {
			return ErrLease
		}
		err = settle(ctx, tx, r.ID, d)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("writing to the outbox: %w", s.engine.explain(err))
	}
	return nil
}

func settle(ctx context.Context, tx *sql.Tx, reader string, d Settlement) error {
	for _, a := range d.Add {
		if a.Message == nil {
			a.Message = []byte{}
		}
		if _, err := tx.ExecContext(ctx, addDelivery, a.ID, reader, a.Entry, a.Part, a.Message, a.State, a.Attempts, millis(a.Due), a.Fault, millis(a.Made)); err != nil {
			return err
		}
	}
	for _, c := range d.Set {
		if _, err := tx.ExecContext(ctx, setDelivery, c.State, c.Attempts, millis(c.Due), c.Fault, c.ID, reader); err != nil {
			return err
		}
	}
	for _, id := range d.Gone {
		if _, err := tx.ExecContext(ctx, forgetDelivery, id, reader); err != nil {
			return err
		}
	}
	return nil
}

// Leave gives up all leases of a holder, so that another need not wait for
// their end.
func (s *Store) Leave(ctx context.Context, holder string) error {
	return s.setAside(ctx, leaveReaders, holder)
}

// NextDelivery returns the delivery of a reader that is due first, which may be
// later than now, and whether there is one.
func (s *Store) NextDelivery(ctx context.Context, reader string) (Delivery, bool, error) {
	found, err := s.deliveries(ctx, nextDelivery, reader)
	if err != nil || len(found) == 0 {
		return Delivery{}, false, err
	}
	return found[0], true, nil
}

// Deliveries returns up to limit deliveries of a reader that were not made,
// newest first.
func (s *Store) Deliveries(ctx context.Context, reader string, limit int) ([]Delivery, error) {
	return s.deliveries(ctx, listDeliveries, reader, limit)
}

func (s *Store) deliveries(ctx context.Context, query string, args ...any) ([]Delivery, error) {
	rows, err := s.engine.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", s.engine.explain(err))
	}
	defer rows.Close()
	var found []Delivery
	for rows.Next() {
		var d Delivery
		var due, made int64
		if err := rows.Scan(&d.ID, &d.Reader, &d.Entry, &d.Part, &d.Message, &d.State, &d.Attempts, &due, &d.Fault, &made); err != nil {
			return nil, fmt.Errorf("reading the outbox: %w", err)
		}
		d.Due, d.Made = at(due), at(made)
		found = append(found, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", s.engine.explain(err))
	}
	return found, nil
}

// Replay makes deliveries that were given up due again: one by its ID, or all of
// the reader where that is empty. It returns how many.
func (s *Store) Replay(ctx context.Context, reader, id string, now time.Time) (int64, error) {
	if err := s.setAside(ctx, wakeReader, reader); err != nil {
		return 0, err
	}
	done, err := s.engine.aside.ExecContext(ctx, replayDelivery, now.UnixMilli(), reader, id)
	if err != nil {
		return 0, fmt.Errorf("writing to the outbox: %w", s.engine.explain(err))
	}
	return done.RowsAffected()
}

// ForgetSent forgets the deliveries of a reader that were sent and need not be
// remembered any more.
func (s *Store) ForgetSent(ctx context.Context, reader string, now time.Time) error {
	return s.setAside(ctx, forgetSent, reader, now.UnixMilli())
}

// DropReader forgets a reader with all its deliveries.
func (s *Store) DropReader(ctx context.Context, id string) error {
	return errors.Join(s.setAside(ctx, dropReader, id), s.setAside(ctx, dropDeliveries, id))
}
