package tracking_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/tracking"
	"imprimatur.dev/wire"
)

var (
	admin = registry.Caller{Name: registry.FirstAdministrator, Type: record.Human, Method: record.MethodToken}
	ann   = registry.Caller{Name: "ann", Type: record.Human, Method: record.MethodToken}
)

const rules = `apiVersion: imprimatur/v1
kind: Policy
name: house
tiers:
  high:
    lineage: { datasets: approved, run: attested, code: committed }
    expires: 90d
`

// lab is a registry that reads through a tracker.
type lab struct {
	*tracker
	reg  *registry.Registry
	data string
}

func open(t *testing.T, change ...func(*tracking.Config)) *lab {
	l := &lab{tracker: serve(t), data: t.TempDir()}
	l.start(change...)
	ctx := t.Context()
	must[string](t)(l.reg.Begin(ctx))
	must[record.Recorded[record.Team]](t)(l.reg.CreateTeam(ctx, admin, record.Team{Name: "lab"}))
	must[record.Recorded[record.Principal]](t)(l.reg.EnrolPrincipal(ctx, admin, record.Principal{Name: "ann", Type: record.Human}))
	for _, role := range []record.RoleName{record.Contributor, record.ModelOwner, record.Risk} {
		must[record.Recorded[record.Role]](t)(l.reg.BindRole(ctx, admin, record.Role{Principal: "ann", Role: role, Team: record.AllTeams}))
	}
	must[wire.Published](t)(l.reg.PublishPolicy(ctx, ann, []byte(rules), "rules"))
	must[record.Recorded[record.Environment]](t)(l.reg.SetEnvironment(ctx, admin, record.Environment{Name: "production", LeastTier: "low", Policy: "house", Aliases: []string{"champion"}}))
	must[record.Recorded[record.UseCase]](t)(l.reg.RegisterUseCase(ctx, ann, record.UseCase{
		Team: "lab", Name: "triage", Title: "Triage", Purpose: "triage", Owner: "ann", Tier: "high", Environments: []string{"production"},
	}))
	if err := l.reg.CreateRegisteredModel(ctx, ann, "lab", "net", "", nil); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) start(change ...func(*tracking.Config)) {
	l.Helper()
	c := l.client(change...)
	l.reg = must[*registry.Registry](l.T)(registry.Open(l.Context(), registry.Config{Data: l.data, Hasher: c.Hash, Reports: c.Report}))
	l.Cleanup(func() { l.reg.Close() })
}

// register registers a version and waits until its bytes were read.
func (l *lab) register(source, run string) record.RegisteredVersion {
	l.Helper()
	n := must[int](l.T)(l.reg.CreateRegisteredVersion(l.Context(), ann, record.RegisteredVersion{Team: "lab", Name: "net", Source: source, Run: run}))
	return l.settled(n)
}

func (l *lab) settled(n int) record.RegisteredVersion {
	l.Helper()
	for l.Context().Err() == nil {
		v := must[*registry.Registered](l.T)(l.reg.RegisteredModel(l.Context(), ann, "lab", "net")).Version(n)
		if v.Status != record.RegistrationPending {
			return *v
		}
		<-time.After(5 * time.Millisecond)
	}
	l.Fatalf("version %d stays pending", n)
	return record.RegisteredVersion{}
}

// stated returns what stands under a key.
func stated[T record.Body](l *lab, kind record.Kind) []record.Recorded[T] {
	l.Helper()
	page, err := l.reg.List(l.Context(), ann, kind, 0, 0)
	if err != nil {
		l.Fatal(err)
	}
	var out []record.Recorded[T]
	for _, e := range page.Entries {
		body, err := record.Replay(kind, e.Record)
		if err != nil {
			l.Fatal(err)
		}
		out = append(out, record.Recorded[T]{Record: body.(T), Actor: e.Actor})
	}
	return out
}

const tags = `"tags": [{"key": "mlflow.source.git.commit", "value": "0123456789abcdef0123456789abcdef01234567"},
	{"key": "mlflow.source.git.repoURL", "value": "https://me:secret@git.example/net?token=1"}, {"key": "mlflow.source.git.dirty", "value": "True"},
	{"key": "mlflow.parentRunId", "value": "p1"}, {"key": "mlflow.user", "value": "someone"}]`

