package notify

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// MLflow is an event of MLflow's model registry: an entity such as
// "model_version", an action such as "created", and the data that MLflow sends
// with it (mlflow/webhooks/types.py).
type MLflow struct {
	Entity string    `json:"entity"`
	Action string    `json:"action"`
	At     time.Time `json:"at"`
	Data   Fields    `json:"data"`
}

// Fields are an object's members in the order in which MLflow's server writes
// them.
type Fields []Field

// Field is one member.
type Field struct {
	Name  string
	Value any
}

// MarshalJSON implements json.Marshaler.
func (f Fields) MarshalJSON() ([]byte, error) {
	out := []byte("{")
	for i, field := range f {
		name, err := json.Marshal(field.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(field.Value, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// Name returns "entity.action".
func (e MLflow) Name() string { return e.Entity + "." + e.Action }

// mlflow writes an event as MLflow's server does. Its secrets are any text.
func mlflow(to Destination, m Message, at time.Time) (*http.Request, error) {
	if m.MLflow == nil {
		return nil, fmt.Errorf("the message %s has no event of MLflow's registry", m.ID)
	}
	body, err := json.Marshal(struct {
		Entity    string `json:"entity"`
		Action    string `json:"action"`
		Timestamp string `json:"timestamp"`
		Data      Fields `json:"data"`
	}{m.MLflow.Entity, m.MLflow.Action, m.MLflow.At.UTC().Format("2006-01-02T15:04:05.000000+00:00"), m.MLflow.Data}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing the event: %w", err)
	}
	r, err := post(to.URL, "application/json", body)
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("X-MLflow-Delivery-Id", m.ID)
	r.Header.Set("X-MLflow-Timestamp", stamp)
	if len(to.Secrets) > 0 {
		r.Header.Set("X-MLflow-Signature", "v1,"+sign([]byte(to.Secrets[0]), m.ID, stamp, body))
	}
	return r, nil
}

// examples are what MLflow's server sends to test a webhook.
var examples = map[string]Fields{
	"registered_model.created":    {{"name", "example_model"}, {"tags", exampleTags}, {"description", "An example registered model"}},
	"model_version.created":       {{"name", "example_model"}, {"version", "1"}, {"source", "models:/123"}, {"run_id", "abcd1234abcd5678"}, {"tags", exampleTags}, {"description", "An example model version"}},
	"model_version_tag.set":       {{"name", "example_model"}, {"version", "1"}, {"key", "example_key"}, {"value", "example_value"}},
	"model_version_tag.deleted":   {{"name", "example_model"}, {"version", "1"}, {"key", "example_key"}},
	"model_version_alias.created": {{"name", "example_model"}, {"alias", "example_alias"}, {"version", "1"}},
	"model_version_alias.deleted": {{"name", "example_model"}, {"alias", "example_alias"}},
	"prompt.created":              {{"name", "example_prompt"}, {"tags", exampleTags}, {"description", "An example prompt"}},
	"prompt_version.created":      {{"name", "example_prompt"}, {"version", "1"}, {"template", "Hello {{name}}!"}, {"tags", exampleTags}, {"description", "An example prompt version"}},
	"prompt_tag.set":              {{"name", "example_prompt"}, {"key", "example_key"}, {"value", "example_value"}},
	"prompt_tag.deleted":          {{"name", "example_prompt"}, {"key", "example_key"}},
	"prompt_version_tag.set":      {{"name", "example_prompt"}, {"version", "1"}, {"key", "example_key"}, {"value", "example_value"}},
	"prompt_version_tag.deleted":  {{"name", "example_prompt"}, {"version", "1"}, {"key", "example_key"}},
	"prompt_alias.created":        {{"name", "example_prompt"}, {"alias", "example_alias"}, {"version", "1"}},
	"prompt_alias.deleted":        {{"name", "example_prompt"}, {"alias", "example_alias"}},
	"budget_policy.exceeded": {
		{"budget_policy_id", "bp-abc123"},
		{"budget_unit", "USD"},
		{"budget_amount", 100.0},
		{"current_spend", 105.5},
		{"duration_unit", "MONTHS"},
		{"duration_value", 1},
		{"target_scope", "WORKSPACE"},
		{"workspace", "default"},
		{"window_start", 1704067200000},
	},
}

var exampleTags = map[string]string{"example_key": "example_value"}

// MLflowExample returns the data with which an event is tested, nil where MLflow
// has no such event.
func MLflowExample(event string) Fields { return examples[event] }
