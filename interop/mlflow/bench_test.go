package mlflow

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// What both registries hold before they are measured.
const (
	models   = 1000
	versions = 10
)

// How long each is asked at a time, and how often in turn.
const (
	rounds    = 3
	ourTime   = time.Second
	theirTime = 3 * time.Second
)

// calls are what is measured. The filter of the search is the one that MLflow's
// client adds to every search for models.
var calls = []struct {
	name string
	call func(p peer, i int) []byte
}{
	{"create-version", func(p peer, i int) []byte {
		return p.request("POST", "/model-versions/create", fmt.Sprintf(`{"name":"m%d","source":"s3://models/more/%d","run_id":"%032x"}`, i%models, i, i))
	}},
	{"set-tag", func(p peer, i int) []byte {
		return p.request("POST", "/model-versions/set-tag", fmt.Sprintf(`{"name":"m%d","version":"1","key":"reviewed","value":"%d"}`, i%models, i))
	}},
	{"set-tag-of-one", func(p peer, i int) []byte {
		return p.request("POST", "/model-versions/set-tag", fmt.Sprintf(`{"name":"m7","version":"2","key":"reviewed","value":"%d"}`, i))
	}},
	{"search-models", func(p peer, i int) []byte {
		return p.request("GET", fmt.Sprintf("/registered-models/search?max_results=100&filter=name+LIKE+'m%d%%25'+AND+tag.%%60mlflow.prompt.is_prompt%%60+!%%3D+'true'", 1+i%9), "")
	}},
	{"search-versions", func(p peer, i int) []byte {
		return p.request("GET", fmt.Sprintf("/model-versions/search?max_results=100&filter=name%%3D'm%d'", i%models), "")
	}},
	{"get-by-alias", func(p peer, i int) []byte {
		return p.request("GET", fmt.Sprintf("/registered-models/alias?name=m%d&alias=blue", i%models), "")
	}},
}

// BenchmarkRegistry asks our server and MLflow's in turn. MLflow's stands twice:
// with the number of workers that it takes by itself, and with one a processor.
func BenchmarkRegistry(b *testing.B) {
	python := tools(b)
	ours := openOurs(b)
	theirs := []peer{openTheirs(b, python, 0), openTheirs(b, python, 2)}
	// Numbers go on over all calls, so that no tag is set to what it was.
	var count atomic.Int64
	for _, c := range calls {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", c.name, clients), func(b *testing.B) {
				for b.Loop() {
					mine, others := round{}, make([]round, len(theirs))
					turn := func(p peer, length time.Duration) round {
						return load(b, p, clients, length, func(int) []byte { return c.call(p, int(count.Add(1))) })
					}
					for range rounds {
						mine.add(turn(ours, ourTime))
						for i, p := range theirs {
							others[i].add(turn(p, theirTime))
						}
					}
					if !b.Failed() {
						report(b, theirs, mine, others)
					}
				}
			})
		}
	}
}

func report(b *testing.B, theirs []peer, mine round, others []round) {
	b.ReportMetric(0, "ns/op")
	line := func(name string, r *round) {
		b.Logf("%-18s %9.1f/s  p50 %9v  p99 %9v  processor time %9v a call", name, r.rate(),
			r.quantile(0.5).Round(time.Microsecond), r.quantile(0.99).Round(time.Microsecond), r.cpuEach().Round(time.Microsecond))
	}
	line("imprimatur", &mine)
	for i := range others {
		line(theirs[i].name, &others[i])
		b.ReportMetric(mine.rate()/others[i].rate(), theirs[i].name+"-rate-x")
		b.ReportMetric(others[i].quantile(0.99).Seconds()/mine.quantile(0.99).Seconds(), theirs[i].name+"-p99-x")
		b.ReportMetric(float64(others[i].cpuEach())/float64(mine.cpuEach()), theirs[i].name+"-cpu-x")
	}
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("load of the machine: %s", raw)
}

