package attest_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"imprimatur.dev/attest"
	"imprimatur.dev/attest/passkeytest"
	"imprimatur.dev/record"
)

// vector is an approval as Chromium and its virtual authenticator signed it,
// kept by TestApprovalByPasskeyInABrowser.
type vector struct {
	Key      record.PrincipalKey `json:"key"`
	Approval record.Approval     `json:"approval"`
	Actor    string              `json:"actor"`
	Time     time.Time           `json:"time"`
}

func TestAnApprovalThatABrowserSigned(t *testing.T) {
	raw, err := os.ReadFile("testdata/passkey-chromium.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(raw, &v, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	if _, err := attest.VerifyApproval(v.Key, v.Approval, v.Actor, v.Time); err != nil {
		t.Fatal(err)
	}
	challenge, err := v.Approval.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	asked, err := challenge.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	agree(t, "the browser's", v.Key, *v.Approval.Assertion, asked, true)
	v.Approval.Reason += "!"
	if _, err := attest.VerifyApproval(v.Key, v.Approval, v.Actor, v.Time); err == nil {
		t.Error("the assertion serves another reason")
	}
}

// TestWeAgreeWithAnotherImplementation holds our check against go-webauthn's.
func TestWeAgreeWithAnotherImplementation(t *testing.T) {
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		p := passkeytest.New(t, algorithm)
		key := p.Key("rita")
		agree(t, algorithm, key, *p.Assert(t, asked), asked, true)
		for what, change := range map[string]func(*passkeytest.Said){
			"type": func(s *passkeytest.Said) { s.Type = "webauthn.create" }, "challenge": func(s *passkeytest.Said) { s.Challenge = "AAAA" },
			"origin": func(s *passkeytest.Said) { s.Origin = "https://evil.example" }, "site": func(s *passkeytest.Said) { s.Site = "evil.example" },
			"presence": func(s *passkeytest.Said) { s.Flags = 4 }, "verification": func(s *passkeytest.Said) { s.Flags = 1 },
			"frame": func(s *passkeytest.Said) { s.More = `,"crossOrigin":true` },
		} {
			agree(t, algorithm+" "+what, key, *p.Assert(t, asked, change), asked, false)
		}
		bad := p.Assert(t, asked)
		bad.Signature = slices.Concat(bad.Signature[:len(bad.Signature)-1], []byte{bad.Signature[len(bad.Signature)-1] ^ 1})
		agree(t, algorithm+" signature", key, *bad, asked, false)
	}
}

type holder struct{ has webauthn.Credential }

func (holder) WebAuthnID() []byte                           { return []byte("rita") }
func (holder) WebAuthnName() string                         { return "rita" }
func (holder) WebAuthnDisplayName() string                  { return "rita" }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return []webauthn.Credential{h.has} }

func agree(t *testing.T, what string, key record.PrincipalKey, a record.Assertion, challenge []byte, want bool) {
	t.Helper()
	_, ours := attest.VerifyAssertion(key, a, challenge)
	theirs := byLibrary(t, key, a, challenge)
	if (ours == nil) != want || (theirs == nil) != want {
		t.Errorf("%s: ours says %v, go-webauthn %v, want %v", what, ours, theirs, want)
	}
}

func byLibrary(t *testing.T, key record.PrincipalKey, a record.Assertion, challenge []byte) error {
	t.Helper()
	u := base64.RawURLEncoding.EncodeToString
	id, err := base64.RawURLEncoding.DecodeString(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{
		"id": a.Key, "rawId": a.Key, "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"authenticatorData": u(a.Authenticator), "clientDataJSON": u(a.Client), "signature": u(a.Signature)},
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(raw)
	if err != nil {
		return err
	}
	w, err := webauthn.New(&webauthn.Config{RPID: key.Site, RPDisplayName: "test", RPOrigins: []string{key.Origin}})
	if err != nil {
		t.Fatal(err)
	}
	has := webauthn.Credential{ID: id, PublicKey: bytes.Clone(key.Public)}
	has.Flags = webauthn.NewCredentialFlags(parsed.Response.AuthenticatorData.Flags)
	session := webauthn.SessionData{
		Challenge: u(challenge), RelyingPartyID: key.Site, UserID: []byte("rita"), AllowedCredentialIDs: [][]byte{id},
		Expires: time.Now().Add(time.Minute), UserVerification: protocol.VerificationRequired,
	}
	_, err = w.ValidateLogin(holder{has}, session, parsed)
	return err
}
