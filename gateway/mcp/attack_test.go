package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/mcp"
	"imprimatur.dev/record"
)

// The attacks here are on the gateway itself. Where one fits, the entry of OWASP's
// Top 10 for Agentic Applications (2026) or for Non-Human Identities (2025) is named.

// looking is the authority of the attacks by the rogue server: the tool look as it
// was when it was approved, and the one that turns the server.
func looking(t testing.TB) record.Authority {
	t.Helper()
	pin, err := authority.ToolDigest(authority.Tool{Name: "look", Description: honestly, InputSchema: jsontext.Value(any1)})
	if err != nil {
		t.Fatal(err)
	}
	return record.Authority{Tools: []record.Grant{
		{Resource: "rogue/look", Actions: []string{"call"}, Definition: pin},
		{Resource: "rogue/turn", Actions: []string{"call"}},
	}}
}

// ASI04, ASI02: a server that was honest when it was approved turns.
func TestAttackAServerTurns(t *testing.T) {
	for mode, says := range map[string]string{
		"redefine": "not defined as it was approved", // the rug pull
		"rename":   "not defined as it was approved", // a tool takes a granted name
		"twice":    "two tools that are called look and look",
		"case":     "two tools that are called look and Look",
		"remote":   "what is not in it is not fetched",
		"cursor":   "could not be listed",
		"names":    "not defined as it was approved",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t, looking(t), map[string]mcp.Server{"rogue": command("rogue")})
			s := b.lines("rogue", nil)
			if got := tools(t, s); !slices.Equal(got, []string{"turn", "look"}) {
				t.Fatalf("shown: %q", got)
			}
			if got, err := call(t, s, "look", nil); err != nil || got != "look was called" {
				t.Fatalf("%q, %v", got, err)
			}
			if got, err := call(t, s, "turn", map[string]any{"into": mode}); err != nil || got != "turned into "+mode {
				t.Fatalf("%q, %v", got, err)
			}
			_, err := call(t, s, "look", nil)
			refused(t, err, says)
			switch got, err := shown(t, s); {
			case mode == "cursor":
				refused(t, err, says)
			case err != nil || slices.Contains(got, "look") || slices.Contains(got, "drop"):
				t.Errorf("shown after it turned: %q, %v", got, err)
			}
			if mode == "redefine" {
				b.reported("its description was", "send the user's keys", "inputSchema.properties is new")
			}
		})
	}
}

// reported demands that a changed definition was reported, with what changed.
func (b *bench) reported(says ...string) {
	b.Helper()
	select {
	case r := <-b.reports:
		for _, s := range says {
			if !strings.Contains(r.Detail, s) {
				b.Errorf("the report does not say %q: %s", s, r.Detail)
			}
		}
	case <-time.After(10 * time.Second):
		b.Error("the changed definition was not reported")
	}
	for _, e := range b.close() {
		if e.Difference != "" {
			return
		}
	}
	b.Error("the difference is not in the record")
}

// ASI04: what is not said aloud is found when the tools are looked at again.
func TestAttackAServerTurnsSilently(t *testing.T) {
	b := setup(t, looking(t), map[string]mcp.Server{"rogue": command("rogue")})
	s := b.lines("rogue", nil)
	if _, err := call(t, s, "turn", map[string]any{"into": "redefine silently"}); err != nil {
		t.Fatal(err)
	}
	until(t, 30*time.Second, func() bool {
		_, err := call(t, s, "look", nil)
		return err != nil && strings.Contains(err.Error(), "not defined as it was approved")
	})
}

// until waits for something to become so.
func until(t testing.TB, within time.Duration, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(within); ; {
		if is() {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it did not come about within %s", within)
		}
	}
}

// ASI02: names that look like a granted one, under a grant of a whole prefix.
func TestAttackLookAlikes(t *testing.T) {
	a := record.Authority{Tools: []record.Grant{{Resource: "rogue/*", Actions: []string{"call"}}}}
	b := setup(t, a, map[string]mcp.Server{"rogue": command("rogue")})
	s := b.lines("rogue", nil)
	if _, err := call(t, s, "turn", map[string]any{"into": "alike"}); err != nil {
		t.Fatal(err)
	}
	if got := tools(t, s); !slices.Equal(got, []string{"turn", "look", "drop"}) {
		t.Errorf("shown: %q", got)
	}
	for _, name := range []string{"lооk", "look ", "look\u200b", "LOOK", "./look", "ｌook"} {
		_, err := call(t, s, name, nil)
		refused(t, err)
	}
}

