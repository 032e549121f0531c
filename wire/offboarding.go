package wire

import "imprimatur.dev/record"

// Offboarding is how somebody who leaves is seen off.
type Offboarding struct {
	// To takes over what they own; empty where they own nothing.
	To string `json:"to,omitzero"`
	// DryRun only says what would be done.
	DryRun bool `json:"dryRun,omitzero"`
}

// Offboarded is what somebody who leaves had, each as it stood before, and what
// comes of their leaving.
type Offboarded struct {
	Principal string `json:"principal"`
	To        string `json:"to,omitzero"`
	// Done says that it was done, in one step.
	Done bool `json:"done"`
	// Owns are models, data, use cases and workloads.
	Owns  []Entry       `json:"owns"`
	Roles []record.Role `json:"roles"`
	// Delegations are those to them and by them that had not ended.
	Delegations []record.Delegation `json:"delegations"`
	// Tokens and Keys are the IDs of those that stood.
	Tokens []string `json:"tokens"`
	Keys   []string `json:"keys"`
	// Losses are the releases that suffer; Left counts those that could not be
	// looked at in time.
	Losses []Loss `json:"losses"`
	Left   int    `json:"left,omitzero"`
}

// Loss is what a release that runs, or waits, loses with a person.
type Loss struct {
	Release string        `json:"release"`
	Line    string        `json:"line"`
	Status  record.Status `json:"status"`
	// Reasons say why it may run no longer; empty where it may, or did not before.
	Reasons []string `json:"reasons,omitzero"`
	// Seats are the roles of which a seat is empty that nobody who is left may fill.
	Seats []record.RoleName `json:"seats,omitzero"`
}
