package evidence

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"regexp"
	"strings"

	"imprimatur.dev/record"
)

// suite gathers what the files say about one suite. Importers fill the
// exported members of the evaluation themselves and report items and totals
// through the methods; finish computes the metrics.
type suite struct {
	record.Evaluation
	in    *input
	items itemTable
	// series are the outcomes by metric, in the order in which they came up.
	series []*series
	byName map[string]*series
	// reported are the tool's own metrics.
	reported []record.Metric
	// slicings are the distinct combinations of slices; ofItem says which one
	// each item has. Both are empty while no item has a slice.
	slicings []map[string]string
	bySlices map[string]uint32
	ofItem   column[uint32]
	// clusters says to which cluster each item belongs.
	clusters  itemTable
	clusterOf column[uint32]
	classes   *classes
	// nameless says that the items have no identities of their own, and so
	// cannot be paired with those of another evaluation.
	nameless bool
	skip     int
	broken   []string
}

// suite begins a suite or returns the one with the name. The name is made fit
// for a record.
func (in *input) suite(name string, c record.Category) *suite {
	name = nameOf(name)
	for _, s := range in.suites {
		if s.Suite == name && s.Category == c {
			return s
		}
	}
	s := newSuite(in)
	s.Suite, s.Category = name, c
	in.suites = append(in.suites, s)
	return s
}

// newSuite makes a suite that has no name yet; [input.adopt] gives it one.
func newSuite(in *input) *suite {
	s := &suite{in: in, byName: map[string]*series{}}
	s.Settings, s.Labels = map[string]string{}, map[string]string{}
	return s
}

// adopt takes in a suite whose name is known only after all of it was read. Two
// files with results of one suite are refused.
func (in *input) adopt(p part, s *suite, name string, c record.Category) (*suite, error) {
	s.Suite, s.Category = nameOf(name), c
	for _, have := range in.suites {
		if have.Suite == s.Suite && have.Category == c {
			return nil, p.refuse("", "a file before it has results of %s too; record one run at a time", s.Suite)
		}
	}
	in.suites = append(in.suites, s)
	return s, nil
}

// series are the outcomes of one metric, one for each item that has it.
type series struct {
	metric record.Metric
	// marks are the outcomes of a proportion by item: see the constants. values
	// are those of a score, NaN where the item has none. One of them is used.
	marks  column[int8]
	values column[float64]
	scored int
	none   int
	// low and high are the ends of the scale, where they are known.
	low, high float64
}

const (
	markAbsent int8 = iota // the metric is not of this item
	markNo
	markYes
	markNone // asked, and no answer
)

// item returns the ordinal of the item with an identity, making it if it is
// new. Past [MaxItems] it returns -1, and finish refuses.
func (s *suite) item(id string) int {
	i, _ := s.items.add(keyOf(id))
	if i < 0 {
		s.refuse("it has more than %d items", MaxItems)
	}
	return i
}

// newItem is item for formats in which every item comes once: a repeated
// identity is refused.
func (s *suite) newItem(id string) int { return newItem(s, keyOf(id), id) }

// newItem is the method where the identity's key is known.
func newItem[T string | []byte](s *suite, key itemKey, id T) int {
	i, fresh := s.items.add(key)
	if i < 0 {
		s.refuse("it has more than %d items", MaxItems)
	} else if !fresh {
		s.refuse("the item %q comes twice", clip(string(id)))
	}
	return i
}

// refuse makes finish fail.
func (s *suite) refuse(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(s.broken) == 0 {
		s.broken = append(s.broken, text)
	}
}

// incomplete says why the run does not count; the first reason is kept.
func (s *suite) incomplete(format string, args ...any) {
	if s.Incomplete == "" {
		s.Incomplete = fmt.Sprintf(format, args...)
	}
}

// describe sets what is known of a metric beside its outcomes: direction, case,
// unit. Low and high are the ends of its scale; NaN is not known.
func (s *suite) describe(m record.Metric, low, high float64) {
	x := s.of(m.Name)
	name := x.metric.Name
	x.metric, x.low, x.high = m, low, high
	x.metric.Name = name
}

func (s *suite) of(metric string) *series {
	if x := s.byName[metric]; x != nil {
		return x
	}
	x := &series{metric: record.Metric{Name: nameOf(metric)}, low: math.NaN(), high: math.NaN()}
	s.byName[metric] = x
	s.series = append(s.series, x)
	return x
}

// outcome records that an item succeeded or not.
func (s *suite) outcome(item int, metric string, ok bool) {
	mark := markNo
	if ok {
		mark = markYes
	}
	s.mark(item, metric, mark)
}

// none records that an item was asked and gave no answer.
func (s *suite) none(item int, metric string) {
	if x := s.of(metric); x.values.n > 0 {
		s.score(item, metric, math.NaN())
	} else {
		s.mark(item, metric, markNone)
	}
}

