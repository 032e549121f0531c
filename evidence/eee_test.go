package evidence_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

func TestEveryEvalEverThereAndBack(t *testing.T) {
	e := read(t, samples["items"][1], complete)
	e.Assurance = record.Imported
	raw, err := evidence.EveryEvalEver(record.Recorded[record.Evaluation]{Record: e, Actor: "ed", Time: time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC), Digest: record.DigestOf([]byte("e"))}, "acme/triage@1", "Acme", "first_party")
	if err != nil {
		t.Fatal(err)
	}
	back := read(t, string(raw), complete)
	if back.Suite != e.Suite || back.Tool.Name != e.Tool.Name || back.Labels["model.id"] != "acme/triage@1" {
		t.Errorf("it comes back as %s by %s of %s", back.Suite, back.Tool.Name, back.Labels["model.id"])
	}
	type number struct {
		Value     float64
		N         int
		Direction string
		Lower     *float64
	}
	numbers := func(e record.Evaluation) map[string]number {
		out := map[string]number{}
		for _, m := range e.Metrics {
			x := number{Value: m.Value, N: m.N, Direction: m.Direction}
			for _, u := range []*record.Uncertainty{m.Computed, m.Reported} {
				if u != nil {
					x.Lower = u.Lower95
				}
			}
			name := m.Name
			if len(m.Slice) > 0 {
				name += "-sex-" + m.Slice["sex"]
			}
			out[name] = x
		}
		return out
	}
	if d := cmp.Diff(numbers(e), numbers(back)); d != "" {
		t.Errorf("the numbers differ:\n%s", d)
	}
}

func TestEveryEvalEverCopiedFromADocumentIsAClaim(t *testing.T) {
	text := `{"schema_version":"0.2.0","evaluation_id":"e","retrieved_timestamp":"1","source_metadata":{"source_type":"documentation"},"model_info":{"name":"m","id":"m"},
"evaluation_results":[{"evaluation_name":"IFEval","source_data":{},"metric_config":{"lower_is_better":false,"min_score":0,"max_score":"unknown"},"score_details":{"score":0.44}}]}`
	if e := read(t, text); e.Assurance != record.Claimed || metric(t, e, "score").Value != 0.44 {
		t.Errorf("it is read as %s, %+v", e.Assurance, e.Metrics)
	}
}
