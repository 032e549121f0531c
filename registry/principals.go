package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// MaxTokenLife is the longest that a token may live.
const MaxTokenLife = 366 * 24 * time.Hour

// firstTokenLife is how long the administrator's token of the first start lives:
// long enough to enrol people, too short to become a habit.
const firstTokenLife = 24 * time.Hour

// FirstAdministrator is the principal that the first start enrols.
const FirstAdministrator = "administrator"

// EnrolPrincipal enrols a principal, or changes one. A workload's owner must be
// an enrolled human.
func (r *Registry) EnrolPrincipal(ctx context.Context, who Caller, p record.Principal) (record.Recorded[record.Principal], error) {
	defer r.lookNow()
	return command[record.Principal](ctx, r, who, func(t *tx) error {
		if err := t.may(actEnrol, record.AllTeams); err != nil {
			return err
		}
		if p.Type == record.Workload {
			owner, err := t.person(p.Owner)
			if err != nil {
				return err
			}
			if owner.Principal.Type != record.Human || !owner.Principal.Stands(t.now) {
				return refusef(wire.Invalid, "the owner %q of the workload %s is not a human who is enrolled here; enrol one first: imprimatur principal enrol %s", p.Owner, p.Name, p.Owner)
			}
		}
		if err := t.state(p); err != nil || p.Type != record.Workload || !p.Disabled {
			return err
		}
		return t.endShown(p.Name, "The workload was disabled.")
	})
}

// BindRole binds a role to an enrolled principal, or takes it away. Only people
// hold the roles that approve.
func (r *Registry) BindRole(ctx context.Context, who Caller, b record.Role) (record.Recorded[record.Role], error) {
	return command[record.Role](ctx, r, who, func(t *tx) error {
		if err := t.may(actBind, record.AllTeams); err != nil {
			return err
		}
		b.Issuer = ""
		p, err := t.person(b.Principal)
		if err != nil {
			return err
		}
		if p.Principal.Name == "" {
			return unknownPrincipal(b.Principal)
		}
		human := []record.RoleName{record.ModelOwner, record.Risk, record.Security, record.Administrator, record.DataSteward}
		if p.Principal.Type == record.Workload && slices.Contains(human, b.Role) {
			return refusef(wire.Invalid, "%s is a workload and cannot hold the role %s: only people do; bind it to its owner %s", b.Principal, b.Role, p.Principal.Owner)
		}
		if b.Team != record.AllTeams {
			if err := t.team(b.Team); err != nil {
				return err
			}
		}
		if b.Model != "" {
			if err := b.Validate(); err != nil {
				return err
			}
			if _, err := need[record.Model](t, record.KeyModel(b.Model), "the model "+b.Model, "register it first: imprimatur model create "+b.Model); err != nil {
				return err
			}
		}
		return t.state(b)
	})
}

func unknownPrincipal(name string) error {
	return refusef(wire.Unknown, "no principal %q is enrolled; an administrator can enrol one: imprimatur principal enrol %s", name, name)
}

// IssueToken issues an API token: everyone for themselves, within what their
// own credential reaches; a workload's owner for the workload; an administrator
// for anybody. The secret is returned once and only its hash is kept.
func (r *Registry) IssueToken(ctx context.Context, who Caller, in wire.TokenRequest) (wire.IssuedToken, error) {
	// A secret cannot be answered twice, so a repeat is a new token.
	who.Request = ""
	id, secret := randomHex(8), randomHex(32)
	got, err := command[record.Token](ctx, r, who, func(t *tx) error {
		if err := t.mayIssue(in); err != nil {
			return err
		}
		life, err := lifeOf(in.Seconds)
		if err != nil {
			return err
		}
		return t.state(newToken(id, secret, in, t.now.Add(life)))
	})
	return wire.IssuedToken{Token: got, Secret: tokenText(id, secret)}, err
}

func (t *tx) mayIssue(in wire.TokenRequest) error {
	if err := t.stands(); err != nil {
		return err
	}
	p, err := t.person(in.Principal)
	if err != nil {
		return err
	}
	if p.Principal.Name == "" {
		return unknownPrincipal(in.Principal)
	}
	if in.Principal != t.who.Name && p.Principal.Owner != t.who.Name {
		return t.may(actToken, record.AllTeams)
	}
	for _, s := range in.Scopes {
		if len(t.who.Scopes) > 0 && !slices.Contains(t.who.Scopes, s) && !slices.Contains(t.who.Scopes, record.ScopeWrite) {
			return refusef(wire.Forbidden, "a token with the scope %s is wider than the one you signed in with; ask for less, or sign in with a wider one", s)
		}
	}
	return nil
}

