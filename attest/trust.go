package attest

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"filippo.io/edwards25519"
	"github.com/hdevalence/ed25519consensus"
	"golang.org/x/mod/sumdb/note"
)

// Why a signature is not accepted.
var (
	ErrUnknownKey   = errors.New("signed with a key that is not trusted")
	ErrBadSignature = errors.New("the signature does not fit the content")
)

// Trust is a set of trusted verifier keys. The zero Trust trusts nothing.
//
// Signatures of statements are checked by the rules of ZIP 215, so that one at a time and in a batch always agree.
type Trust struct {
	keys   map[string]ed25519.PublicKey   // by key id
	points map[string]*edwards25519.Point // the keys decoded, but for those that are no point of the curve
	notes  []note.Verifier
}

// ParseTrust reads a trust file: one C2SP verifier key on each line; empty lines and lines that begin with # are ignored.
// A malformed or repeated key, or a file with no key, is an error that names the line.
func ParseTrust(text []byte) (Trust, error) {
	trust := Trust{keys: map[string]ed25519.PublicKey{}, points: map[string]*edwards25519.Point{}}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := trust.add(line); err != nil {
			return Trust{}, fmt.Errorf("reading trust file, line %d: %w", number, err)
		}
	}
	if len(trust.keys) == 0 {
		return Trust{}, errors.New("reading trust file: it holds no verifier key (a line \"name+hash+base64\")")
	}
	return trust, nil
}

func (t *Trust) add(vkey string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return fmt.Errorf("%q is not a C2SP verifier key (\"name+hash+base64\", Ed25519): %w", vkey, err)
	}
	id := keyID(verifier.Name(), verifier.KeyHash())
	rest, ok := strings.CutPrefix(vkey, id+"+")
	raw, err := base64.StdEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return fmt.Errorf("%q is not written as a C2SP verifier key is (lower-case hash, plain base64)", vkey)
	}
	if _, twice := t.keys[id]; twice {
		return fmt.Errorf("key %s stands there twice", id)
	}
	t.keys[id] = ed25519.PublicKey(raw[1:])
	if point, err := new(edwards25519.Point).SetBytes(raw[1:]); err == nil {
		t.points[id] = point
	}
	t.notes = append(t.notes, verifier)
	return nil
}

// KeyIDs returns the ids of the trusted keys, sorted.
func (t Trust) KeyIDs() []string { return slices.Sorted(maps.Keys(t.keys)) }

// VerifyStatement checks the signature of an in-toto statement: over PAE([PayloadType], payload), with the key that keyID
// names. It answers ErrUnknownKey or ErrBadSignature.
func (t Trust) VerifyStatement(payload, sig []byte, keyID string) error {
	key, ok := t.keys[keyID]
	if !ok {
		return fmt.Errorf("checking signature: %w: %q; trusted are %s", ErrUnknownKey, keyID, strings.Join(t.KeyIDs(), ", "))
	}
	if !ed25519consensus.Verify(key, PAE(PayloadType, payload), sig) {
		return fmt.Errorf("checking signature of %s: %w", keyID, ErrBadSignature)
	}
	return nil
}

// Open reads an envelope, checks that it holds an in-toto statement signed with a trusted key, and returns the statement.
func (t Trust) Open(envelope []byte) ([]byte, error) {
	e, err := ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	if e.PayloadType != PayloadType {
		return nil, fmt.Errorf("%w of a statement: its payload type is %q, not %q", ErrEnvelope, e.PayloadType, PayloadType)
	}
	if err := t.VerifyStatement(e.Payload, e.Signatures[0].Sig, e.Signatures[0].KeyID); err != nil {
		return nil, err
	}
	return e.Payload, nil
}

// VerifyNote checks a C2SP signed note, such as a checkpoint, and returns it with its verified signatures. At least one
// trusted key must have signed it; signatures of unknown keys, such as a witness's, are left in UnverifiedSigs.
func (t Trust) VerifyNote(text []byte) (*note.Note, error) {
	n, err := note.Open(text, note.VerifierList(t.notes...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return nil, fmt.Errorf("checking note: %w; trusted are %s", ErrUnknownKey, strings.Join(t.KeyIDs(), ", "))
	case errors.As(err, &invalid):
		return nil, fmt.Errorf("checking note of %s: %w", keyID(invalid.Name, invalid.Hash), ErrBadSignature)
	case err != nil:
		return nil, fmt.Errorf("checking note: %w", err)
	}
	return n, nil
}
