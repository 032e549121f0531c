package registry

import (
	"context"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// CreateTeam creates a team, or renames what it is shown as.
func (r *Registry) CreateTeam(ctx context.Context, who Caller, team record.Team) (record.Recorded[record.Team], error) {
	return command[record.Team](ctx, r, who, func(t *tx) error {
		if err := t.may(actTeam, record.AllTeams); err != nil {
			return err
		}
		return t.state(team)
	})
}

// team refuses a team that was never created. None is taken away, so that one
// that was seen needs no second look.
func (t *tx) team(name string) error {
	if t.reg.shelf.has(name) {
		return nil
	}
	_, err := need[record.Team](t, record.KeyTeam(name), "the team "+name, "an administrator can create it: imprimatur principal team "+name)
	return err
}

// teamOf returns the team of a "team/name" reference.
func teamOf(ref string) string { return record.TeamOf(ref) }

// SetEnvironment creates an environment or changes one.
func (r *Registry) SetEnvironment(ctx context.Context, who Caller, e record.Environment) (record.Recorded[record.Environment], error) {
	return command[record.Environment](ctx, r, who, func(t *tx) error {
		if err := t.may(actPlace, record.AllTeams); err != nil {
			return err
		}
		return t.state(e)
	})
}

// within refuses unless the team exists and the caller may act in it, or on the
// one model "team/name" of it.
func (t *tx) within(a act, where string) error {
	if err := t.team(teamOf(where)); err != nil {
		return err
	}
	return t.may(a, where)
}

// RecordRun records a training run. The actor is who ran it; a run is attested
// when the actor is a workload, the pipeline's own identity. What a tracking
// server reported of the same run gives way to it.
func (r *Registry) RecordRun(ctx context.Context, who Caller, run record.Run) (record.Recorded[record.Run], error) {
	return command[record.Run](ctx, r, who, func(t *tx) error {
		if err := run.Validate(); err != nil {
			return err
		}
		if err := t.within(actRun, run.Team); err != nil {
			return err
		}
		if run.Finished.After(t.now) {
			return refusef(wire.Invalid, "the run finished in the future, at %s; check the pipeline's clock", run.Finished)
		}
		return t.ownWord(run)
	})
}

// RegisterModel registers a model's name, or changes what is said of it. Nobody
// gets rights by registering.
func (r *Registry) RegisterModel(ctx context.Context, who Caller, m record.Model) (record.Recorded[record.Model], error) {
	return command[record.Model](ctx, r, who, func(t *tx) error {
		if err := t.within(actModel, m.Ref()); err != nil {
			return err
		}
		return t.state(m)
	})
}

// RegisterVersion registers a model version: the digest of bytes that never
// change under it.
func (r *Registry) RegisterVersion(ctx context.Context, who Caller, v record.ModelVersion) (record.Recorded[record.ModelVersion], error) {
	return command[record.ModelVersion](ctx, r, who, func(t *tx) error {
		if err := v.Validate(); err != nil {
			return err
		}
		if err := t.within(actModel, v.Model); err != nil {
			return err
		}
		if v.Service != nil {
			return refusef(wire.Invalid, "a vendor's service has no bytes to register; take it as a version with imprimatur vendor accept %s", v.Ref())
		}
		if _, err := need[record.Model](t, record.KeyModel(v.Model), "the model "+v.Model, "register it first: imprimatur model create "+v.Model); err != nil {
			return err
		}
		if v.Run != "" {
			if _, err := need[record.Run](t, record.KeyRun(v.Run), "the training run "+v.Run, "the pipeline records it: imprimatur run record"); err != nil {
				return err
			}
		}
		return once(t, record.KeyVersion(v.Ref()), v, "the model version "+v.Ref())
	})
}

// RegisterUseCase registers a use case or changes it. A change of tier, owner
// or environments shows in the context part of later releases.
func (r *Registry) RegisterUseCase(ctx context.Context, who Caller, u record.UseCase) (record.Recorded[record.UseCase], error) {
	return command[record.UseCase](ctx, r, who, func(t *tx) error {
		if err := u.Validate(); err != nil {
			return err
		}
		if err := t.within(actUseCase, u.Team); err != nil {
			return err
		}
		if err := knownCases(u); err != nil {
			return err
		}
		for _, e := range u.Environments {
			if _, err := need[record.Environment](t, record.KeyEnvironment(e), "the environment "+e, "an administrator can set it up: imprimatur principal environment "+e); err != nil {
				return err
			}
		}
		return t.state(u)
	})
}
