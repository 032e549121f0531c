package oauth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// keys are the public keys of an issuer, by ID: those of a file, or fetched.
type keys struct {
	// fetch is nil where they are of a file.
	fetch func() ([]byte, error)

	// asking is held by whoever fetches.
	asking sync.Mutex
	tried  time.Time // when somebody last did
	fault  error     // what came of it

	mu  sync.RWMutex
	set map[string]*jose.JSONWebKey
	got time.Time
}

// key returns the key with an ID. One that is not known is fetched, unless that
// was just tried. Time is measured on the monotonic clock: no step of the
// wall clock makes old keys fresh.
func (k *keys) key(id string) (*jose.JSONWebKey, error) {
	key, age := k.held(id)
	if k.fetch == nil || key != nil && age < freshFor {
		return key, nil
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	if key, age = k.held(id); key != nil && age < freshFor {
		return key, nil
	}
	if k.tried.IsZero() || time.Since(k.tried) >= retryAfter {
		k.fault = k.renew()
		k.tried = time.Now()
		key, age = k.held(id)
	}
	if age >= usableFor || key == nil && k.fault != nil {
		return nil, k.fault
	}
	return key, nil
}

// held returns a key that is known, and for how long its set has been.
func (k *keys) held(id string) (*jose.JSONWebKey, time.Duration) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.set[id], time.Since(k.got)
}

func (k *keys) renew() error {
	raw, err := k.fetch()
	if err != nil {
		return err
	}
	set, _, err := parseKeys(raw)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set, k.got = set, time.Now()
	return nil
}

// maxKeys bounds the answers of an issuer, in bytes.
const maxKeys = 1 << 20

// discover asks an issuer for its keys: first where they are, in its own words. What
// it is shown goes there too: it has seen it already, and the connection is to whom
// the same authority vouches for.
func discover(client *http.Client, name, shown string) ([]byte, error) {
	raw, err := fetch(client, strings.TrimSuffix(name, "/")+"/.well-known/openid-configuration", shown)
	if err != nil {
		return nil, err
	}
	var at struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(raw, &at); err != nil {
		return nil, fmt.Errorf("its configuration cannot be read: %w", err)
	}
	if at.Issuer != name {
		return nil, fmt.Errorf("it calls itself %q", at.Issuer)
	}
	if shown != "" && !strings.HasPrefix(at.Keys, "https://") {
		return nil, fmt.Errorf("it says that its keys are at %.200q, and a token is shown over HTTPS alone", at.Keys)
	}
	return fetch(client, at.Keys, shown)
}

func fetch(client *http.Client, at, shown string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, err
	}
	if shown != "" {
		r.Header.Set("Authorization", "Bearer "+shown)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxKeys+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of %s: %w", at, err)
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%s answers %s: it tells its keys only to whom it knows; name a token for it in the configuration of issuers, or let everybody read them (docs/workload-tokens.md)", at, answer.Status)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s", at, answer.Status)
	case len(raw) > maxKeys:
		return nil, fmt.Errorf("the answer of %s is longer than %d bytes", at, maxKeys)
	}
	return raw, nil
}

// parseKeys reads a JWKS (RFC 7517 section 5) or the bundle of a trust domain: the keys that
// sign tokens, by ID, and the authorities that sign X.509-SVIDs. What is of another type
// or use is passed over; a secret key never counts.
func parseKeys(raw []byte) (map[string]*jose.JSONWebKey, []*x509.Certificate, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, nil, fmt.Errorf("its keys cannot be read: %w", err)
	}
	found := map[string]*jose.JSONWebKey{}
	var authorities []*x509.Certificate
	for _, one := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(one); err != nil || !key.Valid() || !key.IsPublic() {
			continue
		}
		switch key.Use {
		case "", "sig", "jwt-svid":
			if found[key.KeyID] != nil {
				return nil, nil, fmt.Errorf("two of its keys have the ID %q", key.KeyID)
			}
			found[key.KeyID] = &key
		case "x509-svid":
			authorities = append(authorities, key.Certificates...)
		}
	}
	if len(found)+len(authorities) == 0 {
		return nil, nil, errors.New("it has no public key that signs tokens")
	}
	return found, authorities, nil
}
