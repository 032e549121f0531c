package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/wire"
)

const agentRules = `apiVersion: imprimatur/v1
kind: Policy
name: house
tiers:
  low:
    mode: enforce
    approvals:
      - { role: model-owner, count: 1, covers: [behaviour, data, authority, context] }
    expires: 90d
`

// agency is an installation for the releases of an agent, with its people.
type agency struct {
	testing.TB
	reg *registry.Registry
	url string
}

func got[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func by(name string) registry.Caller {
	return registry.Caller{Name: name, Type: record.Human, Method: record.MethodToken}
}

// publicGateway is the address of a gateway as agents know it.
const publicGateway = "https://mcp.example"

func openAgency(t testing.TB) *agency {
	t.Helper()
	h := httptest.NewUnstartedServer(nil)
	at := "http://" + h.Listener.Addr().String()
	reg := got[*registry.Registry](t)(registry.Open(t.Context(), registry.Config{Data: t.TempDir(), URL: at, Audiences: []string{publicGateway, publicGateway + "/clerk", publicGateway + "/files"}}))
	t.Cleanup(func() { reg.Close() })
	h.Config.Handler = server.New(reg, server.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	h.Start()
	t.Cleanup(h.Close)
	a := &agency{TB: t, reg: reg, url: h.URL}
	admin, ctx := by(registry.FirstAdministrator), t.Context()
	got[string](t)(reg.Begin(ctx))
	got[record.Recorded[record.Team]](t)(reg.CreateTeam(ctx, admin, record.Team{Name: "lab"}))
	for name, role := range map[string]record.RoleName{"ann": record.Contributor, "olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		got[record.Recorded[record.Principal]](t)(reg.EnrolPrincipal(ctx, admin, record.Principal{Name: name, Type: record.Human}))
		got[record.Recorded[record.Role]](t)(reg.BindRole(ctx, admin, record.Role{Principal: name, Role: role, Team: record.AllTeams}))
	}
	got[wire.Published](t)(reg.PublishPolicy(ctx, by("rita"), []byte(agentRules), "house rules"))
	got[record.Recorded[record.Environment]](t)(reg.SetEnvironment(ctx, admin, record.Environment{Name: "production", LeastTier: "low", Policy: "house"}))
	return a
}

// release puts an agent live with an authority, and returns the release and the
// token of its workload.
func (a *agency) release(name string, may record.Authority) (wire.Case, string) {
	a.Helper()
	ctx, d, admin := a.Context(), record.DigestOf([]byte(name)), by(registry.FirstAdministrator)
	got[record.Recorded[record.Principal]](a)(a.reg.EnrolPrincipal(ctx, admin, record.Principal{
		Name: name, Type: record.Workload, Owner: "olga", Purpose: "helps", Expires: record.Millis(time.Now().AddDate(1, 0, 0)),
	}))
	got[record.Recorded[record.Model]](a)(a.reg.RegisterModel(ctx, by("olga"), record.Model{Team: "lab", Name: name, Type: record.Trained, Owner: "olga"}))
	got[record.Recorded[record.ModelVersion]](a)(a.reg.RegisterVersion(ctx, by("ann"), record.ModelVersion{
		Model: "lab/" + name, Version: "1", Type: record.Trained, Artifact: d, Files: []record.File{{Path: "m", SHA256: d.Hex(), Size: 1}},
	}))
	got[record.Recorded[record.UseCase]](a)(a.reg.RegisterUseCase(ctx, by("olga"), record.UseCase{
		Team: "lab", Name: name, Title: "Help", Purpose: "help", Owner: "olga", Tier: "low", Environments: []string{"production"},
	}))
	may.Workloads = []string{name}
	c := got[wire.Case](a)(a.reg.ProposeRelease(ctx, by("ann"), wire.Proposal{Version: "lab/" + name + "@1", UseCase: "lab/" + name, Environment: "production", Authority: may}))
	got[wire.Case](a)(a.reg.Approve(ctx, by("olga"), wire.Word{Release: c.ID, Record: c.Digests.Record, Role: record.ModelOwner, Decision: record.Approve, Reason: "seen"}))
	c = got[wire.Promoted](a)(a.reg.Promote(ctx, by("olga"), c.ID)).Case
	token := got[wire.IssuedToken](a)(a.reg.IssueToken(ctx, admin, wire.TokenRequest{Principal: name, Scopes: []string{record.ScopeRead}, Seconds: 3600}))
	return c, token.Secret
}

// agent runs the gateway as an agent's configuration would, and connects to it.
func (a *agency) agent(token string, opts *mcp.ClientOptions, args ...string) *mcp.ClientSession {
	a.Helper()
	cmd := exec.Command("imprimatur", append([]string{"gateway", "mcp"}, args...)...)
	cmd.Env = append(os.Environ(), "IMPRIMATUR_URL="+a.url, "IMPRIMATUR_TOKEN="+token)
	var said bytes.Buffer
	cmd.Stderr = &said
	ctx, cancel := context.WithTimeout(a.Context(), time.Minute)
	defer cancel()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, opts).Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		a.Fatalf("%v\n%s", err, said.String())
	}
	return session
}

