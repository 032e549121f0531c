package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"imprimatur.dev/attest"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Spaces of the store for passkeys: what was asked of one, by challenge, so
// that each challenge is answered once; and how often each has signed.
const (
	spaceEnrolment = "passkey-enrolment"
	spaceChallenge = "passkey-challenge"
	spaceAsked     = "passkey-asked"
	spaceCount     = "passkey-count"
)

// Site is where passkeys belong: the domain of the installation and the origin
// of its pages.
type Site struct{ ID, Origin string }

// SiteOf returns the site of the address at which browsers reach an
// installation.
func SiteOf(at *url.URL) (Site, error) {
	if at == nil {
		return Site{}, refusef(wire.Unavailable, "passkeys need to know the address of this installation; start it with imprimatur serve --url")
	}
	host := at.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || (at.Scheme != "https" && host != "localhost") {
		return Site{}, refusef(wire.Invalid, "browsers make passkeys for a name over https, or for http://localhost, and this installation is at %s; give its address with imprimatur serve --url", at)
	}
	return Site{ID: host, Origin: at.Scheme + "://" + at.Host}, nil
}

// passkeyUser is a person as the library that makes passkeys knows them.
type passkeyUser struct {
	name string
	has  []webauthn.Credential
}

// WebAuthnID implements webauthn.User. One handle for each person lets an
// authenticator replace their passkey instead of keeping two.
func (u passkeyUser) WebAuthnID() []byte {
	sum := sha256.Sum256([]byte("imprimatur principal " + u.name))
	return sum[:]
}

// WebAuthnName implements webauthn.User.
func (u passkeyUser) WebAuthnName() string { return u.name }

// WebAuthnDisplayName implements webauthn.User.
func (u passkeyUser) WebAuthnDisplayName() string { return u.name }

// WebAuthnCredentials implements webauthn.User.
func (u passkeyUser) WebAuthnCredentials() []webauthn.Credential { return u.has }

