package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"imprimatur.dev/guard"
)

// jwks is a set of fresh public keys with IDs.
func jwks(t testing.TB, ids ...string) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, id := range ids {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig", Algorithm: "ES256"})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestKeysAreFetchedWhenTheyAreNeeded follows an issuer that changes its keys, and
// then cannot be reached.
func TestKeysAreFetchedWhenTheyAreNeeded(t *testing.T) {
	shown, fetched, down := "one", 0, error(nil)
	k := &keys{fetch: func() ([]byte, error) {
		fetched++
		return jwks(t, shown), down
	}}
	knows := func(id string, want bool, times int) {
		t.Helper()
		key, err := k.key(id)
		if (key != nil) != want || want && err != nil || fetched != times {
			t.Errorf("the key %s: %v %v after %d fetches, want %v after %d", id, key != nil, err, fetched, want, times)
		}
	}
	knows("one", true, 1)
	knows("one", true, 1)
	shown = "two"
	knows("two", false, 1) // the issuer was asked just now
	k.tried = time.Now().Add(-retryAfter)
	knows("two", true, 2)
	knows("one", false, 2) // withdrawn
	k.tried, k.got = time.Now().Add(-freshFor), time.Now().Add(-freshFor)
	shown = "three"
	knows("two", false, 3) // the known one is not trusted for ever
	knows("three", true, 3)
	down = errors.New("down")
	k.tried, k.got = time.Now().Add(-freshFor), time.Now().Add(-freshFor)
	knows("three", true, 4)
	k.tried, k.got = time.Now().Add(-freshFor), time.Now().Add(-usableFor)
	knows("three", false, 5)
	if _, err := k.key("three"); !errors.Is(err, down) || fetched != 5 {
		t.Errorf("%v after %d fetches", err, fetched)
	}
}

func TestKeySetsAreReadForWhatCounts(t *testing.T) {
	good := strings.TrimSuffix(strings.TrimPrefix(string(jwks(t, "a")), `{"keys":[`), `]}`)
	for _, x := range []struct {
		set  string
		keys int
	}{
		{good, 1},
		{good + `,{"kty":"oct","kid":"s","k":"c2VjcmV0"}`, 1},
		{good + `,{"kty":"new-kind","kid":"n"}`, 1},
		{good + `,` + strings.Replace(strings.Replace(good, `"sig"`, `"enc"`, 1), `"a"`, `"b"`, 1), 1},
		{good + `,` + good, 0},
		{``, 0},
		{`{"kty":"oct","k":"c2VjcmV0"}`, 0},
		{good + `,1`, 1},
	} {
		found, _, err := parseKeys([]byte(`{"keys":[` + x.set + `]}`))
		if len(found) != x.keys || (err == nil) != (x.keys > 0) {
			t.Errorf("%s: %d keys, %v", x.set, len(found), err)
		}
	}
	for _, raw := range []string{"", "[]", "{", `{"keys":1}`, `{"keys":[` + good + `],"keys":[]}`} {
		if _, _, err := parseKeys([]byte(raw)); err == nil {
			t.Errorf("%q is read as keys", raw)
		}
	}
}

func TestReadIssuersRefuses(t *testing.T) {
	file, empty := filepath.Join(t.TempDir(), "keys.json"), filepath.Join(t.TempDir(), "empty")
	if err := errors.Join(os.WriteFile(file, jwks(t, "a"), 0o600), os.WriteFile(empty, []byte("\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		"issuers: [{issuer: 'https://a.example', colour: red}]":                                  "colour",
		"issuers: [{issuer: 'https://a.example'}, {issuer: 'https://a.example'}]":                "twice",
		"issuers: [{issuer: 'http://a.example'}]":                                                "plain HTTP",
		"issuers: [{issuer: 'https://10.0.0.1'}]":                                                "is not a public address",
		"issuers: [{issuer: 'spiffe://a.example'}]":                                              "scheme",
		"issuers: [{issuer: 'https://a.example', keys: none.json}]":                              "reading its keys",
		"issuers: [{issuer: 'https://a.example', ca: none.pem}]":                                 "reading its certificate authority",
		fmt.Sprintf("issuers: [{issuer: 'https://a.example', ca: %s}]", file):                    "no certificate in PEM",
		"issuers: [{issuer: 'https://a.example', token: none}]":                                  "reading the token",
		fmt.Sprintf("issuers: [{issuer: 'https://a.example', token: %s}]", empty):                "holds no token",
		fmt.Sprintf("issuers: [{issuer: 'http://10.0.0.1', token: %s}]", file):                   "over HTTPS alone",
		fmt.Sprintf("issuers: [{issuer: 'https://a.example', keys: %[1]s, token: %[1]s}]", file): "leave them out",
		fmt.Sprintf("issuers: [{issuer: 'spiffe://a.example/path', keys: %s}]", file):            "has no path",
		fmt.Sprintf("issuers: [{issuer: 'ftp://a.example', keys: %s}]", file):                    "not of the form",
		fmt.Sprintf("issuers: [{issuer: 'https://me@a.example?x', keys: %s}]", file):             "not of the form",
		fmt.Sprintf("issuers: [{keys: %s}]", file):                                               "not of the form",
	} {
		if _, err := ReadIssuers([]byte(text), &guard.Guard{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ReadIssuers(fmt.Appendf(nil, "issuers: [{issuer: 'https://a.example', keys: %s}, {issuer: 'https://b.example'}]", file), &guard.Guard{}); err != nil {
		t.Error(err)
	}
}

// TestAnIssuerIsShownAToken fetches from an issuer that tells its keys only to
// whom it knows, as Kubernetes does.
func TestAnIssuerIsShownAToken(t *testing.T) {
	var at, want, keysAt string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+want:
			http.Error(w, "who are you?", http.StatusForbidden)
		case r.URL.Path == "/keys":
			_, _ = w.Write(jwks(t, want))
		default:
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, at, keysAt)
		}
	}))
	defer s.Close()
	at = s.URL
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	private, err := guard.Allow("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	open := func(further string) *keys {
		t.Helper()
		got, err := ReadIssuers(fmt.Appendf(nil, "issuers: [{issuer: %s, ca: %s%s}]", at, ca, further), private)
		if err != nil {
			t.Fatal(err)
		}
		return &got.byName[at].keys
	}
	want, keysAt = "first", at+"/keys"
	if _, err := open("").key("first"); err == nil || !strings.Contains(err.Error(), "docs/workload-tokens.md") {
		t.Errorf("without a token: %v", err)
	}
	token := file("token", "first\n")
	k := open(", token: " + token)
	if key, err := k.key("first"); key == nil || err != nil {
		t.Errorf("with its token: %v %v", key, err)
	}
	want = "second"
	file("token", "second")
	k.tried = time.Now().Add(-retryAfter)
	if key, err := k.key("second"); key == nil || err != nil {
		t.Errorf("with the next token: %v %v", key, err)
	}
	keysAt = strings.Replace(at, "https:", "http:", 1) + "/keys"
	k.tried = time.Now().Add(-retryAfter)
	if key, err := k.key("third"); key != nil || err == nil || !strings.Contains(err.Error(), "over HTTPS alone") {
		t.Errorf("the token leaves TLS: %v %v", key, err)
	}
}
