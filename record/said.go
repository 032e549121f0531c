package record

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Said says in a few words what a record states beside its name, for lists and
// timelines; empty where the name says it all. Self is the record's digest.
func Said(body Body, self Digest) string {
	switch b := body.(type) {
	case Release:
		return ReleaseID(self) + ", " + b.Behaviour.Model + "@" + b.Behaviour.Version + " proposed"
	case Approval:
		return fmt.Sprintf("%s as %s%s: %s", b.Decision, b.Role, b.Behalf(), b.Reason)
	case Exception:
		return b.Type + " " + b.Scope() + fmt.Sprintf(" until %s: %s", b.Expires.UTC().Format(time.DateOnly), b.Reason)
	case Review:
		return b.Outcome + ": " + b.Reason
	case Verdict:
		return map[bool]string{true: "passes", false: "does not pass"}[b.Passed]
	case Promotion:
		return strings.TrimSpace(fmt.Sprintf("%s in %s %s", b.How, b.Environment, b.Reason))
	case Drill:
		return cmp.Or(b.Fault(), "it can take over")
	case Suspension:
		return map[bool]string{false: "suspended: ", true: "lifted: "}[b.Lifted] + b.Reason
	case Retirement:
		return "retired: " + b.Reason
	case DataApproval:
		return fmt.Sprintf("%s for %s: %s", b.Decision, cmp.Or(strings.Join(b.Purposes, ", "), "all purposes"), b.Reason)
	case Evaluation:
		return string(b.Category) + "/" + b.Suite + " by " + b.Tool.Name
	case Policy:
		return b.Reason
	case Envelope:
		return fmt.Sprintf("%d releases until %s", b.Releases, b.Ends.UTC().Format(time.DateOnly))
	case EnvelopeWithdrawal:
		return "withdrawn: " + b.Reason
	case Signal:
		if b.Does != "" {
			return fmt.Sprintf("%s (policy: %s): %s", b.Type, b.Does, b.Detail)
		}
		return b.Type + ": " + b.Detail
	case Window:
		return fmt.Sprintf("%s %s: %s, %d rows from %s", b.Release, b.Of, b.Outcome, b.Rows, b.From.UTC().Format(time.RFC3339))
	case Decisions:
		return fmt.Sprintf("%d allowed, %d refused", b.Allowed, b.Denied)
	case ModelVendor:
		return b.Owner + " renews what assures of it"
	case Probe:
		return b.Model + " " + b.Result + ": " + b.Detail
	case Assurance:
		if b.Withdrawn {
			return b.Type + " withdrawn: " + b.Reason
		}
		return fmt.Sprintf("%s by %s, until %s", b.Type, b.Issuer, b.Expires.UTC().Format(time.DateOnly))
	case Role:
		return map[bool]string{false: "bound", true: "taken away"}[b.Revoked]
	case Delegation:
		if b.Revoked {
			return "taken back: " + b.Reason
		}
		return fmt.Sprintf("from %s until %s: %s", b.Starts.UTC().Format(time.DateOnly), b.Expires.UTC().Format(time.DateOnly), b.Reason)
	case Token:
		return map[bool]string{false: "issued", true: "ended"}[b.Revoked] + " for " + b.Principal
	case Principal:
		return map[bool]string{false: "", true: "disabled"}[b.Disabled]
	case PrincipalKey:
		return map[bool]string{false: "enrolled", true: "withdrawn: "}[b.Withdrawn] + b.Reason
	case Identity:
		return map[bool]string{false: "bound: " + b.Shows(), true: "ended: " + b.Reason}[b.Revoked]
	case Gateway:
		return map[bool]string{false: "attaches " + b.Reach(), true: "ended: " + b.Reason}[b.Ended]
	case Revocation:
		return cmp.Or(b.Reason, "ended")
	}
	return ""
}
