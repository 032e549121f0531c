package evidence_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

// samples are small whole files of every format, by its name.
var samples = map[string][]string{
	"items": {
		`{"imprimatur":"items/v1","suite":"holdout","category":"accuracy","expected":3,"ran":"2026-05-01T12:00:00Z","metrics":{"accuracy":{"direction":"higher"},"loss":{"direction":"lower","low":0}}}
{"item":"a","cluster":"x","slice":{"sex":"f"},"metrics":{"accuracy":true,"loss":0.5}}
{"item":"b","cluster":"x","slice":{"sex":"m"},"metrics":{"accuracy":false,"loss":1.5}}
{"item":"c","error":"timeout"}
`,
		"item,slice.sex,label,prediction,score\na,f,1,1,0.9\nb,m,0,1,0.6\nc,m,0,0,0.1\n",
		"item,outcome,metric.f1\na,true,0.5\nb,false,1\nc,,\n",
	},
	"drift-sensitivity": {replayed(nil)},
	"lm-eval": {
		fmt.Sprintf(lmResults, "0.5", "0.1", 10, 10),
		`{"doc_id":0,"doc":{},"target":"3","arguments":{},"resps":[["x"]],"filtered_resps":["x"],"filter":"none","metrics":["exact_match"],"doc_hash":"a","prompt_hash":"b","target_hash":"c","exact_match":1.0}` + "\n",
	},
	"inspect": {fmt.Sprintf(inspectLog, "success", 2, false, 2, 2, 2, "0.5", "0.5", inspectSamples(`"C"`, `"I"`)), zipped("header.json", fmt.Sprintf(inspectLog, "success", 0, false, 1, 1, 1, "1.0", "0.0", ""), "samples/1_epoch_1.json", inspectSamples(`"C"`))},
	"garak": {fmt.Sprintf(garakReport, "test.Test", `"passed":3,"total_evaluated":4,"fails":1,"nones":0`), `{"entry_type":"init","garak_version":"0.14.0","run":"r"}
{"entry_type":"attempt","uuid":"u","seq":0,"status":2,"probe_classname":"dan.Dan_11_0","prompt":"p","detector_results":{"dan.DAN":[0.0,1.0],"mitigation":[null,0.2]}}
{"entry_type":"completion","run":"r"}
`},
	"promptfoo": {`{"evalId":"e","results":{"version":3,"timestamp":"2026-05-01T12:00:00.000Z","prompts":[],"results":[
{"success":true,"failureReason":0,"testIdx":0,"promptIdx":0,"promptId":"p","vars":{"q":"a"},"provider":{"id":"echo"},"gradingResult":{"pass":true,"componentResults":[{"pass":true,"score":1,"assertion":{"type":"contains","metric":"acc"}}]}},
{"success":false,"failureReason":2,"testIdx":1,"promptIdx":0,"promptId":"p","vars":{"q":"b"},"provider":{"id":"echo"}}],
"stats":{"successes":1,"failures":0,"errors":1}},"config":{"redteam":{}},"metadata":{"promptfooVersion":"0.118.0"}}`},
	"sklearn": {
		`{"0":{"precision":1.0,"recall":0.5,"f1-score":0.6666666666666666,"support":2.0},"1":{"precision":0.5,"recall":1.0,"f1-score":0.6666666666666666,"support":1.0},"accuracy":0.6666666666666666,"macro avg":{"precision":0.75,"recall":0.75,"f1-score":0.6666666666666666,"support":3.0},"weighted avg":{"precision":0.8333333333333334,"recall":0.6666666666666666,"f1-score":0.6666666666666666,"support":3.0}}`,
		`{"labels":["benign","malignant"],"matrix":[[50,3],[1,40]]}`,
		"y_true,y_pred,y_score\n1,1,0.9\n0,1,0.6\n0,0,0.1\n",
	},
	"evidently": {
		fmt.Sprintf(evidentlySnapshot, "psi"),
		`{"version":"0.4.39","timestamp":"2026-05-01 12:00:00","metrics":[{"metric":"DataDriftTable","result":{"drift_by_columns":{"age":{"column_name":"age","column_type":"num","stattest_name":"K-S p_value","stattest_threshold":0.05,"drift_score":0.3,"drift_detected":false}}}},
{"metric":"ClassificationConfusionMatrix","result":{"current_matrix":{"labels":[0,1],"values":[[3,1],[0,4]]}}},{"metric":"ClassificationQualityMetric","result":{"current":{"accuracy":0.875,"roc_auc":null}}}]}`,
		`{"version":"0.4.39","timestamp":"t","tests":[{"name":"a","status":"SUCCESS","group":"g","parameters":{}},{"name":"b","status":"WARNING"}],"summary":{"all_passed":true,"total_tests":2,"success_tests":2}}`,
	},
	"junit":   {`<testsuites><testsuite name="s" tests="2" failures="1"><testcase classname="c" name="a"/><testcase classname="c" name="b"><failure/></testcase></testsuite></testsuites>`},
	"in-toto": {`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://in-toto.io/attestation/test-result/v0.1","predicate":{"result":"PASSED","configuration":[],"passedTests":["a"],"warnedTests":["b"],"failedTests":["c"]}}`},
	"mlflow":  {`{"info":{"run_id":"r","status":"FINISHED","start_time":1700000000000,"end_time":1700000001000},"data":{"metrics":{"accuracy":0.9,"example_count":100},"params":{"c":"1"},"tags":{}}}`, `{"columns":["inputs","exact_match/v1"],"data":[["a",1],["b",0]]}`},
	"ailuminate": {`{"_metadata":{"format_version":1,"run":{"timestamp":"t"},"code":{"source":{"code_version":"1.2","changed_files":[]}}},"benchmark":{"uid":"b","hazards":[]},"run_uid":"r",
"scores":[{"sut":{"uid":"s"},"score":1,"hazard_scores":[{"hazard_key":"vcr","score":{"lower":0.8,"estimate":0.9,"upper":0.95,"samples":100},"num_scored_items":100,"num_safe_items":90,"exceptions":0}]}]}`},
	"deepeval":        {`{"testCases":[{"name":"a","order":0,"metricsData":[{"name":"Relevancy","score":0.9,"success":true,"threshold":0.5,"evaluationModel":"judge"}]}],"conversationalTestCases":[],"metricsScores":[{"metric":"Relevancy","scores":[0.9],"passes":1,"fails":0,"errors":0}],"testPassed":1,"testFailed":0}`},
	"helm":            {helmSpec},
	"every-eval-ever": {`{"schema_version":"0.3.0","evaluation_id":"e","retrieved_timestamp":"1","source_metadata":{"source_type":"evaluation_run","source_organization_name":"o","evaluator_relationship":"first_party"},"eval_library":{"name":"l","version":"1"},"model_info":{"name":"m","id":"m"},"evaluation_results":[{"evaluation_name":"sums","source_data":{},"metric_config":{"lower_is_better":false,"min_score":0,"max_score":1},"score_details":{"score":0.5,"uncertainty":{"num_samples":10,"standard_error":{"value":0.1}}}}]}`},
	"ragas":           {`[{"user_input":"q","response":"a","reference":"r","faithfulness":0.5},{"user_input":"p","response":"a","reference":"r","faithfulness":NaN}]`},
	"openai-evals":    {"{\"spec\":{\"eval_name\":\"match\",\"run_id\":\"r\"}}\n{\"final_report\":{\"accuracy\":1.0}}\n{\"run_id\":\"r\",\"event_id\":1,\"sample_id\":\"1\",\"type\":\"match\",\"data\":{\"correct\":true}}\n"},
	"huggingface":     {"---\nmodel-index:\n- name: m\n  results:\n  - dataset:\n      type: beans\n      name: Beans\n    metrics:\n    - type: acc\n      value: 0.9\n---\n", "- dataset:\n    id: a/b\n    task_id: t\n  value: 0.5\n"},
}