func newToken(id, secret string, in wire.TokenRequest, expires time.Time) record.Token {
	return record.Token{
		ID: id, Principal: in.Principal, Hash: record.DigestOf([]byte(secret)),
		Scopes: in.Scopes, Expires: record.Millis(expires), Note: in.Note,
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	// crypto/rand.Read never fails on the systems that Go supports; it aborts.
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// tokenPrefix marks our tokens, so that scanners of leaked secrets know them.
const tokenPrefix = "imp_"

func tokenText(id, secret string) string { return tokenPrefix + id + "_" + secret }

// RevokeToken ends a token: one's own, one's workload's, or anybody's by an
// administrator.
func (r *Registry) RevokeToken(ctx context.Context, who Caller, id string) (record.Recorded[record.Token], error) {
	return command[record.Token](ctx, r, who, func(t *tx) error {
		token, err := need[record.Token](t, record.KeyToken(id), "the token "+id, "imprimatur principal tokens lists them")
		if err != nil {
			return err
		}
		if err := t.mayIssue(wire.TokenRequest{Principal: token.Record.Principal}); err != nil {
			return err
		}
		token.Record.Revoked = true
		return t.state(token.Record)
	})
}

func badToken() error {
	return refusef(wire.SignIn, "sign in with a token that stands: set IMPRIMATUR_TOKEN, or ask an administrator for one (imprimatur principal token)")
}

// person returns a principal with its role bindings; the zero Person when it is
// not enrolled.
func (t *tx) person(name string) (record.Person, error) { return lineage.PersonOf(t, name) }

// roster returns the people and workloads who hold a role for a team or a model.
func (t *tx) roster(role record.RoleName, where string) ([]record.Person, error) {
	bindings, err := t.Find(record.KeyRoster(role))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range bindings {
		switch b := e.Statement.Body.(type) {
		case record.Role:
			names = append(names, b.Principal)
		case record.Delegation:
			names = append(names, b.To)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var people []record.Person
	for _, n := range names {
		p, err := t.person(n)
		if err != nil {
			return nil, err
		}
		if p.Holds(role, where, t.now) {
			people = append(people, p)
		}
	}
	return people, nil
}

// Begin enrols the first administrator when the ledger is empty, and returns
// its token; on a ledger that has begun it returns the empty string.
func (r *Registry) Begin(ctx context.Context) (secret string, err error) {
	first := Caller{Name: FirstAdministrator}
	id, plain := randomHex(8), randomHex(32)
	entries, err := r.write(ctx, first, func(t *tx) error {
		before, err := t.Find(record.KeyPrincipal(FirstAdministrator))
		if err != nil || len(before) > 0 || t.view.Size() > 0 {
			return err
		}
		admin := record.Principal{Name: FirstAdministrator, Type: record.Human, DisplayName: "First administrator"}
		bind := record.Role{Principal: FirstAdministrator, Role: record.Administrator, Team: record.AllTeams}
		if err := t.state(admin); err != nil {
			return err
		}
		if err := t.state(bind); err != nil {
			return err
		}
		return t.state(t.administratorToken(id, plain))
	})
	if err != nil || len(entries) == 0 {
		return "", err
	}
	return tokenText(id, plain), nil
}

// RecoverAdministrator issues a new token for the first administrator, for
// whoever can read the data folder and has lost every other way in. It stands
// in the ledger like any other.
func (r *Registry) RecoverAdministrator(ctx context.Context) (secret string, err error) {
	id, plain := randomHex(8), randomHex(32)
	_, err = r.write(ctx, Caller{Name: FirstAdministrator}, func(t *tx) error {
		if err := t.mayRecover(); err != nil {
			return err
		}
		return t.state(t.administratorToken(id, plain))
	})
	return tokenText(id, plain), err
}

// mayRecover refuses to let somebody in as a first administrator who is none
// any more.
func (t *tx) mayRecover() error {
	p, err := t.person(FirstAdministrator)
	if err != nil {
		return err
	}
	if !p.Holds(record.Administrator, record.AllTeams, t.now) {
		return refusef(wire.Forbidden, "the first administrator was disabled or lost its role; ask another administrator")
	}
	return nil
}

func (t *tx) administratorToken(id, secret string) record.Token {
	in := wire.TokenRequest{Principal: FirstAdministrator, Scopes: []string{record.ScopeWrite}, Note: "printed by the server's start"}
	return newToken(id, secret, in, t.now.Add(firstTokenLife))
}
