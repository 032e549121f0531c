package mcp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"imprimatur.dev/authority"
	"imprimatur.dev/gateway/follow"
	"imprimatur.dev/gateway/mcp"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// TestMain is also the servers that the tests start as commands.
func TestMain(m *testing.M) {
	if name := os.Getenv("MCP_TEST_SERVER"); name != "" {
		if err := commandServers[name](); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// commandServers are the servers that speak over standard input and output.
var commandServers = map[string]func() error{
	"clerk": func() error { return clerk().Run(context.Background(), &sdk.StdioTransport{}) },
	"rogue": func() error { return rogue(os.Stdin, os.Stdout) },
}

// office says what workloads may do, as a server would.
type office struct {
	mu      sync.Mutex
	granted map[string]wire.Granted // by bearer
	silent  bool
}

func (o *office) source(_ context.Context, bearer string, have record.Digest) (wire.Granted, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.silent {
		return wire.Granted{}, errors.New("the server cannot be reached")
	}
	g, ok := o.granted[bearer]
	if !ok {
		return g, fmt.Errorf("%w: nobody has this token", follow.ErrNotSignedIn)
	}
	if have == g.Digest && g.Stands {
		g.Authority = nil
	}
	return g, nil
}

func (o *office) grant(bearer, release string, a record.Authority) {
	o.mu.Lock()
	defer o.mu.Unlock()
	digest := record.DigestOf([]byte(fmt.Sprint(a)))
	o.granted[bearer] = wire.Granted{Workload: "agent-" + bearer, Stands: true, Release: release, Line: "lab/net/triage/production", Digest: digest, Authority: &a}
}

func (o *office) stop(bearer, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.granted[bearer]
	o.granted[bearer] = wire.Granted{Workload: g.Workload, Reasons: []string{reason}}
}

func (o *office) silence(silent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.silent = silent
}

// bench is a gateway with what it keeps.
type bench struct {
	testing.TB
	ctx     context.Context
	gateway *mcp.Gateway
	office  *office
	journal *bytes.Buffer
	close   func() []mcp.Entry
	url     string
	reports chan mcp.Redefinition
}

type closing struct{ *bytes.Buffer }

func (closing) Close() error { return nil }

// setup starts a gateway before servers, with "token" for one workload.
func setup(t testing.TB, a record.Authority, servers map[string]mcp.Server, change ...func(*mcp.Config, *mcp.Options)) *bench {
	t.Helper()
	o := &office{granted: map[string]wire.Granted{}}
	o.grant("token", "r-0123456789ab", a)
	ctx, cancel := context.WithCancel(context.Background())
	b := &bench{TB: t, ctx: ctx, office: o, journal: &bytes.Buffer{}, reports: make(chan mcp.Redefinition, 16)}
	c := mcp.Config{Servers: servers}
	journal := mcp.NewJournal(closing{b.journal})
	opts := mcp.Options{Source: o.source, Journal: journal, Log: slog.New(slog.DiscardHandler), Report: func(r mcp.Redefinition) { b.reports <- r }}
	for _, f := range change {
		f(&c, &opts)
	}
	b.gateway = mcp.New(ctx, c, opts)
	front := httptest.NewServer(b.gateway.Handler())
	b.url = front.URL
	end := sync.OnceFunc(func() {
		cancel()
		b.gateway.Wait()
		front.CloseClientConnections()
		front.Close()
		if err := journal.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	b.close = func() []mcp.Entry {
		end()
		var out []mcp.Entry
		for line := range strings.Lines(b.journal.String()) {
			var e mcp.Entry
			if err := json.Unmarshal([]byte(line), &e, json.RejectUnknownMembers(true)); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			out = append(out, e)
		}
		return out
	}
	return b
}

// command is a server of this test program as a command.
func command(name string) mcp.Server {
	return mcp.Server{Command: []string{os.Args[0]}, Env: map[string]string{"MCP_TEST_SERVER": name}}
}

// address is an SDK server behind an address.
func address(t testing.TB, s *sdk.Server, stateless bool) mcp.Server {
	t.Helper()
	h := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, &sdk.StreamableHTTPOptions{Stateless: stateless}))
	t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	return mcp.Server{URL: h.URL}
}

// lines connects a client to a server of the gateway over standard input and output.
func (b *bench) lines(server string, opts *sdk.ClientOptions) *sdk.ClientSession {
	b.Helper()
	toGateway, fromClient := io.Pipe()
	toClient, fromGateway := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- b.gateway.ServeStdio(b.ctx, server, "token", toGateway, fromGateway)
		fromGateway.Close()
	}()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, opts).Connect(b.ctx, &sdk.IOTransport{Reader: toClient, Writer: fromClient}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		session.Close()
		fromClient.Close()
		if err := <-served; err != nil && !errors.Is(err, io.ErrClosedPipe) {
			b.Error(err)
		}
	})
	return session
}

