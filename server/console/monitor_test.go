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

func TestAChartShowsWindowsAgainstTheirLimit(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 5, day, hour, 0, 0, 0, time.UTC) }
	promotions := []record.Event{
		{Actor: "olga", Time: at(2, 12), Promotion: &record.Promotion{Release: "r-000000000001"}},
		{Actor: "olga", Time: at(9, 0), Promotion: &record.Promotion{Release: "r-000000000002"}},
	}
	c := chartOf("age <years>", days(0, 0.05, 0.3, 0.02), promotions)
	if c.breaches != 1 || c.State != "pass" || len(c.Points) != 4 {
		t.Errorf("the chart is %+v", c)
	}
	for i, p := range c.Points {
		if want := 10 + 620*(float64(i)+0.5)/4; p.X != want {
			t.Errorf("window %d is at %g, want %g", i, p.X, want)
		}
		if above := p.Y < c.Limit; above != (p.State == "fail") {
			t.Errorf("window %d, which is %s, is drawn at %g, the limit at %g", i, p.State, p.Y, c.Limit)
		}
	}
	if c.Points[0].Y != 100 || c.Points[2].Y != 16 {
		t.Errorf("nothing is at %g and the most at %g", c.Points[0].Y, c.Points[2].Y)
	}
	if len(c.Promotions) != 1 || c.Promotions[0].X != 242.5 || !strings.Contains(c.Promotions[0].Title, "r-000000000001 promoted on 2026-05-02") {
		t.Errorf("promotions are %+v", c.Promotions)
	}
	var drawn bytes.Buffer
	if err := templates["monitor"].ExecuteTemplate(&drawn, "chart", c); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"age &lt;years&gt; (psi) over 4 windows: last 0.02 against a limit of 0.1; 1 breached", "2026-05-03 00:00, 500 rows: 0.3, breach"} {
		if !strings.Contains(drawn.String(), says) {
			t.Errorf("the drawing does not say %q:\n%s", says, &drawn)
		}
	}
	for d := xml.NewDecoder(&drawn); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// All zero, and one window alone, are drawn too.
func TestAChartOfLittle(t *testing.T) {
	for _, all := range [][]seen{days(0), days(0, 0)} {
		c := chartOf("x", all, nil)
		if len(c.Points) != len(all) || c.Points[0].Y != 100 || c.Limit >= 100 {
			t.Errorf("the chart is %+v", c)
		}
	}
}
