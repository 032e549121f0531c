package mlflow

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// MLflow's page asks for a run by GraphQL, and with it for the run's registered
// versions, which its own server would answer from its own registry. They are
// put into the answer from here.

// graphQuery is a GraphQL request as MLflow's server reads it.
type graphQuery struct {
	Query     string         `json:"query"`
	Variables jsontext.Value `json:"variables,omitzero"`
	Operation *string        `json:"operationName,omitzero"`
}

// renamed matches the versions of a run under another name. What a query may
// hold in between beside blanks and commas is a comment, and those are refused.
var renamed = regexp.MustCompile(`:[\s,\x{FEFF}]*modelVersions`)

const (
	versionsOfRun = "modelVersions"
	searchOfGraph = "mlflowSearchModelVersions"
	// maxGraph is the longest answer that is read to be changed.
	maxGraph = 64 << 20
)

// registryFields returns whether a query asks for the versions of runs, and
// refuses one that asks the upstream's registry, or asks for versions under
// another name, where they could not be found in the answer.
func registryFields(query string) (bool, error) {
	switch {
	case strings.Contains(query, searchOfGraph):
		return false, &fault{permissionDenied, "the model registry is not asked by " + searchOfGraph + " here; ask /ajax-api/2.0/mlflow/model-versions/search"}
	case !strings.Contains(query, versionsOfRun):
		return false, nil
	case renamed.MatchString(query) || strings.Contains(query, "#"):
		return false, &fault{permissionDenied, "a query that asks for " + versionsOfRun + " here gives them no other name, and has no comment"}
	}
	return true, nil
}

// serveGraph passes a query on, and puts the versions of this registry into its
// answer.
func (f *Front) serveGraph(w http.ResponseWriter, r *http.Request, who registry.Caller, team string) error {
	if f.reg.InEnvironment(who) {
		return &fault{permissionDenied, who.Name + " runs in production and has no use for the page's queries; sign in as a person"}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return &fault{badRequest, "the query cannot be read, or is too long"}
	}
	var asked graphQuery
	if err := json.Unmarshal(raw, &asked); err != nil {
		return notJSON(err)
	}
	wants, err := registryFields(asked.Query)
	if err != nil {
		return err
	}
	// What was read here is what the upstream reads.
	if raw, err = json.Marshal(asked); err != nil {
		return err
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	if !wants {
		f.forward(w, r, f.answered)
		return nil
	}
	r.Header.Del("Accept-Encoding")
	f.forward(w, r, func(a *http.Response) error { return f.putVersions(r.Context(), a, who, team) })
	return nil
}

// putVersions changes an answer of the upstream.
func (f *Front) putVersions(ctx context.Context, a *http.Response, who registry.Caller, team string) error {
	raw, err := io.ReadAll(io.LimitReader(a.Body, maxGraph))
	if err := a.Body.Close(); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	var byRun map[string][]graphVersion
	if who.Name != "" {
		if team, err = f.reg.RegistrationTeam(ctx, who, team, f.team); err != nil {
			return err
		}
		if byRun, err = f.versionsByRun(ctx, who, team); err != nil {
			return err
		}
	}
	if !jsontext.Value(raw).IsValid() {
		return &fault{unavailable, "MLflow's answer is not JSON, or too long"}
	}
	out, err := replaced(raw, byRun)
	if err != nil {
		return err
	}
	a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(out)), int64(len(out))
	a.Header.Set("Content-Length", strconv.Itoa(len(out)))
	return f.answered(a)
}

// replaced writes the versions of each run into an answer, at whatever depth.
func replaced(v jsontext.Value, byRun map[string][]graphVersion) (jsontext.Value, error) {
	switch v = jsontext.Value(bytes.TrimSpace(v)); v.Kind() {
	case '{':
		var members map[string]jsontext.Value
		if err := json.Unmarshal(v, &members); err != nil {
			return nil, err
		}
		for name, m := range members {
			var err error
			if name == versionsOfRun {
				var run struct {
					Info struct {
						ID string `json:"runUuid"`
					} `json:"info"`
				}
				// Of a run that is not named nothing is known.
				_ = json.Unmarshal(v, &run)
				m, err = json.Marshal(byRun[run.Info.ID])
			} else {
				m, err = replaced(m, byRun)
			}
			if err != nil {
				return nil, err
			}
			members[name] = m
		}
		return json.Marshal(members)
	case '[':
		var items []jsontext.Value
		if err := json.Unmarshal(v, &items); err != nil {
			return nil, err
		}
		for i := range items {
			var err error
			if items[i], err = replaced(items[i], byRun); err != nil {
				return nil, err
			}
		}
		return json.Marshal(items)
	}
	return v, nil
}

// graphVersion is a version in the page's schema.
type graphVersion struct {
	Type    string   `json:"__typename"`
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Created string   `json:"creationTimestamp"`
	Updated string   `json:"lastUpdatedTimestamp"`
	User    *string  `json:"userId"`
	Stage   string   `json:"currentStage"`
	Text    string   `json:"description"`
	Source  string   `json:"source"`
	Run     string   `json:"runId"`
	Status  string   `json:"status"`
	Message string   `json:"statusMessage"`
	Tags    []tag    `json:"tags"`
	RunLink string   `json:"runLink"`
	Aliases []string `json:"aliases"`
	ModelID string   `json:"modelId"`
}

func (f *Front) versionsByRun(ctx context.Context, who registry.Caller, team string) (map[string][]graphVersion, error) {
	models, err := f.reg.RegisteredModels(ctx, who, team)
	if err != nil {
		return nil, err
	}
	out := map[string][]graphVersion{}
	for _, m := range models {
		if registry.IsPrompt(m.Model.Tags) {
			continue
		}
		for _, v := range m.Versions {
			if v.Run != "" {
				out[v.Run] = append(out[v.Run], graphOf(v, m))
			}
		}
	}
	return out, nil
}

func graphOf(v *record.RegisteredVersion, m *registry.Registered) graphVersion {
	o := versionOf(v, m)
	return graphVersion{
		Type: "MlflowModelVersion", Name: o.Name, Version: o.Version, Created: strconv.FormatInt(o.Created, 10), Updated: strconv.FormatInt(o.Updated, 10),
		Stage: o.Stage, Text: o.Description, Source: o.Source, Run: o.Run, Status: o.Status, Message: o.Message,
		Tags: o.Tags, RunLink: o.RunLink, Aliases: o.Aliases, ModelID: o.ModelID,
	}
}
