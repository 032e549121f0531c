package registry

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"imprimatur.dev/attest"
	"imprimatur.dev/notify"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// promptTypeTag is a tag of MLflow's own that it leaves out of what it tells.
const promptTypeTag = "_mlflow_prompt_type"

// mlflowMessages are what a webhook of MLflow's registry is told of a statement:
// the events of MLflow's server that lie between the statement and the one
// before it of the same model or version.
func (r *Registry) mlflowMessages(ctx context.Context, x record.Target, index int64, s record.Statement) ([]notify.Message, error) {
	var events []notify.MLflow
	switch b := s.Body.(type) {
	case record.RegisteredModel:
		if b.Team != x.Team {
			return nil, nil
		}
		before, err := before[record.RegisteredModel](ctx, r, record.KeyRegisteredModel(b.Team, b.Name), index)
		if err != nil {
			return nil, err
		}
		events = modelEvents(before, b)
	case record.RegisteredVersion:
		if b.Team != x.Team {
			return nil, nil
		}
		before, err := before[record.RegisteredVersion](ctx, r, record.KeyRegisteredVersion(b.Team, b.Name, b.Version), index)
		if err != nil {
			return nil, err
		}
		m := r.shelf.find(b.Team, b.Name)
		events = versionEvents(before, b, IsPrompt(b.Tags) || m != nil && IsPrompt(m.Model.Tags))
	}
	var out []notify.Message
	for _, e := range events {
		if slices.Contains(x.Events, e.Name()) {
			e.At = s.Time
			out = append(out, notify.Message{ID: r.deliveryID(x, index, len(out)), MLflow: &e})
		}
	}
	return out, nil
}

func (r *Registry) deliveryID(x record.Target, index int64, part int) string {
	return notify.DeliveryID(r.key.Name(), x.ID, strconv.FormatInt(index, 10), strconv.Itoa(part))
}

// before returns the record under a key that was stated last before an index,
// nil where there is none.
func before[T record.Body](ctx context.Context, r *Registry, key string, index int64) (*T, error) {
	var found *T
	if index == 0 {
		return nil, nil
	}
	err := r.store.View(ctx, func(v *store.View) error {
		entries, err := v.Page(key, index, 1)
		if err != nil || len(entries) == 0 {
			return err
		}
		s, err := attest.DecodeStatement(entries[0].Payload)
		if err != nil {
			return err
		}
		if b, ok := s.Body.(T); ok {
			found = &b
		}
		return nil
	})
	return found, err
}

// modelEvents are the events between two statements of a registered model. A
// model that was given another name is no new one.
func modelEvents(old *record.RegisteredModel, m record.RegisteredModel) []notify.MLflow {
	entity, alias, tag := "registered_model", "model_version_alias", ""
	if IsPrompt(m.Tags) {
		entity, alias, tag = "prompt", "prompt_alias", "prompt_tag"
	}
	if m.Deleted {
		return nil
	}
	if old == nil || old.Life != m.Life {
		if !m.Created.Equal(m.Updated) {
			return nil
		}
		return []notify.MLflow{{Entity: entity, Action: "created", Data: notify.Fields{{Name: "name", Value: m.Name}, {Name: "tags", Value: ownTags(m.Tags)}, {Name: "description", Value: m.Description}}}}
	}
	var out []notify.MLflow
	if tag != "" {
		out = tagEvents(tag, old.Tags, m.Tags, notify.Fields{{Name: "name", Value: m.Name}})
	}
	for _, a := range slices.Sorted(maps.Keys(m.Aliases)) {
		if n, ok := old.Aliases[a]; !ok || n != m.Aliases[a] {
			out = append(out, notify.MLflow{Entity: alias, Action: "created", Data: notify.Fields{{Name: "name", Value: m.Name}, {Name: "alias", Value: a}, {Name: "version", Value: strconv.Itoa(m.Aliases[a])}}})
		}
	}
	for _, a := range slices.Sorted(maps.Keys(old.Aliases)) {
		if _, ok := m.Aliases[a]; !ok {
			out = append(out, notify.MLflow{Entity: alias, Action: "deleted", Data: notify.Fields{{Name: "name", Value: m.Name}, {Name: "alias", Value: a}}})
		}
	}
	return out
}

// versionEvents are those between two statements of a registered version.
func versionEvents(old *record.RegisteredVersion, v record.RegisteredVersion, prompt bool) []notify.MLflow {
	number := strconv.Itoa(v.Version)
	if v.Deleted {
		return nil
	}
	if old != nil && old.Life == v.Life {
		entity := map[bool]string{false: "model_version_tag", true: "prompt_version_tag"}[prompt]
		return tagEvents(entity, old.Tags, v.Tags, notify.Fields{{Name: "name", Value: v.Name}, {Name: "version", Value: number}})
	}
	if !v.Created.Equal(v.Updated) {
		return nil
	}
	of := notify.Fields{{Name: "name", Value: v.Name}, {Name: "version", Value: number}}
	said := notify.Fields{{Name: "tags", Value: ownTags(v.Tags)}, {Name: "description", Value: orNull(v.Description)}}
	if prompt {
		of = append(of, notify.Field{Name: "template", Value: orNull(v.Tags[promptTextTag])})
		return []notify.MLflow{{Entity: "prompt_version", Action: "created", Data: append(of, said...)}}
	}
	of = append(of, notify.Field{Name: "source", Value: v.Source}, notify.Field{Name: "run_id", Value: orNull(v.Run)})
	return []notify.MLflow{{Entity: "model_version", Action: "created", Data: append(of, said...)}}
}

func tagEvents(entity string, old, tags map[string]string, of notify.Fields) (out []notify.MLflow) {
	event := func(action string, more ...notify.Field) {
		out = append(out, notify.MLflow{Entity: entity, Action: action, Data: slices.Concat(of, more)})
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if was, ok := old[k]; !ok || was != tags[k] {
			event("set", notify.Field{Name: "key", Value: k}, notify.Field{Name: "value", Value: tags[k]})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(old)) {
		if _, ok := tags[k]; !ok {
			event("deleted", notify.Field{Name: "key", Value: k})
		}
	}
	return out
}

// ownTags are those that a prompt's author set, without MLflow's own.
func ownTags(tags map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range tags {
		if !IsPrompt(tags) || k != promptTag && k != promptTextTag && k != promptTypeTag {
			out[k] = v
		}
	}
	return out
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