// bearing sends a token with each request.
type bearing string

func (t bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(t))
	return keeping.RoundTrip(r)
}

// keeping keeps the connections of many sessions.
var keeping = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 256
	return t
}()

// dial connects a client over HTTP.
func (b *bench) dial(server, token, version string, opts *sdk.ClientOptions) (*sdk.ClientSession, error) {
	transport := &sdk.StreamableClientTransport{Endpoint: b.url + "/" + server, HTTPClient: &http.Client{Transport: bearing(token)}, MaxRetries: -1}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, opts).Connect(b.ctx, transport, &sdk.ClientSessionOptions{ProtocolVersion: version})
	if err == nil {
		b.Cleanup(func() { session.Close() })
	}
	return session, err
}

func (b *bench) dialled(server, version string, opts *sdk.ClientOptions) *sdk.ClientSession {
	b.Helper()
	session, err := b.dial(server, "token", version, opts)
	if err != nil {
		b.Fatal(err)
	}
	return session
}

// shown are the names of the tools that a client is shown.
func shown(t testing.TB, s *sdk.ClientSession) ([]string, error) {
	t.Helper()
	names := []string{}
	for tool, err := range s.Tools(t.Context(), nil) {
		if err != nil {
			return names, err
		}
		names = append(names, tool.Name)
	}
	return names, nil
}

func tools(t testing.TB, s *sdk.ClientSession) []string {
	t.Helper()
	names, err := shown(t, s)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// call calls a tool, and returns the text of its result or the error.
func call(t testing.TB, s *sdk.ClientSession, name string, args any) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := s.CallTool(ctx, &sdk.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		return "", err
	}
	var out []string
	for _, c := range got.Content {
		if text, ok := c.(*sdk.TextContent); ok {
			out = append(out, text.Text)
		}
	}
	return strings.Join(out, "\n"), nil
}

// refused demands an error that says certain things.
func refused(t testing.TB, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it was let through")
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("the refusal does not say %q: %v", s, err)
		}
	}
}

// definition is the digest by which a grant pins a tool that a server lists.
func definition(t testing.TB, s *sdk.Server, name string) record.Digest {
	t.Helper()
	a, z := sdk.NewInMemoryTransports()
	if _, err := s.Connect(t.Context(), a, nil); err != nil {
		t.Fatal(err)
	}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "reader", Version: "1"}, nil).Connect(t.Context(), z, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for tool, err := range session.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if tool.Name == name {
			schema, err := json.Marshal(tool.InputSchema)
			if err != nil {
				t.Fatal(err)
			}
			d, err := authority.ToolDigest(authority.Tool{Name: tool.Name, Description: tool.Description, InputSchema: jsontext.Value(schema)})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
	t.Fatalf("the server has no tool %s", name)
	return ""
}

// agent connects a client over standard input and output, or in a revision over HTTP.
func (b *bench) agent(server, way string) *sdk.ClientSession {
	b.Helper()
	if way == "lines" {
		return b.lines(server, nil)
	}
	return b.dialled(server, way, nil)
}

// resourcesAndPrompts looks at those of the clerk: two are allowed and three are not.
func (b *bench) resourcesAndPrompts(s *sdk.ClientSession) {
	b.Helper()
	var shown []string
	for r, err := range s.Resources(b.ctx, nil) {
		if err != nil {
			b.Fatal(err)
		}
		shown = append(shown, r.URI)
	}
	for r, err := range s.ResourceTemplates(b.ctx, nil) {
		if err != nil {
			b.Fatal(err)
		}
		shown = append(shown, r.URITemplate)
	}
	for p, err := range s.Prompts(b.ctx, nil) {
		if err != nil {
			b.Fatal(err)
		}
		shown = append(shown, p.Name)
	}
	if got := strings.Join(shown, " "); got != "note://ward/7 note://ward/8 note://ward/{number} summary" {
		b.Errorf("shown: %s", got)
	}
	if got, err := s.ReadResource(b.ctx, &sdk.ReadResourceParams{URI: "note://ward/12"}); err != nil || got.Contents[0].Text != "templated note://ward/12" {
		b.Errorf("%+v, %v", got, err)
	}
	if got, err := s.GetPrompt(b.ctx, &sdk.GetPromptParams{Name: "summary"}); err != nil || len(got.Messages) != 1 {
		b.Errorf("%+v, %v", got, err)
	}
	_, err := s.ReadResource(b.ctx, &sdk.ReadResourceParams{URI: "file:///etc/passwd"})
	refused(b, err, "no grant of the release names the data")
	_, err = s.ReadResource(b.ctx, &sdk.ReadResourceParams{URI: "note://ward/../../etc/passwd"})
	refused(b, err, "not in its one form")
	_, err = s.GetPrompt(b.ctx, &sdk.GetPromptParams{Name: "hidden"})
	refused(b, err, "no grant of the release names the data")
}
