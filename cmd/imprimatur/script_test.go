package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"imprimatur": main})
}

// TestScripts runs the program as people do, with the real server.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: scriptCommands})
}

var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": exits, "until": until, "start": start, "shutdown": shutdown, "signin": signin, "json": jsonValue, "flip": flip, "keep": keep, "as": as, "sql": execSQL, "match": match, "now": now, "receiver": receiver, "received": received, "vault": startVault,
}

// exits CODE COMMAND ARGS... runs a command that must end with a code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("the exit code is %d, not %d", got, want)
	}
}

// until PATTERN COMMAND ARGS... runs a command, whatever its code, until its output has
// a line of a pattern.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND ARGS...")
	}
	says := regexp.MustCompile("(?m)" + args[0])
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 30*time.Second; <-tick.C {
		err := ts.Exec(args[1], args[2:]...)
		if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		if says.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("after 30 s the output has no %q", args[0])
}

// start DATA FLAGS... starts the server in a folder on a free port, sets
// IMPRIMATUR_URL and, when it prints one, IMPRIMATUR_TOKEN, and returns when it
// is ready.
func start(ts *testscript.TestScript, neg bool, args []string) {
	program, err := exec.LookPath("imprimatur")
	ts.Check(err)
	cmd := exec.Command(program, append([]string{"serve", "--json", "--listen", "127.0.0.1:0", "--data"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	cmd.Stderr = &bytes.Buffer{}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill() })
	var says serving
	if err := json.UnmarshalDecode(jsontext.NewDecoder(out), &says); err != nil {
		_ = cmd.Wait()
		ts.Fatalf("the server did not start: %v\n%s", err, cmd.Stderr)
	}
	ts.Setenv("IMPRIMATUR_URL", says.URL)
	if says.Token != "" {
		ts.Setenv("IMPRIMATUR_TOKEN", says.Token)
	}
	running.Store(ts, cmd)
	ready(ts)
}

// running holds each script's server.
var running sync.Map

// shutdown ends the server as a person would, and demands a good end.
func shutdown(ts *testscript.TestScript, neg bool, args []string) {
	cmd, ok := running.LoadAndDelete(ts)
	if !ok {
		ts.Fatalf("no server runs")
	}
	server := cmd.(*exec.Cmd)
	ts.Check(server.Process.Signal(os.Interrupt))
	if err := server.Wait(); err != nil {
		ts.Fatalf("the server ended with %v\n%s", err, server.Stderr)
	}
}

// ready waits until the server at IMPRIMATUR_URL says that it is.
func ready(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, ts.Getenv("IMPRIMATUR_URL")+"/readyz", nil)
		ts.Check(err)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("the server is not ready after 30 s")
		case <-tick.C:
		}
	}
}

// signin VAR NAME ROLE[:TEAM]... enrols a person as the administrator and keeps
// a token for them. The team is lab where none is given.
func signin(ts *testscript.TestScript, neg bool, args []string) {
	name := args[1]
	ts.Check(ts.Exec("imprimatur", "principal", "enrol", name))
	for _, role := range args[2:] {
		role, team, ok := strings.Cut(role, ":")
		if !ok {
			team = "lab"
		}
		ts.Check(ts.Exec("imprimatur", "principal", "bind", name, "--role", role, "--team", team))
	}
	ts.Check(ts.Exec("imprimatur", "principal", "token", name, "--for", "1h"))
	keep(ts, false, args[:1])
}

// json PATH WANT compares a value in the last command's standard output; json
// PATH > VAR keeps it. The path is dotted, a number indexes a list, and "len"
// is a list's length.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		ts.Fatalf("standard output is not one JSON value: %v", err)
	}
	for _, step := range strings.Split(args[0], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			if step == "len" {
				v = float64(len(at))
				continue
			}
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				ts.Fatalf("%s: no item %s", args[0], step)
			}
			v = at[i]
		default:
			ts.Fatalf("%s: nothing has the member %s", args[0], step)
		}
	}
	got := fmt.Sprint(v)
	if len(args) == 3 && args[1] == ">" {
		ts.Setenv(args[2], got)
		return
	}
	if (got == args[1]) == neg {
		ts.Fatalf("%s is %s, and should be (neg %v) %s", args[0], got, neg, args[1])
	}
}

// keep VAR sets a variable to the first line of the last standard output, or of
// a file.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	from := "stdout"
	if len(args) == 2 {
		from = args[1]
	}
	line, _, _ := strings.Cut(ts.ReadFile(from), "\n")
	ts.Setenv(args[0], strings.TrimSpace(line))
}

// flip FILE turns one bit in the middle of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(path, raw, 0o644))
}

// as VAR signs in with the token that a variable holds.
func as(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv("IMPRIMATUR_TOKEN", ts.Getenv(args[0]))
}

// sql FILE STATEMENT changes a SQLite database behind the program's back.
func execSQL(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	done, err := db.ExecContext(context.Background(), args[1])
	ts.Check(err)
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		ts.Fatalf("the statement changed %d rows (%v)", n, err)
	}
}

// match VAR PATTERN sets a variable to what a pattern finds in the last command's
// standard output.
func match(ts *testscript.TestScript, neg bool, args []string) {
	found := regexp.MustCompile(args[1]).FindString(ts.ReadFile("stdout"))
	if found == "" {
		ts.Fatalf("nothing matches %s", args[1])
	}
	ts.Setenv(args[0], found)
}

// now VAR sets a variable to the time, to the millisecond.
func now(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
}

// receivers holds what each script's receiver was sent.
var receivers sync.Map

// receiver VAR starts an HTTP server that answers with the status that a path
// names, and sets a variable to its address.
func receiver(ts *testscript.TestScript, neg bool, args []string) {
	came := make(chan string, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.WriteHeader(status)
		came <- r.URL.Path + " " + string(body)
	}))
	ts.Defer(server.Close)
	receivers.Store(ts, came)
	ts.Setenv(args[0], server.URL)
}

// received PATH TEXT waits until the receiver was sent something with a text in it.
func received(ts *testscript.TestScript, neg bool, args []string) {
	came, _ := receivers.Load(ts)
	for within := time.After(30 * time.Second); ; {
		select {
		case message := <-came.(chan string):
			if strings.HasPrefix(message, args[0]+" ") && strings.Contains(message, args[1]) {
				return
			}
		case <-within:
			ts.Fatalf("nothing came to %s that says %q", args[0], args[1])
		}
	}
}
