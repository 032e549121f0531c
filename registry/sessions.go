package registry

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// A session ends when nothing was asked in it for SessionIdle, and in any case
// SessionLife after the sign-in (NIST SP 800-63B-4 section 2.2.3 asks for at
// most one hour and 24).
const (
	SessionIdle = time.Hour
	SessionLife = 12 * time.Hour
	// noticeEvery is how often it is kept that a session is in use.
	noticeEvery = time.Minute
)

// spaceSession is where the store keeps sessions. They are no statements: who
// is at a browser changes nothing that a release rests on, and the ledger would
// keep for ever when each person was at work.
const spaceSession = "session"

// Ways to begin a session.
const (
	ByToken    = "token"
	ByPassword = "password"
	ByPasskey  = "passkey"
	ByIssuer   = "issuer"
	// ByInvitation is by a link that works once.
	ByInvitation = "invitation"
)

// Session is a browser's, after a sign-in.
type Session struct {
	Caller Caller
	// By is how it began, one of the By constants.
	By string
	// Started is when, Expires when it ends if nothing more is asked in it.
	Started, Expires time.Time
}

// sessionState is a session as it is kept, under the hash of its secret.
type sessionState struct {
	By      string    `json:"by"`
	Token   string    `json:"token,omitzero"`
	Started time.Time `json:"started"`
	Seen    time.Time `json:"seen"`
}

func (s sessionState) expires() time.Time {
	idle, life := s.Seen.Add(SessionIdle), s.Started.Add(SessionLife)
	if idle.Before(life) {
		return idle
	}
	return life
}

// SignInByToken begins a session with an API token: the session reaches as far
// as the token, and ends with it. The secret is the browser's alone; only its
// hash is kept.
func (r *Registry) SignInByToken(ctx context.Context, token string) (secret string, err error) {
	who, err := r.Authenticate(ctx, token)
	if err != nil {
		return "", err
	}
	id, _ := tokenParts(token)
	return r.openSession(ctx, who, sessionState{By: ByToken, Token: id})
}

// openSession begins a session of somebody who was authenticated.
func (r *Registry) openSession(ctx context.Context, who Caller, s sessionState) (secret string, err error) {
	if who.Type != record.Human {
		return "", refusef(wire.Forbidden, "%s is a workload: it sends its token with each request; only people sign in here", who.Name)
	}
	now := record.Millis(r.now())
	s.Started, s.Seen = now, now
	secret = randomHex(32)
	kept, err := sessionAside(secret, who.Name, s)
	if err != nil {
		return "", err
	}
	return secret, r.store.Keep(ctx, kept, now)
}

func sessionAside(secret, owner string, s sessionState) (store.Aside, error) {
	value, err := json.Marshal(s)
	return store.Aside{Space: spaceSession, ID: hashed(secret), Owner: owner, Value: value, Expires: s.expires()}, err
}

// hashed is what is kept of a secret of 256 random bits.
func hashed(secret string) string { return string(record.DigestOf([]byte(secret))) }

// Session returns the session of a secret, and notes that it is in use. What
// has ended, and whose principal or token no longer stands, is refused with the
// code [wire.SignIn].
func (r *Registry) Session(ctx context.Context, secret string) (Session, error) {
	now := record.Millis(r.now())
	kept, ok, err := r.store.Recall(ctx, spaceSession, hashed(secret), now)
	if err != nil {
		return Session{}, err
	}
	if !ok {
		return Session{}, signInAgain()
	}
	var s sessionState
	if err := json.Unmarshal(kept.Value, &s); err != nil {
		return Session{}, err
	}
	who, err := r.callerOf(ctx, kept.Owner, s)
	if err != nil {
		return Session{}, err
	}
	if now.Sub(s.Seen) >= noticeEvery {
		s.Seen = now
		if kept, err = sessionAside(secret, kept.Owner, s); err != nil {
			return Session{}, err
		}
		if err := r.store.Renew(ctx, kept, now); err != nil {
			return Session{}, err
		}
	}
	return Session{Caller: who, By: s.By, Started: s.Started, Expires: s.expires()}, nil
}

// callerOf is who acts in a session now.
func (r *Registry) callerOf(ctx context.Context, name string, s sessionState) (Caller, error) {
	me, now, err := r.person(ctx, name)
	if err != nil {
		return Caller{}, err
	}
	who := Caller{Name: name, Type: me.Principal.Type, Method: record.MethodSession}
	if who.stands(me, now) != nil {
		return Caller{}, signInAgain()
	}
	if s.Token == "" {
		return who, nil
	}
	var token record.Token
	err = r.read(ctx, who, func(t *tx) error {
		stated, ok, err := lineage.Last[record.Token](t, record.KeyToken(s.Token))
		if err == nil && (!ok || stated.Record.Revoked || !record.Stands(time.Time{}, stated.Record.Expires, now)) {
			return signInAgain()
		}
		token = stated.Record
		return err
	})
	who.Method, who.Scopes = record.MethodToken, token.Scopes
	return who, err
}

func signInAgain() error {
	return refusef(wire.SignIn, "the session has ended; sign in again")
}

// SignOut ends a session.
func (r *Registry) SignOut(ctx context.Context, secret string) error {
	_, _, err := r.store.Take(ctx, spaceSession, hashed(secret), record.Millis(r.now()))
	return err
}

// SignOutEverywhere ends all sessions of a principal: everyone their own, an
// administrator anybody's.
func (r *Registry) SignOutEverywhere(ctx context.Context, who Caller, name string) error {
	err := r.read(ctx, who, func(t *tx) error {
		if name != who.Name {
			return t.may(actToken, record.AllTeams)
		}
		return t.stands()
	})
	if err != nil {
		return err
	}
	return r.store.Forget(ctx, spaceSession, name)
}

// Ways are the ways in which a person can sign in.
type Ways struct {
	Password bool
	Passkeys []record.Recorded[record.PrincipalKey]
}

// WaysOf returns how the caller can sign in.
func (r *Registry) WaysOf(ctx context.Context, who Caller) (Ways, error) {
	var w Ways
	err := r.read(ctx, who, func(t *tx) error {
		c, err := t.credential(who.Name, record.CredentialPassword)
		w.Password = c.Principal != "" && !c.Withdrawn
		if err == nil {
			w.Passkeys, err = t.passkeys(who.Name)
		}
		return err
	})
	return w, err
}
