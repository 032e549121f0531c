package mcp_test

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/gateway/mcp"
	"imprimatur.dev/record"
)

// scored is a line of the suite's summary.
var scored = regexp.MustCompile(`(?m)^(?:[✓✗] )?(\S+): (\d+ passed, \d+ failed)`)

// The protocol's conformance suite says the same of the SDK's conformance server
// through the gateway as of the server itself, scenario by scenario, in both
// revisions.
func TestConformanceThroughTheGateway(t *testing.T) {
	install := exec.CommandContext(t.Context(), "../../scripts/mcp.sh")
	install.Stderr = os.Stderr
	folder, err := install.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.TrimSpace(string(folder))
	program := filepath.Join(t.TempDir(), "everything-server")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server").CombinedOutput(); err != nil {
		t.Fatalf("building the conformance server: %v\n%s", err, out)
	}
	all := record.Authority{
		Tools: []record.Grant{{Resource: "suite/*", Actions: []string{"*"}}},
		Data:  []record.Grant{{Resource: "suite/*", Actions: []string{"*"}}},
	}
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			direct := conformanceServer(t, program, revision == "2026-07-28")
			b := setup(t, all, map[string]mcp.Server{"suite": {URL: direct}})
			// The suite sends no token: a proxy before the gateway does.
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Authorization", "Bearer token")
				r.URL.Path = "/suite"
				b.gateway.Handler().ServeHTTP(w, r)
			}))
			t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
			want := make(chan map[string]string, 1)
			go func() { want <- conformance(t, modules, direct, revision) }()
			got := conformance(t, modules, front.URL, revision)
			if want := <-want; len(want) < 30 || !maps.Equal(got, want) {
				t.Errorf("through the gateway %v, directly %v", got, want)
			}
			t.Log(got["Total"])
		})
	}
}

// conformanceServer starts the SDK's conformance server, and returns its address.
func conformanceServer(t *testing.T, program string, stateless bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	args := []string{"-http", at, "-stateless=false"}
	if stateless {
		args[2] = "-stateless=true"
	}
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	until(t, 20*time.Second, func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", at)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "http://" + at + "/"
}

// conformance runs all that a revision requires, and returns what the suite says
// of each scenario.
func conformance(t *testing.T, modules, url, revision string) map[string]string {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(modules, "node_modules/.bin/conformance"), "server", "--url", url, "--requirements", revision)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(modules, "bin")+":"+os.Getenv("PATH"), "NO_COLOR=1")
	out, _ := cmd.CombinedOutput() // it ends with a failure where one scenario fails
	said := map[string]string{}
	for _, m := range scored.FindAllStringSubmatch(string(out), -1) {
		said[m[1]] = m[2]
	}
	if len(said) == 0 {
		t.Errorf("the suite said:\n%s", out)
	}
	return said
}
