package registry_test

import (
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

const phrase = "seven tall herons wade"

// linkOf is the secret part of an invitation.
func linkOf(in wire.Invitation) string { return strings.TrimPrefix(in.Path, registry.WelcomePath) }

// session follows a secret.
func (h *house) session(secret string) registry.Session {
	h.Helper()
	return must[registry.Session](h)(h.reg.Session(h.ctx, secret))
}

func TestAnInvitationWorksOnceAndExpires(t *testing.T) {
	h := open(t)
	first := must[wire.Invitation](t)(h.reg.Invite(h.ctx, administrator, "rita"))
	second := must[wire.Invitation](t)(h.reg.Invite(h.ctx, administrator, "rita"))
	_, err := h.reg.SignInByInvitation(h.ctx, linkOf(first))
	h.refused(err, wire.SignIn, "this link was used, has expired") // the second took its place
	if name := must[string](t)(h.reg.Invited(h.ctx, linkOf(second))); name != "rita" {
		t.Errorf("it was made for %q", name)
	}
	s := h.session(must[string](t)(h.reg.SignInByInvitation(h.ctx, linkOf(second))))
	if s.Caller.Name != "rita" || s.By != registry.ByInvitation {
		t.Errorf("the session is %+v", s)
	}
	_, err = h.reg.SignInByInvitation(h.ctx, linkOf(second))
	h.refused(err, wire.SignIn, "this link was used")
	third := must[wire.Invitation](t)(h.reg.Invite(h.ctx, administrator, "rita"))
	h.clock.turn(third.Expires.Sub(h.clock.now()))
	_, err = h.reg.SignInByInvitation(h.ctx, linkOf(third))
	h.refused(err, wire.SignIn)
	_, err = h.reg.Invite(h.ctx, administrator, "robot")
	h.refused(err, wire.Invalid, "is a workload", "imprimatur principal token robot")
	_, err = h.reg.Invite(h.ctx, administrator, "nobody")
	h.refused(err, wire.Unknown, "imprimatur principal enrol nobody")
}

func TestPasswords(t *testing.T) {
	h := open(t)
	link := linkOf(must[wire.Invitation](t)(h.reg.Invite(h.ctx, administrator, "rita")))
	invited := must[string](t)(h.reg.SignInByInvitation(h.ctx, link))
	for password, says := range map[string]string{
		"short phrase": "15 to 200 characters", strings.Repeat("a", 201): "15 to 200 characters", "\xff" + phrase: "15 to 200 characters",
		"passwordpassword": "guessed first", "ritaritaritaritarita": "guessed first", "abababababababab": "guessed first",
	} {
		_, err := h.reg.SetPassword(h.ctx, h.session(invited), "", password)
		h.refused(err, wire.Invalid, says)
	}
	secret := must[string](t)(h.reg.SetPassword(h.ctx, h.session(invited), "", phrase))
	if _, err := h.reg.Session(h.ctx, invited); registry.CodeOf(err) != wire.SignIn {
		t.Errorf("the session of the link outlives the password: %v", err)
	}
	if s := h.session(must[string](t)(h.reg.SignInByPassword(h.ctx, "rita", phrase))); s.Caller.Name != "rita" || s.By != registry.ByPassword || s.Caller.Method != record.MethodSession {
		t.Errorf("the session is %+v", s)
	}
	// A wrong password and an unknown name have one answer.
	_, wrong := h.reg.SignInByPassword(h.ctx, "rita", phrase+"s")
	_, unknown := h.reg.SignInByPassword(h.ctx, "nobody", phrase)
	_, none := h.reg.SignInByPassword(h.ctx, "sam", "")
	if h.refused(wrong, wire.SignIn, "do not fit"); wrong.Error() != unknown.Error() || wrong.Error() != none.Error() {
		t.Errorf("the answers differ: %v, %v, %v", wrong, unknown, none)
	}
	// A change asks for the one until now, and for a fresh session.
	_, err := h.reg.SetPassword(h.ctx, h.session(secret), "wrong", phrase+" deep")
	h.refused(err, wire.Forbidden, "not the password until now")
	secret = must[string](t)(h.reg.SetPassword(h.ctx, h.session(secret), phrase, phrase+" deep"))
	_, err = h.reg.SignInByPassword(h.ctx, "rita", phrase)
	h.refused(err, wire.SignIn)
	h.clock.turn(31 * time.Minute)
	_, err = h.reg.SetPassword(h.ctx, h.session(secret), phrase+" deep", phrase)
	h.refused(err, wire.Forbidden, "sign out and in again")
	// What was stated says that it was set, and no more.
	var told []string
	for _, e := range must[wire.Page](t)(h.reg.List(h.ctx, rita, record.KindCredential, 0, 0)).Entries {
		told = append(told, string(e.Record))
	}
	if all := strings.Join(told, "\n"); strings.Count(all, `"password"`) != 2 || strings.Contains(all, "argon2") || strings.Contains(all, phrase) {
		t.Errorf("the ledger says:\n%s", all)
	}
	must[record.Recorded[record.Principal]](t)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: "rita", Type: record.Human, Disabled: true}))
	_, err = h.reg.SignInByPassword(h.ctx, "rita", phrase+" deep")
	if h.refused(err, wire.SignIn); err.Error() != wrong.Error() {
		t.Errorf("somebody who is disabled is told: %v", err)
	}
}
