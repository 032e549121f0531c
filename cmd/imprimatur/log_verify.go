package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/store"
)

type logVerifyCmd struct {
	Data  string `default:"${dataDefault}" placeholder:"DIR" help:"The server's data folder (default ${dataDefault})."`
	DB    string `name:"db" placeholder:"URL" help:"The ledger's PostgreSQL, where it is not in the folder."`
	Trust string `placeholder:"FILE" help:"The keys you rely on; else the server's own key in the data folder."`
}

// Help implements kong.HelpProvider.
func (c *logVerifyCmd) Help() string {
	return "Every signature is checked, every leaf is hashed again into the Merkle tree, and the tree is held against the " +
		"signed checkpoint and every earlier one. Every key under which an entry is found is computed again and compared " +
		"with the database, and kept evidence is hashed. Nothing is written, and the server may run meanwhile."
}

// ledgerVerified is what verify prints.
type ledgerVerified struct {
	OK bool `json:"ok"`
	store.Report
	// Evidence is how many evidence files were hashed.
	Evidence int `json:"evidence"`
	// Fault is the first thing that differs.
	Fault   string  `json:"fault,omitzero"`
	Seconds float64 `json:"seconds"`
}

// Run implements the command.
func (c *logVerifyCmd) Run(a *app) error {
	if c.DB == "" {
		// The database would be made where there is none.
		if _, err := os.Stat(filepath.Join(c.Data, "ledger.db")); err != nil {
			return &failure{code: exitUndecided, err: fmt.Errorf("there is no ledger in %s", c.Data), hint: "name the server's folder with --data"}
		}
	}
	trust, err := c.trust(a)
	if err != nil {
		return err
	}
	report, end := a.progress("verifying the ledger")
	started := a.now()
	out := ledgerVerified{OK: true}
	out.Report, err = registry.VerifyLedger(a.ctx, registry.Config{Data: c.Data, Database: c.DB}, trust, report)
	if err == nil {
		out.Evidence, err = c.evidence(a.ctx)
	}
	end()
	out.Seconds = a.now().Sub(started).Round(time.Millisecond).Seconds()
	switch {
	case errors.Is(err, store.ErrLedger) || errors.Is(err, store.ErrBlob) || errors.Is(err, store.ErrNotFound):
		out.OK, out.Fault = false, err.Error()
	case err != nil:
		return err
	}
	if err := a.show(out, func(p *page) { out.draw(p) }); err != nil || out.OK {
		return err
	}
	return no()
}

// trust reads the keys that are relied on.
func (c *logVerifyCmd) trust(a *app) (attest.Trust, error) {
	if c.Trust != "" {
		return a.trustFile(c.Trust)
	}
	path := filepath.Join(c.Data, "keys", "server.key")
	key, err := attest.LoadKey(path, a.env("IMPRIMATUR_PASSPHRASE"))
	if err != nil {
		f := &failure{code: exitUndecided, err: fmt.Errorf("cannot use the server's key %s: %w", path, err), hint: "name the keys that you rely on with --trust FILE"}
		if broken(err) {
			f.code = exitWrong
		}
		return attest.Trust{}, f
	}
	return attest.ParseTrust([]byte(key.VerifierKey() + "\n"))
}

// evidence hashes every file of evidence that an evaluation names, and the
// leaves of every dataset.
func (c *logVerifyCmd) evidence(ctx context.Context) (n int, err error) {
	folder, dsn := filepath.Join(c.Data, "blobs"), orElse(c.DB, c.Data)
	if _, err := os.Stat(folder); err != nil {
		return 0, nil
	}
	blobs, err := store.OpenBlobs(folder)
	if err != nil {
		return 0, err
	}
	db, err := store.OpenReadOnly(ctx, dsn, store.Options{Project: ledger.Project, Version: record.KeysVersion})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	seen := map[record.Digest]bool{}
	err = db.View(ctx, func(v *store.View) error {
		for _, kind := range []record.Kind{record.KindEvaluation, record.KindDataset} {
			if err := hashKind(blobs, v, kind, seen); err != nil {
				return err
			}
		}
		return nil
	})
	return len(seen), err
}

// hashKind hashes the files that the statements of a kind name.
func hashKind(blobs *store.Blobs, v *store.View, kind record.Kind, seen map[record.Digest]bool) error {
	for before := int64(0); ; {
		page, err := v.Page(record.KeyKind(kind), before, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if err := hashEvidence(blobs, e, seen); err != nil {
				return err
			}
		}
		if before = page[len(page)-1].Index; before == 0 {
			return nil
		}
	}
}

// filesOf are the files that a record names.
func filesOf(body record.Body) []record.RawFile {
	switch b := body.(type) {
	case record.Evaluation:
		return b.Evidence
	case record.Dataset:
		if b.Commitment != nil {
			return []record.RawFile{{Name: "the leaves of " + b.Ref(), Digest: b.Commitment.Leaves}}
		}
	}
	return nil
}

func hashEvidence(blobs *store.Blobs, e store.Entry, seen map[record.Digest]bool) error {
	s, err := attest.DecodeStatement(e.Payload)
	if err != nil {
		return err
	}
	for _, file := range filesOf(s.Body) {
		if seen[file.Digest] {
			continue
		}
		f, err := blobs.Open(string(file.Digest))
		if err == nil {
			_, err = io.Copy(io.Discard, f)
			f.Close()
		}
		if err != nil {
			return fmt.Errorf("the evidence of entry %d, %s: %w", e.Index, file.Name, err)
		}
		seen[file.Digest] = true
	}
	return nil
}

func (v ledgerVerified) draw(p *page) {
	if !v.OK {
		p.styled(bad, "✗ %s", v.Fault)
		p.line("")
		p.styled(bad, "no: this is not the ledger that was signed")
		return
	}
	t := tick(true)
	p.table([][]cell{
		{t, {text: "signatures"}, {text: entries(v.Entries) + ", each signed by a key that is trusted"}},
		{t, {text: "tree"}, {text: count(int(v.Tiles), "tile") + " of hashes made again; the root is " + v.Root}},
		{t, {text: "checkpoints"}, {text: count(int(v.Checkpoints), "checkpoint") + " kept, each signed, each of this ledger"}},
		{t, {text: "projection"}, {text: count(int(v.Facts), "fact") + " computed again; the database has the same"}},
		{t, {text: "evidence"}, {text: count(v.Evidence, "evidence file") + " hashed again"}},
	})
	p.line("")
	p.styled(good, "yes: the whole ledger is as it was signed (%.2f s)", v.Seconds)
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
