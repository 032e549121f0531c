package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"imprimatur.dev/drift"
	"imprimatur.dev/record"
)

// Chart is one measure over time against its limit. Positions are in units of the
// drawing, 640 by 150; all charts of a page have the same axis of time.
type Chart struct {
	Name string
	// Measured says what the numbers are, and Title the whole chart in words.
	Measured, Title string
	State, Word     string
	Points          []Point
	// Line goes through the windows, broken where another release took over or a
	// window was too small to tell; Limit is drawn over each window's span.
	Line, Limit string
	// Top and LimitAt are what the scale says, and LimitY where the limit's number is.
	Top, LimitAt string
	LimitY       float64
	Axis         *Axis
	Numbers      Table

	breaches int
	last     float64
}

// Point is one window; Title says its numbers.
type Point struct {
	X, Y  float64
	State string
	Title string
}

// Axis is the stretch of time of a page, with what happened in it.
type Axis struct {
	Ticks      []Tick
	Alarms     []Band
	Promotions []Promoted

	from, to time.Time
}

// Tick is a time below a chart.
type Tick struct {
	X      float64
	Anchor string
	Text   string
}

// Band is how long an alarm was raised.
type Band struct {
	X, Width float64
	Title    string
}

// Promoted is the moment of a promotion in the line, by its number on the page.
type Promoted struct {
	N     int
	X     float64
	Title string
	Event Event
}

const (
	chartLeft, chartRight = 52.0, 580.0
	chartTop, chartBottom = 24.0, 118.0
	stripMiddle           = 40.0
)

// round keeps a tenth of a unit.
func round(v float64) float64 { return math.Round(v*10) / 10 }

// at is where a time is; what is outside is at the end.
func (a *Axis) at(t time.Time) float64 {
	share := t.Sub(a.from).Seconds() / max(a.to.Sub(a.from).Seconds(), 1)
	return round(chartLeft + (chartRight-chartLeft)*min(1, max(0, share)))
}

// axisOf is the axis of windows, in the order of time, and of the promotions of their
// line: of those before the first window the last is shown, at its beginning.
func axisOf(windows []record.Recorded[record.Window], promotions []record.Event) *Axis {
	a := &Axis{from: windows[0].Record.From, to: windows[0].Record.To}
	for _, w := range windows {
		a.from, a.to = record.Earlier(a.from, w.Record.From), later(a.to, w.Record.To)
	}
	layout := "2 Jan 2006"
	if a.to.Sub(a.from) < 72*time.Hour {
		layout = "2 Jan 15:04"
	}
	for i, anchor := range []string{"start", "middle", "end"} {
		t := a.from.Add(a.to.Sub(a.from) / 2 * time.Duration(i))
		a.Ticks = append(a.Ticks, Tick{a.at(t), anchor, t.UTC().Format(layout)})
	}
	for i, e := range promotions {
		if i+1 < len(promotions) && !promotions[i+1].Time.After(a.from) || e.Time.After(a.to) {
			continue
		}
		p := Promoted{N: len(a.Promotions) + 1, X: a.at(e.Time), Event: Event{Time: e.Time, Who: e.Actor, What: howPromoted(e.Promotion), On: e.Promotion.Release, Text: e.Promotion.Reason}}
		p.Title = fmt.Sprintf("%d: %s promoted on %s by %s", p.N, e.Promotion.Release, e.Time.UTC().Format("2006-01-02 15:04"), e.Actor)
		a.Promotions = append(a.Promotions, p)
	}
	a.alarms(windows)
	return a
}

