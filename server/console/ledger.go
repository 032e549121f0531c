package console

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/tlog"

	"imprimatur.dev/attest"
	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// ledgerPage is the model of the list of entries.
type ledgerPage struct {
	Facts   []Term
	Entries Table
}

// noWitness is said as long as nobody else signs the checkpoints.
const noWitness = "none yet: nobody outside signs this ledger's checkpoints, so it can prove what you hold a receipt for, and not that it shows everybody the same"

func (c *console) ledger(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	q := wire.EntriesQuery{Actor: in.get("actor"), Before: before(in), Limit: perPage}
	var err error
	if q.Since, err = timeOf(in, "since"); err != nil {
		return nil, err
	}
	if q.Until, err = timeOf(in, "until"); err != nil {
		return nil, err
	}
	kinds := []Option{{Text: "all"}}
	for _, k := range sortedKinds() {
		word := slug(k)
		kinds = append(kinds, Option{Value: word, Text: k.String()})
		if word == in.get("kind") {
			q.Kind = k
		}
	}
	if q.Kind == "" && in.get("kind") != "" {
		return nil, api.Refusal(wire.Invalid, "%q is no kind of statement; the list of kinds shows what there is", in.get("kind"))
	}
	got, err := c.Registry.Entries(ctx, who, q)
	if err != nil {
		return nil, err
	}
	status, err := c.Registry.LogStatus(ctx)
	if err != nil {
		return nil, err
	}
	t := entriesTable("Entries, newest first", got.Entries)
	t.Filters = []Field{
		{Kind: "select", Name: "kind", Label: "Kind", Options: choose(in.get("kind"), kinds...)},
		{Kind: "search", Name: "actor", Label: "Stated by", Value: in.get("actor")},
		{Kind: "date-time", Name: "since", Label: "From (UTC)", Value: fieldValue(q.Since)},
		{Kind: "date-time", Name: "until", Label: "To (UTC)", Value: fieldValue(q.Until)},
	}
	t.Empty = Empty{Sentence: "No entry that you may read is like that.", Link: Link{Text: "All entries", Href: "/ledger"}}
	t.place(in, q.Before, got.Next)
	return &Page{
		Template: "ledger", Title: "Ledger", Lead: "Everything that was ever stated here, signed, in the order in which it was stated. Nothing is changed or taken away.",
		Body: ledgerPage{Facts: logTerms(status), Entries: t},
	}, nil
}

func logTerms(s wire.LogStatus) []Term {
	return []Term{
		{"Ledger", Cell{Text: s.Origin, Code: true}},
		{"Entries", text(strconv.FormatInt(s.Size, 10))},
		{"Root", Cell{Text: base64.StdEncoding.EncodeToString(s.Root), Code: true, Note: "RFC 6962 tree hash"}},
		{"Checkpoint", linked("signed, as monitors read it", "/log/checkpoint")},
		{"Key", Cell{Text: s.Key, Code: true, Note: "hold it against what you have from elsewhere"}},
		{"Witnesses", text(noWitness)},
	}
}

func sortedKinds() []record.Kind {
	kinds := record.Kinds()
	slices.SortFunc(kinds, func(a, b record.Kind) int { return cmp.Compare(a.String(), b.String()) })
	return kinds
}

// slug is a kind as it stands in an address, as in the API.
func slug(k record.Kind) string { return strings.ReplaceAll(k.String(), " ", "-") }

// entriesTable is a list of entries of the ledger.
func entriesTable(caption string, entries []wire.Entry) Table {
	t := Table{Caption: caption, Columns: []Column{{Label: "Entry", Number: true}, {Label: "When"}, {Label: "Who"}, {Label: "What"}, {Label: "About"}, {Label: "Saying"}}}
	for _, e := range entries {
		t.Rows = append(t.Rows, Row{[]Cell{
			{Text: strconv.FormatInt(e.Index, 10), Href: entryHref(e.Index), Number: true},
			when(e.Time), linked(e.Actor, principalHref(e.Actor)),
			text(e.Word), linked(aboutOf(e), thingHref(e)), text(saying(e)),
		}})
	}
	return t
}

// aboutOf names what an entry is about, without the noun that the kind says.
func aboutOf(e wire.Entry) string {
	if _, name, ok := strings.Cut(e.Subject, "/"); ok {
		return shortDigests(name)
	}
	return e.Subject
}

// shortDigests cuts a digest that stands in the place of a name.
func shortDigests(name string) string {
	if d := record.Digest(name); d.Validate() == nil {
		return d.Short()
	}
	return name
}

// saying is what a statement decided, in a few words.
func saying(e wire.Entry) string {
	body, err := record.Replay(e.Kind, e.Record)
	if err != nil {
		return "this program is too old to read it"
	}
	return record.Said(body, e.Digest)
}

// entryPage is the model of one entry.
type entryPage struct {
	Facts     []Term
	Statement string
	Signature []Term
	// Leaf is what the tree covers, Steps the way up to the root.
	Leaf    string
	Climb   Table
	Checks  []check
	From    string
	Key     string
	Signed  string
	Witness string
}

// check is one thing that the server checked while it drew the page.
type check struct {
	Badge Badge
	Text  string
}

