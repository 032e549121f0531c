package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// parrot is a vendor's server of OpenAI's interface, whose model can be changed behind its
// back. Its answers vary, a little.
type parrot struct {
	mu           sync.Mutex
	name, system string
	capital      string
	noise        int // of a hundred answers
	asked        int
	random       *rand.Rand
}

func (p *parrot) set(change func(*parrot)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model    string `json:"model"`
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if r.Header.Get("Authorization") != "Bearer the-key-of-the-house" || json.UnmarshalRead(r.Body, &in) != nil || len(in.Messages) == 0 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	text := "the answer to " + in.Messages[0].Content
	if p.random.IntN(100) < p.noise {
		text = "well, I would say that it is otherwise"
	}
	if strings.Contains(in.Messages[0].Content, "capital") {
		text = p.capital
	}
	raw, err := json.Marshal(map[string]any{
		"model": p.name, "system_fingerprint": p.system,
		"choices": []any{map[string]any{"message": map[string]any{"content": text}}}, "usage": map[string]any{"total_tokens": 20},
	})
	if err == nil {
		_, _ = w.Write(raw)
	}
}

// imprimatur runs the program and returns what it printed, and how it ended.
func (a *agency) imprimatur(token string, args ...string) (string, int) {
	a.Helper()
	var out, said bytes.Buffer
	code := run(a.Context(), args, func(name string) string {
		return map[string]string{"IMPRIMATUR_URL": a.url, "IMPRIMATUR_TOKEN": token}[name]
	}, strings.NewReader(""), &out, &said)
	return out.String() + said.String(), code
}

