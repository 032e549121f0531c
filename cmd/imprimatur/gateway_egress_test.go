package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// A workload calls a granted API and a granted model through the real gateway,
// which asks the real server, and a stream ends within a second of the suspension.
func TestEgressFollowsTheRelease(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer the-key-of-the-house":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case r.URL.Path == "/v1/chat/completions":
			fmt.Fprint(w, `{"model":"other","usage":{"total_tokens":600}}`)
		default:
			fmt.Fprint(w, "the case")
		}
	}))
	t.Cleanup(upstream.Close)
	a := openAgency(t)
	at := upstream.URL
	c, token := a.release("caller", record.Authority{
		APIs:   []record.Grant{{Resource: at + "/cases/*", Actions: []string{"GET"}}, {Resource: at + "/events", Actions: []string{"GET"}}},
		Models: []record.Grant{{Resource: "acme/small", Actions: []string{"chat"}, Budget: record.Budget{Unit: "tokens", Amount: 1000, Seconds: 3600}}},
	})
	folder := t.TempDir()
	config := filepath.Join(folder, "egress.yaml")
	text := fmt.Sprintf("upstreams:\n  crm: {url: %q, allow: [127.0.0.1], credential: {env: HOUSE_KEY, as: bearer}}\n  acme: {url: %q, models: acme, allow: [127.0.0.1], credential: {env: HOUSE_KEY, as: bearer}}\n", at, at)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sam := got[wire.IssuedToken](t)(a.reg.IssueToken(t.Context(), by("sam"), wire.TokenRequest{Principal: "sam", Scopes: []string{record.ScopeWrite}, Seconds: 3600})).Secret
	url := a.egress(config, sam)
	call := func(method, path, body string) *http.Response {
		t.Helper()
		r := got[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body)))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		answer := got[*http.Response](t)(http.DefaultClient.Do(r))
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	const chat = `{"model":"small","max_tokens":500}`
	for _, want := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/crm/cases/7", "", 200}, {"GET", "/crm/other", "", 403}, {"POST", "/acme/v1/chat/completions", chat, 200}, {"POST", "/acme/v1/chat/completions", chat, 429},
	} {
		if answer := call(want.method, want.path, want.body); answer.StatusCode != want.status {
			t.Errorf("%s %s: %s, want %d", want.method, want.path, answer.Status, want.status)
		}
	}
	events := bufio.NewReader(call("GET", "/crm/events", "").Body)
	if line := got[string](t)(events.ReadString('\n')); line != "data: first\n" {
		t.Fatal(line)
	}
	_, _ = events.ReadString('\n')
	got[wire.Case](t)(a.reg.Suspend(t.Context(), by("sam"), c.ID, "incident", false))
	began := time.Now()
	if line, err := events.ReadString('\n'); err == nil || time.Since(began) > time.Second {
		t.Errorf("the stream went on for %s: %q %v", time.Since(began), line, err)
	}
	if answer := call("GET", "/crm/cases/7", ""); answer.StatusCode != 403 {
		t.Errorf("after the suspension: %s", answer.Status)
	}
	signals := got[wire.Page](t)(a.reg.List(t.Context(), by("sam"), record.KindSignal, 0, 0))
	if len(signals.Entries) != 1 {
		t.Errorf("%d signals of a model that answers as another", len(signals.Entries))
	}
}

// egress starts the gateway, as the program, and returns its address.
func (a *agency) egress(config, token string) string {
	a.Helper()
	cmd := exec.CommandContext(a.Context(), "imprimatur", "gateway", "egress", "--config", config, "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "IMPRIMATUR_URL="+a.url, "HOUSE_KEY=the-key-of-the-house", "IMPRIMATUR_TOKEN="+token)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := got[string](a)(bufio.NewReader(stderr).ReadString('\n'))
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	return strings.TrimSpace(strings.TrimPrefix(line, "imprimatur:"))
}
