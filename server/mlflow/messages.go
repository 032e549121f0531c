package mlflow

import (
	"maps"
	"slices"
	"strconv"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// model is the protocol's RegisteredModel.
type model struct {
	Name        string       `json:"name"`
	Created     int64        `json:"creation_timestamp"`
	Updated     int64        `json:"last_updated_timestamp"`
	Description string       `json:"description,omitzero"`
	Latest      []versionOut `json:"latest_versions,omitempty"`
	Tags        []tag        `json:"tags,omitempty"`
	Aliases     []aliasOut   `json:"aliases,omitempty"`
}

type aliasOut struct {
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

// versionOut is the protocol's ModelVersion. Status is always there: a client
// takes its absence for PENDING_REGISTRATION.
type versionOut struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Created     int64    `json:"creation_timestamp"`
	Updated     int64    `json:"last_updated_timestamp"`
	Stage       string   `json:"current_stage"`
	Description string   `json:"description"`
	Source      string   `json:"source"`
	Run         string   `json:"run_id"`
	Status      string   `json:"status"`
	Message     string   `json:"status_message,omitzero"`
	Tags        []tag    `json:"tags,omitempty"`
	RunLink     string   `json:"run_link"`
	Aliases     []string `json:"aliases,omitempty"`
	ModelID     string   `json:"model_id,omitzero"`
}

// statusNames are the protocol's.
var statusNames = map[record.RegistrationStatus]string{
	record.RegistrationPending: "PENDING_REGISTRATION",
	record.RegistrationReady:   "READY",
	record.RegistrationFailed:  "FAILED_REGISTRATION",
}

// modelOf writes a model. MLflow's server leaves the aliases of its latest
// versions out.
func modelOf(m *registry.Registered) model {
	out := model{
		Name: m.Model.Name, Created: m.Model.Created.UnixMilli(), Updated: m.Model.Updated.UnixMilli(),
		Description: m.Model.Description, Tags: tagsOf(m.Model.Tags),
	}
	for _, v := range m.Latest() {
		out.Latest = append(out.Latest, versionOf(v, nil))
	}
	for _, a := range slices.Sorted(maps.Keys(m.Model.Aliases)) {
		out.Aliases = append(out.Aliases, aliasOut{a, strconv.Itoa(m.Model.Aliases[a])})
	}
	return out
}

// versionOf writes a version; with its model, the aliases that point to it too.
func versionOf(v *record.RegisteredVersion, m *registry.Registered) versionOut {
	out := versionOut{
		Name: v.Name, Version: strconv.Itoa(v.Version), Created: v.Created.UnixMilli(), Updated: v.Updated.UnixMilli(),
		Stage: v.Stage, Description: v.Description, Source: v.Source, Run: v.Run,
		Status: statusNames[v.Status], Message: v.Message, Tags: tagsOf(v.Tags), RunLink: v.RunLink, ModelID: v.ModelID,
	}
	if m != nil {
		for a, n := range m.Model.Aliases {
			if n == v.Version {
				out.Aliases = append(out.Aliases, a)
			}
		}
		slices.Sort(out.Aliases)
	}
	return out
}

func tagsOf(tags map[string]string) []tag {
	var out []tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, tag{k, tags[k]})
	}
	return out
}

// The answers.
type (
	none        struct{}
	modelAnswer struct {
		Model model `json:"registered_model"`
	}
	versionAnswer struct {
		Version versionOut `json:"model_version"`
	}
	versionsAnswer struct {
		Versions []versionOut `json:"model_versions,omitempty"`
		Next     string       `json:"next_page_token,omitzero"`
	}
	modelsAnswer struct {
		Models []model `json:"registered_models,omitempty"`
		Next   string  `json:"next_page_token,omitzero"`
	}
	uriAnswer struct {
		URI string `json:"artifact_uri"`
	}
)
