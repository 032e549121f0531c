package mcp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/follow"
)

// maxOpen bounds the requests of one session that are not answered yet.
const maxOpen = 256

// session is what one caller has with one server: an MCP session where there are
// such (2025-11-25), and otherwise all that a caller asks of the server.
type session struct {
	g      *Gateway
	server *server
	up     upstream
	id     string // Mcp-Session-Id, or empty

	// caller is who uses the session now: one workload, whose token may be
	// another one than at the beginning.
	caller atomic.Pointer[caller]

	mu   sync.Mutex
	used time.Time
	// calls are the requests that are not answered yet, by id; a session without
	// an id has none here, since its clients know nothing of each other's.
	calls map[string]*call
	tools *toolset
	stale bool // the server has said that its tools have changed
	fetch chan struct{}
	told  map[string]bool // refusals of changed definitions that were reported
}

func (s *session) who() *caller { return s.caller.Load() }

// adopt makes the caller the one who uses the session, if it may.
func (s *session) adopt(c *caller) bool {
	old := s.who()
	if old != c {
		if old.workload() != c.workload() {
			return false
		}
		if s.caller.CompareAndSwap(old, c) {
			old.sessions.Add(-1)
			c.sessions.Add(1)
		}
	}
	s.mu.Lock()
	s.used = s.g.now()
	s.mu.Unlock()
	return true
}

// call is one request of the client on its way.
type call struct {
	id       jsontext.Value
	method   string
	modern   bool            // of a revision without sessions
	asks     *authority.Call // nil where nothing is decided but that the release stands
	decision authority.Decision
	power    *power
	entry    Entry
	began    time.Time
	sent     bool
	cancel   context.CancelCauseFunc
}

// sink is where a reply goes: to an HTTP answer or to standard output.
type sink interface {
	begin(r *reply)
	event(ev event) error
	// opened is told that a stream begins on which nothing may be said for long.
	opened()
}

// errCancelled is the cause when the client itself cancels a request.
var errCancelled = errors.New("the client has cancelled the request")

// serve passes one message of the client on, and what comes back, to the sink.
// It decides first; what is refused is answered here and goes no further.
func (s *session) serve(ctx context.Context, head http.Header, m *message, out sink) {
	if !m.isRequest() {
		s.notify(ctx, head, m, out)
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &call{id: m.id, method: m.method, modern: modern(m), began: s.g.now(), cancel: cancel}
	if err := s.admit(ctx, head, m, c); err != nil {
		s.refused(c, err)
		err = refusal(c, err)
		deliver(out, said(statusOf(err, c.modern), answerFault(m.id, err)))
		return
	}
	if c.power != nil {
		stop := context.AfterFunc(c.power.Context(), func() { cancel(context.Cause(c.power.Context())) })
		defer stop()
	}
	if err := s.enter(c); err != nil {
		deliver(out, said(http.StatusOK, answerFault(m.id, err)))
		return
	}
	c.sent = true
	r, err := s.up.send(ctx, head, m)
	if err != nil {
		s.leave(c)
		s.failed(ctx, head, c, err)
		deliver(out, said(http.StatusOK, answerFault(m.id, ended(ctx, err))))
		return
	}
	answered := false
	defer func() { r.over(answered) }()
	answered = s.relay(ctx, head, c, r, out)
}

// relay passes on what comes back for a call, up to its answer: there is nothing after
// that (MCP 2025-11-25 and 2026-07-28, basic/transports), and a client that is told at
// once that the stream is over can use its connection again.
func (s *session) relay(ctx context.Context, head http.Header, c *call, r *reply, out sink) (answered bool) {
	out.begin(r)
	for !answered {
		ev, err := r.next()
		if err != nil {
			s.finish(ctx, head, c, r, err, out)
			return false
		}
		if ev.data != nil && (r.media == mediaEvents || r.media == mediaJSON) {
			if ev.data, answered, err = s.fromServer(c, ev); err != nil {
				ev.data, answered = answerFault(c.id, faultf(codeInternal, "the server's answer cannot be read: %v", err)), true
				s.leave(c)
			}
			if ev.data == nil {
				continue
			}
			ev.last = answered
		}
		if out.event(ev) != nil && ctx.Err() == nil {
			c.cancel(errCancelled) // the client has gone
		}
	}
	return true
}

// finish ends a call whose stream is over without an answer. Where the release has
// stopped the client is told so; where the stream merely broke off, a session may take
// it up again.
func (s *session) finish(ctx context.Context, head http.Header, c *call, r *reply, err error, out sink) {
	if errors.Is(err, io.EOF) {
		if s.id == "" || r.media != mediaEvents {
			s.leave(c)
		}
		return
	}
	s.leave(c)
	s.failed(ctx, head, c, err)
	if r.media == mediaEvents && c.method == "subscriptions/listen" && c.power.Context().Err() != nil {
		s.listsChanged(out, c.id)
	}
	if r.media == mediaEvents || r.media == mediaJSON {
		_ = out.event(event{data: answerFault(c.id, ended(ctx, err))})
	}
}

// failed records a call that was sent and not answered, and tells the server of
// a session to give it up.
func (s *session) failed(ctx context.Context, head http.Header, c *call, err error) {
	if c.asks != nil {
		c.entry.Error = ended(ctx, err).Error()
		s.g.record(c, s)
	}
	if !c.sent || c.modern || ctx.Err() == nil {
		return
	}
	giveUp := request("", "notifications/cancelled", map[string]any{"requestId": c.id, "reason": ended(ctx, err).Error()})
	head = head.Clone()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), endWithin)
		defer cancel()
		if r, err := s.up.send(ctx, head, giveUp); err == nil {
			r.close()
		}
	}()
}