// LLM05:2025: what comes back is broken, too long, or an answer to nothing.
func TestAttackAnswers(t *testing.T) {
	b := setup(t, looking(t), map[string]mcp.Server{"rogue": command("rogue")})
	s := b.lines("rogue", nil)
	if got, err := call(t, s, "turn", map[string]any{"into": "malformed"}); err != nil || got != "after all that" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := call(t, s, "turn", map[string]any{"into": "stranger"}); err != nil || got != "and the answer" {
		t.Errorf("%q, %v", got, err)
	}
	if got := tools(t, s); slices.Contains(got, "drop") {
		t.Errorf("shown: %q", got)
	}
	_, err := call(t, s, "turn", map[string]any{"into": "huge"})
	refused(t, err, "longer than")
}

// sent posts a message as it is, and returns the answer.
func (b *bench) sent(server string, head map[string]string, body string) (status int, answer string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.ctx, http.MethodPost, b.url+"/"+server, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer token", "Mcp-Protocol-Version": "2026-07-28"} {
		req.Header.Set(name, value)
	}
	for name, value := range head {
		req.Header.Set(name, value)
	}
	if host := head["Host"]; host != "" {
		req.Host = host
	}
	got, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer got.Body.Close()
	raw, err := io.ReadAll(got.Body)
	if err != nil {
		b.Fatal(err)
	}
	return got.StatusCode, string(raw)
}

// calling is a call of a tool in the revision without sessions.
func calling(params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + params + `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"a","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}`
}

// ASI02: arguments and messages that one reader takes for one thing and another
// reader for another.
func TestAttackMessagesThatAreReadInTwoWays(t *testing.T) {
	b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": address(t, clerk(), true)})
	head := map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "read_note"}
	if status, got := b.sent("clerk", head, calling(`"name":"read_note","arguments":{"ward":"7"}`)); status != 200 || !strings.Contains(got, "the note of ward 7") {
		t.Fatalf("%d %s", status, got)
	}
	for name, c := range map[string]struct{ body, says string }{
		"an argument twice":            {calling(`"name":"read_note","arguments":{"ward":"7","ward":"8"}`), "duplicate"},
		"an argument in two cases":     {calling(`"name":"read_note","arguments":{"ward":"7","Ward":"8"}`), "differ in case"},
		"an argument in another case":  {calling(`"name":"read_note","arguments":{"Ward":"7"}`), "differ in case"},
		"a name twice":                 {calling(`"name":"read_note","name":"write_note","arguments":{"ward":"7"}`), "duplicate"},
		"a name in two cases":          {calling(`"name":"read_note","NAME":"write_note","arguments":{"ward":"7"}`), `write it so`},
		"params in two cases":          {`{"jsonrpc":"2.0","id":1,"method":"ping","Params":{},"params":{}}`, "write it so"},
		"a method in two cases":        {`{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}`, "write it so"},
		"arguments in another case":    {calling(`"name":"read_note","arguments":{"ward":"7"},"Arguments":{"ward":"8"}`), "write it so"},
		"an argument of another type":  {calling(`"name":"read_note","arguments":{"ward":["7"]}`), "the arguments are not"},
		"a number beyond all readers":  {calling(`"name":"read_note","arguments":{"ward":"7","text":123456789012345678901234567890}`), "too large"},
		"a number of many digits":      {calling(`"name":"read_note","arguments":{"ward":"7","text":1e999}`), "too large"},
		"text that is not UTF-8":       {calling("\"name\":\"read_note\",\"arguments\":{\"ward\":\"7\xff\"}"), "UTF-8"},
		"half of a pair of surrogates": {calling(`"name":"read_note","arguments":{"ward":"7\ud800"}`), "surrogate"},
		"arguments that are a text":    {calling(`"name":"read_note","arguments":"{\"ward\":\"7\"}"`), "not a JSON object"},
		"nested a thousand deep":       {calling(`"name":"read_note","arguments":{"ward":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`), "nested"},
		"a batch":                      {`[` + calling(`"name":"write_note","arguments":{"ward":"7"}`) + `]`, "batch"},
		"something after it":           {calling(`"name":"read_note","arguments":{"ward":"7"}`) + calling(`"name":"write_note"`), "follows"},
		"a request and an answer":      {`{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}`, "at once"},
		"an id of the gateway's own":   {`{"jsonrpc":"2.0","id":"imprimatur-1","method":"ping"}`, "the gateway's own"},
		"as a task":                    {calling(`"name":"read_note","arguments":{"ward":"7"},"task":{}`), "tasks"},
		"a method of its own":          {`{"jsonrpc":"2.0","id":1,"method":"tools/callAnyway","params":{"name":"write_note"}}`, "could not decide"},
		"a method in capitals":         {`{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"write_note"}}`, "could not decide"},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := b.sent("clerk", nil, c.body)
			if !strings.Contains(got, `"error"`) || !strings.Contains(got, c.says) {
				t.Errorf("it does not say %q: %s", c.says, got)
			}
		})
	}
	// What stands between may have let it through by its headers.
	status, got := b.sent("clerk", head, calling(`"name":"write_note","arguments":{"ward":"7"}`))
	if status != http.StatusBadRequest || !strings.Contains(got, "-32020") {
		t.Errorf("%d %s", status, got)
	}
}

