package mcp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Source says what the workload that a bearer token stands for may do now. This
// is the one place where a bearer becomes a workload. The grants are left out
// where they are those of the digest. An error that is [ErrNotSignedIn] means
// that the token stands for nobody, and any other that it could not be decided.
type Source func(ctx context.Context, bearer string, have record.Digest) (wire.Granted, error)

// ErrNotSignedIn is what a [Source] wraps where a token stands for nobody.
var ErrNotSignedIn = errors.New("not signed in")

const (
	// askEvery is how often a source is asked again, and so, with the time that
	// an answer takes, how long a release that was stopped can still be used.
	askEvery = 250 * time.Millisecond
	// answerWithin is how long a source may take.
	answerWithin = 2 * time.Second
	// forgottenAfter is how long a caller without sessions is asked about.
	forgottenAfter = 5 * time.Minute
	// maxCallers are how many bearer tokens are known at once.
	maxCallers = 4096
)

// power is what a workload may do under one release while that stands. Ctx ends
// when it does, and its cause is the reason.
type power struct {
	wire.Granted
	grants *authority.Set
	meter  *authority.Meter
	ctx    context.Context
	end    context.CancelCauseFunc
}

// caller is a workload that is signed in, and what it may do. It is safe for
// concurrent use.
type caller struct {
	bearer string
	source Source
	stale  time.Duration
	now    func() time.Time

	current atomic.Pointer[power]
	// seen is when the last question that was answered was asked, and used when
	// the caller last did something.
	seen, used atomic.Pointer[time.Time]
	sessions   atomic.Int64

	mu sync.Mutex // held by who asks the source
	// meter returns that of a release, which all who act under it share.
	meter func(release string) *authority.Meter
	// changed is closed when the power is another one, and replaced.
	changed chan struct{}
}

// stopped is the cause with which a power ends.
type stopped struct{ reasons []string }

func (s *stopped) Error() string {
	return "no release stands for this workload: " + strings.Join(s.reasons, "; ")
}

func (c *caller) workload() string { return c.current.Load().Workload }

// ask asks the source once and keeps the answer.
func (c *caller) ask(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := c.now()
	old := c.current.Load()
	var have record.Digest
	if old != nil && old.Stands {
		have = old.Digest
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	got, err := c.source(ctx, c.bearer, have)
	switch {
	case errors.Is(err, ErrNotSignedIn):
		workload := ""
		if old != nil {
			workload = old.Workload
		}
		got = wire.Granted{Workload: workload, Reasons: []string{"the token is not valid any more"}}
		c.turn(old, got)
	case err == nil:
		c.seen.Store(&began)
		c.turn(old, got)
	case old != nil && old.Stands && c.blind() != "":
		got = wire.Granted{Workload: old.Workload, Reasons: []string{c.blind()}}
		c.turn(old, got)
	}
	return err
}

// turn makes the answer the caller's power, and ends the one before.
func (c *caller) turn(old *power, got wire.Granted) {
	same := old != nil && old.Stands == got.Stands && old.Release == got.Release && old.Digest == got.Digest
	p := &power{Granted: got}
	switch {
	case same:
		p.grants, p.meter, p.ctx, p.end = old.grants, old.meter, old.ctx, old.end
		c.current.Store(p)
		return
	case !got.Stands:
		p.grants, _ = authority.Compile(record.Authority{})
	case got.Authority != nil:
		// A grant whose condition cannot be used is not in the set, and allows
		// nothing.
		p.grants, _ = authority.Compile(*got.Authority)
	default:
		p.grants = old.grants // those of the digest that the source was told of
	}
	p.meter = c.meter(got.Release)
	p.ctx, p.end = context.WithCancelCause(context.Background())
	if !got.Stands {
		p.end(&stopped{got.Reasons})
	}
	c.current.Store(p)
	if old != nil {
		why := got.Reasons
		if got.Stands {
			why = []string{fmt.Sprintf("the release %s was replaced by %s", old.Release, got.Release)}
		}
		old.end(&stopped{why})
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// next is closed when the caller's power is another one than now.
func (c *caller) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// blind says why nothing may be decided on what is known: it is too old.
func (c *caller) blind() string {
	if ago := c.now().Sub(*c.seen.Load()); ago > c.stale {
		return fmt.Sprintf("the server has not said for %s whether the release stands, longer than the bound of %s; check IMPRIMATUR_URL and the server", ago.Round(time.Second), c.stale)
	}
	return ""
}

// standing returns the power under which the caller acts now, or the reason for
// which it may do nothing.
func (c *caller) standing() (*power, error) {
	now := c.now()
	c.used.Store(&now)
	p := c.current.Load()
	if why := c.blind(); why != "" {
		return nil, &stopped{[]string{why}}
	}
	if err := context.Cause(p.ctx); err != nil {
		return nil, err
	}
	if !record.Stands(time.Time{}, p.Until, now) {
		return nil, &stopped{[]string{fmt.Sprintf("the release %s lapsed at %s", p.Release, p.Until.UTC().Format(time.RFC3339))}}
	}
	return p, nil
}

// offers reports whether the caller may be shown what a call would be of.
func (c *caller) offers(call *authority.Call) bool {
	p, err := c.standing()
	return err == nil && p.grants.Offers(call, c.now())
}

// follow asks the source again and again, until the context ends or nobody has
// used the caller for a while.
func (c *caller) follow(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.sessions.Load() == 0 && c.now().Sub(*c.used.Load()) > forgottenAfter {
			return
		}
		// What goes wrong shows in the standing.
		_ = c.ask(ctx)
	}
}

// callers are the workloads that have signed in, by the digest of their bearer.
type callers struct {
	ctx    context.Context
	source Source
	stale  time.Duration
	now    func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]*caller
	// meters are those of the releases that were seen: a release that stands
	// again goes on counting where it was.
	meters map[string]*authority.Meter
}

func (cs *callers) meter(release string) *authority.Meter {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.meters[release] == nil {
		cs.meters[release] = authority.NewMeter()
	}
	return cs.meters[release]
}

func newCallers(ctx context.Context, source Source, stale time.Duration, now func() time.Time) *callers {
	return &callers{
		ctx: ctx, source: source, stale: stale, now: now,
		known: map[[sha256.Size]byte]*caller{}, meters: map[string]*authority.Meter{},
	}
}

// signIn returns the caller that a bearer stands for. The first time the source
// is asked, so that a token that stands for nobody is refused at once.
func (cs *callers) signIn(ctx context.Context, bearer string) (*caller, error) {
	key := sha256.Sum256([]byte(bearer))
	cs.mu.Lock()
	c, full := cs.known[key], len(cs.known) >= maxCallers
	cs.mu.Unlock()
	if c != nil {
		return c, nil
	}
	if full {
		return nil, fmt.Errorf("the gateway knows %d callers already, and takes no more; try again in some minutes", maxCallers)
	}
	c = &caller{bearer: bearer, source: cs.source, stale: cs.stale, now: cs.now, meter: cs.meter, changed: make(chan struct{})}
	now := cs.now()
	c.used.Store(&now)
	if err := c.ask(ctx); err != nil {
		return nil, err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if other := cs.known[key]; other != nil {
		return other, nil // two requests at once: one of them is followed
	}
	cs.known[key] = c
	go func() {
		c.follow(cs.ctx)
		cs.mu.Lock()
		defer cs.mu.Unlock()
		delete(cs.known, key)
	}()
	return c, nil
}
