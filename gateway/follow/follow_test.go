package follow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// desk says what a server would, and is also the clock.
type desk struct {
	mu    sync.Mutex
	says  wire.Granted
	err   error
	at    time.Time
	asked int
}

func (d *desk) source(_ context.Context, bearer string, have record.Digest) (wire.Granted, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.err != nil {
		return wire.Granted{}, d.err
	}
	got := d.says
	if bearer == "" {
		return got, errors.New("without a token")
	}
	if got.Stands && have == got.Digest {
		got.Authority = nil
	}
	return got, nil
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

func (d *desk) say(got wire.Granted, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.says, d.err = got, err
}

func (d *desk) later(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = d.at.Add(by)
}

var (
	began   = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	grants  = record.Authority{Tools: []record.Grant{{Resource: "clerk/read_note", Actions: []string{"call"}}}}
	first   = stands("r-000000000001")
	errGone = errors.New("the server cannot be reached")
)

func stands(release string) wire.Granted {
	return wire.Granted{Workload: "agent", Stands: true, Release: release, Line: "lab/net/triage/production", Digest: record.DigestOf([]byte(release)), Authority: &grants}
}

func following(t *testing.T, says wire.Granted) (*follow.Follower, *desk) {
	t.Helper()
	d := &desk{says: says, at: began}
	f := follow.New(d.source, "token", time.Second, d.now)
	if _, err := f.Stands(); err == nil {
		t.Fatal("something stands before the server was asked")
	}
	if err := f.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f, d
}

// What each answer means for what stands, and for the term that was there before.
func TestAnswers(t *testing.T) {
	until := first
	until.Until = began.Add(500 * time.Millisecond)
	for _, c := range []struct {
		name    string
		before  wire.Granted
		says    wire.Granted
		err     error
		after   time.Duration
		release string // that stands then
		same    bool   // the term goes on
		why     string // it ended for
	}{
		{"the same", first, first, nil, 0, first.Release, true, ""},
		{"another release", first, stands("r-000000000002"), nil, 0, "r-000000000002", false, "was replaced by r-000000000002"},
		{"it is suspended", first, wire.Granted{Workload: "agent", Reasons: []string{"sam suspended it"}}, nil, 0, "", false, "sam suspended it"},
		{"the token is ended", first, wire.Granted{}, fmt.Errorf("%w: it was ended", follow.ErrNotSignedIn), 0, "", false, "the token is not valid any more: it was ended"},
		{"silence within the bound", first, wire.Granted{}, errGone, time.Second, first.Release, true, ""},
		{"silence beyond the bound", first, wire.Granted{}, errGone, time.Second + 1, "", false, "longer than the bound of 1s"},
		{"silence beyond the end of the release", until, wire.Granted{}, errGone, 600 * time.Millisecond, "", false, "lapsed at 2026-05-01T12:00:00Z"},
		{"an end that was put off", until, first, nil, 600 * time.Millisecond, first.Release, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, d := following(t, c.before)
			before, err := f.Stands()
			if err != nil {
				t.Fatal(err)
			}
			d.say(c.says, c.err)
			d.later(c.after)
			if err := f.Ask(t.Context()); !errors.Is(err, c.err) {
				t.Errorf("the source's error is lost: %v", err)
			}
			now, err := f.Stands()
			switch {
			case c.release == "" && err == nil:
				t.Errorf("%s stands", now.Release)
			case c.release == "" && !strings.Contains(err.Error(), c.why):
				t.Errorf("it stands no more because %q", err)
			case c.release != "" && (err != nil || now.Release != c.release || len(now.Authority.Tools) != 1):
				t.Errorf("what stands: %+v, %v", now, err)
			}
			cause := context.Cause(before.Context())
			if c.same != (now == before) || c.same != (cause == nil) || cause != nil && !strings.Contains(cause.Error(), c.why) {
				t.Errorf("the same term: %v; it ended for %v", now == before, cause)
			}
		})
	}
}

// Nothing is decided on what is too old or has lapsed, though nobody asked again.
func TestNothingStandsOnOldAnswers(t *testing.T) {
	f, d := following(t, first)
	d.later(time.Second + 1)
	_, err := f.Stands()
	var no *follow.Stopped
	if !errors.As(err, &no) || !no.Undecided {
		t.Errorf("after a second without an answer: %v", err)
	}
	until := first
	until.Until = began.Add(time.Second)
	f, d = following(t, until)
	d.later(time.Second)
	if _, err = f.Stands(); !errors.As(err, &no) || no.Undecided {
		t.Errorf("at its end: %v", err)
	}
}

// A release that stands again, or a server that is back, begins a new term with
// its grants.
func TestStandsAgain(t *testing.T) {
	f, d := following(t, first)
	for _, c := range []struct {
		says  wire.Granted
		err   error
		after time.Duration
	}{{wire.Granted{Workload: "agent"}, nil, 0}, {wire.Granted{}, errGone, 2 * time.Second}, {wire.Granted{}, follow.ErrNotSignedIn, 0}} {
		d.say(c.says, c.err)
		d.later(c.after)
		_ = f.Ask(t.Context()) // it is the one that was told to be
		if _, err := f.Stands(); err == nil {
			t.Fatalf("stands after %+v", c)
		}
		off := f.Term()
		d.say(first, nil)
		if err := f.Ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now, err := f.Stands(); err != nil || len(now.Authority.Tools) != 1 || off.Context().Err() == nil {
			t.Errorf("after %+v: %+v, %v", c, now, err)
		}
	}
}

// Await tells within a second that a release has stopped, and does not take an
// answer to an older question for a newer one.
func TestAwait(t *testing.T) {
	d := &desk{says: first}
	f := follow.New(d.source, "token", 400*time.Millisecond, time.Now)
	go f.Run(t.Context(), func() bool { return true })
	ended := func(release string) chan error {
		c := make(chan error, 1)
		go func() { c <- f.Await(t.Context(), release) }()
		return c
	}
	soon := func(c chan error, part string) {
		t.Helper()
		select {
		case err := <-c:
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Fatalf("it ended with %v", err)
			}
		case <-time.After(time.Second):
			t.Fatal("nothing was told within a second")
		}
	}
	open := ended(first.Release)
	soon(ended("r-00000000000f"), "was replaced by "+first.Release)
	d.say(wire.Granted{Reasons: []string{"sam suspended it"}}, nil)
	soon(open, "sam suspended it")
	// It stands again, and that was learned by another way first.
	d.say(stands("r-000000000002"), nil)
	open = ended("r-000000000002")
	d.say(wire.Granted{}, errGone)
	soon(open, "longer than the bound")
	// The server is back, and what begins now goes on although it was silent.
	d.say(first, nil)
	open = ended(first.Release)
	select {
	case err := <-open:
		t.Fatalf("it ended with %v", err)
	case <-time.After(3 * follow.Every):
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Await(ctx, first.Release); err != nil {
		t.Errorf("for one who has gone: %v", err)
	}
}

// Nobody is asked about whom nobody needs.
func TestRunEnds(t *testing.T) {
	d := &desk{says: first, at: began}
	f := follow.New(d.source, "token", time.Second, d.now)
	turns := 2
	f.Run(t.Context(), func() bool { turns--; return turns >= 0 })
	if d.asked != 2 {
		t.Errorf("asked %d times", d.asked)
	}
}
