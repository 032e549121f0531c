package mcp

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// Lesson is what an agent was seen to use, while everything was let through. It
// is safe for concurrent use.
type Lesson struct {
	mu   sync.Mutex
	used map[used]*usage
}

// used is one thing that was used, as a grant would name it.
type used struct {
	kind, resource, action string
	definition             record.Digest
}

// usage is how it was used. Same are the arguments that had one value in every
// call, and minute the calls of the last minute.
type usage struct {
	calls  int
	most   int
	minute []time.Time
	same   map[string]any
}

// NewLesson has seen nothing.
func NewLesson() *Lesson { return &Lesson{used: map[used]*usage{}} }

// saw lets a call through and notes it.
func (l *Lesson) saw(s *session, c *call, t *tool) error {
	c.decision.Allowed, c.decision.Number = true, -1
	if c.asks.Kind == "tools" && t == nil {
		return fmt.Errorf("the server %s has no such tool", s.server.name)
	}
	now := s.g.now()
	key := used{c.asks.Kind, c.asks.Resource, c.asks.Action, c.asks.Definition}
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.used[key]
	if u == nil {
		u = &usage{same: maps.Clone(c.asks.Arguments)}
		l.used[key] = u
	}
	u.calls++
	u.minute = append(slices.DeleteFunc(u.minute, func(t time.Time) bool { return now.Sub(t) >= time.Minute }), now)
	u.most = max(u.most, len(u.minute))
	for name, value := range u.same {
		if other, ok := c.asks.Arguments[name]; !ok || !plain(value) || other != value {
			delete(u.same, name)
		}
	}
	return nil
}

// plain reports whether a value can be compared in a condition as it is.
func plain(value any) bool {
	switch v := value.(type) {
	case string:
		return len(v) <= maxID
	case bool, int64:
		return true
	}
	return false
}

// enough are the calls from which on an argument that was always the same is
// taken for one that must be.
const enough = 3

// Authority returns the narrowest grants under which all that was seen would
// have been allowed: each thing that was used, by its definition, no oftener in a
// minute than it was. It is a proposal: what an agent was not seen to do it may
// still need, and what it was led to do it may not.
func (l *Lesson) Authority() record.Authority {
	l.mu.Lock()
	defer l.mu.Unlock()
	var a record.Authority
	keys := slices.SortedFunc(maps.Keys(l.used), func(a, b used) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.resource, b.resource), cmp.Compare(a.action, b.action), cmp.Compare(a.definition, b.definition))
	})
	for _, key := range keys {
		u := l.used[key]
		g := record.Grant{
			Resource: key.resource, Actions: []string{key.action}, Definition: key.definition,
			Limit: record.Limit{Calls: u.most, Seconds: 60},
			Why:   fmt.Sprintf("used %d times while the agent was watched", u.calls),
		}
		if u.calls == 1 {
			g.Why = "used once while the agent was watched"
		}
		if u.calls >= enough {
			g.Condition = condition(u.same)
		}
		if key.kind == "tools" {
			a.Tools = append(a.Tools, g)
		} else {
			a.Data = append(a.Data, g)
		}
	}
	return a
}

// JSON is the authority as a file that can be read and proposed.
func (l *Lesson) JSON() []byte {
	raw := jsontext.Value(encode(l.Authority()))
	_ = raw.Indent()
	return append(raw, '\n')
}

// condition demands that arguments are what they always were.
func condition(same map[string]any) string {
	out := ""
	for _, name := range slices.Sorted(maps.Keys(same)) {
		if out != "" {
			out += " && "
		}
		out += fmt.Sprintf("args[%s] == %s", quote(name), quote(same[name]))
	}
	return out
}

// quote writes a value as CEL does, which takes JSON's texts, numbers and truth.
func quote(value any) string { return string(encode(value)) }
