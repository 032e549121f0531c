package token

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	proofType = "dpop+jwt"
	// ProofLife is how far the time of a proof may be from the server's, and so how
	// long its ID is remembered.
	ProofLife = time.Minute
	// maxProofID bounds what is remembered of a proof.
	maxProofID = 200
)

// Proof is a DPoP proof that its own key has signed.
type Proof struct {
	// Key is the thumbprint of the key (RFC 7638), base64url of SHA-256.
	Key string `json:"-"`

	ID       string `json:"jti"`
	Method   string `json:"htm"`
	URL      string `json:"htu"`
	IssuedAt int64  `json:"iat"`
	// Hash is that of the access token beside the proof, in base64url.
	Hash string `json:"ath,omitzero"`
}

// ParseProof reads a proof and verifies it with the public key in its header
// (RFC 9449 section 4.3, points 2 to 7).
func ParseProof(text string) (Proof, error) {
	var p Proof
	j, err := Parse(text)
	if err != nil {
		return p, err
	}
	if j.Header.Type != proofType {
		return p, refused("it is no proof, which has the type %s", proofType)
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(j.Header.Key); err != nil || !key.Valid() || !key.IsPublic() {
		return p, refused("the proof does not bring one public key as jwk")
	}
	if err := j.Verify(&key); err != nil {
		return p, err
	}
	if err := j.Unverified(&p); err != nil {
		return p, err
	}
	if p.ID == "" || len(p.ID) > maxProofID {
		return p, refused("the proof has no jti of up to %d bytes", maxProofID)
	}
	p.Key, err = thumbprint(&key)
	return p, err
}

// Fits refuses a proof that is not for a request: of a method, at a URL, beside
// an access token or none, at a time.
func (p Proof) Fits(method, at, access string, now time.Time) error {
	switch age := now.Sub(time.Unix(p.IssuedAt, 0)); {
	case p.Method != method:
		return refused("the proof is for another method than %s", method)
	case !sameURL(p.URL, at):
		return refused("the proof is not for %s", at)
	case age > ProofLife || age < -ProofLife:
		return refused("the proof was not made within %s of now; check the clock", ProofLife)
	case access != "" && p.Hash != hashOf(access):
		return refused("the proof is not for this access token")
	}
	return nil
}

// sameURL compares without query and fragment, after scheme and host were brought
// to one form (RFC 3986 section 6.2.2 and 6.2.3).
func sameURL(a, b string) bool {
	one := func(text string) string {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return ""
		}
		host, scheme := strings.ToLower(u.Host), strings.ToLower(u.Scheme)
		host = strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[scheme])
		path := u.EscapedPath()
		if path == "" {
			path = "/"
		}
		return scheme + "://" + host + path
	}
	return one(a) != "" && one(a) == one(b)
}

func hashOf(access string) string {
	sum := sha256.Sum256([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func thumbprint(key *jose.JSONWebKey) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}
