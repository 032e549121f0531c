package record

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Decisions of an approver.
const (
	Approve        = "approve"
	RequestChanges = "request-changes"
)

// Methods by which an approver was authenticated.
const (
	MethodToken   = "token"
	MethodSession = "session"
	MethodPasskey = "passkey"
)

// Approval is one human's word on a release in one role, bound to the record
// digest and the part digests that the role covers. The latest word of a person
// in a role counts, over all the releases of a line. One on an envelope is bound
// to the envelope's digest, in the place of each of the parts.
type Approval struct {
	// Release is the release's ID, or Envelope the envelope's; Line is its line.
	Release  string   `json:"release,omitzero"`
	Envelope string   `json:"envelope,omitzero"`
	Line     string   `json:"line"`
	Record   Digest   `json:"record"`
	Role     RoleName `json:"role"`
	// For is who delegated the role to the approver, and Lent until when it then
	// was delegated; empty where the approver spoke by a binding of their own.
	For      string    `json:"for,omitzero"`
	Lent     time.Time `json:"delegatedUntil,omitzero"`
	Decision string    `json:"decision"`
	// Parts are the digests of the parts that the role covers, as seen.
	Parts   map[Part]Digest `json:"parts"`
	Reason  string          `json:"reason"`
	Method  string          `json:"method"`
	Expires time.Time       `json:"expires"`
	// Asked is when the approver's passkey was asked; Assertion what it said to
	// [Approval.Challenge]. Both are there where the method is passkey.
	Asked     time.Time  `json:"asked,omitzero"`
	Assertion *Assertion `json:"assertion,omitzero"`
}

// Kind implements Body.
func (Approval) Kind() Kind { return KindApproval }

// Keys implements Body.
func (a Approval) Keys(Digest) []string {
	keys := []string{KeyApprovals(a.Line), KeyApprovalsOf(a.Release)}
	if a.Envelope != "" {
		keys = []string{KeyEnvelope(a.Envelope)}
	}
	if a.Assertion != nil {
		if challenge, err := a.Challenge(); err == nil {
			keys = append(keys, KeyAssertion(challenge))
		}
	}
	return keys
}

// Subject implements Body.
func (a Approval) Subject() (string, Digest) {
	if a.Envelope != "" {
		return "envelope/" + a.Envelope, a.Record
	}
	return "release/" + a.Release, a.Record
}

// Of is the ID of what it is a word on.
func (a Approval) Of() string { return cmp.Or(a.Release, a.Envelope) }

// Validate implements Body.
func (a Approval) Validate() error {
	c := checker{kind: KindApproval}
	if a.Envelope == "" {
		c.releaseID("release", a.Release)
	} else if c.envelopeID("envelope", a.Envelope); a.Release != "" {
		c.failf("release and envelope are both given; an approval is of one")
	}
	c.line("line", a.Line)
	c.digest("record", a.Record)
	c.role("role", a.Role)
	if a.For != "" {
		c.principal("for", a.For)
		c.time("delegatedUntil", a.Lent)
	} else if !a.Lent.IsZero() {
		c.failf("delegatedUntil is only for an approval for somebody else")
	}
	c.oneOf("decision", a.Decision, Approve, RequestChanges)
	if len(a.Parts) == 0 {
		c.failf("parts is empty: an approval covers what was seen")
	}
	for p, d := range a.Parts {
		c.oneOf("parts", string(p), string(PartBehaviour), string(PartData), string(PartAuthority), string(PartContext))
		c.digest("parts."+string(p), d)
	}
	c.text("reason", a.Reason, true)
	c.oneOf("method", a.Method, MethodToken, MethodSession, MethodPasskey)
	c.time("expires", a.Expires)
	c.optionalTime("asked", a.Asked)
	c.assertion(a.Assertion)
	if (a.Assertion != nil) != (a.Method == MethodPasskey) || a.Asked.IsZero() != (a.Assertion == nil) {
		c.failf("asked and assertion are for the method passkey, which needs both")
	}
	return c.err()
}

// Behalf says in words for whom the approver spoke, to be put behind their name:
// " for rita (delegated until 2026-12-01)"; empty where it was for themselves.
func (a Approval) Behalf() string {
	if a.For == "" {
		return ""
	}
	return fmt.Sprintf(" for %s (delegated until %s)", a.For, a.Lent.UTC().Format(time.DateOnly))
}

