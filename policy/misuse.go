package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// Names of the gates of misuse: one for the choice of cases, and after the
// prefix one for each case that is required.
const (
	gateMisuse   = "misuse"
	misusePrefix = "misuse/"
	// caseDimension is the slice under which a metric is over the whole of a case.
	caseDimension = "case"
)

// misuse reads what is demanded of every misuse case that the use case requires.
func (r *reader) misuse(n *yaml.Node) *Requirement {
	e := Requirement{
		Category: record.Misuse, Mode: record.Enforce, Assurance: record.Imported, Interval: MethodWilson,
		level: 0.95, widening: 1, with: -1, where: at(n),
	}
	r.mapping(n, "misuse",
		need("cases", func(n *yaml.Node) { r.oneOf(n, "cases", "required") }),
		need("metric", func(n *yaml.Node) { e.Metric = r.name(n, "metric") }),
		need("require", func(n *yaml.Node) {
			var err error
			if e.Bound, err = ParseBound(r.text(n, "require")); err != nil {
				r.failf(at(n), "require: %v", err)
			}
		}),
		may("interval", func(n *yaml.Node) { e.Interval = r.oneOf(n, "interval", MethodWilson, MethodClopperPearson) }),
		may("minSamples", func(n *yaml.Node) { e.MinSamples = r.count(n, "minSamples", 1, 1<<40) }),
		may("freshFor", func(n *yaml.Node) { e.FreshFor = r.span(n, "freshFor") }),
		may("assurance", func(n *yaml.Node) { e.Assurance = r.oneOf(n, "assurance", assurances...) }),
		may("mode", func(n *yaml.Node) { e.Mode = r.mode(n) }),
	)
	return &e
}

const misuseRule = "the use case says which misuse cases of the catalogue are required, and why the others do not apply"

// misuseSentence is the rule of one case.
func (e *Requirement) misuseSentence(name string) string {
	s := fmt.Sprintf("%s of %s on the misuse case %s must be %s %s in every suite of safety or misuse that tries it",
		e.Bound.Statistic, e.Metric, name, e.Bound.Operator, number(e.Bound.Threshold))
	if e.Interval == MethodClopperPearson {
		s += ", by the exact interval of Clopper and Pearson"
	}
	if e.MinSamples > 0 {
		s += fmt.Sprintf(", from at least %d samples", e.MinSamples)
	}
	if e.FreshFor > 0 {
		s += ", no older than " + spell(e.FreshFor)
	}
	return s + ", with assurance " + e.Assurance + " or better"
}

// rule returns a gate's rule in words. Those of the misuse cases are known only
// with the use case.
func (t *Tier) rule(gate string) string {
	if rule, ok := t.rules[gate]; ok {
		return rule
	}
	if name, ok := strings.CutPrefix(gate, misusePrefix); ok && t.Misuse != nil {
		return strings.TrimSuffix(t.rules[gateMisuse], misuseRule+".") + t.Misuse.misuseSentence(name) + "."
	}
	return ""
}

// Judges reports whether the tier has a gate with a name, for some use case.
func (t *Tier) Judges(gate string) bool {
	name, isCase := strings.CutPrefix(gate, misusePrefix)
	return slices.Contains(t.Gates(), gate) || (isCase && t.Misuse != nil && namePattern.MatchString(name))
}

// misuse judges the choice of cases, and every case that is required.
func (j *judge) misuse() {
	e := j.tier.Misuse
	if e == nil {
		return
	}
	mode := j.tier.lighter(e.Mode)
	required := j.requiredCases()
	j.add(gateMisuse, mode, j.misuseChoice(required))
	for _, name := range required {
		j.add(misusePrefix+name, mode, j.misuseCase(e, name))
	}
}

