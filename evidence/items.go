package evidence

import (
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
// The first line, the header, may be left out, and so may each of its members.
// "outcome" is short for one metric, success_rate, and "score" for another,
// score. A metric that is true or false is a proportion, a number is averaged.
// null is an item that was asked and gave no answer, and so is each metric of
// an item with an "error". "skipped": true is an item that was not asked.
// An item with "label" and "prediction", and with a "score" of the positive
// class, is classified: see [suite.classify]. A "note" is for people. What no
// item has, such as the largest of several, the header has as "reported", with
// "stdErr", "lower95" and "upper95" where they are known.
var itemsFormat = importer{
	format: "items", version: 1, accepts: "imprimatur items/v1: NDJSON, or CSV with the columns item, cluster, slice.NAME, metric.NAME, outcome, score, label, prediction, error, skipped",
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
		r := itemReader{in: in, d: in.json(p)}
		if p.role == "csv" {
			if err := r.csv(p); err != nil {
				return err
			}
			continue
		}
		for r.d.more() {
			r.line()
		}
		if r.d.err != nil {
			return r.d.err
		}
	}
	return nil
}

// itemReader reads one file of items.
type itemReader struct {
	in *input
	d  *doc
	s  *suite
	// asked are the metrics that the header names: an item with an error
	// failed in each of them.
	asked []string
	line1 bool
	item  oneItem
	slice map[string]string
}

// oneItem is what one line says.
type oneItem struct {
	id, cluster, err  string
	skipped, any      bool
	label, prediction string
	score             float64
	values            []itemValue
}

type itemValue struct {
	metric string
	kind   jsontext.Kind // t, f, 0 for a number, n for no answer
	score  float64
}

func (r *itemReader) line() {
	first := !r.line1
	r.line1 = true
	if first && r.d.part.head.lines()[0].has("imprimatur") {
		r.header()
		return
	}
	r.begin("items", "")
	it := &r.item
	*it = oneItem{values: it.values[:0], score: math.NaN()}
	clear(r.slice)
	r.d.object(r.member)
	r.take()
}

// begin makes the suite.
func (r *itemReader) begin(name string, c record.Category) {
	if r.s == nil {
		r.s = r.in.suite(name, cmp0(c, record.Accuracy))
	}
}

func (r *itemReader) header() {
	d := r.d
	name, category := "items", record.Category("")
	var e record.Evaluation
	type scale struct {
		record.Metric
		low, high float64
	}
	var scales []scale
	var reported []record.Metric
	d.object(func(member string) bool {
		switch member {
		case "imprimatur":
			if v := d.text(); v != itemsHeader {
				d.refuse("its version is %q, and %q is what is read", v, itemsHeader)
			}
		case "suite":
			name = d.text()
		case "suiteVersion":
			e.SuiteVersion = d.text()
		case "category":
			category = record.Category(d.text())
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
				x := scale{low: math.NaN(), high: math.NaN()}
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
				scales = append(scales, x)
				return true
			})
		case "reported":
			reported = d.reported()
		default:
			return false
		}
		return true
	})
	r.begin(name, category)
	for _, m := range reported {
		r.s.report(m)
	}
	for _, x := range scales {
		r.asked = append(r.asked, x.Name)
		r.s.describe(x.Metric, x.low, x.high)
	}
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
func (r *itemReader) member(name string) bool {
	d, it := r.d, &r.item
	switch name {
	case "item":
		it.id = d.scalar()
	case "cluster":
		it.cluster = d.scalar()
	case "slice":
		if r.slice == nil {
			r.slice = map[string]string{}
		}
		d.object(func(dim string) bool {
			r.slice[dim] = d.scalar()
			return true
		})
	case "outcome":
		r.value("success_rate")
	case "score":
		it.score = d.number()
		it.any = true
	case "metrics":
		d.object(func(metric string) bool {
			r.value(metric)
			return true
		})
	case "label":
		it.label = d.scalar()
	case "prediction":
		it.prediction = d.scalar()
	case "error":
		it.err = d.scalar()
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
func (r *itemReader) value(metric string) {
	v := itemValue{metric: metric, kind: r.d.kind()}
	switch v.kind {
	case 't', 'f', 'n':
		r.d.skip()
	case '0':
		v.score = r.d.number()
	default:
		r.d.refuse("true, false, null or a number is expected here")
	}
	r.item.values = append(r.item.values, v)
}

// take gives the item to the suite.
func (r *itemReader) take() {
	it, s := &r.item, r.s
	if r.d.err != nil {
		return
	}
	if it.id == "" {
		r.d.refuse("the item has no identity: give it the member item")
		return
	}
	if it.skipped {
		s.skip++
		return
	}
	i := s.newItem(it.id)
	s.cluster(i, it.cluster)
	s.slice(i, r.slice)
	switch {
	case it.err != "":
		for _, m := range r.failedMetrics() {
			s.none(i, m)
		}
		return
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
