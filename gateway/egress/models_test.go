package egress_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/gateway/egress"
	"imprimatur.dev/record"
)

var chats = record.Authority{Models: []record.Grant{
	{Resource: "acme/small-2026-01-01", Actions: []string{"chat"}, Condition: `about.tools.all(t, t in ["look_up"]) && (!has(args.temperature) || args.temperature < 1.5)`, Budget: record.Budget{Unit: "tokens", Amount: 5000, Seconds: 3600}},
	{Resource: "acme/embed-1", Actions: []string{"embed"}},
	{Resource: "acme/open-*", Actions: []string{"*"}},
}}

// vendor answers as the vendor of a model does.
func vendor(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(answer, "data: ") {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		for part := range strings.SplitAfterSeq(answer, "\n") {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

const chat = `{"model":"small-2026-01-01","max_tokens":1000,"messages":[{"role":"user","content":"hello"}]}`

func TestModelsThatAreGrantedAreCalled(t *testing.T) {
	const said = `{"id":"1","model":"small-2026-01-01","system_fingerprint":"fp_1","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50}}`
	b := setup(t, chats, vendor(said), nil)
	for _, path := range []string{"/vendor/v1/chat/completions", "/vendor/chat/completions", "/vendor/v1/responses", "/vendor/v1/messages"} {
		got := b.call("POST", path, chat, func(r *http.Request) {
			if strings.HasSuffix(path, "messages") { // as Anthropic's clients sign in
				r.Header.Del("Authorization")
				r.Header.Set("X-Api-Key", token)
			}
		})
		if got.status != 200 || got.body != said {
			t.Fatalf("%s: %+v", path, got)
		}
	}
	r := b.requests[3]
	if r.Header.Get("X-Api-Key") != secret || r.Header.Get("Authorization") != "" || b.bodies[3] != chat {
		t.Errorf("the vendor saw %+v %q", r.Header, b.bodies[3])
	}
	// What is said to the model is not for the decision.
	if ask := b.asked[0]; ask.Resource != "acme/small-2026-01-01" || strings.Contains(string(ask.Arguments), "hello") || ask.Tokens != len(chat)/3+1+1000 {
		t.Errorf("asked %+v %s", ask, ask.Arguments)
	}
	if len(b.settled) != 4 || b.settled[0].Tokens != 50 {
		t.Errorf("settled %+v", b.settled)
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
		says       string
	}{
		"another model":        {"/v1/chat/completions", `{"model":"large","messages":[]}`, 403, "no grant of the release names the model"},
		"another action":       {"/v1/completions", `{"model":"small-2026-01-01","prompt":"x"}`, 403, "allows chat"},
		"model twice":          {"/v1/chat/completions", `{"model":"small-2026-01-01","model":"large"}`, 400, "duplicate"},
		"model in capitals":    {"/v1/chat/completions", `{"model":"small-2026-01-01","Model":"large"}`, 400, "would be read for"},
		"model escaped":        {"/v1/chat/completions", `{"model":"small-2026-01-01","\u006dodel":"large"}`, 400, "duplicate"},
		"look-alike":           {"/v1/chat/completions", `{"model":"smаll-2026-01-01"}`, 403, "no grant"},
		"no model":             {"/v1/chat/completions", `{"messages":[]}`, 400, "does not say its model"},
		"a list for a model":   {"/v1/chat/completions", `{"model":["small-2026-01-01"]}`, 400, "does not say its model"},
		"a list":               {"/v1/chat/completions", `[` + chat + `]`, 400, "not an object"},
		"a tool":               {"/v1/chat/completions", `{"model":"small-2026-01-01","tools":[{"type":"function","function":{"name":"delete"}}]}`, 403, "does not hold"},
		"the vendor's tool":    {"/v1/responses", `{"model":"small-2026-01-01","tools":[{"type":"web_search"}]}`, 403, "does not hold"},
		"a nameless tool":      {"/v1/responses", `{"model":"small-2026-01-01","tools":[{}]}`, 400, "neither a name nor a type"},
		"too hot":              {"/v1/chat/completions", `{"model":"small-2026-01-01","temperature":2}`, 403, "does not hold"},
		"more than there is":   {"/v1/chat/completions", `{"model":"small-2026-01-01","max_tokens":6000}`, 403, "ask for less"},
		"more by number":       {"/v1/chat/completions", `{"model":"small-2026-01-01","max_tokens":100,"n":100}`, 403, "ask for less"},
		"more by another name": {"/v1/chat/completions", `{"model":"small-2026-01-01","max_tokens":1,"max_completion_tokens":6000}`, 403, "ask for less"},
		"negative":             {"/v1/chat/completions", `{"model":"small-2026-01-01","max_tokens":-1}`, 400, "that can be counted with"},
		"not whole":            {"/v1/chat/completions", `{"model":"small-2026-01-01","max_tokens":1e3}`, 400, "that can be counted with"},
		"huge":                 {"/v1/chat/completions", `{"model":"small-2026-01-01","n":99999999999999999999}`, 400, "too large"},
		"another path":         {"/v1/files", `{"model":"small-2026-01-01"}`, 404, "not passed on"},
		"an encoded path":      {"/v1/chat%2fcompletions", chat, 404, "not passed on"},
		"a model in the query": {"/v1/chat/completions?model=large", chat, 400, "is not passed on to models"},
	} {
		if got := b.call("POST", "/vendor"+c.path, c.body, nil); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if n := len(b.reached()); n != 4 {
		t.Errorf("the vendor was reached %d times", n)
	}
}

func TestStreamsOfModelsAreSettled(t *testing.T) {
	for name, c := range map[string]struct {
		path, stream string
		tokens       int
	}{
		"OpenAI":          {"/v1/chat/completions", "data: {\"model\":\"small-2026-01-01\",\"choices\":[{}],\"usage\":null}\n\ndata: {\"model\":\"small-2026-01-01\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12}}\n\ndata: [DONE]\n\n", 12},
		"OpenAI's events": {"/v1/responses", "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"small-2026-01-01\",\"usage\":null}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"small-2026-01-01\",\"usage\":{\"input_tokens\":8,\"output_tokens\":9,\"total_tokens\":17}}}\n\n", 17},
		"Anthropic":       {"/v1/messages", "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"small-2026-01-01\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\r\n\r\nevent: message_delta\r\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":6}}\r\n\r\n", 20},
		"without usage":   {"/v1/chat/completions", "data: {\"model\":\"small-2026-01-01\",\"choices\":[{}]}\n\ndata: [DONE]\n\n", 0},
		"negative":        {"/v1/chat/completions", "data: {\"model\":\"small-2026-01-01\",\"usage\":{\"total_tokens\":-5000}}\n\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, chats, vendor(c.stream), nil)
			got := b.call("POST", "/vendor"+c.path, strings.Replace(chat, "{", `{"stream":true,`, 1), nil)
			if got.status != 200 || got.body != c.stream {
				t.Fatalf("%+v", got)
			}
			if c.tokens == 0 && len(b.settled) != 0 || c.tokens > 0 && (len(b.settled) != 1 || b.settled[0].Tokens != c.tokens) {
				t.Errorf("settled %+v, want %d", b.settled, c.tokens)
			}
		})
	}
}

// LLM10:2025 Unbounded Consumption: calls at once do not share what is left.
func TestABudgetIsNotOverrunByCallsAtOnce(t *testing.T) {
	b := setup(t, chats, vendor(`{"model":"small-2026-01-01","usage":{"total_tokens":1}}`), nil)
	hold := make(chan struct{})
	b.upstream.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold })
	statuses := make(chan int, 20)
	for range 20 {
		go func() { statuses <- b.call("POST", "/vendor/v1/chat/completions", chat, nil).status }()
	}
	// 5,000 tokens are four calls of a thousand and what they say.
	for range 16 {
		if s := <-statuses; s != http.StatusTooManyRequests {
			t.Errorf("status %d", s)
		}
	}
	close(hold)
	for range 4 {
		if s := <-statuses; s != http.StatusOK {
			t.Errorf("status %d", s)
		}
	}
}

func TestOnlyGrantedModelsAreListed(t *testing.T) {
	b := setup(t, chats, vendor(`{"object":"list","data":[{"id":"small-2026-01-01"},{"id":"large"},{"id":"open-7"},{"id":"embed-1"},{}]}`), nil)
	got := b.call("GET", "/vendor/v1/models", "", nil)
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || fmt.Sprint(list.Data) != "[{small-2026-01-01} {open-7} {embed-1}]" {
		t.Errorf("%+v %v", got, err)
	}
	b.stands = false
	if got := b.call("GET", "/vendor/v1/models", "", nil); got.status != 403 || !strings.Contains(got.body, "suspended") {
		t.Errorf("%+v", got)
	}
}

// ASI04 Agentic Supply Chain: a vendor's model that is another one is noticed.
func TestWhatAnswersIsKeptAndAChangeReported(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seen.json")
	answered := "small-2026-01-01"
	b := setup(t, chats, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"model":%q,"system_fingerprint":"fp_1"}`, answered)
	}, func(c *egress.Config) { c.Seen = file })
	small := `{"model":"small-2026-01-01","max_tokens":10}`
	for range 2 {
		b.call("POST", "/vendor/v1/chat/completions", small, nil)
	}
	answered = "small-2026-06-01"
	for range 3 {
		b.call("POST", "/vendor/v1/chat/completions", small, nil)
	}
	if len(b.reports) != 2 || b.reports[0].Answered != "small-2026-01-01" || b.reports[1].Answered != "small-2026-06-01" || b.reports[1].Fingerprint != "fp_1" {
		t.Errorf("reported %+v", b.reports)
	}
	var kept []egress.Seen
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil || len(kept) != 2 || kept[0].Answered != "small-2026-01-01" || kept[0].Count != 2 || kept[1].Fingerprint != "fp_1" || kept[1].First.IsZero() {
		t.Errorf("kept %+v %v", kept, err)
	}
}

// FuzzUsage holds that whatever a vendor answers, in whatever parts, is passed on
// as it came, and counted as nothing less than nothing.
func FuzzUsage(f *testing.F) {
	f.Add([]byte("data: {\"model\":\"m\",\"usage\":{\"total_tokens\":5}}\n\n"), 3, true)
	f.Add([]byte(`{"model":"m","usage":{"prompt_tokens":-5,"input_tokens":9}}`), 1, false)
	f.Add([]byte("data: {\"message\":{\"message\":{}},\"response\":null}\r\ndata"), 7, true)
	f.Fuzz(func(t *testing.T, raw []byte, part int, events bool) {
		media := "application/json"
		if events {
			media = "text/event-stream"
		}
		whole, tokens := egress.Read(media, raw, max(part, 1), []string{"never in there, for it is long"})
		if tokens < 0 || !bytes.Equal(whole, raw) {
			t.Fatalf("%d tokens, %q of %q", tokens, whole, raw)
		}
		if len(raw) > 8 {
			hidden := string(raw[len(raw)/2 : len(raw)/2+4])
			if cut, _ := egress.Read(media, raw, max(part, 1), []string{hidden}); bytes.Contains(cut, []byte(hidden)) {
				t.Fatalf("%q shows %q", cut, hidden)
			}
		}
	})
}
