package mcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// inherited are what a server that is a process is given of the gateway's
// environment. The token of the workload is not among them.
var inherited = []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", "SystemRoot", "XDG_CACHE_HOME"}

// process is a session with a server that is started for it and speaks over its
// standard input and output.
type process struct {
	cmd   *exec.Cmd
	write sync.Mutex // held by who writes a line
	stdin io.WriteCloser

	// notice is told of each notification before what comes after it is passed on.
	notice func(m *message)

	mu sync.Mutex
	// waiting are the requests that are not answered yet, by id, in the order in
	// which they came; rest are those who listen to everything else.
	waiting []*waiter
	rest    []*waiter
	err     error
	done    chan struct{}
}

// waiter takes the messages of one stream. What is sent while its reader is
// behind waits in the channel, and then in the process's pipe.
type waiter struct {
	id, token string // of a request, and of its progress
	events    chan event
	gone      chan struct{}
	once      sync.Once
}

func newWaiter(id, token string) *waiter {
	return &waiter{id: id, token: token, events: make(chan event, 16), gone: make(chan struct{})}
}

// start starts a server. Its standard error goes to the writer.
func start(command []string, env map[string]string, dir string, stderr io.Writer, notice func(*message)) (*process, error) {
	p := &process{notice: notice, cmd: exec.Command(command[0], command[1:]...), done: make(chan struct{})}
	// A group of its own: what is started is often a wrapper of what serves.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Dir, p.cmd.Stderr, p.cmd.WaitDelay = dir, stderr, leaveWithin
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			p.cmd.Env = append(p.cmd.Env, name+"="+value)
		}
	}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command[0], err)
	}
	go p.read(stdout)
	return p, nil
}

// read takes what the process says until it ends.
func (p *process) read(stdout io.Reader) {
	lines := bufio.NewReaderSize(stdout, 8<<10)
	var err error
	for {
		var line []byte
		if line, err = readLine(lines, maxAnswer); err != nil {
			break
		}
		if len(line) > 0 {
			p.dispatch(slices.Clone(line))
		}
	}
	p.signal(syscall.SIGKILL) // it may have closed its output alone
	_ = p.cmd.Wait()
	p.mu.Lock()
	if p.err = errors.New("the server's process has ended"); !errors.Is(err, io.EOF) {
		p.err = fmt.Errorf("the server's process was ended: %w", err)
	}
	p.mu.Unlock()
	close(p.done)
}

// dispatch gives a message to who waits for it: an answer to its request, what
// says how a request goes on to that request, and everything else to who
// listens, or without anybody to a request that runs.
func (p *process) dispatch(line []byte) {
	m, err := parseMessage(line, maxAnswer)
	if err != nil {
		return // a line that is no message is nobody's
	}
	if !m.isAnswer() && !m.isRequest() {
		p.notice(m)
	}
	p.mu.Lock()
	var to *waiter
	if m.isAnswer() {
		id := idKey(m.id)
		if i := slices.IndexFunc(p.waiting, func(w *waiter) bool { return w.id == id }); i >= 0 {
			to = p.waiting[i]
		}
	} else {
		token := ""
		if m.method == "notifications/progress" {
			token = progressToken(m.params, "progressToken")
		}
		if i := slices.IndexFunc(p.waiting, func(w *waiter) bool { return token != "" && w.token == token }); i >= 0 {
			to = p.waiting[i]
		} else if len(p.rest) > 0 {
			to = p.rest[len(p.rest)-1]
		} else if len(p.waiting) > 0 {
			to = p.waiting[len(p.waiting)-1]
		}
	}
	p.mu.Unlock()
	if to == nil {
		return
	}
	select {
	case to.events <- event{data: line, read: m}:
	case <-to.gone:
	}
}

// progressToken returns the token of a progress notification, or of a request.
func progressToken(params jsontext.Value, within string) string {
	var value jsontext.Value
	if params == nil || members(params, map[string]*jsontext.Value{within: &value}) != nil || value == nil {
		return ""
	}
	if within == "_meta" {
		return progressToken(value, "progressToken")
	}
	return idKey(value)
}

// idKey is an id as a key: however a text is escaped, it is the same.
func idKey(id jsontext.Value) string {
	if s, err := text(id); err == nil {
		return "s" + s
	}
	return "n" + string(id)
}

func (p *process) send(ctx context.Context, _ http.Header, m *message) (*reply, error) {
	if !m.isRequest() {
		if err := p.line(m.raw); err != nil {
			return nil, err
		}
		return nothing(http.StatusAccepted), nil
	}
	w := newWaiter(idKey(m.id), progressToken(m.params, "_meta"))
	if err := p.join(&p.waiting, w); err != nil {
		return nil, err
	}
	if err := p.line(m.raw); err != nil {
		p.leave(w)
		return nil, err
	}
	r := p.stream(ctx, w)
	next, answered := r.next, false
	r.next = func() (event, error) {
		if answered {
			return event{}, io.EOF
		}
		ev, err := next()
		answered = err == nil && ev.read.isAnswer()
		return ev, err
	}
	return r, nil
}

func (p *process) listen(ctx context.Context, _ http.Header) (*reply, error) {
	w := newWaiter("", "")
	if err := p.join(&p.rest, w); err != nil {
		return nil, err
	}
	return p.stream(ctx, w), nil
}

// stream is what a waiter gets.
func (p *process) stream(ctx context.Context, w *waiter) *reply {
	r := &reply{status: http.StatusOK, media: mediaEvents, close: func() { p.leave(w) }}
	r.next = func() (event, error) {
		select {
		case ev := <-w.events:
			return ev, nil
		case <-ctx.Done():
			return event{}, context.Cause(ctx)
		case <-p.done:
			return event{}, p.err
		}
	}
	return r
}

func (p *process) join(list *[]*waiter, w *waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if w.id != "" && slices.ContainsFunc(p.waiting, func(o *waiter) bool { return o.id == w.id }) {
		return faultf(codeInvalidRequest, "a request with this id is not answered yet; give each its own")
	}
	*list = append(*list, w)
	return nil
}

func (p *process) leave(w *waiter) {
	w.once.Do(func() { close(w.gone) })
	p.mu.Lock()
	defer p.mu.Unlock()
	is := func(o *waiter) bool { return o == w }
	p.waiting, p.rest = slices.DeleteFunc(p.waiting, is), slices.DeleteFunc(p.rest, is)
}

// line writes a message, which may have line breaks between its tokens.
func (p *process) line(raw jsontext.Value) error {
	if slices.ContainsFunc(raw, func(b byte) bool { return b == '\n' || b == '\r' }) {
		raw = raw.Clone()
		for i, b := range raw {
			if b == '\n' || b == '\r' {
				raw[i] = ' '
			}
		}
	}
	p.write.Lock()
	defer p.write.Unlock()
	if _, err := p.stdin.Write(append(slices.Clip(raw), '\n')); err != nil {
		return fmt.Errorf("the server's process does not read: %w", err)
	}
	return nil
}

// leaveWithin is how long a process may take to end when its input is closed,
// and again when it is told to.
const leaveWithin = time.Second

// end closes the process's input, which tells it to end, and ends it where it
// does not.
func (p *process) end(http.Header) {
	_ = p.stdin.Close()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-p.done:
			return
		case <-time.After(leaveWithin):
			p.signal(signal)
		}
	}
}

// signal sends a signal to the process and to what it has started.
func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }
