package main

import (
	"fmt"
	"os"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// principalKeyCmd is "imprimatur principal key".
type principalKeyCmd struct {
	New      principalKeyNewCmd      `cmd:"" help:"Make a key file and enrol it: what it signs is your word."`
	Enrol    principalKeyEnrolCmd    `cmd:"" help:"Enrol a key file that is there already."`
	Rotate   principalKeyRotateCmd   `cmd:"" help:"Make a key file in the place of another key, which ends after an overlap."`
	List     principalKeyListCmd     `cmd:"" help:"List keys."`
	Withdraw principalKeyWithdrawCmd `cmd:"" help:"End a key for good."`
}

// enrolled is how a key is enrolled.
type enrolled struct {
	File    string `arg:"" help:"The key file."`
	For     string `placeholder:"NAME" help:"A workload of yours whose key it is; else it is your own."`
	Purpose string `placeholder:"TEXT" help:"What it is for."`
	Expires moment `placeholder:"DATE" help:"When it ends: 2026-12-31 or 90d."`

	replaces string
	overlap  int64
}

type principalKeyNewCmd struct{ enrolled }

// Help implements kong.HelpProvider.
func (c *principalKeyNewCmd) Help() string {
	return "The file can be read by you alone. With IMPRIMATUR_PASSPHRASE set it is encrypted under that passphrase, " +
		"which is then needed wherever the key signs."
}

// Run implements the command.
func (c *principalKeyNewCmd) Run(a *app) error {
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("making the key %s: %w; imprimatur principal key enrol enrols it", c.File, attest.ErrKeyExists)
	}
	return c.make(a)
}

type principalKeyEnrolCmd struct{ enrolled }

// Run implements the command.
func (c *principalKeyEnrolCmd) Run(a *app) error {
	key, err := a.key(c.File)
	if err != nil {
		return err
	}
	name, err := c.principal(a)
	if err != nil {
		return err
	}
	return c.enrol(a, name, key)
}

// key opens a key file of a principal.
func (a *app) key(path string) (*attest.Key, error) {
	return attest.LoadKey(path, a.env("IMPRIMATUR_PASSPHRASE"))
}

// principal is whose key it is.
func (c *enrolled) principal(a *app) (string, error) {
	if c.For != "" {
		return c.For, nil
	}
	me, err := a.client().Me(a.ctx)
	return me.Name, err
}

func (c *enrolled) enrol(a *app, principal string, key *attest.Key) error {
	k := record.PrincipalKey{
		Principal: principal, KeyID: key.ID(), Type: record.KeyEd25519, Public: key.Public(), Purpose: c.Purpose, Replaces: c.replaces, Expires: c.Expires.after(a.now()),
	}
	raw, err := record.CanonicalOf(k)
	if err != nil {
		return err
	}
	got, err := a.client().EnrolKey(a.ctx, wire.KeyEnrolment{Key: k, Proof: key.Sign(raw), OverlapSeconds: c.overlap})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s", k.KeyID)
		p.styled(quiet, "the key in %s signs for %s; next: imprimatur eval wrap --key %s …", c.File, principal, c.File)
	})
}

type principalKeyListCmd struct{ pager }

// Run implements the command.
func (c *principalKeyListCmd) Run(a *app) error {
	return listLatest(a, record.KindPrincipalKey, c.pager, heading("KEY", "PRINCIPAL", "TYPE", "EXPIRES", "", "PURPOSE"), func(r record.Recorded[record.PrincipalKey]) []cell {
		k := r.Record
		state, why := cell{"stands", good}, k.Purpose
		switch {
		case k.Withdrawn:
			state, why = cell{"withdrawn", bad}, "by "+r.Actor+": "+k.Reason
		case !k.Stands(a.now()):
			state = cell{"expired", bad}
		}
		return append(append(texts(k.KeyID, k.Principal, k.Type, day(k.Expires)), state), cell{text: why})
	})
}

type principalKeyWithdrawCmd struct {
	Key    string `arg:"" help:"The key's ID, from imprimatur principal key list."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *principalKeyWithdrawCmd) Run(a *app) error {
	got, err := a.client().WithdrawKey(a.ctx, c.Key, wire.Stop{Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("the key %s of %s is withdrawn: nothing that it signs from now on is taken", got.Record.KeyID, got.Record.Principal)
	})
}
