package record

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Digest is a SHA-256 digest written as "sha256:" and 64 lower-case hex digits.
type Digest string

// DigestOf returns the digest of the bytes themselves.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// DigestFromHex returns the digest whose hex digits are given, unchecked.
func DigestFromHex(h string) Digest { return Digest("sha256:" + h) }

// Hex returns the 64 hex digits without the algorithm's name.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), "sha256:") }

// Bytes returns the 32 bytes of the digest.
func (d Digest) Bytes() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return hex.DecodeString(d.Hex())
}

// Short returns the first 12 hex digits, for people; it is never a key.
func (d Digest) Short() string {
	h := d.Hex()
	return h[:min(12, len(h))]
}

// Validate reports whether the digest is well formed.
func (d Digest) Validate() error {
	h, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(h) != 64 {
		return fmt.Errorf("%q is not a digest of the form sha256:<64 hex digits>", string(d))
	}
	for _, c := range []byte(h) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("%q is not a digest: hex digits are 0-9 and a-f", string(d))
		}
	}
	return nil
}

// Canonical returns the RFC 8785 canonical form of JSON text. Duplicate names,
// invalid UTF-8 and trailing data are errors.
func Canonical(raw []byte) ([]byte, error) {
	return canonicalise(append([]byte(nil), raw...))
}

// canonicalise takes the bytes over.
func canonicalise(raw jsontext.Value) ([]byte, error) {
	if err := raw.Canonicalize(); err != nil {
		return nil, fmt.Errorf("canonicalising JSON: %w", err)
	}
	return raw, nil
}

// CanonicalOf marshals a Go value and returns its RFC 8785 canonical form.
func CanonicalOf(v any) ([]byte, error) {
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("marshalling %T: %w", v, err)
	}
	return canonicalise(raw)
}

// DigestJSON returns the digest of the canonical form of JSON text.
func DigestJSON(raw []byte) (Digest, error) {
	c, err := Canonical(raw)
	if err != nil {
		return "", err
	}
	return DigestOf(c), nil
}

// unmarshalStrict refuses unknown members as well as what the JSON package
// refuses by itself: duplicate names, wrong case, invalid UTF-8, trailing data.
func unmarshalStrict(raw []byte, into any) error {
	return json.Unmarshal(raw, into, json.RejectUnknownMembers(true))
}