func ceremonies(at Site) (*webauthn.WebAuthn, error) {
	return webauthn.New(&webauthn.Config{
		RPID: at.ID, RPDisplayName: "Imprimatur", RPOrigins: []string{at.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
}

// BeginPasskey asks the caller's browser for a new passkey: the answer is the
// options in JSON (W3C Web Authentication Level 3, section 5.1.8).
func (r *Registry) BeginPasskey(ctx context.Context, in Session, at Site) ([]byte, error) {
	if err := r.mayChangeWays(in); err != nil {
		return nil, err
	}
	ceremony, err := ceremonies(at)
	if err != nil {
		return nil, err
	}
	user := passkeyUser{name: in.Caller.Name}
	mine, err := r.passkeysOf(ctx, in.Caller, in.Caller.Name)
	if err != nil {
		return nil, err
	}
	var has []protocol.CredentialDescriptor
	for _, k := range mine {
		if id, err := base64.RawURLEncoding.DecodeString(k.Record.KeyID); err == nil {
			has = append(has, protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: id})
		}
	}
	creation, state, err := ceremony.BeginRegistration(user, webauthn.WithExclusions(has))
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	if err := r.ask(ctx, spaceEnrolment, state.Challenge, user.name, value); err != nil {
		return nil, err
	}
	return json.Marshal(creation.Response)
}

// ask keeps what a passkey was asked, until it has answered once.
func (r *Registry) ask(ctx context.Context, space, id, owner string, value []byte) error {
	now := record.Millis(r.now())
	return r.store.Keep(ctx, store.Aside{Space: space, ID: id, Owner: owner, Value: value, Expires: now.Add(record.AskedWithin)}, now)
}

// FinishPasskey enrols the passkey that the caller's browser made. Its public
// key is stated, so that whatever it signs can be checked from the ledger alone.
func (r *Registry) FinishPasskey(ctx context.Context, in Session, at Site, purpose string, response []byte) (record.Recorded[record.PrincipalKey], error) {
	var none record.Recorded[record.PrincipalKey]
	if err := r.mayChangeWays(in); err != nil {
		return none, err
	}
	who := in.Caller
	made, err := r.passkeyMade(ctx, who.Name, at, response)
	if err != nil {
		return none, err
	}
	k := record.PrincipalKey{
		Principal: who.Name, KeyID: base64.RawURLEncoding.EncodeToString(made.ID), Type: record.KeyPasskey,
		Public: made.PublicKey, Site: at.ID, Origin: at.Origin, Purpose: purpose,
	}
	return command[record.PrincipalKey](ctx, r, who, func(t *tx) error {
		if err := t.mayEnrolKey(who.Name); err != nil {
			return err
		}
		before, err := t.Find(record.KeyPrincipalKey(k.KeyID))
		if err != nil {
			return err
		}
		if len(before) > 0 {
			return refusef(wire.Conflict, "the passkey %s was enrolled before; make a new one", k.KeyID)
		}
		t.before = func() error { return r.noteCount(ctx, k, made.Authenticator.SignCount) }
		return t.state(k)
	})
}

// passkeyMade checks a browser's answer to what BeginPasskey asked.
func (r *Registry) passkeyMade(ctx context.Context, name string, at Site, response []byte) (*webauthn.Credential, error) {
	refused := func(err error) (*webauthn.Credential, error) {
		var detailed *protocol.Error
		if errors.As(err, &detailed) && detailed.DevInfo != "" {
			return nil, refusef(wire.Invalid, "the passkey was not enrolled: %s (%s); try again", detailed.Details, detailed.DevInfo)
		}
		return nil, refusef(wire.Invalid, "the passkey was not enrolled: %w; try again", err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return refused(err)
	}
	kept, ok, err := r.store.Take(ctx, spaceEnrolment, parsed.Response.CollectedClientData.Challenge, record.Millis(r.now()))
	if err != nil {
		return nil, err
	}
	if !ok || kept.Owner != name {
		return refused(errors.New("it answers nothing that was asked within the last minutes"))
	}
	var state webauthn.SessionData
	if err := json.Unmarshal(kept.Value, &state); err != nil {
		return nil, err
	}
	ceremony, err := ceremonies(at)
	if err != nil {
		return nil, err
	}
	made, err := ceremony.CreateCredential(passkeyUser{name: name}, state, parsed)
	if err != nil {
		return refused(err)
	}
	if err := attest.CheckPasskey(made.PublicKey); err != nil {
		return refused(err)
	}
	return made, nil
}

// passkeysOf returns the passkeys of a principal that stand.
func (r *Registry) passkeysOf(ctx context.Context, who Caller, name string) (out []record.Recorded[record.PrincipalKey], err error) {
	err = r.read(ctx, who, func(t *tx) error {
		out, err = t.passkeys(name)
		return err
	})
	return out, err
}

func (t *tx) passkeys(name string) ([]record.Recorded[record.PrincipalKey], error) {
	all, err := lineage.All[record.PrincipalKey](t, record.KeyPrincipalKeys(name))
	last := map[string]record.Recorded[record.PrincipalKey]{}
	var order []string
	for _, k := range all {
		if _, ok := last[k.Record.KeyID]; !ok {
			order = append(order, k.Record.KeyID)
		}
		last[k.Record.KeyID] = k
	}
	var out []record.Recorded[record.PrincipalKey]
	for _, id := range order {
		if k := last[id]; k.Record.Type == record.KeyPasskey && k.Record.Stands(t.now) {
			out = append(out, k)
		}
	}
	return out, err
}

// passkeyRequest asks a browser for an assertion (section 5.1.8 of the
// specification, PublicKeyCredentialRequestOptionsJSON).
type passkeyRequest struct {
	Challenge        string           `json:"challenge"`
	RPID             string           `json:"rpId"`
	Timeout          int64            `json:"timeout"`
	UserVerification string           `json:"userVerification"`
	Allowed          []passkeyAllowed `json:"allowCredentials"`
}

type passkeyAllowed struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

func requestOptions(challenge []byte, site string, keys []record.Recorded[record.PrincipalKey]) ([]byte, error) {
	out := passkeyRequest{
		Challenge: base64.RawURLEncoding.EncodeToString(challenge), RPID: site,
		Timeout: record.AskedWithin.Milliseconds(), UserVerification: "required", Allowed: []passkeyAllowed{},
	}
	for _, k := range keys {
		if k.Record.Site == site {
			out.Allowed = append(out.Allowed, passkeyAllowed{"public-key", k.Record.KeyID})
		}
	}
	return json.Marshal(out)
}

// BeginPasskeySignIn asks whoever is at a browser for a passkey of theirs.
func (r *Registry) BeginPasskeySignIn(ctx context.Context, at Site) ([]byte, error) {
	challenge := make([]byte, 32)
	// crypto/rand.Read never fails on the systems that Go supports; it aborts.
	_, _ = rand.Read(challenge)
	if err := r.ask(ctx, spaceChallenge, base64.RawURLEncoding.EncodeToString(challenge), "", []byte(at.ID)); err != nil {
		return nil, err
	}
	return requestOptions(challenge, at.ID, nil)
}

// SignInByPasskey begins a session with a passkey's answer.
func (r *Registry) SignInByPasskey(ctx context.Context, a record.Assertion) (secret string, err error) {
	challenge, err := attest.ChallengeOf(a)
	if err != nil {
		return "", refusef(wire.SignIn, "%w; try again", err)
	}
	_, ok, err := r.store.Take(ctx, spaceChallenge, base64.RawURLEncoding.EncodeToString(challenge), record.Millis(r.now()))
	if err != nil {
		return "", err
	}
	if !ok {
		return "", refusef(wire.SignIn, "the passkey answered nothing that was asked within the last minutes; try again")
	}
	var key record.PrincipalKey
	err = r.read(ctx, Caller{}, func(t *tx) error {
		stated, _, err := lineage.Last[record.PrincipalKey](t, record.KeyPrincipalKey(a.Key))
		key = stated.Record
		return err
	})
	if err != nil {
		return "", err
	}
	me, now, err := r.person(ctx, key.Principal)
	if err != nil {
		return "", err
	}
	who := Caller{Name: key.Principal, Type: me.Principal.Type, Method: record.MethodSession}
	if key.Principal == "" || !key.Stands(now) || who.stands(me, now) != nil {
		return "", refusef(wire.SignIn, "this passkey is not enrolled here, or was withdrawn; sign in otherwise, or ask an administrator for a link: imprimatur principal invite NAME")
	}
	count, err := attest.VerifyAssertion(key, a, challenge)
	if err != nil {
		return "", refusef(wire.SignIn, "%w; try again", err)
	}
	if err := r.counted(ctx, key, count); err != nil {
		return "", err
	}
	if err := r.noteCount(ctx, key, count); err != nil {
		return "", err
	}
	return r.openSession(ctx, who, sessionState{By: ByPasskey})
}

// noteCount keeps how often a passkey has signed, counted refuses a count that does
// not grow: another device has the same key. Many passkeys do not count, and say 0.
func (r *Registry) noteCount(ctx context.Context, key record.PrincipalKey, count uint32) error {
	value, err := json.Marshal(count)
	if err != nil {
		return err
	}
	return r.store.Keep(ctx, store.Aside{Space: spaceCount, ID: key.KeyID, Owner: key.Principal, Value: value}, record.Millis(r.now()))
}

func (r *Registry) counted(ctx context.Context, key record.PrincipalKey, count uint32) error {
	kept, ok, err := r.store.Recall(ctx, spaceCount, key.KeyID, record.Millis(r.now()))
	if err != nil || !ok {
		return err
	}
	var before uint32
	if err := json.Unmarshal(kept.Value, &before); err != nil {
		return err
	}
	if (count > 0 || before > 0) && count <= before {
		return refusef(wire.Forbidden, "the passkey %s of %s says that it signed %d times, and %d were seen: it may have been copied; withdraw it with imprimatur principal key withdraw, and enrol another", key.KeyID, key.Principal, count, before)
	}
	return nil
}

// AskPasskey asks the caller for a passkey's assertion to what they are about
// to say of a release. The challenge is [record.Approval.Challenge]: the
// assertion is for that approval, and for no other.
func (r *Registry) AskPasskey(ctx context.Context, who Caller, at Site, in wire.Word) (options []byte, err error) {
	who.Method = record.MethodPasskey
	var asked record.Approval
	var keys []record.Recorded[record.PrincipalKey]
	err = r.read(ctx, who, func(t *tx) error {
		if asked, _, err = t.word(in, t.now); err != nil {
			return err
		}
		asked.Asked = t.now
		if keys, err = t.passkeys(who.Name); err != nil {
			return err
		}
		if len(keys) == 0 {
			return refusef(wire.Forbidden, "%s has no passkey; enrol one on the page %s", who.Name, WaysPath)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	challenge, err := asked.Challenge()
	if err != nil {
		return nil, err
	}
	raw, err := challenge.Bytes()
	if err != nil {
		return nil, err
	}
	value, err := record.CanonicalOf(asked)
	if err != nil {
		return nil, err
	}
	if err := r.ask(ctx, spaceAsked, string(challenge), who.Name, value); err != nil {
		return nil, err
	}
	return requestOptions(raw, at.ID, keys)
}

// takeAsked returns the approval that an assertion answers, which can be had
// once.
func (r *Registry) takeAsked(ctx context.Context, who Caller, a record.Assertion) (*record.Approval, error) {
	challenge, err := attest.ChallengeOf(a)
	if err != nil || len(challenge) != sha256.Size {
		return nil, refusef(wire.Invalid, "the passkey's assertion cannot be read; approve again")
	}
	id := record.DigestFromHex(hex.EncodeToString(challenge))
	kept, ok, err := r.store.Take(ctx, spaceAsked, string(id), record.Millis(r.now()))
	if err != nil {
		return nil, err
	}
	if !ok || kept.Owner != who.Name {
		return nil, refusef(wire.Conflict, "the passkey answered nothing that %s was asked within the last %d minutes; an assertion counts once: approve again", who.Name, int(record.AskedWithin/time.Minute))
	}
	var asked record.Approval
	return &asked, json.Unmarshal(kept.Value, &asked)
}

// speakByPasskey states the approval that was asked for, if it is still what
// the caller would say now.
func (t *tx) speakByPasskey(ctx context.Context, in wire.Word, asked *record.Approval) error {
	t.who.Method = record.MethodPasskey
	now, _, err := t.word(in, asked.Asked)
	if err != nil {
		return err
	}
	now.Asked = asked.Asked
	was, err := asked.Challenge()
	if err != nil {
		return err
	}
	if is, err := now.Challenge(); err != nil || is != was {
		return errors.Join(err, refusef(wire.Conflict, "what %s was asked for is no longer what would be said of %s: it changed, or the form did; look again, and approve again", t.who.Name, in.Release))
	}
	used, err := t.Find(record.KeyAssertion(was))
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return refusef(wire.Conflict, "this assertion was used before; approve again")
	}
	now.Assertion = in.Assertion
	stated, _, err := lineage.Last[record.PrincipalKey](t, record.KeyPrincipalKey(in.Assertion.Key))
	if err != nil {
		return err
	}
	count, err := attest.VerifyApproval(stated.Record, now, t.who.Name, t.now)
	if err != nil {
		return refusef(wire.Forbidden, "%w; approve again, with a passkey of yours that is enrolled", err)
	}
	if err := t.reg.counted(ctx, stated.Record, count); err != nil {
		return err
	}
	t.before = func() error { return t.reg.noteCount(ctx, stated.Record, count) }
	return t.spoken(now)
}
