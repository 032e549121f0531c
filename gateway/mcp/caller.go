package mcp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/follow"
)

const (
	// forgottenAfter is how long a caller without sessions is asked about.
	forgottenAfter = 5 * time.Minute
	// maxCallers are how many bearer tokens are known at once.
	maxCallers = 4096
)

// power is what a workload may do under one term.
type power struct {
	*follow.Term
	grants *authority.Set
	meter  *authority.Meter
}

// caller is a workload that is signed in, and what it may do. It is safe for
// concurrent use.
type caller struct {
	*follow.Follower
	bearer string
	now    func() time.Time
	// meter returns that of a release, which all who act under it share.
	meter func(release string) *authority.Meter

	current atomic.Pointer[power]
	// used is when the caller last did something.
	used     atomic.Pointer[time.Time]
	sessions atomic.Int64
}

func (c *caller) workload() string { return c.Term().Workload }

// standing returns the power under which the caller acts now, or the reason for
// which it may do nothing.
func (c *caller) standing() (*power, error) {
	now := c.now()
	c.used.Store(&now)
	t, err := c.Stands()
	if err != nil {
		return nil, err
	}
	if p := c.current.Load(); p != nil && p.Term == t {
		return p, nil
	}
	p := &power{Term: t, grants: t.Grants(), meter: c.meter(t.Release)}
	c.current.Store(p)
	return p, nil
}

// offers reports whether the caller may be shown what a call would be of.
func (c *caller) offers(call *authority.Call) bool {
	p, err := c.standing()
	return err == nil && p.grants.Offers(call, c.now())
}

// needed reports whether the caller has sessions, or has done something of late.
func (c *caller) needed() bool {
	return c.sessions.Load() > 0 || c.now().Sub(*c.used.Load()) <= forgottenAfter
}

// callers are the workloads that have signed in, by the digest of their bearer.
type callers struct {
	ctx    context.Context
	source follow.Source
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

func newCallers(ctx context.Context, source follow.Source, stale time.Duration, now func() time.Time) *callers {
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
	c = &caller{Follower: follow.New(cs.source, bearer, cs.stale, cs.now), bearer: bearer, now: cs.now, meter: cs.meter}
	now := cs.now()
	c.used.Store(&now)
	if err := c.Ask(ctx); err != nil {
		return nil, err
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if other := cs.known[key]; other != nil {
		return other, nil // two requests at once: one of them is followed
	}
	cs.known[key] = c
	go func() {
		c.Run(cs.ctx, c.needed)
		cs.mu.Lock()
		defer cs.mu.Unlock()
		delete(cs.known, key)
	}()
	return c, nil
}
