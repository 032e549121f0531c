package evidence

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// itemsFormat is our own: one JSON object for each item, one a line, with what
// any kind of model can give.
//
//	{"imprimatur": "items/v1", "suite": "holdout", "category": "accuracy", "expected": 2,
//	 "tool": {"name": "our-eval", "version": "1.4"}, "ran": "2026-05-01T12:00:00Z",
//	 "metrics": {"accuracy": {"direction": "higher"}, "loss": {"direction": "lower", "low": 0}},
//	 "reported": [{"name": "psi_max", "value": 0.04, "n": 2, "direction": "lower"}]}
//	{"item": "p-001", "cluster": "clinic-a", "slice": {"sex": "f"}, "metrics": {"accuracy": true, "loss": 0.21}}
//	{"item": "p-002", "cluster": "clinic-b", "slice": {"sex": "m"}, "error": "timeout"}
//
// The first line, the header, may go over several lines or be left out, and so
// may each of its members. "outcome" is short for one metric, success_rate,
// and "score" for another, score. A metric that is true or false is a
// proportion, a number is averaged. null is an item that was asked and gave no
// answer, and so is each metric of an item with an "error". "skipped": true is
// an item that was not asked. An item with "label" and "prediction", and with
// a "score" of the positive class, is classified: see [suite.classify]. A
// "note" is for people. What no item has, such as the largest of several, the
// header has as "reported", with "stdErr", "lower95" and "upper95" where they
// are known.
var itemsFormat = importer{
	format: "items", version: 1, accepts: "our own form, items/v1: NDJSON, or CSV with the columns item, cluster, slice.NAME, metric.NAME, outcome, score, label, prediction, error, skipped",
	match: matchItems,
	read:  readItems,
}

const itemsHeader = "items/v1"

func matchItems(h *head) string {
	if h.form == formText {
		if hasColumn(h, "item") && (hasColumn(h, "outcome") || hasColumn(h, "score") || hasColumn(h, "label") || hasPrefix(h, "metric.")) {
			return "csv"
		}
		return ""
	}
	for i, l := range h.lines() {
		switch {
		case i == 0 && l.text("imprimatur") == itemsHeader:
			return "ndjson"
		case !l.has("item"):
			return ""
		case l.has("outcome"), l.has("score"), l.has("metrics"), l.has("label"), l.has("error"), l.has("skipped"):
			return "ndjson"
		}
	}
	return ""
}

func hasColumn(h *head, name string) bool {
	for _, c := range h.columns {
		if c == name {
			return true
		}
	}
	return false
}

func hasPrefix(h *head, prefix string) bool {
	for _, c := range h.columns {
		if strings.HasPrefix(c, prefix) {
			return true
		}
	}
	return false
}

