package decisions

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// granted is how many tools the release grants, each under three conditions.
const granted = 200

// peer is a server in a process of its own, and the question that it is asked.
type peer struct {
	name    string
	address string
	pid     int
	yes, no []byte // requests, as they go over the wire
	says    [2]string
}

func request(path, token, body string) []byte {
	head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	return fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

func (p peer) asks(path, token, format string, yes, no string) peer {
	p.yes, p.no = request(path, token, fmt.Sprintf(format, toolName(granted-1))), request(path, token, fmt.Sprintf(format, "none"))
	p.says = [2]string{yes, no}
	return p
}

const (
	askFormat      = `{"workload":"scorer","kind":"tools","resource":"%s","action":"call","arguments":` + arguments + `}`
	questionFormat = `{"subject":{"type":"workload","id":"scorer"},"resource":{"type":"tool","id":"%s"},"action":{"name":"call","properties":` + arguments + `}}`
	inputFormat    = `{"input":{"resource":"%s","action":"call","args":` + arguments + `}}`
)

// openPeers starts our server and OPA's as they are shipped, and the bare handlers,
// with the same rules.
func openPeers(t testing.TB) []peer {
	t.Helper()
	us, token := openOurs(t)
	bare, opa := openBare(t), program(t, ".", "github.com/open-policy-agent/opa")
	const path = "/v1/data/grants/allow"
	named := func(p peer, name string) peer { p.name = name; return p }
	return []peer{
		named(bare, "bare").asks("/ask", token, askFormat, `"allowed":true`, `"allowed":false`),
		named(us, "ours").asks("/api/v1/authorize", token, askFormat, `"allowed":true`, `"allowed":false`),
		named(bare, "bare-authzen").asks("/question", token, questionFormat, `"decision":true`, `"decision":false`),
		named(us, "ours-authzen").asks("/access/v1/evaluation", token, questionFormat, `"decision":true`, `"decision":false`),
		named(openOPA(t, opa, "--log-level=error"), "opa").asks(path, "", inputFormat, `"result":true`, `"result":false`),
		named(openOPA(t, opa, "--authentication=token", "--authorization=basic", "--set=decision_logs.console=true"), "opa-logged").asks(path, token, inputFormat, `"result":true`, `"result":false`),
	}
}

func TestAllServersAgree(t *testing.T) {
	for _, p := range openPeers(t) {
		c := p.dial(t)
		for i, q := range [][]byte{p.yes, p.no} {
			if got := c.ask(q); !strings.Contains(got, p.says[i]) {
				t.Errorf("%s answers %q with %s, not %s", p.name, q, got, p.says[i])
			}
		}
	}
}

// BenchmarkHTTP asks each server in turn for as long, over connections that stay open,
// and says how much processor time of the server's own process an answer took, and how
// many answers there were in a second. The machine is shared with the client.
func BenchmarkHTTP(b *testing.B) {
	peers := openPeers(b)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			rounds := make([]round, len(peers))
			for b.Loop() {
				for i, p := range peers {
					rounds[i].load(b, p, clients, time.Second/2)
				}
			}
			b.ReportMetric(0, "ns/op")
			for i, p := range peers {
				b.ReportMetric(rounds[i].cpuEach(), p.name+"-cpu-µs")
				b.ReportMetric(rounds[i].rate(), p.name+"/s")
			}
			b.ReportMetric(rounds[1].cpuEach()/rounds[0].cpuEach(), "ours/bare-cpu")
			b.ReportMetric(rounds[3].cpuEach()/rounds[2].cpuEach(), "authzen/bare-cpu")
			for _, opa := range []int{4, 5} {
				b.ReportMetric(rounds[1].rate()/rounds[opa].rate(), "ours/"+peers[opa].name+"-rate")
				b.ReportMetric(rounds[opa].cpuEach()/rounds[1].cpuEach(), peers[opa].name+"/ours-cpu")
			}
		})
	}
}

// round is what one server did under load.
type round struct {
	wall, cpu time.Duration
	answers   int64
}

func (r *round) load(b *testing.B, p peer, clients int, length time.Duration) {
	b.Helper()
	conns := make([]*conn, clients)
	for i := range conns {
		conns[i] = p.dial(b)
		conns[i].ask(p.yes)
		defer conns[i].Close()
	}
	var answers atomic.Int64
	var all sync.WaitGroup
	cpu, began := processorTime(b, p.pid), time.Now()
	for _, c := range conns {
		all.Go(func() {
			for time.Since(began) < length {
				if got := c.ask(p.yes); !strings.Contains(got, p.says[0]) {
					b.Errorf("%s answers %s", p.name, got)
					return
				}
				answers.Add(1)
			}
		})
	}
	all.Wait()
	r.wall, r.cpu, r.answers = r.wall+time.Since(began), r.cpu+processorTime(b, p.pid)-cpu, r.answers+answers.Load()
}

