package evidence

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// The members of Every Eval Ever that we write, version 0.3.0.
type (
	eeeOut struct {
		Version   string         `json:"schema_version"`
		ID        string         `json:"evaluation_id"`
		Evaluated string         `json:"evaluation_timestamp,omitzero"`
		Retrieved string         `json:"retrieved_timestamp"`
		Source    eeeSource      `json:"source_metadata"`
		Library   eeeLibrary     `json:"eval_library"`
		Model     eeeModel       `json:"model_info"`
		Results   []eeeResultOut `json:"evaluation_results"`
	}
	eeeSource struct {
		Name         string            `json:"source_name"`
		Type         string            `json:"source_type"`
		Organization string            `json:"source_organization_name"`
		Relationship string            `json:"evaluator_relationship"`
		Details      map[string]string `json:"additional_details,omitzero"`
	}
	eeeLibrary struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	eeeModel struct {
		Name    string            `json:"name"`
		ID      string            `json:"id"`
		Details map[string]string `json:"additional_details"`
	}
	eeeResultOut struct {
		ID     string         `json:"evaluation_result_id"`
		Name   string         `json:"evaluation_name"`
		Source map[string]any `json:"source_data"`
		Metric map[string]any `json:"metric_config"`
		Score  map[string]any `json:"score_details"`
	}
)

// EveryEvalEver writes a recorded evaluation as an aggregate of Every Eval Ever
// 0.3.0. Relationship is one of first_party, third_party, collaborative and
// other. Metrics of which it is not known which way is better have no place in
// the format and are left out; an error says that none is left.
func EveryEvalEver(r record.Recorded[record.Evaluation], model, organization, relationship string) ([]byte, error) {
	e := r.Record
	at := func(unix int64) string { return strconv.FormatInt(unix, 10) }
	out := eeeOut{
		Version: "0.3.0", ID: record.EvaluationID(r.Digest), Evaluated: at(e.Ran.Unix()), Retrieved: at(r.Time.Unix()),
		Source:  eeeSource{Name: "Imprimatur", Type: "evaluation_run", Organization: organization, Relationship: relationship, Details: map[string]string{"recorded_by": r.Actor, "assurance": e.Assurance}},
		Library: eeeLibrary{e.Tool.Name, e.Tool.Version},
		Model: eeeModel{Name: model, ID: model, Details: map[string]string{
			"artifact": string(e.Artifact), "deployment_type": "unknown", "model_availability": "unknown",
		}},
	}
	if e.Assurance == record.Claimed {
		out.Source.Type = "documentation"
	}
	for _, m := range e.Metrics {
		if m.Direction == "" {
			continue
		}
		out.Results = append(out.Results, eeeResultOut{
			ID: e.Suite + "/" + m.Label(), Name: e.Suite,
			Source: map[string]any{"dataset_name": string(e.Dataset), "source_type": "other"},
			Metric: eeeMetric(m),
			Score:  map[string]any{"score": m.Value, "uncertainty": eeeUncertainty(m)},
		})
	}
	if len(out.Results) == 0 {
		return nil, fmt.Errorf("the evaluation %s has no metric of which it is known which way is better, and Every Eval Ever keeps no other", out.ID)
	}
	raw, err := json.Marshal(out, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("writing Every Eval Ever: %w", err)
	}
	return append(raw, '\n'), nil
}

// eeeMetric describes a metric. The ends of its scale must be given, as null
// where they are not known.
func eeeMetric(m record.Metric) map[string]any {
	out := map[string]any{
		"metric_name": m.Label(), "lower_is_better": m.Direction == record.Lower, "score_type": "continuous",
		"min_score": nil, "max_score": nil,
	}
	if m.Successes != nil {
		out["min_score"], out["max_score"] = 0, 1
	}
	return out
}

func eeeUncertainty(m record.Metric) map[string]any {
	out := map[string]any{"num_samples": m.N}
	u := m.Computed
	if u == nil {
		u = m.Reported
	}
	if u == nil {
		return out
	}
	if u.StdErr != nil {
		out["standard_error"] = map[string]any{"value": *u.StdErr, "method": u.Method}
	}
	if u.Lower95 != nil {
		out["confidence_interval"] = map[string]any{"lower": *u.Lower95, "upper": *u.Upper95, "confidence_level": level, "method": u.Method}
	}
	if u.Draws > 0 {
		out["num_bootstrap_samples"] = u.Draws
	}
	return out
}
