package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawn(colour bool, width int, draw func(p *page)) string {
	var out bytes.Buffer
	p := newPage(&out, colour)
	p.width = width
	draw(p)
	if err := p.flush(); err != nil {
		panic(err)
	}
	return out.String()
}

func TestTableAlignsWhatIsSeen(t *testing.T) {
	rows := [][]cell{{{"✓", good}, {text: "a"}, {text: "first"}}, {{"✗", bad}, {text: "naïve"}, {text: "second"}}}
	want := "✓  a      first\n✗  naïve  second\n"
	if diff := cmp.Diff(want, drawn(false, 0, func(p *page) { p.table(rows) })); diff != "" {
		t.Error(diff)
	}
	coloured := drawn(true, 0, func(p *page) { p.table(rows) })
	if !strings.Contains(coloured, "\x1b[32m✓\x1b[0m  a      first") {
		t.Errorf("colour moved the columns: %q", coloured)
	}
}

func TestLastColumnWrapsUnderItself(t *testing.T) {
	row := [][]cell{texts("gate", "this is a long reason that goes on and on")}
	want := "gate  this is a long reason that\n      goes on and on\n"
	if diff := cmp.Diff(want, drawn(false, 36, func(p *page) { p.table(row) })); diff != "" {
		t.Error(diff)
	}
}

func TestLastColumnGoesBelowWhereThereIsNoRoom(t *testing.T) {
	row := [][]cell{texts("a rather long name of a gate", "this is a long reason that goes on")}
	want := "a rather long name of a gate\n     this is a long reason that goes\n     on\n"
	if diff := cmp.Diff(want, drawn(false, 36, func(p *page) { p.table(row) })); diff != "" {
		t.Error(diff)
	}
}

// Whatever the text, a table has one line for each row and forges nothing.
func TestTextFromElsewhereForgesNoLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.String(), 2, 4), 1, 5).Draw(t, "rows")
		out := drawn(false, 0, func(p *page) {
			table := [][]cell{}
			for _, r := range rows {
				table = append(table, texts(r...))
			}
			p.table(table)
		})
		if n := strings.Count(out, "\n"); n != len(rows) {
			t.Fatalf("%d rows gave %d lines", len(rows), n)
		}
		for _, r := range strings.ReplaceAll(out, "\n", "") {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%q came through", r)
			}
		}
	})
}

func TestColourIsForTerminalsThatWantIt(t *testing.T) {
	a := newApp(t.Context(), none, nil, &bytes.Buffer{}, nil)
	if a.colour(a.stdout) {
		t.Error("a buffer was taken for a terminal")
	}
}

func TestMomentsAndSpans(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string][2]string{
		"2026-12-31":           {"2026-12-31T00:00:00Z", "2026-12-31T00:00:00Z"},
		"2026-12-31T15:04:05Z": {"2026-12-31T15:04:05Z", "2026-12-31T15:04:05Z"},
		"2026-12-31 15:04":     {"2026-12-31T15:04:00Z", "2026-12-31T15:04:00Z"},
		"2026-12-31T15:04:05+02:00": {
			"2026-12-31T13:04:05Z", "2026-12-31T13:04:05Z",
		},
		"2d":  {"2026-03-03T12:00:00Z", "2026-02-27T12:00:00Z"},
		"90m": {"2026-03-01T13:30:00Z", "2026-03-01T10:30:00Z"},
	} {
		var m moment
		if err := m.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := [2]string{m.after(now).Format(time.RFC3339), m.before(now).Format(time.RFC3339)}
		if got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "0d", "-3d", "soon", "2026-13-01", "99999999d", "-2h"} {
		var m moment
		if err := m.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken for a time", text)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.95: "0.95", 0.93471: "0.9347", -0.5: "-0.5", 0.000012: "1.2e-05", 123456.78912: "123456.7891"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	for n, want := range map[int64]string{1: "1 byte", 1023: "1023 bytes", 1536: "1.5 KiB", 3 << 40: "3.0 TiB"} {
		if got := size(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

func TestProgressBeginsAfterASecondAndIsWiped(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := at
	p := &progress{w: &out, label: "hashing", started: at, now: func() time.Time { return now }}
	p.report(1, 100)
	p.end()
	if out.Len() != 0 {
		t.Errorf("a bar within the first second: %q", out.String())
	}
	now = at.Add(2 * time.Second)
	p.report(50, 100)
	if got := out.String(); !strings.Contains(got, " 50 %  2s left") {
		t.Errorf("half way after two seconds: %q", got)
	}
	out.Reset()
	now = now.Add(10 * time.Millisecond)
	p.report(51, 100)
	if out.Len() != 0 {
		t.Errorf("drawn again at once: %q", out.String())
	}
	p.end()
	if out.String() != "\r\x1b[K" {
		t.Errorf("the bar was not wiped: %q", out.String())
	}
}
