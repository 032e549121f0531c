package egress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/secrets"
)

// followedFor is how long a workload is asked about that has nothing open.
const followedFor = 5 * time.Second

// workload is one that has requests open, or had a moment ago.
type workload struct {
	*follow.Follower
	open int
	used time.Time
}

// stopped reports whether a request was cut off since its release does not stand,
// or its credential may be used no longer.
func stopped(ctx context.Context) bool {
	var no *follow.Stopped
	var ended *secrets.Ended
	return errors.As(context.Cause(ctx), &no) || errors.As(context.Cause(ctx), &ended)
}

// follow has a call cut off when its release stops, or the gateway; the function
// that it returns ends that.
func (g *Gateway) follow(c *call, cut context.CancelCauseFunc) (done func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.open[c.bearer]
	if w == nil {
		w = &workload{Follower: follow.New(g.opts.Granted, c.bearer, g.cfg.StaleAfter, g.now)}
		g.open[c.bearer] = w
		go w.Run(g.ctx, func() bool { return g.needed(c.bearer, w) })
	}
	w.open++
	ctx, stop := context.WithCancel(g.ctx)
	go func() {
		if no := w.Await(ctx, c.answer.Release); no != nil {
			cut(fmt.Errorf("the release has stopped: %w", no))
		} else if g.ctx.Err() != nil {
			cut(g.ctx.Err())
		}
	}()
	return func() {
		stop()
		g.mu.Lock()
		defer g.mu.Unlock()
		w.open, w.used = w.open-1, g.now()
	}
}

// needed reports whether a workload is asked about on, and forgets it otherwise.
func (g *Gateway) needed(bearer string, w *workload) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.open > 0 || g.now().Sub(w.used) <= followedFor {
		return true
	}
	delete(g.open, bearer)
	return false
}