func (r *round) rate() float64 { return float64(r.answers) / r.wall.Seconds() }

func (r *round) cpuEach() float64 { return float64(r.cpu.Nanoseconds()) / 1000 / float64(r.answers) }

// processorTime is what a process has taken, by its own clock (clock_getcpuclockid(3)).
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &at); err != nil {
		t.Fatal(err)
	}
	return time.Duration(at.Nano())
}

// conn is a client that costs next to nothing.
type conn struct {
	testing.TB
	net.Conn
	in   *bufio.Reader
	body []byte
}

func (p peer) dial(t testing.TB) *conn {
	t.Helper()
	c, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(p.name, err)
	}
	t.Cleanup(func() { c.Close() })
	return &conn{t, c, bufio.NewReaderSize(c, 64<<10), make([]byte, 64<<10)}
}

// ask sends a request and returns the body of the answer, or nothing at a fault.
func (c *conn) ask(request []byte) string {
	if _, err := c.Write(request); err != nil {
		c.Error(err)
		return ""
	}
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			c.Error(err)
			return ""
		}
		if value, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			_, _ = fmt.Sscan(value, &length)
		}
		if len(line) <= 2 {
			break
		}
	}
	if length < 0 || length > len(c.body) {
		c.Error("an answer without a length")
		return ""
	}
	if _, err := io.ReadFull(c.in, c.body[:length]); err != nil {
		c.Error(err)
	}
	return string(c.body[:length])
}

// start starts a server of a program, and ends it with the test; when it listens, it is
// returned. What it writes to standard output is read by said, where that is given.
func start(t testing.TB, cmd *exec.Cmd, address string, said func(line string)) peer {
	t.Helper()
	var reading sync.WaitGroup
	if said != nil {
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		reading.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				said(lines.Text())
			}
		})
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		reading.Wait()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			c.Close()
			return peer{address: address, pid: cmd.Process.Pid}
		}
		if ctx.Err() != nil {
			t.Fatalf("%s does not listen: %v", cmd, err)
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// program builds a program from a folder.
func program(t testing.TB, folder, path string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(path))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", out, path)
	build.Dir = folder
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return out
}

// openOPA starts OPA's server with our rules. By itself it knows no callers and keeps no log;
// it can check a token and say each decision, here where nobody reads it, at its usual level.
func openOPA(t testing.TB, opa string, more ...string) peer {
	t.Helper()
	folder := t.TempDir()
	tools := map[string]any{}
	for i := range granted {
		tools[toolName(i)] = map[string]any{"actions": []string{"call"}, "conditions": true}
	}
	data, err := json.Marshal(map[string]any{"tools": tools})
	if err != nil {
		t.Fatal(err)
	}
	const callers = "package system.authz\n\ndefault allow := false\n\nallow if startswith(input.identity, \"imp_\")\n"
	for name, content := range map[string]string{"grants.rego": module, "callers.rego": callers, "data.json": string(data)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	args := append([]string{"run", "--server", "--skip-version-check", "--addr=" + address}, more...)
	return start(t, exec.Command(opa, append(args, folder)...), address, nil)
}

// bareEnv makes this program the server of the bare handlers, at the address.
const bareEnv = "IMPRIMATUR_BARE"

func TestMain(m *testing.M) {
	if address := os.Getenv(bareEnv); address != "" {
		serveBare(address)
		return
	}
	os.Exit(m.Run())
}

func openBare(t testing.TB) peer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), bareEnv+"="+address)
	return start(t, cmd, address, func(string) {})
}

// question is that of AuthZEN, as far as it is asked here.
type question struct {
	Subject  entity         `json:"subject"`
	Resource entity         `json:"resource"`
	Action   action         `json:"action"`
	Context  jsontext.Value `json:"context,omitzero"`
}

type entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties jsontext.Value `json:"properties,omitzero"`
}

type action struct {
	Name       string         `json:"name"`
	Properties jsontext.Value `json:"properties,omitzero"`
}

type because struct {
	Release string        `json:"release"`
	Grant   *record.Grant `json:"grant,omitzero"`
	Until   time.Time     `json:"until"`
}

// serveBare answers what our server is asked with what it answers, and does no more
// for it than read and write.
func serveBare(address string) {
	grant := grantOf(granted - 1)
	last := grant.Resource
	until := record.Millis(time.Now().AddDate(0, 3, 0))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ask", bare(func(in *wire.Ask) any {
		out := wire.Answer{Release: "r-0123456789ab", Line: "lab/net/triage/production", At: record.Millis(time.Now()), Until: until}
		if out.Allowed = in.Resource == last; out.Allowed {
			out.Grant = &grant
		}
		return &out
	}))
	mux.HandleFunc("POST /question", bare(func(in *question) any {
		type answer struct {
			Decision bool     `json:"decision"`
			Context  *because `json:"context"`
		}
		out := answer{in.Resource.ID == last, &because{Release: "r-0123456789ab", Until: until}}
		if out.Decision {
			out.Context.Grant = &grant
		}
		return &out
	}))
	server := http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: time.Minute}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
}

