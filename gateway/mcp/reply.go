package mcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// upstream is a session with a server, or what serves for one where there are no
// sessions: a process that speaks over its standard input and output, or an
// address of the streamable HTTP transport (MCP 2025-11-25 and 2026-07-28,
// basic/transports).
type upstream interface {
	// send passes one message on. The headers are those of streamable HTTP,
	// without the caller's credential.
	send(ctx context.Context, head http.Header, m *message) (*reply, error)
	// listen opens the stream of what the server says without being asked.
	listen(ctx context.Context, head http.Header) (*reply, error)
	// end ends the session.
	end(head http.Header)
}

// reply is what a server answers to one message: a stream of events, or a body
// that is one message, or, with another status than 200, perhaps a text.
type reply struct {
	status  int
	session string // Mcp-Session-Id
	media   string
	next    func() (event, error) // io.EOF after the last
	close   func()
	// rest, where there is one, takes the place of close after the answer has come.
	rest func()
}

// over ends a reply, which was answered or not.
func (r *reply) over(answered bool) {
	if answered && r.rest != nil {
		r.rest()
		return
	}
	r.close()
}

// event is one Server-Sent Event; in a body, the only one. Data is one message,
// or nothing in an event that only sets an id.
type event struct {
	id, name, retry string
	data            []byte
	read            *message // data as a message, where it was read already
	last            bool     // nothing follows it
}

const (
	mediaJSON   = "application/json"
	mediaEvents = "text/event-stream"
)

// nothing is the reply to a message that asks for none.
func nothing(status int) *reply {
	return &reply{status: status, next: func() (event, error) { return event{}, io.EOF }, close: func() {}}
}

// said is a reply of the gateway's own, of one message.
func said(status int, data []byte) *reply {
	r := nothing(status)
	r.media = mediaJSON
	r.next = func() (event, error) {
		if data == nil {
			return event{}, io.EOF
		}
		ev := event{data: data}
		data = nil
		return ev, nil
	}
	return r
}

// events reads Server-Sent Events (HTML Living Standard, section 9.2.6).
type events struct {
	lines *bufio.Reader
}

// buffers are used again and again.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 8<<10) }}

func newEvents(r io.Reader) *events {
	lines := buffers.Get().(*bufio.Reader)
	lines.Reset(r)
	return &events{lines}
}

// end gives back what reading took; there is no event after it.
func (e *events) end() {
	if e.lines != nil {
		e.lines.Reset(nil)
		buffers.Put(e.lines)
		e.lines = nil
	}
}

// next returns the next event that says something, or io.EOF.
func (e *events) next() (event, error) {
	var ev event
	some, size := false, 0
	for {
		line, err := readLine(e.lines, maxAnswer)
		if err != nil {
			return event{}, err // what is not ended by an empty line is no event
		}
		if len(line) == 0 {
			if some {
				return ev, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			if size += len(value); size > maxAnswer {
				return event{}, errTooLong
			}
			if ev.data != nil {
				ev.data = append(ev.data, '\n')
			}
			ev.data, some = append(ev.data, value...), true
		case "id":
			ev.id, some = string(value), true
		case "event":
			ev.name, some = string(value), true
		case "retry":
			ev.retry, some = string(value), true
		}
	}
}

var errTooLong = fmt.Errorf("the server's message is longer than the %d bytes that are passed on", maxAnswer)

// readLine reads one line of at most so many bytes, without its end; what is not
// ended is none.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > most {
			return nil, errTooLong
		}
		if err == nil && line == nil {
			line = part
		} else {
			line = append(line, part...)
		}
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// writeEvent writes one event.
func writeEvent(w io.Writer, ev event) error {
	var b bytes.Buffer
	b.Grow(len(ev.data) + 64)
	for _, field := range []struct{ name, value string }{{"event", ev.name}, {"id", ev.id}, {"retry", ev.retry}} {
		if field.value != "" && !strings.ContainsAny(field.value, "\r\n") {
			fmt.Fprintf(&b, "%s: %s\n", field.name, field.value)
		}
	}
	b.WriteString("data: ")
	// A message is one line: there is no line break in JSON but between tokens.
	b.Write(bytes.ReplaceAll(bytes.ReplaceAll(ev.data, []byte("\n"), []byte(" ")), []byte("\r"), []byte(" ")))
	b.WriteString("\n\n")
	_, err := w.Write(b.Bytes())
	return err
}
