package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// PrincipalKind tells people from machines.
type PrincipalKind string

// The two kinds of principal.
const (
	Human    PrincipalKind = "human"
	Workload PrincipalKind = "workload"
)

// Principal is a human or a workload. A workload has a human owner, a purpose
// and an expiry. The newest statement under its key is its state.
type Principal struct {
	Name        string        `json:"name"`
	Type        PrincipalKind `json:"type"`
	DisplayName string        `json:"displayName,omitzero"`
	// Emails tie a commit's author to the person. Notices go to the first, unless
	// the person is Quiet.
	Emails []string `json:"emails,omitzero"`
	Quiet  bool     `json:"quiet,omitzero"`
	// Owner is the human who answers for a workload.
	Owner   string `json:"owner,omitzero"`
	Purpose string `json:"purpose,omitzero"`
	// Expires ends the identity; a workload must have it.
	Expires  time.Time `json:"expires,omitzero"`
	Disabled bool      `json:"disabled,omitzero"`
}

// Kind implements Body.
func (Principal) Kind() Kind { return KindPrincipal }

// Keys implements Body.
func (p Principal) Keys(Digest) []string {
	keys := []string{KeyPrincipal(p.Name)}
	if p.Owner != "" {
		keys = append(keys, KeyOwned(p.Owner))
	}
	for _, e := range p.Emails {
		keys = append(keys, KeyEmail(e))
	}
	return keys
}

// Subject implements Body.
func (p Principal) Subject() (string, Digest) { return "principal/" + p.Name, "" }

// Validate implements Body.
func (p Principal) Validate() error {
	c := checker{kind: KindPrincipal}
	c.principal("name", p.Name)
	c.oneOf("type", string(p.Type), string(Human), string(Workload))
	c.text("displayName", p.DisplayName, false)
	c.texts("emails", p.Emails)
	c.optionalTime("expires", p.Expires)
	c.text("purpose", p.Purpose, p.Type == Workload)
	if p.Type == Workload {
		c.principal("owner", p.Owner)
		c.time("expires", p.Expires)
	} else if p.Owner != "" {
		c.failf("owner is only for workloads")
	}
	return c.err()
}

// Stands reports whether the identity may be used at t.
func (p Principal) Stands(t time.Time) bool {
	return !p.Disabled && Stands(time.Time{}, p.Expires, t)
}

// KeyPrincipal finds a principal's statements.
func KeyPrincipal(name string) string { return "principal/" + name }

// KeyOwned finds what was stated to be a principal's: models, datasets, use cases
// and workloads, also those that are another's by now.
func KeyOwned(principal string) string { return "owned/" + principal }

// KeyEmail finds the principals who claim, or once claimed, an e-mail address.
// Case does not tell addresses apart: a commit by Jo@Example.org is Jo's.
func KeyEmail(address string) string { return "email/" + strings.ToLower(address) }

// RoleName is one of the roles that can be bound.
type RoleName string

// The roles.
const (
	Viewer        RoleName = "viewer"
	Contributor   RoleName = "contributor"
	DataSteward   RoleName = "data-steward"
	Evaluator     RoleName = "evaluator"
	ModelOwner    RoleName = "model-owner"
	Risk          RoleName = "risk"
	Security      RoleName = "security"
	Auditor       RoleName = "auditor"
	Administrator RoleName = "administrator"
)

// RoleNames lists the roles in the order in which people are shown them.
var RoleNames = []RoleName{Viewer, Contributor, DataSteward, Evaluator, ModelOwner, Risk, Security, Auditor, Administrator}

// AllTeams binds a role for every team.
const AllTeams = "*"