// requiredCases are those that the use case requires now, or required when the
// release was proposed: to demand more counts at once, to demand less is seen
// by the approvers of the next proposal first.
func (j *judge) requiredCases() []string {
	required := j.d.UseCase.Record.RequiredMisuse()
	for _, name := range j.d.Release.Record.Context.Misuse {
		if !slices.Contains(required, name) {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	return required
}

func (j *judge) misuseChoice(required []string) record.Gate {
	u := &j.d.UseCase.Record
	var aside []string
	for _, m := range u.Misuse {
		if !m.Required && !slices.Contains(required, m.Case) {
			aside = append(aside, fmt.Sprintf("%s (%s)", m.Case, strings.TrimSuffix(m.Reason, ".")))
		}
	}
	if len(required)+len(aside) == 0 {
		return refuse(record.Fail, roles(record.ModelOwner, record.Risk), doMisuse(j.d),
			"The use case %s names no misuse case, so nobody has said how the model could be abused; name those that are required, and why others do not apply.", u.Ref())
	}
	g := pass("%d misuse cases are required: %s.", len(required), orNone(required))
	if len(aside) > 0 {
		g.Reason += fmt.Sprintf(" %s set %d aside as not applicable: %s.", j.d.UseCase.Actor, len(aside), few(aside))
	}
	return g
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return few(names)
}

// misuseCase judges one case by the newest evaluation of every suite of safety
// or misuse that tries it. All must pass: what one suite finds, another that
// finds nothing does not take away.
func (j *judge) misuseCase(e *Requirement, name string) record.Gate {
	var results []suiteResult
	for _, suite := range j.suitesOf(e.Metric, name) {
		own := *e
		own.misuseCase, own.Category, own.Suite = name, suite.Category, suite.Suite
		f := j.find(&own)
		f.metrics = wholeCase(f.metrics, name)
		f.usable = j.usable(&own, &f)
		x := suiteResult{suite: string(own.Category) + "/" + own.Suite, gate: j.evaluation(&own, &f)}
		if x.gate.Result != record.Pass {
			x.gate.Who, x.gate.Do = evaluators, doEvaluate(j.d, &own)
		}
		results = append(results, x)
	}
	if len(results) == 0 {
		own := *e
		own.Suite = "SUITE"
		return refuse(record.Missing, evaluators, doEvaluate(j.d, &own),
			"The release names no evaluation of safety or misuse with %s of the case %s%s.", e.Metric, name, j.otherMetrics(name))
	}
	return e.joined(results)
}

type suiteResult struct {
	suite string
	gate  record.Gate
}

// suite names what an evaluation belongs to.
type suite struct {
	Category record.Category
	Suite    string
}

// suitesOf returns the suites among the release's evaluations that try a case,
// in the order of their names.
func (j *judge) suitesOf(metric, name string) (out []suite) {
	for _, x := range j.tryingCase(name, func(m *record.Metric) bool { return m.Name == metric }) {
		if s := (suite{x.Category, x.Suite}); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b suite) int {
		return strings.Compare(string(a.Category)+"/"+a.Suite, string(b.Category)+"/"+b.Suite)
	})
	return out
}

// tryingCase returns the release's evaluations of safety or misuse that have a
// metric of a case.
func (j *judge) tryingCase(name string, counts func(*record.Metric) bool) (out []*record.Evaluation) {
	named := &j.d.Release.Record.Behaviour
	for i := range j.d.Evaluations {
		x := &j.d.Evaluations[i]
		if (x.Record.Category != record.Misuse && x.Record.Category != record.Safety) ||
			x.Record.Artifact != named.Artifact || !slices.Contains(named.Evaluations, x.Digest) {
			continue
		}
		if slices.ContainsFunc(x.Record.Metrics, func(m record.Metric) bool { return m.Case == name && counts(&m) }) {
			out = append(out, &x.Record)
		}
	}
	return out
}

// otherMetrics names the metrics of a case that are there in the place of the
// one that is asked for.
func (j *judge) otherMetrics(name string) string {
	var names []string
	j.tryingCase(name, func(m *record.Metric) bool {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
		return false
	})
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "; those that try it give " + few(names)
}

// wholeCase keeps the metric over the whole of a case where there is one: the
// finer ones, by probe for instance, are counted in it.
func wholeCase(metrics []*record.Metric, name string) []*record.Metric {
	for _, m := range metrics {
		if len(m.Slice) == 0 || (len(m.Slice) == 1 && m.Slice[caseDimension] == name) {
			return []*record.Metric{m}
		}
	}
	return metrics
}

// severity orders results by how much they stand in the way.
var severity = map[record.Result]int{record.Fail: 4, record.Invalid: 3, record.Inconclusive: 2, record.Missing: 1}

// joined makes one gate of a case's results in several suites.
func (e *Requirement) joined(results []suiteResult) record.Gate {
	worst := results[0]
	var failed []string
	for _, x := range results {
		if x.gate.Result != record.Pass {
			failed = append(failed, x.suite)
		}
		if s := severity[x.gate.Result] - severity[worst.gate.Result]; s > 0 || (s == 0 && e.nearer(x.gate.Numbers, worst.gate.Numbers)) {
			worst = x
		}
	}
	g := worst.gate
	if len(results) == 1 {
		return g
	}
	for _, x := range results {
		if x.suite != worst.suite {
			g.Evidence = append(g.Evidence, x.gate.Evidence...)
		}
		g.Until = record.Earlier(g.Until, x.gate.Until)
	}
	if len(failed) == 0 {
		g.Reason = fmt.Sprintf("All %d suites that try it pass. The nearest to the limit is %s: %s", len(results), worst.suite, g.Reason)
	} else {
		g.Reason = fmt.Sprintf("%d of %d suites that try it do not pass: %s. The worst is %s: %s", len(failed), len(results), few(failed), worst.suite, g.Reason)
	}
	return g
}

// nearer reports whether a is nearer to the limit than b, or farther beyond.
func (e *Requirement) nearer(a, b *record.Numbers) bool {
	switch {
	case a == nil || b == nil:
		return false
	case e.Bound.HigherIsBetter():
		return e.statistic(a) < e.statistic(b)
	}
	return e.statistic(a) > e.statistic(b)
}

func (e *Requirement) statistic(n *record.Numbers) float64 {
	switch {
	case e.Bound.Statistic == record.StatLower && n.Lower != nil:
		return *n.Lower
	case e.Bound.Statistic == record.StatUpper && n.Upper != nil:
		return *n.Upper
	}
	return n.Value
}

func doMisuse(d *record.Dossier) string {
	return fmt.Sprintf("imprimatur usecase register %s --misuse CASE --not-applicable CASE=REASON", d.Release.Record.Context.UseCase)
}
