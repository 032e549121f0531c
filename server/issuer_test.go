package server_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/session"
)

// provider is an OpenID Connect provider over HTTP: discovery and keys by
// oidctest, and the code flow with PKCE. claims may make a wrong ID token.
type provider struct {
	t      *testing.T
	url    string
	oidc   *oidctest.Server
	key    *rsa.PrivateKey
	keyID  string
	person map[string]any
	codes  map[string]url.Values
	wrong  func(claims map[string]any)
	alg    string
}

func newProvider(t *testing.T) *provider {
	p := &provider{t: t, oidc: &oidctest.Server{}, codes: map[string]url.Values{}, alg: oidc.RS256}
	p.rotate("first")
	mux := http.NewServeMux()
	mux.HandleFunc("/auth", p.authorize)
	mux.HandleFunc("/token", p.token)
	mux.Handle("/", p.oidc)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.url = s.URL
	p.oidc.SetIssuer(s.URL)
	return p
}

// rotate signs with a new key, and shows that one alone.
func (p *provider) rotate(id string) {
	p.key, p.keyID = must[*rsa.PrivateKey](p.t)(rsa.GenerateKey(rand.Reader, 2048)), id
	p.oidc.PublicKeys = []oidctest.PublicKey{{PublicKey: p.key.Public(), KeyID: id, Algorithm: oidc.RS256}}
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("client_id") != "imprimatur" {
		http.Error(w, "no PKCE, no nonce, or another client", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = q
	back := must[*url.URL](p.t)(url.Parse(q.Get("redirect_uri")))
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	asked, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims := map[string]any{"iss": p.url, "aud": "imprimatur", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "nonce": asked.Get("nonce")}
	for k, v := range p.person {
		claims[k] = v
	}
	if p.wrong != nil {
		p.wrong(claims)
	}
	raw := must[[]byte](p.t)(json.Marshal(claims))
	var signer crypto.PrivateKey = p.key
	id := oidctest.SignIDToken(signer, p.keyID, oidc.RS256, string(raw))
	if p.alg == "none" {
		none := base64.RawURLEncoding.EncodeToString
		id = none([]byte(`{"alg":"none"}`)) + "." + none(raw) + "."
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":"a","token_type":"Bearer","id_token":%q}`, id)
}

// signOn is an installation with single sign-on.
func signOn(t *testing.T, create bool) (*house, *provider) {
	t.Helper()
	h, p := settle(t), newProvider(t)
	config := must[*session.Issuer](t)(session.ReadIssuer(fmt.Appendf(nil, "issuer: %s\nclientId: imprimatur\ncreateAccounts: %v\ngroups:\n  - { group: ml-risk, role: risk, team: '*' }\n  - { group: ml-lab, role: contributor, team: lab }\n", p.url, create)))
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	at := &url.URL{Scheme: "http", Host: l.Addr().String()}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: server.New(h.reg, server.Options{URL: at, Issuer: config})}}
	s.Start()
	t.Cleanup(s.Close)
	h.url = at.String()
	return h, p
}

// through follows a browser from the sign-in page to where it ends, and returns
// the callback's address as well.
func (b *browser) through(next string) (status int, to, callback string) {
	b.Helper()
	at := b.url + "/sign-in/issuer?next=" + url.QueryEscape(next)
	for range 3 {
		answer := must[*http.Response](b)(b.client.Get(at))
		answer.Body.Close()
		status, to = answer.StatusCode, answer.Header.Get("Location")
		if strings.Contains(at, "/callback") {
			return status, to, at
		}
		at = to
	}
	return status, to, at
}

func TestSingleSignOn(t *testing.T) {
	h, p := signOn(t, true)
	p.person = map[string]any{"sub": "24400320", "preferred_username": "kim", "name": "Kim", "groups": []string{"ml-risk", "others"}}
	b := h.browser()
	if status, to, _ := b.through("/releases"); status != http.StatusSeeOther || to != "/releases" || b.who() != "kim by issuer" {
		t.Fatalf("got %d, sent to %q as %q", status, to, b.who())
	}
	roles := func() (out string) {
		me := must[[]record.Role](t)(rolesOf(h, "kim"))
		for _, r := range me {
			if !r.Revoked {
				out += string(r.Role) + "/" + r.Team + " by " + r.Issuer + ";"
			}
		}
		return out
	}
	if got := roles(); got != "risk/* by "+p.url+";" {
		t.Errorf("kim is %q", got)
	}
	// Another group, a new name, a new key: the same person.
	p.rotate("second")
	p.person = map[string]any{"sub": "24400320", "preferred_username": "kimberly", "groups": []string{"ml-lab"}}
	other := h.browser()
	if other.through("/"); other.who() != "kim by issuer" || roles() != "contributor/lab by "+p.url+";" {
		t.Errorf("after another sign-in %q is %q", other.who(), roles())
	}
	// A name that somebody has is no way to become them.
	p.person = map[string]any{"sub": "666", "preferred_username": "rita", "email": "rita@lab.example", "groups": []string{}}
	thief := h.browser()
	if thief.through("/"); !strings.HasPrefix(thief.who(), "person-") {
		t.Errorf("an account called rita is %q", thief.who())
	}
	p.person["sub"], p.person["preferred_username"] = "1", "lee"
	open := h.browser()
	if _, to, _ := open.through("https://evil.example/"); to != "/" {
		t.Errorf("the browser was sent to %q", to)
	}
}

func rolesOf(h *house, name string) ([]record.Role, error) {
	got, err := h.reg.Principal(h.ctx, registry.Caller{Name: "administrator", Type: record.Human}, name)
	return got.Roles, err
}

func TestSingleSignOnRefuses(t *testing.T) {
	h, p := signOn(t, true)
	person := map[string]any{"sub": "1", "preferred_username": "kim"}
	p.person = person
	for what, wrong := range map[string]func(map[string]any){
		"another audience": func(c map[string]any) { c["aud"] = "another" },
		"an expired token": func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() },
		"another nonce":    func(c map[string]any) { c["nonce"] = "another" },
		"another issuer":   func(c map[string]any) { c["iss"] = "https://evil.example" },
	} {
		p.wrong = wrong
		b := h.browser()
		if status, _, _ := b.through("/"); status != http.StatusUnauthorized || b.who() != "" {
			t.Errorf("%s: %d, %q", what, status, b.who())
		}
	}
	p.wrong, p.alg = nil, "none"
	b := h.browser()
	if status, _, _ := b.through("/"); status != http.StatusUnauthorized || b.who() != "" {
		t.Errorf("an unsigned token: %d, %q", status, b.who())
	}
	p.alg = oidc.RS256
	// A code once more, in the same browser and in another.
	_, _, callback := b.through("/")
	if b.who() != "kim by issuer" {
		t.Fatalf("kim is %q", b.who())
	}
	for _, again := range []*browser{b, h.browser()} {
		answer := must[*http.Response](t)(again.client.Get(callback))
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("a code was taken twice: %d", answer.StatusCode)
		}
	}
}

func TestSingleSignOnMakesNoAccountsUnlessAsked(t *testing.T) {
	h, p := signOn(t, false)
	p.person = map[string]any{"sub": "1", "preferred_username": "kim"}
	b := h.browser()
	if status, _, _ := b.through("/"); status != http.StatusUnauthorized || b.who() != "" {
		t.Errorf("a stranger: %d, %q", status, b.who())
	}
}

func TestIssuersConfigurationIsStrict(t *testing.T) {
	for what, text := range map[string]string{
		"nothing": "{}", "plain http": "issuer: http://login.example\nclientId: x", "an unknown member": "issuer: https://login.example\nclientId: x\nclient: y",
		"an unknown role": "issuer: https://login.example\nclientId: x\ngroups: [{group: a, role: king, team: lab}]", "no YAML": "\t",
	} {
		if _, err := session.ReadIssuer([]byte(text)); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
