package record

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Where the value of a secret is kept.
const (
	SecretEmbedded = "embedded" // by the server, encrypted
	SecretVault    = "vault"    // in an OpenBao or a Vault
)

// Secret says that there is a secret, which a grant of the kind "secrets" can
// name: never its value. Each statement restates the whole, and the newest under
// its key is its state.
type Secret struct {
	// Team is whose releases may be granted it.
	Team        string `json:"team"`
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// Version counts the values that were set, from 1.
	Version int `json:"version"`
	// Provider is one of the providers above.
	Provider string `json:"provider"`
	// Reference names the encrypted value that the server keeps.
	Reference string `json:"reference,omitzero"`
	// Vault is where another has it.
	Vault VaultPlace `json:"vault,omitzero"`
	// Expires is when the version can be read no more, and RotateBy when the next
	// is due.
	Expires  time.Time `json:"expires,omitzero"`
	RotateBy time.Time `json:"rotateBy,omitzero"`
	// Previous is the version before, which can be read until PreviousUntil.
	Previous      int       `json:"previous,omitzero"`
	PreviousUntil time.Time `json:"previousUntil,omitzero"`
	// Withdrawn ends all versions for good, for a reason.
	Withdrawn bool   `json:"withdrawn,omitzero"`
	Reason    string `json:"reason,omitzero"`
}

// VaultPlace is where an OpenBao or a Vault keeps a value.
type VaultPlace struct {
	// Server is the name by which the installation's configuration knows it.
	Server    string `json:"server"`
	Namespace string `json:"namespace,omitzero"`
	// Mount is that of a KV engine of version 2, or with Dynamic of one that makes
	// credentials when it is read, such as database.
	Mount string `json:"mount"`
	Path  string `json:"path"`
	// Field is the member that is the value; without it the value is all of them,
	// a JSON object.
	Field string `json:"field,omitzero"`
	// Version is the one that is read of those which the engine keeps; 0 is always
	// the newest.
	Version int  `json:"version,omitzero"`
	Dynamic bool `json:"dynamic,omitzero"`
}

// Whole is the path that is read, without the API's own parts.
func (p VaultPlace) Whole() string { return p.Mount + "/" + p.Path }

// Full names the place to people: SERVER:NAMESPACE:MOUNT/PATH, with the version
// where one is read alone and the field where one is.
func (p VaultPlace) Full() string {
	at := p.Server + ":" + p.Whole()
	if p.Namespace != "" {
		at = p.Server + ":" + p.Namespace + ":" + p.Whole()
	}
	if p.Version > 0 {
		at += fmt.Sprintf("@%d", p.Version)
	}
	if p.Field != "" {
		at += " (" + p.Field + ")"
	}
	return at
}

// Ref returns "team/name".
func (s Secret) Ref() string { return s.Team + "/" + s.Name }

// Readable reports whether a version can be read at t as far as this statement
// of a secret says; a version's own expiry stands in its own statement.
func (s Secret) Readable(version int, t time.Time) bool {
	switch {
	case s.Withdrawn || version < 1:
		return false
	case version == s.Version:
		return Stands(time.Time{}, s.Expires, t)
	}
	return version == s.Previous && Stands(time.Time{}, s.PreviousUntil, t)
}

// Kind implements Body.
func (Secret) Kind() Kind { return KindSecret }

// Keys implements Body.
func (s Secret) Keys(Digest) []string { return []string{KeySecret(s.Ref())} }

// Subject implements Body.
func (s Secret) Subject() (string, Digest) { return "secret/" + s.Ref(), "" }

// vaultPath takes what needs no escaping in the path of a URL.
var vaultPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)

// Validate implements Body.
func (s Secret) Validate() error {
	c := checker{kind: KindSecret}
	c.name("team", s.Team)
	c.name("name", s.Name)
	c.text("description", s.Description, false)
	if s.Version < 1 || s.Version > 1<<31 {
		c.failf("version %d is outside 1 to 2^31", s.Version)
	}
	c.oneOf("provider", s.Provider, SecretEmbedded, SecretVault)
	switch {
	case s.Provider == SecretVault:
		c.vault(s.Vault)
		if s.Reference != "" {
			c.failf("reference is only for the provider %s", SecretEmbedded)
		}
	case s.Vault != (VaultPlace{}):
		c.failf("vault is only for the provider %s", SecretVault)
	default:
		c.name("reference", s.Reference)
	}
	c.optionalTime("expires", s.Expires)
	c.optionalTime("rotateBy", s.RotateBy)
	if s.Previous < 0 || s.Previous > 0 && s.Previous >= s.Version {
		c.failf("previous %d is not a version before %d", s.Previous, s.Version)
	}
	if s.Previous > 0 {
		c.time("previousUntil", s.PreviousUntil)
	} else if !s.PreviousUntil.IsZero() {
		c.failf("previousUntil is only for what has a previous version")
	}
	c.text("reason", s.Reason, s.Withdrawn)
	return c.err()
}

func (c *checker) vault(p VaultPlace) {
	c.name("vault.server", p.Server)
	for field, v := range map[string]string{"vault.mount": p.Mount, "vault.path": p.Path, "vault.namespace": p.Namespace} {
		if v == "" && field == "vault.namespace" {
			continue
		}
		if len(v) > MaxNames*4 || !vaultPath.MatchString(v) {
			c.failf("%s %q is not a path: parts of letters, digits, '_', '-' and '.', none of which begins with '.', with '/' between them", field, v)
		}
	}
	if p.Version < 0 || p.Version > 1<<31 || p.Dynamic && p.Version > 0 {
		c.failf("vault.version %d is outside 0 to 2^31, or is that of what is made when it is read", p.Version)
	}
	c.oneLine("vault.field", p.Field, MaxNames, false)
	if strings.ContainsFunc(p.Field, func(r rune) bool { return r > '~' }) {
		c.failf("vault.field %q is not plain ASCII", p.Field)
	}
}

// KeySecret finds the statements of a secret, by "team/name".
func KeySecret(ref string) string { return "secret/" + ref }
