package wire

import (
	"time"

	"imprimatur.dev/record"
)

// LiveQuery asks for a part of what was live at a time.
type LiveQuery struct {
	// At is the time; the zero time is now.
	At time.Time
	// Team and Environment narrow it down; empty is all.
	Team, Environment string
	// From is the cursor of a page; empty for the first.
	From  string
	Limit int
}

// LivePage is a part of what was live at a time, in the order of the lines. Next
// is the cursor of the following page, empty at the end.
type LivePage struct {
	Releases []LiveRelease
	At       time.Time
	Next     string
}

// Browse asks for a part of the things of one noun.
type Browse struct {
	// Prefix begins their keys, such as record.KeyModel("").
	Prefix string
	// Begins narrows them down to those whose name begins so, Type to those of a
	// type: that of a model or principal, the tier of a use case, the
	// classification of a dataset.
	Begins, Type string
	// From is the cursor of a page; empty for the first.
	From  string
	Limit int
}

// Named is a part of the things of one noun in the order of their names, each as
// it was last stated. Next is the cursor of the following page, empty at the end.
type Named struct {
	Entries []Entry
	Next    string
}

// EntriesQuery asks for a part of the ledger, newest first.
type EntriesQuery struct {
	// Kind and Actor narrow it down; empty is all.
	Kind  record.Kind
	Actor string
	// Since and Until bound the time, both included; zero for no bound.
	Since, Until time.Time
	Before       int64
	Limit        int
}

// LedgerEntry is one entry of the ledger with what proves it.
type LedgerEntry struct {
	Entry
	// Payload is the in-toto statement byte for byte, Signature the Ed25519
	// signature of its DSSE envelope by the key KeyID.
	Payload   []byte
	Signature []byte
	KeyID     string
	// Leaf is the record that the tree covers, Proof the RFC 6962 audit path
	// from it up to the root of the checkpoint, of Size entries.
	Leaf       []byte
	Proof      [][]byte
	Checkpoint string
	Size       int64
}
