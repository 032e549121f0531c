package registry

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Bounds of a password, and no rule on what it is composed of (NIST SP
// 800-63B-4 section 3.1.1.2: at least 15 characters where it is the only
// factor, at least 64 allowed).
const (
	MinPassword = 15
	MaxPassword = 200
)

// The parameters of Argon2id are the second recommended option of RFC 9106
// section 4, for where memory is not plenty: 3 passes, 4 lanes, 64 MiB, a salt
// of 16 bytes and a tag of 32.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	argonSalt    = 16
	argonTag     = 32
	// argonAtOnce bounds how many passwords are hashed at once, and so the memory.
	argonAtOnce = 4
)

const spacePassword = "password"

// freshFor is how long after a sign-in somebody may change how they sign in.
const freshFor = 30 * time.Minute

// SignInByPassword begins a session with a name and a password. An unknown name
// takes as long as a known one and has the same answer.
func (r *Registry) SignInByPassword(ctx context.Context, name, password string) (secret string, err error) {
	kept, ok, err := r.store.Recall(ctx, spacePassword, name, record.Millis(r.now()))
	if err != nil {
		return "", err
	}
	hash := string(kept.Value)
	if !ok {
		hash = nobodysHash
	}
	fits, err := r.fits(ctx, hash, password)
	if err != nil {
		return "", err
	}
	me, now, err := r.person(ctx, name)
	if err != nil {
		return "", err
	}
	who := Caller{Name: name, Type: me.Principal.Type, Method: record.MethodSession}
	if !fits || !ok || who.stands(me, now) != nil {
		return "", refusef(wire.SignIn, "the name and the password do not fit; an administrator can send a new link: imprimatur principal invite NAME")
	}
	var stated record.Credential
	err = r.read(ctx, who, func(t *tx) error { stated, err = t.credential(name, record.CredentialPassword); return err })
	if err != nil {
		return "", err
	}
	if stated.Principal == "" || stated.Withdrawn {
		return "", refusef(wire.SignIn, "the password of %s was withdrawn; an administrator can send a new link: imprimatur principal invite %s", name, name)
	}
	return r.openSession(ctx, who, sessionState{By: ByPassword})
}

// credential is the newest of a type that was stated of a principal, or the
// zero value.
func (t *tx) credential(name, typ string) (record.Credential, error) {
	all, err := lineage.All[record.Credential](t, record.KeyCredentials(name))
	for _, c := range slices.Backward(all) {
		if c.Record.Type == typ {
			return c.Record, err
		}
	}
	return record.Credential{}, err
}

// SetPassword sets the password of whose session it is, ends all of their
// sessions, and begins a new one. That it was set is stated; its hash stands
// beside the ledger. Whoever has a password already shows it, unless they came
// by an invitation.
func (r *Registry) SetPassword(ctx context.Context, in Session, before, password string) (secret string, err error) {
	who := in.Caller
	if err := r.mayChangeWays(in); err != nil {
		return "", err
	}
	if err := passwordFault(who.Name, password); err != nil {
		return "", err
	}
	kept, has, err := r.store.Recall(ctx, spacePassword, who.Name, record.Millis(r.now()))
	if err != nil {
		return "", err
	}
	if has && in.By != ByInvitation {
		fits, err := r.fits(ctx, string(kept.Value), before)
		if err != nil {
			return "", err
		}
		if !fits {
			return "", refusef(wire.Forbidden, "that is not the password until now; give it, or ask an administrator for a new link: imprimatur principal invite %s", who.Name)
		}
	}
	hash, err := r.hash(ctx, password)
	if err != nil {
		return "", err
	}
	_, err = command[record.Credential](ctx, r, who, func(t *tx) error {
		if err := t.stands(); err != nil {
			return err
		}
		// The hash is kept first: one that is not stated opens nothing.
		t.before = func() error {
			return r.store.Keep(ctx, store.Aside{Space: spacePassword, ID: who.Name, Owner: who.Name, Value: []byte(hash)}, t.now)
		}
		return t.state(record.Credential{Principal: who.Name, Type: record.CredentialPassword})
	})
	if err != nil {
		return "", err
	}
	if err := r.store.Forget(ctx, spaceSession, who.Name); err != nil {
		return "", err
	}
	who.Method, who.Scopes = record.MethodSession, nil
	return r.openSession(ctx, who, sessionState{By: ByPassword})
}

