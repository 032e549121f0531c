package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"

	"imprimatur.dev/wire"
)

// An alias or a stage that an environment lists among its aliases means that
// environment: to set it is to ask for a promotion, and to take it away takes
// the right to promote. Stages are compared without regard to case, aliases as
// they are. All other aliases and stages are nobody's business but the team's.

// meaning returns the environments that an alias or a stage means.
func (t *tx) meaning(alias string, stage bool) ([]record.Environment, error) {
	all, err := t.environments()
	if err != nil {
		return nil, err
	}
	var out []record.Environment
	for _, e := range all {
		if e.Means(alias, stage) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (t *tx) environments() ([]record.Environment, error) {
	entries, err := t.view.LastOfEach(record.KeyEnvironment(""))
	if err != nil {
		return nil, err
	}
	found, err := t.decode(entries)
	if err != nil {
		return nil, err
	}
	out := make([]record.Environment, 0, len(found))
	for _, e := range found {
		if env, ok := e.Statement.Body.(record.Environment); ok {
			out = append(out, env)
		}
	}
	return out, nil
}

// SetAlias points an alias to a version. Where the alias means an environment
// the version's release is promoted with it, or both are refused.
func (r *Registry) SetAlias(ctx context.Context, who Caller, team, name, alias string, number int) error {
	promote := func(t *tx) (m record.RegisteredModel, v record.RegisteredVersion, promotes bool, err error) {
		means, err := t.meaning(alias, false)
		if err != nil {
			return m, v, false, err
		}
		if m, v, err = t.movable(team, name, number, means); err != nil {
			return m, v, false, err
		}
		return m, v, len(means) > 0, t.promoteInto(means, v, fmt.Sprintf("The alias %s of %s", alias, name))
	}
	err := r.beforeMove(ctx, who, alias, promote)
	if err != nil {
		return err
	}
	_, err = onName[record.RegisteredModel](ctx, r, who, team, name, func(t *tx) error {
		m, _, _, err := promote(t)
		if err != nil {
			return err
		}
		m.Aliases = maps.Clone(m.Aliases)
		if m.Aliases == nil {
			m.Aliases = map[string]int{}
		}
		m.Aliases[alias] = number
		return t.state(m)
	})
	return err
}

// movable returns a version for a caller who may move it: who registers, or a
// workload of an environment that the move means.
func (t *tx) movable(team, name string, number int, means []record.Environment) (record.RegisteredModel, record.RegisteredVersion, error) {
	mine := slices.ContainsFunc(means, func(e record.Environment) bool { return slices.Contains(e.Workloads, t.who.Name) })
	if !mine {
		if err := t.within(actRegister, team); err != nil {
			return record.RegisteredModel{}, record.RegisteredVersion{}, err
		}
	}
	m, v, _, err := t.numbered(team, name, number)
	return m, v, err
}

// promoteInto promotes the version's release into every environment that is
// meant, or refuses with what each lacks.
func (t *tx) promoteInto(means []record.Environment, v record.RegisteredVersion, what string) error {
	for _, env := range means {
		if err := t.promoteVersion(env, v, what); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) promoteVersion(env record.Environment, v record.RegisteredVersion, what string) error {
	if v.Artifact == "" {
		return refusef(wire.Refused, "%s means %s, and the bytes of version %d are not known here (%s), so no release can name them; register it from where the server can read it, or with imprimatur model register",
			what, env.Name, v.Version, unknownBytes(v))
	}
	releases, err := lineage.All[record.Release](t, record.KeyReleasesOf(v.Model[:strings.LastIndexByte(v.Model, '@')]))
	if err != nil {
		return err
	}
	var why error
	for _, rel := range slices.Backward(releases) {
		b := rel.Record.Behaviour
		if b.Artifact != v.Artifact || b.Model+"@"+b.Version != v.Model || rel.Record.Context.Environment != env.Name {
			continue
		}
		err := t.promoteRelease(record.ReleaseID(rel.Digest), what, env.Name)
		if err == nil {
			return nil
		}
		var refused *Error
		if !errors.As(err, &refused) {
			return err
		}
		// The newest release is the one to mend.
		if why == nil {
			why = err
		}
	}
	if why != nil {
		return why
	}
	return refusef(wire.Refused, "%s means %s, and nobody has proposed a release of %s for it; propose one: imprimatur release propose %s --use-case USECASE --environment %s",
		what, env.Name, v.Model, v.Model, env.Name)
}

func unknownBytes(v record.RegisteredVersion) string {
	switch v.Status {
	case record.RegistrationPending:
		return "they are being read"
	case record.RegistrationFailed:
		return v.Message
	}
	return "nothing here can read " + v.Source
}

// promoteRelease promotes a release, unless it is live and stands already.
func (t *tx) promoteRelease(id, what, environment string) error {
	c, err := t.examine(id)
	if err != nil {
		return err
	}
	switch {
	case c.Status == record.Live && c.Stands:
		return nil
	case c.Status == record.Suspended || c.Status == record.Retired:
		return stopped(id, c.Status)
	case !c.Verdict.Passed:
		return refusedBy(t.named(c), fmt.Sprintf("%s means %s, and the release %s", what, environment, id))
	}
	if c, err = t.deployable(id); err != nil {
		return err
	}
	return t.promote(c, record.Promotion{How: record.Promote, Until: c.Verdict.Until})
}

// DeleteAlias takes an alias away; one that is not there is none to take.
func (r *Registry) DeleteAlias(ctx context.Context, who Caller, team, name, alias string) error {
	_, err := onName[record.RegisteredModel](ctx, r, who, team, name, func(t *tx) error {
		means, err := t.meaning(alias, false)
		if err != nil {
			return err
		}
		if err := t.within(actRegister, team); err != nil {
			return err
		}
		m, entry, err := t.registered(team, name)
		if err != nil {
			return err
		}
		if _, ok := m.Aliases[alias]; !ok {
			t.answer = []lineage.Entry{entry}
			return nil
		}
		if err := t.mayLeave(means, team); err != nil {
			return err
		}
		m.Aliases = maps.Clone(m.Aliases)
		delete(m.Aliases, alias)
		return t.state(m)
	})
	return err
}

// mayLeave refuses who takes something away from an environment without the
// right to put something there.
func (t *tx) mayLeave(means []record.Environment, team string) error {
	for _, e := range means {
		if !slices.Contains(e.Workloads, t.who.Name) {
			return t.may(actPromote, team)
		}
	}
	return nil
}

// mayTakeAway refuses to take versions away that an alias or a stage says are in
// an environment, but to who may promote.
func (t *tx) mayTakeAway(m record.RegisteredModel, versions []record.RegisteredVersion) error {
	for _, v := range versions {
		means, err := t.meaning(v.Stage, true)
		if err != nil {
			return err
		}
		for _, a := range aliasesOf(m, v.Version) {
			more, err := t.meaning(a, false)
			if err != nil {
				return err
			}
			means = append(means, more...)
		}
		if err := t.mayLeave(means, m.Team); err != nil {
			return err
		}
	}
	return nil
}

// MoveStage moves a version to a stage, and with archive all others that are
// there to the archive. Where the stage means an environment, the version's
// release is promoted with it, or both are refused.
func (r *Registry) MoveStage(ctx context.Context, who Caller, team, name string, number int, stage string, archive bool) error {
	promote := func(t *tx) (m record.RegisteredModel, v record.RegisteredVersion, promotes bool, err error) {
		means, err := t.meaning(stage, true)
		if err != nil {
			return m, v, false, err
		}
		if m, v, err = t.movable(team, name, number, means); err != nil {
			return m, v, false, err
		}
		leaves, err := t.meaning(v.Stage, true)
		if err != nil {
			return m, v, false, err
		}
		if v.Stage != stage {
			if err := t.mayLeave(leaves, team); err != nil {
				return m, v, false, err
			}
		}
		return m, v, len(means) > 0, t.promoteInto(means, v, fmt.Sprintf("The stage %s of %s", stage, name))
	}
	err := r.beforeMove(ctx, who, stage, promote)
	if err != nil {
		return err
	}
	_, err = onName[record.RegisteredVersion](ctx, r, who, team, name, func(t *tx) error {
		m, v, _, err := promote(t)
		if err != nil {
			return err
		}
		v.Stage, v.Updated, m.Updated = stage, t.now, t.now
		if err := t.state(v); err != nil {
			return err
		}
		if archive {
			if err := t.archive(m, number, stage); err != nil {
				return err
			}
		}
		return t.state(m)
	})
	return err
}

// archive moves the other versions of a stage to the archive.
func (t *tx) archive(m record.RegisteredModel, but int, stage string) error {
	versions, err := t.versionsOf(m)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Version != but && v.Stage == stage {
			v.Stage, v.Updated = record.StageArchived, t.now
			if err := t.state(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// HandOut returns a version to a caller who may have it. A workload that an
// environment names as its own gets a version only while a release of its bytes
// stands in one of its environments: else it could load by number what its
// alias is refused.
func (r *Registry) HandOut(ctx context.Context, who Caller, team, name string, number int) (*Registered, *record.RegisteredVersion, error) {
	m, v, err := r.RegisteredVersion(ctx, who, team, name, number)
	if err != nil {
		return nil, nil, err
	}
	return m, v, r.standsFor(ctx, who, v)
}

// standsFor is the gate of HandOut.
func (r *Registry) standsFor(ctx context.Context, who Caller, v *record.RegisteredVersion) error {
	environments := r.shelf.environmentsOf(who.Name)
	if len(environments) == 0 {
		return nil
	}
	var reasons []string
	if v.Artifact == "" {
		environments, reasons = nil, []string{"its bytes are not known here: " + unknownBytes(*v)}
	}
	for _, e := range environments {
		d := r.Decide(ctx, e, v.Artifact)
		if d.Allowed {
			return nil
		}
		reasons = append(reasons, d.Reasons...)
	}
	return refusef(wire.Refused, "%s runs in production and may not have version %d of %s until a release of it stands, see imprimatur release list: %s", who.Name, v.Version, v.Name, sentence(reasons))
}
