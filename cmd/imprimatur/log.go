package main

import (
	"encoding/base64"
	"fmt"
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

type logVerifyCmd struct {
	Data  string `default:"${dataDefault}" placeholder:"DIR" help:"The server's data folder (default ${dataDefault})."`
	DB    string `name:"db" placeholder:"URL" help:"The ledger's PostgreSQL, where it is not in the folder."`
	Trust string `placeholder:"FILE" help:"The keys you rely on; else the server's own key in the data folder."`
}

// Help implements kong.HelpProvider.
func (c *logVerifyCmd) Help() string {
	return "Every signature is checked, every leaf is hashed again into the Merkle tree, and the tree is held against the " +
		"signed checkpoint. Every key under which an entry is found is computed again and compared with the database, " +
		"and kept evidence is hashed. The server may run meanwhile."
}

// Run implements the command.
func (c *logVerifyCmd) Run(a *app) error {
	source, err := c.source(a)
	if err != nil {
		return err
	}
	label := "verifying " + c.Data
	if c.DB != "" {
		label = "verifying the ledger"
	}
	report, end := a.progress(label)
	found, err := verifyLedger(a.ctx, source, report)
	end()
	if err != nil {
		return err
	}
	if err := a.show(found, func(p *page) { found.draw(p) }); err != nil || found.OK {
		return err
	}
	return no()
}

func (f ledgerReport) draw(p *page) {
	p.field("ledger", "%s, %s, signed by %s", f.Origin, entries(f.Size), f.Signer)
	rows := [][]cell{}
	for _, c := range f.Checks {
		rows = append(rows, []cell{tick(c.OK), {text: c.Name}, {text: c.Detail}})
	}
	p.table(rows)
	if f.OK {
		p.styled(good, "yes: %s", f.sentence())
		return
	}
	p.styled(bad, "no: this ledger is not what its key signed")
}

// sentence says what was checked.
func (f ledgerReport) sentence() string {
	return fmt.Sprintf("%s, every signature and hash, and the projection are as signed in %.2f s", entries(f.Size), f.Seconds)
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
