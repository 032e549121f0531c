package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// rival is what a release is compared with.
type rival struct {
	// name is what sentences call it; id says which it is, and model how a
	// command names it.
	name, id, model string
	artifact        record.Digest
	// named are the evaluations that its own release names, others the rest.
	named, others []record.Recorded[record.Evaluation]
	found
}

// versusProduction judges that the metric is not worse than that of the
// release before, by more than the margin. Lower and Upper of its numbers
// bound the difference, new less production.
func (j *judge) versusProduction(e *Requirement, f *found) record.Gate {
	return j.versus(e, f, j.rival)
}

// versus judges that the metric is not worse than that of another release.
func (j *judge) versus(e *Requirement, f *found, rival func(*Requirement) (*rival, record.Gate)) record.Gate {
	g := f.usable
	if f.evaluation == nil {
		return g
	}
	own, n := record.EvaluationID(f.evaluation.Digest), e.compared(f)
	evidence := []string{own}
	if g.Result == record.Pass {
		old, out := rival(e)
		if out.Result == "" {
			j.choose(e, f, old)
			out = e.against(f, old, n)
			if old.evaluation != nil {
				evidence = append(evidence, record.EvaluationID(old.evaluation.Digest))
			}
		}
		if out.Result == record.Pass {
			out.Until = g.Until
		} else if out.Do == "" {
			out.Who, out.Do = evaluators, doEvaluate(j.d, e)
		}
		g = out
	}
	g.Numbers, g.Evidence = n, evidence
	return g
}

// compared are the numbers of a comparison before it is made.
func (e *Requirement) compared(f *found) *record.Numbers {
	n := e.shown(f, f.metrics[0])
	n.Statistic, n.Operator, n.Threshold = record.StatDifference, record.NoWorseThan, *e.Margin
	return n
}

// rival finds what the release is compared with, or the gate that says why
// nothing is.
func (j *judge) rival(e *Requirement) (*rival, record.Gate) {
	if p := j.d.ProductionAt(j.at); p != nil {
		b := &p.Release.Record.Behaviour
		return &rival{name: "production", id: p.ID, model: b.Model + "@" + b.Version, artifact: b.Artifact, named: p.Evaluations, others: p.Others}, record.Gate{}
	}
	why := "this is the first release of its line"
	if before := j.before(); before != "" {
		why = fmt.Sprintf("the release before, %s, does not run any more", before)
	}
	a := j.d.Anchor
	switch {
	case e.First == FirstApart:
		j.apart = true
		return nil, pass("Nothing is in production to compare with: %s. The policy lets it through, told apart.", why)
	case a == nil:
		return nil, refuse(record.Missing, roles(record.ModelOwner), doAnchor(j.d),
			"Nothing is in production to compare with: %s. Name the model that it must not be worse than as the use case's anchor.", why)
	case a.Artifact == j.d.Release.Record.Behaviour.Artifact:
		return nil, refuse(record.Invalid, roles(record.ModelOwner), doAnchor(j.d),
			"Nothing is in production to compare with: %s. The use case's anchor is this very model, and a comparison with itself shows nothing; name another.", why)
	}
	return &rival{name: "the anchor", id: a.Artifact.Short(), model: "ANCHOR", artifact: a.Artifact, others: a.Evaluations}, record.Gate{}
}

// choose takes the rival's evaluation on the same data: one that its own release
// names, else a later one. Anybody may have recorded the latter, also one who
// would like the rival to look bad: it counts as an evaluation of the release
// itself would. What was known when the release was proposed goes before what
// came after, so that evaluating the rival again stops nothing that runs.
func (j *judge) choose(e *Requirement, f *found, r *rival) {
	data := f.evaluation.Record.Dataset
	r.found = newest(e, r.named, r.artifact, func(x *record.Recorded[record.Evaluation]) bool { return x.Record.Dataset == data })
	for _, proposed := range []bool{true, false} {
		if r.evaluation != nil {
			break
		}
		r.found = newest(e, r.others, r.artifact, func(x *record.Recorded[record.Evaluation]) bool {
			return x.Record.Dataset == data && (!proposed || x.Index < j.d.Release.Index) && !x.Record.Ran.After(j.at) && j.trainedBy(x.Actor) == "" &&
				slices.Index(assurances, x.Record.Assurance) >= slices.Index(assurances, e.Assurance)
		})
	}
	if r.evaluation == nil {
		r.found = newest(e, r.named, r.artifact, func(*record.Recorded[record.Evaluation]) bool { return true })
	}
}

