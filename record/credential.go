package record

import (
	"fmt"
	"time"
)

// Types of credential of which the ledger says that it is there, and not what
// it is. Keys and tokens, which can be checked from what is stated of them, are
// nouns of their own.
const (
	// CredentialInvitation is a link that works once.
	CredentialInvitation = "invitation"
	CredentialPassword   = "password"
	// CredentialIssuer is the account at an OpenID Connect issuer.
	CredentialIssuer = "issuer"
)

// Credential says that a principal may sign in by a means, or no longer. The
// newest statement of a type is its state. The secret itself is never stated,
// not even as a hash: people choose passwords that can be guessed from one, and
// the ledger is for ever and for many eyes.
type Credential struct {
	Principal string `json:"principal"`
	Type      string `json:"type"`
	// Issuer and Account are who the person is at an issuer.
	Issuer  string `json:"issuer,omitzero"`
	Account string `json:"account,omitzero"`
	// Expires ends it; an invitation must have it.
	Expires   time.Time `json:"expires,omitzero"`
	Withdrawn bool      `json:"withdrawn,omitzero"`
	Reason    string    `json:"reason,omitzero"`
}

// Kind implements Body.
func (Credential) Kind() Kind { return KindCredential }

// Keys implements Body.
func (c Credential) Keys(Digest) []string {
	keys := []string{KeyCredentials(c.Principal)}
	if c.Type == CredentialIssuer {
		keys = append(keys, KeyAccount(c.Issuer, c.Account))
	}
	return keys
}

// Subject implements Body.
func (c Credential) Subject() (string, Digest) {
	return fmt.Sprintf("credential/%s/%s", c.Principal, c.Type), ""
}

// Validate implements Body.
func (c Credential) Validate() error {
	k := checker{kind: KindCredential}
	k.principal("principal", c.Principal)
	k.oneOf("type", c.Type, CredentialInvitation, CredentialPassword, CredentialIssuer)
	k.text("issuer", c.Issuer, c.Type == CredentialIssuer)
	k.text("account", c.Account, c.Type == CredentialIssuer)
	if c.Type == CredentialInvitation && !c.Withdrawn {
		k.time("expires", c.Expires)
	} else {
		k.optionalTime("expires", c.Expires)
	}
	k.text("reason", c.Reason, c.Withdrawn)
	return k.err()
}

// KeyCredentials finds the statements of a principal's credentials.
func KeyCredentials(principal string) string { return "credentials/" + principal }

// KeyAccount finds the statements of who somebody is at an issuer, where the
// account is the subject of its ID tokens.
func KeyAccount(issuer, account string) string {
	return "account/" + string(DigestOf([]byte(issuer+"\n"+account)))
}
