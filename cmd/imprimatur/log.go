package main

import (
	"encoding/base64"
	"strings"
)

// logCmd is the noun log.
type logCmd struct {
	Status logStatusCmd `cmd:"" help:"Say how long the ledger is and who signs it."`
	Key    logKeyCmd    `cmd:"" help:"Print the ledger's verifier key, for the trust file of who verifies."`
	Proof  logProofCmd  `cmd:"" help:"Prove that an entry is in the ledger."`
	Verify logVerifyCmd `cmd:"" help:"Check a whole ledger in its data folder, offline."`
}

type logStatusCmd struct{}

// Run implements the command.
func (c *logStatusCmd) Run(a *app) error {
	got, err := a.client().Status(a.ctx)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.field("ledger", "%s", got.Origin)
		p.field("entries", "%d", got.Size)
		p.field("root", "%s", base64.StdEncoding.EncodeToString(got.Root))
		p.field("key", "%s", got.Key)
	})
}

type logKeyCmd struct{}

// Run implements the command.
func (c *logKeyCmd) Run(a *app) error {
	key, err := a.client().Key(a.ctx)
	if err != nil {
		return err
	}
	key = strings.TrimSpace(key)
	return a.show(map[string]string{"key": key}, func(p *page) { p.line("%s", key) })
}

type logProofCmd struct {
	Index int64 `arg:"" help:"The entry's position, from 0."`
}

// Run implements the command.
func (c *logProofCmd) Run(a *app) error {
	proof, err := a.client().Proof(a.ctx, c.Index)
	if err != nil {
		return err
	}
	return a.show(proof, func(p *page) {
		p.line("entry %d, by %s (RFC 6962 audit path, from the leaf up), to the checkpoint", proof.Index, count(len(proof.Hashes), "hash"))
		for _, h := range proof.Hashes {
			p.line("  %s", base64.StdEncoding.EncodeToString(h))
		}
		p.line("")
		p.line("%s", strings.TrimSpace(proof.Checkpoint))
	})
}
