package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
)

// ledgerSource says which ledger is verified, and by which keys.
type ledgerSource struct {
	data  string
	dsn   string
	trust attest.Trust
}

func (c *logVerifyCmd) source(a *app) (ledgerSource, error) {
	s := ledgerSource{data: c.Data, dsn: c.Data}
	if c.DB != "" {
		s.dsn = c.DB
	}
	var text []byte
	if c.Trust != "" {
		raw, err := a.readFile(c.Trust, "the trusted keys")
		if err != nil {
			return s, err
		}
		text = raw
	} else {
		path := filepath.Join(c.Data, "keys", "server.key")
		key, err := attest.LoadKey(path, a.env("IMPRIMATUR_PASSPHRASE"))
		if err != nil {
			err = fmt.Errorf("cannot use the server's key %s: %w", path, err)
			code := exitUndecided
			if broken(err) {
				code = exitWrong
			}
			return s, &failure{code: code, err: err, hint: "name the data folder with --data, or the keys that you rely on with --trust FILE"}
		}
		text = []byte(key.VerifierKey() + "\n")
	}
	var err error
	if s.trust, err = attest.ParseTrust(text); err != nil {
		return s, wrongf("%s: %w", c.Trust, err)
	}
	return s, nil
}

// ledgerReport is what came of verifying a ledger.
type ledgerReport struct {
	OK      bool          `json:"ok"`
	Origin  string        `json:"origin"`
	Size    int64         `json:"size"`
	Signer  string        `json:"signer"`
	Checks  []ledgerCheck `json:"checks"`
	Seconds float64       `json:"seconds"`
}

type ledgerCheck struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// ledgerCheck is one walk over a ledger.
type ledgerWalk struct {
	source ledgerSource
	view   *store.View
	report func(done, total int64)
	out    *ledgerReport
	signer string
	root   tlog.Hash
	tree   *ledger.Tree
	// keys is the projection as the entries alone give it.
	keys     map[string][]int64
	evidence []record.Digest
}

// verifyLedger checks a whole ledger against the keys that are trusted. The
// error says that it could not be read; what is wrong with it is in the report.
func verifyLedger(ctx context.Context, source ledgerSource, report func(done, total int64)) (ledgerReport, error) {
	var out ledgerReport
	started := time.Now()
	if source.dsn == source.data {
		if _, err := os.Stat(filepath.Join(source.data, "ledger.db")); err != nil {
			return out, fmt.Errorf("there is no ledger in %s: %w", source.data, err)
		}
	}
	db, err := store.OpenReadOnly(ctx, source.dsn, store.Options{Project: ledger.Project})
	if err != nil {
		return out, err
	}
	defer db.Close()
	err = db.View(ctx, func(v *store.View) error {
		w := &ledgerWalk{source: source, view: v, report: report, out: &out, tree: new(ledger.Tree), keys: map[string][]int64{}}
		return w.walk()
	})
	out.Seconds = time.Since(started).Seconds()
	out.OK = err == nil && !slices.ContainsFunc(out.Checks, func(c ledgerCheck) bool { return !c.OK })
	return out, err
}

func (w *ledgerWalk) check(name string, err error, detail string, args ...any) {
	c := ledgerCheck{Name: name, OK: err == nil, Detail: fmt.Sprintf(detail, args...)}
	if err != nil {
		c.Detail = err.Error()
	}
	w.out.Checks = append(w.out.Checks, c)
}

func (w *ledgerWalk) walk() error {
	w.out.Size = w.view.Size()
	if err := w.checkpoint(); err != nil {
		w.check("checkpoint", err, "")
		return nil
	}
	w.check("checkpoint", nil, "signed by %s", w.signer)
	unreadable, err := w.entries()
	switch {
	case err != nil:
		return err
	case unreadable != nil:
		w.check("statements", unreadable, "")
		return nil
	}
	w.check("statements", nil, "%s, each signed by %s and readable", entries(w.out.Size), w.signer)
	if w.tree.Root() != w.root {
		w.check("tree", errors.New("the entries do not add up to the root that the checkpoint signs: one was changed, lost, added or moved"), "")
	} else {
		w.check("tree", nil, "every leaf hashed again; the root is the one signed")
	}
	wrong, err := w.projection()
	if err != nil {
		return err
	}
	w.check("projection", wrong, "%d keys computed again; the database has the same", len(w.keys))
	w.kept()
	return nil
}

func (w *ledgerWalk) checkpoint() error {
	signed := w.view.Checkpoint()
	n, err := w.source.trust.VerifyNote(signed)
	var stranger *note.UnverifiedNoteError
	if errors.As(err, &stranger) {
		return errors.New("the checkpoint is not signed by a key that you trust")
	}
	if err != nil {
		return err
	}
	c, err := ledger.ParseCheckpoint(n.Text)
	if err != nil {
		return err
	}
	w.signer = fmt.Sprintf("%s+%08x", n.Sigs[0].Name, n.Sigs[0].Hash)
	w.out.Origin, w.out.Signer, w.root = c.Origin, w.signer, c.Root
	if c.Size != w.out.Size {
		return fmt.Errorf("the checkpoint signs %s, but the database holds %d", entries(c.Size), w.out.Size)
	}
	return nil
}

// entries reads every entry, checks it and adds it to the tree and the keys.
// The first error is a fault of the ledger, the second one of reading it.
func (w *ledgerWalk) entries() (wrong, err error) {
	const batch = 1000
	for next := int64(0); next < w.out.Size; {
		got, err := w.view.Since(next, batch)
		if err != nil {
			return nil, err
		}
		if len(got) == 0 || got[0].Index != next {
			return fmt.Errorf("entry %d is missing", next), nil
		}
		if wrong := w.batch(got); wrong != nil {
			return wrong, nil
		}
		next += int64(len(got))
		w.report(next, w.out.Size)
	}
	return nil, nil
}

func (w *ledgerWalk) batch(got []store.Entry) error {
	signed := make([]attest.Signed, len(got))
	for i, e := range got {
		signed[i] = attest.Signed{Payload: e.Payload, Sig: e.Signature, KeyID: w.signer}
	}
	if bad, err := w.source.trust.VerifyBatch(signed); err != nil {
		return fmt.Errorf("entry %d: %w", got[max(bad, 0)].Index, err)
	}
	hashes := make([]tlog.Hash, len(got))
	for i, e := range got {
		s, err := attest.DecodeStatement(e.Payload)
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.Index, err)
		}
		leaf, keys, err := ledger.Project(e.Payload)
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.Index, err)
		}
		hashes[i] = tlog.RecordHash(leaf)
		for _, k := range keys {
			if at := w.keys[k]; len(at) == 0 || at[len(at)-1] != e.Index {
				w.keys[k] = append(at, e.Index)
			}
		}
		if ev, ok := s.Body.(record.Evaluation); ok {
			w.evidence = append(w.evidence, ev.Evidence)
		}
	}
	w.tree, _ = w.tree.Append(hashes...)
	return nil
}

// projection compares the keys in the database with those of the entries: each
// key's entries, and that there is no further key.
func (w *ledgerWalk) projection() (wrong, err error) {
	newest, err := w.view.LastOfEach("")
	if err != nil {
		return nil, err
	}
	if len(newest) != len(w.keys) {
		return fmt.Errorf("the database has %d keys and the ledger alone gives %d", len(newest), len(w.keys)), nil
	}
	for k, want := range w.keys {
		var have []int64
		for before := int64(0); ; {
			got, err := w.view.Page(k, before, 1000)
			if err != nil {
				return nil, err
			}
			for _, e := range got {
				have = append(have, e.Index)
			}
			if len(got) < 1000 {
				break
			}
			before = have[len(have)-1]
		}
		slices.Reverse(have)
		if !slices.Equal(have, want) {
			return fmt.Errorf("under the key %q the database has the entries %v, and the ledger alone gives %v", k, have, want), nil
		}
	}
	return nil, nil
}

// kept hashes the evidence that the evaluations name.
func (w *ledgerWalk) kept() {
	folder := filepath.Join(w.source.data, "blobs")
	if _, err := os.Stat(folder); err != nil || len(w.evidence) == 0 {
		return
	}
	blobs, err := store.OpenBlobs(folder)
	if err != nil {
		w.check("evidence", err, "")
		return
	}
	slices.Sort(w.evidence)
	w.evidence = slices.Compact(w.evidence)
	for _, d := range w.evidence {
		f, err := blobs.Open(string(d))
		if err == nil {
			_, err = io.Copy(io.Discard, f)
			f.Close()
		}
		if err != nil {
			w.check("evidence", fmt.Errorf("the evidence %s: %w", d.Short(), err), "")
			return
		}
	}
	w.check("evidence", nil, "%s hashed again", count(len(w.evidence), "evidence file"))
}
