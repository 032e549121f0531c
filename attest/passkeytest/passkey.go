// Package passkeytest is a passkey in software, for tests: it makes the keys and
// assertions that a browser with an authenticator makes, and wrong ones too. The
// vectors of a real browser stand beside it in package attest's testdata.
package passkeytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"testing"

	"imprimatur.dev/record"
)

// Passkey is a key pair of a person at a site.
type Passkey struct {
	// Site and Origin are where it was made.
	Site, Origin string
	// Count is how often it has signed; it grows with each assertion.
	Count uint32

	id     []byte
	signer crypto.Signer
}

// New makes a passkey with a key of the algorithm "ES256", "EdDSA" or "RS256".
func New(tb testing.TB, algorithm string) *Passkey {
	tb.Helper()
	p := &Passkey{Site: "localhost", Origin: "http://localhost:8420", id: make([]byte, 16)}
	_, _ = rand.Read(p.id)
	var err error
	switch algorithm {
	case "ES256":
		p.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, p.signer, err = ed25519.GenerateKey(rand.Reader)
	case "RS256":
		p.signer, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("no algorithm %q", algorithm)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Key is the enrolment of the passkey for a principal.
func (p *Passkey) Key(principal string) record.PrincipalKey {
	return record.PrincipalKey{
		Principal: principal, KeyID: base64.RawURLEncoding.EncodeToString(p.id), Type: record.KeyPasskey,
		Public: p.cose(), Site: p.Site, Origin: p.Origin,
	}
}

// cose writes the public key as a COSE_Key.
func (p *Passkey) cose() []byte {
	switch k := p.signer.Public().(type) {
	case *ecdsa.PublicKey:
		raw, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		out := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}
		out = append(out, raw[1:33]...)
		return append(append(out, 0x22, 0x58, 0x20), raw[33:]...)
	case ed25519.PublicKey:
		return append([]byte{0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20}, k...)
	case *rsa.PublicKey:
		out := []byte{0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59, 0x01, 0x00}
		return append(append(out, k.N.Bytes()...), 0x21, 0x43, 0x01, 0x00, 0x01)
	}
	panic("no such key")
}

// Said is what an assertion is made from; a test changes it to make a wrong one.
type Said struct {
	Type, Challenge, Origin, Site string
	// More are members that follow in the client data, such as `,"crossOrigin":true`.
	More  string
	Flags byte
	Tail  []byte
}

// Assert answers a challenge, after the changes.
func (p *Passkey) Assert(tb testing.TB, challenge []byte, changes ...func(*Said)) *record.Assertion {
	tb.Helper()
	s := Said{"webauthn.get", base64.RawURLEncoding.EncodeToString(challenge), p.Origin, p.Site, `,"crossOrigin":false`, 0x05, nil}
	for _, change := range changes {
		change(&s)
	}
	p.Count++
	client := fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q%s}`, s.Type, s.Challenge, s.Origin, s.More)
	site := sha256.Sum256([]byte(s.Site))
	data := append(site[:], s.Flags)
	data = append(binary.BigEndian.AppendUint32(data, p.Count), s.Tail...)
	hash := sha256.Sum256(client)
	return &record.Assertion{
		Key: base64.RawURLEncoding.EncodeToString(p.id), Authenticator: data, Client: client,
		Signature: p.sign(tb, append(data[:len(data):len(data)], hash[:]...)),
	}
}

func (p *Passkey) sign(tb testing.TB, message []byte) []byte {
	tb.Helper()
	hash := crypto.SHA256
	digest := sha256.Sum256(message)
	signed := digest[:]
	if _, ok := p.signer.(ed25519.PrivateKey); ok {
		hash, signed = 0, message
	}
	signature, err := p.signer.Sign(rand.Reader, signed, hash)
	if err != nil {
		tb.Fatal(err)
	}
	return signature
}

// Approve gives an approval its assertion.
func (p *Passkey) Approve(tb testing.TB, a *record.Approval) {
	tb.Helper()
	challenge, err := a.Challenge()
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := challenge.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	a.Assertion = p.Assert(tb, raw)
}