func zipped(namesAndTexts ...string) string {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(namesAndTexts); i += 2 {
		f, err := w.Create(namesAndTexts[i])
		if err == nil {
			_, err = io.WriteString(f, namesAndTexts[i+1])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.String()
}

// complete is what an evaluator says of a run.
var complete = record.EvaluationRun{
	Team: "acme", Artifact: record.DigestOf([]byte("model")), Dataset: record.DigestOf([]byte("data")), Finished: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
}

func TestEveryFormatHasASampleThatItReads(t *testing.T) {
	for _, f := range evidence.Formats() {
		if len(samples[f.Name]) == 0 {
			t.Errorf("there is no sample of %s", f.Name)
		}
		for i, text := range samples[f.Name] {
			if f.Name == "helm" {
				continue // is read with its other files
			}
			r, err := readAll([]record.EvaluationRun{complete}, text)
			if err != nil {
				t.Errorf("%s, sample %d: %v", f.Name, i, err)
				continue
			}
			if r.Format != f.Name {
				t.Errorf("a sample of %s is read as %s", f.Name, r.Format)
			}
			for _, e := range r.Evaluations {
				if err := e.Validate(); err != nil {
					t.Errorf("%s, sample %d: %v", f.Name, i, err)
				}
				if len(e.Metrics) == 0 {
					t.Errorf("%s, sample %d: %s has no metric: %s", f.Name, i, e.Suite, e.Incomplete)
				}
			}
		}
	}
	if len(samples) != len(evidence.Formats()) {
		t.Errorf("there are samples of %d formats and %d importers", len(samples), len(evidence.Formats()))
	}
}

// fuzz holds for any bytes: reading ends with an evaluation or a refusal, and
// twice with the same one.
func fuzz(f *testing.F, format string) {
	for _, text := range samples[format] {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := evidence.FileOf("fuzzed", data)
		r, err := evidence.Read([]evidence.File{file}, complete)
		var refusal *evidence.Refusal
		if err != nil {
			if !errors.As(err, &refusal) {
				t.Fatalf("the error is no refusal: %v", err)
			}
			return
		}
		again, err := evidence.Read([]evidence.File{file}, complete)
		if err != nil {
			t.Fatalf("the second reading refuses: %v", err)
		}
		if d := cmp.Diff(r, again); d != "" {
			t.Fatalf("two readings differ:\n%s", d)
		}
		for _, e := range r.Evaluations {
			var invalid *record.InvalidError
			if err := e.Validate(); err != nil && !errors.As(err, &invalid) {
				t.Fatal(err)
			}
			if e.Counts.Evaluated != e.Counts.Scored+e.Counts.Errors {
				t.Fatalf("the counts do not add up: %+v", e.Counts)
			}
			for _, m := range e.Metrics {
				if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
					t.Fatalf("%s is %v", m.Label(), m.Value)
				}
			}
			if len(e.Metrics) == 0 && e.Incomplete == "" {
				t.Fatal("an evaluation without metrics is not incomplete")
			}
		}
	})
}

