package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// Requirement is what a policy demands of one metric.
type Requirement struct {
	// Gate is the gate's name.
	Gate     string
	Category record.Category
	Suite    string
	Metric   string
	// Slice chooses the metric of exactly this slice; empty is that of all items.
	Slice map[string]string
	// Over is the dimension of which every slice is judged, and MinSlices how
	// many there must be; empty where one metric is judged.
	Over      string
	MinSlices int
	// Bound is what every metric judged must meet; zero where Alarm is given.
	Bound Bound
	// Alarm is the chance of any false alarm over all slices.
	Alarm float64
	// Interval is how a proportion's interval is taken from its counts:
	// MethodWilson or MethodClopperPearson.
	Interval string
	// Tries is how many evaluations on one held-out set share the 5 % by which
	// an interval may err; 0 where tries do not count.
	Tries int
	// With names the gate without which this one does not pass.
	With string
	// Margin is how much worse than production the metric may be; nil where
	// no comparison is asked for.
	Margin *float64
	// First says what a release without production is compared with: FirstAnchor
	// or FirstApart.
	First string
	// Regressions is the level at which items lost to production refuse; 0 where
	// they are only reported.
	Regressions float64
	MinSamples  int
	// FreshFor is how long a result counts after it ran; 0 is for ever.
	FreshFor time.Duration
	// Assurance is the least that is accepted.
	Assurance string
	Mode      string

	// level is that of the intervals, and widening how much wider they are than
	// at 95 %.
	level, widening float64
	// misuseCase is the case that is judged, for a requirement of a tier's misuse.
	misuseCase string
	// with is the index of the requirement that With names.
	with  int
	where position
}

// What a release with nothing in production is compared with.
const (
	FirstAnchor = "anchor" // the model that the use case names
	FirstApart  = "apart"  // nothing, and the verdict says so
)

// mostPairs is of how many items an evaluation carries the outcomes.
const mostPairs = 1 << 16

func (r *reader) requirement(n *yaml.Node) Requirement {
	e := Requirement{
		Mode: record.Enforce, Assurance: record.Imported, Interval: MethodWilson, First: FirstAnchor,
		level: 0.95, widening: 1, with: -1, where: at(n),
	}
	var required, minSlices bool
	r.mapping(n, "an evaluation",
		need("category", func(n *yaml.Node) {
			e.Category = record.Category(r.oneOf(n, "category", string(record.Accuracy), string(record.Safety), string(record.Drift), string(record.Misuse)))
		}),
		need("suite", func(n *yaml.Node) { e.Suite = r.name(n, "suite") }),
		need("metric", func(n *yaml.Node) { e.Metric = r.name(n, "metric") }),
		may("slice", func(n *yaml.Node) { e.Slice = r.slice(n) }),
		may("over", func(n *yaml.Node) { e.Over = r.text(n, "over") }),
		may("minSlices", func(n *yaml.Node) { e.MinSlices, minSlices = r.count(n, "minSlices", 1, 500), true }),
		may("require", func(n *yaml.Node) {
			var err error
			if e.Bound, err = ParseBound(r.text(n, "require")); err != nil {
				r.failf(at(n), "require: %v", err)
			}
			required = true
		}),
		may("alarm", func(n *yaml.Node) {
			r.mapping(n, "alarm", need("alpha", func(n *yaml.Node) { e.Alarm = r.chance(n, "alpha") }))
		}),
		may("interval", func(n *yaml.Node) { e.Interval = r.oneOf(n, "interval", MethodWilson, MethodClopperPearson) }),
		may("tries", func(n *yaml.Node) {
			r.mapping(n, "tries", need("atMost", func(n *yaml.Node) { e.Tries = r.count(n, "atMost", 1, 1000) }))
		}),
		may("with", func(n *yaml.Node) { e.With = r.text(n, "with") }),
		may("versusProduction", func(n *yaml.Node) { r.versus(n, &e) }),
		may("minSamples", func(n *yaml.Node) { e.MinSamples = r.count(n, "minSamples", 1, 1<<40) }),
		may("freshFor", func(n *yaml.Node) { e.FreshFor = r.span(n, "freshFor") }),
		may("assurance", func(n *yaml.Node) { e.Assurance = r.oneOf(n, "assurance", assurances...) }),
		may("mode", func(n *yaml.Node) { e.Mode = r.mode(n) }),
		may("name", func(n *yaml.Node) { e.Gate = r.name(n, "name") }),
	)
	if e.Gate == "" {
		e.Gate = e.defaultGate()
	}
	e.spend(e.Tries)
	r.checkRequirement(&e, required, minSlices)
	return e
}