// mayChangeWays refuses to change how somebody signs in where the session is
// limited or not fresh: a browser left open is not enough.
func (r *Registry) mayChangeWays(in Session) error {
	if len(in.Caller.Scopes) > 0 && !slices.Contains(in.Caller.Scopes, record.ScopeWrite) {
		return refusef(wire.Forbidden, "the token of %s is limited and may not change how %s signs in; sign in otherwise", in.Caller.Name, in.Caller.Name)
	}
	if r.now().Sub(in.Started) > freshFor {
		return refusef(wire.Forbidden, "%s signed in more than %d minutes ago; sign out and in again before changing how you sign in", in.Caller.Name, int(freshFor.Minutes()))
	}
	return nil
}

// tooCommon are beginnings of long passwords that guessers try first.
var tooCommon = []string{"password", "passwort", "qwertyuiop", "1234567890", "correcthorsebatterystaple", "iloveyou", "letmein", "administrator", "imprimatur", "changeme", "welcome"}

// passwordFault refuses a password that is too short, or that is made of what a
// guesser tries first.
func passwordFault(name, password string) error {
	p := norm.NFKC.String(password)
	n := utf8.RuneCountInString(p)
	if !utf8.ValidString(password) || n < MinPassword || n > MaxPassword {
		return refusef(wire.Invalid, "a password has %d to %d characters; take a few words in a row", MinPassword, MaxPassword)
	}
	left := strings.ToLower(p)
	for _, common := range append(tooCommon, name) {
		left = strings.ReplaceAll(left, common, "")
	}
	seen := map[rune]bool{}
	for _, c := range left {
		seen[c] = true
	}
	const different = 6
	if len(seen) < different {
		return refusef(wire.Invalid, "the password is one that is guessed first: one of the common ones, your name, or few different characters; take another")
	}
	return nil
}

// nobodysHash is what the password of an unknown name is held against.
var nobodysHash = phc(make([]byte, argonSalt), make([]byte, argonTag))

// phc writes a hash in the form of the Password Hashing Competition.
func phc(salt, tag []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, b64(salt), b64(tag))
}

func (r *Registry) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, argonSalt)
	// crypto/rand.Read never fails on the systems that Go supports; it aborts.
	_, _ = rand.Read(salt)
	tag, err := r.argon(ctx, password, salt, argonTime, argonMemory, argonThreads)
	return phc(salt, tag), err
}

// fits compares a password with a hash that was kept, in constant time.
func (r *Registry) fits(ctx context.Context, hash, password string) (bool, error) {
	var version int
	var memory, passes uint32
	var lanes uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("a password's hash is kept in a form that is not known")
	}
	if _, err := fmt.Sscanf(parts[2]+"$"+parts[3], "v=%d$m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil || version != argon2.Version {
		return false, fmt.Errorf("a password's hash is kept in a form that is not known")
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("reading a password's hash: %w", err)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return false, fmt.Errorf("reading a password's hash: %w", err)
	}
	got, err := r.argon(ctx, password, salt, passes, memory, lanes)
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1, err
}

func (r *Registry) argon(ctx context.Context, password string, salt []byte, passes, memory uint32, lanes uint8) ([]byte, error) {
	select {
	case r.argons <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-r.argons }()
	if len(password) > 4*MaxPassword {
		password = password[:4*MaxPassword]
	}
	return argon2.IDKey([]byte(norm.NFKC.String(password)), salt, passes, memory, lanes, argonTag), nil
}