func readItems(in *input) error {
	for _, p := range in.parts {
		r := itemReader{in: in}
		var err error
		if p.role == "csv" {
			err = r.csv(p)
		} else {
			err = lines(in, p, readItem, r.take)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// itemReader takes the items of one file.
type itemReader struct {
	in *input
	s  *suite
	// asked are the metrics that the header names: an item with an error
	// failed in each of them.
	asked []string
	// slicings number the combinations of slices by how they are written.
	slicings map[string]uint32
	key      []byte
}

// oneItem is what one line says.
type oneItem struct {
	id, cluster       []byte
	key, clusterKey   itemKey
	failed            bool
	skipped, any      bool
	label, prediction string
	score             float64
	values            []itemValue
	slices            []itemSlice
	header            *itemsHead
}

type itemValue struct {
	metric string
	kind   jsontext.Kind // t, f, 0 for a number, n for no answer
	score  float64
}

type itemSlice struct{ dimension, value string }

// clear makes an item that says nothing, and keeps its memory.
func (it *oneItem) clear() {
	*it = oneItem{id: it.id[:0], cluster: it.cluster[:0], values: it.values[:0], slices: it.slices[:0], score: math.NaN()}
}

// readItem reads one line: an item, or the header.
func readItem(d *doc, it *oneItem) {
	it.clear()
	if d.first && d.part.head.lines()[0].has("imprimatur") {
		it.header = &itemsHead{}
		it.header.read(d)
		return
	}
	d.object(func(name string) bool { return it.member(d, name) })
	it.identify()
}

// identify makes the keys.
func (it *oneItem) identify() {
	if it.key = keyOf(it.id); len(it.cluster) > 0 {
		it.clusterKey = keyOf(it.cluster)
	}
}

// begin makes the suite.
func (r *itemReader) begin(name string, c record.Category) {
	if r.s == nil {
		r.s = r.in.suite(name, cmp0(c, record.Accuracy))
	}
}

// itemsHead is what the header says.
type itemsHead struct {
	name   string
	is     record.Evaluation
	scales []itemScale
	// reported are metrics that are given as totals.
	reported []record.Metric
}

type itemScale struct {
	record.Metric
	low, high float64
}

func (h *itemsHead) read(d *doc) {
	h.name = "items"
	e := &h.is
	d.object(func(member string) bool {
		switch member {
		case "imprimatur":
			if v := d.text(); v != itemsHeader {
				d.refuse("its version is %q, and %q is what is read", v, itemsHeader)
			}
		case "suite":
			h.name = d.text()
		case "suiteVersion":
			e.SuiteVersion = d.text()
		case "category":
			e.Category = record.Category(d.text())
		case "expected":
			e.Counts.Expected = d.integer()
		case "started":
			e.Started = d.time()
		case "ran":
			e.Ran = d.time()
		case "tool":
			e.Tool = d.tool()
		case "settings":
			e.Settings = map[string]string{}
			d.settings(e.Settings, "")
		case "judges":
			d.array(func(int) {
				e.Judges = append(e.Judges, record.Judge{Model: d.text()})
			})
		case "metrics":
			d.object(func(metric string) bool {
				h.scales = append(h.scales, d.scale(metric))
				return true
			})
		case "reported":
			h.reported = d.reported()
		default:
			return false
		}
		return true
	})
}

func (d *doc) scale(metric string) itemScale {
	x := itemScale{low: math.NaN(), high: math.NaN()}
	x.Name = metric
	d.object(func(member string) bool {
		switch member {
		case "direction":
			x.Direction = d.text()
		case "case":
			x.Case = d.text()
		case "unit":
			x.Unit = d.text()
		case "low":
			x.low = d.number()
		case "high":
			x.high = d.number()
		default:
			return false
		}
		return true
	})
	return x
}

// header takes the header.
func (r *itemReader) header(h *itemsHead) {
	r.begin(h.name, h.is.Category)
	for _, m := range h.reported {
		r.s.report(m)
	}
	for _, x := range h.scales {
		r.asked = append(r.asked, x.Name)
		r.s.describe(x.Metric, x.low, x.high)
	}
	e := &h.is
	r.s.SuiteVersion, r.s.Counts.Expected, r.s.Started, r.s.Ran = e.SuiteVersion, e.Counts.Expected, e.Started, e.Ran
	r.s.Tool, r.s.Judges = e.Tool, e.Judges
	if e.Settings != nil {
		r.s.Settings = e.Settings
	}
}

// reported reads metrics that are given as totals.
func (d *doc) reported() (out []record.Metric) {
	d.array(func(int) {
		m, u := record.Metric{}, record.Uncertainty{Method: "reported"}
		number := func(into **float64) {
			if v := d.number(); !math.IsNaN(v) {
				*into = &v
			}
		}
		d.object(func(member string) bool {
			switch member {
			case "name":
				m.Name = d.text()
			case "value":
				m.Value = d.number()
			case "n":
				m.N = d.integer()
			case "slice":
				m.Slice = map[string]string{}
				d.settings(m.Slice, "")
			case "direction":
				m.Direction = d.text()
			case "case":
				m.Case = d.text()
			case "unit":
				m.Unit = d.text()
			case "method":
				u.Method = d.text()
			case "stdErr":
				number(&u.StdErr)
			case "lower95":
				number(&u.Lower95)
			case "upper95":
				number(&u.Upper95)
			default:
				return false
			}
			return true
		})
		if m.Name == "" {
			d.refuse("a reported metric has no name")
		}
		if u.StdErr != nil || u.Lower95 != nil {
			m.Reported = &u
		}
		out = append(out, m)
	})
	return out
}

func (d *doc) tool() (t record.Tool) {
	d.object(func(member string) bool {
		switch member {
		case "name":
			t.Name = d.text()
		case "version":
			t.Version = d.text()
		case "commit":
			t.Commit = d.text()
		case "dirty":
			t.Dirty = d.truth()
		default:
			return false
		}
		return true
	})
	return t
}

// time reads a time with its zone, to the millisecond; null is the zero time.
func (d *doc) time() time.Time {
	text := d.text()
	if text == "" || d.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		d.refuse("%q is no time with a zone (RFC 3339)", clip(text))
	}
	return record.Millis(t)
}

// member reads one member of an item.
func (it *oneItem) member(d *doc, name string) bool {
	switch name {
	case "item":
		it.id = d.identity(it.id)
	case "cluster":
		it.cluster = d.identity(it.cluster)
	case "slice":
		d.object(func(dimension string) bool {
			it.slices = append(it.slices, itemSlice{dimension, d.scalar()})
			return true
		})
	case "outcome":
		it.value(d, "success_rate")
	case "score":
		it.score = d.number()
		it.any = true
	case "metrics":
		d.object(func(metric string) bool {
			it.value(d, metric)
			return true
		})
	case "label":
		it.label = d.scalar()
	case "prediction":
		it.prediction = d.scalar()
	case "error":
		it.failed = d.scalar() != ""
	case "skipped":
		it.skipped = d.truth()
	case "note":
		d.skip()
	default:
		return false
	}
	return true
}

// value reads one metric of an item.
func (it *oneItem) value(d *doc, metric string) {
	v := itemValue{metric: metric, kind: d.kind()}
	switch v.kind {
	case 't', 'f', 'n':
		d.skip()
	case '0':
		v.score = d.number()
	default:
		d.refuse("true, false, null or a number is expected here")
	}
	it.values = append(it.values, v)
}

// take gives an item to the suite.
func (r *itemReader) take(it *oneItem) error {
	if it.header != nil {
		r.header(it.header)
		return nil
	}
	r.begin("items", "")
	s := r.s
	switch {
	case len(it.id) == 0:
		return errNoIdentity
	case it.skipped:
		s.skip++
		return nil
	}
	i := newItem(s, it.key, it.id)
	if len(it.cluster) > 0 {
		s.clusterKey(i, it.clusterKey)
	}
	if i >= 0 && len(it.slices) > 0 {
		s.ofItem.set(i, r.slicing(it.slices), 0)
	}
	switch {
	case it.failed:
		for _, m := range r.failedMetrics() {
			s.none(i, m)
		}
		return nil
	case it.label != "":
		s.classify(i, it.label, it.prediction, it.score)
	case it.any:
		s.score(i, "score", it.score)
	}
	for _, v := range it.values {
		switch v.kind {
		case '0':
			s.score(i, v.metric, v.score)
		case 'n':
			s.none(i, v.metric)
		default:
			s.outcome(i, v.metric, v.kind == 't')
		}
	}
	return nil
}

var errNoIdentity = errors.New("the item has no identity: give it the member item")

// slicing numbers an item's combination of slices.
func (r *itemReader) slicing(of []itemSlice) uint32 {
	r.key = r.key[:0]
	for _, x := range of {
		r.key = append(append(append(append(r.key, x.dimension...), 0), x.value...), 0)
	}
	n, ok := r.slicings[string(r.key)]
	if !ok {
		slices := map[string]string{}
		for _, x := range of {
			slices[x.dimension] = x.value
		}
		n = r.s.slicing(slices)
		if r.slicings == nil {
			r.slicings = map[string]uint32{}
		}
		r.slicings[string(r.key)] = n
	}
	return n
}

// failedMetrics are those in which an item with an error has no answer: the
// ones that the header names, else the ones seen before.
func (r *itemReader) failedMetrics() []string {
	if len(r.asked) > 0 {
		return r.asked
	}
	var seen []string
	for name := range r.s.byName {
		seen = append(seen, name)
	}
	if len(seen) == 0 {
		return []string{"success_rate"}
	}
	return seen
}
