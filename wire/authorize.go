package wire

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// Ask is a call that a workload wants to make, as whoever enforces it puts it.
type Ask struct {
	Workload string `json:"workload"`
	// Environment and Release say which of its releases the workload acts
	// under, where it has several.
	Environment string `json:"environment,omitzero"`
	Release     string `json:"release,omitzero"`
	// Kind is one of record.GrantKinds.
	Kind     string `json:"kind"`
	Resource string `json:"resource"`
	Action   string `json:"action"`
	// Definition is the digest of a tool as its server describes it now.
	Definition record.Digest `json:"definition,omitzero"`
	// Arguments are the call's, a JSON object; conditions see them as args.
	Arguments jsontext.Value `json:"arguments,omitzero"`
	// About is what the enforcement point vouches for, a JSON object; conditions
	// see it as about.
	About jsontext.Value `json:"about,omitzero"`
}

// Answer says whether a call is allowed, and by which grant of which release.
type Answer struct {
	Allowed bool   `json:"allowed"`
	Release string `json:"release,omitzero"`
	Line    string `json:"line,omitzero"`
	// Grant allowed the call, or came nearest.
	Grant   *record.Grant `json:"grant,omitzero"`
	Reasons []string      `json:"reasons,omitzero"`
	// After is when the call may be tried again, where only a limit refused it.
	After time.Time `json:"after,omitzero"`
	// Until is when the release lapses by time alone.
	Until time.Time `json:"until,omitzero"`
	At    time.Time `json:"at"`
}
