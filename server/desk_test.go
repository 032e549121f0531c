package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/go-json-experiment/json"

	"imprimatur.dev/client"
	"imprimatur.dev/guard"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/oauth"
	"imprimatur.dev/token"
	"imprimatur.dev/wire"
)

// cluster is a platform that vouches for workloads: an issuer over HTTPS, with
// discovery and keys by oidctest, whose tokens are made here.
type cluster struct {
	t       testing.TB
	url     string
	oidc    *oidctest.Server
	key     *rsa.PrivateKey
	keyID   string
	fetches atomic.Int64
	ca      string // the file of who vouches for its certificate
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{t: t, oidc: &oidctest.Server{}}
	c.rotate("first")
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fetches.Add(1)
		c.oidc.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	c.oidc.SetIssuer(s.URL)
	c.ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(c.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// rotate signs with a new key, and shows that one alone.
func (c *cluster) rotate(id string) {
	c.key, c.keyID = must[*rsa.PrivateKey](c.t)(rsa.GenerateKey(rand.Reader, 2048)), id
	c.oidc.PublicKeys = []oidctest.PublicKey{{PublicKey: c.key.Public(), KeyID: id, Algorithm: oidc.RS256}}
}

// claims are those of a projected token of a service account.
func (c *cluster) claims(audience string) map[string]any {
	at := time.Now().Unix()
	return map[string]any{
		"iss": c.url, "sub": "system:serviceaccount:prod:scorer", "aud": []string{audience}, "iat": at, "nbf": at, "exp": at + 3600, "jti": "1",
		"kubernetes.io": map[string]any{
			"namespace": "prod", "serviceaccount": map[string]any{"name": "scorer", "uid": "u-1"}, "pod": map[string]any{"name": "scorer-1", "uid": "u-2"},
		},
	}
}

// signed is a token with a header and claims, by the cluster's key.
func (c *cluster) signed(claims map[string]any) string {
	c.t.Helper()
	raw := must[[]byte](c.t)(json.Marshal(claims))
	return c.signedAs(fmt.Sprintf(`{"alg":"RS256","typ":"JWT","kid":%q}`, c.keyID), string(raw))
}

func (c *cluster) signedAs(header, claims string) string {
	c.t.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	return text + "." + b64(must[[]byte](c.t)(rsa.SignPKCS1v15(rand.Reader, c.key, crypto.SHA256, sum[:])))
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// desk is a house that gives workloads access tokens, over TLS.
type desk struct {
	*house
	cluster *cluster
	// at is its address, http asks there, and handler answers.
	at      string
	http    *http.Client
	handler http.Handler
}

const gateway = "https://gateway.example/mcp"

func openDesk(t testing.TB) *desk {
	c := newCluster(t)
	issuers := must[*oauth.Issuers](t)(oauth.ReadIssuers(fmt.Appendf(nil, "issuers:\n  - issuer: %s\n    ca: %s\n", c.url, c.ca), must[*guard.Guard](t)(guard.Allow("127.0.0.1"))))
	return deskWith(t, c, issuers, registry.Config{Data: t.TempDir()})
}

func deskWith(t testing.TB, c *cluster, issuers *oauth.Issuers, cfg registry.Config) *desk {
	ctx := context.WithoutCancel(t.Context())
	s := httptest.NewUnstartedServer(nil)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	d := &desk{cluster: c, at: "https://" + s.Listener.Addr().String()}
	cfg.URL, cfg.Audiences = d.at, []string{gateway}
	reg := must[*registry.Registry](t)(registry.Open(ctx, cfg))
	t.Cleanup(func() { reg.Close() })
	d.house = &house{TB: t, ctx: ctx, reg: reg, people: map[string]*client.Client{}, tokens: map[string]string{}, log: &bytes.Buffer{}}
	handler := server.New(reg, server.Options{Log: slog.New(slog.NewTextHandler(d.log, nil)), URL: must[*url.URL](t)(url.Parse(d.at)), Issuers: issuers})
	s.Config.Handler, d.handler = handler, handler
	s.StartTLS()
	t.Cleanup(s.Close)
	d.http = s.Client()
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	d.url = plain.URL
	d.tokens["administrator"] = must[string](t)(reg.Begin(ctx))
	d.admin = client.New(plain.URL, d.tokens["administrator"])
	d.settle()
	for _, name := range []string{"scorer", "batch"} {
		d.enrol(record.Principal{Name: name, Type: record.Workload, Owner: "olga", Purpose: "scores", Expires: now().AddDate(1, 0, 0)})
	}
	return d
}

// bind says that the service account of a workload is the workload.
func (d *desk) bind(workload string) record.Identity {
	d.Helper()
	return must[record.Recorded[record.Identity]](d)(d.admin.AddIdentity(d.ctx, record.Identity{
		Workload: workload, Type: record.IdentityKubernetes, Issuer: d.cluster.url,
		Claims: map[string]string{"/kubernetes.io/namespace": "prod", "/kubernetes.io/serviceaccount/name": workload},
	})).Record
}

// live has a release that names workloads run.
func (d *desk) live(version string, workloads ...string) wire.Case {
	d.Helper()
	d.evaluate(d.train(version))
	in := proposal(version)
	in.Authority = record.Authority{
		Tools:     []record.Grant{{Resource: "look-up", Actions: []string{"call"}}},
		APIs:      []record.Grant{{Resource: "https://crm.example/*", Actions: []string{"GET"}}},
		Workloads: workloads,
	}
	c := must[wire.Case](d)(d.people["ann"].ProposeRelease(d.ctx, in))
	for name, role := range map[string]record.RoleName{"olga": record.ModelOwner, "rita": record.Risk, "sam": record.Security} {
		must[wire.Case](d)(d.approve(name, role, c))
	}
	return must[wire.Promoted](d)(d.people["olga"].Promote(d.ctx, c.ID)).Case
}

// granted is the answer of the token endpoint.
type granted struct {
	status      int
	Token       string `json:"access_token"`
	Issued      string `json:"issued_token_type"`
	Type        string `json:"token_type"`
	Expires     int64  `json:"expires_in"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// exchange asks for an access token for a platform's token.
func (d *desk) exchange(subject string, more ...string) granted {
	d.Helper()
	return d.asks(exchangeForm(subject, more...).Encode(), nil)
}

func exchangeForm(subject string, more ...string) url.Values {
	form := url.Values{
		"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token": {subject}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

func (d *desk) asks(body string, change func(*http.Request)) granted {
	d.Helper()
	var out granted
	status, raw := d.post("/oauth2/token", body, change)
	if err := json.Unmarshal(raw, &out); err != nil {
		d.Fatalf("the answer of the token endpoint, %d %s: %v", status, raw, err)
	}
	out.status = status
	return out
}

// post sends a form over TLS.
func (d *desk) post(path, body string, change func(*http.Request)) (int, []byte) {
	d.Helper()
	r := must[*http.Request](d)(http.NewRequestWithContext(d.ctx, http.MethodPost, d.at+path, strings.NewReader(body)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(r)
	}
	return d.send(r)
}

func (d *desk) send(r *http.Request) (int, []byte) {
	d.Helper()
	got := must[*http.Response](d)(d.http.Do(r))
	defer got.Body.Close()
	return got.StatusCode, must[[]byte](d)(io.ReadAll(got.Body))
}

// good is an access token of the scorer, with the claims that it has.
func (d *desk) good(more ...string) (string, token.Access) {
	d.Helper()
	got := d.exchange(d.cluster.signed(d.cluster.claims(d.at)), more...)
	if got.status != http.StatusOK {
		d.Fatalf("no token: %+v", got)
	}
	return got.Token, d.read(got.Token)
}

// read is what an access token says, which its bearer need not know.
func (d *desk) read(secret string) token.Access {
	d.Helper()
	var a token.Access
	raw := must[[]byte](d)(base64.RawURLEncoding.DecodeString(strings.Split(secret, ".")[1]))
	if err := json.Unmarshal(raw, &a); err != nil {
		d.Fatal(err)
	}
	return a
}

// noToken demands an error of the token endpoint that says certain things.
func (d *desk) noToken(got granted, code string, says ...string) {
	d.Helper()
	if got.status == http.StatusOK || got.Token != "" || got.Error != code {
		d.Errorf("got %+v, want the error %s", got, code)
	}
	for _, s := range says {
		if !strings.Contains(got.Description, s) {
			d.Errorf("the error does not say %q: %s", s, got.Description)
		}
	}
}

// active reports whether an access token is good, as a viewer of the team is told.
func (d *desk) active(secret string) bool {
	d.Helper()
	return d.activeFor("vic", secret)
}

func (d *desk) activeFor(name, secret string) bool {
	d.Helper()
	status, raw := d.post("/oauth2/introspect", url.Values{"token": {secret}}.Encode(), func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+d.tokens[name])
	})
	var out struct {
		Active *bool `json:"active"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || status != http.StatusOK || out.Active == nil {
		d.Fatalf("introspection: %d %s", status, raw)
	}
	if !*out.Active && string(bytes.TrimSpace(raw)) != `{"active":false}` {
		d.Errorf("of a token that is not active more is said: %s", raw)
	}
	return *out.Active
}

// evaluates asks with an access token whether the scorer may look up, and returns
// the status and the decision.
func (d *desk) evaluates(secret string, change func(*http.Request)) (int, bool) {
	d.Helper()
	body := `{"subject":{"type":"workload","id":"scorer"},"resource":{"type":"tool","id":"look-up"},"action":{"name":"call"}}`
	status, raw := d.post("/access/v1/evaluation", body, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+secret)
		if change != nil {
			change(r)
		}
	})
	var out struct {
		Decision bool `json:"decision"`
	}
	if status == http.StatusOK {
		if err := json.Unmarshal(raw, &out); err != nil {
			d.Fatal(err)
		}
	}
	return status, out.Decision
}

// may demands that a token is taken, and mayNot that it is refused.
func (d *desk) may(secret string, change func(*http.Request)) {
	d.Helper()
	if status, yes := d.evaluates(secret, change); status != http.StatusOK || !yes {
		d.Errorf("the access token is not taken: %d %v", status, yes)
	}
}

func (d *desk) mayNot(secret string, change func(*http.Request)) {
	d.Helper()
	if status, yes := d.evaluates(secret, change); status != http.StatusUnauthorized || yes {
		d.Errorf("the access token is taken: %d %v", status, yes)
	}
}

// prover is a workload that holds a key of DPoP.
type prover struct {
	t   testing.TB
	key *ecdsa.PrivateKey
	ids int
}

func newProver(t testing.TB) *prover {
	return &prover{t: t, key: must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

// proof is a new proof for a request; change may make it a wrong one.
func (p *prover) proof(method, at, access string, change func(claims map[string]any)) string {
	p.t.Helper()
	p.ids++
	claims := map[string]any{"jti": fmt.Sprint("p-", p.ids), "htm": method, "htu": at, "iat": time.Now().Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["ath"] = b64(sum[:])
	}
	if change != nil {
		change(claims)
	}
	x, y := p.coordinates()
	head := fmt.Sprintf(`{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":%q,"y":%q}}`, x, y)
	text := b64([]byte(head)) + "." + b64(must[[]byte](p.t)(json.Marshal(claims)))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.t.Fatal(err)
	}
	return text + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func (p *prover) coordinates() (x, y string) {
	raw := must[[]byte](p.t)(p.key.PublicKey.Bytes())
	return b64(raw[1:33]), b64(raw[33:])
}

// with shows a proof beside a token.
func with(proofs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for _, p := range proofs {
			r.Header.Add("DPoP", p)
		}
	}
}

func unb64(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }

// watched is a server that tells of whoever asks it.
func watched(t testing.TB, asked chan string) string {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(s.Close)
	return s.URL
}