func (c *checker) releaseID(field, id string) {
	if !releaseIDPattern.MatchString(id) {
		c.failf("%s %q is not a release's ID, r- and 12 hex digits", field, id)
	}
}

func (c *checker) line(field, line string) {
	if strings.Count(line, "/") != 3 {
		c.failf("%s %q is not a line, team/model/team:usecase/environment", field, line)
	}
}

// KeyApprovals finds the approvals of a line.
func KeyApprovals(line string) string { return "approvals/" + line }

// KeyApprovalsOf finds the approvals given on one release.
func KeyApprovalsOf(release string) string { return "approvals-of/" + release }

// Types of exception.
const (
	Waiver     = "waiver"
	BreakGlass = "break-glass"
)

// Exception waives one named gate of one release, or promotes one release in the
// environment of its line in spite of named gates ("break glass"). It expires, and
// asks for a review.
type Exception struct {
	Type    string `json:"type"`
	Release string `json:"release"`
	Line    string `json:"line"`
	Record  Digest `json:"record"`
	// Gate is the waived gate's name.
	Gate string `json:"gate,omitzero"`
	// Gates are those that a broken glass passes over, and no other.
	Gates []string `json:"gates,omitzero"`
	// Grants are those of the release that may be used under a broken glass, as
	// [GrantName] writes them; all where none is named.
	Grants  []string  `json:"grants,omitzero"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
	// ReviewBy is when the review is due.
	ReviewBy time.Time `json:"reviewBy"`
}

// Scope says in words what the exception opens.
func (e Exception) Scope() string {
	if e.Type == Waiver {
		return e.Gate
	}
	scope := "over " + strings.Join(e.Gates, ", ")
	if len(e.Grants) > 0 {
		scope += ", with " + strings.Join(e.Grants, ", ") + " alone"
	}
	return scope
}

// Kind implements Body.
func (Exception) Kind() Kind { return KindException }

// ExceptionID returns "x-" and the first 12 hex digits of the record's digest.
func ExceptionID(self Digest) string { return "x-" + self.Short() }

// Keys implements Body.
func (e Exception) Keys(self Digest) []string {
	return []string{KeyException(ExceptionID(self)), KeyExceptions(e.Line)}
}

// Subject implements Body.
func (e Exception) Subject() (string, Digest) { return "release/" + e.Release, e.Record }

// Validate implements Body.
func (e Exception) Validate() error {
	c := checker{kind: KindException}
	c.oneOf("type", e.Type, Waiver, BreakGlass)
	c.releaseID("release", e.Release)
	c.line("line", e.Line)
	c.digest("record", e.Record)
	c.text("gate", e.Gate, e.Type == Waiver)
	if e.Type == BreakGlass && e.Gate != "" {
		c.failf("gate is only for a waiver")
	}
	if e.Type == Waiver && len(e.Gates)+len(e.Grants) > 0 {
		c.failf("gates and grants are only for a broken glass")
	}
	c.texts("gates", e.Gates)
	c.texts("grants", e.Grants)
	c.text("reason", e.Reason, true)
	c.time("expires", e.Expires)
	c.time("reviewBy", e.ReviewBy)
	return c.err()
}

// KeyException finds an exception by its ID.
func KeyException(id string) string { return "exception/" + id }

// KeyExceptions finds the exceptions of a line, and their reviews.
func KeyExceptions(line string) string { return "exceptions/" + line }

// Outcomes of a review.
const (
	Upheld   = "upheld"
	Reversed = "reversed"
)

// Review is the look back at an exception by somebody other than who made it.
type Review struct {
	Exception string `json:"exception"`
	Release   string `json:"release"`
	Line      string `json:"line"`
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason"`
}

// Kind implements Body.
func (Review) Kind() Kind { return KindReview }

// Keys implements Body.
func (r Review) Keys(Digest) []string {
	return []string{KeyException(r.Exception), KeyExceptions(r.Line)}
}

// Subject implements Body.
func (r Review) Subject() (string, Digest) { return "exception/" + r.Exception, "" }

// Validate implements Body.
func (r Review) Validate() error {
	c := checker{kind: KindReview}
	if !strings.HasPrefix(r.Exception, "x-") {
		c.failf("exception %q is not an exception's ID", r.Exception)
	}
	c.releaseID("release", r.Release)
	c.line("line", r.Line)
	c.oneOf("outcome", r.Outcome, Upheld, Reversed)
	c.text("reason", r.Reason, true)
	return c.err()
}
