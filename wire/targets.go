package wire

import (
	"time"

	"imprimatur.dev/record"
)

// TargetRequest asks for a target that is told of what is stated.
type TargetRequest struct {
	// Team is whose affairs it is told of, "*" for everybody's.
	Team        string `json:"team"`
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// Form is one of record's forms.
	Form string `json:"form"`
	// URL is where webhooks go. Of a slack target it is the secret address, of
	// which only the host is kept in the ledger.
	URL          string   `json:"url,omitzero"`
	Address      string   `json:"address,omitzero"`
	Events       []string `json:"events,omitzero"`
	Environments []string `json:"environments,omitzero"`
	// Secret signs; where it is left out, the server makes one.
	Secret string `json:"secret,omitzero"`
}

// TargetChange changes a target; what is left out stays.
type TargetChange struct {
	Name         *string   `json:"name,omitzero"`
	Description  *string   `json:"description,omitzero"`
	URL          *string   `json:"url,omitzero"`
	Address      *string   `json:"address,omitzero"`
	Events       *[]string `json:"events,omitzero"`
	Environments *[]string `json:"environments,omitzero"`
	// Secret replaces the one that signs; with Rotate the server makes one. The
	// old one signs too for another day.
	Secret   *string `json:"secret,omitzero"`
	Rotate   bool    `json:"rotate,omitzero"`
	Disabled *bool   `json:"disabled,omitzero"`
}

// KeptTarget is a target after a change, with the secret where the server made
// one: it is in this answer only.
type KeptTarget struct {
	Target record.Recorded[record.Target] `json:"target"`
	Secret string                         `json:"secret,omitzero"`
}

// TargetStatus is a target as it stands, with what could not be delivered.
type TargetStatus struct {
	Target record.Recorded[record.Target] `json:"target"`
	// Next is the index of the first statement that it was not told of, Behind
	// how many there are.
	Next   int64 `json:"next"`
	Behind int64 `json:"behind"`
	// Sent counts what was delivered; Last is when something last was.
	Sent int64     `json:"sent"`
	Last time.Time `json:"last,omitzero"`
	// Failures are those in a row; until Rest nothing is sent. Fault says what
	// went wrong last.
	Failures int       `json:"failures,omitzero"`
	Rest     time.Time `json:"rest,omitzero"`
	Fault    string    `json:"fault,omitzero"`
	// Deliveries are those that were not made yet or were given up, newest first.
	Deliveries []Delivery `json:"deliveries,omitzero"`
}

// Delivery is one message that could not be delivered.
type Delivery struct {
	ID string `json:"id"`
	// Entry is the statement that it tells of, by its index; -1 for a notice.
	Entry int64 `json:"entry"`
	// State is "due" or "dead": given up until it is replayed.
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due,omitzero"`
	Fault    string    `json:"fault"`
	Made     time.Time `json:"made"`
}

// TargetTest is what became of a test.
type TargetTest struct {
	OK     bool   `json:"ok"`
	Status int    `json:"status,omitzero"`
	Body   string `json:"body,omitzero"`
	Fault  string `json:"fault,omitzero"`
}

// Replay asks to deliver what was given up: one by its ID, or everything.
type Replay struct {
	Delivery string `json:"delivery,omitzero"`
}

// Replayed says how many deliveries are due again.
type Replayed struct {
	Deliveries int64 `json:"deliveries"`
}
