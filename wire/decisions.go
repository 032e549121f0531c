package wire

import (
	"time"

	"imprimatur.dev/record"
)

// Decided is a line of the decision log: an answer of the decision point, or as
// many as Count says with the same words.
type Decided struct {
	// At is the time of the first, and Last of the last.
	At   time.Time `json:"at"`
	Last time.Time `json:"last,omitzero"`
	// Team is the release's, empty where no release was found.
	Team     string `json:"team,omitzero"`
	Workload string `json:"workload,omitzero"`
	// By is who asked, where that was not the workload.
	By      string `json:"by,omitzero"`
	Release string `json:"release,omitzero"`
	// Kind, Resource, Action and Definition are the ask's; Arguments is the digest
	// of its arguments as they were sent.
	Kind       string        `json:"kind,omitzero"`
	Resource   string        `json:"resource,omitzero"`
	Action     string        `json:"action,omitzero"`
	Definition record.Digest `json:"definition,omitzero"`
	Arguments  record.Digest `json:"arguments,omitzero"`
	Allowed    bool          `json:"allowed"`
	// Grant is the place of the grant that allowed it among those of its kind.
	Grant int `json:"grant,omitzero"`
	// Lease is the one under which a secret was lent.
	Lease  string `json:"lease,omitzero"`
	Reason string `json:"reason,omitzero"`
	Count  int64  `json:"count"`
	// Told says that a gateway decided by itself, and told this server.
	Told bool `json:"told,omitzero"`
	// Cut says that the line only counts: the words of these were not kept.
	Cut bool `json:"cut,omitzero"`
}

// Used is what was really called under a release over a span, by its decision
// log, and the narrower authority that would have been enough for it.
type Used struct {
	Release string    `json:"release"`
	From    time.Time `json:"from"`
	// To is when the newest log that was read ends.
	To time.Time `json:"to"`
	// Calls were allowed; Unkept of them are known by number alone, so that the
	// suggestion may lack what they used.
	Calls  int64 `json:"calls"`
	Unkept int64 `json:"unkept"`
	// Denied were refused.
	Denied    int64            `json:"denied"`
	Now       record.Authority `json:"now"`
	Suggested record.Authority `json:"suggested"`
}

// Narrower asks for a proposal of the release with no more authority than was
// used.
type Narrower struct {
	// Since is from when what was called counts; zero is since the release was
	// proposed.
	Since time.Time `json:"since,omitzero"`
	// Anyway takes a decision log of which some calls are known by number alone.
	Anyway bool `json:"anyway,omitzero"`
}

// Told answers a gateway that told what it decided.
type Told struct {
	Kept int `json:"kept"`
}
