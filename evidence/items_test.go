package evidence_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

func TestItemsHeaderReportsWhatNoItemHas(t *testing.T) {
	const file = `{"imprimatur": "items/v1", "suite": "shifted", "category": "drift", "settings": {"positive": "ill"}, "ran": "2026-05-01T12:00:00Z",
 "reported": [{"name": "psi_max", "value": 0.25, "n": 2, "stdErr": 0.5, "direction": "lower", "method": "bootstrap"},
  {"name": "psi", "slice": {"feature": "age"}, "value": 0.25, "n": 2, "stdErr": null}]}
{"item": "a", "label": "ill", "prediction": "well", "score": 0.4, "note": "a person looked"}
{"item": "b", "label": "well", "prediction": "well", "score": 0.1}
`
	got, err := evidence.Read([]evidence.File{evidence.FileOf("items.ndjson", []byte(file))}, record.EvaluationRun{})
	if err != nil {
		t.Fatal(err)
	}
	e := got.Evaluations[0]
	metrics := map[string]record.Metric{}
	for _, m := range e.Metrics {
		metrics[m.Label()] = m
	}
	half := 0.5
	want := record.Metric{Name: "psi_max", Value: 0.25, N: 2, Direction: record.Lower, Reported: &record.Uncertainty{Method: "bootstrap", StdErr: &half}}
	if diff := cmp.Diff(want, metrics["psi_max"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(record.Metric{Name: "psi", Slice: map[string]string{"feature": "age"}, Value: 0.25, N: 2}, metrics["psi[feature=age]"]); diff != "" {
		t.Error(diff)
	}
	// ill is the positive class by the file's own word: it is the one that was
	// missed, and the one with the higher score.
	if m := metrics["recall"]; m.Value != 0 || m.N != 1 || metrics["roc_auc"].Value != 1 {
		t.Errorf("recall %+v, roc_auc %+v", m, metrics["roc_auc"])
	}
	if len(e.Import.Unknown) > 0 || e.Incomplete != "" {
		t.Errorf("unknown %q, incomplete %q", e.Import.Unknown, e.Incomplete)
	}
	nameless := strings.Replace(file, `"name": "psi_max", `, "", 1)
	if _, err := evidence.Read([]evidence.File{evidence.FileOf("items.ndjson", []byte(nameless))}, record.EvaluationRun{}); err == nil || !strings.Contains(err.Error(), "no name") {
		t.Errorf("a metric without a name was read: %v", err)
	}
}
