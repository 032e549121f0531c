package registry

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/artifact"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// CreateRegisteredVersion registers the next version of a model, of which the
// source, the run and what is said of it are given. Its bytes are read first
// where they can be, for as long as a client waits; after that it is pending
// until they were. It answers with the version's number.
func (r *Registry) CreateRegisteredVersion(ctx context.Context, who Caller, in record.RegisteredVersion) (int, error) {
	from, err := r.copied(ctx, who, &in)
	if err != nil {
		return 0, err
	}
	if err := r.mayRegister(ctx, who, in.Team, in.Name); err != nil {
		return 0, err
	}
	var h *hash
	pending := false
	if from == "" {
		h = r.startHashing(in)
		pending = !h.wait(ctx, r.patience)
	}
	if r.working.Err() != nil {
		// What cut the reading off is no fault of the version's.
		return 0, refusef(wire.Unavailable, "this server is closing, and the version was not registered; register it again in a moment")
	}
	if pending {
		// Who goes away now must not leave a version whose bytes nobody reads.
		ctx = context.WithoutCancel(ctx)
	}
	got, err := onName[record.RegisteredVersion](ctx, r, who, in.Team, in.Name, func(t *tx) error {
		if err := t.within(actRegister, in.Team); err != nil {
			return err
		}
		m, _, err := t.registered(in.Team, in.Name)
		if err != nil {
			return err
		}
		v := in
		m.Versions++
		m.Updated = t.now
		v.Version, v.Life, v.Stage, v.Created, v.Updated = m.Versions, m.Life, record.StageNone, t.now, t.now
		v.Status = record.RegistrationPending
		switch {
		case from != "":
			err = t.copy(&v, from)
		case !pending:
			err = t.settle(&v, h)
		}
		if err != nil {
			return err
		}
		if err := t.state(v); err != nil {
			return err
		}
		return t.state(m)
	})
	if err != nil {
		return 0, err
	}
	if pending {
		r.tailing.Go(func() { r.finish(who.Name, got.Record, h) })
	}
	return got.Record.Version, nil
}

// mayRegister refuses before any bytes are read.
func (r *Registry) mayRegister(ctx context.Context, who Caller, team, name string) error {
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return err
	}
	if err := who.may(me, now, actRegister, team, rights[actRegister]...); err != nil {
		return err
	}
	if r.shelf.find(team, name) == nil {
		return noModel(name)
	}
	return nil
}

// copied resolves a source of the form models:/NAME/VERSION or models:/NAME@ALIAS
// to where that version's bytes are, and returns the model version that they are,
// or "-" where they are not known. Sources of other forms are left alone; so is
// models:/m-ID, which is the tracking server's.
func (r *Registry) copied(ctx context.Context, who Caller, in *record.RegisteredVersion) (from string, err error) {
	path, ok := strings.CutPrefix(in.Source, "models:/")
	if !ok {
		return "", nil
	}
	path = strings.TrimLeft(path, "/")
	name, version, byNumber := strings.Cut(path, "/")
	alias := ""
	if !byNumber {
		if name, alias, ok = strings.Cut(path, "@"); !ok {
			return "", nil
		}
	}
	m, err := r.RegisteredModel(ctx, who, in.Team, name)
	if err != nil {
		return "", err
	}
	number := m.Model.Aliases[alias]
	if byNumber {
		if number, err = strconv.Atoi(version); err != nil {
			return "", refusef(wire.Invalid, "Invalid model version source: '%s'. It names no version by its number; name one, as in models:/NAME/3", in.Source)
		}
	}
	_, v, err := r.HandOut(ctx, who, in.Team, name, number)
	if err != nil {
		return "", err
	}
	if v.Status != record.RegistrationReady {
		return "", refusef(wire.Invalid, "Invalid model version source: '%s'. That version is not ready: %s; register it again when it is", in.Source, unknownBytes(*v))
	}
	in.Source = "models:/" + name + "/" + strconv.Itoa(number)
	in.Location = v.Source
	if v.Location != "" {
		in.Location = v.Location
	}
	if in.Run == "" {
		in.Run = v.Run
	}
	if in.ModelID == "" {
		in.ModelID = v.ModelID
	}
	if v.Model == "" {
		return "-", nil
	}
	return v.Model, nil
}

