package egress

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"imprimatur.dev/record"
)

const (
	// askEvery is how often the server is asked whether a release stands under which
	// requests are open.
	askEvery = 250 * time.Millisecond
	// answerWithin is how long it may take to answer.
	answerWithin = 2 * time.Second
)

// follower asks for one workload while it has requests open.
type follower struct {
	open map[*call]context.CancelCauseFunc
	// known is the digest of the grants that were told of: they are not told again.
	known record.Digest
}

// errStopped is wrapped by what cuts off requests whose release has stopped.
var errStopped = errors.New("the release has stopped")

// stopped reports whether a request was cut off since its release does not stand.
func stopped(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errStopped) }

// follow has a call cut off when its release stops; the function that it returns
// ends that.
func (g *Gateway) follow(c *call, cut context.CancelCauseFunc) (done func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.open[c.bearer]
	if f == nil {
		f = &follower{open: map[*call]context.CancelCauseFunc{}}
		g.open[c.bearer] = f
		go g.ask(c.bearer, f)
	}
	f.open[c] = cut
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(f.open, c)
	}
}

// ask asks until nothing has been open for a turn.
func (g *Gateway) ask(bearer string, f *follower) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	last, idle := g.now(), false
	for {
		select {
		case <-g.ctx.Done():
			g.cut(f, "", g.ctx.Err().Error())
			return
		case <-tick.C:
		}
		g.mu.Lock()
		if empty := len(f.open) == 0; empty && idle {
			delete(g.open, bearer)
			g.mu.Unlock()
			return
		} else if idle = empty; idle {
			g.mu.Unlock()
			continue
		}
		g.mu.Unlock()
		release, why, err := g.stands(bearer, f)
		switch now := g.now(); {
		case err == nil:
			last = now
			g.cut(f, release, why)
		case now.Sub(last) > g.cfg.StaleAfter:
			g.cut(f, "", fmt.Sprintf("the server has not said for %s whether it stands: %v", now.Sub(last).Round(time.Second), err))
		}
	}
}

// stands returns the release that stands for a workload now, or why none does.
func (g *Gateway) stands(bearer string, f *follower) (release, why string, err error) {
	ctx, cancel := context.WithTimeout(g.ctx, answerWithin)
	defer cancel()
	got, err := g.opts.Granted(ctx, bearer, f.known)
	switch {
	case errors.Is(err, ErrNotSignedIn):
		return "", "the token is not valid any more", nil
	case err != nil:
		return "", "", err
	case got.Stands:
		f.known = got.Digest
		return got.Release, "another one took its place", nil
	}
	return "", strings.Join(got.Reasons, "; "), nil
}

// cut cuts off what is open under any release but the one that stands.
func (g *Gateway) cut(f *follower, stands, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c, cancel := range f.open {
		if c.answer.Release != stands {
			cancel(fmt.Errorf("%w: %s: %s", errStopped, c.answer.Release, why))
		}
	}
}
