package main

import (
	"fmt"

	"imprimatur.dev/client"
	"imprimatur.dev/tracking"
	"imprimatur.dev/wire"
)

// runs has the server record every run that it has not recorded with a version,
// page by page, so that nothing is kept of them but counts.
func (c *importMLflowCmd) runs(a *app, from *tracking.Client, has *theirs, out *importedMLflow) error {
	experiments, err := collect(from.Experiments(a.ctx))
	if err != nil {
		return elsewhere(err)
	}
	out.Experiments = len(experiments)
	progress, end := a.progress("reporting runs")
	defer end()
	r := reporting{a: a, team: c.Team, ours: a.client(), into: out}
	for i, e := range experiments {
		progress(int64(i), int64(len(experiments)))
		for run, err := range from.Runs(a.ctx, e.ID) {
			if err != nil {
				return elsewhere(err)
			}
			out.Runs++
			if _, named := has.runs[run.Info.ID]; named {
				has.runs[run.Info.ID] = true
			} else {
				r.models += len(run.Outputs.Models)
			}
			if err := r.run(run.Info.ID); err != nil {
				return err
			}
		}
	}
	r.lost()
	return nil
}

// reporting is what became of the runs so far.
type reporting struct {
	a    *app
	team string
	ours *client.Client
	into *importedMLflow
	// blind is the server's sentence where it reads no MLflow: it is asked once.
	blind string
	// models are those that the runs logged, unread the inputs without a digest.
	models, unread int
}

func (r *reporting) run(id string) error {
	if r.blind != "" {
		r.into.RunsLeft++
		return nil
	}
	got, err := r.ours.ReportRun(r.a.ctx, wire.NamedRun{Team: r.team, Run: id})
	switch {
	case err == nil && got.Known:
		r.into.RunsKnown++
	case err == nil:
		r.into.Reported++
		r.unread += got.Unread
	case refusedAs(err, wire.Refused):
		r.into.RunsLeft++
		r.blind = err.Error()
	case refusedAs(err, wire.Invalid) || refusedAs(err, wire.Unknown):
		if r.into.RunsLeft++; r.into.RunsLeft <= toldFaults {
			r.into.Refused = append(r.into.Refused, err.Error())
		}
	default:
		return err
	}
	return nil
}

// lost says what of the runs has no place here.
func (r *reporting) lost() {
	lose := func(n int, what, why string) {
		if n > 0 {
			r.into.Lost = append(r.into.Lost, fmt.Sprintf("%s: %s", count(n, what), why))
		}
	}
	if r.blind != "" {
		lose(r.into.RunsLeft, "run", r.blind)
	} else if more := r.into.RunsLeft - toldFaults; more > 0 {
		r.into.Refused = append(r.into.Refused, fmt.Sprintf("and %s more", count(more, "run")))
	}
	lose(r.models, "logged model", "no version is registered of them, so that their bytes are not read; register those that matter")
	lose(r.unread, "input of runs", "their bytes cannot be read here; each run says why")
}