// copy makes a version of the bytes that another model version is.
func (t *tx) copy(v *record.RegisteredVersion, from string) error {
	v.Status = record.RegistrationReady
	if from == "-" {
		return nil
	}
	old, err := need[record.ModelVersion](t, record.KeyVersion(from), "the model version "+from, "it was registered with another model")
	if err != nil {
		return err
	}
	b := old.Record
	return t.stateVersion(v, Hashed{
		Manifest: artifact.Manifest{Files: b.Files}, Findings: b.Findings, Type: b.Type, Run: b.Run, Bases: b.Bases, Prompt: b.Prompt,
	})
}

// AmendRegisteredVersion changes what is said of a version. The text of a prompt
// that was hashed stays.
func (r *Registry) AmendRegisteredVersion(ctx context.Context, who Caller, team, name string, number int, a Amendment) error {
	_, err := onName[record.RegisteredVersion](ctx, r, who, team, name, func(t *tx) error {
		if err := t.within(actRegister, team); err != nil {
			return err
		}
		_, v, entry, err := t.numbered(team, name, number)
		if err != nil {
			return err
		}
		text := v.Tags[promptTextTag]
		var changed bool
		if v.Tags, changed = a.apply(&v.Description, v.Tags); !changed {
			t.answer = []lineage.Entry{entry}
			return nil
		}
		if v.Artifact != "" && v.Tags[promptTextTag] != text {
			return refusef(wire.Refused, "the text of the prompt %s, version %d, is what may be released; register another version for another text", name, number)
		}
		if a.Description != nil {
			v.Updated = t.now
		}
		return t.state(v)
	})
	return err
}

// DeleteRegisteredVersion takes a version and the aliases that point to it out
// of the registry.
func (r *Registry) DeleteRegisteredVersion(ctx context.Context, who Caller, team, name string, number int) error {
	_, err := onName[record.RegisteredVersion](ctx, r, who, team, name, func(t *tx) error {
		if err := t.within(actRegister, team); err != nil {
			return err
		}
		m, v, _, err := t.numbered(team, name, number)
		if err != nil {
			return err
		}
		if err := t.mayTakeAway(m, []record.RegisteredVersion{v}); err != nil {
			return err
		}
		v.Deleted, v.Updated = true, t.now
		m.Aliases = maps.Clone(m.Aliases)
		maps.DeleteFunc(m.Aliases, func(_ string, n int) bool { return n == number })
		m.Updated = t.now
		if err := t.state(v); err != nil {
			return err
		}
		return t.state(m)
	})
	return err
}

// aliasesOf returns the aliases that point to a version, in order.
func aliasesOf(m record.RegisteredModel, number int) []string {
	var out []string
	for a, n := range m.Aliases {
		if n == number {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return out
}

// modelNamed is the name under which the versions of a registered model become
// model versions. A name that has to be changed for it gets a mark, so that no
// two meet.
func modelNamed(name string) string {
	slug := make([]byte, 0, len(name))
	for _, c := range []byte(name) {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			c = '-'
		}
		slug = append(slug, c)
	}
	if strings.IndexByte("._-", slug[0]) >= 0 {
		slug[0] = 'm'
	}
	if string(slug) == name && len(slug) <= record.MaxNames {
		return name
	}
	mark := "-" + record.DigestOf([]byte(name)).Short()
	return string(slug[:min(len(slug), record.MaxNames-len(mark))]) + mark
}

func versionRef(team, name string, number int) string {
	return team + "/" + modelNamed(name) + "@" + strconv.Itoa(number)
}
