package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
)

// Project says what a payload alone tells of its entry: the leaf that the tree
// covers and the keys under which the statement is found. Writing, rebuilding
// the projection and verifying offline all call this one function (rule 1).
func Project(payload []byte) (leaf []byte, keys []string, err error) {
	s, err := attest.DecodeStatement(payload)
	if err != nil {
		return nil, nil, err
	}
	leaf, err = LeafOf(s, payload)
	return leaf, s.Keys(), err
}

// LeafOf returns the canonical leaf of a statement whose payload is given.
func LeafOf(s record.Statement, payload []byte) ([]byte, error) {
	_, digest := s.Subject()
	subject, err := hex.DecodeString(digest.Hex())
	if err != nil || len(subject) != sha256.Size {
		return nil, fmt.Errorf("the subject's digest %q is not SHA-256", string(digest))
	}
	return Leaf{
		Kind:      string(s.Body.Kind()),
		Principal: s.Actor,
		Statement: sha256.Sum256(payload),
		Subjects:  [][32]byte{[32]byte(subject)},
		Time:      s.Time,
	}.Marshal()
}
