package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/secrets"
	"imprimatur.dev/guard"
	"imprimatur.dev/wire"
)

// call is one request that is being decided about and sent on.
type call struct {
	g      *Gateway
	up     *upstream
	bearer string
	form   *authority.HTTPCall
	body   io.Reader
	length int64
	answer wire.Answer
	// cost is what the call has used, once that is known.
	cost authority.Cost
	// look sees the bytes of the answer before they are passed on, and change makes
	// another answer of it; both may be nil.
	look   func(media string) io.Writer
	change func([]byte) ([]byte, error)
}

// serveAPI decides about a call of an API and sends it on.
func (g *Gateway) serveAPI(w http.ResponseWriter, r *http.Request, u *upstream, bearer, rest string) error {
	c := &call{g: g, up: u, bearer: bearer}
	if err := c.read(w, r, rest); err != nil {
		return err
	}
	ask, err := wire.AskOf(c.form)
	if err != nil {
		return err
	}
	ask.Bytes = int(max(c.length, 0))
	if err := c.decide(r.Context(), ask); err != nil {
		return err
	}
	return c.send(w, r, nil)
}

// read brings the request to its one form. A body of JSON is read whole, so that
// the decision and the callee see the same; any other is passed on as it comes.
func (c *call) read(w http.ResponseWriter, r *http.Request, rest string) error {
	in := authority.HTTPRequest{Method: r.Method, URL: c.up.base + rest, Header: r.Header}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		body := &patient{http.MaxBytesReader(w, r.Body, c.up.MaxRequest), http.NewResponseController(w), c.up.Timeout}
		in.Unread = true
		if strings.Contains(strings.ToLower(r.Header.Get("Content-Type")), "json") {
			raw, err := io.ReadAll(io.LimitReader(body, authority.MaxArguments+1))
			switch {
			case err != nil:
				return tooLongOr(err)
			case len(raw) > authority.MaxArguments:
				return refuse(http.StatusRequestEntityTooLarge, "the body of JSON has more than the %d bytes that are read for a decision", authority.MaxArguments)
			}
			in.Body, in.Unread = raw, false
			c.body, c.length = bytes.NewReader(raw), int64(len(raw))
		} else {
			c.body, c.length = body, r.ContentLength
		}
	}
	form, err := authority.HTTP(in)
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	c.form = form
	return nil
}

func tooLongOr(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return refuse(http.StatusRequestEntityTooLarge, "the body has more than the %d bytes that the gateway's configuration allows", long.Limit)
	}
	return refuse(http.StatusBadRequest, "the body cannot be read: %v", err)
}

// decide asks the server.
func (c *call) decide(ctx context.Context, ask wire.Ask) (err error) {
	ask.Environment, ask.Release = c.g.cfg.Environment, c.g.cfg.Release
	if c.answer, err = c.g.opts.Authorize(ctx, c.bearer, ask); err != nil {
		return undecided(err)
	}
	if c.answer.Allowed {
		return nil
	}
	no := refuse(http.StatusForbidden, "%s", strings.Join(c.answer.Reasons, "; "))
	no.reasons = c.answer.Reasons
	if !c.answer.After.IsZero() {
		no.status, no.after = http.StatusTooManyRequests, c.answer.After.Sub(c.g.now())
	}
	return no
}

// undecided is the refusal where the server gave no answer (rule 4).
func undecided(err error) error {
	if errors.Is(err, follow.ErrNotSignedIn) {
		return unauthorized(err.Error())
	}
	return refuse(http.StatusServiceUnavailable, "it could not be decided, and so is refused: %v", err)
}