func bare[In any](answer func(*In) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 4<<20), &in, json.RejectUnknownMembers(true)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.MarshalWrite(w, answer(&in))
	}
}

func grantOf(i int) record.Grant {
	return record.Grant{
		Resource: toolName(i), Actions: []string{"call"}, Condition: `args.repo == "acme/support" && args.priority <= 3 && size(args.labels) <= 3`,
	}
}

// rules ask for one approval, of the model's owner.
const rules = `apiVersion: imprimatur/v1
kind: Policy
name: house
tiers:
  low:
    mode: enforce
    approvals:
      - { role: model-owner, count: 1, covers: [behaviour, data, authority, context] }
    expires: 90d
`

// openOurs builds and starts our server, in which a release of the workload scorer
// stands, and returns the token of that.
func openOurs(t testing.TB) (peer, string) {
	t.Helper()
	address := freeAddress(t)
	token := make(chan string, 1)
	cmd := exec.Command(program(t, "../..", "./cmd/imprimatur"), "serve", "--data", filepath.Join(t.TempDir(), "data"), "--listen", address)
	p := start(t, cmd, address, func(line string) {
		if found := regexp.MustCompile(`imp_[A-Za-z0-9_]+`).FindString(line); found != "" {
			token <- found
		}
	})
	return p, settle(t, "http://"+address, <-token)
}

// settle makes a release that stands, and returns the token of its workload.
func settle(t testing.TB, url, administrator string) string {
	t.Helper()
	ctx := t.Context()
	admin := client.New(url, administrator)
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sign := func(name string) string {
		t.Helper()
		got, err := admin.IssueToken(ctx, wire.TokenRequest{Principal: name, Scopes: []string{record.ScopeWrite}, Seconds: 36_000})
		do(nil, err)
		return got.Secret
	}
	do(admin.CreateTeam(ctx, record.Team{Name: "lab"}))
	for name, roles := range map[string][]record.RoleName{"ann": {record.Contributor, record.ModelOwner}, "olga": {record.ModelOwner}, "rita": {record.Risk}} {
		do(admin.EnrolPrincipal(ctx, record.Principal{Name: name, Type: record.Human}))
		for _, role := range roles {
			do(admin.BindRole(ctx, record.Role{Principal: name, Role: role, Team: record.AllTeams}))
		}
	}
	do(admin.EnrolPrincipal(ctx, record.Principal{Name: "scorer", Type: record.Workload, Owner: "ann", Purpose: "scores", Expires: record.Millis(time.Now()).AddDate(1, 0, 0)}))
	ann, olga, rita := client.New(url, sign("ann")), client.New(url, sign("olga")), client.New(url, sign("rita"))
	do(rita.PublishPolicy(ctx, wire.PolicyFile{Text: rules, Reason: "house rules"}))
	do(admin.SetEnvironment(ctx, record.Environment{Name: "production", LeastTier: "low", Policy: "house"}))
	do(olga.RegisterUseCase(ctx, record.UseCase{Team: "lab", Name: "triage", Title: "Triage", Purpose: "triage", Owner: "olga", Tier: "low", Environments: []string{"production"}}))
	do(ann.RegisterModel(ctx, record.Model{Team: "lab", Name: "net", Type: record.Trained, Owner: "olga"}))
	file := record.DigestOf([]byte("net"))
	do(ann.RegisterVersion(ctx, record.ModelVersion{
		Model: "lab/net", Version: "1", Type: record.Trained, Artifact: file, Files: []record.File{{Path: "net", SHA256: file.Hex(), Size: 3}},
	}))
	a := record.Authority{Workloads: []string{"scorer"}}
	for i := range granted {
		a.Tools = append(a.Tools, grantOf(i))
	}
	slices.SortFunc(a.Tools, func(a, b record.Grant) int { return strings.Compare(a.Resource, b.Resource) })
	c, err := ann.ProposeRelease(ctx, wire.Proposal{Version: "lab/net@1", UseCase: "lab/triage", Environment: "production", Authority: a})
	do(nil, err)
	do(olga.Approve(ctx, wire.Word{Release: c.ID, Record: c.Digests.Record, Role: record.ModelOwner, Decision: record.Approve, Reason: "seen"}))
	do(olga.Promote(ctx, c.ID))
	return sign("scorer")
}
