package server_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/attest"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/browsertest"
	"imprimatur.dev/verify"
	"imprimatur.dev/wire"
)

// visited is a house that a browser visits at http://localhost, where passkeys
// can be made.
type visited struct {
	*house
	*browsertest.Browser
	at *url.URL
}

func visit(t *testing.T, h *house) *visited {
	t.Helper()
	at := must[*url.URL](t)(url.Parse(servedAt(t, h)))
	return &visited{h, browsertest.Open(t), at}
}

// servedAt serves a house once more, at an address that it knows.
func servedAt(t *testing.T, h *house) string {
	t.Helper()
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	at := must[*url.URL](t)(server.Address("", l.Addr()))
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: server.New(h.reg, server.Options{URL: at})}}
	s.Start()
	t.Cleanup(s.Close)
	return at.String()
}

const phrase = "seven tall herons wade"

func TestWelcomeAndPasswordInABrowser(t *testing.T) {
	h := settle(t)
	v := visit(t, h)
	link := must[wire.Invitation](t)(h.admin.Invite(h.ctx, "rita"))
	v.Go(v.at.String() + link.Path)
	v.Says("made for rita")
	v.Follow("main form button")
	v.Type("#password", phrase)
	v.Follow("form[action='/sign-in/password'] button")
	v.Says("Your password is set")
	v.Go(v.at.String() + "/")
	v.Follow("form[action='/sign-out'] button")
	v.Go(v.at.String() + "/releases?state=open")
	if at := v.Location(); !strings.Contains(at, "/sign-in?next=") {
		t.Fatalf("somebody who is signed out is at %s", at)
	}
	v.Type("#name", "rita")
	v.Type("#password", phrase+"r")
	v.Follow("main form button")
	v.Says("do not fit")
	v.Type("#password", phrase)
	v.Follow("main form button")
	if at := v.Location(); at != v.at.String()+"/releases?state=open" {
		t.Fatalf("after the sign-in rita is at %s", at)
	}
	v.Go(v.at.String() + link.Path)
	v.Says("this link was used")
	if ways := must[registry.Ways](t)(h.reg.WaysOf(h.ctx, registry.Caller{Name: "rita", Type: record.Human})); !ways.Password {
		t.Error("rita has no password")
	}
}

// enrolled signs a person in by an invitation and enrols a passkey.
func (v *visited) enrolled(name string) {
	v.house.Helper()
	link := must[wire.Invitation](v.house)(v.admin.Invite(v.house.ctx, name))
	v.Go(v.at.String() + link.Path)
	v.Follow("main form button")
	v.Authenticator()
	v.Type("#purpose", "this laptop")
	v.Follow("form[data-passkey=enrol] button")
	v.Says("The passkey is enrolled", "this laptop")
}

func TestSignInByPasskeyInABrowser(t *testing.T) {
	h := settle(t)
	v := visit(t, h)
	v.enrolled("rita")
	v.Go(v.at.String() + "/")
	v.Follow("form[action='/sign-out'] button")
	v.Go(v.at.String() + "/sign-in?next=/releases")
	v.Verified(false)
	v.Click("form[data-passkey=sign-in] button")
	v.Wait("form[data-passkey=sign-in] [role=alert]:not(:empty)")
	v.Says("The passkey was not used")
	v.Verified(true)
	v.Follow("form[data-passkey=sign-in] button")
	if at := v.Location(); at != v.at.String()+"/releases" {
		t.Fatalf("after the sign-in rita is at %s", at)
	}
	v.Says("rita")
	// Withdrawn, it opens nothing.
	keys := must[registry.Ways](t)(h.reg.WaysOf(h.ctx, registry.Caller{Name: "rita", Type: record.Human})).Passkeys
	if len(keys) != 1 || keys[0].Record.Site != "localhost" || keys[0].Record.Origin != v.at.String() {
		t.Fatalf("rita has %+v", keys)
	}
	must[record.Recorded[record.PrincipalKey]](t)(h.people["rita"].WithdrawKey(h.ctx, keys[0].Record.KeyID, wire.Stop{Reason: "lost"}))
	v.Go(v.at.String() + "/")
	v.Follow("form[action='/sign-out'] button")
	v.Click("form[data-passkey=sign-in] button")
	v.Wait("form[data-passkey=sign-in] [role=alert]:not(:empty)")
	v.Says("was withdrawn")
}

