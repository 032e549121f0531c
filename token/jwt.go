package token

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxBytes is the length of the longest token that is read: tokens of platforms
// have one or two thousand bytes.
const MaxBytes = 16 << 10

// minRSA is the least length of an RSA key in bits (RFC 7518 section 3.3).
const minRSA = 2048

// ErrToken is wrapped by every refusal of this package.
var ErrToken = errors.New("the token cannot be taken")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrToken, fmt.Errorf(format, args...))
}

// algorithms are those that signatures may have.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// JWT is a token that was read and not yet verified.
type JWT struct {
	Header Header
	signed *jose.JSONWebSignature
}

// Header is what is read of a token's header.
type Header struct {
	Algorithm string         `json:"alg"`
	KeyID     string         `json:"kid"`
	Type      string         `json:"typ"`
	Critical  jsontext.Value `json:"crit,omitzero"`
	// Key is the key of a DPoP proof; nothing else looks at it.
	Key jsontext.Value `json:"jwk,omitzero"`
}

// Parse reads a token in compact form. The error wraps ErrToken, and holds
// nothing of the token but short names.
func Parse(text string) (*JWT, error) {
	if len(text) > MaxBytes {
		return nil, refused("it has %d bytes, more than the %d that are read", len(text), MaxBytes)
	}
	head, _, ok := strings.Cut(text, ".")
	// Go's decoder would pass over line breaks.
	if !ok || strings.Count(text, ".") != 2 || strings.ContainsAny(text, "\r\n") {
		return nil, refused("it is no JWT in compact form, three parts with two dots")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return nil, refused("its header is not base64url")
	}
	j := &JWT{}
	if err := json.Unmarshal(raw, &j.Header); err != nil {
		return nil, refused("its header cannot be read: %w", err)
	}
	if j.Header.Critical != nil {
		return nil, refused("its header has crit, and nothing that is critical is known here")
	}
	if j.signed, err = jose.ParseSignedCompact(text, algorithms); err != nil {
		return nil, refused("it is no signed JWT with an algorithm such as ES256, RS256 or EdDSA, and says %s", short(j.Header.Algorithm))
	}
	return j, nil
}

func short(text string) string {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

// Unverified reads the claims, before anybody has vouched for them, strictly.
func (j *JWT) Unverified(claims any) error {
	if err := json.Unmarshal(j.Claims(), claims); err != nil {
		return refused("its claims cannot be read: %w", err)
	}
	return nil
}

// Claims are the claims as they stand in the token.
func (j *JWT) Claims() jsontext.Value { return j.signed.UnsafePayloadWithoutVerification() }

// Verify holds the signature against a public key, which may be a
// [jose.JSONWebKey].
func (j *JWT) Verify(key any) error {
	if k, ok := key.(*jose.JSONWebKey); ok {
		if k.Algorithm != "" && k.Algorithm != j.Header.Algorithm {
			return refused("its algorithm %s is not that of the key", short(j.Header.Algorithm))
		}
		key = k.Key
	}
	if k, ok := key.(*rsa.PublicKey); ok && k.N.BitLen() < minRSA {
		return refused("the RSA key is shorter than %d bits", minRSA)
	}
	if _, err := j.signed.Verify(key); err != nil {
		return refused("its signature is not that of the key")
	}
	return nil
}

// Strings is a claim that is one text or a list of texts, such as aud.
type Strings []string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *Strings) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '"' {
		var one string
		err := json.UnmarshalDecode(d, &one)
		*s = Strings{one}
		return err
	}
	return json.UnmarshalDecode(d, (*[]string)(s))
}
