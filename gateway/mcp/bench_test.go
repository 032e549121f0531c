package mcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sys/unix"

	"imprimatur.dev/gateway/mcp"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// callEvery is how often each of many sessions makes a call, so that 64 make 320 in a
// second; one alone makes 50.
const (
	callEvery      = 200 * time.Millisecond
	aloneCallEvery = 20 * time.Millisecond
)

// BenchmarkCall makes calls of one tool from one and from 64 sessions, paced, to a
// server directly, through the gateway, and through a proxy of the standard library
// that passes on what comes, in turn. Client, gateway, proxy and server are processes of
// their own. It says what each adds at the median and the 99th percentile, what a call
// takes of its processor time, and what memory a session takes in the gateway.
func BenchmarkCall(b *testing.B) {
	for _, c := range []struct {
		version string
		n       int
	}{{"2025-11-25", 1}, {"2026-07-28", 1}, {"2025-11-25", 64}, {"2026-07-28", 64}} {
		b.Run(fmt.Sprintf("%s/sessions=%d", c.version, c.n), func(b *testing.B) {
			server, _ := child(b, "clerk over HTTP", "MCP_TEST_STATELESS="+strconv.FormatBool(c.version == "2026-07-28"))
			grants, err := json.Marshal(record.Authority{Tools: []record.Grant{{
				Resource: "clerk/read_note", Actions: []string{"call"}, Definition: definition(b, clerk(), "read_note"),
				Condition: `args.ward == "7"`, Limit: record.Limit{Calls: 1_000_000, Seconds: 60},
			}}})
			if err != nil {
				b.Fatal(err)
			}
			gateway, pid := child(b, "gateway", "MCP_TEST_UPSTREAM="+server, "MCP_TEST_GRANTS="+string(grants), "MCP_TEST_RECORD="+filepath.Join(b.TempDir(), "calls"))
			proxy, proxyPID := child(b, "proxy", "MCP_TEST_UPSTREAM="+server)
			direct, passed := sessions(b, server, c.version, c.n), sessions(b, proxy, c.version, c.n)
			before := resident(b, pid)
			through := sessions(b, gateway+"/clerk", c.version, c.n)
			after := resident(b, pid)
			var alone, guarded, proxied run
			for b.Loop() {
				for range max(5, 64/c.n) {
					alone.round(b, direct, 0)
					guarded.round(b, through, pid)
					proxied.round(b, passed, proxyPID)
				}
			}
			b.ReportMetric(alone.at(0.5), "direct-p50-µs")
			b.ReportMetric(alone.at(0.99), "direct-p99-µs")
			b.ReportMetric(guarded.at(0.5)-alone.at(0.5), "added-p50-µs")
			b.ReportMetric(guarded.at(0.99)-alone.at(0.99), "added-p99-µs")
			b.ReportMetric(guarded.cpuOfCall(), "gateway-cpu-µs")
			b.ReportMetric(proxied.at(0.5)-alone.at(0.5), "proxy-added-p50-µs")
			b.ReportMetric(proxied.at(0.99)-alone.at(0.99), "proxy-added-p99-µs")
			b.ReportMetric(proxied.cpuOfCall(), "proxy-cpu-µs")
			b.ReportMetric(float64(after-before)/float64(c.n)/1024, "KiB/session")
		})
	}
}

