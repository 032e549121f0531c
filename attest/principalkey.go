package attest

import (
	"crypto/ed25519"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Public is the raw public half of the key, 32 bytes.
func (k *Key) Public() []byte { return k.private.Public().(ed25519.PublicKey) }

// TrustPublic trusts the one Ed25519 key with an id, "name+hash" as [Key.ID]
// gives it, and a raw public half. The hash in the id must be that of the name
// and the key, so an id names one key only.
func TrustPublic(id string, public []byte) (Trust, error) {
	at := strings.LastIndexByte(id, '+')
	if at < 0 || len(public) != ed25519.PublicKeySize {
		return Trust{}, fmt.Errorf("%q is not the id of an Ed25519 key, \"name+hash\"", id)
	}
	vkey, err := note.NewEd25519VerifierKey(id[:at], public)
	if err != nil || !strings.HasPrefix(vkey, id+"+") {
		return Trust{}, fmt.Errorf("the key id %q does not fit its public key", id)
	}
	return ParseTrust([]byte(vkey + "\n"))
}

// KeyNameOf is the name of a principal's keys: the principal's own name, with
// what may not stand in a key's name escaped. [PrincipalOf] undoes it.
func KeyNameOf(principal string) string { return strings.ReplaceAll(principal, "+", "%2B") }

// PrincipalOf returns the principal after whom a key is named. It proves
// nothing: a key's name is its maker's word.
func PrincipalOf(keyName string) string { return strings.ReplaceAll(keyName, "%2B", "+") }
