package wire

import (
	"slices"
	"time"
)

// The things that an inventory lists.
const (
	// InventoryWorkload is a workload with what it shows and may use.
	InventoryWorkload = "workload"
	// InventorySecret is a secret that no release in force grants.
	InventorySecret = "secret"
)

// InventoryQuery asks for a part of the inventory. Empty members ask for nothing.
type InventoryQuery struct {
	// Text is looked for in names, owners and purposes.
	Text string
	// Finding is one of the codes of findings, a risk of the list that they are mapped
	// to, such as "NHI7", or "any".
	Finding string
	// Owner and Environment narrow it down.
	Owner, Environment string
	// From is the cursor of a page; empty for the first.
	From  string
	Limit int
}

// AnyFinding asks for whatever has a finding.
const AnyFinding = "any"

// Inventory is a part of all workloads and credentials that the caller answers for
// or oversees, in the order of their names: the workloads, then the secrets that
// no release grants.
type Inventory struct {
	Items []Inventoried `json:"items"`
	// Next is the cursor of the following page, empty at the end, and Total counts
	// all that was asked for.
	Next  string `json:"next,omitzero"`
	Total int    `json:"total"`
	// Findings counts the items with each finding, whatever finding was asked for.
	Findings map[string]int `json:"findings"`
	At       time.Time      `json:"at"`
}

// Counts counts the findings of an item, and reports whether it has the one that
// is asked for.
func (i *Inventory) Counts(item Inventoried, asked string) bool {
	has := asked == ""
	for n, f := range item.Findings {
		has = has || f.Is(asked)
		if !slices.ContainsFunc(item.Findings[:n], func(g InventoryFinding) bool { return g.Code == f.Code }) {
			i.Findings[f.Code]++
		}
	}
	return has
}

// Is reports whether a finding is what is asked for.
func (f *InventoryFinding) Is(asked string) bool {
	return asked == AnyFinding || asked == f.Code || asked == f.Risk
}

// Inventoried is a workload, or a secret that none may use.
type Inventoried struct {
	// Type is one of the Inventory constants.
	Type string `json:"type"`
	// Name is that of a workload, or team/name of a secret.
	Name    string `json:"name"`
	Owner   string `json:"owner,omitzero"`
	Purpose string `json:"purpose,omitzero"`
	// State is "stands", "disabled", "expired" or "withdrawn".
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires,omitzero"`
	// Used is when it was last seen at work: an answer of the decision point, a
	// statement, or something that it showed. Zero is never.
	Used time.Time `json:"used,omitzero"`
	// Rotated is when the newest of its credentials that stand was made.
	Rotated time.Time `json:"rotated,omitzero"`
	// Roles are those that are bound to it, in words.
	Roles []string `json:"roles,omitzero"`
	// Releases are those in force that name it, or wait to be.
	Releases    []BoundRelease     `json:"releases,omitzero"`
	Credentials []Credential       `json:"credentials,omitzero"`
	Findings    []InventoryFinding `json:"findings,omitzero"`
}

// BoundRelease is a release under which a workload acts, or will.
type BoundRelease struct {
	Release     string `json:"release"`
	Line        string `json:"line"`
	Model       string `json:"model"`
	Environment string `json:"environment"`
	// Status is "live", "suspended" or "proposed".
	Status string `json:"status"`
	// Since is when it went live.
	Since time.Time `json:"since,omitzero"`
	// May is what it grants, in words whose subject is the model.
	May []string `json:"may,omitzero"`
}

// The kinds of credential.
const (
	CredentialIdentity = "identity"
	CredentialToken    = "token"
	CredentialKey      = "key"
	CredentialSecret   = "secret"
)

// Credential is what a workload shows, signs with or has used for it: never a
// value.
type Credential struct {
	// Kind is one of the constants above.
	Kind string `json:"kind"`
	// ID names it: team/name of a secret.
	ID string `json:"id"`
	// Shows says what it is.
	Shows string `json:"shows,omitzero"`
	// State is "stands", "expired" or "ended".
	State string `json:"state"`
	// Since is when it was made, or of a secret when its version was set.
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires,omitzero"`
	Used    time.Time `json:"used,omitzero"`
}

// InventoryFinding is something to mend about a workload or a credential.
type InventoryFinding struct {
	// Code is ours, such as "orphaned-owner".
	Code string `json:"code"`
	// Risk is the item of the OWASP Non-Human Identities Top 10 of 2025, such as
	// "NHI1", and Title is what that calls it.
	Risk  string `json:"risk"`
	Title string `json:"title"`
	// Credential is the ID of what it is about, where it is not the workload itself.
	Credential string `json:"credential,omitzero"`
	// Sentence says what is the matter, Mend is the command that mends it, and Page
	// where the console does, if it does.
	Sentence string `json:"sentence"`
	Mend     string `json:"mend"`
	Page     string `json:"page,omitzero"`
}
