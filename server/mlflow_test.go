package server_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// python returns the program and the environment in which MLflow is installed.
func python(t testing.TB) (program string, env []string) {
	t.Helper()
	install := exec.CommandContext(t.Context(), "../scripts/tools.sh")
	install.Stderr = os.Stderr
	folder, err := install.Output()
	if err != nil {
		t.Fatalf("installing the tools: %v", err)
	}
	env = append(os.Environ(), "HOME="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "OMP_NUM_THREADS=1",
		"MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES=0", "GIT_PYTHON_REFRESH=quiet")
	return filepath.Join(strings.TrimSpace(string(folder)), "bin", "python"), env
}

// TestMLflowClient runs the client cases of interop/mlflow with MLflow's real
// client, each on the registry of a team of its own.
func TestMLflowClient(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.enrol(record.Principal{Name: "tester", Type: record.Human})
	for _, role := range []record.RoleName{record.Contributor, record.Administrator} {
		must[record.Recorded[record.Role]](t)(h.admin.BindRole(h.ctx, record.Role{Principal: "tester", Role: role, Team: record.AllTeams}))
	}
	program, env := python(t)
	cmd := exec.CommandContext(t.Context(), program, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_client.py")
	cmd.Dir = "../interop/mlflow"
	cmd.Env = append(env, "IMPRIMATUR_URL="+h.url, "IMPRIMATUR_TOKEN="+h.tokens["tester"], "MLFLOW_TRACKING_TOKEN="+h.tokens["tester"])
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "96 passed") {
		t.Errorf("%v\n%s\n%s", err, out, h.log)
	}
}

// worker is MLflow's real client, told what to do.
type worker struct {
	*house
	in  io.Writer
	out *bufio.Scanner
}

func (h *house) worker(folder string, tracking ...string) *worker {
	h.Helper()
	program, env := python(h.TB)
	ctx, cancel := context.WithCancel(h.ctx)
	cmd := exec.CommandContext(ctx, program, append([]string{"worker.py", folder}, tracking...)...)
	cmd.Dir, cmd.Env = "../interop/mlflow", env
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		h.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was ended
		if h.Failed() {
			h.Logf("the worker said:\n%s", said.Bytes())
		}
	})
	return &worker{h, in, bufio.NewScanner(out)}
}

type answer struct {
	OK   any    `json:"ok"`
	Code string `json:"code"`
	Says string `json:"says"`
}

func (w *worker) ask(do string, args ...any) answer {
	w.Helper()
	asked := map[string]any{"do": do}
	for i := 0; i < len(args); i += 2 {
		asked[args[i].(string)] = args[i+1]
	}
	line := must[[]byte](w)(json.Marshal(asked))
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		w.Fatal(err)
	}
	if !w.out.Scan() {
		w.Fatalf("the worker ended: %v", w.out.Err())
	}
	var a answer
	if err := json.Unmarshal(w.out.Bytes(), &a); err != nil {
		w.Fatalf("%v: %s", err, w.out.Bytes())
	}
	return a
}

// does demands that the client does something.
func (w *worker) does(do string, args ...any) any {
	w.Helper()
	a := w.ask(do, args...)
	if a.Code != "" {
		w.Fatalf("%s %v: %s", do, args, a.Says)
	}
	return a.OK
}

// refuses demands that the client is refused at once, with reasons.
func (w *worker) refuses(says []string, do string, args ...any) {
	w.Helper()
	a := w.ask(do, args...)
	if a.Code != "PERMISSION_DENIED" {
		w.Fatalf("%s %v: got %+v, want PERMISSION_DENIED", do, args, a)
	}
	for _, s := range says {
		if !strings.Contains(a.Says, s) {
			w.Errorf("%s %v: the refusal does not say %q:\n%s", do, args, s, a.Says)
		}
	}
}

// as signs the client in by credentials in the address.
func (w *worker) as(name string) {
	w.Helper()
	u := must[*url.URL](w)(url.Parse(w.url + "/t/lab"))
	u.User = url.UserPassword(name, w.tokens[name])
	w.does("as_registry", "uri", u.String())
}

