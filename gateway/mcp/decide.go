package mcp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

// The actions that grants name.
const (
	actionCall = "call" // a tool
	actionRead = "read" // a resource
	actionGet  = "get"  // a prompt
)

// The calls of which one is made for everything that can be listed, and for
// everything that can be asked for: what they are the same for is decided alike.

func (s *session) toolCall(name string, definition record.Digest) *authority.Call {
	return &authority.Call{Kind: "tools", Resource: s.server.name + "/" + name, Action: actionCall, Definition: definition}
}

func (s *session) resourceCall(uri string) *authority.Call {
	return &authority.Call{Kind: "data", Resource: s.server.name + "/" + uri, Action: actionRead}
}

func (s *session) promptCall(name string) *authority.Call {
	return &authority.Call{Kind: "data", Resource: s.server.name + "/prompts/" + name, Action: actionGet}
}

// admit decides about a request. What it knows of the call is in c when it
// refuses as well.
func (s *session) admit(ctx context.Context, head http.Header, m *message, c *call) (err error) {
	if err := headersAgree(head, m); err != nil {
		return err
	}
	switch m.method {
	case "initialize", "ping", "server/discover":
		return nil // says nothing of what may be done, and does nothing
	case "tools/list":
		// The list is filtered when it comes, by what is known then.
		if _, err = s.who().standing(); err == nil {
			_, err = s.toolset(ctx, head, m)
			return err
		}
		return nil
	case "resources/list", "resources/templates/list", "prompts/list":
		return nil
	}
	if c.power, err = s.who().standing(); err != nil {
		return err
	}
	switch m.method {
	case "tools/call":
		return s.admitTool(ctx, head, m, c)
	case "resources/read":
		return s.admitNamed(m, c, "uri", s.resourceCall)
	case "resources/subscribe", "resources/unsubscribe":
		if !c.modern { // the revisions without sessions have subscriptions/listen
			return s.admitNamed(m, c, "uri", s.resourceCall)
		}
	case "prompts/get":
		return s.admitNamed(m, c, "name", s.promptCall)
	case "completion/complete":
		return s.admitCompletion(m)
	case "subscriptions/listen":
		return s.admitListening(m)
	case "logging/setLevel":
		return nil
	}
	return faultf(codeNoMethod, "the gateway does not pass on the method %+q, about which it could not decide", clipped(m.method))
}

// admitTool decides about a call of a tool: its definition as it is now, its
// arguments by its schema and by the grant's condition, and what is left of the
// grant's limit and budget.
func (s *session) admitTool(ctx context.Context, head http.Header, m *message, c *call) error {
	var rawName, rawArgs, task jsontext.Value
	if err := m.members(map[string]*jsontext.Value{"name": &rawName, "arguments": &rawArgs, "task": &task}); err != nil {
		return faultf(codeInvalidRequest, "the call cannot be read: %v", err)
	}
	name, err := text(rawName)
	if err != nil {
		return faultf(codeInvalidRequest, "the call does not name a tool")
	}
	c.asks = s.toolCall(name, "")
	if task != nil {
		return errors.New("the gateway does not pass on calls as tasks, since what is asked of a task later could not be decided about")
	}
	args, err := authority.ParseArguments(rawArgs)
	if err != nil {
		return err
	}
	c.asks.Arguments = args
	if raw, err := record.Canonical(orObject(rawArgs)); err == nil {
		c.entry.Arguments = record.DigestOf(raw)
	}
	set, err := s.toolset(ctx, head, m)
	if err != nil {
		return err
	}
	if why := set.faults[name]; why != "" {
		return fmt.Errorf("the tool %+q cannot be called: %s", clipped(name), why)
	}
	t := set.tools[name]
	if t != nil {
		c.asks.Definition = t.digest
		c.entry.Definition = t.digest
	}
	if s.g.learning() {
		return s.g.learn.saw(s, c, t)
	}
	// What is not granted is refused before its arguments are looked at, and
	// wrong arguments before they count against a limit.
	if t != nil && c.power.grants.Offers(c.asks, s.g.now()) {
		if err := t.check(args); err != nil {
			return fmt.Errorf("the arguments are not what the tool %s takes: %w", name, err)
		}
	}
	if err := s.decide(c); err != nil {
		s.compareDefinition(c, t)
		return err
	}
	if t == nil {
		return fmt.Errorf("the server %s has no tool %+q now", s.server.name, clipped(name))
	}
	return nil
}

// decide asks the caller's grants about a call, and counts it.
func (s *session) decide(c *call) error {
	c.decision = c.power.grants.Decide(c.asks, s.g.now(), c.power.meter)
	if c.decision.Allowed {
		return nil
	}
	return errors.New(c.decision.Reason)
}