// ended is the error for which a call ended: the cause of its context before
// what that led to.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil {
		return err
	}
	var stop *follow.Stopped
	if errors.As(cause, &stop) {
		return faultf(codeRefused, "the call was ended: %v", stop)
	}
	return cause
}

// deliver writes a whole reply.
func deliver(out sink, r *reply) {
	out.begin(r)
	for {
		ev, err := r.next()
		if err != nil || out.event(ev) != nil {
			return
		}
	}
}

// notify passes on a message that asks for no answer.
func (s *session) notify(ctx context.Context, head http.Header, m *message, out sink) {
	switch m.method {
	case "notifications/cancelled":
		s.cancel(m)
	case "notifications/initialized":
	case "notifications/progress", "notifications/roots/list_changed", "": // "" answers the server's request
		if _, err := s.who().standing(); err != nil {
			out.begin(nothing(http.StatusAccepted))
			return
		}
	default:
		out.begin(nothing(http.StatusAccepted))
		return
	}
	r, err := s.up.send(ctx, head, m)
	if err != nil {
		out.begin(nothing(http.StatusBadGateway))
		return
	}
	defer r.close()
	deliver(out, r)
}

// cancel ends the request that the client's notification names.
func (s *session) cancel(m *message) {
	var id jsontext.Value
	if m.params == nil || m.members(map[string]*jsontext.Value{"requestId": &id}) != nil || id == nil {
		return
	}
	s.mu.Lock()
	c := s.calls[idKey(id)]
	s.mu.Unlock()
	if c != nil && !c.sent {
		c.cancel(errCancelled)
	}
}

// enter counts a call among those that are not answered yet.
func (s *session) enter(c *call) error {
	if s.id == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := idKey(c.id)
	switch {
	case s.calls[key] != nil:
		return faultf(codeInvalidRequest, "a request with this id is not answered yet; give each its own")
	case len(s.calls) >= maxOpen:
		return faultf(codeRefused, "%d requests of this session are not answered yet; wait for one of them", maxOpen)
	}
	s.calls[key] = c
	return nil
}

func (s *session) leave(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[idKey(c.id)] == c {
		delete(s.calls, idKey(c.id))
	}
}

