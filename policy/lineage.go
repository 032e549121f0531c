package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

func teamOf(ref string) string {
	team, _, _ := strings.Cut(ref, "/")
	return team
}

// standing is the steward's word that stands for a dataset, or why none does.
type standing struct {
	ok      bool
	lapsed  bool
	steward string
	// behalf is who delegated the role to the steward; empty where it is theirs.
	behalf string
	until  time.Time
	why    string
}

// steward finds the standing approval of a dataset that lasts longest.
func (j *judge) steward(f *record.DatasetFacts) standing {
	dataset := &f.Dataset.Record
	use := &j.d.UseCase.Record
	best := standing{why: "no steward has approved it for " + use.Purpose}
	for i := range f.Approvals {
		a := &f.Approvals[i]
		if a.Time.After(j.at) || a.Record.Decision != record.Allow ||
			!a.Record.Matches(*dataset) || !a.Record.ForPurpose(use.Purpose, use.Ref()) {
			continue
		}
		s := j.stewardsWord(f, a)
		switch {
		case s.ok && (!best.ok || s.until.IsZero() || (!best.until.IsZero() && s.until.After(best.until))):
			best = s
		case !s.ok && !best.ok:
			best = s
		}
	}
	return best
}

// Lacking says of the datasets of a release for which no steward's approval
// stands at a time why none does: the words of the gate on datasets.
func (p *Policy) Lacking(d *record.Dossier, at time.Time) map[record.Digest]string {
	j := newJudge(p, d, record.Millis(at))
	out := map[record.Digest]string{}
	for i, s := range j.stewards {
		if !s.ok {
			out[d.Datasets[i].Dataset.Record.Digest] = s.why
		}
	}
	return out
}

func (j *judge) stewardsWord(f *record.DatasetFacts, a *record.Recorded[record.DataApproval]) standing {
	holdings := j.d.People[a.Actor].Holdings(record.DataSteward, f.Dataset.Record.Team, j.at)
	switch {
	case j.withdrawn(f, a) != "":
		return standing{why: j.withdrawn(f, a)}
	case !record.Stands(a.Time, a.Record.Expires, j.at):
		return standing{lapsed: true, why: fmt.Sprintf("the approval by %s lapsed on %s", a.Actor, date(a.Record.Expires))}
	case !j.human(a.Actor):
		return standing{why: a.Actor + " is no person and cannot approve data"}
	case len(holdings) == 0:
		return standing{why: fmt.Sprintf("%s, who approved it, does not hold the role data-steward for team %s", a.Actor, f.Dataset.Record.Team)}
	}
	held := holdings[0]
	return standing{ok: true, steward: a.Actor, behalf: held.For, until: record.Earlier(held.Until, a.Record.Expires)}
}

// withdrawn says who withdrew an approval, or is empty. A withdrawal voids what
// came before it, whoever gave it, and never lapses.
func (j *judge) withdrawn(f *record.DatasetFacts, a *record.Recorded[record.DataApproval]) string {
	use := &j.d.UseCase.Record
	for i := range f.Approvals {
		w := &f.Approvals[i]
		if w.Record.Decision == record.Withdraw && w.Index > a.Index && !w.Time.After(j.at) &&
			w.Record.Matches(f.Dataset.Record) && w.Record.ForPurpose(use.Purpose, use.Ref()) {
			return fmt.Sprintf("%s withdrew the approval on %s: %s", w.Actor, date(w.Time), w.Record.Reason)
		}
	}
	return ""
}

func (j *judge) datasets() record.Gate {
	var lacking []string
	var until time.Time
	first := ""
	for i := range j.d.Datasets {
		s, ref := &j.stewards[i], j.d.Datasets[i].Dataset.Record.Ref()
		if s.ok {
			until = record.Earlier(until, s.until)
			continue
		}
		if first == "" {
			first = ref
		}
		lacking = append(lacking, fmt.Sprintf("%s: %s", ref, s.why))
	}
	use := &j.d.UseCase.Record
	vendor := j.d.Version.Record.Type == record.Vendor
	switch {
	case len(lacking) > 0:
		return refuse(record.Missing, roles(record.DataSteward), doApproveDataset(j.d, first),
			"%d of %d datasets lack a standing approval for %s. %s.%s", len(lacking), len(j.d.Datasets), use.Purpose, strings.Join(lacking, ". "), j.unread())
	case len(j.d.Unread) > 0:
		return refuse(record.Missing, roles(record.Contributor, record.DataSteward), doRegisterDataset(j.d), "%s", strings.TrimSpace(j.unread()))
	case len(j.d.Datasets) == 0 && vendor:
		return pass("A vendor's model names no dataset here.")
	case len(j.d.Datasets) == 0 && len(j.d.Runs) == 0:
		return refuse(record.Missing, roles(record.Contributor), doRecordRun(j.d),
			"No training run is recorded, so it is not known which datasets the model was made from.")
	case len(j.d.Datasets) == 0 && !slices.ContainsFunc(j.d.Runs, func(r record.Recorded[record.Run]) bool { return r.Record.Reported == nil }):
		r := j.d.Runs[0].Record
		return refuse(record.Missing, roles(record.Contributor), doRecordRun(j.d),
			"The run %s, as %s reports it, names no dataset; log what it reads, or let the pipeline record the run.", r.Ref(), r.Reported.By)
	case len(j.d.Datasets) == 0:
		return pass("The runs read no dataset.")
	}
	which := "The dataset is"
	if n := len(j.d.Datasets); n > 1 {
		which = fmt.Sprintf("All %d datasets are", n)
	}
	g := pass("%s approved for %s.", which, use.Purpose)
	g.Until = until
	return g
}

