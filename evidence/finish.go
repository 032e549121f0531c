package evidence

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"imprimatur.dev/record"
)

// maxOutcomes is how many items an evaluation carries the outcomes of: 8 KiB a
// metric. Larger ones are compared with production unpaired.
const maxOutcomes = 1 << 16

// maxSlices bounds the slices of one dimension that become metrics.
const maxSlices = 512

// finish makes the evaluation. Its error is a [Refusal].
func (s *suite) finish(raw []record.RawFile) (record.Evaluation, error) {
	if len(s.broken) > 0 {
		return record.Evaluation{}, s.in.refuse("", "%s", s.broken[0])
	}
	s.Evidence = raw
	s.said()
	s.Assurance = cmp0(s.Assurance, record.Imported)
	s.Import.Format, s.Import.Version = s.in.format, s.in.version
	s.Import.Unknown, s.Import.Warnings = s.in.notes.unknown, append(s.Import.Warnings, s.in.notes.warnings...)
	s.Metrics = nil
	if n := s.items.len(); n > 0 {
		s.fromItems(n)
	}
	s.fromReports()
	s.judgeCounts()
	slices.SortStableFunc(s.Metrics, compareMetrics)
	if len(s.Settings) == 0 {
		s.Settings = nil
	}
	if len(s.Labels) == 0 {
		s.Labels = nil
	}
	return s.Evaluation, nil
}

func cmp0[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}

// said fills in what the run says where the files are silent. Category and
// suite are the run's to name; of the rest a file's own word is kept, and a
// different word in the run is a contradiction that a reviewer sees.
func (s *suite) said() {
	r := &s.in.run
	s.Team, s.Artifact, s.Prompt, s.Configuration, s.Dataset = r.Team, r.Artifact, r.Prompt, r.Configuration, r.Dataset
	s.Category = cmp0(r.Category, s.Category)
	s.SuiteVersion = cmp0(s.SuiteVersion, r.SuiteVersion)
	s.Definition = cmp0(s.Definition, r.Definition)
	if r.Tool.Name != "" && s.Tool.Name != "" && s.Tool.Name != r.Tool.Name {
		s.in.warn("the run says that the tool is %s, the file %s", r.Tool.Name, s.Tool.Name)
	}
	s.Tool.Name = cmp0(cmp0(s.Tool.Name, r.Tool.Name), s.in.format)
	s.Tool.Version = cmp0(cmp0(s.Tool.Version, r.Tool.Version), "unknown")
	s.Tool.Commit = cmp0(s.Tool.Commit, r.Tool.Commit)
	for k, v := range r.Settings {
		if have, ok := s.Settings[k]; ok && have != v {
			s.in.warn("the run says %s = %s, the file %s", k, clip(v), clip(have))
			continue
		}
		s.Settings[k] = v
	}
	for k, v := range r.Labels {
		s.Labels[k] = cmp0(s.Labels[k], v)
	}
	if len(s.Judges) == 0 {
		s.Judges = r.Judges
	}
	s.Started, s.Ran = cmp0(s.Started, r.Started), cmp0(s.Ran, r.Finished)
	s.Counts.Expected = cmp0(s.Counts.Expected, r.Expected)
}

// fromItems computes the metrics of the series.
func (s *suite) fromItems(n int) {
	order, set := s.items.order()
	s.Items = &record.Items{Set: set, N: n, Clusters: s.clusters.len()}
	answered := make([]bool, n)
	for _, x := range s.series {
		for i := range n {
			if v, has := x.at(i); has && !math.IsNaN(v) {
				answered[i] = true
			}
		}
	}
	// What a file's totals say of the counts gives way to the items.
	s.Counts.Scored = 0
	for _, ok := range answered {
		if ok {
			s.Counts.Scored++
		}
	}
	s.Counts.Errors = n - s.Counts.Scored
	s.Counts.Evaluated, s.Counts.Skipped = n, s.Counts.Skipped+s.skip
	for _, x := range s.series {
		if x.scored+x.none == 0 {
			continue
		}
		x.toMarks()
		m, ok := s.metric(x, nil)
		if !ok {
			continue
		}
		if n <= maxOutcomes && !s.nameless && x.marks.n > 0 && x.scored == n {
			m.Outcomes = x.bits(order)
		}
		s.Metrics = append(s.Metrics, m)
		for _, slice := range s.singleSlices() {
			if m, ok := s.metric(x, slice); ok {
				s.Metrics = append(s.Metrics, m)
			}
		}
	}
	s.classified()
}

// at returns the value of an item, NaN for no answer, and whether the series
// has the item at all.
func (x *series) at(i int) (float64, bool) {
	switch {
	case i < x.marks.n:
		switch x.marks.at(i) {
		case markNo:
			return 0, true
		case markYes:
			return 1, true
		case markNone:
			return math.NaN(), true
		}
	case i < x.values.n && x.values.at(i) != absent:
		return x.values.at(i), true
	}
	return 0, false
}

// toMarks turns scores that are all 0 or 1 into outcomes: tools write a
// proportion's items as numbers.
func (x *series) toMarks() {
	if x.scored == 0 || x.values.n == 0 {
		return
	}
	for _, block := range x.values.blocks {
		for _, v := range block {
			if v != 0 && v != 1 && v != absent && !math.IsNaN(v) {
				return
			}
		}
	}
	for i := range x.values.n {
		switch v := x.values.at(i); {
		case v == absent:
			x.marks.push(markAbsent)
		case math.IsNaN(v):
			x.marks.push(markNone)
		default:
			x.marks.push(markNo + int8(v))
		}
	}
	x.values = column[float64]{}
}

