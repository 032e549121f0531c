package record

import (
	"crypto/ed25519"
	"fmt"
	"regexp"
	"time"
)

// Types of key.
const (
	// KeyEd25519 signs statements, as attest.Key does.
	KeyEd25519 = "ed25519"
	// KeyPasskey answers challenges in a browser (WebAuthn).
	KeyPasskey = "passkey"
)

// maxCOSE holds an RSA key of 8192 bits.
const maxCOSE = 1200

// PrincipalKey says that a key speaks for a principal: what it signs is the
// principal's word. The newest statement under the key's ID is its state.
type PrincipalKey struct {
	Principal string `json:"principal"`
	// KeyID names the key in signatures, once and for all.
	KeyID string `json:"keyId"`
	// Type says how the key signs, and what Public holds.
	Type string `json:"type"`
	// Public is the public half: 32 bytes of an Ed25519 key, or a passkey's
	// COSE_Key (RFC 9052 section 7).
	Public []byte `json:"public"`
	// Site is the domain that a passkey belongs to, its relying party ID, and
	// Origin where its pages are: scheme, host, and port unless it is the usual.
	Site    string `json:"site,omitzero"`
	Origin  string `json:"origin,omitzero"`
	Purpose string `json:"purpose,omitzero"`
	// Replaces is the ID of the key in whose place it was enrolled.
	Replaces string `json:"replaces,omitzero"`
	// Expires ends the key; the zero time is never.
	Expires time.Time `json:"expires,omitzero"`
	// Withdrawn ends it at once and for good; Reason says why.
	Withdrawn bool   `json:"withdrawn,omitzero"`
	Reason    string `json:"reason,omitzero"`
}

var keyIDPattern = regexp.MustCompile(`^[A-Za-z0-9._@%+=-]{1,1000}$`)

// Kind implements Body.
func (PrincipalKey) Kind() Kind { return KindPrincipalKey }

// Keys implements Body.
func (k PrincipalKey) Keys(Digest) []string {
	return []string{KeyPrincipalKey(k.KeyID), KeyPrincipalKeys(k.Principal)}
}

// Subject implements Body.
func (k PrincipalKey) Subject() (string, Digest) {
	return fmt.Sprintf("principal-key/%s/%s", k.Principal, k.KeyID), ""
}

// Validate implements Body.
func (k PrincipalKey) Validate() error {
	c := checker{kind: KindPrincipalKey}
	c.principal("principal", k.Principal)
	if !keyIDPattern.MatchString(k.KeyID) {
		c.failf("keyId %q is not the ID of a key: letters, digits and . _ @ %% + = -", k.KeyID)
	}
	c.oneOf("type", k.Type, KeyEd25519, KeyPasskey)
	if k.Type == KeyEd25519 && len(k.Public) != ed25519.PublicKeySize {
		c.failf("public has %d bytes, and an Ed25519 key has %d", len(k.Public), ed25519.PublicKeySize)
	}
	if k.Type == KeyPasskey && (len(k.Public) == 0 || len(k.Public) > maxCOSE) {
		c.failf("public has %d bytes, and a passkey's key has 1 to %d", len(k.Public), maxCOSE)
	}
	c.text("site", k.Site, k.Type == KeyPasskey)
	c.text("origin", k.Origin, k.Type == KeyPasskey)
	c.text("purpose", k.Purpose, false)
	if k.Replaces != "" && !keyIDPattern.MatchString(k.Replaces) {
		c.failf("replaces %q is not the ID of a key", k.Replaces)
	}
	c.optionalTime("expires", k.Expires)
	c.text("reason", k.Reason, k.Withdrawn)
	return c.err()
}

// Stands reports whether the key may speak for its principal at t.
func (k PrincipalKey) Stands(t time.Time) bool {
	return !k.Withdrawn && Stands(time.Time{}, k.Expires, t)
}

// KeyPrincipalKey finds the statements of one key.
func KeyPrincipalKey(id string) string { return "principal-key/" + id }

// KeyPrincipalKeys finds the statements of a principal's keys.
func KeyPrincipalKeys(principal string) string { return "principal-keys/" + principal }
