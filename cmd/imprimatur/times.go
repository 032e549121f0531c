package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// moment is a time on the command line: "2026-12-31" (its first instant, UTC),
// RFC 3339, or a span from now such as "30d" or "12h".
type moment struct {
	at   time.Time
	span span
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) error {
	s := string(text)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			m.at = record.Millis(t)
			return nil
		}
	}
	if err := m.span.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is neither a date such as 2026-12-31 or 2026-12-31T15:04:05Z, nor a span such as 30d or 12h", s)
	}
	return nil
}

// after returns the time, spans counted from now on; the zero time where none
// was given.
func (m moment) after(now time.Time) time.Time {
	if m.span == 0 {
		return m.at
	}
	return record.Millis(now.Add(time.Duration(m.span)))
}

// before is after, with spans counted back.
func (m moment) before(now time.Time) time.Time {
	if m.span == 0 {
		return m.at
	}
	return record.Millis(now.Add(-time.Duration(m.span)))
}

// span is a length of time: "30d", or Go's form such as "12h".
type span time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *span) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n <= 0 || n > 36500 {
			return fmt.Errorf("%q is not a number of days such as 30d", text)
		}
		*s = span(n) * span(24*time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a span of time such as 30d or 12h", text)
	}
	*s = span(d)
	return nil
}

func (s span) seconds() int64 { return int64(time.Duration(s) / time.Second) }

// day writes a time for people.
func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}