// bits packs the outcomes in the order of the items' identities.
func (x *series) bits(order []uint32) []byte {
	out := make([]byte, (len(order)+7)/8)
	for k, i := range order {
		if x.marks.at(int(i)) == markYes {
			out[k/8] |= 1 << (k % 8)
		}
	}
	return out
}

// singleSlices returns each slice of each dimension by itself.
func (s *suite) singleSlices() (out []map[string]string) {
	dims := map[string]map[string]bool{}
	for _, c := range s.slicings {
		for d, v := range c {
			if dims[d] == nil {
				dims[d] = map[string]bool{}
			}
			dims[d][v] = true
		}
	}
	for _, d := range keys(dims) {
		if len(dims[d]) > maxSlices {
			s.in.warn("%s has %d slices; only dimensions of up to %d are reported", d, len(dims[d]), maxSlices)
			continue
		}
		for _, v := range keys(dims[d]) {
			out = append(out, map[string]string{d: v})
		}
	}
	return out
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// within reports whether an item is in a slice of one dimension; nil is all.
func (s *suite) within(item int, slice map[string]string) bool {
	for d, v := range slice {
		if item >= s.ofItem.n || s.slicings[s.ofItem.at(item)][d] != v {
			return false
		}
	}
	return true
}

// values are the values of a series over a slice with their clusters, 0 for
// none. An item without an answer has the worst; where that is not known, it is
// left out.
func (s *suite) values(x *series, slice map[string]string) iter.Seq2[float64, uint32] {
	worst := x.worst()
	inside := make([]bool, len(s.slicings))
	for n, of := range s.slicings {
		for d, v := range slice {
			inside[n] = of[d] == v
		}
	}
	return func(yield func(float64, uint32) bool) {
		for i := range s.items.len() {
			if slice != nil && (i >= s.ofItem.n || !inside[s.ofItem.at(i)]) {
				continue
			}
			v, has := x.at(i)
			if !has {
				continue
			}
			if math.IsNaN(v) {
				v = worst
			}
			if !math.IsNaN(v) && !yield(v, s.clusterAt(i)) {
				return
			}
		}
	}
}

// metric computes a series' metric over a slice. An item without an answer
// counts as the worst that the scale has; where the worst is not known, the
// evaluation is incomplete.
func (s *suite) metric(x *series, slice map[string]string) (record.Metric, bool) {
	m := x.metric
	m.Slice, m.Case = slice, cmp0(slice[caseDimension], m.Case)
	if x.none > 0 && slice == nil {
		if all := x.none + x.scored; math.IsNaN(x.worst()) {
			s.incomplete("%d of %d items have no %s, and what that would be at worst is not known", x.none, all, m.Name)
		} else {
			s.in.warn("%d of %d items of %s have no answer and count against the model", x.none, all, m.Name)
		}
	}
	values := s.values(x, slice)
	var t tally
	clustered := false
	for v, cluster := range values {
		t.add(v)
		clustered = clustered || cluster != 0
	}
	proportion := x.marks.n > 0
	switch {
	case t.n == 0:
		return m, false
	case !clustered && (proportion || t.n > maxBootstrap):
		// The values of a large file are not copied.
		t.summarise(&m, proportion, values)
		return m, true
	}
	p := points{values: make([]float64, 0, t.n)}
	for v, cluster := range values {
		p.add(v, cluster)
	}
	p.summarise(&m, proportion, s.seed(m))
	return m, true
}

// worst is what an item without an answer counts as.
func (x *series) worst() float64 {
	low, high := x.low, x.high
	if x.marks.n > 0 {
		low, high = 0, 1
	}
	switch x.metric.Direction {
	case record.Higher:
		return low
	case record.Lower:
		return high
	}
	return math.NaN()
}

func (s *suite) clusterAt(i int) uint32 {
	if i < s.clusterOf.n {
		return s.clusterOf.at(i)
	}
	return 0
}

// fromReports joins the tool's totals with what the items gave.
func (s *suite) fromReports() {
	for _, r := range s.reported {
		i := slices.IndexFunc(s.Metrics, func(m record.Metric) bool { return m.Label() == r.Label() })
		if i < 0 {
			s.Metrics = append(s.Metrics, r)
			continue
		}
		m := &s.Metrics[i]
		s.check(m.Label(), r.Value, m.Value, reportTolerance(r.Value))
		m.Reported = r.Reported
		m.Case, m.Unit, m.Direction = cmp0(m.Case, r.Case), cmp0(m.Unit, r.Unit), cmp0(m.Direction, r.Direction)
	}
}

// reportTolerance allows for a total that was summed in another order, or
// written with few digits.
func reportTolerance(v float64) float64 { return 1e-6 * max(1, math.Abs(v)) }

// judgeCounts says what makes the evaluation count for nothing.
func (s *suite) judgeCounts() {
	n := &s.Counts
	n.Evaluated = n.Scored + n.Errors
	switch {
	case len(s.Metrics) == 0:
		s.incomplete("it gives no metric")
	case s.Items != nil && n.Scored == 0:
		s.incomplete("none of its %d items was scored", n.Evaluated)
	case n.Expected > n.Evaluated+n.Skipped:
		s.incomplete("it covers %d of %d items", n.Evaluated, n.Expected)
	}
	if s.in.run.Exit != 0 {
		s.in.warn("the command ended with the status %d", s.in.run.Exit)
	}
}

// seed names what a metric's bootstrap is seeded with: the evidence, the
// metric and the slice.
func (s *suite) seed(m record.Metric) string {
	return fmt.Sprintf("%s %s %s", s.Evidence[0].Digest, s.Suite, m.Label())
}
