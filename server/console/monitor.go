package console

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/drift"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// chartsShown is how many features are drawn; the rest is in the reports.
const chartsShown = 24

// maxReport is the largest report of a window that a page reads, in bytes.
const maxReport = 64 << 20

// monitorBody is the model of the page of what a release was seen to do.
type monitorBody struct {
	Open    string
	Facts   []Term
	Charts  []*Chart
	More    int
	Windows Table
}

// Chart is one measure over time against its limit. Positions are in units of the
// drawing, 640 by 120.
type Chart struct {
	Name string
	// Title says the same in words.
	Title      string
	State      string
	Points     []Point
	Line       string
	Limit      float64
	LimitText  string
	From, To   string
	Promotions []Promoted

	breaches int
	last     float64
}

// Point is one window; Title says its numbers.
type Point struct {
	X, Y  float64
	State string
	Title string
	Href  string
}

// Promoted is the moment of a promotion in the line.
type Promoted struct {
	X     float64
	Title string
}

const (
	chartLeft, chartRight = 10.0, 630.0
	chartTop, chartBottom = 16.0, 100.0
)

// round keeps a tenth of a unit.
func round(v float64) float64 { return math.Round(v*10) / 10 }

// windowStates are the marks of what a window came to.
var windowStates = map[string]string{record.WindowSteady: "pass", record.WindowBreach: "fail", record.WindowInconclusive: "inconclusive"}

// monitor is the page of what a release was seen to do since its promotion.
func (c *console) monitor(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	id := in.path("id")
	got, err := c.Registry.Monitor(ctx, who, id)
	if err != nil {
		return nil, err
	}
	body := monitorBody{Open: "No window has closed yet.", Facts: monitorFacts(&got), Windows: windowTable(&got)}
	alarm := Badge{"pass", "no alarm"}
	if n := len(got.Windows); n > 0 {
		last := got.Windows[n-1]
		body.Open = fmt.Sprintf("%s closed, the last on %s.", count(n, "window", "windows"), last.Record.To.UTC().Format("2 January 2006, 15:04"))
	}
	for _, of := range []record.Category{record.Drift, record.Accuracy} {
		if w := lastOf(got.Windows, of); w != nil && w.Alarm {
			alarm = Badge{"fail", "alarm raised"}
		}
	}
	if body.Charts, err = c.charts(ctx, who, &got); err != nil {
		return nil, err
	}
	if more := len(body.Charts) - chartsShown; more > 0 {
		body.Charts, body.More = body.Charts[:chartsShown], more
	}
	return &Page{
		Template: "monitor", Title: "Monitor of " + id, Lead: "What it sees and says, against the data that it was evaluated on.", Badges: []Badge{alarm},
		Crumbs: []Link{{Text: "Releases", Href: "/releases"}, {Text: id, Href: releaseHref(id)}}, Body: body,
	}, nil
}

func lastOf(all []record.Recorded[record.Window], of record.Category) *record.Window {
	for i := range slices.Backward(all) {
		if all[i].Record.Of == of {
			return &all[i].Record
		}
	}
	return nil
}

func monitorFacts(got *wire.Monitored) []Term {
	s := got.Settings
	facts := []Term{
		{"Line", text(got.Line)},
		{"Baseline", digest(got.Baseline)},
		{"Evidence", linked("the evaluation that has it", evaluationHref(got.Evaluation))},
		{"Windows", text(fmt.Sprintf("of %s, open for %s more", time.Duration(got.Window)*time.Second, time.Duration(got.Lateness)*time.Second))},
		{"A check breaches", text(fmt.Sprintf("at p ≤ %s after correction (%s), and above its limit", number(s.Alpha), s.Correction))},
		{"An alarm", text(fmt.Sprintf("after %d of %d windows", s.Need, s.Of))},
	}
	if got.Reference != nil {
		facts = append(facts, Term{"Outcomes", text(fmt.Sprintf("against %s of the evaluation, %d of %d", got.Metric, got.Reference.Right, got.Reference.N))})
	}
	for _, o := range got.Open {
		facts = append(facts, Term{"Still counted", text(fmt.Sprintf("%s from %s: %d rows", o.Of, o.From.UTC().Format("2006-01-02 15:04"), o.Rows))})
	}
	return facts
}

func windowTable(got *wire.Monitored) Table {
	t := Table{
		Caption: "Windows, newest first", Columns: []Column{{Label: "From"}, {Label: "Of"}, {Label: "Rows", Number: true}, {Label: "State"}, {Label: "What breached or came nearest"}},
		Empty: Empty{Sentence: "Nothing was observed of it yet.", Command: "imprimatur release observe FILE --from TIME --to TIME"},
	}
	newest := slices.Clone(got.Windows)
	slices.SortStableFunc(newest, func(a, b record.Recorded[record.Window]) int { return b.Record.To.Compare(a.Record.To) })
	for _, w := range newest {
		x := w.Record
		state := badge(windowStates[x.Outcome], x.Outcome)
		if x.Alarm {
			state.Note = "alarm raised"
		}
		var worst []string
		for _, k := range x.Worst[:min(3, len(x.Worst))] {
			worst = append(worst, fmt.Sprintf("%s %s %s, limit %s", k.Feature, k.Measure, number(k.Value), number(k.Limit)))
		}
		t.Rows = append(t.Rows, Row{[]Cell{
			{Time: x.From, Href: entryHref(w.Index)}, text(string(x.Of)), {Text: fmt.Sprint(x.Rows), Number: true}, state, text(strings.Join(worst, "; ")),
		}})
	}
	return t
}

