package record

import (
	"fmt"
	"time"
)

// Drill is what came of trying whether a release could take over now: everything
// that a promotion of it would ask, but for the promotion.
type Drill struct {
	Release  string `json:"release"`
	Line     string `json:"line"`
	Record   Digest `json:"record"`
	Artifact Digest `json:"artifact"`
	// Checks are in the order in which they were made.
	Checks []DrillCheck `json:"checks"`
}

// DrillCheck is one thing that was tried. Detail is a sentence.
type DrillCheck struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// The checks of a drill.
const (
	DrillStands = "stands" // nobody stopped it, and its verdict passes
	DrillBytes  = "bytes"  // its bytes were read, and are those that were approved
)

// Ready reports whether every check passed.
func (d Drill) Ready() bool { return d.Fault() == "" }

// Fault is what the first check that failed says; empty for none.
func (d Drill) Fault() string {
	for _, c := range d.Checks {
		if !c.OK {
			return c.Detail
		}
	}
	return ""
}

// Kind implements Body.
func (Drill) Kind() Kind { return KindDrill }

// Keys implements Body.
func (d Drill) Keys(Digest) []string { return []string{KeyDrills(d.Line)} }

// Subject implements Body.
func (d Drill) Subject() (string, Digest) { return "release/" + d.Release, d.Record }

// Validate implements Body.
func (d Drill) Validate() error {
	c := checker{kind: KindDrill}
	c.releaseID("release", d.Release)
	c.line("line", d.Line)
	c.digest("record", d.Record)
	c.digest("artifact", d.Artifact)
	c.list("checks", len(d.Checks))
	if len(d.Checks) == 0 {
		c.failf("checks is empty")
	}
	for i, x := range d.Checks {
		c.name(fmt.Sprintf("checks[%d].name", i), x.Name)
		c.text(fmt.Sprintf("checks[%d].detail", i), x.Detail, true)
	}
	return c.err()
}

// KeyDrills finds the drills of a line.
func KeyDrills(line string) string { return "drills/" + line }

// DrillAt returns the last drill of a release up to a time; nil for none.
func (d *Dossier) DrillAt(release string, t time.Time) *Recorded[Drill] {
	var last *Recorded[Drill]
	for i := range d.Drills {
		if x := &d.Drills[i]; x.Record.Release == release && !x.Time.After(t) {
			last = x
		}
	}
	return last
}
