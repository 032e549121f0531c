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

// SecretAttach asks for a secret that a gateway attaches to what a workload asks of
// others.
type SecretAttach struct {
	// Token is the workload's own, as it has shown it to the gateway.
	Token string `json:"token"`
	// To is where the gateway sends it: conditions of the grant see it as about.to.
	To string `json:"to"`
	// Environment and Release say under which of its releases the workload acts,
	// where it has several.
	Environment string `json:"environment,omitzero"`
	Release     string `json:"release,omitzero"`
	// Version is the newest where it is 0.
	Version int `json:"version,omitzero"`
}

// Format implements fmt.Formatter, so that nothing prints the token.
func (SecretAttach) Format(s fmt.State, _ rune) { io.WriteString(s, hidden) } //nolint:errcheck // fmt.State keeps its errors

// MaxLeases is how many leases one check may name.
const MaxLeases = 10_000

// LeaseCheck asks a server how leases stand that it has given to the gateway that
// asks; those that it names as returned end.
type LeaseCheck struct {
	Leases   []string `json:"leases"`
	Returned []string `json:"returned,omitzero"`
}

// LeaseState is how a lease stands. Open is false where it has ended, or where the
// server does not know it: ask for another.
type LeaseState struct {
	ID    string    `json:"id"`
	Open  bool      `json:"open"`
	Until time.Time `json:"until,omitzero"`
	// Newer is whether the secret has a newer version, for what begins now.
	Newer bool `json:"newer,omitzero"`
}

// KeptGateway is a gateway as it stands.
type KeptGateway struct {
	Gateway record.Recorded[record.Gateway] `json:"gateway"`
	// State is "stands", "expired" or "ended".
	State string `json:"state"`
	// Leases is how many it has open on this server.
	Leases int `json:"leases"`
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
	// Gateway is who attaches it; empty where the workload has the value itself.
	Gateway string `json:"gateway,omitzero"`
}

// LentSecret is a lease at the only moment at which the value is told.
type LentSecret struct {
	Lease SecretLease `json:"lease"`
	Value SecretValue `json:"value"`
}
