package record_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
)

func TestSignedRunIsCompletedAndNotContradicted(t *testing.T) {
	signed := record.EvaluationRun{
		Artifact: digest("model"), Suite: "holdout", Tool: record.Tool{Name: "own"}, Settings: map[string]string{"seed": "1"}, Finished: noon,
	}
	said := record.EvaluationRun{
		Team: "acme", Artifact: digest("model"), Tool: record.Tool{Name: "own", Version: "2"}, Settings: map[string]string{"seed": "1", "limit": "5"},
		Labels: map[string]string{"host": "a"}, Finished: noon.In(time.FixedZone("east", 3600)),
	}
	got, filled, err := signed.Complete(said)
	if err != nil {
		t.Fatal(err)
	}
	want := signed
	want.Team, want.Tool.Version, want.Labels = "acme", "2", said.Labels
	want.Settings = map[string]string{"seed": "1", "limit": "5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"team", "tool.version", "settings.limit", "labels"}, filled); diff != "" {
		t.Error(diff)
	}
	if len(signed.Settings) != 1 {
		t.Error("the signed run itself was changed")
	}
	for says, change := range map[string]func(*record.EvaluationRun){
		"artifact":      func(r *record.EvaluationRun) { r.Artifact = digest("another") },
		"suite":         func(r *record.EvaluationRun) { r.Suite = "easier" },
		"tool.name":     func(r *record.EvaluationRun) { r.Tool.Name = "other" },
		"settings.seed": func(r *record.EvaluationRun) { r.Settings = map[string]string{"seed": "2"} },
		"finished":      func(r *record.EvaluationRun) { r.Finished = noon.Add(time.Second) },
	} {
		other := said
		change(&other)
		if _, _, err := signed.Complete(other); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a signed run was contradicted on %s: %v", says, err)
		}
	}
}
