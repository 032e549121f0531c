package wire

import "imprimatur.dev/record"

// Trial is what a policy would make of the releases that are live now, in the
// teams that the caller may read. It changes nothing: a live release keeps the
// policy that it was proposed under.
type Trial struct {
	Policy string        `json:"policy"`
	Digest record.Digest `json:"digest"`
	// Unsatisfiable says why the people enrolled could never satisfy it, Warnings
	// what its author should know.
	Unsatisfiable []string `json:"unsatisfiable,omitzero"`
	Warnings      []string `json:"warnings,omitzero"`
	// Tried are the live releases, those that would fail first; Failing counts
	// these, and Left those that there was no time to try.
	Tried   []Tried `json:"tried"`
	Failing int     `json:"failing"`
	Left    int     `json:"left,omitzero"`
}

// Tried is one live release under a policy that is tried.
type Tried struct {
	Release     string `json:"release"`
	Line        string `json:"line"`
	Model       string `json:"model"`
	Environment string `json:"environment"`
	Tier        string `json:"tier"`
	// Under is the policy by which it runs.
	Under  string `json:"under"`
	Passes bool   `json:"passes"`
	// Gates are those in the way, with their reasons.
	Gates []string `json:"gates,omitzero"`
}
