package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// A gateway in its own process attaches a secret that the server lends it for the
// workload that asks: by both rights, in its newest version, for no longer than they
// stand, and seen by nobody.
func TestEgressAttachesWhatTheServerLends(t *testing.T) {
	const first, second = "the-first-value-of-the-key", "the-second-value-of-the-key"
	var seen atomic.Value
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/echo":
			fmt.Fprint(w, r.Header.Get("Authorization"))
		default:
			fmt.Fprint(w, "the case")
		}
	}))
	t.Cleanup(upstream.Close)
	a := openAgency(t)
	ctx := t.Context()
	got[record.Recorded[record.Secret]](t)(a.reg.SetSecret(ctx, by("sam"), wire.SecretRequest{Team: "lab", Name: "crm-key", SecretVersion: wire.SecretVersion{Value: []byte(first)}}))
	at := upstream.URL
	_, token := a.release("caller", record.Authority{
		APIs:    []record.Grant{{Resource: at + "/*", Actions: []string{"GET"}}},
		Secrets: []record.Grant{{Resource: "crm-key", Actions: []string{"use"}, Condition: fmt.Sprintf("about.to == '%s'", at)}},
	})
	ask, logged := a.attaching(fmt.Sprintf("upstreams:\n  crm: {url: %q, allow: [127.0.0.1], credential: {secret: lab/crm-key, as: bearer}}\n", at), a.gatewayToken("egress-1"))
	call := func(token, path string) *http.Response {
		t.Helper()
		return got[*http.Response](t)(ask(token, path))
	}
	want := func(path string, status int, says string) {
		t.Helper()
		answer := call(token, path)
		text := string(got[[]byte](t)(io.ReadAll(answer.Body)))
		if answer.StatusCode != status || !strings.Contains(text, says) || strings.Contains(text, first) || strings.Contains(text, second) {
			t.Errorf("%s: %s %.300s", path, answer.Status, text)
		}
	}
	want("/crm/cases/7", 403, "egress-1 is no gateway that may attach the secret lab/crm-key in production")
	bound := got[record.Recorded[record.Gateway]](t)(a.reg.BindGateway(ctx, by("sam"), record.Gateway{Workload: "egress-1", Team: "lab", Environment: "production", Secrets: []string{"crm-key"}})).Record
	want("/crm/cases/7", 200, "the case")
	if seen.Load() != "Bearer "+first {
		t.Error("another credential was attached")
	}
	if answer, err := ask(token, "/crm/echo"); err == nil {
		if text, _ := io.ReadAll(answer.Body); bytes.Contains(text, []byte(first)) {
			t.Error("an answer shows the credential")
		}
	}
	if _, err := client.New(a.url, token).ReadSecret(ctx, "lab", "crm-key", wire.SecretAsk{}); err == nil || !strings.Contains(err.Error(), "read") {
		t.Errorf("the workload that may use a secret is told it: %v", err)
	}
	events := bufio.NewReader(call(token, "/crm/events").Body)
	if line := got[string](t)(events.ReadString('\n')); line != "data: first\n" {
		t.Fatal(line)
	}
	got[record.Recorded[record.Secret]](t)(a.reg.RotateSecret(ctx, by("sam"), "lab", "crm-key", wire.SecretRotation{SecretVersion: wire.SecretVersion{Value: []byte(second)}, OverlapSeconds: 600}))
	for began := time.Now(); seen.Load() != "Bearer "+second; {
		if want("/crm/cases/7", 200, "the case"); time.Since(began) > 3*time.Second {
			t.Fatal("a rotation does not reach what is asked next")
		}
	}
	got[record.Recorded[record.Gateway]](t)(a.reg.EndGateway(ctx, by("sam"), bound.ID, wire.Stop{Reason: "taken over"}))
	began := time.Now()
	if rest, err := io.ReadAll(events); err == nil || time.Since(began) > time.Second {
		t.Errorf("the stream went on for %s: %q %v", time.Since(began), rest, err)
	}
	want("/crm/cases/7", 403, "is no gateway")
	if text := logged(); strings.Contains(text, first) || strings.Contains(text, second) || strings.Contains(text, token) {
		t.Error("the gateway's log shows a secret")
	}
}

// gatewayToken enrols a workload that is a gateway, and issues its token.
func (a *agency) gatewayToken(name string) string {
	a.Helper()
	got[record.Recorded[record.Principal]](a)(a.reg.EnrolPrincipal(a.Context(), by("administrator"), record.Principal{
		Name: name, Type: record.Workload, Owner: "olga", Purpose: "egress", Expires: record.Millis(time.Now().AddDate(1, 0, 0)),
	}))
	return got[wire.IssuedToken](a)(a.reg.IssueToken(a.Context(), by("administrator"), wire.TokenRequest{Principal: name, Scopes: []string{record.ScopeWrite}, Seconds: 3600})).Secret
}

// attaching starts a gateway of egress in a process of its own, and returns how it is
// called, and what it has logged when it has ended.
func (a *agency) attaching(config, token string) (ask func(bearer, path string) (*http.Response, error), logged func() string) {
	a.Helper()
	file := filepath.Join(a.TempDir(), "egress.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		a.Fatal(err)
	}
	cmd := exec.CommandContext(a.Context(), "imprimatur", "gateway", "egress", "--config", file, "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "IMPRIMATUR_URL="+a.url, "IMPRIMATUR_TOKEN="+token)
	stderr := got[io.ReadCloser](a)(cmd.StderrPipe())
	if err := cmd.Start(); err != nil {
		a.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	url := strings.TrimSpace(strings.TrimPrefix(got[string](a)(lines.ReadString('\n')), "imprimatur:"))
	log := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(lines)
		log <- string(text)
	}()
	stop := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	a.Cleanup(stop)
	ask = func(bearer, path string) (*http.Response, error) {
		r := got[*http.Request](a)(http.NewRequestWithContext(a.Context(), http.MethodGet, url+path, nil))
		r.Header.Set("Authorization", "Bearer "+bearer)
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			a.Cleanup(func() { answer.Body.Close() })
		}
		return answer, err
	}
	return ask, func() string { _ = cmd.Process.Kill(); return <-log }
}
