package main

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// A real model is trained and evaluated by the real tools, and released on what
// they wrote.
func TestRealEvaluationTools(t *testing.T) {
	t.Parallel()
	out := evaluate(t)
	t.Run("numbers", func(t *testing.T) { numbersOfTools(t, filepath.Join(out, "evidence")) })
	t.Run("gated", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir:   "testdata/tools",
			Cmds:  scriptCommands,
			Setup: func(env *testscript.Env) error { return os.CopyFS(env.WorkDir, os.DirFS(out)) },
		})
	})
}

// evaluate runs the programs of interop/tools, and returns the folder with the
// model, its data and the evidence.
func evaluate(t *testing.T) string {
	t.Helper()
	sources, err := filepath.Abs("../../interop/tools")
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	evidence := filepath.Join(out, "evidence")
	if err := os.Mkdir(evidence, 0o755); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "../../scripts/tools.sh")
	install.Stderr = os.Stderr
	folder, err := install.Output()
	if err != nil {
		t.Fatalf("installing the tools: %v", err)
	}
	bin := filepath.Join(strings.TrimSpace(string(folder)), "bin")
	env := append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "OUT="+out, "HOME="+out,
		"PYTHONDONTWRITEBYTECODE=1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "OMP_NUM_THREADS=1", "MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=1",
		"PROMPTFOO_DISABLE_TELEMETRY=1", "PROMPTFOO_DISABLE_UPDATE=1", "PROMPTFOO_DISABLE_REMOTE_GENERATION=1", "PROMPTFOO_PYTHON="+filepath.Join(bin, "python"))
	run := func(program string, args ...string) error {
		var said bytes.Buffer
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, program), args...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = sources, env, &said, &said
		if err := cmd.Run(); err != nil {
			t.Errorf("%s %s: %v\n%s", program, strings.Join(args, " "), err, said.Bytes())
			return err
		}
		return nil
	}
	if err := run("python", "train.py", out); err != nil {
		t.FailNow()
	}
	var tools errgroup.Group
	tools.SetLimit(2)
	for _, command := range [][]string{
		{"python", "tracked.py", out},
		{"python", "drifted.py", out},
		{"promptfoo", "eval", "-c", "redteam.yaml", "-o", filepath.Join(evidence, "redteam.json"), "--no-table", "--no-cache"},
		{"promptfoo", "eval", "-c", "prompts.yaml", "-o", filepath.Join(evidence, "prompts.json"), "--no-table", "--no-cache"},
		{"pytest", "-q", "-p", "no:cacheprovider", "--junitxml", filepath.Join(evidence, "robustness.xml"), "test_robustness.py"},
		{"python", "score.py", out},
	} {
		tools.Go(func() error { return run(command[0], command[1:]...) })
	}
	if tools.Wait() != nil {
		t.FailNow()
	}
	return out
}

// readings are the evidence that is held against the tools' own numbers: files
// of one evaluation, and which of ours each of theirs is.
var readings = []struct {
	files  []string
	suite  string
	theirs map[string]string // by the tool's name for it
}{
	{[]string{"items.csv"}, "accuracy/items", same("accuracy", "precision", "recall", "specificity", "f1", "roc_auc", "brier", "log_loss")},
	{
		[]string{"predictions.csv", "confusion_matrix.json", "classification_report.json"},
		"accuracy/classification",
		same("accuracy", "precision", "recall", "specificity", "f1", "roc_auc", "brier", "log_loss"),
	},
	{[]string{"confusion_matrix.json"}, "accuracy/classification", same("accuracy", "precision", "recall", "specificity", "f1")},
	{[]string{"classification_report.json"}, "accuracy/classification", same("accuracy", "precision", "recall", "f1")},
	{
		[]string{"mlflow-run.json", "eval_results_table.json"},
		"accuracy/mlflow",
		map[string]string{
			"accuracy": "accuracy_score", "precision": "precision_score", "recall": "recall_score", "f1": "f1_score",
			"roc_auc": "roc_auc", "log_loss": "log_loss",
		},
	},
	{[]string{"drift.json"}, "drift/evidently", map[string]string{"ks": "ks_min", "ks_drifted": "drifted_features"}},
	{[]string{"drift-legacy.json"}, "drift/evidently", map[string]string{"psi": "psi_max", "psi_drifted": "drifted_features"}},
	{[]string{"robustness.xml"}, "accuracy/tests", map[string]string{"one": "pass_rate"}},
	{[]string{"prompts.json"}, "accuracy/promptfoo", map[string]string{"one": "pass_rate"}},
	{[]string{"redteam.json"}, "misuse/promptfoo-redteam", map[string]string{"zero": "attack_success_rate"}},
}

func same(names ...string) map[string]string {
	m := map[string]string{}
	for _, n := range names {
		m[n] = n
	}
	return m
}

// numbersOfTools holds what the importers compute against the tools' own values.
func numbersOfTools(t *testing.T, folder string) {
	theirs := map[string]float64{"one": 1, "zero": 0}
	for _, f := range []string{"expected.json", "drift-expected.json"} {
		if err := json.Unmarshal(readFile(t, folder, f), &theirs); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range readings {
		name := strings.Join(r.files, "+")
		files := make([]evidence.File, len(r.files))
		for i, f := range r.files {
			files[i] = evidence.FileOf(f, readFile(t, folder, f))
		}
		got, err := evidence.Read(files, record.EvaluationRun{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.Evaluations) != 1 {
			t.Errorf("%s: %d evaluations", name, len(got.Evaluations))
			continue
		}
		e := got.Evaluations[0]
		if suite := string(e.Category) + "/" + e.Suite; suite != r.suite || e.Incomplete != "" || e.Counts.Errors != 0 || len(e.Import.Unknown) != 0 {
			t.Errorf("%s: %s, incomplete %q, counts %+v, unknown %q", name, suite, e.Incomplete, e.Counts, e.Import.Unknown)
		}
		// The others write no time with a zone.
		if timed := []string{"mlflow-run.json", "robustness.xml", "prompts.json", "redteam.json"}; slices.Contains(timed, r.files[0]) == e.Ran.IsZero() {
			t.Errorf("%s: ran %v", name, e.Ran)
		}
		for _, c := range e.Import.Checks {
			if !c.OK {
				t.Errorf("%s: the check %s fails: %v and %v", name, c.Name, c.Reported, c.Recomputed)
			}
		}
		for their, our := range r.theirs {
			i := slices.IndexFunc(e.Metrics, func(m record.Metric) bool { return m.Label() == our })
			want, ok := theirs[their]
			if i < 0 || !ok || math.Abs(e.Metrics[i].Value-want) > 1e-9 {
				t.Errorf("%s: %s is not %s = %v: %+v", name, our, their, want, e.Metrics)
			}
		}
	}
}

func readFile(t *testing.T, folder, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
