package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/store"
	"imprimatur.dev/store/storetest"
)

func TestMain(m *testing.M) {
	if run, ok := children[os.Getenv(childVariable)]; ok {
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(storetest.Main(m))
}

// childVariable names, in the environment of this test binary, what it is to do
// instead of testing: to be a process of its own that can be killed or has
// fewer rights.
const childVariable = "STORE_TEST_CHILD"

var children = map[string]func() error{
	"append":   appendUntilKilled,
	"readonly": readWithoutRights,
}

// said is the statement of these tests: a text and the keys it is found under.
type said struct {
	Text string   `json:"text"`
	Keys []string `json:"keys"`
}

// project is the tests' Projector.
func project(payload []byte) (leaf []byte, keys []string, err error) {
	var s said
	if err := json.Unmarshal(payload, &s, json.RejectUnknownMembers(true)); err != nil {
		return nil, nil, err
	}
	return append([]byte("leaf of "), payload...), s.Keys, nil
}

func payloadOf(text string, keys ...string) []byte {
	payload, err := json.Marshal(said{text, keys})
	if err != nil {
		panic(err)
	}
	return payload
}

// A scene is a log in one place with its key.
type scene struct {
	t     *testing.T
	place storetest.Place
	key   *attest.Key
	*store.Store
}

// onEach plays a test on a new, empty log in each database.
func onEach(t *testing.T, play func(*scene)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, place storetest.Place) { play(newScene(t, place)) })
}

func newScene(t *testing.T, place storetest.Place) *scene {
	t.Helper()
	sc := &scene{t: t, place: place, key: logKey(t)}
	sc.Store = place.Open(sc.options())
	return sc
}

func logKey(t *testing.T) *attest.Key {
	t.Helper()
	key, err := attest.NewKey("example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (sc *scene) options() store.Options {
	return store.Options{Project: project, Origin: sc.key.Name(), Signers: []note.Signer{sc.key.NoteSigner()}}
}

func (sc *scene) close() {
	sc.t.Helper()
	if err := sc.Close(); err != nil {
		sc.t.Fatalf("closing the log: %v", err)
	}
}

func (sc *scene) reopen() {
	sc.t.Helper()
	sc.close()
	sc.Store = sc.place.Open(sc.options())
}

func (sc *scene) draft(text string, keys ...string) store.Draft {
	payload := payloadOf(text, keys...)
	return store.Draft{Payload: payload, Signature: sc.key.Sign(payload)}
}

// say appends one entry without a condition and returns its index.
func (sc *scene) say(text string, keys ...string) int64 {
	sc.t.Helper()
	indices, err := sc.Append(sc.t.Context(), store.ReadSet{}, sc.draft(text, keys...))
	if err != nil {
		sc.t.Fatalf("appending %q: %v", text, err)
	}
	return indices[0]
}

// grow appends entries "entry 0", "entry 1" … in one transaction until there
// are size of them.
func (sc *scene) grow(size int64) {
	sc.t.Helper()
	var drafts []store.Draft
	for i := sc.size(); i < size; i++ {
		drafts = append(drafts, sc.draft(fmt.Sprint("entry ", i), fmt.Sprint("key ", i), fmt.Sprint("every ", i%7)))
	}
	if _, err := sc.Append(sc.t.Context(), store.ReadSet{}, drafts...); err != nil {
		sc.t.Fatal(err)
	}
}

// view looks at the log and returns what it looked for.
func (sc *scene) view(look func(*store.View) error) store.ReadSet {
	sc.t.Helper()
	var read store.ReadSet
	err := sc.View(sc.t.Context(), func(v *store.View) error {
		err := look(v)
		read = v.ReadSet()
		return err
	})
	if err != nil {
		sc.t.Fatal(err)
	}
	return read
}

func (sc *scene) size() (size int64) {
	sc.t.Helper()
	sc.view(func(v *store.View) error { size = v.Size(); return nil })
	return size
}

// texts returns the texts of the whole log.
func (sc *scene) texts() []string {
	sc.t.Helper()
	entries, err := sc.Since(sc.t.Context(), 0, 1<<20)
	if err != nil {
		sc.t.Fatal(err)
	}
	for i, e := range entries {
		if e.Index != int64(i) {
			sc.t.Fatalf("entry %d stands at position %d of the log", e.Index, i)
		}
	}
	return textsOf(sc.t, entries)
}

func textsOf(t *testing.T, entries []store.Entry) []string {
	t.Helper()
	texts := []string{}
	for _, e := range entries {
		var s said
		if err := json.Unmarshal(e.Payload, &s); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, s.Text)
	}
	return texts
}

