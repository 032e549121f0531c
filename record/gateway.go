package record

import (
	"slices"
	"strings"
	"time"
)

// Gateway says that a workload is a gateway which attaches secrets to what other
// workloads ask of others: under the releases of one team in one environment. It is half of
// what that takes; the other half is the release's grant of the secret. The newest
// statement under its ID is its state.
type Gateway struct {
	ID string `json:"id"`
	// Workload is the gateway's own.
	Workload    string `json:"workload"`
	Team        string `json:"team"`
	Environment string `json:"environment"`
	// Secrets are the names of those that it may attach; empty is whichever the
	// releases grant.
	Secrets []string  `json:"secrets,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Ended ends it at once and for good; Reason says why.
	Ended  bool   `json:"ended,omitzero"`
	Reason string `json:"reason,omitzero"`
}

// Kind implements Body.
func (Gateway) Kind() Kind { return KindGateway }

// Keys implements Body.
func (g Gateway) Keys(Digest) []string {
	return []string{KeyGateway(g.ID)}
}

// Subject implements Body.
func (g Gateway) Subject() (string, Digest) { return "gateway/" + g.Workload + "/" + g.ID, "" }

// Validate implements Body.
func (g Gateway) Validate() error {
	c := checker{kind: KindGateway}
	c.name("id", g.ID)
	c.principal("workload", g.Workload)
	c.name("team", g.Team)
	c.name("environment", g.Environment)
	for _, s := range g.Secrets {
		c.name("secrets", s)
	}
	c.optionalTime("expires", g.Expires)
	c.text("reason", g.Reason, g.Ended)
	return c.err()
}

// Stands reports whether it may attach at t.
func (g Gateway) Stands(t time.Time) bool { return !g.Ended && Stands(time.Time{}, g.Expires, t) }

// Attaches reports whether it is one for a secret of a team in an environment.
func (g Gateway) Attaches(team, environment, secret string) bool {
	return g.Team == team && g.Environment == environment && (len(g.Secrets) == 0 || slices.Contains(g.Secrets, secret))
}

// Reach says in a few words what it may attach.
func (g Gateway) Reach() string {
	if len(g.Secrets) == 0 {
		return "every secret that releases of " + g.Team + " grant in " + g.Environment
	}
	return strings.Join(g.Secrets, ", ") + " of " + g.Team + " in " + g.Environment
}

// KeyGateway finds the statements of one gateway.
func KeyGateway(id string) string { return "gateway/" + id }
