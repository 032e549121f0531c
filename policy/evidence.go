package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// invalid says why the evidence proves nothing, or is empty.
func (j *judge) invalid(f *found) string {
	x := f.evaluation
	if why := contradiction(&x.Record, f.metrics); why != "" {
		return why
	}
	if why := j.judgedByItself(&x.Record); why != "" {
		return why
	}
	if why := j.trainedBy(x.Actor); why != "" {
		return fmt.Sprintf("is recorded by %s, who %s; let somebody else evaluate the model", x.Actor, why)
	}
	if x.Record.Ran.After(j.at) {
		return fmt.Sprintf("says that it ran on %s, which is later than now", date(x.Record.Ran))
	}
	return ""
}

// contradiction says why an evaluation cannot be true, or is empty.
func contradiction(x *record.Evaluation, metrics []*record.Metric) string {
	if why := x.Contradiction(); why != "" {
		return "contradicts itself: " + why
	}
	n := x.Counts
	switch {
	case n.Evaluated != n.Scored+n.Errors:
		return fmt.Sprintf("contradicts itself: %d items were evaluated, and %d scored and %d errors are %d", n.Evaluated, n.Scored, n.Errors, n.Scored+n.Errors)
	case n != (record.Counts{}) && n.Scored == 0:
		return "scored no items at all"
	case n.Expected > n.Evaluated+n.Skipped:
		return fmt.Sprintf("covers %d of %d items, and does not say that it is incomplete", n.Evaluated+n.Skipped, n.Expected)
	case x.Items != nil && x.Items.N <= 0:
		return "is over no items at all"
	}
	for _, m := range metrics {
		if why := contradicts(x, m); why != "" {
			return why
		}
	}
	return ""
}

// contradicts says why a metric cannot be true, or is empty.
func contradicts(x *record.Evaluation, m *record.Metric) string {
	switch {
	case m.N <= 0:
		return fmt.Sprintf("gives %s over no samples at all", m.Label())
	case math.IsNaN(m.Value) || math.IsInf(m.Value, 0):
		return fmt.Sprintf("gives %s as no finite number", m.Label())
	case m.Successes == nil:
		return ""
	case *m.Successes < 0 || *m.Successes > m.N:
		return fmt.Sprintf("counts %d successes in %d samples", *m.Successes, m.N)
	case math.Abs(m.Value-float64(*m.Successes)/float64(m.N)) > 1e-6:
		return fmt.Sprintf("contradicts itself: %s is given as %s, and %d of %d is %s", m.Label(), number(m.Value), *m.Successes, m.N, rounded(float64(*m.Successes)/float64(m.N)))
	case m.Outcomes == nil || x.Items == nil || x.Items.N != m.N:
		return ""
	}
	if ones := successes(m.Outcomes); ones != *m.Successes {
		return fmt.Sprintf("contradicts itself: it counts %d successes of %s, and its items have %d", *m.Successes, m.Label(), ones)
	}
	return ""
}

// otherwise says with what else than the release the model was evaluated, or is
// empty.
func (j *judge) otherwise(x *record.Evaluation) string {
	b := &j.d.Release.Record.Behaviour
	for _, c := range []struct {
		what     string
		was, has record.Digest
	}{{"prompt", x.Prompt, b.Prompt}, {"configuration", x.Configuration, b.Configuration}} {
		switch {
		case c.was == c.has:
		case c.was == "":
			return fmt.Sprintf("was made without a %s, and the release has the %s %s", c.what, c.what, c.has.Short())
		case c.has == "":
			return fmt.Sprintf("was made with the %s %s, and the release has none", c.what, c.was.Short())
		default:
			return fmt.Sprintf("was made with the %s %s, and the release has %s", c.what, c.was.Short(), c.has.Short())
		}
	}
	return ""
}

// judgedByItself says that a judge of the answers is the model or one that it
// was made from, or is empty.
func (j *judge) judgedByItself(x *record.Evaluation) string {
	if len(x.Judges) == 0 {
		return ""
	}
	b := &j.d.Release.Record.Behaviour
	related := append([]record.Digest{b.Artifact}, j.d.Release.Record.Data.Bases...)
	refs := []string{b.Model, b.Model + "@" + b.Version}
	for i := range j.d.Bases {
		base := &j.d.Bases[i].Record
		related, refs = append(related, base.Artifact), append(refs, base.Model, base.Ref())
	}
	for _, judge := range x.Judges {
		same := judge.Artifact != "" && slices.Contains(related, judge.Artifact)
		for _, ref := range refs {
			_, bare, _ := strings.Cut(ref, "/")
			same = same || strings.EqualFold(judge.Model, ref) || strings.EqualFold(judge.Model, bare)
		}
		if same {
			return fmt.Sprintf("was judged by %s: the judge is the model under test or its parent", judge.Model)
		}
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
