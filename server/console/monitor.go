package console

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

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
	Strip   *Chart
	Charts  []*Chart
	More    int
	Windows Table
}

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
	state := Badge{"missing", "nothing seen yet"}
	for _, of := range []record.Category{record.Accuracy, record.Drift} {
		if w := lastOf(got.Windows, of); w != nil && state.State != "fail" {
			state, body.Open = now(got.Windows, w)
		}
	}
	badges := []Badge{state}
	if got.Stopped() {
		badges = append(badges, Badge{"fail", "observations stopped"})
	}
	if err := c.drawLine(ctx, who, &got, &body); err != nil {
		return nil, err
	}
	return &Page{
		Template: "monitor", Title: "Monitor of " + id, Lead: "What it sees and says, against the data that it was evaluated on.", Badges: badges,
		Crumbs: []Link{{Text: "Releases", Href: "/releases"}, {Text: id, Href: releaseHref(id)}}, Body: body,
	}, nil
}

// now says how a monitor stands after its last window.
func now(all []record.Recorded[record.Window], last *record.Window) (Badge, string) {
	spoke := last.To.UTC().Format("2 January 2006, 15:04 UTC")
	switch {
	case last.Alarm:
		since := last.From
		for _, w := range slices.Backward(all) {
			if w.Record.Of == last.Of && !w.Record.Alarm {
				break
			}
			if w.Record.Of == last.Of {
				since = w.Record.From
			}
		}
		return Badge{"fail", "alarm raised"}, fmt.Sprintf("The alarm is raised since the window from %s. The last window ended on %s: %s.", since.UTC().Format("2 January 2006, 15:04 UTC"), spoke, cmp.Or(worst(last), last.Outcome))
	case last.Blind > 0:
		return Badge{"inconclusive", "too few rows"}, fmt.Sprintf("No alarm is raised, but of the last %s nothing can be said: too few rows came. The last window ended on %s.", count(last.Blind, "window", "windows"), spoke)
	case last.Outcome == record.WindowBreach:
		return Badge{"inconclusive", "no alarm yet"}, fmt.Sprintf("The last window, which ended on %s, breached: %s. One window alone raises no alarm.", spoke, worst(last))
	}
	return Badge{"pass", "no alarm"}, fmt.Sprintf("All is as it was when it was evaluated. The last window ended on %s.", spoke)
}

// worst names what breached or came nearest to it.
func worst(w *record.Window) string {
	var out []string
	for _, k := range w.Worst[:min(3, len(w.Worst))] {
		out = append(out, fmt.Sprintf("%s of %s %s, limit %s", k.Measure, k.Feature, measure(k.Value), measure(k.Threshold())))
	}
	return strings.Join(out, "; ")
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
	s, waits := got.Settings, "closed at once"
	if got.Lateness > 0 {
		waits = "open for " + lasting(got.Lateness) + " more"
	}
	facts := []Term{
		{"Line", text(got.Line)},
		{"Baseline", digest(got.Baseline)},
		{"Evidence", linked("the evaluation that has it", evaluationHref(got.Evaluation))},
		{"Windows", text("of " + lasting(got.Window) + ", " + waits)},
		{"A check breaches", text(fmt.Sprintf("at p ≤ %s after correction (%s), and above its limit, or the noise of few rows where that is more", number(s.Alpha), s.Correction))},
		{"Too few rows", text(fmt.Sprintf("below %d a window is inconclusive", s.MinCount))},
		{"An alarm", text(fmt.Sprintf("after %d of %d windows", s.Need, s.Of))},
	}
	if got.Silent > 0 {
		facts = append(facts, Term{"Nothing came", text(got.Quiet())})
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
		t.Rows = append(t.Rows, Row{[]Cell{
			{Time: x.From, Href: entryHref(w.Index)}, text(string(x.Of)), {Text: fmt.Sprint(x.Rows), Number: true}, state, text(worst(&x)),
		}})
	}
	return t
}

// measure writes what was measured to four decimals: less says nothing.
func measure(v float64) string {
	const kept = 1e4
	return number(math.Round(v*kept) / kept)
}

// lasting says how long something is, given in seconds.
func lasting(seconds int64) string {
	for _, u := range []struct {
		of        int64
		one, many string
	}{{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"}} {
		if seconds >= u.of && seconds%u.of == 0 {
			return count(int(seconds/u.of), u.one, u.many)
		}
	}
	return count(int(seconds), "second", "seconds")
}

// seen is one check of one window.
type seen struct {
	window record.Recorded[record.Window]
	check  drift.Check
}

const (
	// windowsDrawn is how many windows of a line are drawn, and othersRead how many
	// other releases of it are looked at for them.
	windowsDrawn = 90
	othersRead   = 12
)

// drawLine puts the charts of a release's line on its page: each feature's distribution,
// what else breached, and the outcomes.
func (c *console) drawLine(ctx context.Context, who registry.Caller, got *wire.Monitored, body *monitorBody) error {
	promotions, err := c.promotionsOf(ctx, who, got.Release)
	if err != nil {
		return err
	}
	if n := len(promotions) - 1; n >= 0 && promotions[n].Promotion.Release != got.Release {
		body.Open += fmt.Sprintf(" It runs no more: %s took over on %s.", promotions[n].Promotion.Release, promotions[n].Time.UTC().Format("2 January 2006, 15:04 UTC"))
	}
	windows, err := c.windowsOfLine(ctx, who, got, promotions)
	if err != nil || len(windows) == 0 {
		return err
	}
	by := map[string][]seen{}
	for _, w := range windows {
		report, err := c.windowReport(ctx, who, w.Record.Report)
		if err != nil {
			return err
		}
		if report.Check != nil {
			by[w.Record.Worst[0].Feature] = append(by[w.Record.Worst[0].Feature], seen{w, *report.Check})
		}
		if report.Drift == nil {
			continue
		}
		for _, f := range report.Drift.Features {
			for _, k := range f.Checks {
				name := f.Name
				if k.Measure != drift.Distribution {
					name += ", " + string(k.Measure)
				}
				by[name] = append(by[name], seen{w, k})
			}
		}
	}
	axis := axisOf(windows, promotions)
	body.Strip = stripOf(windows, axis)
	for name, all := range by {
		chart := chartOf(name, all, axis)
		if m := all[0].check.Measure; m == drift.Distribution || m == drift.Correctness || chart.breaches > 0 {
			body.Charts = append(body.Charts, chart)
		}
	}
	slices.SortFunc(body.Charts, byWorry)
	if more := len(body.Charts) - chartsShown; more > 0 {
		body.Charts, body.More = body.Charts[:chartsShown], more
	}
	return nil
}

// windowsOfLine are the newest windows of a release and of those that ran before and
// after it, in the order of time: whether a drift came with a promotion shows only so.
func (c *console) windowsOfLine(ctx context.Context, who registry.Caller, got *wire.Monitored, promotions []record.Event) ([]record.Recorded[record.Window], error) {
	windows, read := slices.Clone(got.Windows), map[string]bool{got.Release: true}
	for _, e := range slices.Backward(promotions) {
		id := e.Promotion.Release
		if read[id] || len(read) > othersRead {
			continue
		}
		read[id] = true
		other, err := c.Registry.Monitor(ctx, who, id)
		if registry.CodeOf(err) == wire.Refused {
			continue // it has no baseline
		}
		if err != nil {
			return nil, err
		}
		windows = append(windows, other.Windows...)
	}
	slices.SortStableFunc(windows, func(a, b record.Recorded[record.Window]) int { return a.Record.From.Compare(b.Record.From) })
	return windows[max(0, len(windows)-windowsDrawn):], nil
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