// seen is one check of one window.
type seen struct {
	window record.Recorded[record.Window]
	check  drift.Check
}

// charts draws each feature's distribution, and the outcomes, over the windows:
// first what breached most often, then what is furthest from the baseline now.
func (c *console) charts(ctx context.Context, who registry.Caller, got *wire.Monitored) ([]*Chart, error) {
	if len(got.Windows) == 0 {
		return nil, nil
	}
	by := map[string][]seen{}
	for _, w := range got.Windows {
		report, err := c.windowReport(ctx, who, w.Record.Report)
		if err != nil {
			return nil, err
		}
		if report.Check != nil {
			by[got.Metric] = append(by[got.Metric], seen{w, *report.Check})
		}
		if report.Drift == nil {
			continue
		}
		for _, f := range report.Drift.Features {
			if i := slices.IndexFunc(f.Checks, func(k drift.Check) bool { return k.Measure == drift.Distribution }); i >= 0 {
				by[f.Name] = append(by[f.Name], seen{w, f.Checks[i]})
			}
		}
	}
	promotions, err := c.promotionsOf(ctx, who, got.Release)
	if err != nil {
		return nil, err
	}
	var out []*Chart
	for name, all := range by {
		out = append(out, chartOf(name, all, promotions))
	}
	slices.SortFunc(out, func(a, b *Chart) int {
		return cmp.Or(cmp.Compare(b.breaches, a.breaches), cmp.Compare(b.last, a.last), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

func (c *console) windowReport(ctx context.Context, who registry.Caller, d record.Digest) (r wire.WindowReport, err error) {
	content, err := c.Registry.WindowReport(ctx, who, d)
	if err != nil {
		return r, err
	}
	defer content.Close()
	return r, json.UnmarshalRead(io.LimitReader(content, maxReport), &r)
}

// promotionsOf are the moments at which the release's line got another one.
func (c *console) promotionsOf(ctx context.Context, who registry.Caller, id string) (out []record.Event, err error) {
	history, err := c.Registry.History(ctx, who, id)
	for _, e := range history {
		if e.Kind != record.KindPromotion {
			continue
		}
		body, err := record.Replay(e.Kind, e.Record)
		if err != nil {
			return nil, err
		}
		if p, ok := body.(record.Promotion); ok {
			out = append(out, record.Event{Actor: e.Actor, Time: e.Time, Index: e.Index, Promotion: &p})
		}
	}
	return out, err
}

// chartOf draws one measure, of windows in the order of time.
func chartOf(name string, all []seen, promotions []record.Event) *Chart {
	begins, ends := all[0].window.Record.From, all[len(all)-1].window.Record.To
	at := func(t time.Time) float64 {
		return chartLeft + (chartRight-chartLeft)*t.Sub(begins).Seconds()/ends.Sub(begins).Seconds()
	}
	c := &Chart{Name: name, State: "pass", From: begins.UTC().Format("2 Jan 2006"), To: ends.UTC().Format("2 Jan 2006")}
	last := all[len(all)-1].check
	top := last.Limit * 1.5
	for _, s := range all {
		top = max(top, s.check.Value, s.check.Limit*1.5)
	}
	up := func(v float64) float64 {
		return round(chartBottom - (chartBottom-chartTop)*max(0, v)/max(top, 1e-12))
	}
	for i, s := range all {
		w := s.window.Record
		p := Point{X: round(at(w.From.Add(w.To.Sub(w.From) / 2))), Y: up(s.check.Value), State: windowStates[string(s.check.Outcome)], Href: entryHref(s.window.Index)}
		p.Title = fmt.Sprintf("%s, %d rows: %s, %s", w.From.UTC().Format("2006-01-02 15:04"), w.Rows, number(s.check.Value), s.check.Outcome)
		c.Points = append(c.Points, p)
		step := "L"
		if i == 0 {
			step = "M"
		}
		c.Line += fmt.Sprintf("%s%g %g", step, p.X, p.Y)
		if p.State == "fail" {
			c.breaches++
		}
	}
	c.State, c.last = c.Points[len(c.Points)-1].State, last.Value
	c.Limit, c.LimitText = up(last.Limit), "limit "+number(last.Limit)
	c.Title = fmt.Sprintf("%s (%s) over %s: last %s against a limit of %s; %d breached", name, last.Measure, count(len(all), "window", "windows"), number(last.Value), number(last.Limit), c.breaches)
	for _, e := range promotions {
		if e.Time.After(begins) && e.Time.Before(ends) {
			c.Promotions = append(c.Promotions, Promoted{X: round(at(e.Time)), Title: fmt.Sprintf("%s promoted on %s by %s", e.Promotion.Release, e.Time.UTC().Format("2006-01-02 15:04"), e.Actor)})
		}
	}
	return c
}
