// Package secrets holds the secrets that a gateway attaches for workloads: in
// memory alone, each for as long as the server's lease of it lasts.
//
// A [Broker] asks with the gateway's own token and names the workload by the token
// that this has shown (registry.AttachSecret), so that both the release's grant
// and the gateway's right must stand. What it was lent is used for whatever the same
// workload asks of the same place, until:
//
//	the secret has a newer version   what begins now uses that; what is open goes on, within the overlap
//	the lease has ended              it is asked for again in the same version; a no ends what is open
//	nobody uses it for a while       it is given back
//	the server does not answer       for longer than the bound: it ends
//	the gateway's token is ended     all of them end
//
// While it holds any, the server is asked how they stand four times a second.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Source is the server, asked with the gateway's own token. Errors wrap
// [ErrRefused] where the answer is no, and follow.ErrNotSignedIn where the gateway's token
// stands for nobody.
type Source struct {
	Attach func(ctx context.Context, secret string, in wire.SecretAttach) (wire.LentSecret, error)
	Check  func(ctx context.Context, in wire.LeaseCheck) ([]wire.LeaseState, error)
}

// ErrRefused is wrapped by what says that a secret is not lent.
var ErrRefused = errors.New("not lent")

// Ended is the cause with which what uses a secret is ended.
type Ended struct{ Secret, Why string }

// Error implements error.
func (e *Ended) Error() string {
	return fmt.Sprintf("the secret %s may be used no longer: %s", e.Secret, e.Why)
}

const (
	// askWithin is how long the server may take.
	askWithin = 2 * time.Second
	// idleFor is how long a secret is kept that nothing uses.
	idleFor = 30 * time.Second
	// renewBefore is how long before its end a lease is renewed that is in use.
	renewBefore = 30 * time.Second
	// maxHeld is how many are kept at once.
	maxHeld = wire.MaxLeases
)

// Broker holds what a gateway was lent. It is safe for concurrent use.
type Broker struct {
	ctx   context.Context
	ask   Source
	in    wire.SecretAttach // the environment and release
	bound time.Duration
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	newest  map[place]*slot
	held    map[*held]bool
	back    []string // leases to give back
	heard   time.Time
	running bool
}

// place is for whom a secret is kept, and where it goes.
type place struct{ bearer, secret, to string }

// slot has one ask for a place at a time.
type slot struct {
	mu sync.Mutex
	*held
}

// held is one version of a secret, in use or a moment ago.
type held struct {
	place
	lease    wire.SecretLease
	value    wire.SecretValue
	ctx      context.Context
	end      context.CancelCauseFunc
	uses     int
	used     time.Time
	newer    bool
	renewing bool
}

// New returns a broker that lives until its context ends. The environment and release say
// under which of its releases a workload acts, where it has several.
func New(ctx context.Context, ask Source, environment, release string, bound time.Duration, log *slog.Logger) *Broker {
	return &Broker{
		ctx: ctx, ask: ask, in: wire.SecretAttach{Environment: environment, Release: release}, bound: bound, now: time.Now, log: log,
		newest: map[place]*slot{}, held: map[*held]bool{},
	}
}

// Use is a secret while something uses it.
type Use struct {
	b    *Broker
	h    *held
	text string
	once sync.Once
}

// Text is the value.
func (u *Use) Text() string { return u.text }

// Context ends when the secret may be used no longer, with an [*Ended] as its
// cause.
func (u *Use) Context() context.Context { return u.h.ctx }

// Done says that it is used no more.
func (u *Use) Done() {
	u.once.Do(func() {
		u.b.mu.Lock()
		defer u.b.mu.Unlock()
		u.h.uses, u.h.used = u.h.uses-1, u.b.now()
	})
}

// Take returns a secret "team/name" that is attached for the workload of a token
// to what goes to a place. Whoever takes it says when it is done.
func (b *Broker) Take(ctx context.Context, bearer, secret, to string) (*Use, error) {
	at := place{bearer, secret, to}
	b.mu.Lock()
	s := b.newest[at]
	if s == nil {
		if len(b.newest) >= maxHeld {
			b.mu.Unlock()
			return nil, fmt.Errorf("the gateway holds %d secrets already, and takes no more; try again in a minute", maxHeld)
		}
		s = &slot{}
		b.newest[at] = s
	}
	b.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := b.use(s.held); u != nil {
		return u, nil
	}
	lent, err := b.attach(ctx, at, 0)
	if err != nil {
		return nil, err
	}
	h := &held{place: at, lease: lent.Lease, value: lent.Value, used: b.now()}
	h.ctx, h.end = context.WithCancelCause(b.ctx)
	b.mu.Lock()
	b.newest[at], b.held[h] = s, true
	if !b.running {
		b.running, b.heard = true, b.now()
		go b.follow()
	}
	b.mu.Unlock()
	s.held = h
	if u := b.use(h); u != nil {
		return u, nil
	}
	return nil, fmt.Errorf("the lease of the secret %s was over before it could be used; try again", secret)
}

