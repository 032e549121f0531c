package mcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of what is read. A message of an agent is held to what the arguments
// of a call may be, and an answer of a server to more.
const (
	maxRequest = 4 << 20
	maxAnswer  = 64 << 20
	maxID      = 256
)

// The JSON-RPC error codes that the gateway answers with: those of JSON-RPC 2.0
// (section 5.1), of MCP 2026-07-28, and, from the range that is left to
// implementations, the code of a refusal.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInternal       = -32603
	codeRefused        = -32001
	codeHeaders        = -32020
	codeVersion        = -32022
)

// message is one JSON-RPC 2.0 message, and raw the bytes that are passed on:
// exactly those that were read here, so that the gateway decides on what the
// receiver sees.
type message struct {
	raw    jsontext.Value
	id     jsontext.Value // of a request or an answer
	method string         // empty for an answer
	params jsontext.Value
	result jsontext.Value
	fault  jsontext.Value
	// given are the members of params, once they were asked for.
	given []member
}

// member is one of a JSON object, its value a part of the object's bytes.
type member struct {
	name  string
	value jsontext.Value
}

func (m *message) isRequest() bool { return m.method != "" && m.id != nil }
func (m *message) isAnswer() bool  { return m.method == "" }

// parseMessage reads one message. It is strict: no name comes twice in any
// object, text is UTF-8, and no member of the message is written in another
// case than the specification's, because a receiver may take either for it.
func parseMessage(raw []byte, most int) (*message, error) {
	if len(raw) > most {
		return nil, fmt.Errorf("the message has %d bytes, more than the %d that are passed on", len(raw), most)
	}
	m := &message{raw: bytes.TrimSpace(raw)}
	if len(m.raw) > 0 && m.raw[0] == '[' {
		return nil, errors.New("the message is a batch, which MCP has not had since its revision 2025-06-18; send one message at a time")
	}
	var method, version jsontext.Value
	err := members(m.raw, map[string]*jsontext.Value{
		"jsonrpc": &version, "id": &m.id, "method": &method, "params": &m.params, "result": &m.result, "error": &m.fault,
	})
	if err != nil {
		return nil, fmt.Errorf("the message cannot be read: %w", err)
	}
	if string(version) != `"2.0"` {
		return nil, errors.New(`the message is not of JSON-RPC 2.0: it must say "jsonrpc": "2.0"`)
	}
	if m.id != nil && (m.id.Kind() != '"' && m.id.Kind() != '0' || len(m.id) > maxID) {
		return nil, fmt.Errorf("the id of the message is not a text or a number of at most %d bytes", maxID)
	}
	if method != nil {
		if m.method, err = text(method); err != nil || m.method == "" {
			return nil, errors.New("the method of the message is not a text")
		}
		if m.result != nil || m.fault != nil {
			return nil, errors.New("the message is a request and an answer at once")
		}
		return m, nil
	}
	if m.id == nil || (m.result == nil) == (m.fault == nil) {
		return nil, errors.New("the message is neither a request nor an answer: it needs a method, or an id with either a result or an error")
	}
	return m, nil
}

// members reads one JSON object and sets what is asked for by name; other
// members are passed over. A name that differs from one of them in case alone
// is refused.
func members(raw []byte, want map[string]*jsontext.Value) error {
	return each(raw, func(name string, value jsontext.Value) error { return wanted(want, name, value) })
}

func wanted(want map[string]*jsontext.Value, name string, value jsontext.Value) error {
	if at, ok := want[name]; ok {
		*at = value
		return nil
	}
	for known := range want {
		if strings.EqualFold(name, known) {
			return fmt.Errorf("%+q stands where %q is meant; write it so", clipped(name), known)
		}
	}
	return nil
}

// members is that of the params, which are read once however often they are asked.
func (m *message) members(want map[string]*jsontext.Value) error {
	if m.given == nil {
		given := []member{}
		if err := each(m.params, func(name string, value jsontext.Value) error {
			given = append(given, member{name, value})
			return nil
		}); err != nil {
			return err
		}
		m.given = given
	}
	for _, g := range m.given {
		if err := wanted(want, g.name, g.value); err != nil {
			return err
		}
	}
	return nil
}

// decoders are used again and again: making one takes longer than most messages.
var decoders = sync.Pool{New: func() any { return jsontext.NewDecoder(new(bytes.Buffer)) }}

// each calls fn for every member of the one JSON object that raw must be; the
// values are parts of raw.
func each(raw []byte, fn func(name string, value jsontext.Value) error) error {
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(raw))
	if d.PeekKind() != '{' {
		return errors.New("it is not a JSON object")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		end := d.InputOffset()
		if err := fn(name, raw[end-int64(len(value)):end:end]); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows it")
	}
	return nil
}

// items returns the elements of a JSON array; null and nothing have none.
func items(raw jsontext.Value) ([]jsontext.Value, error) {
	var out []jsontext.Value
	if raw == nil {
		return nil, nil
	}
	err := json.Unmarshal(raw, &out)
	return out, err
}

func text(raw jsontext.Value) (string, error) {
	if raw.Kind() != '"' {
		return "", errors.New("it is not a text")
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	return string(s), err
}

// clipped bounds a name that somebody else chose.
func clipped(name string) string {
	if len(name) <= maxID {
		return name
	}
	return strings.ToValidUTF8(name[:maxID], "") + "…"
}

// fault is a JSON-RPC error, and the error that it stands for.
type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitzero"`
}

func (f *fault) Error() string { return f.Message }

func faultf(code int, format string, args ...any) *fault {
	return &fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// encode writes a message of the gateway's own.
func encode(v any) []byte {
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		// The gateway's own messages hold nothing that cannot be written.
		panic(fmt.Sprintf("writing a message: %v", err))
	}
	return raw
}

// answerFault is the answer to a request that failed; a message without an id
// is answered with the id null (JSON-RPC 2.0, section 5).
func answerFault(id jsontext.Value, err error) []byte {
	var f *fault
	if !errors.As(err, &f) {
		f = faultf(codeInternal, "%v", err)
	}
	if id == nil {
		id = jsontext.Value("null")
	}
	return encode(struct {
		Version string         `json:"jsonrpc"`
		ID      jsontext.Value `json:"id"`
		Error   *fault         `json:"error"`
	}{"2.0", id, f})
}

// request is a request or, without an id, a notification of the gateway's own.
func request(id, method string, params any) *message {
	m := &message{method: method}
	body := struct {
		Version string `json:"jsonrpc"`
		ID      string `json:"id,omitzero"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitzero"`
	}{"2.0", id, method, params}
	m.raw = encode(body)
	if id != "" {
		m.id = encode(id)
	}
	if params != nil {
		m.params = encode(params)
	}
	return m
}
