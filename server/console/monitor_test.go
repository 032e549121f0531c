package console

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/drift"
	"imprimatur.dev/record"
)

// days are windows of a day each with a PSI, of which what is above 0.1 breached.
func days(values ...float64) (out []seen) {
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for i, v := range values {
		w := record.Recorded[record.Window]{Record: record.Window{From: from.AddDate(0, 0, i), To: from.AddDate(0, 0, i+1), Rows: 500}, Index: int64(i)}
		k := drift.Check{Measure: drift.Distribution, Value: v, Limit: 0.1, Outcome: record.WindowSteady}
		if v > k.Limit {
			k.Outcome = record.WindowBreach
		}
		out = append(out, seen{w, k})
	}
	return out
}

func at(day, hour int) time.Time { return time.Date(2026, 5, day, hour, 0, 0, 0, time.UTC) }

// drawn draws a measure as its page does.
func drawn(name string, all []seen, promotions []record.Event) *Chart {
	var windows []record.Recorded[record.Window]
	for _, s := range all {
		windows = append(windows, s.window)
	}
	return chartOf(name, all, axisOf(windows, promotions))
}

func TestAChartShowsWindowsAgainstTheirLimit(t *testing.T) {
	promotions := []record.Event{
		{Actor: "olga", Time: at(1, 0).AddDate(0, -2, 0), Promotion: &record.Promotion{Release: "r-000000000000"}},
		{Actor: "olga", Time: at(1, 0).AddDate(0, -1, 0), Promotion: &record.Promotion{Release: "r-000000000001"}},
		{Actor: "olga", Time: at(2, 12), Promotion: &record.Promotion{Release: "r-000000000002"}},
		{Actor: "olga", Time: at(9, 0), Promotion: &record.Promotion{Release: "r-000000000003"}},
	}
	c := drawn("age <years>", days(0, 0.05, 0.3, 0.02), promotions)
	if c.breaches != 1 || c.State != "pass" || len(c.Points) != 4 {
		t.Errorf("the chart is %+v", c)
	}
	for i, p := range c.Points {
		if want := 52 + 528*(float64(i)+0.5)/4; p.X != want {
			t.Errorf("window %d is at %g, want %g", i, p.X, want)
		}
		if above := p.Y < c.LimitY; above != (p.State == "fail") {
			t.Errorf("window %d, which is %s, is drawn at %g, the limit at %g", i, p.State, p.Y, c.LimitY)
		}
	}
	if c.Points[0].Y != 118 || c.Points[2].Y != 24 || c.Top != "0.3" || !strings.HasSuffix(c.Limit, "M448 86.7H580") {
		t.Errorf("nothing is at %g and the most, %s, at %g; the limit %s", c.Points[0].Y, c.Top, c.Points[2].Y, c.Limit)
	}
	// What ran when the first window began, and what came while there were windows.
	if p := c.Axis.Promotions; len(p) != 2 || p[0].X != 52 || p[1].X != 250 || p[1].N != 2 || !strings.Contains(p[1].Title, "r-000000000002 promoted on 2026-05-02") {
		t.Errorf("promotions are %+v", p)
	}
	var page bytes.Buffer
	if err := templates["monitor"].ExecuteTemplate(&page, "chart", c); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"age &lt;years&gt;, population stability index (PSI), no unit, over 4 windows: last 0.02 against a limit of 0.1; 1 breached", "500 rows: 0.3, breach"} {
		if !strings.Contains(page.String(), says) {
			t.Errorf("the drawing does not say %q:\n%s", says, &page)
		}
	}
	for d := xml.NewDecoder(&page); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A line is broken where another release takes over, and by what was too little to tell;
// an alarm lasts while it is raised.
func TestAChartOfSeveralReleases(t *testing.T) {
	all := days(0.01, 0.02, 9, 0.03, 0.3, 0.3, 0.02)
	for i := range all {
		all[i].window.Record.Release = map[bool]string{true: "r-000000000001", false: "r-000000000002"}[i < 2]
		all[i].window.Record.Alarm = i == 4 || i == 5
	}
	all[2].check.Outcome = record.WindowInconclusive
	c := drawn("x", all, nil)
	if n := strings.Count(c.Line, "M"); n != 2 || c.Top != "0.3" || c.Points[2].Y != 24 {
		t.Errorf("the line %s has %d parts; the scale ends at %s", c.Line, n, c.Top)
	}
	if a := c.Axis.Alarms; len(a) != 1 || a[0].X != 353.7 || a[0].Width != 150.9 {
		t.Errorf("alarms %+v", a)
	}
	strip := stripOf([]record.Recorded[record.Window]{all[0].window}, c.Axis)
	if !strings.Contains(strip.Title, "1 window: ") || !strings.Contains(strip.Title, "1 alarm") {
		t.Errorf("the strip says %q", strip.Title)
	}
}

// All zero, and one window alone, are drawn too.
func TestAChartOfLittle(t *testing.T) {
	for _, all := range [][]seen{days(0), days(0, 0)} {
		c := drawn("x", all, nil)
		if len(c.Points) != len(all) || c.Points[0].Y != 118 || c.LimitY >= 118 {
			t.Errorf("the chart is %+v", c)
		}
	}
}
