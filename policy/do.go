package policy

import (
	"fmt"
	"time"

	"imprimatur.dev/record"
)

// The commands that supply what is missing. They stand together so that a
// change of the command line is a change of this file.

func doPropose(d *record.Dossier) string {
	b := d.Release.Record.Behaviour
	c := d.Release.Record.Context
	return fmt.Sprintf("imprimatur release propose %s@%s --use-case %s --environment %s", b.Model, b.Version, c.UseCase, c.Environment)
}

func doRegisterDataset(d *record.Dossier) string {
	return fmt.Sprintf("imprimatur dataset register %s/NAME@VERSION PATH --source SOURCE", teamOf(d.Release.Record.Behaviour.Model))
}

func doApproveDataset(d *record.Dossier, dataset string) string {
	purpose := d.UseCase.Record.Purpose
	if purpose == "" {
		purpose = d.Release.Record.Context.UseCase
	}
	return fmt.Sprintf("imprimatur dataset approve %s --purpose %s --until DATE --reason TEXT", dataset, purpose)
}

func doRecordRun(d *record.Dossier) string {
	return fmt.Sprintf("imprimatur run record RUN.json --output %s", d.Version.Record.Artifact)
}

func doEvaluate(d *record.Dossier, e *Requirement) string {
	b := d.Release.Record.Behaviour
	return fmt.Sprintf("imprimatur eval record FILE --category %s --suite %s --model %s@%s", e.Category, e.Suite, b.Model, b.Version)
}

func doEvaluateOther(e *Requirement, model string) string {
	return fmt.Sprintf("imprimatur eval record FILE --category %s --suite %s --model %s", e.Category, e.Suite, model)
}

func doAnchor(d *record.Dossier) string {
	return fmt.Sprintf("imprimatur usecase register %s --anchor MODEL@VERSION", d.Release.Record.Context.UseCase)
}

func doRecordVersion(d *record.Dossier) string {
	return fmt.Sprintf("imprimatur model register %s@VERSION PATH", d.Release.Record.Behaviour.Model)
}

func doReview(exception string) string {
	return fmt.Sprintf("imprimatur release review %s --outcome upheld|reversed --reason TEXT", exception)
}

func doApprove(d *record.Dossier, role record.RoleName) string {
	if IsEnvelope(d) {
		return fmt.Sprintf("imprimatur envelope approve %s --role %s --reason TEXT", d.ID, role)
	}
	return fmt.Sprintf("imprimatur release approve %s --role %s --reason TEXT", d.ID, role)
}

func doShowEnvelope(f *record.EnvelopeFacts) string {
	return "imprimatur envelope show " + record.EnvelopeID(f.Envelope.Digest)
}

// date writes a time for people.
func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