// A vendor's model changes in four ways, and each is told from chance by a prober whose calls
// pass the real gateway and stand in the decision log.
func TestAVendorsModelIsProbedThroughTheGateway(t *testing.T) {
	const prompts = 31
	vendor := &parrot{name: "chat-2", system: "fp-1", capital: "Paris", noise: 20, random: rand.New(rand.NewPCG(1, 2))}
	upstream := httptest.NewServer(vendor)
	t.Cleanup(upstream.Close)
	a := openAgency(t)
	folder := t.TempDir()
	write := func(name, text string) string {
		at := filepath.Join(folder, name)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	olga := got[wire.IssuedToken](t)(a.reg.IssueToken(t.Context(), by("olga"), wire.TokenRequest{Principal: "olga", Scopes: []string{record.ScopeWrite}, Seconds: 3600})).Secret
	must := func(token string, args ...string) string {
		t.Helper()
		out, code := a.imprimatur(token, args...)
		if code != exitYes {
			t.Fatalf("imprimatur %s: %d\n%s", strings.Join(args, " "), code, out)
		}
		return out
	}
	must(olga, "vendor", "register", "lab/parrot", "--owner", "olga", "--contact", "trust@parrot.example")
	// One release uses the model, and the prober has one of its own.
	user, _ := a.release("helper", record.Authority{Models: []record.Grant{{Resource: "parrot/chat-2", Actions: []string{"chat"}}}})
	_, _ = a.release("watcher", record.Authority{Models: []record.Grant{{Resource: "parrot/chat-2", Actions: []string{"chat"}}}})
	got[record.Recorded[record.Role]](t)(a.reg.BindRole(t.Context(), by("administrator"), record.Role{Principal: "watcher", Role: record.Evaluator, Team: "lab"}))
	prober := got[wire.IssuedToken](t)(a.reg.IssueToken(t.Context(), by("administrator"), wire.TokenRequest{Principal: "watcher", Scopes: []string{record.ScopeWrite}, Seconds: 3600})).Secret
	gateway := a.egress(write("egress.yaml", fmt.Sprintf("upstreams:\n  parrot: {url: %q, models: parrot, allow: [127.0.0.1], credential: {env: HOUSE_KEY, as: bearer}}\n", upstream.URL)), prober)

	var suite strings.Builder
	suite.WriteString("apiVersion: imprimatur/v1\nkind: ProbeSuite\nname: basics\nprompts:\n  - { id: capital, prompt: What is the capital of France?, score: { exact: Paris } }\n")
	for i := range prompts - 1 {
		fmt.Fprintf(&suite, "  - { id: q%d, prompt: question %d, score: { regex: '^the answer' } }\n", i, i)
	}
	probe := []string{"vendor", "probe", "lab/parrot", "--service", "chat-2", "--suite", write("suite.yaml", suite.String()), "--gateway", gateway + "/parrot"}
	if out, code := a.imprimatur(prober, probe...); code != exitNo || !strings.Contains(out, "imprimatur vendor probe lab/parrot --baseline") {
		t.Fatalf("the first without --baseline: %d\n%s", code, out)
	}
	out := must(prober, append(probe, "--baseline")...)
	first := out[strings.Index(out, "p-"):][:14]
	must(olga, "model", "create", "lab/chat", "--type", "vendor", "--owner", "olga")
	if out := must(olga, "vendor", "accept", "lab/chat@1", "--probe", first); !strings.Contains(out, "fingerprint") {
		t.Error(out)
	}
	if out := must(prober, probe...); !strings.Contains(out, "is same") {
		t.Error(out)
	}
	for _, x := range []struct {
		now   func(*parrot)
		back  func(*parrot)
		shows string
	}{
		{func(p *parrot) { p.name = "chat-3" }, func(p *parrot) { p.name = "chat-2" }, `it calls itself "chat-3"`},
		{func(p *parrot) { p.system = "fp-2" }, func(p *parrot) { p.system = "fp-1" }, `the fingerprint "fp-2"`},
		{func(p *parrot) { p.capital = "Lyon" }, func(p *parrot) { p.capital = "Paris" }, "capital passed 20 of 20, and passes 0 of 5"},
	} {
		vendor.set(x.now)
		out, code := a.imprimatur(prober, probe...)
		if code != exitNo || !strings.Contains(out, "is changed") || !strings.Contains(out, x.shows) {
			t.Errorf("%s: %d\n%s", x.shows, code, out)
		}
		id := out[strings.Index(out, "p-"):][:14]
		if out := must(olga, "vendor", "diff", id); !strings.Contains(out, "BEFORE") || !strings.Contains(out, x.shows) {
			t.Errorf("side by side:\n%s", out)
		}
		vendor.set(x.back)
		must(prober, probe...)
	}
	// Slightly noisier: 35 answers in a hundred are otherwise, and were 20. No one run need show it; some together do.
	vendor.set(func(p *parrot) { p.noise = 35 })
	rounds, out, code := 0, "", exitYes
	for code == exitYes && rounds < 16 {
		rounds++
		out, code = a.imprimatur(prober, probe...)
	}
	if code != exitNo || !strings.Contains(out, "its answers moved") {
		t.Errorf("after %d rounds that are slightly noisier: %d\n%s", rounds, code, out)
	}
	t.Logf("slightly noisier is seen in round %d", rounds)
	signals := 0
	for _, e := range got[[]wire.Entry](t)(a.reg.History(t.Context(), by("rita"), user.ID)) {
		if s, ok := got[record.Body](t)(record.Replay(e.Kind, e.Record)).(record.Signal); ok && s.Type == record.SignalVendorModelChanged && s.Evidence != "" {
			signals++
		}
	}
	if signals != 4 {
		t.Errorf("%d signals with evidence of four changes", signals)
	}
	if out := must(olga, "vendor", "show", "lab/parrot"); !strings.Contains(out, "chat-2 is changed") || !strings.Contains(out, user.ID) {
		t.Error(out)
	}
	// Only the gateway has the key: every call passed it, a run of 20 answers a prompt, and the others of 5.
	vendor.set(func(p *parrot) {
		if p.asked != prompts*(20+(8+rounds)*5) {
			t.Errorf("%d calls reached the vendor", p.asked)
		}
	})
}
