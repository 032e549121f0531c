package wire

import (
	"time"

	"imprimatur.dev/record"
)

// What can wait for somebody to do.
const (
	WaitsApprove = "approve" // fill an open seat, or take back one's own request for changes
	WaitsSupply  = "supply"  // supply what a gate lacks, such as an evaluation or an approval of data
	WaitsPromote = "promote" // everything passes: make it the one that runs
	WaitsReview  = "review"  // look back at an exception that somebody else made
	WaitsDrill   = "drill"   // try again whether what ran before could take over
)

// Waiting is one thing that waits for the caller.
type Waiting struct {
	// Act is one of the constants above.
	Act     string `json:"act"`
	Release string `json:"release"`
	// Envelope is the envelope to approve, where it is none of a release.
	Envelope string `json:"envelope,omitzero"`
	Line     string `json:"line"`
	// Model is "team/name@version".
	Model       string `json:"model"`
	UseCase     string `json:"useCase"`
	Environment string `json:"environment"`
	Tier        string `json:"tier"`
	// Rank orders tiers by the policy: a higher one is a higher risk.
	Rank int `json:"rank"`
	// Live says that the release runs, or did until it lapsed.
	Live bool `json:"live,omitzero"`
	// Role is the role in which the caller can act; empty of a workload that the
	// environment names.
	Role record.RoleName `json:"role"`
	// Gates are those that it would let pass; none for a promotion or a review.
	Gates []string `json:"gates,omitzero"`
	// Exception is the one to review.
	Exception string `json:"exception,omitzero"`
	// Drill is the release to try, of one that runs after it.
	Drill string `json:"drill,omitzero"`
	// Why says why it waits, and why for the caller, as sentences.
	Why string `json:"why"`
	// Since is when it began to wait.
	Since time.Time `json:"since"`
	// Due is the date by which it must be done; zero where there is none.
	Due time.Time `json:"due,omitzero"`
	// Do is the command that does it.
	Do string `json:"do"`
}
