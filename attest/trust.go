package attest

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/hdevalence/ed25519consensus"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
)

// Why a signature is not accepted.
var (
	ErrUnknownKey   = errors.New("signed with a key that is not trusted")
	ErrBadSignature = errors.New("the signature does not fit the content")
)

// batchSize is where batch verification stops getting cheaper for each signature; smaller batches find a bad one faster.
const batchSize = 128

// Trust is a set of trusted verifier keys. The zero Trust trusts nothing.
//
// Signatures of statements are checked by the rules of ZIP 215, so that one at a time and in a batch always agree.
type Trust struct {
	keys  map[string]ed25519.PublicKey // by key id
	notes []note.Verifier
}

// Signed is a statement with the signature to be checked by [Trust.VerifyBatch]; Payload is the statement's JSON, not its PAE.
type Signed struct {
	Payload []byte
	Sig     []byte
	KeyID   string
}

// ParseTrust reads a trust file: one C2SP verifier key on each line; empty lines and lines that begin with # are ignored.
// A malformed or repeated key, or a file with no key, is an error that names the line.
func ParseTrust(text []byte) (Trust, error) {
	trust := Trust{keys: map[string]ed25519.PublicKey{}}
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

// VerifyBatch checks many statements on all cores, each at about half the cost of [Trust.VerifyStatement]. It returns
// -1 when all are good, or the index of the first bad one and the error VerifyStatement gives for it.
func (t Trust) VerifyBatch(batch []Signed) (bad int, err error) {
	firstBad := make([]int, (len(batch)+batchSize-1)/batchSize)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for n := range firstBad {
		start := n * batchSize
		part := batch[start:min(start+batchSize, len(batch))]
		group.Go(func() error {
			firstBad[n] = -1
			if t.allGood(part) {
				return nil
			}
			for i, s := range part {
				if t.VerifyStatement(s.Payload, s.Sig, s.KeyID) != nil {
					firstBad[n] = start + i
					break
				}
			}
			return nil
		})
	}
	_ = group.Wait() // no part returns an error: each leaves its finding in firstBad
	for _, i := range firstBad {
		if i >= 0 {
			return i, fmt.Errorf("statement %d of %d: %w", i, len(batch), t.VerifyStatement(batch[i].Payload, batch[i].Sig, batch[i].KeyID))
		}
	}
	return -1, nil
}

func (t Trust) allGood(part []Signed) bool {
	verifier := ed25519consensus.NewPreallocatedBatchVerifier(len(part))
	for _, s := range part {
		key, ok := t.keys[s.KeyID]
		if !ok {
			return false
		}
		verifier.Add(key, PAE(PayloadType, s.Payload), s.Sig)
	}
	return verifier.Verify()
}
