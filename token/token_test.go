package token_test

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/token"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newKeys(secret string) *token.Keys {
	return token.NewKeys(func(label string, n int) ([]byte, error) { return hkdf.Key(sha256.New, []byte(secret), nil, label, n) })
}

func access() token.Access {
	return token.Access{
		Issuer: "https://models.example", Subject: "scorer", ClientID: "scorer", Audience: token.Strings{"https://models.example"}, ID: "0a", Identity: "i-1",
		IssuedAt: noon.Unix(), NotBefore: noon.Unix(), Expires: noon.Add(token.Life).Unix(), Release: "r-0123456789ab", Line: "acme/triage/queue/production",
		Model: "acme/triage@1", Environment: "production", Authority: "sha256:00", Confirm: &token.Confirm{Key: "k", Certificate: "c"},
	}
}

func sign(t testing.TB, k *token.Keys, at time.Time) string {
	t.Helper()
	secret, err := k.Sign(access(), at)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// shown are the IDs of the keys that a server shows at a time.
func shown(t testing.TB, k *token.Keys, at time.Time) (ids []string) {
	t.Helper()
	set, err := k.JWKS(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			t.Fatal("a private key is shown")
		}
		ids = append(ids, key.KeyID)
	}
	return ids
}

func TestATokenReadsAsItWasSigned(t *testing.T) {
	k := newKeys("secret")
	secret := sign(t, k, noon)
	got, err := k.Open(secret, noon)
	if err != nil {
		t.Fatal(err)
	}
	a, b := must(t, got), must(t, access())
	if a != b {
		t.Errorf("got  %s\nwant %s", a, b)
	}
	// Another replica with the same secret has the same keys; another server has not.
	if _, err := newKeys("secret").Open(secret, noon); err != nil {
		t.Errorf("a replica: %v", err)
	}
	if _, err := newKeys("other").Open(secret, noon); !errors.Is(err, token.ErrToken) {
		t.Errorf("another server: %v", err)
	}
}

func must(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestKeysChangeEachDay follows one token and the keys over midnight.
func TestKeysChangeEachDay(t *testing.T) {
	k := newKeys("secret")
	late := time.Date(2026, 3, 2, 23, 59, 0, 0, time.UTC)
	secret := sign(t, k, late)
	today, early := shown(t, k, late), shown(t, k, late.Add(2*time.Minute))
	if len(today) != 2 || len(early) != 3 {
		t.Fatalf("before midnight %v, after it %v", today, early)
	}
	if early[0] != today[1] || early[2] != today[0] {
		t.Errorf("tomorrow's key is not shown before it signs, or yesterday's not after: %v, then %v", today, early)
	}
	if _, err := k.Open(secret, late.Add(token.MaxLife)); err != nil {
		t.Errorf("a token that may still be good: %v", err)
	}
	after := late.Add(token.MaxLife + 2*time.Minute)
	if slices.Contains(shown(t, k, after), today[0]) {
		t.Error("yesterday's key is shown for longer than its tokens live")
	}
	if _, err := k.Open(secret, after); !errors.Is(err, token.ErrToken) {
		t.Errorf("a token of yesterday: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	k := newKeys("secret")
	parts := strings.Split(sign(t, k, noon), ".")
	head := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	id := shown(t, k, noon)[0]
	for what, text := range map[string]string{
		"nothing":               "",
		"two parts":             parts[0] + "." + parts[1],
		"another type":          head(`{"alg":"ES256","kid":"`+id+`","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"none":                  head(`{"alg":"none","kid":"`+id+`","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"an unknown key":        head(`{"alg":"ES256","kid":"x","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		"crit":                  head(`{"alg":"ES256","kid":"`+id+`","typ":"at+jwt","crit":["x"]}`) + "." + parts[1] + "." + parts[2],
		"padding":               parts[0] + "=." + parts[1] + "." + parts[2],
		"other claims":          parts[0] + "." + head(`{"sub":"batch"}`) + "." + parts[2],
		"a signature of zeroes": parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"a line break":          parts[0] + "." + parts[1] + "." + parts[2] + "\n",
		"a long one":            strings.Repeat("a", token.MaxBytes) + ".." + "",
	} {
		if _, err := k.Open(text, noon); !errors.Is(err, token.ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestProofsFitOneRequest(t *testing.T) {
	p := token.Proof{Method: "POST", URL: "https://Models.Example:443/oauth2/token?x=1#y", IssuedAt: noon.Unix()}
	at := "https://models.example/oauth2/token"
	if err := p.Fits("POST", at, "", noon); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"another path":   p.Fits("POST", at+"/", "", noon),
		"another scheme": p.Fits("POST", "http://models.example/oauth2/token", "", noon),
		"another port":   p.Fits("POST", "https://models.example:444/oauth2/token", "", noon),
		"another method": p.Fits("post", at, "", noon),
		"a token":        p.Fits("POST", at, "x", noon),
		"later":          p.Fits("POST", at, "", noon.Add(token.ProofLife+time.Second)),
		"earlier":        p.Fits("POST", at, "", noon.Add(-token.ProofLife-time.Second)),
		"no address":     token.Proof{Method: "POST", IssuedAt: noon.Unix()}.Fits("POST", "", "", noon),
	} {
		if !errors.Is(err, token.ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzParse reads anything as a token and as a proof: what is taken has a
// signature, and nothing is taken under a key that has not signed it.
func FuzzParse(f *testing.F) {
	k := newKeys("secret")
	secret, err := k.Sign(access(), noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(secret)
	f.Add(strings.Replace(secret, ".", "..", 1))
	f.Add("e30.e30.")
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"","y":""}}`)) + ".e30.e30")
	signed := strings.Join(strings.Split(secret, ".")[:2], ".")
	f.Fuzz(func(t *testing.T, text string) {
		if j, err := token.Parse(text); err == nil {
			var claims map[string]any
			_ = j.Unverified(&claims)
		}
		if _, err := token.ParseProof(text); err != nil && !errors.Is(err, token.ErrToken) {
			t.Errorf("a proof is refused otherwise: %v", err)
		}
		a, err := k.Open(text, noon)
		if err == nil && !strings.HasPrefix(text, signed+".") {
			t.Errorf("a token that was not signed says %+v", a)
		}
	})
}