// leaves returns the leaves of the whole log, from its payloads.
func (sc *scene) leaves() (leaves [][]byte) {
	sc.t.Helper()
	entries, err := sc.Since(sc.t.Context(), 0, 1<<20)
	if err != nil {
		sc.t.Fatal(err)
	}
	for _, e := range entries {
		leaf, _, err := project(e.Payload)
		if err != nil {
			sc.t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	return leaves
}

// checkpoint opens the log's checkpoint with the log's key.
func (sc *scene) checkpoint() ledger.Checkpoint {
	sc.t.Helper()
	signed, err := sc.Checkpoint(sc.t.Context())
	if err != nil {
		sc.t.Fatal(err)
	}
	return sc.opened(signed)
}

func (sc *scene) opened(signed []byte) ledger.Checkpoint {
	sc.t.Helper()
	c, err := sc.check().Checkpoint(signed)
	if err != nil {
		sc.t.Fatal(err)
	}
	return c
}

// check is how the log's signatures are checked.
func (sc *scene) check() store.Check {
	return checkWith(sc.key.VerifierKey(), sc.key.ID(), sc.key.Name())
}

func checkWith(verifierKey, keyID, origin string) store.Check {
	trust, err := attest.ParseTrust([]byte(verifierKey))
	if err != nil {
		panic(err)
	}
	return store.Check{
		Signatures: func(entries []store.Entry) (int, error) {
			batch := make([]attest.Signed, len(entries))
			for i, e := range entries {
				batch[i] = attest.Signed{Payload: e.Payload, Sig: e.Signature, KeyID: keyID}
			}
			return trust.VerifyBatch(batch)
		},
		Checkpoint: func(signed []byte) (ledger.Checkpoint, error) {
			n, err := trust.VerifyNote(signed)
			if err != nil {
				return ledger.Checkpoint{}, err
			}
			c, err := ledger.ParseCheckpoint(n.Text)
			if err == nil && c.Origin != origin {
				err = errors.New("the checkpoint is of another log")
			}
			return c, err
		},
	}
}

// verified verifies the whole log.
func (sc *scene) verified() store.Report {
	sc.t.Helper()
	report, err := sc.Verify(sc.t.Context(), sc.check())
	if err != nil {
		sc.t.Fatalf("the log does not verify: %v", err)
	}
	return report
}

// merkle is the Merkle tree hash, word for word as RFC 6962 section 2.1
// defines it.
func merkle(leaves [][]byte) tlog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1 // the largest power of two smaller than n
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := merkle(leaves[:k]), merkle(leaves[k:])
	return sha256.Sum256(bytes.Join([][]byte{{1}, left[:], right[:]}, nil))
}

// bundleOf is an entry bundle as C2SP tlog-tiles defines it.
func bundleOf(leaves [][]byte) (bundle []byte) {
	for _, leaf := range leaves {
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf)))
		bundle = append(bundle, leaf...)
	}
	return bundle
}

// copyFile copies what is at one path to another.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ledgerFile is the database of a SQLite log.
func (sc *scene) ledgerFile() string { return filepath.Join(sc.place.DSN, "ledger.db") }

var background = context.Background()

func newSQLiteScene(t *testing.T) *scene {
	t.Helper()
	return newScene(t, storetest.SQLite(t))
}
