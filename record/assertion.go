package record

import (
	"fmt"
	"time"
)

// Assertion is what a passkey said to a challenge: the signature of a WebAuthn
// assertion with the two byte strings that it covers (W3C Web Authentication
// Level 3, section 7.2). Package attest checks it.
type Assertion struct {
	// Key is the ID of the [PrincipalKey], the credential ID in base64url.
	Key string `json:"key"`
	// Authenticator is the authenticator data, Client the client data in JSON.
	Authenticator []byte `json:"authenticator"`
	Client        []byte `json:"client"`
	Signature     []byte `json:"signature"`
}

// ReadAssertion reads an assertion in JSON, strictly.
func ReadAssertion(raw []byte) (*Assertion, error) {
	var a Assertion
	if err := unmarshalStrict(raw, &a); err != nil {
		return nil, fmt.Errorf("reading the passkey's assertion: %w", err)
	}
	return &a, nil
}

// maxAssertion bounds each byte string of an assertion.
const maxAssertion = 4096

func (c *checker) assertion(a *Assertion) {
	if a == nil {
		return
	}
	if !keyIDPattern.MatchString(a.Key) {
		c.failf("assertion.key %q is not the ID of a key", a.Key)
	}
	for field, b := range map[string][]byte{"authenticator": a.Authenticator, "client": a.Client, "signature": a.Signature} {
		if len(b) == 0 || len(b) > maxAssertion {
			c.failf("assertion.%s has %d bytes, and 1 to %d are taken", field, len(b), maxAssertion)
		}
	}
}

// AskedWithin is how long a passkey may take to answer: an approval by passkey
// is stated at most so long after it was asked for.
const AskedWithin = 5 * time.Minute

// Challenge is what a passkey signs to give the approval: the digest of the
// approval's canonical JSON (RFC 8785) without the member "assertion". Its raw
// 32 bytes are the challenge of the WebAuthn assertion.
func (a Approval) Challenge() (Digest, error) {
	a.Assertion = nil
	raw, err := CanonicalOf(a)
	return DigestOf(raw), err
}

// KeyAssertion finds the approval in which a challenge was answered; there is
// at most one.
func KeyAssertion(challenge Digest) string { return "assertion/" + string(challenge) }
