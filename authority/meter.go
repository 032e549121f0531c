package authority

import (
	"sync"
	"time"

	"imprimatur.dev/record"
)

// Meter counts what the calls of one release have used of its limits and
// budgets. It is safe for concurrent use: two calls never share the last one
// that is left. It counts in slots of a sixtieth of each span and forgets a
// slot only when the whole of it is older than the span, so that in no span of
// time more is used than was granted; in return a call may count for up to a
// sixtieth longer than it must.
type Meter struct {
	mu    sync.Mutex
	usage map[meterKey]*usage
}

type meterKey struct {
	kind   string
	number int
}

// usage is what was used of one grant.
type usage struct{ calls, budget window }

// NewMeter returns a meter that has counted nothing.
func NewMeter() *Meter { return &Meter{usage: map[meterKey]*usage{}} }

// take counts one call against a grant and reserves what it may cost, or says
// when there is room for it: never, where after is zero.
func (m *Meter) take(g *grant, cost Cost, now time.Time) (d Decision, ok bool) {
	d = Decision{Kind: g.kind, Number: g.number, Grant: g.Grant}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.of(g.kind, g.number)
	if g.Budget != (record.Budget{}) {
		// Where the cost is not known before, there must be something left.
		d.reserved = max(cost.in(g.Budget.Unit), 0)
		if d.After, ok = u.budget.fits(now, seconds(g.Budget.Seconds), max(d.reserved, 1), g.Budget.Amount); !ok {
			return d, false
		}
	}
	if g.Limit != (record.Limit{}) {
		if d.After, ok = u.calls.fits(now, seconds(g.Limit.Seconds), 1, g.Limit.Calls); !ok {
			return d, false
		}
		u.calls.add(1)
	}
	if d.reserved > 0 {
		u.budget.add(d.reserved)
		d.slot = u.budget.newest
	}
	d.Allowed, d.After = true, time.Time{}
	return d, true
}

// Settle counts what an allowed call has cost of its grant's budget, in place
// of what was reserved for it; more than is left counts too. It is called once for
// a decision; without it the reservation stands.
func (m *Meter) Settle(d Decision, cost Cost, now time.Time) {
	if d.Grant.Budget == (record.Budget{}) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &m.of(d.Kind, d.Number).budget
	w.move(now, seconds(d.Grant.Budget.Seconds))
	w.take(d.slot, d.reserved)
	w.add(max(cost.in(d.Grant.Budget.Unit), 0))
}

func (m *Meter) of(kind string, number int) *usage {
	key := meterKey{kind, number}
	u := m.usage[key]
	if u == nil {
		u = &usage{}
		m.usage[key] = u
	}
	return u
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// parts is into how many slots a span is cut.
const parts = 60

// window counts over the last span of time. The newest slot is the one of
// number newest, counted from the year 1970 in slots.
type window struct {
	newest int64
	slots  [parts + 1]int
	sum    int
}

// fits moves the window to now and reports whether n more keep within most; if
// not, after is when they will, or zero where they never do.
func (w *window) fits(now time.Time, span time.Duration, n, most int) (after time.Time, ok bool) {
	w.move(now, span)
	if w.sum+n <= most {
		return time.Time{}, true
	}
	left := w.sum
	for i := w.newest - parts; i <= w.newest; i++ {
		left -= w.slots[w.slot(i)]
		if left+n <= most {
			return time.Unix(0, (i+parts+1)*int64(span/parts)).UTC(), false
		}
	}
	return time.Time{}, false
}

// move empties the slots that have grown older than the span. A clock that
// went back moves nothing.
func (w *window) move(now time.Time, span time.Duration) {
	n := now.UnixNano() / int64(span/parts)
	if n <= w.newest {
		return
	}
	for i := max(w.newest+1, n-parts); i <= n; i++ {
		w.sum -= w.slots[w.slot(i)]
		w.slots[w.slot(i)] = 0
	}
	w.newest = n
}

func (w *window) add(n int) {
	w.slots[w.slot(w.newest)] += n
	w.sum += n
}

// take gives back what was added in a slot, unless that was forgotten.
func (w *window) take(slot int64, n int) {
	if slot >= w.newest-parts && slot <= w.newest {
		w.slots[w.slot(slot)] -= n
		w.sum -= n
	}
}

func (*window) slot(i int64) int { return int(((i % (parts + 1)) + parts + 1) % (parts + 1)) }