// tools returns the folder of MLflow's programs.
func tools(b *testing.B) string {
	b.Helper()
	install := exec.CommandContext(b.Context(), "../../scripts/tools.sh")
	install.Stderr = os.Stderr
	folder, err := install.Output()
	if err != nil {
		b.Fatalf("installing the tools: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(folder)), "bin")
}

// openOurs builds and starts our server as it is shipped, and fills it.
func openOurs(b *testing.B) peer {
	b.Helper()
	folder := b.TempDir()
	program := filepath.Join(folder, "imprimatur")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", program, "./cmd/imprimatur")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	p := peer{name: "imprimatur", address: freeAddress(b)}
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), program, "serve", "--data", filepath.Join(folder, "data"), "--listen", p.address)
	said, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.pid = start(b, cmd)
	lines := bufio.NewScanner(said)
	for p.token == "" && lines.Scan() {
		p.token = regexp.MustCompile(`imp_[A-Za-z0-9_]+`).FindString(lines.Text())
	}
	ready(b, p)
	for _, args := range [][]string{
		{"principal", "team", "lab"},
		{"principal", "bind", "administrator", "--role", "contributor", "--team", "lab"},
	} {
		cmd := exec.CommandContext(b.Context(), program, args...)
		cmd.Env = append(os.Environ(), "IMPRIMATUR_URL=http://"+p.address, "IMPRIMATUR_TOKEN="+p.token)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	fill(b, p)
	return p
}

// fill registers over HTTP what fill.py writes into MLflow's database.
func fill(b *testing.B, p peer) {
	b.Helper()
	c, err := dial(p)
	if err != nil {
		b.Fatal(err)
	}
	defer c.conn.Close()
	post := func(path, format string, a ...any) {
		b.Helper()
		if err := c.do(p.request("POST", path, fmt.Sprintf(format, a...))); err != nil {
			b.Fatal(err)
		}
	}
	for m := range models {
		post("/registered-models/create", `{"name":"m%d","description":"what it is for","tags":[{"key":"task","value":"t%d"}]}`, m, m%10)
		for v := 1; v <= versions; v++ {
			post("/model-versions/create", `{"name":"m%d","source":"s3://models/m%d/%d","run_id":"%016x%016x","tags":[{"key":"commit","value":"%020x%020x"}]}`, m, m, v, m, v, m, v)
		}
		post("/registered-models/alias", `{"name":"m%d","alias":"blue","version":"3"}`, m)
	}
}

// openTheirs fills a database and starts MLflow's server on it, with so many
// workers, or with as many as it takes by itself.
func openTheirs(b *testing.B, bin string, workers int) peer {
	b.Helper()
	folder := b.TempDir()
	database := "sqlite:///" + filepath.Join(folder, "mlflow.db")
	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=1",
		"GIT_PYTHON_REFRESH=quiet", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "HOME="+folder)
	filling := exec.CommandContext(b.Context(), filepath.Join(bin, "python"), "fill.py", database, strconv.Itoa(models), strconv.Itoa(versions))
	filling.Env = env
	if out, err := filling.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	p := peer{name: "mlflow", address: freeAddress(b)}
	host, port, err := net.SplitHostPort(p.address)
	if err != nil {
		b.Fatal(err)
	}
	args := []string{"server", "--backend-store-uri", database, "--host", host, "--port", port}
	if workers > 0 {
		args, p.name = append(args, "--workers", strconv.Itoa(workers)), fmt.Sprintf("mlflow-%d-workers", workers)
	}
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), filepath.Join(bin, "mlflow"), args...)
	cmd.Env, cmd.Dir = env, folder
	p.pid = start(b, cmd)
	ready(b, p)
	return p
}

// start runs a server until the benchmark ends, with those that it starts.
func start(b *testing.B, cmd *exec.Cmd) int {
	b.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			b.Error(err)
		}
		_ = cmd.Wait() // it was ended
	})
	return cmd.Process.Pid
}

func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ready waits until a server answers.
func ready(b *testing.B, p peer) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			b.Fatalf("%s did not answer", p.name)
		case <-again.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/health", http.NoBody)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
}
