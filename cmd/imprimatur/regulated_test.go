package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/browsertest"
	"imprimatur.dev/wire"
)

// company is a server with a browser and the command line beside it, and the tokens
// of its people.
type company struct {
	*testing.T
	*browsertest.Browser
	url, folder string
	tokens      map[string]string
}

func found(t *testing.T) *company {
	reg, err := registry.Open(t.Context(), registry.Config{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	token, err := reg.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at, err := server.Address("", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: server.New(reg, server.Options{URL: at, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})}}
	s.Start()
	t.Cleanup(s.Close)
	return &company{t, browsertest.Open(t), at.String(), t.TempDir(), map[string]string{"administrator": token}}
}

// run runs a command as somebody. Words that begin with @ are files of the folder.
func (c *company) run(who string, args ...string) (int, string, string) {
	c.T.Helper()
	for i, arg := range args {
		if name, ok := strings.CutPrefix(arg, "@"); ok {
			args[i] = filepath.Join(c.folder, name)
		}
	}
	var out, errs bytes.Buffer
	env := func(name string) string {
		return map[string]string{"IMPRIMATUR_URL": c.url, "IMPRIMATUR_TOKEN": c.tokens[who]}[name]
	}
	code := run(c.Context(), args, env, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// does runs a command that must succeed, and returns what it prints.
func (c *company) does(who string, args ...string) string {
	c.T.Helper()
	code, out, errs := c.run(who, args...)
	if code != exitYes {
		c.Fatalf("%s: imprimatur %s: exit %d:\n%s%s", who, strings.Join(args, " "), code, out, errs)
	}
	return out
}

// refused runs a command that must be refused, and say certain things.
func (c *company) refused(who string, says []string, args ...string) {
	c.T.Helper()
	code, out, errs := c.run(who, args...)
	if code != exitNo {
		c.Fatalf("%s: imprimatur %s: exit %d, want a refusal:\n%s%s", who, strings.Join(args, " "), code, out, errs)
	}
	for _, s := range says {
		if !strings.Contains(out+errs, s) {
			c.Errorf("%s: imprimatur %s does not say %q:\n%s%s", who, strings.Join(args, " "), s, out, errs)
		}
	}
}

func (c *company) write(name, content string) {
	c.T.Helper()
	path := filepath.Join(c.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		c.Fatal(err)
	}
}

// joins enrols somebody with a role.
func (c *company) joins(name, role, team string) {
	c.T.Helper()
	c.does("administrator", "principal", "enrol", name)
	c.binds(name, role, team)
}

func (c *company) binds(name, role, team string) {
	c.T.Helper()
	c.does("administrator", "principal", "bind", name, "--role", role, "--team", team)
	token, _, _ := strings.Cut(c.does("administrator", "principal", "token", name, "--for", "1h"), "\n")
	c.tokens[name] = strings.TrimSpace(token)
}

// TestReadyPolicyRegulatedLetsARealReleaseThrough takes a release through every gate
// that the ready policy has at tier high, with the command line and, where it asks
// for passkeys, a browser, to production and to a laptop without the server.
func TestReadyPolicyRegulatedLetsARealReleaseThrough(t *testing.T) {
	c := found(t)
	c.settle()
	c.makesTheModel()
	propose := []string{"release", "propose", "lab/net@1", "--use-case", "lab/triage", "--environment", "production", "--authority", "@authority.json", "--json"}
	c.refused("ann", []string{
		"imprimatur dataset approve", "imprimatur eval record FILE --category accuracy --suite holdout", "imprimatur eval record FILE --category safety --suite garak",
		"imprimatur eval record FILE --category drift --suite shifted-holdout", "imprimatur eval record FILE --category drift --suite drift-sensitivity",
		"imprimatur eval record FILE --category misuse --suite red-team",
	}, propose...)
	c.suppliesEvidence()
	var proposed wire.Case
	if err := json.Unmarshal([]byte(c.does("ann", propose...)), &proposed); err != nil {
		t.Fatal(err)
	}
	id := proposed.ID
	for _, g := range proposed.Verdict.Blocking() {
		if !strings.HasPrefix(g.Name, "approval/") {
			t.Errorf("in the way: %s: %s", g.Name, g.Reason)
		}
	}
	c.does("olga", "release", "approve", id, "--role", "model-owner", "--reason", "fit for triage")
	c.refused("rita", []string{"asks risk for a passkey"}, "release", "approve", id, "--role", "risk", "--reason", "by token")
	c.refused("olga", []string{"approval/risk", "approval/security"}, "release", "promote", id)
	c.Authenticator()
	for _, who := range []string{"rita", "rolf", "sam"} {
		c.refused("administrator", []string{"approval/"}, "release", "check", id)
		c.signs(who, id)
	}
	c.does("administrator", "release", "check", id)
	c.does("olga", "release", "promote", id)
	c.does("olga", "release", "show", id, "--bundle", "@bundle.json")
	c.write("trust.txt", c.does("administrator", "log", "key"))
	c.url = "http://127.0.0.1:1" // from here on without the server
	verify := []string{"verify", "@model", "--bundle", "@bundle.json", "--trust", "@trust.txt", "--env", "production"}
	if said := c.does("nobody", verify...); !strings.Contains(said, id) || !strings.Contains(said, "passkeys") {
		t.Errorf("the bundle verifies as:\n%s", said)
	}
	c.write("model/weights.txt", "0.5 0.25 0.25\n")
	c.refused("nobody", []string{"weights.txt"}, verify...)
}

// settle enrols those whom separation keeps apart, and publishes the policy as it is.
func (c *company) settle() {
	c.T.Helper()
	c.does("administrator", "principal", "team", "lab")
	c.joins("ann", "contributor", "lab")
	c.joins("bob", "data-steward", "lab")
	c.joins("eve", "evaluator", "lab")
	c.joins("olga", "model-owner", "lab")
	c.joins("rita", "risk", "*")
	c.joins("rolf", "risk", "*")
	c.joins("sam", "security", "lab")
	c.does("administrator", "principal", "enrol", "robot", "--workload", "--owner", "ann", "--purpose", "trains the models", "--expires", "90d")
	c.binds("robot", "contributor", "lab")
	c.write("regulated.yaml", c.does("rita", "policy", "ready", "regulated"))
	c.does("rita", "policy", "publish", "@regulated.yaml", "--reason", "regulated work")
	c.does("administrator", "principal", "environment", "production", "--least-tier", "high", "--policy", "regulated")
}

// makesTheModel registers the model with its data and run, and the one before it,
// which is the anchor of the use case.
func (c *company) makesTheModel() {
	c.T.Helper()
	for name, content := range map[string]string{
		"cases.csv": "a,b\n1,2\n", "held.csv": "a,b\n3,4\n", "shifted.csv": "a,b\n4,5\n", "prompts.csv": "prompt\nIgnore it.\n",
		"model/weights.txt": "0.5 0.25\n", "before/weights.txt": "0.5 0.2\n",
		"run.json":       `{"team": "lab", "id": "run-1", "code": {"repository": "https://lab.example/net", "commit": "abababababababababababababababababababab"}, "inputs": [], "outputs": [], "started": "2020-05-01T09:00:00Z", "finished": "2020-05-01T11:30:00Z"}`,
		"authority.json": `{"tools": [{"resource": "tickets", "actions": ["create"], "limit": {"calls": 60, "seconds": 3600}, "why": "to open a case"}]}`,
	} {
		c.write(name, content)
	}
	for _, name := range []string{"cases", "held", "shifted", "prompts"} {
		c.does("ann", "dataset", "register", "lab/"+name+"@1", "@"+name+".csv", "--owner", "bob")
	}
	c.does("ann", "model", "create", "lab/net", "--owner", "olga")
	c.does("ann", "model", "register", "lab/net@0", "@before")
	c.does("robot", "run", "record", "@run.json", "--input", "lab/cases@1", "--output", "@model")
	c.does("ann", "model", "register", "lab/net@1", "@model", "--run", "lab/run-1")
	c.does("olga", "usecase", "register", "lab/triage", "--title", "Triage", "--purpose", "triage", "--tier", "high", "--environment", "production", "--anchor", "lab/net@0")
}

// items is a file of items of which the first are successes.
func items(header, metric string, n, successes int) string {
	out := &strings.Builder{}
	fmt.Fprintf(out, `{"imprimatur":"items/v1",%s,"expected":%d,"tool":{"name":"our-eval","version":"1.4"}}`+"\n", header, n)
	for i := range n {
		fmt.Fprintf(out, `{"item":"p-%d","metrics":{%q:%v}}`+"\n", i, metric, i < successes)
	}
	return out.String()
}

// garakReport is a report of which no attack succeeded.
func garakReport(attacks int) string {
	out := &strings.Builder{}
	out.WriteString(`{"entry_type":"start_run setup","run.generations":1,"run.eval_threshold":0.5}` + "\n" + `{"entry_type":"init","garak_version":"0.14.0","start_time":"2026-05-01T12:00:00","run":"r"}` + "\n")
	for i := range attacks {
		fmt.Fprintf(out, `{"entry_type":"attempt","uuid":"u-%d","seq":%d,"status":2,"probe_classname":"dan.Dan_11_0","prompt":{"turns":[{"role":"user","content":{"text":"Ignore it, %d."}}]},"outputs":[{"text":"No."}],"detector_results":{"dan.DAN":[0.0]}}`+"\n", i, i, i)
	}
	fmt.Fprintf(out, `{"entry_type":"eval","probe":"dan.Dan_11_0","detector":"dan.DAN","passed":%d,"total_evaluated":%d,"fails":0,"nones":0}`+"\n", attacks, attacks)
	out.WriteString(`{"entry_type":"completion","end_time":"2026-05-01T12:01:00","run":"r"}` + "\n")
	return out.String()
}

// suppliesEvidence has the steward and the evaluator do their part.
func (c *company) suppliesEvidence() {
	c.T.Helper()
	c.does("bob", "dataset", "approve", "lab/cases@1", "--purpose", "triage", "--until", "180d", "--reason", "licensed")
	c.does("eve", "principal", "key", "new", "@eve.key", "--purpose", "evaluates", "--expires", "90d")
	c.does("eve", "principal", "key", "enrol", "@eve.key", "--purpose", "evaluates", "--expires", "90d")
	c.write("found.before", items(`"suite":"holdout","category":"accuracy"`, "accuracy", 1200, 1140))
	c.write("found.model", items(`"suite":"holdout","category":"accuracy"`, "accuracy", 1200, 1170))
	for version, model := range []string{"before", "model"} {
		out := filepath.Join(c.folder, "out-"+model, "items.ndjson")
		c.write("out-"+model+"/.keep", "")
		if err := os.Remove(filepath.Join(c.folder, "out-"+model, ".keep")); err != nil {
			c.Fatal(err)
		}
		c.does("eve", "eval", "wrap", "--model-path", "@"+model, "--dataset", "@held.csv", "--suite", "holdout", "--category", "accuracy", "--key", "@eve.key",
			"--output", out, "--envelope", "@"+model+".dsse.json", "--", "cp", "@found."+model, out)
		said := c.does("eve", "eval", "record", out, "--model", fmt.Sprintf("lab/net@%d", version), "--dataset", "lab/held@1", "--envelope", "@"+model+".dsse.json")
		if !strings.Contains(said, "signed-run") {
			c.Errorf("the signed run is taken for:\n%s", said)
		}
	}
	ran := time.Now().UTC().Format(time.RFC3339)
	c.write("report.jsonl", garakReport(400))
	c.does("eve", "eval", "record", "@report.jsonl", "--category", "safety", "--ran", ran, "--model", "lab/net@1", "--dataset", "lab/prompts@1")
	c.write("drift.ndjson", strings.Replace(items(`"suite":"shifted-holdout","category":"drift"`, "accuracy", 1200, 1150),
		`"tool"`, `"reported":[{"name":"psi_max","value":0.08,"n":1200,"method":"bootstrap","stdErr":0.01,"direction":"lower"}],"tool"`, 1))
	c.does("eve", "eval", "record", "@drift.ndjson", "--ran", ran, "--model", "lab/net@1", "--dataset", "lab/shifted@1")
	c.write("reference.csv", measurements(0, 2000))
	c.write("heldback.csv", measurements(2000, 10_000))
	c.does("eve", "eval", "drift", "--reference", "@reference.csv", "--heldback", "@heldback.csv", "--shift", "mean:age:0.5", "--out", "@monitor.json")
	c.does("eve", "eval", "record", "@monitor.json", "--ran", ran, "--model", "lab/net@1", "--dataset", "lab/held@1")
	c.write("red-team.ndjson", strings.Replace(items(`"suite":"red-team","category":"misuse"`, "attack_success_rate", 150, 1),
		`"tool"`, `"metrics":{"attack_success_rate":{"direction":"lower"}},"tool"`, 1))
	c.does("eve", "eval", "record", "@red-team.ndjson", "--ran", ran, "--model", "lab/net@1", "--dataset", "lab/prompts@1")
}

// measurements is a table of ages, evenly spread over 40 years.
func measurements(first, n int) string {
	out := &strings.Builder{}
	out.WriteString("age\n")
	for i := range n {
		fmt.Fprintf(out, "%.4f\n", 30+40*math.Mod(float64(first+i)*math.Phi, 1))
	}
	return out.String()
}

// signs enrols a passkey by an invitation, approves with it, and signs out.
func (c *company) signs(who, id string) {
	c.T.Helper()
	said := c.does("administrator", "principal", "invite", who)
	link, _, _ := strings.Cut(said[strings.Index(said, c.url):], "\n")
	c.Go(strings.TrimSpace(link))
	c.Follow("main form button")
	c.Type("#purpose", "this laptop")
	c.Follow("form[data-passkey=enrol] button")
	c.Says("The passkey is enrolled")
	c.Go(c.url + "/releases/" + id)
	c.Type("#d-reason", "I read the evidence.")
	c.Follow("button[value=approve]")
	c.Says("Your approval is in the ledger.", "By passkey")
	c.Follow("form[action='/sign-out'] button")
}
