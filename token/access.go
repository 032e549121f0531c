package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

// Life is how long an access token lives, where nothing that it rests on ends
// before, and MaxLife the longest that it may be told to.
const (
	Life    = 5 * time.Minute
	MaxLife = time.Hour
)

// period is how long one key signs.
const period = 24 * time.Hour

// accessType is the type of our access tokens (RFC 9068 section 2.1).
const accessType = "at+jwt"

// Access are the claims of an access token. Times are whole seconds since 1970.
type Access struct {
	Issuer    string  `json:"iss"`
	Subject   string  `json:"sub"`
	Audience  Strings `json:"aud"`
	Expires   int64   `json:"exp"`
	NotBefore int64   `json:"nbf"`
	IssuedAt  int64   `json:"iat"`
	ID        string  `json:"jti"`
	ClientID  string  `json:"client_id"`
	// Release is the release under which the workload acts, and Authority the
	// digest of what it may do.
	Release     string `json:"release"`
	Line        string `json:"line"`
	Model       string `json:"model"`
	Environment string `json:"environment"`
	Authority   string `json:"authority"`
	// Identity is what the workload has shown: the ID of a platform's identity, or
	// of a token of ours.
	Identity string   `json:"identity"`
	Confirm  *Confirm `json:"cnf,omitzero"`
}

// Confirm says to which key a token is bound (RFC 7800): that of DPoP proofs by
// its thumbprint (RFC 9449 section 6), or a client certificate by the base64url of its
// SHA-256 (RFC 8705 section 3.1).
type Confirm struct {
	Key         string `json:"jkt,omitzero"`
	Certificate string `json:"x5t#S256,omitzero"`
}

// Keys are the keys that sign access tokens. They may be used by several
// goroutines.
type Keys struct {
	derive func(label string, n int) ([]byte, error)

	mu   sync.Mutex
	days map[int64]*signing
}

// signing is the key of one day.
type signing struct {
	key    *ecdsa.PrivateKey
	public jose.JSONWebKey
	header string // of every token that it signs, in base64url
}

// NewKeys returns keys that are derived from a secret: derive returns n bytes
// that are the secret's alone and differ with the label.
func NewKeys(derive func(label string, n int) ([]byte, error)) *Keys {
	return &Keys{derive: derive, days: map[int64]*signing{}}
}

func dayOf(at time.Time) int64 { return at.Unix() / int64(period/time.Second) }

func (k *Keys) day(n int64) (*signing, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.days[n]; s != nil {
		return s, nil
	}
	s, err := k.make(n)
	if err != nil {
		return nil, fmt.Errorf("deriving the key for access tokens: %w", err)
	}
	for old := range k.days {
		if old < n-2 {
			delete(k.days, old)
		}
	}
	k.days[n] = s
	return s, nil
}

// make derives the key of a day: 48 bytes are reduced to a scalar of P-256 as
// FIPS 186-5 A.2.1 does, so that the bias is negligible.
func (k *Keys) make(n int64) (*signing, error) {
	seed, err := k.derive(fmt.Sprintf("imprimatur.dev/access-token/v1/%d", n), 48)
	if err != nil {
		return nil, err
	}
	order := new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(1))
	d := new(big.Int).SetBytes(seed)
	d.Mod(d, order).Add(d, big.NewInt(1))
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	if err != nil {
		return nil, err
	}
	s := &signing{key: private, public: jose.JSONWebKey{Key: &private.PublicKey, Algorithm: string(jose.ES256), Use: "sig"}}
	if s.public.KeyID, err = thumbprint(&s.public); err != nil {
		return nil, err
	}
	head, err := json.Marshal(Header{Algorithm: string(jose.ES256), KeyID: s.public.KeyID, Type: accessType})
	s.header = base64.RawURLEncoding.EncodeToString(head)
	return s, err
}

// Sign returns an access token, signed with the key of the day.
func (k *Keys) Sign(a Access, now time.Time) (string, error) {
	s, err := k.day(dayOf(now))
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("writing the claims of an access token: %w", err)
	}
	text := s.header + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	r, t, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", fmt.Errorf("signing an access token: %w", err)
	}
	var both [64]byte
	r.FillBytes(both[:32])
	t.FillBytes(both[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(both[:]), nil
}

// shown are the days whose keys count at a time: tomorrow's too, since the clock
// of another replica may be ahead.
func shown(now time.Time) []int64 {
	today := dayOf(now)
	days := []int64{today, today + 1}
	if dayOf(now.Add(-MaxLife)) < today {
		days = append(days, today-1)
	}
	return days
}

// JWKS are the public keys that count at a time, as RFC 7517 has them.
func (k *Keys) JWKS(now time.Time) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	for _, n := range shown(now) {
		s, err := k.day(n)
		if err != nil {
			return set, err
		}
		set.Keys = append(set.Keys, s.public)
	}
	return set, nil
}

// Open reads an access token that one of the keys has signed. Whether it may be
// used now is not asked here. The error wraps ErrToken where it is none of ours.
func (k *Keys) Open(text string, now time.Time) (Access, error) {
	var a Access
	j, err := Parse(text)
	if err != nil {
		return a, err
	}
	if j.Header.Type != accessType {
		return a, refused("it is no access token, which has the type %s", accessType)
	}
	for _, n := range shown(now) {
		s, err := k.day(n)
		if err != nil {
			return a, err
		}
		if s.public.KeyID != j.Header.KeyID {
			continue
		}
		if err := j.Verify(&s.public); err != nil {
			return a, err
		}
		return a, j.Unverified(&a)
	}
	return a, refused("it was not signed by a key of this server that still counts")
}