// spend shares the 5 % by which an interval may err among tries.
func (e *Requirement) spend(tries int) {
	if tries > 1 {
		e.level = 1 - 0.05/float64(tries)
		e.widening = statistics.NormalQuantile((1+e.level)/2) / statistics.NormalQuantile(0.975)
	}
}

// slice reads the names and values of a slice.
func (r *reader) slice(n *yaml.Node) map[string]string {
	slice := map[string]string{}
	r.members(n, "slice", func(key, value *yaml.Node) { slice[r.text(key, "a dimension")] = r.text(value, key.Value) })
	if n.Kind == yaml.MappingNode && len(slice) == 0 {
		r.failf(at(n), "slice is empty; leave it out to judge all items together")
	}
	return slice
}

func (r *reader) chance(n *yaml.Node, what string) float64 {
	v := r.number(n, what)
	if v <= 0 || v >= 1 {
		r.failf(at(n), "%s is not between 0 and 1", what)
	}
	return v
}

func (r *reader) versus(n *yaml.Node, e *Requirement) {
	r.mapping(n, "versusProduction",
		need("noWorseThan", func(n *yaml.Node) {
			margin := r.number(n, "noWorseThan")
			if margin < 0 {
				r.failf(at(n), "noWorseThan is below 0: a margin says how much worse is still allowed")
			}
			e.Margin = &margin
		}),
		may("first", func(n *yaml.Node) { e.First = r.oneOf(n, "first", FirstAnchor, FirstApart) }),
		may("regressions", func(n *yaml.Node) { e.Regressions = r.chance(n, "regressions") }),
	)
}

// checkRequirement finds members that do not go together.
func (r *reader) checkRequirement(e *Requirement, required, minSlices bool) {
	for _, fault := range []struct {
		wrong   bool
		message string
	}{
		{!required && e.Alarm == 0, `an evaluation lacks "require"`},
		{required && e.Alarm != 0, "require and alarm are both given; a metric either meets a bound or raises an alarm"},
		{e.Alarm != 0 && e.Over == "", "alarm corrects for looking at several slices; name their dimension under over"},
		{e.Over != "" && len(e.Slice) > 0, "slice and over are both given; judge one slice, or every one of a dimension"},
		{minSlices && e.Over == "", "minSlices counts the slices of a dimension; name it under over"},
		{e.Over != "" && e.Margin != nil, "versusProduction compares one metric, not every slice of a dimension; name the slice"},
		{e.Margin != nil && e.Bound.Operator == "==", "versusProduction cannot tell from == whether more or less is better; require with >= or <="},
		{
			e.Regressions > 0 && e.MinSamples > mostPairs,
			fmt.Sprintf("regressions compares item by item, which an evaluation of more than %d items does not allow; minSamples asks for more", mostPairs),
		},
		{e.Regressions > 0 && len(e.Slice) > 0, "regressions compares item by item, which is kept for all items together and not for a slice"},
	} {
		if fault.wrong {
			r.failf(e.where, "%s", fault.message)
		}
	}
}

// defaultGate names the gate after what it judges. It has no sign that a shell
// or YAML's short form would read as its own.
func (e *Requirement) defaultGate() string {
	name := string(e.Category) + "/" + e.Suite + "/" + e.Metric
	for _, d := range slices.Sorted(maps.Keys(e.Slice)) {
		name += "/" + d + "=" + e.Slice[d]
	}
	if e.Over != "" {
		name += "/over-" + e.Over
	}
	return name
}