// use begins a use of what is held, nil where it may not begin.
func (b *Broker) use(h *held) *Use {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h == nil || h.newer || h.ctx.Err() != nil || !record.Stands(time.Time{}, h.lease.Until, b.now()) {
		return nil
	}
	h.uses++
	return &Use{b: b, h: h, text: string(h.value)}
}

func (b *Broker) attach(ctx context.Context, at place, version int) (wire.LentSecret, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	in := b.in
	in.Token, in.To, in.Version = at.bearer, at.to, version
	return b.ask.Attach(ctx, at.secret, in)
}

// follow asks how what is held stands, until nothing is.
func (b *Broker) follow() {
	tick := time.NewTicker(follow.Every)
	defer tick.Stop()
	for {
		select {
		case <-b.ctx.Done():
			b.drop(func(*held) string { return "the gateway has ended" })
			return
		case <-tick.C:
		}
		b.tidy()
		in, over := b.asking()
		if over {
			return
		}
		ctx, cancel := context.WithTimeout(b.ctx, askWithin)
		states, err := b.ask.Check(ctx, in)
		cancel()
		switch now := b.now(); {
		case err == nil:
			b.learn(states)
		case errors.Is(err, follow.ErrNotSignedIn) || errors.Is(err, ErrRefused):
			b.drop(func(*held) string { return "the server refuses the gateway itself: " + err.Error() })
			b.log.ErrorContext(b.ctx, "the gateway may hold no secrets", "error", err)
		case now.Sub(b.heard) > b.bound:
			b.drop(func(*held) string {
				return fmt.Sprintf("the server has not said for %s whether it may be used", now.Sub(b.heard).Round(time.Second))
			})
		}
	}
}

// asking is what is to be asked; over says that there is nothing, and that nobody
// follows any more.
func (b *Broker) asking() (in wire.LeaseCheck, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for h := range b.held {
		in.Leases = append(in.Leases, h.lease.ID)
	}
	in.Returned, b.back = b.back, nil
	if len(in.Leases) == 0 && len(in.Returned) == 0 {
		b.running = false
		return in, true
	}
	return in, false
}

// tidy gives back what nobody uses, and ends what is past its time.
func (b *Broker) tidy() {
	now := b.now()
	b.drop(func(h *held) string {
		switch {
		case !record.Stands(time.Time{}, h.lease.Until, now):
			return "its lease is over"
		case h.uses == 0 && (h.newer || now.Sub(h.used) > idleFor):
			b.back = append(b.back, h.lease.ID)
			return "nobody uses it"
		}
		return ""
	})
}

// drop ends what there is a reason to end.
func (b *Broker) drop(why func(*held) string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for h := range b.held {
		if reason := why(h); reason != "" {
			b.forget(h, reason)
		}
	}
}

// forget ends one; the lock is held.
func (b *Broker) forget(h *held, why string) {
	h.end(&Ended{h.secret, why})
	clear(h.value)
	delete(b.held, h)
	if s := b.newest[h.place]; s != nil && s.mu.TryLock() {
		if s.held == h {
			delete(b.newest, h.place)
		}
		s.mu.Unlock()
	}
}

// learn takes what the server says of leases, and asks anew for those that have ended
// while something uses them.
func (b *Broker) learn(states []wire.LeaseState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = b.now()
	said := make(map[string]wire.LeaseState, len(states))
	for _, s := range states {
		said[s.ID] = s
	}
	for h := range b.held {
		s, ok := said[h.lease.ID]
		if !ok || h.renewing {
			continue // lent since it was asked
		}
		h.newer = h.newer || s.Newer
		switch {
		case !s.Open && h.uses == 0:
			b.forget(h, "its lease has ended")
		case !s.Open || h.uses > 0 && h.lease.Until.Sub(b.heard) < renewBefore:
			h.renewing = true
			go b.renew(h, !s.Open)
		}
	}
}

// renew asks for the same version again. A no ends it, and so does whatever is no yes
// where the lease has ended already.
func (b *Broker) renew(h *held, ended bool) {
	lent, err := b.attach(b.ctx, h.place, h.lease.Version)
	b.mu.Lock()
	defer b.mu.Unlock()
	h.renewing = false
	switch {
	case h.ctx.Err() != nil:
		if err == nil {
			b.back = append(b.back, lent.Lease.ID)
		}
	case err == nil && string(lent.Value) == string(h.value):
		if !ended {
			b.back = append(b.back, h.lease.ID)
		}
		h.lease = lent.Lease
	case err == nil:
		b.back = append(b.back, lent.Lease.ID)
		b.forget(h, "it was rotated")
	case ended || errors.Is(err, ErrRefused):
		b.forget(h, err.Error())
	}
	clear(lent.Value)
}
