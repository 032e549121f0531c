package policy

import (
	"fmt"
	"math"
	"slices"
	"time"

	"imprimatur.dev/record"
)

// found is the evaluation that a requirement is judged by.
type found struct {
	evaluation *record.Recorded[record.Evaluation]
	metric     *record.Metric
	// incomplete is one that would do but did not cover what it set out to.
	incomplete *record.Recorded[record.Evaluation]
}

// find chooses the newest complete evaluation of the release's artifact, among
// those the release names, that has the metric.
func (j *judge) find(e *Requirement) found {
	named := j.d.Release.Record.Behaviour.Evaluations
	return newest(e, j.d.Evaluations, j.d.Release.Record.Behaviour.Artifact, func(d record.Digest) bool {
		return slices.Contains(named, d)
	})
}

func newest(e *Requirement, all []record.Recorded[record.Evaluation], artifact record.Digest, named func(record.Digest) bool) (f found) {
	for i := range all {
		x := &all[i]
		if x.Record.Category != e.Category || x.Record.Suite != e.Suite || x.Record.Artifact != artifact || !named(x.Digest) {
			continue
		}
		if x.Record.Incomplete != "" {
			if f.incomplete == nil || later(x, f.incomplete) {
				f.incomplete = x
			}
			continue
		}
		m := slices.IndexFunc(x.Record.Metrics, func(m record.Metric) bool { return m.Name == e.Metric })
		if m >= 0 && (f.evaluation == nil || later(x, f.evaluation)) {
			f.evaluation, f.metric = x, &x.Record.Metrics[m]
		}
	}
	return f
}

func later(a, b *record.Recorded[record.Evaluation]) bool {
	if !a.Record.Ran.Equal(b.Record.Ran) {
		return a.Record.Ran.After(b.Record.Ran)
	}
	return a.Index > b.Index
}

var evaluators = roles(record.Evaluator)

func (j *judge) evaluation(e *Requirement, f found) record.Gate {
	g := j.usable(e, f)
	g.Numbers, g.Evidence = numbers(e, f)
	if g.Result != record.Pass {
		return g
	}
	measured, stated := g.Numbers.Value, true
	switch e.Bound.Statistic {
	case statLower:
		stated = g.Numbers.Lower95 != nil
		if stated {
			measured = *g.Numbers.Lower95
		}
	case statUpper:
		stated = g.Numbers.Upper95 != nil
		if stated {
			measured = *g.Numbers.Upper95
		}
	}
	n, do := g.Numbers, doEvaluate(j.d, e)
	switch {
	case !stated:
		g.Result, g.Who, g.Do = record.Inconclusive, evaluators, do
		g.Reason = fmt.Sprintf("%s gives %s = %s without counts, a standard error or an interval, so %s is not known.", f.id(), e.Metric, rounded(n.Value), e.Bound.Statistic)
	case e.Bound.Holds(measured):
		g.Reason = fmt.Sprintf("%s is %s, which is %s %s (%s).", e.stated(), rounded(measured), e.Bound.Operator, number(e.Bound.Threshold), ground(n, e.Metric))
	default:
		g.Result, g.Who, g.Do = record.Fail, evaluators, do
		g.Reason = fmt.Sprintf("%s is %s, which is not %s %s (%s).", e.stated(), rounded(measured), e.Bound.Operator, number(e.Bound.Threshold), ground(n, e.Metric))
		if e.Bound.Statistic != statValue && e.Bound.Holds(n.Value) {
			g.Reason += " The value itself meets the limit: more samples may show that the model does."
		}
	}
	return g
}

