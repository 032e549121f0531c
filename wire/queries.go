package wire

import "imprimatur.dev/record"

// Enrolled is a principal as it stands, with the roles that are bound to it now,
// what it delegated and what was delegated to it.
type Enrolled struct {
	Principal   record.Recorded[record.Principal] `json:"principal"`
	Roles       []record.Role                     `json:"roles"`
	Delegations []Lent                            `json:"delegations"`
}

// LogStatus is how the ledger stands.
type LogStatus struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	// Root is the RFC 6962 tree hash, in base64.
	Root []byte `json:"root"`
	// Key is the C2SP verifier key.
	Key        string `json:"key"`
	Checkpoint string `json:"checkpoint"`
}