// admitNamed decides about a resource or a prompt.
func (s *session) admitNamed(m *message, c *call, member string, callOf func(string) *authority.Call) error {
	var raw, args jsontext.Value
	if err := m.members(map[string]*jsontext.Value{member: &raw, "arguments": &args}); err != nil {
		return faultf(codeInvalidRequest, "the request cannot be read: %v", err)
	}
	name, err := text(raw)
	if err != nil {
		return faultf(codeInvalidRequest, "the request does not say its %s", member)
	}
	c.asks = callOf(name)
	if member == "uri" {
		if err := plainURI(name); err != nil {
			return err
		}
	}
	if c.asks.Arguments, err = authority.ParseArguments(args); err != nil {
		return err
	}
	if s.g.learning() {
		return s.g.learn.saw(s, c, nil)
	}
	return s.decide(c)
}

// admitCompletion lets arguments be completed of what may be asked for.
func (s *session) admitCompletion(m *message) error {
	var ref, kind, name, uri jsontext.Value
	if err := m.members(map[string]*jsontext.Value{"ref": &ref}); err != nil || ref == nil {
		return faultf(codeInvalidRequest, "the request does not say what is to be completed")
	}
	if err := members(ref, map[string]*jsontext.Value{"type": &kind, "name": &name, "uri": &uri}); err != nil {
		return faultf(codeInvalidRequest, "the request cannot be read: %v", err)
	}
	var asks *authority.Call
	what, err := text(kind)
	switch {
	case err == nil && what == "ref/prompt":
		what, err = text(name)
		asks = s.promptCall(what)
	case err == nil && what == "ref/resource":
		what, err = text(uri)
		asks = s.resourceCall(what)
	}
	if err != nil || asks == nil {
		return faultf(codeInvalidRequest, "the request does not name a prompt or a resource")
	}
	if s.g.learning() || s.who().offers(asks) {
		return nil
	}
	return fmt.Errorf("no grant of the release names %+q", clipped(asks.Resource))
}

// admitListening decides about the resources that a client wants to hear of.
func (s *session) admitListening(m *message) error {
	var wants, uris jsontext.Value
	if err := m.members(map[string]*jsontext.Value{"notifications": &wants}); err != nil {
		return faultf(codeInvalidRequest, "the request cannot be read: %v", err)
	}
	if wants == nil {
		return nil
	}
	if err := members(wants, map[string]*jsontext.Value{"resourceSubscriptions": &uris}); err != nil {
		return faultf(codeInvalidRequest, "the request cannot be read: %v", err)
	}
	list, err := items(uris)
	if err != nil {
		return faultf(codeInvalidRequest, "the resources are not a list")
	}
	for _, raw := range list {
		uri, err := text(raw)
		if err == nil {
			err = plainURI(uri)
		}
		if err != nil {
			return err
		}
		if !s.g.learning() && !s.who().offers(s.resourceCall(uri)) {
			return fmt.Errorf("no grant of the release names the resource %+q", clipped(uri))
		}
	}
	return nil
}

// hidden are the ways to write a dot, a slash, a backslash, a percent sign or a
// zero byte so that a comparison does not see it.
var hidden = regexp.MustCompile(`(?i)%(2e|2f|5c|25|00)`)

// plainURI refuses a URI that can mean another than it says: a grant is compared
// with it byte by byte, and the server takes it apart.
func plainURI(uri string) error {
	path, _, _ := strings.Cut(uri, "?")
	path, _, _ = strings.Cut(path, "#")
	odd := strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) || hidden.MatchString(uri)
	for _, part := range strings.Split(path, "/") {
		odd = odd || part == "." || part == ".."
	}
	if _, err := url.Parse(uri); err != nil || odd {
		return fmt.Errorf("the URI %+q is not in its one form: write it without dot segments, spaces, backslashes and encoded separators", clipped(uri))
	}
	return nil
}

// headersAgree refuses a request whose headers name another method or another
// thing than its body does (MCP 2026-07-28, basic/transports, "Standard
// Headers"): what stands between may have decided by them.
func headersAgree(head http.Header, m *message) error {
	if method := head.Get("Mcp-Method"); method != "" && method != m.method {
		return faultf(codeHeaders, "the header Mcp-Method says %+q and the body %+q", clipped(method), clipped(m.method))
	}
	name := head.Get("Mcp-Name")
	if name == "" || m.params == nil {
		return nil
	}
	if inner, ok := strings.CutPrefix(name, "=?base64?"); ok {
		if raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(inner, "?=")); err == nil {
			name = string(raw)
		}
	}
	member := map[string]string{"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}[m.method]
	var value jsontext.Value
	if member == "" || m.members(map[string]*jsontext.Value{member: &value}) != nil {
		return nil
	}
	if is, err := text(value); err != nil || is != name {
		return faultf(codeHeaders, "the header Mcp-Name says %+q, and the body names something else", clipped(name))
	}
	return nil
}

func orObject(raw jsontext.Value) []byte {
	if raw == nil {
		return []byte("{}")
	}
	return raw
}
