package main

import (
	"fmt"
	"strings"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/wire"
)

// overlapFlags say how long what is replaced stays good.
type overlapFlags struct {
	Overlap   span `default:"1h" placeholder:"TIME" help:"How long the old one is good beside the new one, up to 30d (default 1h). Then it ends by itself."`
	NoOverlap bool `help:"End the old one at once."`
}

func (f overlapFlags) seconds() int64 {
	if f.NoOverlap {
		return 0
	}
	return f.Overlap.seconds()
}

type principalRotateCmd struct {
	Token string `arg:"" help:"The token's ID, from imprimatur principal tokens."`
	For   span   `default:"30d" help:"How long the new one lives (default 30d)."`
	overlapFlags
}

// Help implements kong.HelpProvider.
func (c *principalRotateCmd) Help() string {
	return "The new token has the scopes and the note of the old one. Give it to who shows the old one within the overlap, and nothing is refused in between."
}

// Run implements the command.
func (c *principalRotateCmd) Run(a *app) error {
	got, err := a.client().RotateToken(a.ctx, c.Token, wire.TokenRotation{Seconds: c.For.seconds(), OverlapSeconds: c.seconds()})
	if err != nil {
		return err
	}
	// The secret alone goes to standard output, so that a script can keep it.
	if err := a.show(got, func(p *page) { p.line("%s", got.Secret) }); err != nil || a.json {
		return err
	}
	t := got.Token.Record
	until := "has ended"
	if !c.NoOverlap {
		until = "ends at " + a.now().Add(time.Duration(c.Overlap)).UTC().Format(time.RFC3339) + " at the latest"
	}
	_, err = fmt.Fprintf(a.stderr, "token %s of %s, scope %s, until %s; it is not shown again. The token %s %s\n", t.ID, t.Principal, strings.Join(t.Scopes, ", "), day(t.Expires), c.Token, until)
	return err
}

type principalKeyRotateCmd struct {
	Key     string `arg:"" help:"The ID of the key that is replaced, from imprimatur principal key list."`
	File    string `arg:"" help:"The new key file, which is made."`
	For     string `placeholder:"NAME" help:"A workload of yours whose key it is; else it is your own."`
	Purpose string `placeholder:"TEXT" help:"What it is for."`
	Expires moment `placeholder:"DATE" help:"When the new one ends: 2026-12-31 or 90d."`
	overlapFlags
}

// Help implements kong.HelpProvider.
func (c *principalKeyRotateCmd) Help() string {
	return "What either key signs within the overlap counts. With IMPRIMATUR_PASSPHRASE set the file is encrypted under that passphrase."
}

// Run implements the command.
func (c *principalKeyRotateCmd) Run(a *app) error {
	e := enrolled{File: c.File, For: c.For, Purpose: c.Purpose, Expires: c.Expires, replaces: c.Key, overlap: c.seconds()}
	return e.make(a)
}

// make makes the key file and enrols it.
func (c *enrolled) make(a *app) error {
	name, err := c.principal(a)
	if err != nil {
		return err
	}
	key, err := attest.NewKey(attest.KeyNameOf(name))
	if err != nil {
		return err
	}
	// The file comes first: a key that is enrolled and lost is worse than one
	// that is there and not enrolled.
	if err := key.Save(c.File, a.env("IMPRIMATUR_PASSPHRASE")); err != nil {
		return err
	}
	return c.enrol(a, name, key)
}
