package registry

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type evaluated = record.Recorded[record.Evaluation]

// RecordEvaluations reads evidence that was kept before ([Registry.KeepEvidence])
// and records one evaluation for each suite in it, all or none; it answers with
// all of them in the order of their suites. What the caller says is the run that
// surrounds the files, never a result (rule 3). With the envelope of a signed
// run, which names every file, the evaluations are of the assurance signed-run.
//
// Each evaluation is counted as a try on its dataset. The same files of the same
// model are one try however often they are recorded, and are not fresher for it:
// where nothing is read differently than before, what stands is answered.
func (r *Registry) RecordEvaluations(ctx context.Context, who Caller, in wire.Submission) ([]evaluated, error) {
	run, filled, err := r.runOf(ctx, who, in)
	if err != nil {
		return nil, err
	}
	reading, err := r.readEvidence(ctx, in.Files, run)
	if err != nil {
		return nil, err
	}
	for i := range reading.Evaluations {
		seal(&reading.Evaluations[i], in.Envelope, filled)
	}
	// Once is enough, however often the command runs again.
	keep := sync.OnceValue(func() error {
		if len(in.Envelope) == 0 {
			return nil
		}
		return r.blobs.PutAs(ctx, string(record.DigestOf(in.Envelope)), bytes.NewReader(in.Envelope))
	})
	var out []evaluated
	entries, err := r.write(ctx, who, func(t *tx) error {
		// What stands is answered in any case, so a repeated request needs no
		// answer of its own.
		if err := t.repeated(); err != nil {
			return err
		}
		t.answer, t.before = nil, keep
		if len(in.Envelope) > 0 {
			if _, err := t.signedRun(in.Envelope); err != nil {
				return err
			}
		}
		if err := t.mayRecord(run); err != nil {
			return err
		}
		out, err = t.record(reading.Evaluations)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if out[i].Statement == "" {
			out[i] = recorded(entries[0], entries[0].Statement.Body.(record.Evaluation))
			entries = entries[1:]
		}
	}
	return out, nil
}

// runOf puts together what surrounds the files: the signed run, completed by
// what the caller says. It refuses what can be refused before the files are read.
func (r *Registry) runOf(ctx context.Context, who Caller, in wire.Submission) (run record.EvaluationRun, filled []string, err error) {
	err = r.read(ctx, who, func(t *tx) error {
		run = in.Run
		if len(in.Envelope) > 0 {
			signed, err := t.signedRun(in.Envelope)
			if err != nil {
				return err
			}
			if err := wrote(signed, in.Files); err != nil {
				return err
			}
			if run, filled, err = signed.Complete(in.Run); err != nil {
				return refusef(wire.Invalid, "%w; give what it leaves open, and nothing else", err)
			}
		}
		if run.Artifact == "" {
			return refusef(wire.Invalid, "it is not said which model was evaluated; name it with --model team/name@version")
		}
		if run.Team == "" {
			if run.Team, err = t.teamOfArtifact(run.Artifact); err != nil {
				return err
			}
		}
		return t.mayRecord(run)
	})
	return run, filled, err
}

// teamOfArtifact returns the one team that has the model.
func (t *tx) teamOfArtifact(artifact record.Digest) (string, error) {
	versions, err := lineage.All[record.ModelVersion](t, record.KeyArtifact(artifact))
	if err != nil {
		return "", err
	}
	var teams []string
	for _, v := range versions {
		if team := teamOf(v.Record.Model); !slices.Contains(teams, team) {
			teams = append(teams, team)
		}
	}
	if len(teams) == 1 {
		return teams[0], nil
	}
	return "", refusef(wire.Invalid, "the model %s is that of %d teams; name the one it was evaluated for with --model team/name@version", artifact.Short(), len(teams))
}

// mayRecord refuses a run of what is not known, or by whom may not say so.
func (t *tx) mayRecord(run record.EvaluationRun) error {
	if err := t.within(actEvaluate, run.Team); err != nil {
		return err
	}
	if err := t.hasModel(run.Team, run.Artifact); err != nil {
		return err
	}
	if run.Dataset == "" {
		return refusef(wire.Invalid, "it is not said what the model was evaluated on; name it with --dataset team/name@version")
	}
	_, err := need[record.Dataset](t, record.KeyDataset(run.Dataset), "the data evaluated on, "+run.Dataset.Short(), "register it first: imprimatur dataset register")
	return err
}

// hasModel refuses unless the team has registered the model: another team's
// evaluators do not speak of it.
func (t *tx) hasModel(team string, artifact record.Digest) error {
	versions, err := lineage.All[record.ModelVersion](t, record.KeyArtifact(artifact))
	if err != nil {
		return err
	}
	if slices.ContainsFunc(versions, func(v record.Recorded[record.ModelVersion]) bool { return teamOf(v.Record.Model) == team }) {
		return nil
	}
	return refusef(wire.Unknown, "the model with the digest %s is not known in the team %s; register it there first: imprimatur model register", artifact.Short(), team)
}

// seal adds the signed run to the evidence, and says what it left to the word of
// whoever recorded it.
func seal(e *record.Evaluation, envelope []byte, filled []string) {
	if len(envelope) == 0 {
		return
	}
	e.Assurance = record.SignedRun
	e.Evidence = append(slices.Clone(e.Evidence), record.FileOf("evaluation-run.dsse.json", record.FormatRun, envelope))
	if len(filled) > 0 {
		e.Import.Warnings = append(slices.Clone(e.Import.Warnings),
			fmt.Sprintf("the signed run does not say %s: that is the word of whoever recorded it", strings.Join(filled, ", ")))
	}
}

// record states the evaluations that do not stand yet. Those that do are in the
// answer; the others are empty there, in the order in which they are stated.
func (t *tx) record(evaluations []record.Evaluation) ([]evaluated, error) {
	out := make([]evaluated, len(evaluations))
	for i, e := range evaluations {
		switch {
		case e.Ran.IsZero():
			return nil, refusef(wire.Invalid, "neither the files of %s nor the run say when it ran; give the time with --ran", e.Suite)
		case e.Ran.After(t.now):
			return nil, refusef(wire.Invalid, "the evaluation ran in the future, at %s; check the tool's clock", e.Ran)
		}
		stands, err := t.try(&e)
		if err != nil {
			return nil, err
		}
		if stands != nil {
			out[i] = *stands
			continue
		}
		if err := t.state(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// try counts the evaluation among the tries on its dataset. It returns the one
// that says the same already, if one does.
func (t *tx) try(e *record.Evaluation) (*evaluated, error) {
	earlier, err := lineage.All[record.Evaluation](t, record.KeyEvidence(e.Files()[0]))
	if err != nil {
		return nil, err
	}
	earlier = slices.DeleteFunc(earlier, func(x evaluated) bool { return !sameTry(x.Record, *e) })
	if len(earlier) == 0 {
		e.Attempt, err = t.nextAttempt(*e)
		return nil, err
	}
	for _, x := range earlier {
		e.Attempt = x.Record.Attempt
		if e.SignedRun() == "" && x.Record.Ran.Before(e.Ran) {
			e.Started, e.Ran = x.Record.Started, x.Record.Ran
		}
	}
	for _, x := range earlier {
		if says, err := saysAlready(x.Record, *e); x.Actor == t.who.Name && (says || err != nil) {
			return &x, err
		}
	}
	return nil, nil
}

// nextAttempt is one more than there were.
func (t *tx) nextAttempt(e record.Evaluation) (int, error) {
	tries, err := lineage.All[record.Evaluation](t, record.KeyTries(e.Team, e.Dataset, e.Category, e.Suite))
	most := 0
	for _, x := range tries {
		most = max(most, x.Record.Attempt)
	}
	return most + 1, err
}

// sameTry reports whether two evaluations are of the same files of the same
// model on the same data.
func sameTry(a, b record.Evaluation) bool {
	return a.Team == b.Team && a.Artifact == b.Artifact && a.Prompt == b.Prompt && a.Configuration == b.Configuration &&
		a.Dataset == b.Dataset && a.Category == b.Category && a.Suite == b.Suite && slices.Equal(a.Files(), b.Files())
}

// saysAlready reports whether an evaluation of the same files says all that
// another would. A signed run says more than the same files without one.
func saysAlready(have, e record.Evaluation) (bool, error) {
	if e.SignedRun() == "" && have.SignedRun() != "" {
		return have.Import.Format == e.Import.Format && have.Import.Version == e.Import.Version, nil
	}
	if e.SignedRun() != have.SignedRun() {
		return false, nil
	}
	have.Evidence = e.Evidence // the same files, perhaps by other names
	a, err := record.CanonicalOf(have)
	if err != nil {
		return false, err
	}
	b, err := record.CanonicalOf(e)
	return bytes.Equal(a, b), err
}