// usable judges whether the evidence may be looked at: everything about it but
// its numbers. A pass carries the time until which it is fresh.
func (j *judge) usable(e *Requirement, f found) record.Gate {
	do := doEvaluate(j.d, e)
	switch {
	case f.evaluation == nil && f.incomplete != nil:
		return refuse(record.Invalid, evaluators, do, "%s is incomplete: %s.", f.id(), f.incomplete.Record.Incomplete)
	case f.evaluation == nil:
		return refuse(record.Missing, evaluators, do, "The release names no evaluation of the %s suite %s with the metric %s.", e.Category, e.Suite, e.Metric)
	}
	x, m := &f.evaluation.Record, f.metric
	if why := contradiction(m); why != "" {
		return refuse(record.Invalid, evaluators, do, "%s %s.", f.id(), why)
	}
	if why := j.trainedBy(f.evaluation.Actor); why != "" {
		return refuse(record.Invalid, evaluators, do, "%s is recorded by %s, who %s; let somebody else evaluate the model.", f.id(), f.evaluation.Actor, why)
	}
	until := time.Time{}
	if e.FreshFor > 0 {
		until = x.Ran.Add(e.FreshFor).UTC()
	}
	switch {
	case x.Ran.After(j.at):
		return refuse(record.Invalid, evaluators, do, "%s says that it ran on %s, which is later than now.", f.id(), date(x.Ran))
	case slices.Index(assurances, x.Assurance) < slices.Index(assurances, e.Assurance):
		return refuse(record.Fail, evaluators, do, "%s has the assurance %s, and %s or better is asked for.", f.id(), x.Assurance, e.Assurance)
	case !record.Stands(time.Time{}, until, j.at):
		return refuse(record.Fail, evaluators, do, "%s ran on %s and counted for %s, until %s; evaluate again.", f.id(), date(x.Ran), spell(e.FreshFor), date(until))
	case m.N < e.MinSamples:
		return refuse(record.Inconclusive, evaluators, do, "%s has %d samples, and at least %d are asked for.", f.id(), m.N, e.MinSamples)
	}
	return record.Gate{Result: record.Pass, Until: until}
}

// contradiction says why a metric cannot be true, or is empty.
func contradiction(m *record.Metric) string {
	switch {
	case m.N <= 0:
		return fmt.Sprintf("gives %s over no samples at all", m.Name)
	case math.IsNaN(m.Value) || math.IsInf(m.Value, 0):
		return fmt.Sprintf("gives %s as no finite number", m.Name)
	case m.Successes == nil:
		return ""
	case *m.Successes < 0 || *m.Successes > m.N:
		return fmt.Sprintf("counts %d successes in %d samples", *m.Successes, m.N)
	case math.Abs(m.Value-float64(*m.Successes)/float64(m.N)) > 1e-6:
		return fmt.Sprintf("contradicts itself: %s is given as %s, and %d of %d is %s", m.Name, number(m.Value), *m.Successes, m.N, rounded(float64(*m.Successes)/float64(m.N)))
	}
	return ""
}

// trainedBy says how an evaluator took part in the training, or is empty. A
// solo tier passes over it, and the verdict says so.
func (j *judge) trainedBy(actor string) string {
	names := []string{actor}
	if p := j.d.People[actor].Principal; p.Type == record.Workload && p.Owner != "" {
		names = append(names, p.Owner)
	}
	for _, name := range names {
		why, ok := j.took(name, Trainer)
		switch {
		case ok && j.tier.Solo:
			j.dependent = true
		case ok && name == actor:
			return why
		case ok:
			return fmt.Sprintf("belongs to %s, who %s", name, why)
		}
	}
	return ""
}

// id names the evaluation in a sentence.
func (f found) id() string {
	x := f.evaluation
	if x == nil {
		x = f.incomplete
	}
	return "Evaluation " + record.EvaluationID(x.Digest)
}

func numbers(e *Requirement, f found) (*record.Numbers, []string) {
	if f.evaluation == nil {
		return nil, nil
	}
	m := f.metric
	n := &record.Numbers{Value: m.Value, Threshold: e.Bound.Threshold, N: m.N, Method: methodNone}
	if lower, upper, method := interval(*m); method != methodNone {
		n.Lower95, n.Upper95, n.Method = &lower, &upper, method
	}
	return n, []string{record.EvaluationID(f.evaluation.Digest)}
}