// howPromoted says how a promotion came about.
func howPromoted(p *record.Promotion) string {
	switch {
	case p.Envelope != nil && !p.Envelope.People:
		return "promoted by an envelope"
	case p.How == record.Rollback:
		return "rolled back to"
	case p.How == record.BrokeGlass:
		return "promoted by breaking the glass"
	}
	return "promoted"
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// alarms joins the windows of each monitor after which its alarm was raised.
func (a *Axis) alarms(windows []record.Recorded[record.Window]) {
	type monitor struct {
		release string
		of      record.Category
	}
	open := map[monitor]*Band{}
	for _, w := range windows {
		m := monitor{w.Record.Release, w.Record.Of}
		if !w.Record.Alarm {
			delete(open, m)
			continue
		}
		from, to := a.at(w.Record.From), a.at(w.Record.To)
		if b := open[m]; b != nil {
			b.Width = round(to - b.X)
			continue
		}
		a.Alarms = append(a.Alarms, Band{from, round(to - from), fmt.Sprintf("alarm of %s raised by the window from %s", w.Record.Release, w.Record.From.UTC().Format("2006-01-02 15:04"))})
		open[m] = &a.Alarms[len(a.Alarms)-1]
	}
}

// stripOf draws what each window came to, whatever was measured.
func stripOf(windows []record.Recorded[record.Window], axis *Axis) *Chart {
	c := &Chart{Name: "All checks", Axis: axis}
	came := map[string]int{}
	for _, w := range windows {
		x := w.Record
		came[x.Outcome]++
		y := stripMiddle
		if x.Of == record.Accuracy {
			y += 12
		}
		c.Points = append(c.Points, Point{axis.middle(x), y, windowStates[x.Outcome], fmt.Sprintf("%s, %s, %d rows: %s", x.From.UTC().Format("2006-01-02 15:04"), x.Release, x.Rows, x.Outcome)})
	}
	c.Title = fmt.Sprintf("%s: %d steady, %d breached, %d inconclusive; %s", count(len(windows), "window", "windows"),
		came[record.WindowSteady], came[record.WindowBreach], came[record.WindowInconclusive], count(len(axis.Alarms), "alarm", "alarms"))
	return c
}

func (a *Axis) middle(w record.Window) float64 { return a.at(w.From.Add(w.To.Sub(w.From) / 2)) }

// measured says what a measure's numbers are.
var measured = map[drift.Measure]string{
	drift.Distribution: "population stability index (PSI), no unit",
	drift.MissingRate:  "change of the share that is missing",
	drift.UnseenRate:   "rise of the share of unknown categories",
	drift.OutsideRate:  "rise of the share out of the reference's range",
	drift.Correctness:  "fall of the share that is right",
}

// chartOf draws one measure, of windows in the order of time.
func chartOf(name string, all []seen, axis *Axis) *Chart {
	last := all[len(all)-1].check
	c := &Chart{Name: name, Measured: measured[last.Measure], Axis: axis, last: last.Value}
	top := 0.0
	for _, s := range all {
		top = max(top, s.check.Threshold()*1.5)
		if s.check.Outcome != drift.Inconclusive {
			top = max(top, math.Abs(s.check.Value))
		}
	}
	up := func(v float64) float64 {
		return round(chartBottom - (chartBottom-chartTop)*min(1, max(0, v)/max(top, 1e-12)))
	}
	broken := ""
	for _, s := range all {
		w := s.window.Record
		p := Point{X: axis.middle(w), Y: up(height(s.check)), State: windowStates[string(s.check.Outcome)]}
		p.Title = fmt.Sprintf("%s, %s, %d rows: %s, %s", w.From.UTC().Format("2006-01-02 15:04"), w.Release, w.Rows, measure(s.check.Value), s.check.Outcome)
		c.Points = append(c.Points, p)
		c.Limit += fmt.Sprintf("M%g %gH%g", axis.at(w.From), up(s.check.Threshold()), axis.at(w.To))
		if p.State == "inconclusive" {
			broken = ""
			continue
		}
		step := "L"
		if broken != w.Release {
			step = "M"
		}
		broken = w.Release
		c.Line += fmt.Sprintf("%s%g %g", step, p.X, p.Y)
		if p.State == "fail" {
			c.breaches++
		}
	}
	c.State, c.Word = c.Points[len(c.Points)-1].State, string(last.Outcome)
	c.Top, c.LimitAt, c.LimitY = measure(top), measure(last.Threshold()), up(last.Threshold())
	c.Title = fmt.Sprintf("%s, %s, over %s: last %s against a limit of %s; %d breached", name, c.Measured, count(len(all), "window", "windows"), measure(last.Value), measure(last.Threshold()), c.breaches)
	c.Numbers = numbersOf(name, all)
	return c
}

// height is what of a check is drawn: the missing rate breaches either way.
func height(k drift.Check) float64 {
	if k.Measure == drift.MissingRate {
		return math.Abs(k.Value)
	}
	return k.Value
}

// numbersOf says a chart's numbers, newest first, for who reads rather than looks.
func numbersOf(name string, all []seen) Table {
	t := Table{Caption: "The numbers of " + name, Columns: []Column{{Label: "From"}, {Label: "Release"}, {Label: "Rows", Number: true}, {Label: "Value", Number: true}, {Label: "Limit", Number: true}, {Label: "Came to"}}}
	for _, s := range slices.Backward(all) {
		w, k := s.window.Record, s.check
		t.Rows = append(t.Rows, Row{[]Cell{
			when(w.From), linked(w.Release, monitorHref(w.Release)),
			{Text: fmt.Sprint(w.Rows), Number: true},
			{Text: measure(k.Value), Number: true},
			{Text: measure(k.Threshold()), Number: true},
			badge(windowStates[string(k.Outcome)], string(k.Outcome)),
		}})
	}
	return t
}

// byWorry puts first what breached most often, then what is furthest from the
// baseline now.
func byWorry(a, b *Chart) int {
	return cmp.Or(cmp.Compare(b.breaches, a.breaches), cmp.Compare(b.last, a.last), cmp.Compare(a.Name, b.Name))
}
