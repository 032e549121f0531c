// Package wire is what goes over the HTTP API besides the records themselves:
// the requests and answers of the registry's commands and queries, as types that
// server, client and registry share. Durations are Go's text form ("72h") or a
// number of days ("30d"); times are RFC 3339 in UTC; digests are "sha256:<hex>".
package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

// Code says what kind of refusal a problem is.
type Code string

// The codes, with the HTTP status and the CLI's exit code that they become.
const (
	Invalid     Code = "invalid"     // 422, 2: the request itself is wrong
	Unknown     Code = "not-found"   // 404, 1
	Forbidden   Code = "forbidden"   // 403, 1: the caller may not
	Conflict    Code = "conflict"    // 409, 1: it contradicts what stands
	Refused     Code = "refused"     // 409, 1: a gate does not let it through
	SignIn      Code = "sign-in"     // 401, 1
	Unavailable Code = "unavailable" // 503, 3: it could not be decided
)

// Problem is an RFC 9457 problem with our code, and with the verdict where a
// release was refused.
type Problem struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail"`
	Code    Code            `json:"code"`
	Verdict *record.Verdict `json:"verdict,omitzero"`
}

// TokenRequest asks for an API token.
type TokenRequest struct {
	Principal string   `json:"principal"`
	Scopes    []string `json:"scopes"`
	// Seconds is how long the token lives.
	Seconds int64  `json:"seconds"`
	Note    string `json:"note,omitzero"`
}

// TokenRotation asks for a token in the place of another.
type TokenRotation struct {
	// Seconds is how long the new one lives, and OverlapSeconds how long the old one
	// still does: no longer than it would have.
	Seconds        int64 `json:"seconds"`
	OverlapSeconds int64 `json:"overlapSeconds,omitzero"`
}

// IssuedToken is a token at the only moment at which its secret is known.
type IssuedToken struct {
	Token  record.Recorded[record.Token] `json:"token"`
	Secret string                        `json:"secret"`
}

// Invitation is a link by which a person says, once, how they will sign in.
type Invitation struct {
	Principal string `json:"principal"`
	// Path is the secret part of the link, below the installation's address.
	Path    string    `json:"path"`
	Expires time.Time `json:"expires"`
}

// Published is a policy that was published, with what its author should know.
type Published struct {
	Policy   record.Recorded[record.Policy] `json:"policy"`
	Warnings []string                       `json:"warnings,omitzero"`
}

// Proposal asks for a release of a model version.
type Proposal struct {
	// Version is "team/model@version".
	Version     string           `json:"version"`
	UseCase     string           `json:"useCase"`
	Environment string           `json:"environment"`
	Authority   record.Authority `json:"authority,omitzero"`
	// Incomplete proposes in spite of gates that do not pass, so that a waiver
	// can be asked for; nobody can promote it before they do.
	Incomplete bool `json:"incomplete,omitzero"`
	// Envelope is the name or the ID of the envelope of its line by which it is to be
	// approved. Promote promotes it at once, where the verdict passes by that.
	Envelope string `json:"envelope,omitzero"`
	Promote  bool   `json:"promote,omitzero"`
}

// Case is a release with the verdict on it at a moment.
type Case struct {
	ID      string                          `json:"id"`
	Line    string                          `json:"line"`
	Release record.Recorded[record.Release] `json:"release"`
	Digests record.Digests                  `json:"digests"`
	Status  record.Status                   `json:"status"`
	// Live is the release that is live in the line.
	Live string `json:"live,omitzero"`
	// Last is what its status comes from, nothing while it is proposed.
	Last    *Turn          `json:"last,omitzero"`
	Verdict record.Verdict `json:"verdict"`
	// Approvers names, for each role that a gate waits for, the people who hold it.
	Approvers map[record.RoleName][]string `json:"approvers,omitzero"`
	// Exceptions are those of the line.
	Exceptions []record.Recorded[record.Exception] `json:"exceptions,omitzero"`
	// Stands says whether the release may run now, and if not, why.
	Stands  bool     `json:"stands"`
	Reasons []string `json:"reasons,omitzero"`
	// NotPromoted says why a proposal that was to be promoted at once was not.
	NotPromoted string `json:"notPromoted,omitzero"`
}

// Turn is what became of a release: a promotion, its own or that of another in its
// place, a suspension, which may be lifted, or its retirement.
type Turn struct {
	// How is promote, rollback, suspend, lift or retire.
	How string `json:"how"`
	// Release is the one that runs since, of a promotion.
	Release string    `json:"release,omitzero"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitzero"`
}

// Word is what an approver says of a release, or of an envelope.
type Word struct {
	Release  string `json:"release,omitzero"`
	Envelope string `json:"envelope,omitzero"`
	// Record is the record digest that the approver saw; another one is refused.
	Record   record.Digest   `json:"record"`
	Role     record.RoleName `json:"role"`
	Decision string          `json:"decision"`
	Reason   string          `json:"reason"`
	// Expires may shorten what the policy gives.
	Expires time.Time `json:"expires,omitzero"`
	// Assertion is the approver's passkey's, where the policy asks for one.
	Assertion *record.Assertion `json:"assertion,omitzero"`
}

// Promoted is a promotion with the release as it now is.
type Promoted struct {
	Promotion record.Recorded[record.Promotion] `json:"promotion"`
	Case      Case                              `json:"case"`
}