func init() {
	commandServers["clerk over HTTP"] = func() error {
		s := clerk()
		return serving(func(ctx context.Context, l net.Listener) error {
			h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, &sdk.StreamableHTTPOptions{Stateless: os.Getenv("MCP_TEST_STATELESS") == "true"})
			return http.Serve(l, h)
		})
	}
	commandServers["proxy"] = func() error {
		to, err := url.Parse(os.Getenv("MCP_TEST_UPSTREAM"))
		if err != nil {
			return err
		}
		return serving(func(_ context.Context, l net.Listener) error {
			return http.Serve(l, &httputil.ReverseProxy{Transport: keeping, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
		})
	}
	commandServers["gateway"] = func() error {
		var a record.Authority
		if err := json.Unmarshal([]byte(os.Getenv("MCP_TEST_GRANTS")), &a); err != nil {
			return err
		}
		journal, err := mcp.OpenJournal(os.Getenv("MCP_TEST_RECORD"))
		if err != nil {
			return err
		}
		o := &office{granted: map[string]wire.Granted{}}
		o.grant("token", "r-0123456789ab", a)
		return serving(func(ctx context.Context, l net.Listener) error {
			g := mcp.New(ctx, mcp.Config{Servers: map[string]mcp.Server{"clerk": {URL: os.Getenv("MCP_TEST_UPSTREAM")}}}, mcp.Options{
				Source: o.source, Journal: journal, Log: slog.New(slog.DiscardHandler), Tell: func(context.Context, []wire.Decided) error { return nil },
			})
			return g.Serve(ctx, l)
		})
	}
}

// serving serves at an address that it says on standard output, until standard input ends.
func serving(serve func(context.Context, net.Listener) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
		l.Close()
	}()
	_ = serve(ctx, l)
	return nil
}

// child starts a server in a process of its own and returns its address.
func child(b *testing.B, name string, env ...string) (url string, pid int) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), "MCP_TEST_SERVER="+name), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(name, err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(name, err)
	}
	return strings.TrimSpace(line), cmd.Process.Pid
}

// resident is the memory that a process has, in bytes (proc_pid_statm(5)).
func resident(b *testing.B, pid int) int {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(raw))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// processorTime is what a process has taken, by its own clock (clock_getcpuclockid(3)).
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &at); err != nil {
		b.Fatal(err)
	}
	return time.Duration(at.Nano())
}

func sessions(b *testing.B, url, version string, n int) []*sdk.ClientSession {
	b.Helper()
	out := make([]*sdk.ClientSession, n)
	for i := range out {
		transport := &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearing("token")}, MaxRetries: -1}
		s, err := sdk.NewClient(&sdk.Implementation{Name: "agent", Version: "1"}, nil).Connect(b.Context(), transport, &sdk.ClientSessionOptions{ProtocolVersion: version})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		if got, err := call(b, s, "read_note", note{Ward: "7"}); err != nil || got != "the note of ward 7" {
			b.Fatal(got, err)
		}
		out[i] = s
	}
	return out
}

// run is what was measured one way.
type run struct {
	mu    sync.Mutex
	took  []time.Duration
	cpu   time.Duration
	calls int
}

// round lets every session make five calls, spread over the time; the processor time
// is that of a process, if one is named.
func (r *run) round(b *testing.B, sessions []*sdk.ClientSession, pid int) {
	pause := callEvery
	if len(sessions) == 1 {
		pause = aloneCallEvery
	}
	began := processorTime(b, pid)
	var all sync.WaitGroup
	for i, s := range sessions {
		all.Go(func() {
			tick := time.NewTimer(time.Duration(i) * pause / time.Duration(len(sessions)))
			defer tick.Stop()
			for range 5 {
				<-tick.C
				tick.Reset(pause)
				at := time.Now()
				_, err := s.CallTool(context.Background(), &sdk.CallToolParams{Name: "read_note", Arguments: note{Ward: "7"}})
				took := time.Since(at)
				if err != nil {
					b.Error(err)
					return
				}
				r.mu.Lock()
				r.took = append(r.took, took)
				r.mu.Unlock()
			}
		})
	}
	all.Wait()
	r.cpu += processorTime(b, pid) - began
	r.calls += 5 * len(sessions)
}

func (r *run) at(part float64) float64 {
	slices.Sort(r.took)
	return float64(r.took[int(part*float64(len(r.took)-1))].Nanoseconds()) / 1e3
}

func (r *run) cpuOfCall() float64 { return float64(r.cpu.Nanoseconds()) / float64(r.calls) / 1e3 }
