// Package follow follows the standing of one workload's release for whoever
// hands something out under it: the gateways, and imprimatur run.
//
// What is asked: what the workload that a bearer token stands for may do now (GET
// /api/v1/authority, with the digest of the grants that are known, which are then
// left out). How often: four times a second, each answer waited for up to two
// seconds. What the answers mean:
//
//	the release stands              a [Term] goes on, or begins where another release or other grants stand
//	no release stands               the term ends, with the server's reasons
//	the token stands for nobody     the same
//	no answer, within the bound     the term goes on, but not past the time at which its release lapses
//	no answer for longer            the term ends; nothing is decided on what is known (rule 10)
//
// After each of them it is asked again: a release that stands again begins a new
// term. The bound counts from when the last question that was answered was asked.
package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

const (
	// Every is how often the server is asked, and so, with the time that an answer
	// takes, how long a release that was stopped can still be used.
	Every = 250 * time.Millisecond
	// answerWithin is how long an answer may take.
	answerWithin = 2 * time.Second
	// DefaultBound is how long a follower goes on without an answer where nobody
	// says otherwise: the staleness bound of replicas (rule 10).
	DefaultBound = 5 * time.Second
)

// Source says what the workload that a bearer token stands for may do now. This
// is the one place where a bearer becomes a workload. The grants are left out
// where they are those of the digest. An error that is [ErrNotSignedIn] means
// that the token stands for nobody, and any other that it could not be decided.
type Source func(ctx context.Context, bearer string, have record.Digest) (wire.Granted, error)

// ErrNotSignedIn is what a [Source] wraps where a token stands for nobody.
var ErrNotSignedIn = errors.New("not signed in")

// Stopped is the error of whoever asks for what does not stand, and the cause
// with which what is open under a term is ended.
type Stopped struct {
	Reasons []string
	// Undecided is whether the server was not heard of, rather than said no.
	Undecided bool
}

// Error implements error.
func (s *Stopped) Error() string {
	return "no release stands for this workload: " + strings.Join(s.Reasons, "; ")
}

// Term is a time for which the same is so: one release stands with one authority,
// or none stands.
type Term struct {
	Workload, Release, Line string
	Digest                  record.Digest
	// Authority are the grants of the release, and Only the names of those that may be
	// used, where these are fewer; nothing where none stands.
	Authority record.Authority
	Only      []string

	no  *Stopped // nil where a release stands
	ctx context.Context
	end context.CancelCauseFunc
}

// Grants are those that may be used, ready to answer. A grant whose condition cannot
// be used is not in the set, and allows nothing.
func (t *Term) Grants() *authority.Set {
	all, _ := authority.Compile(t.Authority)
	if t.Only != nil {
		return all.Only(t.Only)
	}
	return all
}

// Context ends when the term does, with a [*Stopped] as its cause.
func (t *Term) Context() context.Context { return t.ctx }

// said is the last that was learned, and when it was asked for.
type said struct {
	term  *Term
	until time.Time
	asked time.Time
}

// Follower follows one workload. It is safe for concurrent use.
type Follower struct {
	source Source
	bearer string
	bound  time.Duration
	now    func() time.Time

	last atomic.Pointer[said]

	mu    sync.Mutex // held by who asks
	heard chan struct{}
}

// New returns a follower that knows nothing yet: until [Follower.Ask] or
// [Follower.Run] has heard something, nothing stands.
func New(source Source, bearer string, bound time.Duration, now func() time.Time) *Follower {
	f := &Follower{source: source, bearer: bearer, bound: bound, now: now, heard: make(chan struct{})}
	nothing := &Term{no: &Stopped{Reasons: []string{"the server was not asked yet"}, Undecided: true}}
	nothing.ctx, nothing.end = context.WithCancelCause(context.Background())
	f.last.Store(&said{term: nothing, asked: now()})
	return f
}

// Term returns the term that was last learned of, whether or not anything stands.
func (f *Follower) Term() *Term { return f.last.Load().term }

// Stands returns the term under which the workload acts now, or the [*Stopped] for
// which it may do nothing.
func (f *Follower) Stands() (*Term, error) {
	s := f.last.Load()
	if no := f.stopped(s); no != nil {
		return nil, no
	}
	return s.term, nil
}

