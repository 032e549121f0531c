package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Reporter reads the run that a registered version names from its tracking
// server; of one that no version names, the version has only the team and the run. An error that wraps [ErrNoRun] says that the run is not there; any
// other is a sentence, and the registration fails with it.
type Reporter func(ctx context.Context, v record.RegisteredVersion) (Report, error)

// Report is what a tracking server says of a run.
type Report struct {
	// Run has neither team nor outputs, which the registration gives it; one that
	// no version names has none. Where it has no Finished time it still runs.
	Run record.Run
	// Datasets are those that it read and whose bytes were hashed, each with name,
	// digest, source and labels.
	Datasets []record.Dataset
	// Raw is the server's answer, which is kept whole.
	Raw []byte
}

// ErrNoRun is wrapped where the tracking server knows no such run.
var ErrNoRun = errors.New("the tracking server has no such run")

// readVersion reads a version's bytes, and what is said of the run that they come from.
func (r *Registry) readVersion(ctx context.Context, v record.RegisteredVersion) (Hashed, error) {
	found, err := r.reader(ctx, v)
	v.Run = cmp.Or(v.Run, found.MLflowRun)
	if err != nil || r.reports == nil || v.Run == "" || IsPrompt(v.Tags) {
		return found, err
	}
	report, err := r.reports(ctx, v)
	if errors.Is(err, ErrNoRun) {
		found.Note = cut(fmt.Sprintf("no run is recorded with it: %v", err))
		return found, nil
	}
	if err != nil {
		return found, err
	}
	found.Report = &report
	return found, r.keepAnswer(ctx, &report)
}

// keepAnswer keeps a tracking server's answer: bytes that a statement names are
// durable before it is.
func (r *Registry) keepAnswer(ctx context.Context, report *Report) error {
	raw, _, err := r.blobs.Put(ctx, bytes.NewReader(report.Raw))
	report.Run.Reported.Raw = record.Digest(raw)
	return err
}

// ReportRun has the tracking server asked for a run that no registered version
// need name, and records what it says on behalf of the caller, without outputs
// where no version came of it. A run that its pipeline recorded, or that had
// ended when it was reported, is known and not asked for again.
func (r *Registry) ReportRun(ctx context.Context, who Caller, in wire.NamedRun) (wire.ReportedRun, error) {
	ref := in.Team + "/" + in.Run
	known := false
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.within(actRun, in.Team); err != nil {
			return err
		}
		stated, err := lineage.All[record.Run](t, record.KeyRun(ref))
		known = slices.ContainsFunc(stated, func(s record.Recorded[record.Run]) bool { return s.Record.Reported.Ended() })
		return err
	})
	if err != nil || known {
		return wire.ReportedRun{Run: ref, Known: known}, err
	}
	if r.reports == nil {
		return wire.ReportedRun{}, refusef(wire.Refused, "this server reads no MLflow, and records no run that it has not read there; its operator can name one: imprimatur serve --mlflow-tracking URL")
	}
	report, err := r.reports(ctx, record.RegisteredVersion{Team: in.Team, Run: in.Run})
	switch {
	case errors.Is(err, ErrNoRun):
		return wire.ReportedRun{}, refusef(wire.Unknown, "the run %s is not recorded: %v; the server looks in the MLflow that imprimatur serve --mlflow-tracking names", ref, err)
	case err != nil:
		return wire.ReportedRun{}, refusef(wire.Invalid, "%w", fmt.Errorf("the run %s is not recorded: %w", ref, err))
	}
	if err := r.keepAnswer(ctx, &report); err != nil {
		return wire.ReportedRun{}, err
	}
	got, err := command[record.Run](ctx, r, who, func(t *tx) error {
		if err := t.within(actRun, in.Team); err != nil {
			return err
		}
		_, _, err := t.report(in.Team, nil, &report)
		return err
	})
	if err != nil {
		return wire.ReportedRun{}, err
	}
	return wire.ReportedRun{Run: ref, Unread: len(got.Record.Reported.Unread)}, nil
}