// LiveRelease says what ran in a line at a time, by whose approval and on what
// evidence.
type LiveRelease struct {
	Line        string        `json:"line"`
	Release     string        `json:"release"`
	Model       string        `json:"model"`
	Artifact    record.Digest `json:"artifact"`
	UseCase     string        `json:"useCase"`
	Tier        string        `json:"tier"`
	Environment string        `json:"environment"`
	Since       time.Time     `json:"since"`
	// Until is when the verdict of its promotion lapses unless something is renewed.
	Until       time.Time                            `json:"until,omitzero"`
	How         string                               `json:"how"`
	PromotedBy  string                               `json:"promotedBy"`
	Approvals   []record.Recorded[record.Approval]   `json:"approvals"`
	Evaluations []record.Recorded[record.Evaluation] `json:"evaluations"`
	Verdict     record.Digest                        `json:"verdict"`
	Marks       []string                             `json:"marks,omitzero"`
}

// Entry is one statement of the ledger as people and programs read it.
type Entry struct {
	Index   int64         `json:"index"`
	Kind    record.Kind   `json:"kind"`
	Word    string        `json:"word"`
	Actor   string        `json:"actor"`
	Time    time.Time     `json:"time"`
	Subject string        `json:"subject"`
	Digest  record.Digest `json:"digest"`
	// Statement is the digest of the signed payload.
	Statement record.Digest `json:"statement"`
	// Record is the record as stated; record.Replay reads it.
	Record jsontext.Value `json:"record"`
}

// Page is part of a list, newest first. Next is the cursor of the following
// page, zero at the end.
type Page struct {
	Entries []Entry `json:"entries"`
	Next    int64   `json:"next,omitzero"`
}

// MaxPage is the most entries that one page holds.
const MaxPage = 200

// PartChange is what differs between two releases in one part.
type PartChange struct {
	Part    record.Part `json:"part"`
	Changed bool        `json:"changed"`
	// Changes are sentences; empty when the part is the same.
	Changes []string `json:"changes,omitzero"`
}

// Carried says of one person's approval of the older release whether it still
// covers the newer one.
type Carried struct {
	Approver string `json:"approver"`
	// For is who had delegated the role to the approver.
	For     string          `json:"for,omitzero"`
	Role    record.RoleName `json:"role"`
	Carries bool            `json:"carries"`
	Why     string          `json:"why"`
}

// By names the approver, and for whom they spoke.
func (c Carried) By() string {
	if c.For == "" {
		return c.Approver
	}
	return c.Approver + " for " + c.For
}

// Diff compares two releases by behaviour, data, authority and context.
type Diff struct {
	From      string             `json:"from"`
	To        string             `json:"to"`
	Parts     []PartChange       `json:"parts"`
	Authority authority.Relation `json:"authority"`
	Approvals []Carried          `json:"approvals"`
}

// Decision answers whether an artifact may run in an environment.
type Decision struct {
	Allowed bool          `json:"allowed"`
	Release string        `json:"release,omitzero"`
	Line    string        `json:"line,omitzero"`
	Record  record.Digest `json:"record,omitzero"`
	Until   time.Time     `json:"until,omitzero"`
	Marks   []string      `json:"marks,omitzero"`
	Reasons []string      `json:"reasons,omitzero"`
	At      time.Time     `json:"at"`
}

// Proof proves that an entry is in the ledger of a checkpoint: RFC 6962 audit
// path, from the leaf up, each hash in base64.
type Proof struct {
	Index      int64    `json:"index"`
	Hashes     [][]byte `json:"hashes"`
	Checkpoint string   `json:"checkpoint"`
}

// Consistency proves that the ledger of one size begins that of another.
type Consistency struct {
	Older  int64    `json:"older"`
	Newer  int64    `json:"newer"`
	Hashes [][]byte `json:"hashes"`
}

// PolicyFile is a policy to be published.
type PolicyFile struct {
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// NamedRun names a run of the team's MLflow.
type NamedRun struct {
	Team string `json:"team"`
	Run  string `json:"run"`
}

// ReportedRun is what became of a run that was asked for: Known says that it was
// recorded before, Unread how many of its inputs nobody here could read.
type ReportedRun struct {
	Run    string `json:"run"`
	Known  bool   `json:"known,omitzero"`
	Unread int    `json:"unread,omitzero"`
}

// Stop is the reason given with a suspension, its lifting, or a retirement.
type Stop struct {
	Reason string `json:"reason"`
	Lift   bool   `json:"lift,omitzero"`
}

// Return asks for a rollback; an empty To is the release that was live before.
type Return struct {
	To     string `json:"to,omitzero"`
	Reason string `json:"reason"`
}

// DrillRequest asks for a drill. Files are what the caller read where the model
// is, sorted by path, each with its SHA-256; empty where the server can read it.
type DrillRequest struct {
	Files []record.File `json:"files,omitzero"`
}

// Remark is what somebody says of a release without deciding on it.
type Remark struct {
	Text string `json:"text"`
}

// ExceptionRequest asks for a waiver of a gate, or to break glass.
type ExceptionRequest struct {
	// Gate is the one to waive.
	Gate string `json:"gate,omitzero"`
	// Gates are those that a broken glass passes over: each that blocks, and no other.
	Gates []string `json:"gates,omitzero"`
	// Grants are those of the release that may be used under it, each as
	// KIND/RESOURCE; all where none is named.
	Grants  []string `json:"grants,omitzero"`
	Reason  string   `json:"reason"`
	Seconds int64    `json:"seconds"`
}

// ReviewRequest is the outcome of a look back at an exception.
type ReviewRequest struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
}

// Myself is who the caller is, what roles are bound to them, what they delegated
// and what was delegated to them.
type Myself struct {
	Name        string               `json:"name"`
	Type        record.PrincipalKind `json:"type"`
	Roles       []record.Role        `json:"roles"`
	Delegations []Lent               `json:"delegations"`
	Scopes      []string             `json:"scopes"`
}