// send makes the callee's request of the form that was decided about, and passes
// its answer on, while the release stands. Tokens, which may be nil, says when it
// is over what it has cost.
func (c *call) send(w http.ResponseWriter, r *http.Request, tokens func() int) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer c.g.follow(c, cancel)()
	defer func() {
		if tokens != nil {
			c.cost.Tokens = tokens()
		}
		c.settle(ctx)
	}()
	out, err := http.NewRequestWithContext(ctx, c.form.Action, c.form.URL(), c.body)
	if err != nil {
		return refuse(http.StatusBadRequest, "the request cannot be sent on: %v", err)
	}
	out.ContentLength = c.length
	for name, value := range c.form.Header {
		out.Header.Set(name, value)
	}
	for name, value := range c.up.Header {
		out.Header.Set(name, value)
	}
	// What is coded cannot be looked into, and Go would add its own name.
	out.Header.Set("Accept-Encoding", "identity")
	if c.form.Header["user-agent"] == "" {
		out.Header.Set("User-Agent", "")
	}
	lent, err := c.up.attach(ctx, c.bearer)
	switch {
	case errors.Is(err, secrets.ErrRefused):
		return refuse(http.StatusForbidden, "%v", err)
	case err != nil:
		c.g.log.ErrorContext(ctx, "a credential cannot be used", "upstream", c.up.name, "error", err)
		return refuse(http.StatusBadGateway, "the gateway's credential for %s cannot be used; who runs the gateway finds the reason in its log", c.up.name)
	}
	if lent.field != "" {
		out.Header.Set(lent.field, lent.value)
	}
	if use := lent.use; use != nil {
		defer use.Done()
		defer context.AfterFunc(use.Context(), func() { cancel(context.Cause(use.Context())) })()
	}
	got, err := c.up.client.RoundTrip(out)
	if err != nil {
		return c.unreached(ctx, err)
	}
	defer got.Body.Close()
	c.cost.Bytes = int(max(c.length, 0))
	return c.pass(ctx, w, got, lent.hidden, cancel)
}

// unreached says why there was no answer.
func (c *call) unreached(ctx context.Context, err error) error {
	var long *http.MaxBytesError
	switch {
	case errors.Is(err, guard.ErrRefused):
		return refuse(http.StatusBadGateway, "%s leads to an address that is not public, and is not called; who runs the gateway can name the address under allow of the upstream %s", c.form.Host, c.up.name)
	case errors.As(err, &long):
		return tooLongOr(err)
	case stopped(ctx):
		return refuse(http.StatusForbidden, "%v", context.Cause(ctx))
	case ctx.Err() != nil:
		return fmt.Errorf("the caller has gone: %w", err)
	}
	c.g.log.WarnContext(ctx, "an upstream gave no answer", "upstream", c.up.name, "error", err)
	return refuse(http.StatusBadGateway, "%s gave no answer that can be passed on", c.form.Host)
}

// The fields of an answer that are passed on to nobody: they are about the
// connection, or they are credentials, or have browsers do something.
var notPassedBack = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Www-Authenticate", "Authentication-Info", "Proxy-Authentication-Info",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Set-Cookie", "Set-Cookie2", "Refresh", "Alt-Svc", "Content-Length", "Location", "Clear-Site-Data",
	"Strict-Transport-Security",
}

// pass passes an answer on as it comes.
func (c *call) pass(ctx context.Context, w http.ResponseWriter, got *http.Response, hidden []string, cancel context.CancelCauseFunc) error {
	if coding := got.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return refuse(http.StatusBadGateway, "%s answers in the coding %+q, which was not asked for and cannot be looked into", c.form.Host, clipped(coding))
	}
	switch {
	case got.StatusCode == http.StatusUnauthorized || got.StatusCode == http.StatusProxyAuthRequired:
		return refuse(http.StatusBadGateway, "%s does not take the gateway's credential; who runs the gateway can renew it", c.form.Host)
	case got.StatusCode < 200:
		return refuse(http.StatusBadGateway, "%s would speak another protocol, in which nothing could be decided", c.form.Host)
	}
	head := w.Header()
	if to := got.Header.Get("Location"); to != "" {
		inside, ok := c.g.inside(out(got, to))
		if !ok && got.StatusCode >= 300 && got.StatusCode < 400 {
			return refuse(http.StatusBadGateway, "%s redirects to a place that is no upstream of the gateway: %+q", c.form.Host, clipped(to))
		}
		if ok {
			head.Set("Location", inside)
		}
	}
	for name, values := range got.Header {
		if !slices.Contains(notPassedBack, name) && !strings.HasPrefix(name, "X-Imprimatur-") && !strings.HasPrefix(name, "Access-Control-") && !holds([]byte(strings.Join(values, "\n")), hidden) {
			head[name] = values
		}
	}
	head.Set("X-Imprimatur-Release", c.answer.Release)
	if got.ContentLength > c.up.MaxAnswer {
		return refuse(http.StatusBadGateway, "the answer of %s has more than the %d bytes that the gateway's configuration allows", c.form.Host, c.up.MaxAnswer)
	}
	return c.passBody(ctx, w, got, hidden, cancel)
}

