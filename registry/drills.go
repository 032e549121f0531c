package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/artifact"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Drill tries whether a release could take over now, and states what came of it:
// a dry promotion, with the bytes read again. They are read here where MLflow's
// clients registered them, and otherwise by the caller, who sends what was found.
// A drill that fails is stated as well; only one that could not be made is refused.
func (r *Registry) Drill(ctx context.Context, who Caller, id string, in wire.DrillRequest) (record.Recorded[record.Drill], error) {
	var none record.Recorded[record.Drill]
	var approved record.ModelVersion
	var registered record.RegisteredVersion
	err := r.read(ctx, who, func(t *tx) error {
		if err := who.mayState(); err != nil {
			return err
		}
		c, err := t.drillable(id)
		if err != nil {
			return err
		}
		approved = c.dossier.Version.Record
		registered, _ = r.registeredAs(teamOf(approved.Model), approved.Ref())
		return nil
	})
	if err != nil {
		return none, err
	}
	bytes, err := r.drillBytes(ctx, who, id, approved, registered, in)
	if err != nil {
		return none, err
	}
	return command[record.Drill](ctx, r, who, func(t *tx) error {
		c, err := t.drillable(id)
		if err != nil {
			return err
		}
		return t.state(record.Drill{
			Release: id, Line: c.Line, Record: c.Digests.Record, Artifact: c.Release.Record.Behaviour.Artifact,
			Checks: []record.DrillCheck{t.drillStands(c), bytes},
		})
	})
}

// drillable examines a release that ran or runs, for who may promote it.
func (t *tx) drillable(id string) (*examined, error) {
	c, err := t.deployable(id)
	if err != nil {
		return nil, err
	}
	if !ranBefore(c.dossier.History, id) {
		return nil, refusef(wire.Conflict, "the release %s never ran, so there is nothing to go back to; promote it first: imprimatur release promote %s", id, id)
	}
	return c, nil
}

// drillStands is everything that a promotion asks but for the bytes.
func (t *tx) drillStands(c *examined) record.DrillCheck {
	x := record.DrillCheck{Name: record.DrillStands}
	switch {
	case c.Status == record.Suspended || c.Status == record.Retired:
		x.Detail = short("A promotion would be refused: " + stopped(c.ID, c.Status).Error())
	case !c.Verdict.Passed:
		var why []string
		for _, g := range c.Verdict.Blocking() {
			why = append(why, g.Name+": "+g.Reason)
		}
		x.Detail = short("A promotion would be refused. " + strings.Join(why, " "))
	default:
		x.OK, x.Detail = true, fmt.Sprintf("It is %s, and every gate passes.", c.Status)
	}
	return x
}

// drillBytes reads the bytes of a version again, or takes what the caller found.
func (r *Registry) drillBytes(ctx context.Context, who Caller, id string, approved record.ModelVersion, registered record.RegisteredVersion, in wire.DrillRequest) (record.DrillCheck, error) {
	x := record.DrillCheck{Name: record.DrillBytes}
	if registered.Model != "" && len(in.Files) == 0 {
		err := r.unchanged(ctx, registered, approved.Files)
		var refusal *Error
		switch {
		case errors.As(err, &refusal):
			x.Detail = short("The server did not find them: " + refusal.Error())
		case err != nil:
			return x, err
		default:
			x.OK, x.Detail = true, short(fmt.Sprintf("The server read %d files, which are those that were approved.", len(approved.Files)))
		}
		return x, nil
	}
	if len(in.Files) == 0 {
		return x, refusef(wire.Invalid, "nothing here can read the bytes of %s; try it on a machine that has them: imprimatur release drill %s --model PATH", approved.Ref(), id)
	}
	found := artifact.Manifest{Files: in.Files}
	if err := found.Validate(); err != nil {
		return x, refusef(wire.Invalid, "the list of files is not one: %w; let imprimatur release drill %s --model PATH make it", err, id)
	}
	var diff *artifact.Mismatch
	switch {
	case len(approved.Files) > 0 && errors.As(artifact.Manifest{Files: approved.Files}.Compare(found), &diff):
		x.Detail = short(fmt.Sprintf("What %s read is not what was approved: %s.", who.Name, diff))
	case len(approved.Files) == 0 && record.Digest(found.Digest()) != approved.Artifact:
		x.Detail = fmt.Sprintf("What %s read has the digest %s, and %s was approved.", who.Name, record.Digest(found.Digest()).Short(), approved.Artifact.Short())
	default:
		x.OK, x.Detail = true, fmt.Sprintf("%s read %d files, %d bytes, which are those that were approved.", who.Name, len(found.Files), found.Size())
	}
	return x, nil
}

// drillsAgain asks whoever may drill to try again what a live release goes back to,
// while that is still proved.
func (t *tx) drillsAgain(c *examined, me record.Person, w wire.Waiting) []wire.Waiting {
	before, from, until := c.policy.DrillDue(c.dossier, t.now)
	if c.Status != record.Live || before == "" || from.After(t.now) {
		return nil
	}
	role, ok := holdsOne(me, rights[actPromote], c.Release.Record.Behaviour.Model, t.now)
	who := t.holding(me, role, c.Release.Record.Behaviour.Model)
	if !ok {
		if me.Principal.Type != record.Workload || !slices.Contains(c.dossier.Environment.Record.Workloads, me.Principal.Name) {
			return nil
		}
		who = fmt.Sprintf("The environment %s names the workload %s", c.Release.Record.Context.Environment, me.Principal.Name)
	}
	w.Act, w.Role, w.Drill, w.Since, w.Due, w.Gates = wire.WaitsDrill, role, before, from, until, []string{"rollback"}
	w.Why = fmt.Sprintf("That the release before, %s, can take over was tried long ago: from %s on the gate rollback of %s passes no more, unless somebody tries again. %s.", before, until.Format("2 January 2006, 15:04 UTC"), c.ID, who)
	w.Do = "imprimatur release drill " + before
	return []wire.Waiting{w}
}