// A run becomes lineage when a version of it is registered: what can be read of
// its inputs is hashed, and of the rest it is said who lacks what.
func TestARunBecomesLineage(t *testing.T) {
	o := objects(t)
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "train.csv"), []byte("a,b\n1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.put(t, "val.csv", "c,d\n")
	l := open(t, o.use, func(c *tracking.Config) { c.Folders = []string{data} })
	l.put("m", map[string]string{"model.json": "{}"})
	input := func(name, kind, source string) string {
		return fmt.Sprintf(`{"tags": [{"key": "mlflow.data.context", "value": "training"}], "dataset": {"name": %q, "digest": "2981c147", "source_type": %q, "source": %q}}`, name, kind, source)
	}
	l.answer["runs/get?run_id=r1"] = `{"run": {"info": {"run_id": "r1", "status": "RUNNING", "start_time": 1767225600000, "user_id": "ci"},
		"data": {"params": [{"key": "C", "value": "0.5"}, {"key": "odd\u202ename", "value": "x"}], "metrics": [{"key": "loss", "value": "NaN"}, {"key": "acc", "value": 0.9}], ` + tags + `},
		"inputs": {"dataset_inputs": [` + strings.Join([]string{
		input("train", "local", `{"uri": "file://`+filepath.Join(data, "train.csv")+`"}`),
		input("validation", "s3", `{"uri": "s3://models/val.csv"}`),
		input("web", "http", `{"url": "http://169.254.169.254/latest?sig=1"}`),
		input("secret", "local", `{"uri": "/etc/passwd"}`),
		input("frame", "code", `{"tags": {}}`),
	}, ",") + `]}}}`
	v := l.register("mlflow-artifacts:/m", "r1")
	if v.Status != record.RegistrationReady || v.Message != "" {
		t.Fatalf("registered as %+v", v)
	}
	runs := stated[record.Run](l, record.KindRun)
	if len(runs) != 1 || runs[0].Actor != "ann" {
		t.Fatalf("the runs are %+v", runs)
	}
	got := runs[0].Record
	raw := l.answer["runs/get?run_id=r1"]
	if got.Reported.Raw != record.DigestOf([]byte(raw)) {
		t.Errorf("the raw answer is kept as %s", got.Reported.Raw)
	}
	want := record.Run{
		Team: "lab", ID: "r1", Parameters: map[string]string{"C": "0.5", "oddname": "x"},
		Code:     record.Code{Repository: "https://git.example/net", Commit: "0123456789abcdef0123456789abcdef01234567", Dirty: true},
		Started:  time.UnixMilli(1767225600000).UTC(),
		Finished: got.Finished,
		Outputs:  []record.Resource{{Type: record.ResourceModel, Name: "lab/net@1", Digest: v.Artifact}},
		Inputs: []record.Resource{
			{Type: record.ResourceDataset, Name: "train", Digest: single("a,b\n1,2\n")}, {Type: record.ResourceDataset, Name: "validation", Digest: single("c,d\n")},
		},
		Reported: &record.Reported{By: "mlflow", Raw: got.Reported.Raw, Status: "RUNNING", User: "ci", Parent: "p1", Metrics: map[string]string{"loss": "NaN", "acc": "0.9"}, Tags: got.Reported.Tags, Unread: []record.UnreadInput{
			{Name: "web", Label: "2981c147", Source: "http://169.254.169.254/latest", Why: "the server reads no data from the host 169.254.169.254, which its operator can allow: imprimatur serve --data-from 169.254.169.254"},
			{Name: "secret", Label: "2981c147", Source: "/etc/passwd", Why: "/etc/passwd is not below a folder that the server reads, which its operator can name: imprimatur serve --models-from DIR"},
			{Name: "frame", Label: "2981c147", Source: "mlflow://datasets/frame/2981c147", Why: "a source of the type code has no address"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the run (-want +got):\n%s", diff)
	}
	sets := stated[record.Dataset](l, record.KindDataset)
	if len(sets) != 2 || sets[1].Record.Name != "train" || sets[1].Record.Owner != "ann" || sets[1].Record.Labels["mlflow.digest"] != "2981c147" || sets[1].Record.Digest != single("a,b\n1,2\n") {
		t.Errorf("the datasets are %+v", sets)
	}
	gates := l.gates(v)
	for gate, says := range map[string]string{
		"lineage/datasets": "frame, which the run lab/r1 read according to mlflow, is not registered by its bytes (a source of the type code has no address); its source is mlflow://datasets/frame/2981c147",
		"lineage/run":      "The run lab/r1 is what mlflow reports, asked on behalf of ann, and nobody attests it; let the pipeline record it",
		"lineage/code":     "ran on a working tree that differs from its commit",
	} {
		if gates[gate].Result == record.Pass || !strings.Contains(gates[gate].Reason, says) {
			t.Errorf("%s: got %s %q, want %q", gate, gates[gate].Result, gates[gate].Reason, says)
		}
	}
	// To register the data with its source closes a gap, and leaves the others.
	must[record.Recorded[record.Dataset]](t)(l.reg.RegisterDataset(t.Context(), ann, record.Dataset{
		Team: "lab", Name: "frame", Version: "1", Digest: record.DigestOf([]byte("frame")), Source: "mlflow://datasets/frame/2981c147", Classification: "internal", Owner: "ann",
	}))
	if gates := l.gates(v); !strings.Contains(gates["lineage/datasets"].Reason, "frame@1: no steward") {
		t.Errorf("with the data registered the verdict is %+v", gates["lineage/datasets"])
	}
	// Another version of the same run is one more of its outputs.
	l.put("m2", map[string]string{"model.json": "[]"})
	second := l.register("mlflow-artifacts:/m2", "r1")
	runs = stated[record.Run](l, record.KindRun)
	if len(runs) != 2 || len(runs[0].Record.Outputs) != 2 || runs[0].Record.Outputs[1].Digest != second.Artifact {
		t.Errorf("after a second version the runs are %+v", runs)
	}
	// The pipeline's own word replaces what was reported, and is then left alone.
	own := want
	own.Reported, own.Outputs, own.Finished = nil, runs[0].Record.Outputs, own.Started
	must[record.Recorded[record.Run]](t)(l.reg.RecordRun(t.Context(), ann, own))
	l.register("mlflow-artifacts:/m2", "r1")
	if runs = stated[record.Run](l, record.KindRun); len(runs) != 3 || runs[0].Record.Reported != nil {
		t.Errorf("after the pipeline's own word the runs are %+v", runs)
	}
	if _, err := l.reg.RecordRun(t.Context(), ann, want); err == nil || !strings.Contains(err.Error(), "without reported") {
		t.Errorf("a client says that a run is reported: got %v", err)
	}
}

// A fine-tune that logged its base model as an input is traced through it, to
// what the base was trained on; and a base whose bytes nobody registered is a gap.
func TestAFineTuneIsTracedThroughItsBase(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "corpus.csv"), []byte("a,b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := open(t, func(c *tracking.Config) { c.Folders = []string{data} })
	for _, id := range []string{"base", "tuned", "stray", "other"} {
		l.put(id, map[string]string{"model.json": id})
		l.answer["logged-models/m-"+id] = model("m-"+id, id, "mlflow-artifacts:/"+id, "r-"+id)
	}
	l.answer["runs/get?run_id=r-base"] = run("r-base", "", fmt.Sprintf(`, "inputs": {"dataset_inputs": [{"dataset": {"name": "corpus", "source_type": "local", "source": "{\"uri\": \"%s/corpus.csv\"}"}}]}`, data))
	reads := func(id, base string) {
		l.answer["runs/get?run_id=r-"+id] = run("r-"+id, "", fmt.Sprintf(`, "inputs": {"model_inputs": [{"model_id": "m-%s"}]}, "outputs": {"model_outputs": [{"model_id": "m-%s"}]}`, base, id))
	}
	reads("tuned", "base")
	reads("other", "stray")
	base, tuned, other := l.register("models:/m-base", ""), l.register("models:/m-tuned", ""), l.register("models:/m-other", "")
	c := must[wire.Case](t)(l.reg.ProposeRelease(t.Context(), ann, wire.Proposal{Version: tuned.Model, UseCase: "lab/triage", Environment: "production", Incomplete: true}))
	got := c.Release.Record.Data
	want := record.ReleaseData{Runs: []string{"lab/r-tuned", "lab/r-base"}, Datasets: []record.Digest{single("a,b\n")}, Bases: []record.Digest{base.Artifact}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the release is made from (-want +got):\n%s", diff)
	}
	if g := l.gates(tuned)["lineage/datasets"]; g.Result == record.Pass || !strings.Contains(g.Reason, "corpus@") {
		t.Errorf("the base's data: got %s %q", g.Result, g.Reason)
	}
	if _, err := l.reg.ProposeRelease(t.Context(), ann, wire.Proposal{Version: other.Model, UseCase: "lab/triage", Environment: "production"}); err == nil || !strings.Contains(err.Error(), "the model sha256:") {
		t.Errorf("a base that nobody registered: got %v", err)
	}
}

// A run of which no version is registered is reported without outputs, and asked
// for again only while it runs; a version that comes later is its output.
func TestARunWithoutAVersionIsReported(t *testing.T) {
	l := open(t)
	ctx, at := t.Context(), "/api/2.0/mlflow/runs/get"
	in := wire.NamedRun{Team: "lab", Run: "r1"}
	ask := func(want wire.ReportedRun, calls, outputs int) {
		t.Helper()
		if got := must[wire.ReportedRun](t)(l.reg.ReportRun(ctx, ann, in)); got != want || l.called(at) != calls {
			t.Errorf("got %+v after %d requests, want %+v after %d", got, l.called(at), want, calls)
		}
		if runs := stated[record.Run](l, record.KindRun); len(runs[0].Record.Outputs) != outputs || runs[0].Actor != "ann" || runs[0].Record.Reported == nil {
			t.Errorf("the run is %+v", runs[0])
		}
	}
	l.answer["runs/get?run_id=r1"] = `{"run": {"info": {"run_id": "r1", "status": "RUNNING"}, "inputs": {"dataset_inputs": [{"dataset": {"name": "frame", "source_type": "code"}}]}}}`
	ask(wire.ReportedRun{Run: "lab/r1", Unread: 1}, 1, 0)
	l.answer["runs/get?run_id=r1"] = run("r1", "", "")
	ask(wire.ReportedRun{Run: "lab/r1"}, 2, 0)
	ask(wire.ReportedRun{Run: "lab/r1", Known: true}, 2, 0)
	l.put("m", map[string]string{"model.json": "{}"})
	l.register("mlflow-artifacts:/m", "r1")
	ask(wire.ReportedRun{Run: "lab/r1", Known: true}, 3, 1)
	for id, says := range map[string]string{"r2": "the run lab/r2 is not recorded: the tracking server has no such run", "r3": "it tells of r4"} {
		l.answer["runs/get?run_id=r3"] = run("r4", "", "")
		if _, err := l.reg.ReportRun(ctx, ann, wire.NamedRun{Team: "lab", Run: id}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", id, err, says)
		}
	}
	if err := l.reg.Close(); err != nil {
		t.Fatal(err)
	}
	l.reg = must[*registry.Registry](t)(registry.Open(ctx, registry.Config{Data: l.data}))
	t.Cleanup(func() { l.reg.Close() })
	if _, err := l.reg.ReportRun(ctx, ann, wire.NamedRun{Team: "lab", Run: "r2"}); registry.CodeOf(err) != wire.Refused || !strings.Contains(err.Error(), "imprimatur serve --mlflow-tracking") {
		t.Errorf("without a tracking server: got %v", err)
	}
}

// gates proposes a release of a version, whatever it lacks.
func (l *lab) gates(v record.RegisteredVersion) map[string]record.Gate {
	l.Helper()
	c := must[wire.Case](l.T)(l.reg.ProposeRelease(l.Context(), ann, wire.Proposal{Version: v.Model, UseCase: "lab/triage", Environment: "production", Incomplete: true}))
	out := map[string]record.Gate{}
	for _, g := range c.Verdict.Gates {
		out[g.Name] = g
	}
	return out
}

// single is the digest of a model or dataset that is one file.
func single(content string) record.Digest {
	d := record.DigestOf([]byte(content))
	return record.DigestOf(fmt.Appendf(nil, `{"files":[{"path":".","sha256":%q,"size":%d}]}`, d.Hex(), len(content)))
}

// Whatever a tracking server does, a version is ready with its bytes or failed
// with a sentence, and nothing else is stated of it.
func TestNothingIsHalfRegistered(t *testing.T) {
	l := open(t)
	l.put("m", map[string]string{"big": strings.Repeat("x", 100_000), "other": "y"})
	l.answer["runs/get?run_id=r1"] = run("r1", "", "")
	for name, x := range map[string]struct {
		before func(http.ResponseWriter, *http.Request, int) bool
		run    string
		says   string
	}{
		"down":      {status(503, ""), "r1", "it was tried 5 times; register the version again"},
		"lying":     {listed(`{"path": "big", "file_size": 5}`), "r1", "said to have 5 bytes"},
		"vanishing": {listed(`{"path": "big", "file_size": 100000}, {"path": "gone", "file_size": 1}`), "r1", "went while they were read"},
		"cut":       {cutOff(10, 1000), "r1", "reading broke off after"},
		"the run is another": {func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if strings.HasSuffix(r.URL.Path, "runs/get") {
				fmt.Fprint(w, run("r2", "", ""))
			}
			return strings.HasSuffix(r.URL.Path, "runs/get")
		}, "r1", "it tells of r2"},
		"a run that cannot be one": {nil, "-r", "no run is recorded with it"},
	} {
		before := len(stated[record.ModelVersion](l, record.KindModelVersion)) + len(stated[record.Run](l, record.KindRun)) + len(stated[record.Dataset](l, record.KindDataset))
		l.set(x.before)
		v := l.register("mlflow-artifacts:/m", x.run)
		l.set(nil)
		if x.run == "r1" && (v.Status != record.RegistrationFailed || v.Artifact != "") || !strings.Contains(v.Message, x.says) {
			t.Errorf("%s: got %s %q, want %q", name, v.Status, v.Message, x.says)
		}
		after := len(stated[record.ModelVersion](l, record.KindModelVersion)) + len(stated[record.Run](l, record.KindRun)) + len(stated[record.Dataset](l, record.KindDataset))
		if x.run == "r1" && after != before {
			t.Errorf("%s: %d records more were stated", name, after-before)
		}
	}
	if v := l.register("mlflow-artifacts:/m", "r1"); v.Status != record.RegistrationReady {
		t.Errorf("at last: %+v", v)
	}
}

func (s *tracker) set(before func(http.ResponseWriter, *http.Request, int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// Two registrations at once are two versions of one run, and a server that ends
// while bytes come reads them when it starts again.
func TestRegistrationsAtOnceAndAcrossARestart(t *testing.T) {
	l := open(t)
	l.put("m", map[string]string{"big": "x"})
	l.answer["runs/get?run_id=r1"] = run("r1", "", "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if v := l.register("mlflow-artifacts:/m", "r1"); v.Status != record.RegistrationReady {
				t.Errorf("registered as %+v", v)
			}
		})
	}
	wg.Wait()
	versions := stated[record.ModelVersion](l, record.KindModelVersion)
	if runs := stated[record.Run](l, record.KindRun); len(versions) != 4 || len(runs[0].Record.Outputs) != 1 {
		t.Errorf("%d versions, and the run made %v", len(versions), runs[0].Record.Outputs)
	}
	asked := make(chan struct{}, 100)
	l.set(func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n := must[int](t)(l.reg.CreateRegisteredVersion(ctx, ann, record.RegisteredVersion{Team: "lab", Name: "net", Source: "mlflow-artifacts:/m", Run: "r1"}))
	<-asked
	if err := l.reg.Close(); err != nil {
		t.Fatal(err)
	}
	l.set(nil)
	l.start()
	if v := l.settled(n); v.Status != record.RegistrationReady || v.Artifact != versions[0].Record.Artifact {
		t.Errorf("after the restart: %+v", v)
	}
}
