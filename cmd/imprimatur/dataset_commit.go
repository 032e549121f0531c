package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"imprimatur.dev/attest"
	"imprimatur.dev/commitment"
	"imprimatur.dev/record"
)

type datasetCommitCmd struct {
	File string `arg:"" help:"The items: NDJSON, one object a line, or CSV with a line of names; told apart by what is in it."`
	Key  string `required:"" placeholder:"KEYFILE" help:"The secret under which the items are hashed; made, readable by you only, where there is none."`
	ID   string `name:"id" placeholder:"FIELD" help:"An item is known by this field or column; else by all of it."`
	Out  string `placeholder:"FILE" help:"Where the leaves go; else FILE.leaves."`
}

// Help implements kong.HelpProvider.
func (c *datasetCommitCmd) Help() string {
	return `Fixes the items of a dataset without telling what they are. Nothing is sent anywhere: the command
writes a file of leaves, one HMAC-SHA256 an item, sorted, and prints the Merkle root over them.

  imprimatur dataset commit held-out.csv --key lab.key --id case_id
  imprimatur dataset register clinic/held-out@1 held-out.csv --commitment held-out.csv.leaves
  imprimatur dataset overlap clinic/held-out@1 clinic/training@7

Commit to held-out data before the training starts, and to the training data with the same key and
field: only then can the two be compared. Order and repeats of items change nothing.

What the key protects: without it nobody can tell from the leaves what an item is, even by guessing.
What it does not: who can read the leaves sees how many items there are and which leaves two sets
under one key share; who has the key can test any guess. Keep the key with the data, and a copy of
it: without it no later set can be compared with this one. A commitment says that these items were
fixed, not that an evaluation ran on them, and an item that was reworded is another item.`
}

// committed is what commit prints.
type committed struct {
	record.Commitment
	// File is where the leaves are, Repeats how many items were there before.
	File    string `json:"file"`
	Repeats int    `json:"repeats"`
	// NewKey says that the key was made.
	NewKey bool `json:"newKey,omitzero"`
}

// Run implements the command.
func (c *datasetCommitCmd) Run(a *app) error {
	key, made, err := commitmentKey(c.Key)
	if err != nil {
		return err
	}
	set, repeats, err := a.readItems(c.File, key, c.ID)
	if err != nil {
		return err
	}
	raw, err := set.Marshal()
	if err != nil {
		return err
	}
	out := committed{File: orElse(c.Out, c.File+".leaves"), Repeats: repeats, NewKey: made}
	if out.Commitment, err = set.Commitment(); err != nil {
		return err
	}
	if err := os.WriteFile(out.File, raw, 0o644); err != nil {
		return fmt.Errorf("cannot write the leaves: %w", err)
	}
	return a.show(out, func(p *page) {
		p.field("root", "%s", out.Root)
		p.field("items", "%d distinct, by %s", out.Items, out.Identity)
		if repeats > 0 {
			p.styled(warn, "! %d more were repeats of these", repeats)
		}
		p.field("leaves", "%s, %s", out.File, out.Leaves)
		p.field("key", "%s", out.Commitment.Key)
		if made {
			p.styled(warn, "! %s is a new key: keep it secret, and keep a copy", c.Key)
		}
		p.styled(quiet, "next: imprimatur dataset register TEAM/NAME@VERSION %s --commitment %s", c.File, out.File)
	})
}

// readItems reads the items of a file under a key.
func (a *app) readItems(path string, key []byte, field string) (*commitment.Set, int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the dataset: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the dataset: %w", err)
	}
	report, end := a.progress("reading " + path)
	defer end()
	in := bufio.NewReaderSize(&counting{in: f, total: info.Size(), report: report}, 1<<20)
	isCSV, err := looksLikeCSV(in)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the dataset %s: %w", path, err)
	}
	set, repeats, err := commitment.Read(in, key, isCSV, field)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			return nil, 0, fmt.Errorf("cannot read the dataset: %w", err)
		}
		return nil, 0, wrongf("%s: %w", path, err)
	}
	return set, repeats, nil
}

// counting reports how much of a file was read.
type counting struct {
	in          io.Reader
	done, total int64
	report      func(done, total int64)
}

// Read implements io.Reader.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.done += int64(n)
	c.report(c.done, c.total)
	return n, err
}

// looksLikeCSV reports whether the first sign is none that JSON begins with.
func looksLikeCSV(in *bufio.Reader) (bool, error) {
	start, err := in.Peek(4096)
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return false, err
	}
	start = bytes.TrimLeft(start, " \t\r\n")
	return len(start) > 0 && start[0] != '{' && start[0] != '[', nil
}

// commitmentKey reads the key of a file, which is one line of hex digits that
// only its owner may read, or makes one where there is no file.
func commitmentKey(path string) (key []byte, made bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = newCommitmentKey(path)
		return key, true, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the key: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, false, wrongf("%w: %s is no secret; take a new key or, if nobody has read it: chmod 600 %s", attest.ErrKeyPermissions, path, path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the key: %w", err)
	}
	key, err = hex.DecodeString(string(bytes.TrimSpace(raw)))
	if err != nil || len(key) != commitment.KeySize {
		return nil, false, wrongf("%s is no key: it should hold %d hex digits, as imprimatur dataset commit writes them", path, 2*commitment.KeySize)
	}
	return key, false, nil
}

func newCommitmentKey(path string) ([]byte, error) {
	key := make([]byte, commitment.KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("drawing a key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write the key: %w", err)
	}
	_, err = fmt.Fprintf(f, "%x\n", key)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("cannot write the key: %w", err)
	}
	return key, nil
}

// leavesFile reads a file of leaves with what it commits to.
func (a *app) leavesFile(path string) (raw []byte, set *commitment.Set, c record.Commitment, err error) {
	if raw, err = a.readFile(path, "the file of leaves"); err != nil {
		return nil, nil, c, err
	}
	if set, err = commitment.Parse(raw); err != nil {
		return nil, nil, c, wrongf("%s: %w; imprimatur dataset commit writes one", path, err)
	}
	c, err = set.Commitment()
	return raw, set, c, err
}
