package server_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/token"
)

// attack is one attempt on access tokens. Its names in OWASP's Top 10 for Agentic
// Applications (ASI, 2026) and Non-Human Identities Top 10 (NHI, 2025) stand in
// docs/workload-tokens.md.
type attack struct {
	name string
	try  func(d *desk)
}

// TestAttacksOnAccess tries each attack on a desk at which an honest workload gets
// a token before and after it.
func TestAttacksOnAccess(t *testing.T) {
	d := openDesk(t)
	d.bind("scorer")
	d.live("1", "scorer")
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			was := d.house.TB
			d.house.TB, d.cluster.t = t, t
			defer func() { d.house.TB, d.cluster.t = was, was }()
			a.try(d)
			secret, _ := d.good()
			d.may(secret, nil)
		})
	}
}

func attacks() []attack {
	return []attack{
		{"an access token is shown to who it is not for", audienceConfusion},
		{"a platform's token for another service is exchanged", foreignAudience},
		{"a token outside of its time is exchanged", outsideItsTime},
		{"an unsigned token, and one signed with the public key as a secret", algorithmTricks},
		{"a header points to the attacker's own key", headerTricks},
		{"another issuer, and names that look like ours", forgedIssuer},
		{"an access token is made up, or changed", forgedAccess},
		{"a platform's token is used as an access token, and the other way round", confusedTypes},
		{"a workload asks for another's release", anothersRelease},
		{"claims that are nearly those of the identity", nearlyTheClaims},
		{"a token in which a name comes twice", duplicateNames},
		{"a token that is too long, and what is no token", oversized},
		{"parameters that come twice, or in the address", duplicateParameters},
		{"an access token is stolen that is bound to a key", stolenBoundToken},
		{"a proof is used again, or for something else", proofReplay},
		{"key IDs are invented to have the issuer asked", inventedKeyIDs},
	}
}

func audienceConfusion(d *desk) {
	secret, _ := d.good("audience", gateway)
	d.mayNot(secret, nil)
}

func foreignAudience(d *desk) {
	for _, audience := range []string{"https://other.example", d.at + "/", strings.ToUpper(d.at), ""} {
		d.noToken(d.exchange(d.cluster.signed(d.cluster.claims(audience))), "invalid_request", "it is not meant for "+d.at)
	}
	none := d.cluster.claims(d.at)
	delete(none, "aud")
	d.noToken(d.exchange(d.cluster.signed(none)), "invalid_request", "it is not meant for")
}

func outsideItsTime(d *desk) {
	at := time.Now()
	for says, change := range map[string]map[string]any{
		"it has expired":         {"exp": at.Add(-time.Second).Unix()},
		"it is not valid yet":    {"nbf": at.Add(time.Hour).Unix()},
		"not valid yet":          {"iat": at.Add(time.Hour).Unix()},
		"it never expires":       {"exp": nil},
		"a time that is none":    {"exp": 1e300},
		"its claims cannot":      {"exp": "tomorrow"},
		"it has a time that is ": {"exp": -1},
	} {
		claims := d.cluster.claims(d.at)
		maps.Copy(claims, change)
		d.noToken(d.exchange(d.cluster.signed(claims)), "invalid_request", says)
	}
}

func algorithmTricks(d *desk) {
	claims := d.claimsText()
	head := func(alg string) string { return fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":%q}`, alg, d.cluster.keyID) }
	for _, alg := range []string{"none", "None", "nOnE", ""} {
		d.noToken(d.exchange(b64([]byte(head(alg)))+"."+b64([]byte(claims))+"."), "invalid_request", "no signed JWT")
	}
	public := must[[]byte](d)(x509.MarshalPKIXPublicKey(d.cluster.key.Public()))
	for _, secret := range [][]byte{public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), d.cluster.key.N.Bytes()} {
		text := b64([]byte(head("HS256"))) + "." + b64([]byte(claims))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		d.noToken(d.exchange(text+"."+b64(mac.Sum(nil))), "invalid_request", "no signed JWT")
	}
	// The right signature under the name of another algorithm.
	for _, alg := range []string{"PS256", "RS512", "ES256", "EdDSA"} {
		d.noToken(d.exchange(d.cluster.signedAs(head(alg), claims)), "invalid_request", "the subject_token is not good")
	}
}

