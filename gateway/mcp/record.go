package mcp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"imprimatur.dev/record"
)

// Entry is what is kept of one call, one JSON object a line: who asked for what,
// under which release and which grant, and digests of what went to and fro.
type Entry struct {
	Time     time.Time `json:"time"`
	Workload string    `json:"workload"`
	Release  string    `json:"release,omitzero"`
	Server   string    `json:"server"`
	Session  string    `json:"session,omitzero"`
	// Kind, Resource and Action are those of grants.
	Kind     string `json:"kind,omitzero"`
	Resource string `json:"resource,omitzero"`
	Action   string `json:"action,omitzero"`
	Method   string `json:"method"`
	Allowed  bool   `json:"allowed"`
	// Grant is the place of the grant among those of its kind, or -1.
	Grant int `json:"grant"`
	// Reason is why the call was refused.
	Reason string `json:"reason,omitzero"`
	// Difference says in what a tool's definition is not the approved one.
	Difference string `json:"difference,omitzero"`
	// Definition is the tool's; Arguments is the digest of the RFC 8785 form of
	// the call's, and Result that of the bytes of the result.
	Definition record.Digest `json:"definition,omitzero"`
	Arguments  record.Digest `json:"arguments,omitzero"`
	Result     record.Digest `json:"result,omitzero"`
	// Bytes are those of the result, and Micros the time that the call took.
	Bytes  int    `json:"bytes,omitzero"`
	Micros int64  `json:"micros"`
	Error  string `json:"error,omitzero"`
	// Times is how often the same was refused, where more than once.
	Times int `json:"times,omitzero"`
}

// same is what refusals are counted together by.
type same struct{ workload, server, method, resource, reason string }

const (
	// queued are the entries that wait to be written; a caller who makes more
	// waits.
	queued = 1024
	// writtenWithin is how long an entry may wait. Nobody is woken for one alone: that
	// would take longer than the call.
	writtenWithin = 200 * time.Millisecond
	// togetherFor is for how long refusals that are the same are counted, once
	// the first was written.
	togetherFor = time.Second
	maxTogether = 1024
)

// Journal keeps entries, each written whole, in the order in which calls ended.
// None is lost: when they come faster than they can be written, calls wait. A
// refusal that comes again within a second is counted with the first.
type Journal struct {
	entries chan Entry
	hurry   chan struct{} // says that many wait
	done    chan struct{}
	w       *bufio.Writer
	close   func() error
	err     error

	mu    sync.Mutex
	times map[same]*Entry
}

// OpenJournal appends to a file, which only its owner reads.
func OpenJournal(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the record of calls: %w", err)
	}
	return NewJournal(f), nil
}

// NewJournal writes to w, which it closes.
func NewJournal(w io.WriteCloser) *Journal {
	j := &Journal{entries: make(chan Entry, queued), hurry: make(chan struct{}, 1), done: make(chan struct{}), w: bufio.NewWriterSize(w, 64<<10), close: w.Close, times: map[same]*Entry{}}
	go j.run()
	return j
}

// Close writes what is left.
func (j *Journal) Close() error {
	close(j.entries)
	j.wake()
	<-j.done
	return j.err
}

func (j *Journal) wake() {
	select {
	case j.hurry <- struct{}{}:
	default:
	}
}

func (j *Journal) run() {
	tick := time.NewTicker(writtenWithin)
	defer tick.Stop()
	defer close(j.done)
	last := time.Now()
	for {
		select {
		case <-tick.C:
		case <-j.hurry:
		}
		more := j.queue()
		if now := time.Now(); !more || now.Sub(last) >= togetherFor {
			last = now
			j.counted()
		}
		j.keep(j.w.Flush())
		if !more {
			j.keep(j.close())
			return
		}
	}
}

// queue writes what waits, and reports whether more may come.
func (j *Journal) queue() bool {
	for {
		select {
		case e, more := <-j.entries:
			if !more {
				return false
			}
			j.write(e)
		default:
			return true
		}
	}
}

// counted writes the refusals that came again.
func (j *Journal) counted() {
	j.mu.Lock()
	times := j.times
	j.times = map[same]*Entry{}
	j.mu.Unlock()
	for _, e := range times {
		if e.Times > 0 {
			j.write(*e)
		}
	}
}

func (j *Journal) write(e Entry) {
	_, err := j.w.Write(append(encode(e), '\n'))
	j.keep(err)
}

func (j *Journal) keep(err error) {
	if err != nil && j.err == nil {
		j.err = fmt.Errorf("the record of calls cannot be written: %w", err)
	}
}

// add keeps an entry.
func (j *Journal) add(ctx context.Context, e Entry) {
	if j == nil || j.again(e) {
		return
	}
	select {
	case j.entries <- e:
	case <-ctx.Done():
	}
	if len(j.entries) >= queued/2 {
		j.wake()
	}
}

// again counts a refusal with the same one before it.
func (j *Journal) again(e Entry) bool {
	if e.Allowed {
		return false
	}
	key := same{e.Workload, e.Server, e.Method, e.Resource, e.Reason}
	j.mu.Lock()
	defer j.mu.Unlock()
	if first := j.times[key]; first != nil {
		first.Times++
		first.Time = e.Time
		return true
	}
	if len(j.times) < maxTogether {
		j.times[key] = &e
	}
	return false
}

// record keeps what became of a call.
func (g *Gateway) record(c *call, s *session) {
	e := c.entry
	e.Time, e.Workload, e.Server, e.Session, e.Method = c.began.UTC(), s.who().workload(), s.server.name, s.id, clipped(c.method)
	if c.power != nil {
		e.Release = c.power.Release
	}
	if c.asks != nil {
		e.Kind, e.Resource, e.Action = c.asks.Kind, clipped(c.asks.Resource), c.asks.Action
	}
	e.Allowed, e.Grant = c.decision.Allowed, c.decision.Number
	e.Micros = g.now().Sub(c.began).Microseconds()
	g.journal.add(g.ctx, e)
	g.teller.add(e)
}

// refused records a refusal, of what could not be decided about too.
func (s *session) refused(c *call, err error) {
	if c.decision.Kind == "" {
		c.decision.Number = -1
	}
	c.decision.Allowed = false
	c.entry.Reason = clipped(err.Error())
	s.g.record(c, s)
}
