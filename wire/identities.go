package wire

import (
	"time"

	"imprimatur.dev/record"
)

// KeptIdentity is what a workload shows, with when it was last shown.
type KeptIdentity struct {
	Identity record.Recorded[record.Identity] `json:"identity"`
	// Used is when; what was shown within the last minute may be missing after a
	// crash.
	Used time.Time `json:"used,omitzero"`
}
