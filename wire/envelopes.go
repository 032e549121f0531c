package wire

import (
	"time"

	"imprimatur.dev/record"
)

// EnvelopeProposal asks for an envelope. Its line is that of the anchor, and tier and
// policy are those by which a release of the line would be judged now.
type EnvelopeProposal struct {
	Name        string                           `json:"name"`
	Anchor      string                           `json:"anchor"`
	Workloads   []string                         `json:"workloads"`
	Sources     []record.SourceBound             `json:"sources"`
	Code        record.CodeBound                 `json:"code"`
	Parameters  map[string]record.ParameterBound `json:"parameters,omitzero"`
	Evaluations []record.MetricBound             `json:"evaluations"`
	Rollback    bool                             `json:"rollback,omitzero"`
	Tries       int                              `json:"tries"`
	Releases    int                              `json:"releases"`
	Weekly      int                              `json:"weekly"`
	People      record.PeopleBound               `json:"people,omitzero"`
	Ends        time.Time                        `json:"ends"`
	Reason      string                           `json:"reason,omitzero"`
}

// EnvelopeCase is an envelope with how it stands at a moment.
type EnvelopeCase struct {
	ID       string                           `json:"id"`
	Envelope record.Recorded[record.Envelope] `json:"envelope"`
	// Verdict has a gate for each role that must approve it, and one for whether it
	// may still be used.
	Verdict record.Verdict `json:"verdict"`
	// Approvers names, for each role that a gate waits for, the people who hold it.
	Approvers map[record.RoleName][]string `json:"approvers,omitzero"`
	// Seats are those that its tier asks for, and Mine the roles in which the caller
	// may speak of it.
	Seats []EnvelopeSeat    `json:"seats"`
	Mine  []record.RoleName `json:"mine,omitzero"`
	// Approvals are the words on it, oldest first.
	Approvals []record.Recorded[record.Approval] `json:"approvals"`
	// Uses are the promotions that spent it, oldest first; Left is how many remain,
	// and LeftThisWeek how many in the seven days until now.
	Uses         []EnvelopeSpent `json:"uses"`
	Left         int             `json:"left"`
	LeftThisWeek int             `json:"leftThisWeek"`
	// Releases are all that named it, oldest first.
	Releases []EnvelopeRelease `json:"releases"`
}

// EnvelopeSeat is how the seats of one role stand.
type EnvelopeSeat struct {
	Role    record.RoleName `json:"role"`
	Count   int             `json:"count"`
	Open    int             `json:"open"`
	Passkey bool            `json:"passkey,omitzero"`
}

// EnvelopeSpent is one promotion by an envelope.
type EnvelopeSpent struct {
	Release string    `json:"release"`
	Use     int       `json:"use"`
	By      string    `json:"by"`
	Time    time.Time `json:"time"`
}

// EnvelopeRelease is a release that named an envelope, with the bounds that it was
// outside of when it was proposed.
type EnvelopeRelease struct {
	Release string        `json:"release"`
	Version string        `json:"version"`
	By      string        `json:"by"`
	Time    time.Time     `json:"time"`
	Status  record.Status `json:"status"`
	Outside []string      `json:"outside,omitzero"`
	// Bounds are the gates of its bounds as they were then, each with its value.
	Bounds []record.Gate `json:"bounds,omitzero"`
}