// out resolves the place that an answer names.
func out(got *http.Response, to string) string {
	u, err := got.Request.URL.Parse(to)
	if err != nil {
		return ""
	}
	return u.String()
}

// inside returns the gateway's own address of one outside, where that belongs to
// an upstream: the one whose own address says most of it.
func (g *Gateway) inside(address string) (string, bool) {
	address, _, _ = strings.Cut(address, "#")
	form, err := authority.HTTP(authority.HTTPRequest{Method: http.MethodGet, URL: address})
	if err != nil {
		return "", false
	}
	place, longest := "", 0
	for name, u := range g.upstreams {
		rest, ok := strings.CutPrefix(form.URL(), u.base+"/")
		if ok && u.Models == "" && len(u.base) > longest {
			place, longest = "/"+name+"/"+rest, len(u.base)
		}
	}
	return place, place != ""
}

// passBody copies the body, each part as soon as it is there.
func (c *call) passBody(ctx context.Context, w http.ResponseWriter, got *http.Response, hidden []string, cancel context.CancelCauseFunc) error {
	media := got.Header.Get("Content-Type")
	// A stand-still is as good as an end.
	still := time.AfterFunc(c.up.Timeout, func() { cancel(fmt.Errorf("%s said nothing for %s", c.form.Host, c.up.Timeout)) })
	defer still.Stop()
	var from io.Reader = &sealed{from: &bounded{got.Body, c.up.MaxAnswer, func(n int) {
		c.cost.Bytes += n
		still.Reset(c.up.Timeout)
	}}, hidden: hidden}
	if c.change != nil && got.StatusCode == http.StatusOK {
		raw, err := io.ReadAll(io.LimitReader(from, maxChanged+1))
		if err == nil {
			raw, err = c.change(raw)
		}
		if err != nil {
			return refuse(http.StatusBadGateway, "the answer of %s cannot be read: %v", c.form.Host, err)
		}
		from = bytes.NewReader(raw)
	}
	if c.look != nil {
		from = io.TeeReader(from, c.look(media))
	}
	conn := http.NewResponseController(w)
	w.WriteHeader(got.StatusCode)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			_ = conn.SetWriteDeadline(time.Now().Add(c.up.Timeout))
			if _, gone := w.Write(buf[:n]); gone != nil {
				return fmt.Errorf("the caller has gone: %w", gone)
			}
			if gone := conn.Flush(); gone != nil {
				return fmt.Errorf("the caller has gone: %w", gone)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the answer of %s: %w", c.form.Host, errors.Join(err, context.Cause(ctx)))
		}
	}
}

// settle says what the call has cost, where that is known.
func (c *call) settle(ctx context.Context) {
	unit := ""
	if c.answer.Grant != nil {
		unit = c.answer.Grant.Budget.Unit
	}
	if c.answer.Reservation == "" || unit == "tokens" && c.cost.Tokens == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	err := c.g.opts.Settle(ctx, c.bearer, wire.Settlement{Reservation: c.answer.Reservation, Tokens: c.cost.Tokens, Bytes: c.cost.Bytes})
	if err != nil {
		c.g.log.WarnContext(ctx, "what a call has cost could not be said, and so stays what was reserved", "upstream", c.up.name, "error", err)
	}
}

const settleWithin = 5 * time.Second