// companions resolves the gates that others name under with, and orders the
// requirements so that each comes after its own.
func (r *reader) companions(t *Tier) {
	gates := make([]string, len(t.Evaluations))
	for i, e := range t.Evaluations {
		gates[i] = e.Gate
	}
	depths := make([]int, len(gates))
	for i := range t.Evaluations {
		e := &t.Evaluations[i]
		if e.With == "" {
			continue
		}
		if e.with = slices.Index(gates, e.With); e.with < 0 {
			r.failf(e.where, "with: tier %s has no gate %q of an evaluation; it has %s", t.Name, e.With, list(gates))
		}
	}
	for i := range t.Evaluations {
		for k := t.Evaluations[i].with; k >= 0 && depths[i] <= len(gates); k = t.Evaluations[k].with {
			if depths[i]++; k == i {
				r.failf(t.Evaluations[i].where, "with: the gate %s would wait for itself", gates[i])
				break
			}
		}
		t.order = append(t.order, i)
	}
	slices.SortStableFunc(t.order, func(a, b int) int { return depths[a] - depths[b] })
}

// assurances are in ascending order.
var assurances = []string{record.Claimed, record.Imported, record.SignedRun}

func (e *Requirement) sentence() string {
	var s strings.Builder
	where := fmt.Sprintf("on the %s suite %s", e.Category, e.Suite)
	switch {
	case e.Alarm > 0:
		fmt.Fprintf(&s, "the drift of %s %s must not be significant in any slice of %s, at %s after Holm's correction", e.Metric, where, e.Over, number(e.Alarm))
	case e.Over != "":
		fmt.Fprintf(&s, "%s of %s %s must be %s %s in every slice of %s", e.Bound.Statistic, e.Metric, where, e.Bound.Operator, number(e.Bound.Threshold), e.Over)
	default:
		fmt.Fprintf(&s, "%s of %s %s must be %s %s", e.Bound.Statistic, e.label(), where, e.Bound.Operator, number(e.Bound.Threshold))
	}
	if e.MinSlices > 0 {
		fmt.Fprintf(&s, ", of which there are at least %d", e.MinSlices)
	}
	if e.Interval == MethodClopperPearson {
		s.WriteString(", by the exact interval of Clopper and Pearson")
	}
	if e.Tries > 0 {
		fmt.Fprintf(&s, ", within %d tries on one held-out set", e.Tries)
		if e.level > 0.95 && e.Alarm == 0 {
			fmt.Fprintf(&s, ", which share 5 %%, so that bounds are taken at %s %%", percent(e.level))
		}
	}
	if e.MinSamples > 0 {
		fmt.Fprintf(&s, ", from at least %d samples", e.MinSamples)
	}
	if e.FreshFor > 0 {
		s.WriteString(", no older than " + spell(e.FreshFor))
	}
	s.WriteString(", with assurance " + e.Assurance + " or better")
	if e.With != "" {
		s.WriteString(", and counts only while the gate " + e.With + " passes")
	}
	return s.String()
}

func (e *Requirement) versusSentence() string {
	s := fmt.Sprintf("%s on the %s suite %s is no more than %s worse than in production", e.label(), e.Category, e.Suite, number(*e.Margin))
	if e.Regressions > 0 {
		s += fmt.Sprintf(", and loses no more items to it than chance explains at %s", number(e.Regressions))
	}
	if e.First == FirstApart {
		return s + "; a first release is compared with nothing, and marked so"
	}
	return s + "; a first release is compared with the anchor of the use case"
}

// label names the metric with its slice.
func (e *Requirement) label() string { return record.Metric{Name: e.Metric, Slice: e.Slice}.Label() }

// percent writes a level as a percentage of four digits at most.
func percent(level float64) string { return rounded(100 * level) }