// stated names the statistic in a sentence.
func (e *Requirement) stated() string {
	switch e.Bound.Statistic {
	case statLower:
		return "The lower 95 % bound of " + e.Metric
	case statUpper:
		return "The upper 95 % bound of " + e.Metric
	}
	return "The value of " + e.Metric
}

// versusProduction judges that the metric is not worse than that of the
// release before, by more than the margin. Lower95 and Upper95 of its numbers
// bound the difference, new less production.
func (j *judge) versusProduction(e *Requirement, f found) record.Gate {
	g := j.usable(e, f)
	if g.Result != record.Pass {
		g.Numbers, g.Evidence = numbers(e, f)
		return g
	}
	p := j.d.ProductionAt(j.at)
	if p == nil {
		g.Reason = "Nothing is in production to compare with: this is the first release of its line."
		if before := j.before(); before != "" {
			g.Reason = fmt.Sprintf("Nothing is in production to compare with: the release before, %s, does not run any more.", before)
		}
		return g
	}
	old := newest(e, p.Evaluations, p.Release.Record.Behaviour.Artifact, func(record.Digest) bool { return true })
	do := doEvaluate(j.d, e)
	open := func(format string, args ...any) record.Gate {
		return refuse(record.Inconclusive, evaluators, do, format, args...)
	}
	switch {
	case old.evaluation == nil:
		return open("The release in production, %s, has no complete evaluation of the %s suite %s with the metric %s to compare with.", p.ID, e.Category, e.Suite, e.Metric)
	case old.evaluation.Record.Dataset != f.evaluation.Record.Dataset:
		return open("The two are not comparable: production was evaluated on the dataset %s and this release on %s.", old.evaluation.Record.Dataset.Short(), f.evaluation.Record.Dataset.Short())
	case contradiction(old.metric) != "":
		return open("The evaluation of production, %s, %s.", record.EvaluationID(old.evaluation.Digest), contradiction(old.metric))
	}
	lower, upper, method := difference(*f.metric, *old.metric)
	if method == methodNone {
		return open("%s gives neither counts nor a standard error for both releases, so the difference has no interval.", f.id())
	}
	out := e.compare(lower, upper, f.metric.Value-old.metric.Value)
	if out.Result == record.Pass {
		out.Until = g.Until
	} else {
		out.Who, out.Do = evaluators, do
	}
	out.Numbers = &record.Numbers{
		Value: f.metric.Value, Lower95: &lower, Upper95: &upper, Threshold: *e.Margin,
		N: f.metric.N, Production: &old.metric.Value, Method: method,
	}
	out.Evidence = []string{record.EvaluationID(f.evaluation.Digest), record.EvaluationID(old.evaluation.Digest)}
	return out
}

// compare judges the interval of a difference by how much worse it can be.
func (e *Requirement) compare(lower, upper, d float64) record.Gate {
	worst, best := -lower, -upper
	if !e.Bound.HigherIsBetter() {
		worst, best = upper, lower
	}
	span := fmt.Sprintf("the difference of %s is %s, between %s and %s", e.Metric, rounded(d), rounded(lower), rounded(upper))
	switch margin := *e.Margin; {
	case worst <= margin:
		return pass("Not worse than production by more than %s: %s.", number(margin), span)
	case best > margin:
		return record.Gate{Result: record.Fail, Reason: fmt.Sprintf("Worse than production by more than %s: %s.", number(margin), span)}
	default:
		return record.Gate{Result: record.Inconclusive, Reason: fmt.Sprintf("It may be worse than production by more than %s, or not: %s; more samples can tell.", number(margin), span)}
	}
}

// ground says in brackets what a comparison rests on.
func ground(n *record.Numbers, metric string) string {
	if n.Lower95 == nil {
		return fmt.Sprintf("%s = %s from %d samples, without an interval", metric, rounded(n.Value), n.N)
	}
	return fmt.Sprintf("%s = %s from %d samples, between %s and %s by the %s method", metric, rounded(n.Value), n.N, rounded(*n.Lower95), rounded(*n.Upper95), n.Method)
}
