package registry

import (
	"context"
	"regexp"
	"slices"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Account is who somebody is at an OpenID Connect issuer, after the issuer's
// word was checked. Issuer and subject together identify the person; names and
// addresses can change hands, and identify nobody.
type Account struct {
	Issuer, Subject string
	// Name is what the account is called there, a proposal for a new principal.
	Name, DisplayName string
	// Grants are the roles that the account's groups give, by configuration.
	Grants []Grant
	// Create makes a principal for an account that has none.
	Create bool
}

// Grant is a role for a team or all.
type Grant struct {
	Role record.RoleName
	Team string
}

// SignInByIssuer begins a session of the person who has an account at an
// issuer. What roles the account's groups give is stated, and taken away again
// at the next sign-in after a group is gone; bindings by administrators stay.
func (r *Registry) SignInByIssuer(ctx context.Context, a Account) (secret string, err error) {
	var who Caller
	_, err = r.write(ctx, Caller{}, func(t *tx) error {
		name, err := t.principalOf(a)
		if err != nil {
			return err
		}
		who = Caller{Name: name, Type: record.Human, Method: record.MethodSession}
		t.who = who
		return t.bindGroups(a)
	})
	if err != nil {
		return "", err
	}
	me, now, err := r.person(ctx, who.Name)
	if err != nil {
		return "", err
	}
	if who.stands(me, now) != nil {
		return "", refusef(wire.SignIn, "%s is disabled or has expired here; an administrator can renew it: imprimatur principal enrol %s", who.Name, who.Name)
	}
	return r.openSession(ctx, who, sessionState{By: ByIssuer})
}

// principalOf finds the principal of an account, or states a new one.
func (t *tx) principalOf(a Account) (string, error) {
	known, ok, err := lineage.Last[record.Credential](t, record.KeyAccount(a.Issuer, a.Subject))
	if err != nil {
		return "", err
	}
	if ok && !known.Record.Withdrawn {
		return known.Record.Principal, nil
	}
	if ok || !a.Create {
		return "", refusef(wire.SignIn, "your account at %s is nobody's here; ask an administrator for a link: imprimatur principal invite NAME", a.Issuer)
	}
	name, err := t.freeName(a)
	if err != nil {
		return "", err
	}
	t.who = Caller{Name: name, Type: record.Human}
	if err := t.state(record.Principal{Name: name, Type: record.Human, DisplayName: a.DisplayName}); err != nil {
		return "", err
	}
	return name, t.state(record.Credential{Principal: name, Type: record.CredentialIssuer, Issuer: a.Issuer, Account: a.Subject})
}

var plainName = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,62}[a-z0-9]$`)

// freeName is the account's own name where nobody has it, or one that is made
// from the subject: an account never becomes a person because of a name.
func (t *tx) freeName(a Account) (string, error) {
	before, err := t.Find(record.KeyPrincipal(a.Name))
	if err == nil && len(before) == 0 && plainName.MatchString(a.Name) {
		return a.Name, nil
	}
	return "person-" + record.DigestOf([]byte(a.Issuer+"\n"+a.Subject)).Short(), err
}

// bindGroups makes the bindings that came by the issuer be those that the
// account's groups give now.
func (t *tx) bindGroups(a Account) error {
	bindings, err := lineage.All[record.Role](t, record.KeyRoles(t.who.Name))
	if err != nil {
		return err
	}
	newest := map[Grant]record.Role{}
	var order []Grant
	for _, b := range bindings {
		if b.Record.Model != "" {
			continue // groups give roles for teams
		}
		g := Grant{b.Record.Role, b.Record.Team}
		if _, ok := newest[g]; !ok {
			order = append(order, g)
		}
		newest[g] = b.Record
	}
	for _, g := range order {
		if b := newest[g]; b.Issuer == a.Issuer && !b.Revoked && !slices.Contains(a.Grants, g) {
			b.Revoked = true
			if err := t.state(b); err != nil {
				return err
			}
		}
	}
	for _, g := range a.Grants {
		b, ok := newest[g]
		if ok && b.Covers(g.Team, t.now) {
			continue
		}
		if g.Team != record.AllTeams {
			if err := t.team(g.Team); err != nil {
				return err
			}
		}
		if err := t.state(record.Role{Principal: t.who.Name, Role: g.Role, Team: g.Team, Issuer: a.Issuer}); err != nil {
			return err
		}
	}
	return nil
}

const spaceIssuer = "issuer-state"

// KeepIssuerState keeps what a browser was sent to an issuer with, under the
// state that it must bring back; TakeIssuerState returns it once.
func (r *Registry) KeepIssuerState(ctx context.Context, state string, value []byte) error {
	return r.ask(ctx, spaceIssuer, hashed(state), "", value)
}

// TakeIssuerState is the other half of [Registry.KeepIssuerState].
func (r *Registry) TakeIssuerState(ctx context.Context, state string) ([]byte, error) {
	var kept store.Aside
	kept, ok, err := r.store.Take(ctx, spaceIssuer, hashed(state), record.Millis(r.now()))
	if err == nil && !ok {
		err = refusef(wire.SignIn, "this sign-in was not begun here, or too long ago; sign in again")
	}
	return kept.Value, err
}
