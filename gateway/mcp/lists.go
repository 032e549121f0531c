package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

const (
	// lookEvery is after how long a server's tools are looked at again beside a
	// call, and lookBefore after how long no call is made before that.
	lookEvery  = 5 * time.Second
	lookBefore = 15 * time.Second
	// lookWithin is how long a server may take to list its tools.
	lookWithin = 30 * time.Second
	// longestTTL is how long a client may keep what it was answered, in
	// milliseconds: no longer than a release takes to stop.
	longestTTL = 1000
)

// toolset returns what the server offers now. What is known is looked at again
// in the background; a call waits for it only when it is old, or the server has
// said that it changed.
func (s *session) toolset(ctx context.Context, head http.Header, m *message) (*toolset, error) {
	const looks = 3 // the tools may change while they are looked at
	for range looks {
		s.mu.Lock()
		known, age := s.tools, time.Duration(0)
		if known != nil {
			age = s.g.now().Sub(known.at)
		}
		must := known == nil || s.stale || age > lookBefore
		running := s.fetch
		if running == nil && (must || age > lookEvery) {
			running = make(chan struct{})
			s.fetch, s.stale = running, false
			go s.look(running, head.Clone(), looking(m))
		}
		s.mu.Unlock()
		if !must {
			return known, nil
		}
		select {
		case <-running:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		fresh, stale := s.tools, s.stale
		s.mu.Unlock()
		if fresh == nil {
			break
		}
		if !stale {
			return fresh, nil
		}
	}
	return nil, errors.New("the server's tools could not be listed, so that nothing can be said about them; see the gateway's log")
}

// look lists the server's tools and keeps what it finds; on a failure what was
// known is forgotten.
func (s *session) look(done chan struct{}, head http.Header, meta jsontext.Value) {
	ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
	defer cancel()
	set, err := s.list(ctx, head, meta)
	if err != nil {
		s.g.log.Warn("the tools of a server could not be listed", "server", s.server.name, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tools = set; err != nil {
		s.tools = nil
	}
	s.fetch = nil
	close(done)
}

// looking is the _meta of a request of the gateway's own that is made beside the
// client's: of the same revision, with what the client says of itself.
func looking(m *message) jsontext.Value {
	meta := metaOf(m)
	if meta == nil {
		return nil
	}
	kept := map[string]jsontext.Value{}
	_ = each(meta, func(name string, value jsontext.Value) error {
		if strings.HasPrefix(name, "io.modelcontextprotocol/") {
			kept[name] = value
		}
		return nil
	})
	if len(kept) == 0 {
		return nil
	}
	return encode(kept)
}

// list reads all pages of the server's tools.
func (s *session) list(ctx context.Context, head http.Header, meta jsontext.Value) (*toolset, error) {
	set := &toolset{tools: map[string]*tool{}, folded: map[string]string{}, faults: map[string]string{}, at: s.g.now()}
	for name := range head {
		if strings.HasPrefix(name, "Mcp-Param-") || name == "Mcp-Name" || name == "Last-Event-Id" {
			delete(head, name)
		}
	}
	if head.Get("Mcp-Method") != "" {
		head.Set("Mcp-Method", "tools/list")
	}
	seen := map[string]bool{}
	cursor := ""
	for range maxPages {
		params := map[string]any{}
		if cursor != "" {
			params["cursor"] = cursor
		}
		if meta != nil {
			params["_meta"] = meta
		}
		result, err := s.own(ctx, head, "tools/list", params)
		if err != nil {
			return nil, err
		}
		if cursor, err = s.page(set, result); err != nil || cursor == "" {
			return set, err
		}
		if seen[cursor] || len(set.folded) > maxTools {
			return nil, fmt.Errorf("the server's list of tools does not end: it repeats a cursor, or has more than %d tools", maxTools)
		}
		seen[cursor] = true
	}
	return nil, fmt.Errorf("the server's list of tools has more than %d pages", maxPages)
}

// page adds the tools of one page, and returns the cursor of the next.
func (s *session) page(set *toolset, result jsontext.Value) (next string, err error) {
	var tools, cursor jsontext.Value
	if err := members(result, map[string]*jsontext.Value{"tools": &tools, "nextCursor": &cursor}); err != nil {
		return "", fmt.Errorf("the server's list of tools cannot be read: %w", err)
	}
	list, err := items(tools)
	if err != nil {
		return "", fmt.Errorf("the server's list of tools cannot be read: %w", err)
	}
	for _, item := range list {
		t, err := s.server.definitions.read(item)
		if err != nil {
			s.g.log.Warn("a tool is not shown", "server", s.server.name, "reason", err)
			var name jsontext.Value
			if members(item, map[string]*jsontext.Value{"name": &name}) == nil {
				if called, e := text(name); e == nil {
					set.faults[called] = err.Error()
				}
			}
			continue
		}
		set.add(t)
	}
	if cursor == nil || cursor.Kind() == 'n' {
		return "", nil
	}
	return text(cursor)
}

// own makes a request of the gateway's own and returns its result.
func (s *session) own(ctx context.Context, head http.Header, method string, params any) (jsontext.Value, error) {
	m := request(ownID+strconv.FormatInt(s.g.asked.Add(1), 36), method, params)
	r, err := s.up.send(ctx, head, m)
	if err != nil {
		return nil, err
	}
	answered := false
	defer func() { r.over(answered) }()
	for {
		ev, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the server answered %s with the status %d and no result", method, r.status)
		}
		if err != nil {
			return nil, err
		}
		got, err := ev.message()
		if err != nil || !got.isAnswer() || idKey(got.id) != idKey(m.id) {
			continue
		}
		answered = true
		if got.fault != nil {
			return nil, fmt.Errorf("the server refused %s: %s", method, clipped(string(got.fault)))
		}
		return got.result, nil
	}
}

// ownID begins the ids of the gateway's own requests, and those of no client.
const ownID = "imprimatur-"

func (ev event) message() (*message, error) {
	if ev.read != nil {
		return ev.read, nil
	}
	return parseMessage(ev.data, maxAnswer)
}

// fromServer looks at what the server says, in answer to a call or without being
// asked, and returns what the client is told: nothing where it is not for the
// client. Ours is true for the answer to the call.
func (s *session) fromServer(c *call, ev event) (data []byte, ours bool, err error) {
	m, err := ev.message()
	if err != nil {
		return nil, false, err
	}
	if !m.isAnswer() {
		return s.said(m), false, nil
	}
	key := idKey(m.id)
	if c == nil || idKey(c.id) != key {
		s.mu.Lock()
		c = s.calls[key]
		s.mu.Unlock()
		if c == nil {
			return nil, false, nil // an answer to nothing that was asked
		}
	} else {
		ours = true
	}
	s.leave(c)
	data, err = s.answered(c, m)
	return data, ours, err
}

// said filters a request or a notification of the server.
func (s *session) said(m *message) []byte {
	if _, err := s.who().standing(); err != nil && m.isRequest() {
		return nil
	}
	s.notice(m)
	if m.method == "notifications/resources/updated" {
		var raw jsontext.Value
		if m.members(map[string]*jsontext.Value{"uri": &raw}) != nil {
			return nil
		}
		if uri, err := text(raw); err != nil || !s.g.learning() && !s.who().offers(s.resourceCall(uri)) {
			return nil
		}
	}
	return m.raw
}

// notice marks the tools as old where the server says that they changed.
func (s *session) notice(m *message) {
	if m.method == "notifications/tools/list_changed" {
		s.mu.Lock()
		s.stale = true
		s.mu.Unlock()
	}
}

// answered is what the client is told of an answer: a list is filtered, and what
// was decided about is recorded.
func (s *session) answered(c *call, m *message) ([]byte, error) {
	if c.asks != nil {
		c.entry.Result, c.entry.Bytes = record.DigestOf(m.result), len(m.result)
		if m.fault != nil {
			c.entry.Result, c.entry.Error = "", clipped(string(m.fault))
		}
		c.power.meter.Settle(c.decision, authority.Cost{Bytes: len(m.result)}, s.g.now())
		s.g.record(c, s)
	}
	if m.fault != nil {
		return m.raw, nil
	}
	list, keep := s.filter(c.method)
	if list == "" && (!c.modern || c.method != "resources/read" && c.method != "server/discover") {
		return m.raw, nil
	}
	result, changed, err := rewrite(m.result, list, keep)
	if err != nil {
		return nil, err
	}
	if !changed {
		return m.raw, nil
	}
	return encode(struct {
		Version string         `json:"jsonrpc"`
		ID      jsontext.Value `json:"id"`
		Result  jsontext.Value `json:"result"`
	}{"2.0", m.id, result}), nil
}

// filter returns the member of a list's result, and what of it the caller is
// shown: what it could ask for.
func (s *session) filter(method string) (list string, keep func(jsontext.Value) bool) {
	all := s.g.learning()
	switch method {
	case "tools/list":
		s.mu.Lock()
		set := s.tools
		s.mu.Unlock()
		return "tools", func(item jsontext.Value) bool {
			t, err := s.server.definitions.read(item)
			// What changed since is shown when it is known.
			return err == nil && set.has(t) && (all || s.who().offers(s.toolCall(t.name, t.digest)))
		}
	case "resources/list":
		return "resources", s.named("uri", func(uri string) bool {
			return all || plainURI(uri) == nil && s.who().offers(s.resourceCall(uri))
		})
	case "resources/templates/list":
		return "resourceTemplates", s.named("uriTemplate", func(uri string) bool { return all || s.who().offers(s.resourceCall(uri)) })
	case "prompts/list":
		return "prompts", s.named("name", func(name string) bool { return all || s.who().offers(s.promptCall(name)) })
	}
	return "", nil
}

func (s *session) named(member string, keep func(string) bool) func(jsontext.Value) bool {
	return func(item jsontext.Value) bool {
		var raw jsontext.Value
		if members(item, map[string]*jsontext.Value{member: &raw}) != nil {
			return false
		}
		name, err := text(raw)
		return err == nil && keep(name)
	}
}

// rewrite filters the list of a result, and makes what a client may keep of it
// private and short-lived (MCP 2026-07-28, server/utilities/caching).
func rewrite(result jsontext.Value, list string, keep func(jsontext.Value) bool) (out jsontext.Value, changed bool, err error) {
	var b strings.Builder
	separator := byte('{')
	err = each(result, func(name string, value jsontext.Value) error {
		if list != "" && name != list && strings.EqualFold(name, list) {
			return fmt.Errorf("the result has %+q where %q is meant", clipped(name), list)
		}
		switch name {
		case list:
			all, err := items(value)
			if err != nil {
				return fmt.Errorf("the member %s is not a list: %w", list, err)
			}
			kept := make([]jsontext.Value, 0, len(all))
			for _, item := range all {
				if keep(item) {
					kept = append(kept, item)
				}
			}
			changed = changed || len(kept) < len(all)
			value = encode(kept)
		case "cacheScope":
			value, changed = jsontext.Value(`"private"`), true
		case "ttlMs":
			var ms float64
			if json.Unmarshal(value, &ms) != nil || ms > longestTTL {
				value, changed = jsontext.Value(strconv.Itoa(longestTTL)), true
			}
		}
		b.WriteByte(separator)
		separator = ','
		b.Write(encode(name))
		b.WriteByte(':')
		b.Write(value)
		return nil
	})
	if separator == '{' {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return jsontext.Value(b.String()), changed, err
}