func FuzzItems(f *testing.F)            { fuzz(f, "items") }
func FuzzDriftSensitivity(f *testing.F) { fuzz(f, "drift-sensitivity") }
func FuzzLMEval(f *testing.F)           { fuzz(f, "lm-eval") }
func FuzzInspect(f *testing.F)          { fuzz(f, "inspect") }
func FuzzGarak(f *testing.F)            { fuzz(f, "garak") }
func FuzzPromptfoo(f *testing.F)        { fuzz(f, "promptfoo") }
func FuzzSklearn(f *testing.F)          { fuzz(f, "sklearn") }
func FuzzEvidently(f *testing.F)        { fuzz(f, "evidently") }
func FuzzJUnit(f *testing.F)            { fuzz(f, "junit") }
func FuzzInToto(f *testing.F)           { fuzz(f, "in-toto") }
func FuzzMLflow(f *testing.F)           { fuzz(f, "mlflow") }
func FuzzAILuminate(f *testing.F)       { fuzz(f, "ailuminate") }
func FuzzDeepeval(f *testing.F)         { fuzz(f, "deepeval") }
func FuzzHELM(f *testing.F)             { fuzz(f, "helm") }
func FuzzEveryEvalEver(f *testing.F)    { fuzz(f, "every-eval-ever") }
func FuzzRagas(f *testing.F)            { fuzz(f, "ragas") }
func FuzzOpenAIEvals(f *testing.F)      { fuzz(f, "openai-evals") }
func FuzzHuggingFace(f *testing.F)      { fuzz(f, "huggingface") }
