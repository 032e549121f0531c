package evidence_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"imprimatur.dev/catalogue"
	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// read reads one text and demands that it has one evaluation.
func read(t *testing.T, text string, run ...record.EvaluationRun) record.Evaluation {
	t.Helper()
	r, err := readAll(run, text)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Evaluations) != 1 {
		t.Fatalf("%d evaluations, want one", len(r.Evaluations))
	}
	return r.Evaluations[0]
}

func readAll(run []record.EvaluationRun, texts ...string) (*evidence.Reading, error) {
	var files []evidence.File
	for i, text := range texts {
		files = append(files, evidence.FileOf(fmt.Sprintf("file-%d", i), []byte(text)))
	}
	return evidence.Read(files, append(run, record.EvaluationRun{})[0])
}

// refused demands a refusal that says all of the words.
func refused(t *testing.T, text string, words ...string) {
	t.Helper()
	_, err := readAll(nil, text)
	var r *evidence.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("the error is %v, want a refusal", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the refusal %q does not say %q", err, w)
		}
	}
}

func metric(t *testing.T, e record.Evaluation, label string) record.Metric {
	t.Helper()
	for _, m := range e.Metrics {
		if m.Label() == label {
			return m
		}
	}
	t.Fatalf("there is no metric %s in %+v", label, e.Metrics)
	return record.Metric{}
}

// counted demands a proportion of s in n.
func counted(t *testing.T, m record.Metric, s, n int) {
	t.Helper()
	if m.Successes == nil || *m.Successes != s || m.N != n || math.Abs(m.Value-float64(s)/float64(n)) > 1e-12 {
		t.Errorf("%s is %v of %d (%+v), want %d of %d", m.Label(), m.Value, m.N, m.Successes, s, n)
	}
}

const lmResults = `{"results":{"sums":{"alias":"sums","exact_match,none":%s,"exact_match_stderr,none":%s}},
 "versions":{"sums":1},"n-shot":{"sums":0},"higher_is_better":{"sums":{"exact_match":true}},
 "n-samples":{"sums":{"original":%d,"effective":%d}},"configs":{"sums":{"task":"sums","metric_list":[{"metric":"exact_match","aggregation":"mean"}]}},
 "config":{"model":"hf","limit":null},"lm_eval_version":"0.4.9","date":1768964383.8,"total_evaluation_time_seconds":"12.5"}`

func TestTrap01StandardErrorsOfNothing(t *testing.T) {
	for _, stdErr := range []string{`"N/A"`, "0.0"} {
		m := metric(t, read(t, fmt.Sprintf(lmResults, "0.0", stdErr, 5000, 5000)), "exact_match")
		counted(t, m, 0, 5000)
		if m.Reported != nil {
			t.Errorf("a standard error of %s is kept as %+v", stdErr, m.Reported)
		}
	}
}

const inspectLog = `{"version":2,"status":%q,"eval":{"task":"arc","task_id":"t","run_id":"r","model":"m","dataset":{"samples":%d},"config":{"epochs":1},
 "revision":{"commit":"abc","dirty":%t},"packages":{"inspect_ai":"0.3.260"}},
 "results":{"total_samples":%d,"completed_samples":%d,"scores":[{"name":"choice","scorer":"choice","scored_samples":%d,"unscored_samples":0,
 "metrics":{"accuracy":{"name":"accuracy","value":%s},"stderr":{"name":"stderr","value":%s}}}]},
 "stats":{"started_at":"2026-05-01T12:00:00+02:00","completed_at":"2026-05-01T12:01:00+02:00"},"samples":[%s]}`

func inspectSamples(values ...string) string {
	var out []string
	for i, v := range values {
		out = append(out, fmt.Sprintf(`{"id":%d,"epoch":1,"scores":{"choice":{"value":%s}}}`, i+1, v))
	}
	return strings.Join(out, ",")
}

func TestTrap02CancelledRunsStillCarryScores(t *testing.T) {
	for _, status := range []string{"cancelled", "error", "started"} {
		e := read(t, fmt.Sprintf(inspectLog, status, 2, false, 2, 2, 2, "0.5", "0.5", inspectSamples(`"C"`, `"I"`)))
		if !strings.Contains(e.Incomplete, status) {
			t.Errorf("incomplete is %q, want it to say %s", e.Incomplete, status)
		}
	}
}