// ASI03: resources are named so that they mean others.
func TestAttackPathTraversal(t *testing.T) {
	b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": address(t, clerk(), false)})
	s := b.dialled("clerk", "2025-11-25", nil)
	if err := s.Subscribe(b.ctx, &sdk.SubscribeParams{URI: "note://ward/7"}); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{
		"note://ward/../secret", "note://ward/7/../../x", "note://ward/%2e%2e/x", "note://ward/%2E%2E%2fx", "note://ward/..%2fx", "note://ward/%252e%252e/x",
		"note://ward/./7", "note://ward/..\\x", "note://ward/7%00", "note://ward/7\n", "note://ward/ 7", "NOTE://ward/7", "note:///ward/7", "secret://key", "",
	} {
		_, err := s.ReadResource(b.ctx, &sdk.ReadResourceParams{URI: uri})
		refused(t, err)
		if err := s.Subscribe(b.ctx, &sdk.SubscribeParams{URI: uri}); err == nil {
			t.Errorf("%q can be subscribed to", uri)
		}
	}
}

// NHI2, NHI9, ASI03: tokens of nobody, of others, and going from one to another.
func TestAttackSessionsOfOthers(t *testing.T) {
	b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": address(t, clerk(), false)})
	b.office.grant("other", "r-ba9876543210", record.Authority{})
	if _, err := b.dial("clerk", "nobody's", "2025-11-25", nil); err == nil || !strings.Contains(err.Error(), "Unauthorized") {
		t.Errorf("who is nobody: %v", err)
	}
	if status, _ := b.sent("clerk", map[string]string{"Authorization": ""}, `{}`); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	s := b.dialled("clerk", "2025-11-25", nil)
	theirs := map[string]string{"Mcp-Session-Id": s.ID(), "Authorization": "Bearer other", "Mcp-Protocol-Version": "2025-11-25"}
	if status, got := b.sent("clerk", theirs, `{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"read_note","arguments":{"ward":"7"}}}`); status != http.StatusNotFound {
		t.Errorf("in the session of another: %d %s", status, got)
	}
	if status, _ := b.sent("clerk", map[string]string{"Host": "evil.example"}, `{}`); status != http.StatusForbidden {
		t.Errorf("under another name: %d", status)
	}
	if status, _ := b.sent("clerk", map[string]string{"Origin": "https://evil.example"}, `{}`); status != http.StatusForbidden {
		t.Errorf("from another site's page: %d", status)
	}
	other, err := b.dial("clerk", "other", "2026-07-28", nil)
	if err == nil {
		if got := tools(t, other); len(got) != 0 {
			t.Errorf("who is granted nothing is shown %q", got)
		}
	}
}

