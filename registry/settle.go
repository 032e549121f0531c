package registry

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/wire"
)

const (
	// settleWithin is how long after the span of its budget a call may be settled.
	settleWithin = time.Hour
	// maxReservations are how many are kept; a call beyond them costs what was
	// reserved for it.
	maxReservations = 100_000
)

// reservation is a call whose cost was reserved, for who asked about it.
type reservation struct {
	by    string
	meter *authority.Meter
	d     authority.Decision
	ends  time.Time
}

// reservations are those that are not settled, by names that nobody can guess.
type reservations struct {
	mu   sync.Mutex
	kept map[string]reservation
}

// keep returns the name by which a reservation is settled, or nothing where there
// are too many.
func (rs *reservations) keep(r reservation, now time.Time) string {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.kept == nil {
		rs.kept = map[string]reservation{}
	}
	if len(rs.kept) >= maxReservations {
		for name, old := range rs.kept {
			if old.ends.Before(now) {
				delete(rs.kept, name)
			}
		}
		if len(rs.kept) >= maxReservations {
			return ""
		}
	}
	name := rand.Text()
	rs.kept[name] = r
	return name
}

// take returns a reservation of an asker, once.
func (rs *reservations) take(name, by string) (reservation, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok := rs.kept[name]
	if !ok || r.by != by {
		return reservation{}, false
	}
	delete(rs.kept, name)
	return r, true
}

// Settle counts what an allowed call has used of its grant's budget, in place
// of what [Registry.Authorize] reserved for it. It is told by who asked; what
// nobody settles costs what was reserved.
func (r *Registry) Settle(ctx context.Context, who Caller, s wire.Settlement) (wire.Settlement, error) {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return s, err
	}
	if err := who.enrolled(me, now); err != nil {
		return s, err
	}
	kept, ok := r.reserved.take(s.Reservation, who.Name)
	if !ok {
		return s, refusef(wire.Unknown, "there is no such reservation of %s: it was settled before, or this server was started since; ask again before the next call", who.Name)
	}
	kept.meter.Settle(kept.d, authority.Cost{Tokens: s.Tokens, Bytes: s.Bytes}, now)
	return s, nil
}
