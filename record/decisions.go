package record

import (
	"fmt"
	"time"
)

// MaxDenials is how many refusals one statement spells out; the file that it
// names has all.
const MaxDenials = 100

// Decisions says what the decision point was asked over a span about one team's
// releases, and binds to the file in which each answer is a line.
type Decisions struct {
	// Team is whose releases were asked about, empty for asks that no release
	// was found for.
	Team string    `json:"team,omitzero"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Log is the digest of the file: gzip of lines, each a JSON object.
	Log Digest `json:"log"`
	// Allowed and Denied are how many answers there were, and Unkept how many of
	// the allowed ones have no line of their own.
	Allowed int64 `json:"allowed"`
	Denied  int64 `json:"denied"`
	Unkept  int64 `json:"unkept,omitzero"`
	// Denials are what was refused, the earliest first, and Others how many
	// refusals are not among them.
	Denials []Denial `json:"denials,omitzero"`
	Others  int64    `json:"others,omitzero"`
}

// Denial is a call that was refused, as often as it was for the same reason.
type Denial struct {
	Workload string    `json:"workload"`
	Release  string    `json:"release,omitzero"`
	Type     string    `json:"type"` // one of GrantKinds, or what the asker said
	Resource string    `json:"resource"`
	Action   string    `json:"action"`
	Reason   string    `json:"reason"`
	Count    int64     `json:"count"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Kind implements Body.
func (Decisions) Kind() Kind { return KindDecisions }

// Keys implements Body.
func (d Decisions) Keys(Digest) []string {
	return []string{KeyDecisions(d.Team), KeyDecisionLog(d.Log)}
}

// Subject implements Body.
func (d Decisions) Subject() (string, Digest) { return "decisions/" + d.Team, d.Log }

// Validate implements Body.
func (d Decisions) Validate() error {
	c := checker{kind: KindDecisions}
	if d.Team != "" {
		c.name("team", d.Team)
	}
	c.time("from", d.From)
	c.time("to", d.To)
	if d.To.Before(d.From) {
		c.failf("to is before from")
	}
	c.digest("log", d.Log)
	for field, n := range map[string]int64{"allowed": d.Allowed, "denied": d.Denied, "unkept": d.Unkept, "others": d.Others} {
		if n < 0 {
			c.failf("%s is %d, less than nothing", field, n)
		}
	}
	if d.Unkept > d.Allowed {
		c.failf("unkept is %d of %d", d.Unkept, d.Allowed)
	}
	if len(d.Denials) > MaxDenials {
		c.failf("denials has %d entries, more than %d", len(d.Denials), MaxDenials)
	}
	told := d.Others
	for i, x := range d.Denials {
		field := fmt.Sprintf("denials[%d]", i)
		c.text(field+".reason", x.Reason, true)
		c.time(field+".first", x.First)
		c.time(field+".last", x.Last)
		if x.Count < 1 {
			c.failf("%s.count is %d, less than one", field, x.Count)
		}
		told += x.Count
	}
	if told != d.Denied {
		c.failf("denied is %d, and %d are told of", d.Denied, told)
	}
	return c.err()
}

// KeyDecisions finds what was asked about a team's releases.
func KeyDecisions(team string) string { return "decisions/" + team }

// KeyDecisionLog finds the statement on a file.
func KeyDecisionLog(log Digest) string { return "decision-log/" + string(log) }