// against holds an evaluation against the rival's: pair by pair where they are
// of the same items, by two independent samples where they are of the same data.
func (e *Requirement) against(f *found, r *rival, n *record.Numbers) record.Gate {
	open := func(format string, args ...any) record.Gate {
		return refuse(record.Inconclusive, evaluators, doEvaluateOther(e, r.model), format, args...)
	}
	if r.evaluation == nil {
		return open("What it is compared with, %s %s, has no complete evaluation of the %s suite %s with the metric %s that counts here.", r.name, r.id, e.Category, e.Suite, e.label())
	}
	if why := contradiction(&r.evaluation.Record, r.metrics); why != "" {
		return open("%s, of %s %s, %s.", r.found.id(), r.name, r.id, why)
	}
	a, b := f.metrics[0], r.metrics[0]
	n.Production, n.Against = &b.Value, strings.TrimPrefix(r.name, "the ")+" "+r.id
	if n.Unpaired = unpaired(f, r); n.Unpaired == "" {
		return e.comparePairs(a, b, f.evaluation.Record.Items.N, r.name, n)
	}
	is, was := f.evaluation.Record.Dataset, r.evaluation.Record.Dataset
	switch {
	case is != was:
		return open("The two are not comparable: %s was evaluated on the dataset %s and this release on %s.", r.name, was.Short(), is.Short())
	case e.Regressions > 0:
		return open("Regressions are counted item by item, which cannot be done here: %s.", n.Unpaired)
	}
	i, method := e.difference(a, b)
	if method == methodNone {
		return open("%s or %s gives no counts, standard error or interval, so the difference has no interval.", f.id(), r.found.id())
	}
	n.Lower, n.Upper, n.Level, n.Method = &i.Lower, &i.Upper, e.level, method
	return e.within(i, r.name, fmt.Sprintf("the difference of %s is %s, between %s and %s by the %s method; not paired, for %s",
		e.label(), rounded(a.Value-b.Value), rounded(i.Lower), rounded(i.Upper), method, n.Unpaired))
}

// unpaired says why two evaluations cannot be compared item by item, or is
// empty.
func unpaired(f *found, old *rival) string {
	a, b := &f.evaluation.Record, &old.evaluation.Record
	m, o := f.metrics[0], old.metrics[0]
	name := old.name
	switch {
	case a.Items == nil || b.Items == nil:
		return "one of the evaluations has no items"
	case a.Items.Set != b.Items.Set || a.Items.N != b.Items.N || a.Dataset != b.Dataset:
		return "the items are not those of " + name
	case a.SuiteVersion != b.SuiteVersion || a.Definition != b.Definition:
		return "the suite has another version than that of " + name
	case a.Tool.Name != b.Tool.Name || a.Tool.Version != b.Tool.Version:
		return fmt.Sprintf("the tool is %s %s, and was %s %s for %s", a.Tool.Name, a.Tool.Version, b.Tool.Name, b.Tool.Version, name)
	case !maps.Equal(a.Settings, b.Settings):
		return "the settings are not those of " + name
	case !slices.Equal(a.Judges, b.Judges):
		return "the judges are not those of " + name
	case m.Clusters > 0 || o.Clusters > 0 || a.Items.Clusters > 0 || b.Items.Clusters > 0:
		return "the items depend on each other, in clusters"
	case !outcomes(a, m) || !outcomes(b, o):
		return "the outcome of every item is not known for both"
	}
	return ""
}

// comparePairs judges the difference from the items on which the two differ, by
// the score test with the likelihood restricted to the margin: Tango (1998).
func (e *Requirement) comparePairs(a, b *record.Metric, items int, against string, n *record.Numbers) record.Gate {
	gained, lost := discordant(a.Outcomes, b.Outcomes)
	if !e.Bound.HigherIsBetter() {
		gained, lost = lost, gained
	}
	better := statistics.Tango(lost, gained, items, e.level)
	i := better
	if !e.Bound.HigherIsBetter() {
		i = statistics.Interval{Lower: -better.Upper, Upper: -better.Lower}
	}
	p := &record.Pairs{
		N: items, Lost: lost, Gained: gained,
		P: statistics.NonInferiority(lost, gained, items, *e.Margin).P, McNemar: statistics.McNemarExact(lost, gained),
	}
	n.Pairs, n.Lower, n.Upper, n.Level, n.Method = p, &i.Lower, &i.Upper, e.level, methodTango
	counts := fmt.Sprintf("of %d items it lost %d and gained %d", items, lost, gained)
	if e.Regressions > 0 && lost > gained && p.McNemar <= e.Regressions {
		return record.Gate{Result: record.Fail, Reason: fmt.Sprintf("It regresses against %s: %s, which chance explains with p = %s (exact McNemar), at most %s.",
			against, counts, rounded(p.McNemar), number(e.Regressions))}
	}
	span := fmt.Sprintf("the difference of %s is %s, between %s and %s, item by item: %s (p = %s; exact McNemar p = %s)",
		e.label(), rounded(a.Value-b.Value), rounded(i.Lower), rounded(i.Upper), counts, rounded(p.P), rounded(p.McNemar))
	return e.within(i, against, span)
}

// within judges the interval of a difference by how much worse it can be.
func (e *Requirement) within(i statistics.Interval, against, span string) record.Gate {
	worst, best := -i.Lower, -i.Upper
	if !e.Bound.HigherIsBetter() {
		worst, best = i.Upper, i.Lower
	}
	switch margin := *e.Margin; {
	case worst <= margin:
		return pass("Not worse than %s by more than %s: %s.", against, number(margin), span)
	case best > margin:
		return record.Gate{Result: record.Fail, Reason: fmt.Sprintf("Worse than %s by more than %s: %s.", against, number(margin), span)}
	default:
		return record.Gate{Result: record.Inconclusive, Reason: fmt.Sprintf("It may be worse than %s by more than %s, or not: %s; more samples can tell.", against, number(margin), span)}
	}
}