// stopped says why nothing may be done on what was said, or is nil.
func (f *Follower) stopped(s *said) *Stopped {
	now := f.now()
	switch silent := now.Sub(s.asked); {
	case s.term.no != nil:
		return s.term.no
	case silent > f.bound:
		return f.unheard(silent)
	case !record.Stands(time.Time{}, s.until, now):
		return &Stopped{Reasons: []string{fmt.Sprintf("the release %s lapsed at %s", s.term.Release, s.until.UTC().Format(time.RFC3339))}}
	}
	return nil
}

func (f *Follower) unheard(silent time.Duration) *Stopped {
	return &Stopped{Undecided: true, Reasons: []string{fmt.Sprintf("the server has not said for %s whether the release stands, longer than the bound of %s; check IMPRIMATUR_URL and the server", silent.Round(time.Second), f.bound)}}
}

// Ask asks once. The error is the source's; what follows from it is told above.
func (f *Follower) Ask(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, asked := f.last.Load(), f.now()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	got, err := f.source(ctx, f.bearer, before.term.Digest)
	next := &said{asked: asked, until: got.Until}
	switch {
	case errors.Is(err, ErrNotSignedIn):
		next.term = before.term.turn(wire.Granted{Workload: before.term.Workload}, &Stopped{Reasons: []string{ended(err)}})
	case err == nil && !got.Stands:
		next.term = before.term.turn(got, &Stopped{Reasons: got.Reasons})
	case err == nil:
		next.term = before.term.turn(got, nil)
	default:
		next = before
		if no := f.stopped(before); no != nil {
			next = &said{asked: before.asked, term: before.term.turn(wire.Granted{Workload: before.term.Workload}, no)}
		}
	}
	f.last.Store(next)
	close(f.heard)
	f.heard = make(chan struct{})
	return err
}

// ended says that the token stands for nobody any more, and in the server's words
// why, where it has any.
func ended(err error) string {
	return "the token is not valid any more: " + strings.TrimPrefix(err.Error(), ErrNotSignedIn.Error()+": ")
}

// turn returns the term that an answer is of: the one before where nothing is
// different, and otherwise a new one, which ends the one before.
func (t *Term) turn(got wire.Granted, no *Stopped) *Term {
	switch {
	case t.no != nil && no != nil && t.Workload == got.Workload && slices.Equal(t.no.Reasons, no.Reasons):
		return t
	case t.no == nil && no == nil && t.Release == got.Release && t.Digest == got.Digest:
		return t
	}
	next := &Term{Workload: got.Workload, Release: got.Release, Line: got.Line, no: no}
	next.ctx, next.end = context.WithCancelCause(context.Background())
	if no == nil {
		next.Digest = got.Digest
		if got.Authority != nil {
			next.Authority, next.Only = *got.Authority, got.Only
		} else if got.Digest == t.Digest { // left out, since it is known
			next.Authority, next.Only = t.Authority, t.Only
		}
		no = replaced(t.Release, got.Release)
	}
	t.end(no)
	return next
}

func replaced(old, by string) *Stopped {
	return &Stopped{Reasons: []string{fmt.Sprintf("the release %s was replaced by %s", old, by)}}
}

// Run asks again and again, until the context ends or nobody needs it any more;
// what goes wrong shows in the standing.
func (f *Follower) Run(ctx context.Context, needed func() bool) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !needed() {
			return
		}
		_ = f.Ask(ctx)
	}
}

// Await returns when a release does not stand any more, with the [*Stopped], or
// when the context ends, with nil. Only what is asked from now on counts: the
// release may have been learned of elsewhere, and have come to stand since the last
// answer. Somebody must run the follower.
func (f *Follower) Await(ctx context.Context, release string) error {
	began := f.now()
	for {
		f.mu.Lock()
		heard, s := f.heard, f.last.Load()
		f.mu.Unlock()
		silent := f.now().Sub(s.asked)
		if s.asked.Before(began) {
			silent = f.now().Sub(began)
		}
		switch {
		case silent > f.bound:
			return f.unheard(silent)
		case s.asked.Before(began):
		case s.term.no != nil:
			return s.term.no
		case s.term.Release != release:
			return replaced(release, s.term.Release)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-heard:
		}
	}
}
