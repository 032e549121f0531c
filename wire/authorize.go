package wire

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

// Ask is a call that a workload wants to make, as whoever enforces it puts it.
type Ask struct {
	// Workload is the caller, where it is left out.
	Workload string `json:"workload,omitzero"`
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
	// Opaque says that the call has arguments which could not be read: no condition
	// that looks at them holds.
	Opaque bool `json:"opaque,omitzero"`
	// Tokens and Bytes are what the call may use of a budget at most, where that is
	// known before; it is reserved, and settled afterwards.
	Tokens int `json:"tokens,omitzero"`
	Bytes  int `json:"bytes,omitzero"`
	// Lease is what a secret is lent under if the answer is yes. It comes from this
	// server, never from outside.
	Lease string `json:"-"`
}

// AskOf is the question about a request over HTTP.
func AskOf(c *authority.HTTPCall) (Ask, error) {
	about, err := json.Marshal(c.About, json.Deterministic(true))
	if err != nil {
		return Ask{}, fmt.Errorf("saying what the request is about: %w", err)
	}
	return Ask{Kind: "apis", Resource: c.Resource, Action: c.Action, Arguments: c.Arguments, About: about, Opaque: c.Opaque}, nil
}

// Settlement says what an allowed call has used of the budget that was reserved
// for it.
type Settlement struct {
	Reservation string `json:"reservation"`
	Tokens      int    `json:"tokens,omitzero"`
	Bytes       int    `json:"bytes,omitzero"`
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
	// Reservation is by what the call is settled, where its grant has a budget. It is
	// for who asked, and not for the workload.
	Reservation string `json:"reservation,omitzero"`
}

// Granted says what a workload may do now, for who decides its calls beside it:
// the one release that stands and names it, and the grants of that release.
type Granted struct {
	Workload string `json:"workload"`
	// Stands is false where no release stands for the workload; the reasons say
	// why, and every call is refused.
	Stands  bool     `json:"stands"`
	Reasons []string `json:"reasons,omitzero"`
	Release string   `json:"release,omitzero"`
	Line    string   `json:"line,omitzero"`
	// Digest is that of the grants that may be used; they are left out for who has
	// them.
	Digest    record.Digest     `json:"digest,omitzero"`
	Authority *record.Authority `json:"authority,omitzero"`
	// Only are the grants that may be used, as [record.GrantName] writes them, where
	// glass was broken for fewer than the release has.
	Only []string `json:"only,omitzero"`
	// Until is when the release lapses by time alone.
	Until time.Time `json:"until,omitzero"`
	At    time.Time `json:"at"`
}