// claimsText are the claims of the scorer's service account as JSON.
func (d *desk) claimsText() string {
	parts := strings.Split(d.cluster.signed(d.cluster.claims(d.at)), ".")
	return string(must[[]byte](d)(unb64(parts[1])))
}

func headerTricks(d *desk) {
	own := must[*rsa.PrivateKey](d)(rsa.GenerateKey(rand.Reader, 2048))
	honest := d.cluster.key
	asked := make(chan string, 10)
	at := watched(d, asked)
	jwk := fmt.Sprintf(`{"kty":"RSA","kid":"x","n":%q,"e":"AQAB"}`, b64(own.N.Bytes()))
	d.cluster.key = own
	defer func() { d.cluster.key = honest }()
	for _, extra := range []string{
		`"kid":"` + d.cluster.keyID + `"`,
		`"kid":"` + d.cluster.keyID + `","jwk":` + jwk,
		`"kid":"` + d.cluster.keyID + `","jku":"` + at + `/jwks"`,
		`"kid":"` + d.cluster.keyID + `","x5u":"` + at + `/cert"`,
		`"kid":"../../dev/null"`, `"kid":"' OR '1'='1"`, `"kid":""`, `"kid":"x","jwk":` + jwk, `"jwk":` + jwk,
		`"kid":"` + d.cluster.keyID + `","crit":["exp"],"exp":1`, `"kid":"` + d.cluster.keyID + `","b64":false,"crit":["b64"]`,
	} {
		d.noToken(d.exchange(d.cluster.signedAs(`{"alg":"RS256",`+extra+`}`, d.claimsText())), "invalid_request")
	}
	if len(asked) > 0 {
		d.Errorf("the server asked at %s", <-asked)
	}
}

func forgedIssuer(d *desk) {
	at := d.cluster.url
	before := d.cluster.fetches.Load()
	for _, name := range []string{at + "/", at + "/.", strings.Replace(at, "https:", "HTTPS:", 1), strings.Replace(at, "127.0.0.1", "localhost", 1), strings.Replace(at, "127.0.0.1", "127.1", 1), at + "#", "https://evil.example", "spiffe://evil.example", ""} {
		claims := d.cluster.claims(d.at)
		claims["iss"] = name
		d.noToken(d.exchange(d.cluster.signed(claims)), "invalid_request", "is not taken here", "imprimatur serve --identity-issuers")
	}
	svid := d.cluster.claims(d.at)
	svid["sub"] = "spiffe://evil.example/scorer"
	d.noToken(d.exchange(d.cluster.signed(svid)), "invalid_request", "is not taken here")
	// Another cluster with the same names signs for ours.
	other := newCluster(d)
	other.url, other.keyID = at, d.cluster.keyID
	d.noToken(d.exchange(other.signed(other.claims(d.at))), "invalid_request", "its signature is not that of the key")
	if got := d.cluster.fetches.Load(); got > before+2 {
		d.Errorf("the issuer was asked %d times", got-before)
	}
}

func forgedAccess(d *desk) {
	secret, a := d.good()
	parts := strings.Split(secret, ".")
	wider := strings.Replace(string(must[[]byte](d)(unb64(parts[1]))), `"sub":"scorer"`, `"sub":"batch"`, 1)
	own := token.NewKeys(func(string, int) ([]byte, error) { return make([]byte, 48), nil })
	for _, forged := range []string{
		parts[0] + "." + b64([]byte(wider)) + "." + parts[2],
		parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)),
		parts[0] + "." + parts[1] + ".",
		b64([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + ".",
		must[string](d)(own.Sign(a, time.Now())),
		secret + "x", secret + ".",
	} {
		d.mayNot(forged, nil)
		if d.active(forged) {
			d.Errorf("a forged token is active: %s", forged)
		}
	}
}

