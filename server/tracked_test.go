package server_test

import (
	"bytes"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/tracking"
	"imprimatur.dev/wire"
)

// mlflowServer starts MLflow's own server, which keeps all in a folder, and
// returns its address, where the artifacts are, and what ends it early.
func mlflowServer(t testing.TB) (url, artifacts string, end func()) {
	t.Helper()
	program, env := python(t)
	listener := must[net.Listener](t)(new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"))
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	folder := t.TempDir()
	artifacts = filepath.Join(folder, "artifacts")
	cmd := exec.CommandContext(t.Context(), program, "-m", "mlflow", "server", "--host", host, "--port", port, "--workers", "1",
		"--backend-store-uri", "sqlite:///"+folder+"/mlflow.db", "--artifacts-destination", artifacts)
	cmd.Dir, cmd.Env = folder, env
	// Its workers are processes of their own, which end with the group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is ended below
		close(ended)
	}()
	end = func() {
		_ = cmd.Cancel() // it may have ended
		<-ended
	}
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("MLflow's server said:\n%s", said.Bytes())
		}
	})
	url = "http://" + net.JoinHostPort(host, port)
	for deadline := time.Now().Add(5 * time.Minute); ; {
		if answer, err := http.Get(url + "/health"); err == nil {
			answer.Body.Close()
			return url, artifacts, end
		}
		select {
		case <-ended:
			t.Fatal("MLflow's server ended")
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("MLflow's server does not answer")
		}
	}
}

