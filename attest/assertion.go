package attest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// ErrAssertion is wrapped when a passkey did not say what is held against it.
var ErrAssertion = errors.New("the passkey did not sign this")

// Flags of authenticator data (W3C Web Authentication Level 3, section 6.1).
const (
	flagPresent   = 1 << 0
	flagVerified  = 1 << 2
	flagReserved  = 1<<1 | 1<<5
	flagAttested  = 1 << 6
	flagExtension = 1 << 7
	// plainData is the length of the data without what those two flags add.
	plainData = 32 + 1 + 4
)

// clientData is the client data of an assertion (section 5.8.1). Members that
// are not listed there may follow, and are signed like the rest.
type clientData struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"`
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`
	TopOrigin   string `json:"topOrigin"`
}

// VerifyAssertion checks that a passkey answered a challenge: on a page of its
// own origin and of no other page's frame, for its own site, with its person
// present and verified (section 7.2, steps 11 to 20). It returns the
// authenticator's count of signatures, which is 0 where it does not count. It is
// a pure function: an auditor gets the same answer years later.
func VerifyAssertion(key record.PrincipalKey, a record.Assertion, challenge []byte) (count uint32, err error) {
	wrong := func(format string, args ...any) (uint32, error) {
		return 0, fmt.Errorf("%w: %w", ErrAssertion, fmt.Errorf(format, args...))
	}
	if key.Type != record.KeyPasskey || key.KeyID != a.Key {
		return wrong("the key %s is not the passkey %s", key.KeyID, a.Key)
	}
	var client clientData
	if err := json.Unmarshal(a.Client, &client); err != nil {
		return wrong("reading the client data: %w", err)
	}
	said, err := base64.RawURLEncoding.Strict().DecodeString(client.Challenge)
	switch {
	case client.Type != "webauthn.get":
		return wrong("it is of the type %q", client.Type)
	case err != nil || len(challenge) == 0 || !bytes.Equal(said, challenge):
		return wrong("it answers another challenge")
	case client.Origin != key.Origin:
		return wrong("it was made at %q, and the key belongs to %q", client.Origin, key.Origin)
	case client.CrossOrigin || client.TopOrigin != "":
		return wrong("it was made in a frame of another page")
	}
	site := sha256.Sum256([]byte(key.Site))
	switch data := a.Authenticator; {
	case len(data) < plainData:
		return wrong("its authenticator data has %d bytes, and at least %d are needed", len(data), plainData)
	case !bytes.Equal(data[:32], site[:]):
		return wrong("it was made for another site than %s", key.Site)
	case data[32]&flagPresent == 0 || data[32]&flagVerified == 0:
		return wrong("the authenticator did not verify its person; it must ask for a PIN, a finger or a face")
	case data[32]&flagReserved != 0 || (data[32]&(flagAttested|flagExtension) == 0) != (len(data) == plainData):
		return wrong("its authenticator data is not in the form of its flags")
	}
	public, err := parseCOSE(key.Public)
	if err != nil {
		return wrong("%w", err)
	}
	hash := sha256.Sum256(a.Client)
	if !verifiesUnder(public, append(bytes.Clone(a.Authenticator), hash[:]...), a.Signature) {
		return wrong("the signature is not the key's")
	}
	return binary.BigEndian.Uint32(a.Authenticator[33:]), nil
}

// ChallengeOf returns the challenge that an assertion says it answers, which
// proves nothing yet: it finds what was asked.
func ChallengeOf(a record.Assertion) ([]byte, error) {
	var client clientData
	if err := json.Unmarshal(a.Client, &client); err != nil {
		return nil, fmt.Errorf("%w: reading the client data: %w", ErrAssertion, err)
	}
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(client.Challenge)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the challenge: %w", ErrAssertion, err)
	}
	return challenge, nil
}

func verifiesUnder(public crypto.PublicKey, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest[:], signature)
	case ed25519.PublicKey:
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k, message, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}

// VerifyApproval checks an approval by passkey against the key as it stood when
// the approval was stated, by whom and when. It returns the authenticator's
// count of signatures.
func VerifyApproval(key record.PrincipalKey, a record.Approval, actor string, at time.Time) (count uint32, err error) {
	if a.Assertion == nil || a.Method != record.MethodPasskey {
		return 0, fmt.Errorf("%w: the approval carries no assertion", ErrAssertion)
	}
	switch {
	case key.Principal != actor:
		return 0, fmt.Errorf("%w: the key %s is that of %s, and the approval that of %s", ErrAssertion, key.KeyID, key.Principal, actor)
	case !key.Stands(at):
		return 0, fmt.Errorf("%w: the key %s was withdrawn or had expired", ErrAssertion, key.KeyID)
	case at.Before(a.Asked) || at.Sub(a.Asked) > record.AskedWithin:
		return 0, fmt.Errorf("%w: it was stated at %s and asked for at %s", ErrAssertion, at.Format(time.RFC3339), a.Asked.Format(time.RFC3339))
	}
	challenge, err := a.Challenge()
	if err != nil {
		return 0, err
	}
	raw, err := challenge.Bytes()
	if err != nil {
		return 0, err
	}
	return VerifyAssertion(key, *a.Assertion, raw)
}

// CheckPasskey refuses a public key by which no assertion can be checked.
func CheckPasskey(cose []byte) error {
	_, err := parseCOSE(cose)
	return err
}