func (s *suite) mark(item int, metric string, mark int8) {
	x := s.of(metric)
	if item < 0 {
		return
	}
	if x.values.n > 0 {
		s.score(item, metric, scoreOf[mark])
		return
	}
	if item < x.marks.n && x.marks.at(item) != markAbsent {
		s.refuse("an item has the metric %q twice", x.metric.Name)
	}
	x.marks.set(item, mark, markAbsent)
	x.count(mark != markNone)
}

// missing is the score of an item that was asked and gave no answer.
var missing = math.NaN()

// absent stands in values for an item that does not have the metric. NaN is an
// item that was asked and gave no answer.
var absent = math.Inf(-1)

// score records the score of an item; NaN is no answer.
func (s *suite) score(item int, metric string, v float64) {
	x := s.of(metric)
	if item < 0 {
		return
	}
	if x.marks.n > 0 {
		x.toScores()
	}
	if math.IsInf(v, 0) {
		v = math.NaN()
	}
	if item < x.values.n && x.values.at(item) != absent {
		s.refuse("an item has the metric %q twice", x.metric.Name)
	}
	x.values.set(item, v, absent)
	x.count(!math.IsNaN(v))
}

// scoreOf are the scores that outcomes stand for.
var scoreOf = [...]float64{markAbsent: absent, markNo: 0, markYes: 1, markNone: missing}

// toScores turns outcomes into scores of 0 and 1, when a metric that began as
// a proportion turns out to be none.
func (x *series) toScores() {
	for i := range x.marks.n {
		x.values.push(scoreOf[x.marks.at(i)])
	}
	x.marks = column[int8]{}
}

func (x *series) count(scored bool) {
	if scored {
		x.scored++
	} else {
		x.none++
	}
}

func grow[T any](s []T, i int, fill T) []T {
	for len(s) <= i {
		s = append(s, fill)
	}
	return s
}

// slice says which slices an item is in.
func (s *suite) slice(item int, slices map[string]string) {
	if item >= 0 && len(slices) > 0 {
		s.ofItem.set(item, s.slicing(slices), 0)
	}
}

// slicing numbers a combination of slices.
func (s *suite) slicing(slices map[string]string) uint32 {
	// The label of one dimension is written without a detour: it is the most
	// frequent case by far.
	key := ""
	if len(slices) == 1 {
		for d, v := range slices {
			key = d + "=" + v
		}
	} else {
		key = (record.Metric{Slice: slices}).Label()
	}
	n, ok := s.bySlices[key]
	if !ok {
		if s.bySlices == nil {
			s.bySlices, s.slicings = map[string]uint32{}, []map[string]string{nil}
		}
		n = uint32(len(s.slicings))
		s.bySlices[key], s.slicings = n, append(s.slicings, maps.Clone(slices))
	}
	return n
}

// cluster says to which group of dependent items an item belongs.
func (s *suite) cluster(item int, name string) {
	if name != "" {
		s.clusterKey(item, keyOf(name))
	}
}

func (s *suite) clusterKey(item int, key itemKey) {
	if item < 0 {
		return
	}
	n, _ := s.clusters.add(key)
	s.clusterOf.set(item, uint32(n)+1, 0)
}

// report records a metric as the tool totals it. Where items give the same
// metric, the two are compared.
func (s *suite) report(m record.Metric) {
	m.Name = nameOf(m.Name)
	if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
		s.in.warn("%s of %s is no number and left out", m.Label(), s.Suite)
		return
	}
	s.reported = append(s.reported, m)
}

// check compares a total of the tool with ours; they must agree within 1e-9,
// or within the rounding that the caller allows.
func (s *suite) check(name string, reported, recomputed, tolerance float64) {
	ok := math.Abs(reported-recomputed) <= max(tolerance, 1e-9)
	s.Import.Checks = append(s.Import.Checks, record.Check{Name: name, OK: ok, Reported: reported, Recomputed: recomputed})
}

var notOfName = regexp.MustCompile(`[^a-z0-9._-]+`)

// nameOf makes a tool's name fit for a record: lower case, with '-' for runs of
// what a record does not take. What was cut off is kept as a digest.
func nameOf(s string) string {
	n := strings.Trim(notOfName.ReplaceAllString(strings.ToLower(s), "-"), "-._")
	if n == "" {
		n = "unnamed"
	}
	if len(n) > record.MaxNames {
		sum := sha256.Sum256([]byte(s))
		n = n[:record.MaxNames-9] + "-" + hex.EncodeToString(sum[:4])
	}
	return n
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// compareMetrics orders metrics: totals before slices, then by label.
func compareMetrics(a, b record.Metric) int {
	return cmp.Or(cmp.Compare(len(a.Slice), len(b.Slice)), strings.Compare(a.Label(), b.Label()))
}