// report states a run as it was reported, with the version that was made, where
// there is one, and the datasets that nobody has registered, and returns its
// "team/id". What the pipeline itself stated of the run stands before any report.
// The answer is empty, with a note, where the caller may not record runs.
func (t *tx) report(team string, made []record.Resource, report *Report) (ref, note string, err error) {
	run := report.Run
	run.Team, run.Outputs = team, slices.Concat([]record.Resource{}, made)
	if run.Finished.IsZero() || run.Finished.After(t.now) {
		run.Finished = t.now
	}
	if run.Started.IsZero() || run.Started.After(run.Finished) {
		run.Started = run.Finished
	}
	if err := t.may(actRun, team); err != nil {
		return "", cut(fmt.Sprintf("the run %s is not recorded: %v", run.Ref(), err)), nil
	}
	stated, err := lineage.All[record.Run](t, record.KeyRun(run.Ref()))
	if err != nil {
		return "", "", err
	}
	for _, old := range stated {
		if old.Record.Reported == nil {
			if len(joined(old.Record.Outputs, made)) == len(old.Record.Outputs) {
				return run.Ref(), "", nil
			}
			return "", cut(fmt.Sprintf("the run %s, as its pipeline recorded it, did not make these bytes", run.Ref())), nil
		}
		run.Outputs, run.Inputs = joined(old.Record.Outputs, run.Outputs), joined(old.Record.Inputs, run.Inputs)
	}
	if err := run.Validate(); err != nil {
		return "", "", fmt.Errorf("what %s reports of the run %s cannot be recorded: %w", run.Reported.By, run.ID, err)
	}
	sets, err := t.reportedData(team, report.Datasets)
	if err != nil {
		return "", "", err
	}
	for _, d := range sets {
		if err := t.state(d); err != nil {
			return "", "", err
		}
	}
	return run.Ref(), "", t.state(run)
}

func joined(old, more []record.Resource) []record.Resource {
	out := slices.Clone(old)
	for _, m := range more {
		if !slices.ContainsFunc(out, func(o record.Resource) bool { return o.Digest == m.Digest }) {
			out = append(out, m)
		}
	}
	return out
}

// reportedData returns the datasets that a run read and nobody has registered,
// as they are registered with it. Of whoever may not register data there are
// none: the verdict says that they are unknown.
func (t *tx) reportedData(team string, sets []record.Dataset) ([]record.Dataset, error) {
	if t.may(actDataset, team) != nil {
		return nil, nil
	}
	owner, err := t.answering()
	if err != nil {
		return nil, err
	}
	var out []record.Dataset
	for _, d := range sets {
		_, _, stands, err := last[record.Dataset](t, record.KeyDataset(d.Digest))
		if err != nil {
			return nil, err
		}
		if stands || slices.ContainsFunc(out, func(o record.Dataset) bool { return o.Digest == d.Digest }) {
			continue
		}
		// The version is of the bytes, so that no name stands for two.
		d.Team, d.Name, d.Version = team, modelNamed(d.Name), d.Digest.Short()
		d.Classification, d.Owner = unclassified, owner
		if err := d.Validate(); err != nil {
			return nil, fmt.Errorf("the dataset %s cannot be registered: %w", d.Name, err)
		}
		out = append(out, d)
	}
	return out, nil
}

// unclassified is the classification of data that a tracking server named: it
// knows none.
const unclassified = "unclassified"

// answering is who answers for what the caller registers: the caller, or a
// workload's owner.
func (t *tx) answering() (string, error) {
	me, err := t.person(t.who.Name)
	if err != nil {
		return "", err
	}
	if me.Principal.Type == record.Workload {
		return me.Principal.Owner, nil
	}
	return t.who.Name, nil
}

// ownWord refuses what only the server itself may say of a run, and passes over
// reports: the pipeline's own word replaces them.
func (t *tx) ownWord(run record.Run) error {
	if run.Reported != nil {
		return refusef(wire.Invalid, "a run that is recorded is the pipeline's own word; send it without reported, which only the server itself writes")
	}
	stated, err := lineage.All[record.Run](t, record.KeyRun(run.Ref()))
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(stated, func(r record.Recorded[record.Run]) bool { return r.Record.Reported == nil }) {
		return t.state(run)
	}
	return once(t, record.KeyRun(run.Ref()), run, "the run "+run.Ref())
}
