package registry

import (
	"context"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// invitationLife is how long a link of an invitation works.
const invitationLife = 72 * time.Hour

const spaceInvitation = "invitation"

// Invite makes a link by which a person who is enrolled can say, once, how they
// will sign in. Links that were made before for the same person stop working.
func (r *Registry) Invite(ctx context.Context, who Caller, name string) (wire.Invitation, error) {
	// A secret cannot be answered twice, so a repeat is a new link.
	who.Request = ""
	secret := randomHex(32)
	got, err := command[record.Credential](ctx, r, who, func(t *tx) error {
		if err := t.may(actInvite, record.AllTeams); err != nil {
			return err
		}
		return t.invite(secret, name, invitationLife)
	})
	return wire.Invitation{Principal: name, Path: WelcomePath + secret, Expires: got.Record.Expires}, err
}

// InviteAdministrator makes such a link for the first administrator, for whoever
// starts the server: on the first start, and where every other way in is lost.
func (r *Registry) InviteAdministrator(ctx context.Context) (wire.Invitation, error) {
	secret := randomHex(32)
	var expires time.Time
	_, err := r.write(ctx, Caller{Name: FirstAdministrator}, func(t *tx) error {
		if err := t.mayRecover(); err != nil {
			return err
		}
		expires = record.Millis(t.now.Add(firstTokenLife))
		return t.invite(secret, FirstAdministrator, firstTokenLife)
	})
	return wire.Invitation{Principal: FirstAdministrator, Path: WelcomePath + secret, Expires: expires}, err
}

// WelcomePath is where the links of invitations lead.
const WelcomePath = "/welcome/"

// WaysPath is the page on which people say how they sign in.
const WaysPath = "/sign-in/ways"

// mayBeInvited refuses to make a link for whoever could not sign in by it.
func (t *tx) mayBeInvited(name string) error {
	p, err := t.person(name)
	if err != nil {
		return err
	}
	switch {
	case p.Principal.Name == "":
		return unknownPrincipal(name)
	case p.Principal.Type != record.Human:
		return refusef(wire.Invalid, "%s is a workload and does not sign in; issue it a token: imprimatur principal token %s", name, name)
	case !p.Principal.Stands(t.now):
		return refusef(wire.Conflict, "%s is disabled or has expired; renew it first: imprimatur principal enrol %s", name, name)
	}
	return nil
}

// invite states an invitation, and keeps its secret's hash before.
func (t *tx) invite(secret, name string, life time.Duration) error {
	if err := t.mayBeInvited(name); err != nil {
		return err
	}
	c := record.Credential{Principal: name, Type: record.CredentialInvitation, Expires: record.Millis(t.now.Add(life))}
	ctx, r := context.Background(), t.reg
	t.before = func() error {
		if err := r.store.Forget(ctx, spaceInvitation, name); err != nil {
			return err
		}
		return r.store.Keep(ctx, store.Aside{Space: spaceInvitation, ID: hashed(secret), Owner: name, Value: []byte(c.Type), Expires: c.Expires}, t.now)
	}
	return t.state(c)
}

// Invited returns whom a link was made for, without using it up.
func (r *Registry) Invited(ctx context.Context, secret string) (name string, err error) {
	kept, ok, err := r.store.Recall(ctx, spaceInvitation, hashed(secret), record.Millis(r.now()))
	if err == nil && !ok {
		err = noInvitation()
	}
	return kept.Owner, err
}

// SignInByInvitation begins a session with a link, and uses the link up.
func (r *Registry) SignInByInvitation(ctx context.Context, link string) (secret string, err error) {
	kept, ok, err := r.store.Take(ctx, spaceInvitation, hashed(link), record.Millis(r.now()))
	if err != nil {
		return "", err
	}
	me, now, err := r.person(ctx, kept.Owner)
	if err != nil {
		return "", err
	}
	who := Caller{Name: kept.Owner, Type: me.Principal.Type, Method: record.MethodSession}
	if !ok || who.stands(me, now) != nil {
		return "", noInvitation()
	}
	return r.openSession(ctx, who, sessionState{By: ByInvitation})
}

func noInvitation() error {
	return refusef(wire.SignIn, "this link was used, has expired, or was never made; an administrator can make a new one: imprimatur principal invite NAME")
}