// With a team's real MLflow server: a model is trained and logged there, its run
// becomes lineage and its bytes are hashed through the artifact proxy, it is
// evaluated, approved, promoted by its alias and loaded, with every refusal on
// the way; and what is overwritten after that is promoted no more.
func TestMLflowTrackingServer(t *testing.T) {
	t.Parallel()
	at, artifacts, _ := mlflowServer(t)
	folder := t.TempDir()
	c := must[*tracking.Client](t)(tracking.New(tracking.Config{URL: at, Folders: []string{folder}}))
	h := openWith(t, registry.Config{Data: t.TempDir(), Hasher: c.Hash, Reports: c.Report})
	h.settle()
	must[record.Recorded[record.Environment]](t)(h.admin.SetEnvironment(h.ctx, record.Environment{
		Name: "production", LeastTier: "low", Policy: "house", Aliases: []string{"champion"},
	}))
	w := h.worker(folder, at)
	w.as("ann")
	commit := strings.Repeat("0123456789", 4)
	logged := w.does("train_on", "c", 0.5, "commit", commit).(map[string]any)
	if got := w.does("register", "source", logged["model"], "name", "net").(map[string]any); got["version"] != "1" || got["status"] != "READY" {
		t.Fatalf("registered as %v", got)
	}
	model := h.versionOf("lab/net@1")
	if model.Run != "lab/"+logged["run"].(string) || len(model.Files) < 4 {
		t.Fatalf("the model version is %+v", model)
	}
	run := h.runOf(model.Run)
	if run.Reported == nil || run.Code.Commit != commit || run.Parameters["C"] != "0.5" || run.Reported.Metrics["accuracy"] == "" || len(run.Inputs) != 1 || len(run.Reported.Unread) != 1 {
		t.Fatalf("the run is recorded as %+v, %+v", run, run.Reported)
	}
	h.evaluate(model.Artifact)
	w.refuses([]string{"nobody has proposed a release of lab/net@1"}, "alias", "name", "net", "alias", "champion", "version", "1")
	h.lacks("the pipeline attests nothing", "lineage/run", "is what mlflow reports, asked on behalf of ann, and nobody attests it")
	h.lacks("no steward has spoken", "lineage/datasets", "no steward has approved it", "frame, which the run", "is not registered by its bytes")

	frame := record.Dataset{Team: "lab", Name: "frame", Version: "1", Digest: digest("frame"), Source: run.Reported.Unread[0].Source, Classification: "internal", Owner: "bob"}
	must[record.Recorded[record.Dataset]](t)(h.people["ann"].RegisterDataset(h.ctx, frame))
	for _, d := range []record.Digest{run.Inputs[0].Digest, frame.Digest} {
		must[record.Recorded[record.DataApproval]](t)(h.people["bob"].DecideData(h.ctx, record.DataApproval{
			Dataset: d, Decision: record.Allow, Purposes: []string{"triage"}, Expires: now().AddDate(0, 6, 0), Reason: "licensed",
		}))
	}
	run.Reported = nil
	must[record.Recorded[record.Run]](t)(h.people["robot"].RecordRun(h.ctx, run))
	c1 := must[wire.Case](t)(h.propose("1"))
	must[wire.Case](t)(h.approve("olga", record.ModelOwner, c1))
	must[wire.Case](t)(h.approve("rita", record.Risk, c1))
	w.refuses([]string{"approval/security", "sam"}, "alias", "name", "net", "alias", "champion", "version", "1")
	must[wire.Case](t)(h.approve("sam", record.Security, c1))
	w.as("olga")
	weights := oneFile(t, artifacts, "model.skops")
	held := must[[]byte](t)(os.ReadFile(weights))
	overwritten := []string{"are not those that were registered and approved", "changed: model.skops"}
	write(t, weights, append(bytes.Clone(held), 'x'))
	w.refuses(overwritten, "alias", "name", "net", "alias", "champion", "version", "1")
	write(t, weights, held)
	w.does("alias", "name", "net", "alias", "champion", "version", "1")
	if right := w.does("load", "uri", "models:/net@champion").(float64); right < 90 {
		t.Errorf("the loaded model gets %v of 100 right", right)
	}
	write(t, weights, append(bytes.Clone(held), 'x'))
	w.refuses(overwritten, "alias", "name", "net", "alias", "champion", "version", "1")
	// A run of which nothing was registered is reported too.
	other := w.does("train_on", "c", 0.7, "commit", commit).(map[string]any)
	must[wire.ReportedRun](t)(h.people["ann"].ReportRun(h.ctx, wire.NamedRun{Team: "lab", Run: other["run"].(string)}))
	if r := h.runOf("lab/" + other["run"].(string)); r.Reported == nil || len(r.Outputs) != 0 || r.Parameters["C"] != "0.7" || len(r.Inputs) != 1 {
		t.Errorf("the run without a version is recorded as %+v, %+v", r, r.Reported)
	}
}

// lacks demands that a release of the version would lack a gate, with reasons.
func (h *house) lacks(when, gate string, says ...string) {
	h.Helper()
	p := proposal("1")
	p.Incomplete = true
	c := must[wire.Case](h)(h.people["ann"].ProposeRelease(h.ctx, p))
	for _, g := range c.Verdict.Gates {
		if g.Name != gate {
			continue
		}
		for _, s := range says {
			if g.Result == record.Pass || !strings.Contains(g.Reason, s) {
				h.Errorf("%s: %s is %s %q, want %q", when, gate, g.Result, g.Reason, s)
			}
		}
		return
	}
	h.Errorf("%s: there is no gate %s", when, gate)
}

// runOf returns a run as it stands.
func (h *house) runOf(ref string) record.Run {
	h.Helper()
	p := must[wire.Page](h)(h.admin.List(h.ctx, record.KindRun, 0, 0))
	for _, e := range p.Entries {
		body := must[record.Body](h)(record.Replay(record.KindRun, e.Record))
		if run := body.(record.Run); run.Ref() == ref {
			return run
		}
	}
	h.Fatalf("the run %s is not recorded", ref)
	return record.Run{}
}

// oneFile finds the only file of a name below a folder.
func oneFile(t testing.TB, folder, name string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == name {
			found = append(found, p)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		t.Fatalf("%s is found at %q (%v)", name, found, err)
	}
	return found[0]
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
