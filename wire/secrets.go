package wire

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// MaxSecret is how long the value of a secret may be, in bytes, and MaxSecretBody
// a request that sets one.
const (
	MaxSecret     = 1 << 20
	MaxSecretBody = MaxSecret/3*4 + 64<<10
)

// SecretValue is the value of a secret, base64 in JSON. Whatever else prints it
// shows that there is one, and no more.
type SecretValue []byte

const hidden = "(secret)"

// Format implements fmt.Formatter for every verb.
func (SecretValue) Format(s fmt.State, _ rune) { io.WriteString(s, hidden) } //nolint:errcheck // fmt.State keeps its errors

// LogValue implements slog.LogValuer.
func (SecretValue) LogValue() slog.Value { return slog.StringValue(hidden) }

// SecretRequest sets a secret that is not there yet.
type SecretRequest struct {
	Team        string `json:"team"`
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	SecretVersion
}

// SecretVersion is a version of a secret: a value that the server keeps, or where
// an OpenBao or Vault keeps it.
type SecretVersion struct {
	Value SecretValue        `json:"value,omitzero"`
	Vault *record.VaultPlace `json:"vault,omitzero"`
	// Expires is when it can be read no more, and RotateBy when the next one is due.
	Expires  time.Time `json:"expires,omitzero"`
	RotateBy time.Time `json:"rotateBy,omitzero"`
}

// SecretRotation sets the next version of a secret.
type SecretRotation struct {
	SecretVersion
	// OverlapSeconds is how long the version before can still be read.
	OverlapSeconds int64 `json:"overlapSeconds,omitzero"`
}

// SecretStatus is a secret as it stands.
type SecretStatus struct {
	Secret record.Recorded[record.Secret] `json:"secret"`
	// State is "stands", "rotation due", "expired" or "withdrawn".
	State string `json:"state"`
	// Leases is how many are open on this server.
	Leases int `json:"leases"`
	// Versions are all statements of it, newest first, where one secret was asked for.
	Versions []record.Recorded[record.Secret] `json:"versions,omitzero"`
}

// SecretAsk asks for a secret's value, by the workload that a release grants it.
type SecretAsk struct {
	// Environment and Release say under which of its releases, where it has several.
	Environment string `json:"environment,omitzero"`
	Release     string `json:"release,omitzero"`
	// Version is the newest where it is 0.
	Version int `json:"version,omitzero"`
	// Arguments are what conditions of the grant see as args, a JSON object.
	Arguments jsontext.Value `json:"arguments,omitzero"`
}

// SecretLease says who was lent which version of a secret, and until when.
type SecretLease struct {
	ID string `json:"id"`
	// Secret is "team/name".
	Secret   string    `json:"secret"`
	Version  int       `json:"version"`
	Workload string    `json:"workload"`
	Release  string    `json:"release"`
	Until    time.Time `json:"until"`
}

// LentSecret is a lease at the only moment at which the value is told.
type LentSecret struct {
	Lease SecretLease `json:"lease"`
	Value SecretValue `json:"value"`
}
