package mcp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What is read of a message is what a reader sees that takes the last of two
// names, and any case for the right one.
func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}}`,
		`{"jsonrpc":"2.0","id":"x","result":{"tools":[]}}`, `{"jsonrpc":"2.0","method":"a","Method":"b"}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}`, `[]`, `{`, `{"jsonrpc":"2.0","method":"\ud800"}`, "{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseMessage(raw, maxRequest)
		if err != nil {
			return
		}
		var lax struct {
			ID     jsontext.Value `json:"id"`
			Method string         `json:"method"`
			Params jsontext.Value `json:"params"`
		}
		if err := json.Unmarshal(m.raw, &lax, json.MatchCaseInsensitiveNames(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
			t.Fatalf("another reader cannot read it: %v", err)
		}
		if lax.Method != m.method || !bytes.Equal(lax.ID, m.id) || !bytes.Equal(lax.Params, m.params) {
			t.Errorf("another reader sees %+v, and we %+v", lax, m)
		}
	})
}

// An event that was read is written so that it reads the same.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{"data: {}\n\n", "id: 1\ndata: a\ndata: b\n\n", ": comment\n\nevent: message\nretry: 5\ndata:x\r\n\r\n", "data\n\n", "data: cut off"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := newEvents(bytes.NewReader(raw))
		for {
			ev, err := in.next()
			if err != nil {
				return
			}
			var b bytes.Buffer
			if err := writeEvent(&b, ev); err != nil {
				t.Fatal(err)
			}
			again, err := newEvents(&b).next()
			want := strings.NewReplacer("\n", " ", "\r", " ").Replace(string(ev.data))
			if err != nil || string(again.data) != want || !strings.ContainsAny(ev.id, "\r\n") && again.id != ev.id {
				t.Fatalf("%+v is read again as %+v, %v", ev, again, err)
			}
		}
	})
}

func TestALineThatIsTooLongIsRefused(t *testing.T) {
	for text, want := range map[string]error{"12345\n": nil, "1234567890\n": errTooLong, "1234567890": errTooLong, "123": io.EOF} {
		if _, err := readLine(newEvents(strings.NewReader(text)).lines, 8); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}