// npmServers are the published servers, with something that an agent does with
// each, and something that it could do as well.
func npmServers(folder string) []npmServer {
	return []npmServer{
		{"filesystem", []string{"mcp-server-filesystem", folder}, "read_text_file", map[string]any{"path": filepath.Join(folder, "case.txt")}, "the case", "write_file", map[string]any{"path": filepath.Join(folder, "case.txt"), "content": "gone"}},
		{
			"memory",
			[]string{"mcp-server-memory"},
			"create_entities",
			map[string]any{"entities": []any{map[string]any{"name": "ward 7", "entityType": "ward", "observations": []any{"quiet"}}}},
			"[", "delete_entities", // what is there already is not answered again

			map[string]any{"entityNames": []any{"ward 7"}},
		},
		{"everything", []string{"mcp-server-everything"}, "echo", map[string]any{"message": "hello"}, "hello", "get-env", map[string]any{}},
	}
}

type npmServer struct {
	name    string
	command []string
	does    string
	with    map[string]any
	says    string
	could   string
	other   map[string]any
}

// An agent is watched at work with published servers; what it was seen to need
// is proposed, approved and promoted; then it may do that and nothing else, until
// the release is suspended.
func TestAnAgentMayDoWhatItWasSeenToNeed(t *testing.T) {
	install := exec.CommandContext(t.Context(), "../../scripts/mcp.sh")
	install.Stderr = os.Stderr
	modules := strings.TrimSpace(string(got[[]byte](t)(install.Output())))
	a := openAgency(t)
	folder := t.TempDir()
	for _, s := range npmServers(folder) {
		t.Run(s.name, func(t *testing.T) {
			a := &agency{TB: t, reg: a.reg, url: a.url}
			if err := os.WriteFile(filepath.Join(folder, "case.txt"), []byte("the case"), 0o600); err != nil {
				t.Fatal(err)
			}
			config, wanted, kept := filepath.Join(t.TempDir(), "gateway.yaml"), filepath.Join(t.TempDir(), "authority.json"), filepath.Join(t.TempDir(), "calls.jsonl")
			command := fmt.Sprintf("%q", filepath.Join(modules, "node_modules/.bin", s.command[0]))
			for _, arg := range s.command[1:] {
				command += fmt.Sprintf(", %q", arg)
			}
			text := fmt.Sprintf("servers:\n  %s:\n    command: [%s]\n    env: {PATH: %q, MEMORY_FILE_PATH: %q}\nrecord: %q\n", s.name, command,
				filepath.Join(modules, "bin")+":"+os.Getenv("PATH"), filepath.Join(folder, "memory.json"), kept)
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			watched := a.agent("", nil, "learn", "--config", config, "--output", wanted)
			for range 2 {
				a.does(watched, s.does, s.with, s.says)
			}
			if err := watched.Close(); err != nil {
				t.Fatal(err)
			}
			may := got[record.Authority](t)(strictly[record.Authority](got[[]byte](t)(os.ReadFile(wanted)), wanted, "authority"))
			if len(may.Tools) != 1 || may.Tools[0].Resource != s.name+"/"+s.does || may.Tools[0].Definition == "" || may.Tools[0].Limit.Calls != 2 {
				t.Fatalf("proposed: %+v", may)
			}
			a.enforced(s, may, config)
			if calls := string(got[[]byte](t)(os.ReadFile(kept))); strings.Count(calls, "\n") < 4 || !strings.Contains(calls, `"allowed":false`) {
				t.Errorf("recorded:\n%s", calls)
			}
		})
	}
}

// does calls a tool that must say something.
func (a *agency) does(s *mcp.ClientSession, tool string, args map[string]any, says string) {
	a.Helper()
	ctx, cancel := context.WithTimeout(a.Context(), time.Minute)
	defer cancel()
	res, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.Fatal(err)
	}
	if text, ok := res.Content[0].(*mcp.TextContent); !ok || res.IsError || !strings.Contains(text.Text, says) {
		a.Fatalf("%+v", res.Content[0])
	}
}

// enforced holds an agent to the release.
func (a *agency) enforced(s npmServer, may record.Authority, config string) {
	a.Helper()
	c, token := a.release(s.name, may)
	changed := make(chan struct{}, 8)
	agent := a.agent(token, &mcp.ClientOptions{ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} }}, "--config", config)
	shown := []string{}
	for tool, err := range agent.Tools(a.Context(), nil) {
		if err != nil {
			a.Fatal(err)
		}
		shown = append(shown, tool.Name)
	}
	if !slices.Equal(shown, []string{s.does}) {
		a.Errorf("shown: %q", shown)
	}
	a.does(agent, s.does, s.with, s.says)
	if _, err := agent.CallTool(a.Context(), &mcp.CallToolParams{Name: s.could, Arguments: s.other}); err == nil || !strings.Contains(err.Error(), "no grant of the release names the tool") {
		a.Errorf("%s: %v", s.could, err)
	}
	began := time.Now()
	got[wire.Case](a)(a.reg.Suspend(a.Context(), by("sam"), c.ID, "incident", false))
	for {
		_, err := agent.CallTool(a.Context(), &mcp.CallToolParams{Name: s.does, Arguments: s.with})
		if err != nil && strings.Contains(err.Error(), "suspended") {
			break
		}
		if took := time.Since(began); took > 5*time.Second {
			a.Fatalf("%s after it was suspended: %v", took, err)
		}
	}
	took := time.Since(began)
	a.Logf("nothing is let through %s after the release was suspended", took.Round(time.Millisecond))
	if took > time.Second {
		a.Errorf("it took %s", took)
	}
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		a.Error("the agent was not told that its lists changed")
	}
	if err := agent.Close(); err != nil {
		a.Error(err)
	}
}