func TestTrap03ALimitIsNotTheWhole(t *testing.T) {
	e := read(t, fmt.Sprintf(inspectLog, "success", 2376, false, 3, 3, 3, "0.3333333333333333", "0.33", inspectSamples(`"C"`, `"I"`, `"I"`)))
	counted(t, metric(t, e, "accuracy"), 1, 3)
	if e.Incomplete != "it covers 3 of 2376 items" {
		t.Errorf("incomplete is %q", e.Incomplete)
	}
	limited := read(t, fmt.Sprintf(lmResults, "0.5", "0.1", 5000, 100))
	if limited.Incomplete != "it covers 100 of 5000 items" {
		t.Errorf("incomplete is %q", limited.Incomplete)
	}
}

func TestTrap04ZstandardArchivesAndBareNaN(t *testing.T) {
	log := fmt.Sprintf(inspectLog, "success", 2, false, 2, 2, 1, "NaN", "-Infinity", inspectSamples(`"C"`, `NaN`))
	e := read(t, log)
	// The sample without a score counts as not right.
	counted(t, metric(t, e, "accuracy"), 1, 2)
	header := strings.Replace(log, inspectSamples(`"C"`, `NaN`), "", 1)
	for _, method := range []uint16{zip.Store, zip.Deflate, zstd.ZipMethodWinZip} {
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		w.RegisterCompressor(zstd.ZipMethodWinZip, zstd.ZipCompressor())
		for name, text := range map[string]string{"header.json": header, "samples/1_epoch_1.json": inspectSamples(`"C"`), "_journal/start.json": "{}"} {
			f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err == nil {
				_, err = io.WriteString(f, text)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		counted(t, metric(t, read(t, archive.String()), "accuracy"), 1, 1)
	}
}

func TestTrap05DirtyTreesAndHalfCompletedRuns(t *testing.T) {
	e := read(t, fmt.Sprintf(inspectLog, "success", 80, true, 80, 78, 78, "1.0", "0", ""))
	if !e.Tool.Dirty {
		t.Error("the dirty tree is not noted")
	}
	if e.Incomplete != "78 of 80 samples were completed" {
		t.Errorf("incomplete is %q", e.Incomplete)
	}
}

const garakReport = `{"entry_type":"start_run setup","run.generations":1,"run.eval_threshold":0.5}
{"entry_type":"init","garak_version":"0.14.0","start_time":"2026-05-01T12:00:00","run":"r"}
{"entry_type":"eval","probe":"%s","detector":"always.Pass",%s}
{"entry_type":"completion","end_time":"2026-05-01T12:01:00","run":"r"}
`

func TestTrap06AnIntervalOfFailuresBesideACountOfPasses(t *testing.T) {
	e := read(t, fmt.Sprintf(garakReport, "test.Test", `"passed":37,"total_evaluated":50,"fails":13,"nones":0,"confidence":"0.95","confidence_lower":0.14,"confidence_upper":0.38`))
	m := metric(t, e, "attack_success_rate[detector=always.Pass,probe=test.Test]")
	counted(t, m, 13, 50)
	if m.Reported == nil || *m.Reported.Lower95 != 0.14 || *m.Reported.Upper95 != 0.38 {
		t.Errorf("the reported interval is %+v, want 0.14 to 0.38", m.Reported)
	}
	if m.Direction != record.Lower {
		t.Errorf("the direction is %q", m.Direction)
	}
}

func TestTrap07OldKeysAndRunsWithoutIdentity(t *testing.T) {
	counted(t, metric(t, read(t, fmt.Sprintf(garakReport, "test.Test", `"passed":3,"total":4`)), "attack_success_rate"), 1, 4)
	refused(t, `{"entry_type":"eval","probe":"p","detector":"d","passed":0,"total":1}`+"\n", "init")
	e := read(t, strings.Replace(fmt.Sprintf(garakReport, "test.Test", `"passed":3,"total":4`), "completion", "digest", 1))
	if !strings.Contains(e.Incomplete, "did not end") {
		t.Errorf("a run without an end has incomplete %q", e.Incomplete)
	}
}

func TestTrap08BetterIsNotGoodEnough(t *testing.T) {
	m := metric(t, read(t, fmt.Sprintf(garakReport, "test.Test", `"passed":7,"total_evaluated":12`)), "attack_success_rate")
	counted(t, m, 5, 12)
	// 5 of 12 attacks: 19 % to 68 %, which no limit of 10 % lets through.
	if i := statistics.Wilson(*m.Successes, m.N, 0.95); math.Abs(i.Lower-0.193) > 0.001 || math.Abs(i.Upper-0.680) > 0.001 {
		t.Errorf("the interval is %v", i)
	}
}

func TestTrap09OneTagInTwoEditions(t *testing.T) {
	var ambiguous *catalogue.AmbiguousTagError
	if _, err := catalogue.ForTag("owasp:llm04", ""); !errors.As(err, &ambiguous) {
		t.Errorf("the error is %v, want an ambiguous tag", err)
	}
	// The tool's tags decide nothing: the case follows from the probe.
	e := read(t, fmt.Sprintf(garakReport, "promptinject.HijackHateHumans", `"passed":3,"total_evaluated":4`))
	m := metric(t, e, "attack_success_rate[detector=always.Pass,probe=promptinject.HijackHateHumans]")
	if m.Case != "direct-prompt-injection" {
		t.Errorf("the case is %q", m.Case)
	}
}

func TestTrap10JSONInAString(t *testing.T) {
	refused(t, `"{\"metrics\":[],\"tests\":[]}"`, "no importer knows it")
}

const evidentlySnapshot = `{"metrics":[{"id":"1","metric_name":"RowCount()","config":{"type":"evidently:metric_v2:RowCount"},"value":1194.0},
{"id":"2","metric_name":"ValueDrift(column=age)","config":{"type":"evidently:metric_v2:ValueDrift","column":"age","method":%q,"threshold":0.1},"value":2.72}],"tests":[]}`

func TestTrap11AScoreWithoutADirection(t *testing.T) {
	e := read(t, fmt.Sprintf(evidentlySnapshot, "psi"))
	if m := metric(t, e, "psi_max"); m.Value != 2.72 || m.Direction != record.Lower || m.N != 1194 {
		t.Errorf("the distance is read as %+v", m)
	}
	counted := metric(t, e, "drifted_features")
	if counted.Value != 1 {
		t.Errorf("%v features drifted, want 1", counted.Value)
	}
	// A p-value of 2.72 is above every threshold: no drift.
	p := read(t, fmt.Sprintf(evidentlySnapshot, "Total-Variation-Distance"))
	if m := metric(t, p, "tvd_min"); m.Direction != record.Higher || metric(t, p, "drifted_features").Value != 0 {
		t.Errorf("the p-value is read as %+v", m)
	}
	refused(t, fmt.Sprintf(evidentlySnapshot, "my_own"), "my_own", "not known")
}

func TestTrap12NoTestsAtAll(t *testing.T) {
	e := read(t, `<?xml version="1.0"?><testsuites><testsuite name="s" tests="0" failures="0" errors="0" skipped="0"></testsuite></testsuites>`)
	if e.Incomplete != "it holds no test" {
		t.Errorf("incomplete is %q", e.Incomplete)
	}
}

func TestTrap13ErrorsAndSkipsAreNoPasses(t *testing.T) {
	e := read(t, `<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="6"><testcase classname="g" name="a"/><testcase classname="g" name="b"/>
<testcase classname="g" name="c"><failure message="no"/></testcase><testcase classname="g" name="d"><skipped type="pytest.skip"/></testcase>
<testcase classname="g" name="e"><skipped type="pytest.xfail"/></testcase><testcase classname="g" name="f"><error message="no fixture"/></testcase></testsuite></testsuites>`)
	counted(t, metric(t, e, "pass_rate"), 2, 4)
	if e.Counts.Errors != 1 || e.Counts.Skipped != 2 || e.Counts.Scored != 3 {
		t.Errorf("the counts are %+v", e.Counts)
	}
	if e.Contradiction() != "" {
		t.Errorf("it contradicts itself: %s", e.Contradiction())
	}
}

const (
	helmSpec  = `{"name":"sums:model=m","scenario_spec":{"class_name":"S"},"adapter_spec":{"model":"m","max_eval_instances":10,"num_train_trials":1},"metric_specs":[]}`
	helmStats = `[{"name":{"name":"exact_match","split":"valid"},"count":1,"sum":0.3,"sum_squared":0.09,"mean":0.3,"stddev":0.0},
{"name":{"name":"num_instances","split":"valid"},"count":1,"sum":10,"sum_squared":100,"mean":10}]`
)

func TestTrap14ACountOfTrials(t *testing.T) {
	r, err := readAll(nil, helmSpec, helmStats)
	if err != nil {
		t.Fatal(err)
	}
	if m := metric(t, r.Evaluations[0], "exact_match"); m.N != 10 || m.Value != 0.3 {
		t.Errorf("the metric is %+v, want 0.3 of 10", m)
	}
	var instances []string
	for i := range 10 {
		instances = append(instances, fmt.Sprintf(`{"instance_id":"id%d","train_trial_index":0,"stats":[{"name":{"name":"exact_match","split":"valid"},"count":1,"sum":%d,"sum_squared":0,"mean":%d}]}`, i, i/7, i/7))
	}
	if r, err = readAll(nil, helmSpec, helmStats, "["+strings.Join(instances, ",")+"]"); err != nil {
		t.Fatal(err)
	}
	counted(t, metric(t, r.Evaluations[0], "exact_match"), 3, 10)
}

func TestTrap15MeansOverTheFewThatHaveANumber(t *testing.T) {
	var rows []string
	for i := range 25 {
		relevancy := "NaN"
		if i < 6 {
			relevancy = "0.94"
		}
		rows = append(rows, fmt.Sprintf(`{"user_input":"q%d","response":"a","reference":"r","faithfulness":NaN,"answer_relevancy":%s}`, i, relevancy))
	}
	e := read(t, "["+strings.Join(rows, ",")+"]")
	if !strings.Contains(e.Incomplete, "of 25 items have no") {
		t.Errorf("incomplete is %q", e.Incomplete)
	}
	for _, m := range e.Metrics {
		if m.Name == "faithfulness" {
			t.Errorf("a metric without any number is read as %+v", m)
		}
	}
}

func TestTrap16AReportBeforeItsEvents(t *testing.T) {
	e := read(t, `{"spec":{"eval_name":"match","run_id":"r","run_config":{"seed":1,"max_samples":null},"created_at":"2026-05-01 12:00:00"}}
{"final_report":{"accuracy":0.3333333333333333}}
{"run_id":"r","event_id":1,"sample_id":"1","type":"match","data":{"correct":false}}
{"run_id":"r","event_id":2,"sample_id":"2","type":"match","data":{"correct":true}}
{"run_id":"r","event_id":3,"sample_id":"3","type":"match","data":{"correct":false}}
`)
	counted(t, metric(t, e, "accuracy"), 1, 3)
	lying := read(t, `{"spec":{"eval_name":"match","run_id":"r"}}
{"final_report":{"accuracy":1.0}}
{"run_id":"r","event_id":1,"sample_id":"1","type":"match","data":{"correct":false}}
`)
	if lying.Contradiction() == "" {
		t.Error("a report that contradicts its events is not noticed")
	}
}

func TestTrap17ClaimsWithoutADataSet(t *testing.T) {
	refused(t, "---\nmodel-index:\n- name: m\n  results:\n  - task:\n      type: t\n    metrics:\n    - type: acc\n      value: 0.9\n---\n# card\n", "model-index", "data set")
	e := read(t, "---\nmodel-index:\n- name: m\n  results:\n  - dataset:\n      type: beans\n      name: Beans\n    metrics:\n    - type: acc\n      value: \"90.0 ± 1.2\"\n---\n")
	if e.Assurance != record.Claimed || metric(t, e, "acc").Value != 90 {
		t.Errorf("the claim is read as %+v", e)
	}
}

func TestTrap18ValidMeansOnlyAsConfigured(t *testing.T) {
	refused(t, "================================================\nMLPerf Results Summary\n================================================\nSUT name : PySUT\nScenario : Offline\nResult is : VALID\n  min_duration (ms): 0\n", "no importer knows it")
}