// Role binds a role to a principal for one team or all, or takes it away.
// The newest statement for a principal, role, team and model wins.
type Role struct {
	Principal string   `json:"principal"`
	Role      RoleName `json:"role"`
	Team      string   `json:"team"`
	// Model, "team/name", narrows a binding of model-owner to one model of the
	// team; empty for the whole team.
	Model   string    `json:"model,omitzero"`
	Revoked bool      `json:"revoked,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	// Issuer is the OpenID Connect issuer one of whose groups gave or took the
	// role, at a sign-in; empty where an administrator did.
	Issuer string `json:"issuer,omitzero"`
}

// Kind implements Body.
func (Role) Kind() Kind { return KindRole }

// Keys implements Body.
func (r Role) Keys(Digest) []string { return []string{KeyRoles(r.Principal), KeyRoster(r.Role)} }

// Subject implements Body.
func (r Role) Subject() (string, Digest) {
	return fmt.Sprintf("role/%s/%s/%s", r.Principal, r.Role, r.Where()), ""
}

// Validate implements Body.
func (r Role) Validate() error {
	c := checker{kind: KindRole}
	c.principal("principal", r.Principal)
	c.where(r.Role, r.Team, r.Model)
	c.optionalTime("expires", r.Expires)
	c.text("issuer", r.Issuer, false)
	return c.err()
}

// where checks a role and what it is for.
func (c *checker) where(role RoleName, team, model string) {
	c.role("role", role)
	if team != AllTeams {
		c.name("team", team)
	}
	if model == "" {
		return
	}
	if c.ref("model", model); TeamOf(model) != team {
		c.failf("model %q is not of the team %q", model, team)
	}
	if role != ModelOwner {
		c.failf("model is only for the role %s", ModelOwner)
	}
}

func (c *checker) role(field string, r RoleName) {
	names := make([]string, len(RoleNames))
	for i, n := range RoleNames {
		names[i] = string(n)
	}
	c.oneOf(field, string(r), names...)
}

// Where is what the binding is for: a team, all, or a model "team/name".
func (r Role) Where() string { return cmp.Or(r.Model, r.Team) }

// For says in words what the binding is for.
func (r Role) For() string {
	switch {
	case r.Model != "":
		return "the model " + r.Model
	case r.Team == AllTeams:
		return "all teams"
	}
	return "team " + r.Team
}

// Covers reports whether the binding gives its role at t for a team, or for a
// model "team/name": a binding for the team covers its models, one for a model
// that model alone.
func (r Role) Covers(where string, t time.Time) bool {
	return r.Within(TeamOf(where), t) && (r.Model == "" || r.Model == where)
}

// Within reports whether the binding gives its role at t for the team, or for
// some model of it.
func (r Role) Within(team string, t time.Time) bool {
	return !r.Revoked && (r.Team == AllTeams || r.Team == team) && Stands(time.Time{}, r.Expires, t)
}

// TeamOf returns the team of a "team/name", or the team itself.
func TeamOf(where string) string {
	team, _, _ := strings.Cut(where, "/")
	return team
}

// KeyRoles finds the role statements of a principal.
func KeyRoles(principal string) string { return "roles/" + principal }

// KeyRoster finds the statements that bind a role to anybody.
func KeyRoster(role RoleName) string { return "roster/" + string(role) }

// Token is an API token, known by the hash of its secret. The newest statement
// under its ID is its state.
type Token struct {
	ID        string `json:"id"`
	Principal string `json:"principal"`
	// Hash is SHA-256 of the secret part; the secret has 256 random bits, so a
	// slow hash would add nothing.
	Hash Digest `json:"hash"`
	// Scopes limit what the token may do: "read", "write", or a role's name.
	Scopes  []string  `json:"scopes"`
	Expires time.Time `json:"expires"`
	Revoked bool      `json:"revoked,omitzero"`
	Note    string    `json:"note,omitzero"`
	// Replaces is the ID of the token in whose place it was issued.
	Replaces string `json:"replaces,omitzero"`
}

// Kind implements Body.
func (Token) Kind() Kind { return KindToken }

// Keys implements Body.
func (t Token) Keys(Digest) []string { return []string{KeyToken(t.ID), KeyTokens(t.Principal)} }

// Subject implements Body.
func (t Token) Subject() (string, Digest) { return "token/" + t.ID, "" }

// Validate implements Body.
func (t Token) Validate() error {
	c := checker{kind: KindToken}
	c.name("id", t.ID)
	c.principal("principal", t.Principal)
	c.digest("hash", t.Hash)
	if len(t.Scopes) == 0 {
		c.failf("scopes is empty")
	}
	for _, s := range t.Scopes {
		if s != ScopeRead && s != ScopeWrite {
			c.role("scopes", RoleName(s))
		}
	}
	c.time("expires", t.Expires)
	c.text("note", t.Note, false)
	if t.Replaces != "" {
		c.name("replaces", t.Replaces)
	}
	return c.err()
}

// The general scopes of a token. A role's name as scope lets the token act in
// that role only.
const (
	ScopeRead  = "read"
	ScopeWrite = "write"
)

// KeyToken finds a token's statements.
func KeyToken(id string) string { return "token/" + id }

// KeyTokens finds the token statements of a principal.
func KeyTokens(principal string) string { return "tokens/" + principal }

// Team owns models, datasets, use cases and workloads.
type Team struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitzero"`
}

// Kind implements Body.
func (Team) Kind() Kind { return KindTeam }

// Keys implements Body.
func (t Team) Keys(Digest) []string { return []string{KeyTeam(t.Name)} }

// Subject implements Body.
func (t Team) Subject() (string, Digest) { return "team/" + t.Name, "" }

// Validate implements Body.
func (t Team) Validate() error {
	c := checker{kind: KindTeam}
	c.name("name", t.Name)
	c.text("displayName", t.DisplayName, false)
	return c.err()
}

// KeyTeam finds a team's statements.
func KeyTeam(name string) string { return "team/" + name }

// Environment is a named place where releases run.
type Environment struct {
	Name string `json:"name"`
	// LeastTier is the least risk tier whose controls the environment accepts.
	LeastTier string `json:"leastTier"`
	// Policy names the policy that governs releases here; its newest version
	// is frozen into each release. Whoever proposes a release does not choose.
	Policy string `json:"policy"`
	// Aliases, Namespaces and Workloads mean this environment to other
	// systems; the workloads may also promote into it.
	Aliases    []string `json:"aliases,omitzero"`
	Namespaces []string `json:"namespaces,omitzero"`
	Workloads  []string `json:"workloads,omitzero"`
}

// Means reports whether an alias, or with stage a stage in any case, is among the
// environment's aliases.
func (e Environment) Means(name string, stage bool) bool {
	return slices.ContainsFunc(e.Aliases, func(a string) bool { return a == name || stage && strings.EqualFold(a, name) })
}

// Kind implements Body.
func (Environment) Kind() Kind { return KindEnvironment }

// Keys implements Body.
func (e Environment) Keys(Digest) []string { return []string{KeyEnvironment(e.Name)} }

// Subject implements Body.
func (e Environment) Subject() (string, Digest) { return "environment/" + e.Name, "" }

// Validate implements Body.
func (e Environment) Validate() error {
	c := checker{kind: KindEnvironment}
	c.name("name", e.Name)
	c.name("leastTier", e.LeastTier)
	c.name("policy", e.Policy)
	c.texts("aliases", e.Aliases)
	c.texts("namespaces", e.Namespaces)
	for _, w := range e.Workloads {
		c.principal("workloads", w)
	}
	return c.err()
}

// KeyEnvironment finds an environment's statements.
func KeyEnvironment(name string) string { return "environment/" + name }
