package record

import (
	"fmt"
	"time"
)

// What a window came to.
const (
	WindowSteady       = "steady"
	WindowBreach       = "breach"
	WindowInconclusive = "inconclusive"
)

// MaxWorst is how many checks the statement on a window spells out; the report
// that it names has all.
const MaxWorst = 10

// Window says what a release was seen to do over a span, and how that was
// judged: [From, To) in UTC, closed, so that nothing is counted in it any more.
type Window struct {
	Release string `json:"release"`
	Line    string `json:"line"`
	// Of is Drift, or Accuracy where the outcomes of predictions were counted.
	Of   Category  `json:"of"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Baseline is what it was compared with: see [Monitor].
	Baseline Digest `json:"baseline"`
	// Rows are those that were counted, in so many batches, and Late those that came
	// for it after one part of it had closed.
	Rows    int64  `json:"rows"`
	Batches int64  `json:"batches"`
	Late    int64  `json:"late,omitzero"`
	Outcome string `json:"outcome"`
	// Worst are the checks that breached or came nearest to it, and Others how many
	// that breached are not among them.
	Worst  []WindowCheck `json:"worst,omitzero"`
	Others int           `json:"others,omitzero"`
	// Report is the digest of the file with all checks and all counts.
	Report Digest `json:"report"`
	// Raw are the batches as they came, where the policy keeps them.
	Raw []Digest `json:"raw,omitzero"`
	// Alarm, Recent and Blind are the state of the monitor after this window, from
	// which the next one goes on.
	Alarm  bool     `json:"alarm,omitzero"`
	Recent []string `json:"recent,omitzero"`
	Blind  int      `json:"blind,omitzero"`
}

// WindowCheck is one comparison of a window: see drift.Check.
type WindowCheck struct {
	Feature string `json:"feature"`
	Measure string `json:"measure"`
	Outcome string `json:"outcome"`
	// Value is compared with Limit; P is the probability of as much by chance, after
	// correction, and Floor what chance alone reaches.
	Value float64 `json:"value"`
	P     float64 `json:"p"`
	Limit float64 `json:"limit"`
	Floor float64 `json:"floor,omitzero"`
}

// Threshold is what a value must be above to breach: the limit, or the noise of so few
// rows where that is more.
func (k WindowCheck) Threshold() float64 { return max(k.Limit, k.Floor) }

// Kind implements Body.
func (Window) Kind() Kind { return KindWindow }

// Keys implements Body.
func (w Window) Keys(Digest) []string {
	return []string{KeyWindows(w.Release, w.Of), KeyReport(w.Report)}
}

// Subject implements Body.
func (w Window) Subject() (string, Digest) { return "window/" + w.Release, w.Report }

// Validate implements Body.
func (w Window) Validate() error {
	c := checker{kind: KindWindow}
	c.releaseID("release", w.Release)
	c.line("line", w.Line)
	c.oneOf("of", string(w.Of), string(Drift), string(Accuracy))
	c.time("from", w.From)
	c.time("to", w.To)
	if !w.To.After(w.From) {
		c.failf("to is not after from")
	}
	c.digest("baseline", w.Baseline)
	for field, n := range map[string]int64{"rows": w.Rows, "batches": w.Batches, "late": w.Late, "others": int64(w.Others), "blind": int64(w.Blind)} {
		if n < 0 {
			c.failf("%s is %d, less than nothing", field, n)
		}
	}
	outcome := func(field, v string) { c.oneOf(field, v, WindowSteady, WindowBreach, WindowInconclusive) }
	outcome("outcome", w.Outcome)
	if len(w.Worst) > MaxWorst {
		c.failf("worst has %d entries, more than %d", len(w.Worst), MaxWorst)
	}
	for i, x := range w.Worst {
		field := fmt.Sprintf("worst[%d]", i)
		c.text(field+".feature", x.Feature, true)
		c.text(field+".measure", x.Measure, true)
		outcome(field+".outcome", x.Outcome)
		for _, v := range []float64{x.Value, x.P, x.Limit, x.Floor} {
			c.finite(field, v)
		}
	}
	c.digest("report", w.Report)
	c.list("raw", len(w.Raw))
	for _, d := range w.Raw {
		c.digest("raw", d)
	}
	c.list("recent", len(w.Recent))
	for _, o := range w.Recent {
		outcome("recent", o)
	}
	return c.err()
}

// KeyWindows finds the windows of a release, of drift or of accuracy.
func KeyWindows(release string, of Category) string { return "windows/" + release + "/" + string(of) }

// KeyReport finds the statement on a report.
func KeyReport(report Digest) string { return "window-report/" + string(report) }
