package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// bearing sends a token with each request.
type bearing string

// RoundTrip implements http.RoundTripper.
func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// served starts the gateway with a configuration and returns where it listens.
func (a *agency) served(text string) string {
	a.Helper()
	config := filepath.Join(a.TempDir(), "gateway.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		a.Fatal(err)
	}
	cmd := exec.CommandContext(a.Context(), "imprimatur", "gateway", "mcp", "--config", config, "--listen", "127.0.0.1:0")
	cmd.Env = slices.DeleteFunc(append(os.Environ(), "IMPRIMATUR_URL="+a.url), func(v string) bool { return strings.HasPrefix(v, "IMPRIMATUR_TOKEN=") })
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := got[string](a)(bufio.NewReader(stderr).ReadString('\n'))
	return strings.TrimSpace(strings.TrimPrefix(line, "imprimatur:"))
}

// looked reads a document of JSON.
func (a *agency) looked(url string) map[string]any {
	a.Helper()
	answer := got[*http.Response](a)(http.Get(url))
	defer answer.Body.Close()
	raw := got[[]byte](a)(io.ReadAll(answer.Body))
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil || answer.StatusCode != http.StatusOK {
		a.Fatalf("%s: %s: %s", url, answer.Status, raw)
	}
	return out
}

// Attacks ASI03, NHI4, NHI7: agents reach the gateway with access tokens of the server, which they find
// by the gateway's own metadata; a token that is for another service, is changed, was ended, or whose
// release has stopped is of no use there.
func TestAgentsReachTheGatewayWithAccessTokens(t *testing.T) {
	a := openAgency(t)
	clerk := mcp.NewServer(&mcp.Implementation{Name: "clerk", Version: "1"}, nil)
	mcp.AddTool(clerk, &mcp.Tool{Name: "read", Description: "Reads."}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "quiet"}}}, nil, nil
	})
	upstream := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return clerk }, nil))
	t.Cleanup(upstream.Close)
	c, own := a.release("helper", record.Authority{Tools: []record.Grant{{Resource: "clerk/read", Actions: []string{"call"}}}})
	at := a.served(fmt.Sprintf("url: %s\nservers:\n  clerk: {url: %q}\n", publicGateway, upstream.URL))
	gateway := strings.TrimSuffix(at, "/clerk")

	// A stranger is told where tokens are given, and finds who gives them.
	status, challenge := a.knocks(at, "")
	where, ok := strings.CutPrefix(challenge, `Bearer realm="imprimatur", resource_metadata="`+publicGateway)
	if status != http.StatusUnauthorized || !ok {
		t.Fatalf("a stranger is told %d %s", status, challenge)
	}
	told := a.looked(gateway + strings.TrimSuffix(where, `"`))
	if told["resource"] != publicGateway+"/clerk" || fmt.Sprint(told["authorization_servers"]) != "["+a.url+"]" {
		t.Errorf("the metadata says %v", told)
	}
	if end := a.looked(a.url + "/.well-known/oauth-authorization-server")["token_endpoint"]; end != a.url+"/oauth2/token" {
		t.Errorf("tokens are given at %v", end)
	}
	access := func(audience ...string) string {
		t.Helper()
		return got[client.AccessToken](t)(client.New(a.url, own).Exchange(t.Context(), client.Exchange{Audience: audience})).Secret
	}
	good := access(publicGateway+"/clerk", a.url)
	for name, secret := range map[string]string{
		"for the server alone": access(), "for the gateway alone": access(publicGateway), "for another place of the gateway": access(publicGateway+"/files", a.url),
		"with another signature": good[:len(good)-8] + "AAAAAAAA", "without its signature": good[:strings.LastIndex(good, ".")+1],
	} {
		if status, challenge := a.knocks(at, secret); status != http.StatusUnauthorized || !strings.Contains(challenge, "resource_metadata") {
			t.Errorf("a token %s: %d %s", name, status, challenge)
		}
	}
	a.untilItEnds(c, at, good, access(publicGateway, a.url))
}

// knocks sends a first message and returns the status and the challenge.
func (a *agency) knocks(at, secret string) (int, string) {
	a.Helper()
	r := got[*http.Request](a)(http.NewRequestWithContext(a.Context(), http.MethodPost, at, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)))
	r.Header.Set("Content-Type", "application/json")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	answer := got[*http.Response](a)(http.DefaultClient.Do(r))
	defer answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("WWW-Authenticate")
}

// untilItEnds has two agents call, until the token of one is ended, and the release
// of the other stops.
func (a *agency) untilItEnds(c wire.Case, at, first, second string) {
	a.Helper()
	calls := func(secret string) *mcp.ClientSession {
		transport := &mcp.StreamableClientTransport{Endpoint: at, HTTPClient: &http.Client{Transport: bearing(secret)}}
		s := got[*mcp.ClientSession](a)(mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil).Connect(a.Context(), transport, nil))
		a.Cleanup(func() { _ = s.Close() })
		a.does(s, "read", map[string]any{}, "quiet")
		return s
	}
	ends := func(s *mcp.ClientSession, says string) {
		a.Helper()
		began := time.Now()
		for {
			_, err := s.CallTool(a.Context(), &mcp.CallToolParams{Name: "read", Arguments: map[string]any{}})
			took := time.Since(began)
			if err == nil && took < 5*time.Second {
				continue
			}
			if err == nil || took > time.Second || !strings.Contains(err.Error(), says) {
				a.Errorf("after %s: %v", took, err)
			}
			return
		}
	}
	one, other := calls(first), calls(second)
	if err := a.reg.RevokeAccess(a.Context(), by(registry.FirstAdministrator), first); err != nil {
		a.Fatal(err)
	}
	ends(one, "it was ended")
	a.does(other, "read", map[string]any{}, "quiet")
	got[wire.Case](a)(a.reg.Suspend(a.Context(), by("sam"), c.ID, "incident", false))
	ends(other, "is suspended")
}