func confusedTypes(d *desk) {
	platform := d.cluster.signed(d.cluster.claims(d.at))
	d.mayNot(platform, nil)
	secret, _ := d.good()
	d.noToken(d.exchange(secret), "invalid_request", "is not taken here")
	d.noToken(d.exchange(secret, "subject_token_type", "urn:ietf:params:oauth:token-type:access_token"), "invalid_request", "sign in with a token")
	d.noToken(d.exchange(platform, "subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), "invalid_request", "subject_token_type")
	d.noToken(d.exchange(platform, "grant_type", "password"), "unsupported_grant_type")
	d.noToken(d.exchange(platform, "actor_token", platform), "invalid_request", "no actor_token")
	d.noToken(d.exchange(platform, "scope", "admin"), "invalid_request", "no scope")
}

func anothersRelease(d *desk) {
	subject := d.cluster.signed(d.cluster.claims(d.at))
	d.noToken(d.exchange(subject, "client_id", "batch"), "invalid_request", "no workload 'batch' is known")
	d.noToken(d.exchange(subject, "release", "r-000000000000"), "invalid_request", "no release that stands")
	d.noToken(d.exchange(subject, "environment", "staging"), "invalid_request", "no release that stands in 'staging'")
}

func nearlyTheClaims(d *desk) {
	account := func(name string) map[string]any {
		return map[string]any{"namespace": "prod", "serviceaccount": map[string]any{"name": name}}
	}
	for what, change := range map[string]map[string]any{
		"another account":      {"kubernetes.io": account("scorer2")},
		"another case":         {"kubernetes.io": account("Scorer")},
		"a list":               {"kubernetes.io": map[string]any{"namespace": []string{"prod"}, "serviceaccount": map[string]any{"name": "scorer"}}},
		"another namespace":    {"kubernetes.io": map[string]any{"namespace": "dev", "serviceaccount": map[string]any{"name": "scorer"}}},
		"names with a slash":   {"kubernetes.io": nil, "kubernetes.io/namespace": "prod", "kubernetes.io/serviceaccount/name": "scorer"},
		"a look-alike":         {"kubernetes.io": account("ѕcorer")},
		"nothing but the name": {"kubernetes.io": nil},
	} {
		claims := d.cluster.claims(d.at)
		maps.Copy(claims, change)
		if got := d.exchange(d.cluster.signed(claims)); got.status == http.StatusOK {
			d.Errorf("%s is taken for the workload", what)
		}
	}
}

func duplicateNames(d *desk) {
	text := d.claimsText()
	head := fmt.Sprintf(`{"alg":"RS256","kid":%q}`, d.cluster.keyID)
	for _, claims := range []string{
		`{"iss":"https://evil.example",` + text[1:],
		strings.TrimSuffix(text, "}") + `,"aud":"x"}`,
		strings.Replace(text, `"namespace":"prod"`, `"namespace":"dev","namespace":"prod"`, 1),
		text + text, "[" + text + "]", text[:len(text)-1], "{\"a\":\"\xff\"," + text[1:],
	} {
		d.noToken(d.exchange(d.cluster.signedAs(head, claims)), "invalid_request", "its claims cannot be read")
	}
	d.noToken(d.exchange(d.cluster.signedAs(fmt.Sprintf(`{"alg":"RS256","kid":"x","kid":%q}`, d.cluster.keyID), text)), "invalid_request", "its header cannot be read")
}

func oversized(d *desk) {
	claims := d.cluster.claims(d.at)
	claims["filler"] = strings.Repeat("x", token.MaxBytes)
	d.noToken(d.exchange(d.cluster.signed(claims)), "invalid_request", "more than the 16384 that are read")
	d.noToken(d.exchange(strings.Repeat("x", 70_000)), "invalid_request", "longer than 65536")
	for _, text := range []string{"", ".", "..", "a.b", "a.b.c.d.e", "e30.e30.", "{}", "imp_00_11", strings.Repeat(".", 9000)} {
		if got := d.exchange(text); got.status != http.StatusBadRequest {
			d.Errorf("%q: %+v", text, got)
		}
	}
	d.mayNot(strings.Repeat("a", token.MaxBytes)+".b.c", nil)
}

func duplicateParameters(d *desk) {
	subject := d.cluster.signed(d.cluster.claims(d.at))
	body := exchangeForm(subject).Encode()
	for _, more := range []string{"grant_type=password", "subject_token=x", "client_id=scorer&client_id=batch", "release=&release="} {
		d.noToken(d.asks(body+"&"+more, nil), "invalid_request", "comes more than once")
	}
	d.noToken(d.asks(body+"&a=%zz", nil), "invalid_request", "cannot be read")
	d.noToken(d.asks(body+"&a;b", nil), "invalid_request", "cannot be read")
	d.noToken(d.asks(body, func(r *http.Request) { r.URL.RawQuery = "client_id=batch" }), "invalid_request", "in the address")
	d.noToken(d.asks(body, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }), "invalid_request", "Content-Type")
}

func stolenBoundToken(d *desk) {
	p, at := newProver(d), d.at+"/access/v1/evaluation"
	got := d.asks(exchangeForm(d.cluster.signed(d.cluster.claims(d.at))).Encode(), with(p.proof("POST", d.at+"/oauth2/token", "", nil)))
	if got.Type != "DPoP" || d.read(got.Token).Confirm == nil {
		d.Fatalf("%+v", got)
	}
	asDPoP := func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+got.Token) }
	d.may(got.Token, func(r *http.Request) { asDPoP(r); with(p.proof("POST", at, got.Token, nil))(r) })
	d.mayNot(got.Token, nil)
	d.mayNot(got.Token, asDPoP)
	d.mayNot(got.Token, with(newProver(d).proof("POST", at, got.Token, nil)))
	d.mayNot(got.Token, with(p.proof("POST", at, got.Token, nil), p.proof("POST", at, got.Token, nil)))
	other, _ := d.good()
	d.mayNot(got.Token, with(p.proof("POST", at, other, nil)))
}

