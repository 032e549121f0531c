package tracking

import (
	"context"
	"fmt"
	"iter"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Run returns a run.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	raw, err := c.api(ctx, "GET", "mlflow/runs/get", url.Values{"run_id": {id}}, nil)
	if err != nil {
		return Run{}, fmt.Errorf("the run %s: %w", plain(id, 100), err)
	}
	run, err := ParseRun(raw)
	if err == nil && run.Info.ID != id {
		err = fmt.Errorf("%w: asked for the run %s, it tells of %s", ErrAnswer, plain(id, 100), plain(run.Info.ID, 100))
	}
	return run, err
}

// ParseRun reads the answer of runs/get. An error wraps [ErrAnswer].
func ParseRun(raw []byte) (Run, error) {
	var got struct {
		Run Run `json:"run"`
	}
	if err := json.Unmarshal(raw, &got, lenient); err != nil {
		return Run{}, fmt.Errorf("%w: the run: %w", ErrAnswer, err)
	}
	got.Run.Raw = raw
	return got.Run, nil
}

// LoggedModel returns a logged model.
func (c *Client) LoggedModel(ctx context.Context, id string) (LoggedModel, error) {
	raw, err := c.api(ctx, "GET", "mlflow/logged-models/"+url.PathEscape(id), nil, nil)
	if err != nil {
		return LoggedModel{}, fmt.Errorf("the logged model %s: %w", plain(id, 100), err)
	}
	m, err := ParseLoggedModel(raw)
	if err == nil && m.Info.ID != id {
		err = fmt.Errorf("%w: asked for the logged model %s, it tells of %s", ErrAnswer, plain(id, 100), plain(m.Info.ID, 100))
	}
	return m, err
}

// ParseLoggedModel reads the answer of logged-models/get. An error wraps [ErrAnswer].
func ParseLoggedModel(raw []byte) (LoggedModel, error) {
	var got struct {
		Model LoggedModel `json:"model"`
	}
	if err := json.Unmarshal(raw, &got, lenient); err != nil {
		return LoggedModel{}, fmt.Errorf("%w: the logged model: %w", ErrAnswer, err)
	}
	return got.Model, nil
}

// all follows the pages of one search. Page reads the members of one.
func all[T any](page func(token string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		stopped := false
		err := pages(func(token string) (string, error) {
			items, next, err := page(token)
			for _, item := range items {
				if !yield(item, nil) {
					stopped = true
					return "", nil
				}
			}
			return next, err
		})
		if err != nil && !stopped {
			var none T
			yield(none, err)
		}
	}
}

// Experiments returns all experiments, deleted ones too.
func (c *Client) Experiments(ctx context.Context) iter.Seq2[Experiment, error] {
	return all(func(token string) ([]Experiment, string, error) {
		var got struct {
			Experiments []Experiment `json:"experiments"`
			Next        string       `json:"next_page_token"`
		}
		err := c.post(ctx, "mlflow/experiments/search", map[string]any{"max_results": 1000, "page_token": token, "view_type": "ALL"}, &got)
		return got.Experiments, got.Next, err
	})
}

// Runs returns the runs of an experiment, deleted ones too. Their Raw is of the
// same form as that of [Client.Run].
func (c *Client) Runs(ctx context.Context, experiment string) iter.Seq2[Run, error] {
	return all(func(token string) ([]Run, string, error) {
		var got struct {
			Runs []jsontext.Value `json:"runs"`
			Next string           `json:"next_page_token"`
		}
		asked := map[string]any{"experiment_ids": []string{experiment}, "max_results": 500, "page_token": token, "run_view_type": "ALL"}
		if err := c.post(ctx, "mlflow/runs/search", asked, &got); err != nil {
			return nil, "", err
		}
		out := make([]Run, 0, len(got.Runs))
		for _, raw := range got.Runs {
			run, err := ParseRun(append(append([]byte(`{"run": `), raw...), '}'))
			if err != nil {
				return out, "", err
			}
			out = append(out, run)
		}
		return out, got.Next, nil
	})
}

// RegisteredModels returns the names in MLflow's own registry, prompts left out,
// each with its aliases.
func (c *Client) RegisteredModels(ctx context.Context) iter.Seq2[RegisteredModel, error] {
	return all(func(token string) ([]RegisteredModel, string, error) {
		var got struct {
			Models []RegisteredModel `json:"registered_models"`
			Next   string            `json:"next_page_token"`
		}
		_, err := c.get(ctx, "mlflow/registered-models/search", searched(token), &got)
		return got.Models, got.Next, err
	})
}

// RegisteredModel returns one name of MLflow's own registry.
func (c *Client) RegisteredModel(ctx context.Context, name string) (RegisteredModel, error) {
	var got struct {
		Model RegisteredModel `json:"registered_model"`
	}
	_, err := c.get(ctx, "mlflow/registered-models/get", url.Values{"name": {name}}, &got)
	return got.Model, err
}

// ModelVersions returns the versions of all names in MLflow's own registry.
func (c *Client) ModelVersions(ctx context.Context) iter.Seq2[ModelVersion, error] {
	return all(func(token string) ([]ModelVersion, string, error) {
		var got struct {
			Versions []ModelVersion `json:"model_versions"`
			Next     string         `json:"next_page_token"`
		}
		_, err := c.get(ctx, "mlflow/model-versions/search", searched(token), &got)
		return got.Versions, got.Next, err
	})
}

func searched(token string) url.Values {
	q := url.Values{"max_results": {"1000"}}
	if token != "" {
		q.Set("page_token", token)
	}
	return q
}

// DownloadURI returns where the bytes of a version in MLflow's own registry are.
func (c *Client) DownloadURI(ctx context.Context, name, version string) (string, error) {
	var got struct {
		URI string `json:"artifact_uri"`
	}
	_, err := c.get(ctx, "mlflow/model-versions/get-download-uri", url.Values{"name": {name}, "version": {version}}, &got)
	return got.URI, err
}
