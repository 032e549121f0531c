package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// The gateway of MCP attaches a secret to what goes to a server behind an address, and
// gives it to the process of one behind a command, for as long as it may.
func TestMCPAttachesWhatTheServerLends(t *testing.T) {
	const value = "the-value-of-the-key"
	a := openAgency(t)
	var seen atomic.Value
	s := mcp.NewServer(&mcp.Implementation{Name: "crm", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "find"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "found"}}}, nil, nil
	})
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(upstream.Close)
	ctx := t.Context()
	got[record.Recorded[record.Secret]](t)(a.reg.SetSecret(ctx, by("sam"), wire.SecretRequest{Team: "lab", Name: "crm-key", SecretVersion: wire.SecretVersion{Value: []byte(value)}}))
	_, token := a.release("helper", record.Authority{
		Tools:   []record.Grant{{Resource: "crm/find", Actions: []string{"call"}}},
		Secrets: []record.Grant{{Resource: "crm-key", Actions: []string{"use"}}},
	})
	t.Setenv("IMPRIMATUR_GATEWAY_TOKEN", a.gatewayToken("mcp-1"))
	bound := got[record.Recorded[record.Gateway]](t)(a.reg.BindGateway(ctx, by("sam"), record.Gateway{Workload: "mcp-1", Team: "lab", Environment: "production"})).Record
	config, told := filepath.Join(t.TempDir(), "gateway.yaml"), filepath.Join(t.TempDir(), "told")
	text := fmt.Sprintf("servers:\n  crm: {url: %q, headers: {Authorization: \"Bearer ${secret:lab/crm-key}\"}}\n  own: {command: [sh, -c, 'printf %%s \"$KEY\" > %s'], env: {KEY: \"${secret:lab/crm-key}\"}}\n", upstream.URL, told)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := a.agent(token, nil, "--config", config, "--server", "crm")
	a.does(agent, "find", map[string]any{}, "found")
	if seen.Load() != "Bearer "+value {
		t.Error("another credential was attached")
	}
	own := exec.CommandContext(ctx, "imprimatur", "gateway", "mcp", "--config", config, "--server", "own")
	own.Env = append(os.Environ(), "IMPRIMATUR_URL="+a.url, "IMPRIMATUR_TOKEN="+token)
	own.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}` + "\n")
	if said, _ := own.CombinedOutput(); strings.Contains(string(said), value) {
		t.Error("the gateway says the value")
	}
	if raw, err := os.ReadFile(told); err != nil || string(raw) != value {
		t.Errorf("the process was given %d bytes, %v", len(raw), err)
	}
	got[record.Recorded[record.Gateway]](t)(a.reg.EndGateway(ctx, by("sam"), bound.ID, wire.Stop{Reason: "taken over"}))
	for began := time.Now(); ; {
		_, err := agent.CallTool(ctx, &mcp.CallToolParams{Name: "find", Arguments: map[string]any{}})
		if err != nil && strings.Contains(err.Error(), "is no gateway") {
			break
		}
		if time.Since(began) > 2*time.Second {
			t.Fatalf("two seconds after the gateway was ended: %v", err)
		}
	}
	_ = agent.Close()
}