// unread says what the runs read without its bytes being known, and who can
// mend that.
func (j *judge) unread() string {
	if len(j.d.Unread) == 0 {
		return ""
	}
	return fmt.Sprintf(" Unknown by its bytes: %s. Who has the data registers it with that source, and proposes the release again.", strings.Join(j.d.Unread, ". "))
}

// ownRuns returns the runs that made the release's artifact: the one that the
// version names, or all of them where it names none, or one that is only
// reported.
func (j *judge) ownRuns() []*record.Recorded[record.Run] {
	v := &j.d.Version.Record
	named := v.Run
	if slices.ContainsFunc(j.d.Runs, func(r record.Recorded[record.Run]) bool { return r.Record.Ref() == named && r.Record.Reported != nil }) {
		named = ""
	}
	var made []*record.Recorded[record.Run]
	for i := range j.d.Runs {
		r := &j.d.Runs[i]
		if named != "" && r.Record.Ref() != named {
			continue
		}
		if slices.ContainsFunc(r.Record.Outputs, func(o record.Resource) bool { return o.Digest == v.Artifact }) {
			made = append(made, r)
		}
	}
	return made
}

const vendorHasNoRun = "A vendor's model has no run here."

func (j *judge) run() record.Gate {
	runs := j.ownRuns()
	if len(runs) == 0 {
		return j.noRun()
	}
	for _, r := range runs {
		if r.Record.Reported == nil && j.d.People[r.Actor].Principal.Type == record.Workload {
			g := pass("The run %s is recorded by the workload %s.", r.Record.Ref(), r.Actor)
			g.Evidence = []string{string(r.Digest)}
			return g
		}
	}
	r := runs[0]
	if r.Record.Reported != nil {
		return refuse(record.Fail, roles(record.Contributor), doRecordRun(j.d),
			"The run %s is what %s reports, asked on behalf of %s, and nobody attests it; let the pipeline record it with its own identity.", r.Record.Ref(), r.Record.Reported.By, r.Actor)
	}
	return refuse(record.Fail, roles(record.Contributor), doRecordRun(j.d),
		"The run %s is recorded by %s, who is no workload; let the pipeline record it with its own identity.", r.Record.Ref(), r.Actor)
}

func (j *judge) noRun() record.Gate {
	if j.d.Version.Record.Type == record.Vendor {
		return pass(vendorHasNoRun)
	}
	return refuse(record.Missing, roles(record.Contributor), doRecordRun(j.d),
		"No recorded run has the artifact %s among its outputs.", j.d.Version.Record.Artifact.Short())
}

func (j *judge) code() record.Gate {
	runs := j.ownRuns()
	if len(runs) == 0 {
		return j.noRun()
	}
	// What a tracking server reports need not name the commit, where the
	// pipeline's own word does.
	attested := slices.ContainsFunc(runs, func(r *record.Recorded[record.Run]) bool { return r.Record.Reported == nil })
	var named *record.Recorded[record.Run]
	for _, r := range runs {
		code := &r.Record.Code
		if attested && r.Record.Reported != nil && code.Commit == "" {
			continue
		}
		if named == nil {
			named = r
		}
		switch {
		case len(code.Commit) != 40 && len(code.Commit) != 64:
			return refuse(record.Fail, roles(record.Contributor), doRecordRun(j.d),
				"The run %s does not name a full commit.", r.Record.Ref())
		case code.Dirty:
			return refuse(record.Fail, roles(record.Contributor), doRecordRun(j.d),
				"The run %s ran on a working tree that differs from its commit; commit and train again.", r.Record.Ref())
		}
	}
	code := &named.Record.Code
	g := pass("The run %s ran on the clean commit %.12s of %s.", named.Record.Ref(), code.Commit, code.Repository)
	g.Evidence = []string{string(named.Digest)}
	return g
}

func (j *judge) content() record.Gate {
	var found []string
	look := func(v *record.ModelVersion) {
		for _, f := range v.Findings {
			if f.Unsafe() {
				found = append(found, fmt.Sprintf("%s of %s: %s, %s", f.File, v.Ref(), f.Type, f.Detail))
			}
		}
	}
	look(&j.d.Version.Record)
	for i := range j.d.Bases {
		look(&j.d.Bases[i].Record)
	}
	if len(found) == 0 {
		return pass("No file of the model or its bases is unsafe to load.")
	}
	const shown = 5
	more := ""
	if len(found) > shown {
		more = fmt.Sprintf(", and %d more", len(found)-shown)
		found = found[:shown]
	}
	return refuse(record.Fail, roles(record.Contributor, record.Security), doRecordVersion(j.d),
		"Unsafe files: %s%s. Save the model in a format that holds no code and record it as a new version.", strings.Join(found, "; "), more)
}