// TestApprovalByPasskeyInABrowser takes a release through a seat that only a
// passkey fills, and verifies its bundle with nothing but the ledger's key.
func TestApprovalByPasskeyInABrowser(t *testing.T) {
	h := settle(t)
	strict := strings.Replace(rules, "{ role: risk, count: 1, covers: [behaviour, data, context] }", "{ role: risk, count: 1, covers: [behaviour, data, context], passkey: required }", 1)
	must[wire.Published](t)(h.people["rita"].PublishPolicy(h.ctx, wire.PolicyFile{Text: strict, Reason: "risk signs with a passkey"}))
	h.evaluate(h.train("1"))
	c := must[wire.Case](t)(h.propose("1"))
	must[wire.Case](t)(h.approve("olga", record.ModelOwner, c))
	must[wire.Case](t)(h.approve("sam", record.Security, c))
	_, err := h.approve("rita", record.Risk, c)
	h.refused(err, wire.Forbidden, "policy house asks risk for a passkey")

	v := visit(t, h)
	v.enrolled("rita")
	v.Go(v.at.String() + "/releases/" + c.ID)
	v.Type("#d-reason", "I read the evidence.")
	v.Follow("button[value=approve]")
	if at := v.Location(); !strings.Contains(at, "done=approve") {
		t.Fatalf("after the approval rita is at %s", at)
	}
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))

	trust := must[attest.Trust](t)(attest.ParseTrust([]byte(h.reg.VerifierKey() + "\n")))
	b := must[*verify.Bundle](t)(h.reg.Bundle(h.ctx, registry.Caller{Name: "rita", Type: record.Human}, c.ID))
	r := verify.Verify(b, trust, verify.Options{Environment: "production"})
	if !r.OK || !slices.ContainsFunc(r.Checks, func(c verify.Check) bool { return c.Name == verify.CheckPasskeys && c.OK }) {
		t.Fatalf("the bundle does not verify: %+v", r)
	}
	approval, key := passkeyIn(t, b)
	keepVector(t, key, approval)
	// The same assertion once more, and for other words.
	for _, reason := range []string{"I read the evidence.", "anything"} {
		_, err = h.reg.Approve(h.ctx, registry.Caller{Name: "rita", Type: record.Human, Method: record.MethodSession}, wire.Word{
			Release: c.ID, Record: c.Digests.Record, Role: record.Risk, Decision: record.Approve, Reason: reason, Assertion: approval.Record.Assertion,
		})
		if registry.CodeOf(err) != wire.Conflict {
			t.Errorf("the assertion counted twice: %v", err)
		}
	}
}

// passkeyIn returns the approval by passkey of a bundle, and its key.
func passkeyIn(t *testing.T, b *verify.Bundle) (a record.Recorded[record.Approval], key record.PrincipalKey) {
	t.Helper()
	for _, e := range b.Entries {
		s := must[record.Statement](t)(attest.DecodeStatement(e.Payload))
		switch body := s.Body.(type) {
		case record.Approval:
			if body.Assertion != nil {
				a = record.Recorded[record.Approval]{Record: body, Actor: s.Actor, Time: s.Time}
			}
		case record.PrincipalKey:
			key = body
		}
	}
	if a.Record.Assertion == nil || key.KeyID == "" {
		t.Fatal("the bundle holds no approval by passkey, or not its key")
	}
	return a, key
}

// keepVector writes what the browser made where VECTOR says, for the tests of
// package attest.
func keepVector(t *testing.T, key record.PrincipalKey, a record.Recorded[record.Approval]) {
	t.Helper()
	if path := os.Getenv("VECTOR"); path != "" {
		raw := must[[]byte](t)(json.Marshal(map[string]any{"key": key, "approval": a.Record, "actor": a.Actor, "time": a.Time}, json.Deterministic(true), jsontext.WithIndent("  ")))
		if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
