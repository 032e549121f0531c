package tracking

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

const (
	maxWords  = 1000 // of parameters, metrics and tags, each
	maxWord   = 4000 // bytes of a value
	maxInputs = 200
)

// Report is a [registry.Reporter]: it reads a version's run, or one without.
func (c *Client) Report(ctx context.Context, v record.RegisteredVersion) (registry.Report, error) {
	run, err := c.Run(ctx, v.Run)
	if Gone(err) {
		return registry.Report{}, fmt.Errorf("%w: %w", registry.ErrNoRun, err)
	}
	if err != nil {
		return registry.Report{}, fmt.Errorf("the run could not be read: %w; register the version, or import the run, again when that is mended", err)
	}
	out := registry.Report{Run: recordOf(run), Raw: run.Raw}
	inputs := run.Inputs.Datasets
	if len(inputs) > maxInputs {
		return out, fmt.Errorf("%w: the run %s names %d datasets, more than %d", ErrAnswer, v.Run, len(inputs), maxInputs)
	}
	for _, in := range inputs {
		if err := c.dataset(ctx, in, &out); err != nil {
			return out, err
		}
	}
	return out, c.bases(ctx, run, &out)
}

var fullCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// recordOf is what MLflow says of a run in our words, without its inputs.
func recordOf(run Run) record.Run {
	tags := pairs(run.Data.Tags)
	out := record.Run{
		ID:         run.Info.ID,
		Parameters: words(run.Data.Params),
		Inputs:     []record.Resource{},
		Started:    moment(run.Info.Start), Finished: moment(run.Info.End),
		Reported: &record.Reported{
			By: "mlflow", Status: plain(run.Info.Status, 100), User: plain(run.Info.User, 200), Experiment: plain(run.Info.Experiment, 100),
			Parent: plain(tags["mlflow.parentRunId"], 200), Metrics: words(run.Data.Metrics), Tags: words(run.Data.Tags),
		},
	}
	if user := tags["mlflow.user"]; out.Reported.User == "" {
		out.Reported.User = plain(user, 200)
	}
	if commit := strings.ToLower(tags["mlflow.source.git.commit"]); fullCommit.MatchString(commit) {
		repository := tags["mlflow.source.git.repoURL"]
		if repository == "" {
			repository = tags["mlflow.source.name"]
		}
		out.Code = record.Code{Repository: plain(withoutSecrets(repository), 1000), Commit: commit, Dirty: strings.EqualFold(tags["mlflow.source.git.dirty"], "true")}
	}
	return out
}

// words takes what fits a record; the raw answer keeps the rest.
func words(of []Pair) map[string]string {
	var out map[string]string
	for _, p := range of {
		key := strings.TrimSpace(plain(p.Key, 250))
		if key == "" || len(out) == maxWords {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = plain(string(p.Value), maxWord)
	}
	return out
}

// moment is a time in milliseconds, zero where it is none that a record takes.
func moment(ms Text) time.Time {
	n := ms.number()
	if n <= 0 || n >= time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// withoutSecrets takes who signs in, and what signs an address, out of it. What
// looks like an address and cannot be read is not told.
func withoutSecrets(address string) string {
	u, err := url.Parse(address)
	if err != nil && strings.Contains(address, "://") {
		return ""
	}
	if err != nil || u.Host == "" {
		return address
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// unreadInput is a dataset as the run names it, and the address of its bytes,
// empty where it has none.
func unreadInput(in DatasetInput) (u record.UnreadInput, address string) {
	d := in.Dataset
	var source struct {
		URI  string `json:"uri"`
		URL  string `json:"url"`
		Path string `json:"path"`
	}
	_ = json.Unmarshal([]byte(d.Source), &source, lenient) // a source of another form names no address
	address = source.URI + source.URL
	if address == "" && d.SourceType == "local" {
		address = source.Path
	}
	u = record.UnreadInput{Name: plain(d.Name, 500), Label: plain(d.Digest, 100), Source: plain(withoutSecrets(address), 1000)}
	if strings.TrimSpace(u.Name) == "" {
		u.Name = "a dataset without a name"
	}
	if _, ok := record.LineageNameOf(u.Source); !ok {
		u.Source = "mlflow://datasets/" + url.PathEscape(u.Name) + "/" + url.PathEscape(u.Label)
	}
	return u, address
}

// dataset adds a dataset that the run read: with the digest of its bytes, or to
// the unread ones with the reason.
func (c *Client) dataset(ctx context.Context, in DatasetInput, out *registry.Report) error {
	u, address := unreadInput(in)
	if address == "" {
		u.Why = fmt.Sprintf("a source of the type %s has no address", plain(in.Dataset.SourceType, 100))
		out.Run.Reported.Unread = append(out.Run.Reported.Unread, u)
		return nil
	}
	digest, err := c.digest(ctx, address)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		u.Why = plain(err.Error(), 1000)
		out.Run.Reported.Unread = append(out.Run.Reported.Unread, u)
		return nil
	}
	labels := map[string]string{"mlflow.name": u.Name}
	if u.Label != "" {
		labels["mlflow.digest"] = u.Label
	}
	if context := pairs(in.Tags)["mlflow.data.context"]; context != "" {
		labels["mlflow.data.context"] = plain(context, 200)
	}
	out.Run.Inputs = input(out.Run.Inputs, record.ResourceDataset, u.Name, digest)
	out.Datasets = append(out.Datasets, record.Dataset{Name: u.Name, Digest: digest, Source: u.Source, Labels: labels})
	return nil
}

func input(to []record.Resource, kind record.ResourceType, name string, digest record.Digest) []record.Resource {
	if slices.ContainsFunc(to, func(r record.Resource) bool { return r.Digest == digest }) {
		return to
	}
	return append(to, record.Resource{Type: kind, Name: name, Digest: digest})
}

// bases adds the logged models that the run read and did not make itself.
func (c *Client) bases(ctx context.Context, run Run, out *registry.Report) error {
	for _, link := range run.Inputs.Models {
		if slices.Contains(run.Outputs.Models, link) {
			continue
		}
		if len(out.Run.Inputs) >= maxInputs {
			return fmt.Errorf("%w: the run %s names more than %d inputs", ErrAnswer, run.Info.ID, maxInputs)
		}
		at, err := c.ofModel(ctx, link.ID)
		var digest record.Digest
		if err == nil {
			digest, err = c.digest(ctx, at.uri)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		id := plain(link.ID, 100)
		if err != nil {
			out.Run.Reported.Unread = append(out.Run.Reported.Unread, record.UnreadInput{
				Name: "the model " + id, Source: "mlflow://models/" + url.PathEscape(id), Why: plain(err.Error(), 1000),
			})
			continue
		}
		out.Run.Inputs = input(out.Run.Inputs, record.ResourceModel, id, digest)
	}
	return nil
}
