package registry

import (
	"context"
	"hash/maphash"
	"maps"
	"sync"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// What MLflow's clients register. A refusal about names and versions has MLflow's
// own words, since its clients look for them.

// Amendment changes what is said of a registered model or version.
type Amendment struct {
	Description *string
	// Tags to set, and names of tags to take away.
	Tags  map[string]string
	Untag []string
}

// apply returns the changed tags, and whether anything changed.
func (a Amendment) apply(description *string, tags map[string]string) (map[string]string, bool) {
	changed := a.Description != nil
	if changed {
		*description = *a.Description
	}
	out := maps.Clone(tags)
	if out == nil {
		out = map[string]string{}
	}
	for k, v := range a.Tags {
		if old, ok := out[k]; !ok || old != v {
			out[k], changed = v, true
		}
	}
	for _, k := range a.Untag {
		if _, ok := out[k]; ok {
			changed = true
			delete(out, k)
		}
	}
	if len(out) == 0 {
		out = nil
	}
	return out, changed
}

// turns are taken by those who change the same name, so that they go one after
// the other. What guards against lost updates is a command's read set; but of
// many who read the same state at once all but one would do so for nothing. Two
// names may share a turn.
type turns struct {
	seed maphash.Seed
	of   [4096]sync.Mutex
}

// onName runs a command about a registered name when its turn has come.
func onName[T record.Body](ctx context.Context, r *Registry, who Caller, team, name string, fn func(*tx) error) (record.Recorded[T], error) {
	turn := &r.turns.of[maphash.Comparable(r.turns.seed, [2]string{team, name})%uint64(len(r.turns.of))]
	turn.Lock()
	defer turn.Unlock()
	return command[T](ctx, r, who, fn)
}

// registered returns a model that was not deleted.
func (t *tx) registered(team, name string) (record.RegisteredModel, lineage.Entry, error) {
	m, entry, ok, err := last[record.RegisteredModel](t, record.KeyRegisteredModel(team, name))
	if err != nil {
		return m.Record, entry, err
	}
	if !ok || m.Record.Deleted {
		return m.Record, entry, noModel(name)
	}
	return m.Record, entry, nil
}

// numbered returns a version with its model, neither of which was deleted.
func (t *tx) numbered(team, name string, number int) (record.RegisteredModel, record.RegisteredVersion, lineage.Entry, error) {
	m, entry, err := t.registered(team, name)
	if CodeOf(err) == wire.Unknown && err != nil {
		err = noVersion(name, number)
	}
	if err != nil {
		return m, record.RegisteredVersion{}, entry, err
	}
	v, entry, err := t.registeredVersion(m, number)
	return m, v, entry, err
}

// registeredVersion returns a version of a model that was not deleted.
func (t *tx) registeredVersion(m record.RegisteredModel, number int) (record.RegisteredVersion, lineage.Entry, error) {
	v, entry, ok, err := last[record.RegisteredVersion](t, record.KeyRegisteredVersion(m.Team, m.Name, number))
	if err != nil {
		return v.Record, entry, err
	}
	if !ok || v.Record.Deleted || v.Record.Life != m.Life {
		return v.Record, entry, noVersion(m.Name, number)
	}
	return v.Record, entry, nil
}

// versionsOf returns the versions of a model that were not deleted.
func (t *tx) versionsOf(m record.RegisteredModel) ([]record.RegisteredVersion, error) {
	entries, err := t.view.LastOfEach(record.PrefixRegisteredVersions(m.Team, m.Name))
	if err != nil {
		return nil, err
	}
	found, err := t.decode(entries)
	if err != nil {
		return nil, err
	}
	var out []record.RegisteredVersion
	for _, e := range found {
		if v, ok := e.Statement.Body.(record.RegisteredVersion); ok && !v.Deleted && v.Life == m.Life {
			out = append(out, v)
		}
	}
	return out, nil
}

// CreateRegisteredModel takes a name for a model. Who registers gets no rights
// by it.
func (r *Registry) CreateRegisteredModel(ctx context.Context, who Caller, team, name, description string, tags map[string]string) error {
	_, err := onName[record.RegisteredModel](ctx, r, who, team, name, func(t *tx) error {
		if err := t.within(actRegister, team); err != nil {
			return err
		}
		m, err := t.takeName(team, name, IsPrompt(tags))
		if err != nil {
			return err
		}
		m.Description, m.Tags, m.Created, m.Updated = description, tags, t.now, t.now
		return t.state(m)
	})
	return err
}

// takeName begins the next life of a name that nobody holds.
func (t *tx) takeName(team, name string, prompt bool) (record.RegisteredModel, error) {
	before, _, ok, err := last[record.RegisteredModel](t, record.KeyRegisteredModel(team, name))
	if err != nil {
		return record.RegisteredModel{}, err
	}
	if ok && !before.Record.Deleted {
		return record.RegisteredModel{}, taken(name, IsPrompt(before.Record.Tags), prompt)
	}
	return record.RegisteredModel{Team: team, Name: name, Life: before.Record.Life + 1, Versions: before.Record.Versions}, nil
}

// IsPrompt reports whether the tags are those of a prompt, which MLflow keeps as
// a model.
func IsPrompt(tags map[string]string) bool { return tags[promptTag] == "true" }

const (
	promptTag     = "mlflow.prompt.is_prompt"
	promptTextTag = "mlflow.prompt.text"
)

func taken(name string, oldPrompt, newPrompt bool) error {
	word := map[bool]string{true: "Prompt", false: "Registered Model"}
	if oldPrompt != newPrompt {
		lower := map[bool]string{true: "prompt", false: "registered model"}
		return refusef(wire.Conflict, "Tried to create a %s with name '%s', but the name is already taken by a %s. MLflow does not allow creating a model and a prompt with the same name.",
			lower[newPrompt], name, lower[oldPrompt])
	}
	return refusef(wire.Conflict, "%s (name=%s) already exists; take another name, or register versions of this one", word[newPrompt], name)
}

// AmendRegisteredModel changes what is said of a model. Only a new description
// counts as an update, as with MLflow.
func (r *Registry) AmendRegisteredModel(ctx context.Context, who Caller, team, name string, a Amendment) error {
	_, err := onName[record.RegisteredModel](ctx, r, who, team, name, func(t *tx) error {
		if err := t.within(actRegister, team); err != nil {
			return err
		}
		m, entry, err := t.registered(team, name)
		if err != nil {
			return err
		}
		var changed bool
		if m.Tags, changed = a.apply(&m.Description, m.Tags); !changed {
			t.answer = []lineage.Entry{entry}
			return nil
		}
		if a.Description != nil {
			m.Updated = t.now
		}
		return t.state(m)
	})
	return err
}

// maxRenamed is how many versions a rename restates in one transaction.
const maxRenamed = 4000

// RenameRegisteredModel gives a model with its versions, tags and aliases
// another name.
func (r *Registry) RenameRegisteredModel(ctx context.Context, who Caller, team, name, to string) error {
	_, err := onName[record.RegisteredModel](ctx, r, who, team, name, func(t *tx) error {
		if err := t.within(actRegister, team); err != nil {
			return err
		}
		m, _, err := t.registered(team, name)
		if err != nil {
			return err
		}
		versions, err := t.versionsOf(m)
		if err != nil {
			return err
		}
		if len(versions) > maxRenamed {
			return refusef(wire.Invalid, "%s has %d versions, and at most %d are renamed at once; register new ones under a new name", name, len(versions), maxRenamed)
		}
		if err := t.mayTakeAway(m, versions); err != nil {
			return err
		}
		fresh, err := t.takeName(team, to, IsPrompt(m.Tags))
		if err != nil {
			return err
		}
		gone := m
		gone.Deleted, gone.Aliases, gone.Updated = true, nil, t.now
		m.Name, m.Life, m.Versions, m.Updated = to, fresh.Life, max(m.Versions, fresh.Versions), t.now
		// The new name comes first: it is what the command answers with.
		if err := t.state(m); err != nil {
			return err
		}
		if err := t.state(gone); err != nil {
			return err
		}
		for _, v := range versions {
			if v.Status == record.RegistrationPending {
				return refusef(wire.Invalid, "the bytes of %s, version %d, are being read; rename the model when they were", name, v.Version)
			}
			v.Name, v.Life, v.Updated = to, m.Life, t.now
			if err := t.state(v); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// DeleteRegisteredModel takes a model with its versions out of the registry. The
// ledger keeps what was said of them, and their numbers are not given again.
func (r *Registry) DeleteRegisteredModel(ctx context.Context, who Caller, team, name string) error {
	_, err := onName[record.RegisteredModel](ctx, r, who, team, name, func(t *tx) error {
		if err := t.within(actRegister, team); err != nil {
			return err
		}
		m, _, err := t.registered(team, name)
		if err != nil {
			return err
		}
		versions, err := t.versionsOf(m)
		if err != nil {
			return err
		}
		if err := t.mayTakeAway(m, versions); err != nil {
			return err
		}
		m.Deleted, m.Aliases, m.Updated = true, nil, t.now
		return t.state(m)
	})
	return err
}
