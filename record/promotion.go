package record

import (
	"time"
)

// Ways in which a release became the live one.
const (
	Promote    = "promote"
	Rollback   = "rollback"
	BrokeGlass = "break-glass"
)

// Promotion makes a release the one that runs in its environment. A rollback
// is the promotion of an earlier release that still stands.
type Promotion struct {
	Release     string `json:"release"`
	Line        string `json:"line"`
	Record      Digest `json:"record"`
	Environment string `json:"environment"`
	Artifact    Digest `json:"artifact"`
	How         string `json:"how"`
	// Verdict is the digest of the verdict's record.
	Verdict Digest `json:"verdict"`
	// Until is when the verdict lapses unless something is renewed.
	Until time.Time `json:"until,omitzero"`
	// Replaces is the release that was live before, if any.
	Replaces string `json:"replaces,omitzero"`
	// Envelope is what it spent of the envelope that approved it; nil where people
	// did, or where it was spent before.
	Envelope *EnvelopeUse `json:"envelope,omitzero"`
	Reason   string       `json:"reason,omitzero"`
	// Exception is the one by which glass was broken.
	Exception string `json:"exception,omitzero"`
}

// Kind implements Body.
func (Promotion) Kind() Kind { return KindPromotion }

// Keys implements Body.
func (p Promotion) Keys(Digest) []string {
	return []string{KeyLive(p.Line), KeyPromotions(p.Release)}
}

// Subject implements Body.
func (p Promotion) Subject() (string, Digest) { return "release/" + p.Release, p.Record }

// Validate implements Body.
func (p Promotion) Validate() error {
	c := checker{kind: KindPromotion}
	c.releaseID("release", p.Release)
	c.line("line", p.Line)
	c.digest("record", p.Record)
	c.name("environment", p.Environment)
	c.digest("artifact", p.Artifact)
	c.oneOf("how", p.How, Promote, Rollback, BrokeGlass)
	c.digest("verdict", p.Verdict)
	c.optionalTime("until", p.Until)
	if p.Replaces != "" {
		c.releaseID("replaces", p.Replaces)
	}
	if u := p.Envelope; u != nil {
		c.digest("envelope.envelope", u.Envelope)
		c.count("envelope.left", u.Left)
		if (u.Use <= 0) != u.People {
			c.failf("envelope.use is not a positive number, or one of what people let run")
		}
	}
	c.text("reason", p.Reason, p.How != Promote)
	return c.err()
}

// KeyLive finds what was live in a line: promotions, suspensions, retirements.
func KeyLive(line string) string { return "live/" + line }

// KeyPromotions finds what happened to one release after it was proposed.
func KeyPromotions(release string) string { return "promotions/" + release }

// Suspension stops a release at once; a later one with Lifted lets it go on.
type Suspension struct {
	Release string `json:"release"`
	Line    string `json:"line"`
	Record  Digest `json:"record"`
	Lifted  bool   `json:"lifted,omitzero"`
	Reason  string `json:"reason"`
}

// Kind implements Body.
func (Suspension) Kind() Kind { return KindSuspension }

// Keys implements Body.
func (s Suspension) Keys(Digest) []string {
	return []string{KeyLive(s.Line), KeyPromotions(s.Release)}
}

// Subject implements Body.
func (s Suspension) Subject() (string, Digest) { return "release/" + s.Release, s.Record }

// Validate implements Body.
func (s Suspension) Validate() error {
	c := checker{kind: KindSuspension}
	c.releaseID("release", s.Release)
	c.line("line", s.Line)
	c.digest("record", s.Record)
	c.text("reason", s.Reason, true)
	return c.err()
}

// Retirement ends a release for good.
type Retirement struct {
	Release string `json:"release"`
	Line    string `json:"line"`
	Record  Digest `json:"record"`
	Reason  string `json:"reason"`
}

// Kind implements Body.
func (Retirement) Kind() Kind { return KindRetirement }

// Keys implements Body.
func (r Retirement) Keys(Digest) []string {
	return []string{KeyLive(r.Line), KeyPromotions(r.Release)}
}

// Subject implements Body.
func (r Retirement) Subject() (string, Digest) { return "release/" + r.Release, r.Record }

// Validate implements Body.
func (r Retirement) Validate() error {
	c := checker{kind: KindRetirement}
	c.releaseID("release", r.Release)
	c.line("line", r.Line)
	c.digest("record", r.Record)
	c.text("reason", r.Reason, true)
	return c.err()
}
