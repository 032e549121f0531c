package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress draws a bar on a terminal for what takes longer than a second.
type progress struct {
	w       io.Writer
	label   string
	started time.Time
	drawn   time.Time
	now     func() time.Time
}

// progress returns a function that is told how much is done, and one that wipes
// the bar away. Without a terminal both do nothing.
func (a *app) progress(label string) (report func(done, total int64), end func()) {
	if _, ok := terminal(a.stderr); !ok {
		return func(int64, int64) {}, func() {}
	}
	p := &progress{w: a.stderr, label: label, started: a.now(), now: a.now}
	return p.report, p.end
}

func (p *progress) report(done, total int64) {
	now := p.now()
	if now.Sub(p.started) < time.Second || now.Sub(p.drawn) < 100*time.Millisecond || total <= 0 {
		return
	}
	p.drawn = now
	const width = 30
	part := float64(done) / float64(total)
	full := int(part * width)
	left := time.Duration(float64(now.Sub(p.started)) * (1 - part) / max(part, 0.001)).Round(time.Second)
	fmt.Fprintf(p.w, "\r\x1b[K%s %s%s %3.0f %%  %s left", p.label,
		strings.Repeat("█", full), strings.Repeat("░", width-full), 100*part, left)
}

func (p *progress) end() {
	if !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