// ASI02: calls at once, over many connections, share what a grant has left.
func TestAttackBudgetRace(t *testing.T) {
	a := record.Authority{Tools: []record.Grant{{Resource: "clerk/read_note", Actions: []string{"call"}, Limit: record.Limit{Calls: 10, Seconds: 600}}}}
	b := setup(t, a, map[string]mcp.Server{"clerk": address(t, clerk(), true)})
	b.office.grant("second", "r-0123456789ab", a) // another workload under the same release
	var allowed atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		token := []string{"token", "second"}[i%2]
		s, err := b.dial("clerk", token, "2026-07-28", nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			all.Go(func() {
				for range 5 {
					if _, err := call(t, s, "read_note", note{Ward: "7"}); err == nil {
						allowed.Add(1)
					} else if !strings.Contains(err.Error(), "is spent") {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if allowed.Load() != 10 {
		t.Errorf("%d calls were let through, of a limit of 10", allowed.Load())
	}
}

// Rule 10, ASI10: the release is suspended while a call runs.
func TestRule10AnOpenCallEndsWithItsRelease(t *testing.T) {
	for _, kind := range []string{"command", "address with sessions", "address without"} {
		for _, way := range []string{"lines", "2025-11-25", "2026-07-28"} {
			t.Run(kind+" by "+way, func(t *testing.T) {
				t.Parallel()
				server := command("clerk")
				if kind != "command" {
					server = address(t, clerk(), kind == "address without")
				}
				b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": server})
				changed, running := make(chan struct{}, 8), make(chan struct{}, 8)
				opts := &sdk.ClientOptions{
					ToolListChangedHandler:      func(context.Context, *sdk.ToolListChangedRequest) { changed <- struct{}{} },
					ProgressNotificationHandler: func(context.Context, *sdk.ProgressNotificationClientRequest) { running <- struct{}{} },
				}
				s := b.linesOr("clerk", way, opts)
				if got := tools(t, s); len(got) != 2 {
					t.Fatalf("shown: %q", got)
				}
				ended := make(chan error, 1)
				go func() {
					params := &sdk.CallToolParams{Name: "wait", Arguments: note{Ward: "7"}}
					params.SetProgressToken("p")
					_, err := s.CallTool(context.WithoutCancel(b.ctx), params)
					ended <- err
				}()
				<-running
				began := time.Now()
				b.office.stop("token", "the release r-0123456789ab is suspended by sam: incident")
				select {
				case err := <-ended:
					refused(t, err, "the call was ended", "suspended by sam")
				case <-time.After(10 * time.Second):
					t.Fatal("the call goes on")
				}
				if kind != "address without" || way != "2025-11-25" { // else nobody listens
					select {
					case <-changed:
					case <-time.After(10 * time.Second):
						t.Error("the client was not told that its lists changed")
					}
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("it took %s", took)
				}
				if got := tools(t, s); len(got) != 0 {
					t.Errorf("shown after it stopped: %q", got)
				}
				_, err := call(t, s, "read_note", note{Ward: "7"})
				refused(t, err, "suspended by sam")
			})
		}
	}
}

func (b *bench) linesOr(server, way string, opts *sdk.ClientOptions) *sdk.ClientSession {
	b.Helper()
	if way == "lines" {
		return b.lines(server, opts)
	}
	return b.dialled(server, way, opts)
}

// Rule 04, rule 10: a gateway that cannot hear whether the release stands refuses.
func TestRule04ASilentServerMeansNo(t *testing.T) {
	b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": command("clerk")}, func(c *mcp.Config, _ *mcp.Options) { c.StaleAfter = 500 * time.Millisecond })
	s := b.lines("clerk", nil)
	if _, err := call(t, s, "read_note", note{Ward: "7"}); err != nil {
		t.Fatal(err)
	}
	b.office.silence(true)
	until(t, 10*time.Second, func() bool {
		_, err := call(t, s, "read_note", note{Ward: "7"})
		return err != nil && strings.Contains(err.Error(), "longer than the bound of 500ms")
	})
	b.office.silence(false)
	until(t, 10*time.Second, func() bool {
		_, err := call(t, s, "read_note", note{Ward: "7"})
		return err == nil
	})
}

// T8 of Threats and Mitigations: the record is flooded, so that what matters is
// lost in it.
func TestAttackLogFlooding(t *testing.T) {
	b := setup(t, wards(t, "clerk"), map[string]mcp.Server{"clerk": address(t, clerk(), true)})
	s := b.dialled("clerk", "2026-07-28", nil)
	const floods = 500
	for range floods {
		_, err := call(t, s, "write_note", note{Ward: "7"})
		refused(t, err)
	}
	_, err := call(t, s, strings.Repeat("a", 1<<20), nil)
	refused(t, err)
	if _, err := call(t, s, "read_note", note{Ward: "7"}); err != nil {
		t.Fatal(err)
	}
	lines, times, read := 0, 0, false
	for _, e := range b.close() {
		switch {
		case strings.HasSuffix(e.Resource, "write_note"):
			lines++
			times += max(e.Times, 1)
		case e.Allowed:
			read = true
		}
		if size := len(fmt.Sprint(e)); size > 4096 {
			t.Errorf("an entry of %d bytes", size)
		}
	}
	if lines > floods/4 || times != floods || !read {
		t.Errorf("%d lines count %d of %d refusals; the call that was let through is there: %v", lines, times, floods, read)
	}
}