// A model is trained, registered, evaluated, approved, promoted by its alias and
// loaded, by MLflow's real client, with every refusal on the way.
func TestMLflowAliasIsAPromotion(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := openWith(t, registry.Config{Data: t.TempDir(), Folders: []string{folder}})
	h.settle()
	h.enrol(record.Principal{Name: "serving", Type: record.Workload, Owner: "olga", Purpose: "serves", Expires: now().AddDate(1, 0, 0)})
	must[record.Recorded[record.Environment]](t)(h.admin.SetEnvironment(h.ctx, record.Environment{
		Name: "production", LeastTier: "low", Policy: "house", Aliases: []string{"champion", "production"}, Workloads: []string{"serving"},
	}))
	w := h.worker(folder)
	w.as("ann")
	source := w.does("train", "c", 0.5).(string)
	got := w.does("register", "source", source, "name", "net").(map[string]any)
	if got["version"] != "1" || got["status"] != "READY" {
		t.Fatalf("registered as %v", got)
	}
	w.does("alias", "name", "net", "alias", "draft", "version", "1")
	w.refuses([]string{"nobody has proposed a release of lab/net@1", "imprimatur release propose lab/net@1"}, "alias", "name", "net", "alias", "champion", "version", "1")

	model := h.versionOf("lab/net@1")
	h.made("1", model.Artifact)
	h.evaluate(model.Artifact)
	c := must[wire.Case](t)(h.propose("1"))
	lacks := []string{"policy house", "approval/risk", "rita", "imprimatur release approve " + c.ID, h.url + "/api/v1/releases/" + c.ID}
	w.refuses(lacks, "alias", "name", "net", "alias", "champion", "version", "1")
	w.refuses(lacks, "stage", "name", "net", "version", "1", "stage", "Production")
	w.as("serving")
	w.refuses([]string{"serving runs in production", "no release of the model"}, "load", "uri", "models:/net/1")
	w.refuses([]string{"no release of the model"}, "load", "uri", "models:/net@draft")

	must[wire.Case](t)(h.approve("olga", record.ModelOwner, c))
	must[wire.Case](t)(h.approve("rita", record.Risk, c))
	must[wire.Case](t)(h.approve("sam", record.Security, c))
	w.as("robot")
	w.refuses([]string{"robot may not promote releases for team lab", "model-owner"}, "alias", "name", "net", "alias", "champion", "version", "1")
	w.as("olga")
	w.does("alias", "name", "net", "alias", "champion", "version", "1")
	if d := h.reg.Decide(h.ctx, "production", model.Artifact); !d.Allowed || d.Release != c.ID {
		t.Errorf("the alias was set, and the deploy check says %+v", d)
	}
	w.as("serving")
	if right := w.does("load", "uri", "models:/net@champion").(float64); right < 90 {
		t.Errorf("the loaded model gets %v of 100 right", right)
	}
	w.does("load", "uri", "models:/net/1")
	w.as("robot")
	w.refuses([]string{"promote releases"}, "unalias", "name", "net", "alias", "champion")
	w.refuses([]string{"promote releases"}, "delete", "name", "net", "version", "1")

	// Another model has no release, whatever the alias pointed to before.
	w.does("register", "source", w.does("train", "c", 0.1), "name", "net")
	w.as("olga")
	w.refuses([]string{"nobody has proposed"}, "alias", "name", "net", "alias", "champion", "version", "2")
	w.as("serving")
	w.refuses([]string{"version 2 of net"}, "load", "uri", "models:/net/2")
	must[wire.Case](t)(h.people["sam"].Suspend(h.ctx, c.ID, wire.Stop{Reason: "leak"}))
	w.refuses([]string{"suspended"}, "load", "uri", "models:/net@champion")
	w.as("olga")
	w.refuses([]string{"suspended", "--lift"}, "alias", "name", "net", "alias", "champion", "version", "1")
}

// versionOf returns a model version as it was registered.
func (h *house) versionOf(ref string) record.ModelVersion {
	h.Helper()
	var found record.ModelVersion
	p := must[wire.Page](h)(h.admin.List(h.ctx, record.KindModelVersion, 0, 0))
	for _, e := range p.Entries {
		if err := json.Unmarshal(e.Record, &found); err != nil {
			h.Fatal(err)
		}
		if found.Ref() == ref {
			return found
		}
	}
	h.Fatalf("the model version %s is not registered", ref)
	return found
}