func proofReplay(d *desk) {
	p, at := newProver(d), d.at+"/access/v1/evaluation"
	form := exchangeForm(d.cluster.signed(d.cluster.claims(d.at))).Encode()
	first := p.proof("POST", d.at+"/oauth2/token", "", nil)
	got := d.asks(form, with(first))
	d.noToken(d.asks(form, with(first)), "invalid_dpop_proof", "used before")
	once := p.proof("POST", at, got.Token, nil)
	d.may(got.Token, with(once))
	d.mayNot(got.Token, with(once))
	for what, proof := range map[string]string{
		"another method": p.proof("GET", at, got.Token, nil),
		"another URL":    p.proof("POST", d.at+"/oauth2/token", got.Token, nil),
		"another host":   p.proof("POST", "https://evil.example/access/v1/evaluation", got.Token, nil),
		"no token":       p.proof("POST", at, "", nil),
		"too old":        p.proof("POST", at, got.Token, func(c map[string]any) { c["iat"] = time.Now().Add(-2 * time.Minute).Unix() }),
		"from tomorrow":  p.proof("POST", at, got.Token, func(c map[string]any) { c["iat"] = time.Now().Add(2 * time.Minute).Unix() }),
		"without an ID":  p.proof("POST", at, got.Token, func(c map[string]any) { delete(c, "jti") }),
		"a long ID":      p.proof("POST", at, got.Token, func(c map[string]any) { c["jti"] = strings.Repeat("x", 300) }),
		"no proof":       d.cluster.signed(d.cluster.claims(d.at)),
	} {
		if status, _ := d.evaluates(got.Token, with(proof)); status != http.StatusUnauthorized {
			d.Errorf("a proof with %s is taken", what)
		}
	}
	for _, proof := range []string{p.proof("POST", d.at+"/oauth2/revoke", "", nil), "x"} {
		d.noToken(d.asks(form, with(proof)), "invalid_dpop_proof")
	}
}

func inventedKeyIDs(d *desk) {
	before := d.cluster.fetches.Load()
	for i := range 50 {
		d.noToken(d.exchange(d.cluster.signedAs(fmt.Sprintf(`{"alg":"RS256","kid":"k-%d"}`, i), d.claimsText())), "invalid_request", "has no key with the ID")
	}
	if got := d.cluster.fetches.Load() - before; got > 2 {
		d.Errorf("the issuer was asked %d times", got)
	}
}

// TestAnAccessTokenOfAnEndedWorkloadIsRefused ends the workload itself: NHI1.
func TestAnAccessTokenOfAnEndedWorkloadIsRefused(t *testing.T) {
	d := openDesk(t)
	d.bind("scorer")
	d.live("1", "scorer")
	secret, _ := d.good()
	d.may(secret, nil)
	must[record.Recorded[record.Principal]](t)(d.admin.EnrolPrincipal(d.ctx, record.Principal{
		Name: "scorer", Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: now().AddDate(1, 0, 0), Disabled: true,
	}))
	d.mayNot(secret, nil)
	if d.active(secret) {
		t.Error("a disabled workload's token is active")
	}
	d.noToken(d.exchange(d.cluster.signed(d.cluster.claims(d.at))), "invalid_request", "no workload is known by what was shown")
}
