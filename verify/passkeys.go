package verify

import (
	"fmt"
	"slices"

	"imprimatur.dev/attest"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
)

// checkPasskeys checks every approval by passkey in the release's line, whether
// or not its seat asked for one.
func (v *verifier) checkPasskeys() {
	checked := 0
	var reasons []string
	answered := map[record.Digest]bool{}
	words := v.dossier.Approvals
	if e := v.dossier.Envelope; e != nil {
		words = slices.Concat(words, e.Approvals)
	}
	for _, facts := range words {
		a := facts.Approval
		if a.Record.Method != record.MethodPasskey {
			continue
		}
		checked++
		challenge, err := a.Record.Challenge()
		if err == nil && answered[challenge] {
			err = fmt.Errorf("%w: its assertion was given for an earlier one", attest.ErrAssertion)
		}
		answered[challenge] = true
		if err == nil {
			err = v.approvedByPasskey(a)
		}
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("The approval by %s as %s at index %d is not to be trusted: %v.", a.Actor, a.Record.Role, a.Index, err))
		}
	}
	if checked > 0 {
		v.note(CheckPasskeys, fmt.Sprintf("%d approvals, each signed by a passkey that its approver had enrolled.", checked), reasons...)
	}
}

// approvedByPasskey holds an approval against the key as it stood before it.
func (v *verifier) approvedByPasskey(a record.Recorded[record.Approval]) error {
	if a.Record.Assertion == nil {
		return fmt.Errorf("%w: it carries no assertion", attest.ErrAssertion)
	}
	keys, err := lineage.All[record.PrincipalKey](v.entries, record.KeyPrincipalKey(a.Record.Assertion.Key))
	if err != nil {
		return err
	}
	var key record.PrincipalKey
	for _, k := range keys {
		if k.Index < a.Index {
			key = k.Record
		}
	}
	if key.KeyID == "" {
		return fmt.Errorf("%w: the enrolment of its key was left out of the bundle", attest.ErrAssertion)
	}
	_, err = attest.VerifyApproval(key, a.Record, a.Actor, a.Time)
	return err
}
