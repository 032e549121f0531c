package wire

import (
	"time"

	"imprimatur.dev/record"
)

// DelegationRequest lends a role of one's own to another person for a time, or
// takes that back.
type DelegationRequest struct {
	// From is whose role it is; the caller's where it is left out. An administrator
	// names somebody else to take back what they lent.
	From string          `json:"from,omitzero"`
	To   string          `json:"to"`
	Role record.RoleName `json:"role"`
	// Team is the team, or "*" for all; Model, "team/name", narrows model-owner to
	// one model of it.
	Team  string `json:"team"`
	Model string `json:"model,omitzero"`
	// Starts is now where it is left out or past. Expires is at most 90 days later;
	// it is left out where Revoke takes back what stands.
	Starts  time.Time `json:"starts,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Reason  string    `json:"reason"`
	Revoke  bool      `json:"revoke,omitzero"`
}

// Lent is a delegation that has not ended.
type Lent struct {
	record.Recorded[record.Delegation]
	// Stands says that it gives the role now: it has begun, both people stand, and
	// the role is bound to who lent it.
	Stands bool `json:"stands"`
}