func (c *console) entry(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	e, err := c.entryOf(ctx, who, in)
	if err != nil {
		return nil, err
	}
	statement := jsontext.Value(bytes.Clone(e.Payload))
	if err := statement.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, fmt.Errorf("indenting the statement of entry %d: %w", e.Index, err)
	}
	p := &entryPage{
		Statement: string(statement), Leaf: string(e.Leaf), Signed: e.Checkpoint, Witness: noWitness,
		From: entryHref(e.Index) + "/proof", Key: c.Registry.VerifierKey(),
		Facts: []Term{
			{"About", linked(aboutOf(e.Entry), thingHref(e.Entry))},
			{"Stated by", linked(e.Actor, principalHref(e.Actor))},
			{"When", when(e.Time)},
			{"Saying", text(saying(e.Entry))},
			{"Record", Cell{Text: string(e.Digest), Code: true}},
			{"Statement", Cell{Text: string(e.Statement), Code: true}},
		},
		Signature: []Term{
			{"Key", Cell{Text: e.KeyID, Code: true}},
			{"Signature", Cell{Text: base64.StdEncoding.EncodeToString(e.Signature), Code: true, Note: "Ed25519, over the DSSE encoding of the statement"}},
		},
	}
	p.prove(e)
	return &Page{
		Template: "entry", Title: fmt.Sprintf("Entry %d: %s", e.Index, e.Word), Lead: fmt.Sprintf("One of the %d entries of %s.", e.Size, c.Registry.Origin()),
		Crumbs: []Link{{Text: "Ledger", Href: "/ledger"}}, Body: p,
	}, nil
}

func (c *console) entryOf(ctx context.Context, who registry.Caller, in input) (wire.LedgerEntry, error) {
	index, err := strconv.ParseInt(in.path("index"), 10, 64)
	if err != nil || index < 0 {
		return wire.LedgerEntry{}, api.Refusal(wire.Unknown, "%q is no number of an entry; entries are numbered from 0", in.path("index"))
	}
	return c.Registry.Entry(ctx, who, index)
}

// prove recomputes what the entry rests on, step by step.
func (p *entryPage) prove(e wire.LedgerEntry) {
	say := func(ok bool, format string, args ...any) {
		mark := Badge{"pass", "holds"}
		if !ok {
			mark = Badge{"fail", "does not hold"}
		}
		p.Checks = append(p.Checks, check{mark, fmt.Sprintf(format, args...)})
	}
	trust, err := attest.ParseTrust([]byte(p.Key + "\n"))
	say(err == nil && trust.VerifyStatement(e.Payload, e.Signature, e.KeyID) == nil, "the signature is by the key %s over this very statement", e.KeyID)
	leaf, err := ledger.ParseLeaf(e.Leaf)
	say(err == nil && leaf.Statement == sha256.Sum256(e.Payload), "the leaf names the SHA-256 of the statement")
	hash := tlog.RecordHash(e.Leaf)
	path := make([]tlog.Hash, len(e.Proof))
	for i, h := range e.Proof {
		path[i] = tlog.Hash(h)
	}
	steps, err := ledger.Climb(hash, e.Index, e.Size, path)
	p.Climb = Table{
		Caption: "The way from the leaf to the root", Columns: []Column{{Label: "Step"}, {Label: "Beside"}, {Label: "Side"}, {Label: "Hashes to"}},
		Rows: []Row{{[]Cell{text("leaf"), {}, {}, {Text: hash.String(), Code: true}}}},
	}
	for i, s := range steps {
		side := "right"
		if s.Left {
			side = "left"
		}
		p.Climb.Rows = append(p.Climb.Rows, Row{[]Cell{text(strconv.Itoa(i + 1)), {Text: s.Beside.String(), Code: true}, text(side), {Text: s.Hash.String(), Code: true}}})
		hash = s.Hash
	}
	at, wrong := ledger.UnverifiedCheckpoint([]byte(e.Checkpoint))
	say(err == nil && wrong == nil && at.Root == hash && at.Size == e.Size, "the leaf leads by %d steps to the root of the checkpoint of %d entries", len(steps), e.Size)
	_, err = trust.VerifyNote([]byte(e.Checkpoint))
	say(err == nil, "the checkpoint is signed by the ledger's key")
}

// proof hands out what proves an entry, for the page's own script and for others.
func (c *console) proof(ctx context.Context, who registry.Caller, in input) (*Download, error) {
	e, err := c.entryOf(ctx, who, in)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(struct {
		Index       int64    `json:"index"`
		Size        int64    `json:"size"`
		PayloadType string   `json:"payloadType"`
		Payload     []byte   `json:"payload"`
		KeyID       string   `json:"keyId"`
		Signature   []byte   `json:"signature"`
		Leaf        []byte   `json:"leaf"`
		Hashes      [][]byte `json:"hashes"`
		Checkpoint  string   `json:"checkpoint"`
	}{e.Index, e.Size, attest.PayloadType, e.Payload, e.KeyID, e.Signature, e.Leaf, e.Proof, e.Checkpoint})
	return &Download{Name: fmt.Sprintf("entry-%d.proof.json", e.Index), Media: "application/json", Content: raw}, err
}