// listen passes on what the server says without being asked, while a release
// stands. When what the caller may do is something else, the client is told that
// its lists are others; while no release stands the stream stays open and the
// server is not listened to. It returns when the client goes, when the server ends
// the stream, and with false when the server cannot be listened to.
func (s *session) listen(ctx context.Context, head http.Header, out sink) bool {
	begun := false
	begin := func(r *reply) {
		if !begun {
			out.begin(r)
			out.opened()
		}
		begun = true
	}
	for {
		changed := s.who().Term().Context().Done()
		if p, err := s.who().standing(); err == nil {
			if again, over := s.hear(ctx, p, head, begin, out); over {
				return again
			}
			head = head.Clone()
			head.Del("Last-Event-Id")
		} else {
			begin(&reply{status: http.StatusOK, media: mediaEvents})
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
			s.listsChanged(out, nil)
		}
	}
}

// hear is listen under one power.
func (s *session) hear(ctx context.Context, p *power, head http.Header, begin func(*reply), out sink) (again, over bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.Context(), cancel)()
	r, err := s.up.listen(ctx, head)
	if err != nil {
		if p.Context().Err() == nil {
			begin(nothing(http.StatusBadGateway))
		}
		return true, p.Context().Err() == nil
	}
	defer r.close()
	begin(r)
	for {
		ev, err := r.next()
		if err != nil {
			return r.media == mediaEvents, p.Context().Err() == nil
		}
		if ev.data != nil && r.media == mediaEvents {
			if ev.data, _, err = s.fromServer(nil, ev); err != nil || ev.data == nil {
				continue
			}
		}
		if out.event(ev) != nil {
			return false, true
		}
	}
}

// changedLists are told when what the caller may do is something else.
var changedLists = []string{"notifications/tools/list_changed", "notifications/resources/list_changed", "notifications/prompts/list_changed"}

// listsChanged tells the client so, on the stream of a subscription where there is one.
func (s *session) listsChanged(out sink, subscription jsontext.Value) {
	var params any
	if subscription != nil {
		params = map[string]any{"_meta": map[string]any{"io.modelcontextprotocol/subscriptionId": subscription}}
	}
	for _, method := range changedLists {
		if out.event(event{data: request("", method, params).raw}) != nil {
			return
		}
	}
}

// modern reports whether a request is of a revision without sessions, which
// says so in each request.
func modern(m *message) bool { return versionOf(m) >= "2026-07-28" }

// versionOf returns the revision that a request's _meta names, or nothing.
func versionOf(m *message) string {
	var v jsontext.Value
	if meta := metaOf(m); meta == nil || members(meta, map[string]*jsontext.Value{"io.modelcontextprotocol/protocolVersion": &v}) != nil || v == nil {
		return ""
	}
	s, _ := text(v)
	return s
}

func metaOf(m *message) (meta jsontext.Value) {
	if m.params == nil || m.members(map[string]*jsontext.Value{"_meta": &meta}) != nil {
		return nil
	}
	return meta
}

// refusal is the error that a client is answered with.
func refusal(c *call, err error) error {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	f = faultf(codeRefused, "%v", err)
	if c != nil && c.power != nil {
		f.Data = struct {
			Release string     `json:"release,omitzero"`
			After   *time.Time `json:"after,omitzero"`
		}{c.power.Release, afterOf(c.decision)}
	}
	return f
}

func afterOf(d authority.Decision) *time.Time {
	if d.After.IsZero() {
		return nil
	}
	return &d.After
}

// statusOf is the HTTP status of a refusal (MCP 2026-07-28, basic/transports).
func statusOf(err error, modern bool) int {
	var f *fault
	switch {
	case !errors.As(err, &f):
	case f.Code == codeHeaders || f.Code == codeVersion || f.Code == codeParse:
		return http.StatusBadRequest
	case f.Code == codeNoMethod && modern:
		return http.StatusNotFound
	}
	return http.StatusOK
}
