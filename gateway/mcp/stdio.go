package mcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// ServeStdio serves one server to the agent at the other end of in and out, one
// message a line (MCP 2025-11-25 and 2026-07-28, basic/transports, "stdio"), as
// the workload that the bearer stands for, until in ends.
func (g *Gateway) ServeStdio(ctx context.Context, name, bearer string, in io.Reader, out io.Writer) error {
	sv := g.servers[name]
	if sv == nil {
		return fmt.Errorf("the gateway's configuration names no server %q", name)
	}
	c, err := g.callers.signIn(ctx, bearer)
	if err != nil {
		return err
	}
	s, err := g.open(sv, c, "stdio")
	if err != nil {
		return err
	}
	c.sessions.Add(1)
	defer c.sessions.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	d := &dialogue{s: s, out: out, ready: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() { d.listen(ctx) })
	read := make(chan error, 1)
	go func() { read <- d.read(ctx, in, &running) }()
	select {
	case err = <-read:
	case <-ctx.Done(): // the read goes on until in ends
	}
	cancel()
	s.up.end(d.head(nil))
	running.Wait()
	return err
}

// dialogue is a session over standard input and output.
type dialogue struct {
	s *session

	write sync.Mutex
	out   io.Writer

	mu      sync.Mutex
	session string // of a server behind an address
	version string // of a revision with sessions
	// ready is closed when the server can be listened to.
	ready chan struct{}
	once  sync.Once
}

// read takes the client's messages. Those that ask for nothing are passed on in
// their order; requests run beside each other.
func (d *dialogue) read(ctx context.Context, in io.Reader, running *sync.WaitGroup) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(lines, maxRequest)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the agent's messages: %w", err)
		}
		if len(strings.TrimSpace(string(line))) == 0 {
			continue
		}
		m, err := parseMessage(slices.Clone(line), maxRequest)
		if err == nil && m.isRequest() && strings.HasPrefix(idKey(m.id), "s"+ownID) {
			err = fmt.Errorf("ids that begin with %s are the gateway's own", ownID)
		}
		if err != nil {
			d.line(answerFault(nil, faultf(codeParse, "%v", err)))
			continue
		}
		sink := &lineSink{d: d, m: m}
		if m.isRequest() {
			running.Go(func() { d.s.serve(ctx, d.head(m), m, sink) })
			continue
		}
		d.s.serve(ctx, d.head(m), m, sink)
		if m.method == "notifications/initialized" {
			d.once.Do(func() { close(d.ready) })
		}
	}
}

// head are the headers under which a server behind an address takes the message.
func (d *dialogue) head(m *message) http.Header {
	head := http.Header{}
	if d.s.server.remote == nil {
		return head
	}
	d.mu.Lock()
	session, version := d.session, d.version
	d.mu.Unlock()
	if session != "" {
		head.Set("Mcp-Session-Id", session)
	}
	if m != nil && m.params != nil {
		if v := versionOf(m); v != "" {
			version = v
			head.Set("Mcp-Method", m.method)
			for _, member := range []string{"name", "uri"} {
				var value jsontext.Value
				if m.members(map[string]*jsontext.Value{member: &value}) == nil && value != nil && named(m.method) {
					if name, err := text(value); err == nil {
						head.Set("Mcp-Name", name)
					}
				}
			}
		}
	}
	if version != "" {
		head.Set("Mcp-Protocol-Version", version)
	}
	return head
}

func named(method string) bool {
	return method == "tools/call" || method == "prompts/get" || method == "resources/read"
}

// listen passes on what the server says without being asked, and tells the
// client when what it may do is something else.
func (d *dialogue) listen(ctx context.Context) {
	if d.s.server.remote != nil {
		select {
		case <-d.ready:
		case <-ctx.Done():
			return
		}
	}
	for d.s.listen(ctx, d.head(nil), &lineSink{d: d}) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Second): // the stream broke off
		}
	}
	for {
		changed := d.s.who().Term().Context().Done()
		select {
		case <-ctx.Done():
			return
		case <-changed:
			d.s.listsChanged(&lineSink{d: d}, nil)
		}
	}
}

func (d *dialogue) line(data []byte) error {
	data = append(slices.Clip(data), '\n')
	for i, b := range data[:len(data)-1] {
		if b == '\n' || b == '\r' {
			data[i] = ' '
		}
	}
	d.write.Lock()
	defer d.write.Unlock()
	_, err := d.out.Write(data)
	return err
}

// lineSink is standard output as the sink of a reply.
type lineSink struct {
	d      *dialogue
	m      *message
	status int
	media  string
}

func (l *lineSink) begin(r *reply) {
	l.status, l.media = r.status, r.media
	if l.m != nil && l.m.method == "initialize" && r.session != "" {
		l.d.mu.Lock()
		l.d.session = r.session
		l.d.mu.Unlock()
	}
}

func (l *lineSink) opened() {}

func (l *lineSink) event(ev event) error {
	if len(ev.data) == 0 || l.m != nil && !l.m.isRequest() {
		return nil
	}
	if l.m != nil && l.media != mediaJSON && l.media != mediaEvents {
		return l.d.line(answerFault(l.m.id, faultf(codeInternal, "the server answered with the status %d: %s", l.status, clipped(string(ev.data)))))
	}
	if l.m != nil && l.m.method == "initialize" {
		l.initialized(ev.data)
	}
	return l.d.line(ev.data)
}

// initialized notes the revision that the two sides agree on.
func (l *lineSink) initialized(data []byte) {
	got, err := parseMessage(data, maxAnswer)
	var version jsontext.Value
	if err != nil || got.result == nil || members(got.result, map[string]*jsontext.Value{"protocolVersion": &version}) != nil {
		return
	}
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.d.version, _ = text(version)
}
