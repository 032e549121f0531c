package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-json-experiment/json"

	"imprimatur.dev/guard"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/oauth"
	"imprimatur.dev/wire"
)

// TestAWorkloadGetsAccessWhileItsReleaseStands is the whole way: a service account's
// token, an access token, what it opens, and the end of it.
func TestAWorkloadGetsAccessWhileItsReleaseStands(t *testing.T) {
	d := openDesk(t)
	subject := d.cluster.signed(d.cluster.claims(d.at))
	d.noToken(d.exchange(subject), "invalid_request", "no workload is known by what was shown", "imprimatur principal identity add")
	identity := d.bind("scorer")
	d.noToken(d.exchange(subject), "invalid_request", "no release that stands names the workload 'scorer'", "imprimatur release propose")

	c := d.live("1", "scorer")
	got := d.exchange(subject)
	if got.status != http.StatusOK || got.Type != "Bearer" || got.Expires != 300 || got.Issued != "urn:ietf:params:oauth:token-type:access_token" {
		t.Fatalf("%+v", got)
	}
	a := d.read(got.Token)
	if a.Issuer != d.at || a.Subject != "scorer" || a.ClientID != "scorer" || a.Audience[0] != d.at || a.Release != c.ID || a.Line != c.Line ||
		a.Model != "lab/net@1" || a.Environment != "production" || a.Authority != string(c.Digests.Parts[record.PartAuthority]) || a.Identity != identity.ID || a.Confirm != nil {
		t.Errorf("the token says %+v", a)
	}
	d.may(got.Token, nil)
	if !d.active(got.Token) || !d.activeFor("scorer", got.Token) || d.activeFor("batch", got.Token) {
		t.Error("a token is active for who reads the team and for the workload, and for nobody else")
	}
	kept := must[[]wire.KeptIdentity](t)(d.people["vic"].Identities(d.ctx, "scorer"))
	if len(kept) != 1 || kept[0].Identity.Record.ID != identity.ID || time.Since(kept[0].Used) > time.Minute {
		t.Errorf("the identity was last shown: %+v", kept)
	}

	must[wire.Case](t)(d.people["sam"].Suspend(d.ctx, c.ID, wire.Stop{Reason: "incident"}))
	if d.active(got.Token) {
		t.Error("the token is active after its release was suspended")
	}
	d.mayNot(got.Token, nil)
	d.noToken(d.exchange(subject), "invalid_request", "suspended")
	must[wire.Case](t)(d.people["sam"].Suspend(d.ctx, c.ID, wire.Stop{Reason: "over", Lift: true}))
	d.may(got.Token, nil)
}

// TestAccessTokensVerifyWithAnotherLibrary has another implementation find our keys by
// our metadata, and verify a token with them.
func TestAccessTokensVerifyWithAnotherLibrary(t *testing.T) {
	d := openDesk(t)
	d.bind("scorer")
	d.live("1", "scorer")
	secret, _ := d.good()
	var at struct {
		Issuer     string   `json:"issuer"`
		Keys       string   `json:"jwks_uri"`
		Token      string   `json:"token_endpoint"`
		Introspect string   `json:"introspection_endpoint"`
		Revoke     string   `json:"revocation_endpoint"`
		Grants     []string `json:"grant_types_supported"`
		Responses  []string `json:"response_types_supported"`
	}
	req := must[*http.Request](t)(http.NewRequestWithContext(d.ctx, http.MethodGet, d.at+"/.well-known/oauth-authorization-server", nil))
	status, raw := d.send(req)
	if err := json.Unmarshal(raw, &at); err != nil || status != http.StatusOK || at.Issuer != d.at || at.Responses == nil || len(at.Grants) != 2 {
		t.Fatalf("the metadata: %d %s %v", status, raw, err)
	}
	if at.Token != d.at+"/oauth2/token" || at.Introspect != d.at+"/oauth2/introspect" || at.Revoke != d.at+"/oauth2/revoke" {
		t.Errorf("the metadata: %+v", at)
	}
	ctx := oidc.ClientContext(d.ctx, d.http)
	verifier := oidc.NewVerifier(at.Issuer, oidc.NewRemoteKeySet(ctx, at.Keys), &oidc.Config{ClientID: d.at, SupportedSigningAlgs: []string{oidc.ES256}})
	got := must[*oidc.IDToken](t)(verifier.Verify(ctx, secret))
	if got.Subject != "scorer" {
		t.Errorf("it is for %s", got.Subject)
	}
}

func TestAccessTokensAreForWhatTheReleaseGrants(t *testing.T) {
	d := openDesk(t)
	d.bind("scorer")
	d.live("1", "scorer")
	subject := d.cluster.signed(d.cluster.claims(d.at))
	for audience, ok := range map[string]bool{d.at: true, gateway: true, "https://crm.example/": true, "https://crm.example.evil/": false, "https://other.example": false, d.at + "/": false} {
		got := d.exchange(subject, "audience", audience)
		if ok != (got.status == http.StatusOK) {
			t.Errorf("for %s: %+v", audience, got)
		}
		if !ok {
			d.noToken(got, "invalid_target", "grants neither the API nor the access", "imprimatur release propose")
			continue
		}
		if status, _ := d.evaluates(got.Token, nil); (audience == d.at) != (status == http.StatusOK) {
			t.Errorf("a token for %s is answered with %d", audience, status)
		}
	}
	both := exchangeForm(subject)
	both["audience"], both["resource"] = []string{gateway}, []string{"https://crm.example/"}
	if got := d.asks(both.Encode(), nil); len(d.read(got.Token).Audience) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestAccessTokensOpenNoOtherDoor tries a token at what is not asking.
func TestAccessTokensOpenNoOtherDoor(t *testing.T) {
	d := openDesk(t)
	d.bind("scorer")
	d.live("1", "scorer", "batch")
	secret, _ := d.good()
	for _, at := range []string{"GET /api/v1/me", "GET /api/v1/releases", "POST /api/v1/tokens", "GET /api/2.0/mlflow/registered-models/search", "POST /api/v1/releases"} {
		method, path, _ := strings.Cut(at, " ")
		req := must[*http.Request](t)(http.NewRequestWithContext(d.ctx, method, d.at+path, strings.NewReader(`{}`)))
		req.Header.Set("Authorization", "Bearer "+secret)
		req.Header.Set("Content-Type", "application/json")
		if status, raw := d.send(req); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", at, status, raw)
		}
	}
	// What may be asked is about the own workload, by either face.
	status, raw := d.post("/access/v1/evaluation", `{"subject":{"type":"workload","id":"batch"},"resource":{"type":"tool","id":"look-up"},"action":{"name":"call"}}`, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+secret)
	})
	if status != http.StatusForbidden {
		t.Errorf("it asks for another workload: %d %s", status, raw)
	}
	status, raw = d.post("/api/v1/authorize", `{"workload":"scorer","kind":"tools","resource":"look-up","action":"call"}`, func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+secret)
	})
	if status != http.StatusOK || !strings.Contains(string(raw), `"allowed":true`) {
		t.Errorf("it does not ask for its own: %d %s", status, raw)
	}
}

func TestAccessTokensAreEnded(t *testing.T) {
	d := openDesk(t)
	identity := d.bind("scorer")
	d.live("1", "scorer")
	first, _ := d.good()
	second, _ := d.good()
	ends := func(secret, as string) int {
		status, _ := d.post("/oauth2/revoke", url.Values{"token": {secret}}.Encode(), func(r *http.Request) {
			if as != "" {
				r.Header.Set("Authorization", "Bearer "+d.tokens[as])
			}
		})
		return status
	}
	if got := ends(first, "vic"); got != http.StatusForbidden {
		t.Errorf("a viewer ends a token: %d", got)
	}
	d.may(first, nil)
	size := must[wire.LogStatus](t)(d.reg.LogStatus(d.ctx)).Size
	for range 2 {
		if got := ends(first, ""); got != http.StatusOK {
			t.Errorf("who holds a token does not end it: %d", got)
		}
	}
	if now := must[wire.LogStatus](t)(d.reg.LogStatus(d.ctx)).Size; now != size+1 {
		t.Errorf("%d statements were made to end one token", now-size)
	}
	if ends("nonsense", "") != http.StatusOK || ends("a.b.c", "scorer") != http.StatusOK {
		t.Error("to end what is no token is an error")
	}
	d.mayNot(first, nil)
	d.may(second, nil)
	must[record.Recorded[record.Revocation]](t)(d.people["olga"].EndAccess(d.ctx, "scorer", wire.Stop{Reason: "key leaked"}))
	d.mayNot(second, nil)
	_, err := d.people["ann"].EndAccess(d.ctx, "scorer", wire.Stop{Reason: "mine"})
	d.refused(err, wire.Forbidden)
	must[record.Recorded[record.Identity]](t)(d.admin.EndIdentity(d.ctx, identity.ID, wire.Stop{Reason: "moved"}))
	d.noToken(d.exchange(d.cluster.signed(d.cluster.claims(d.at))), "invalid_request", "no workload is known")
}

func TestAnAPITokenIsExchanged(t *testing.T) {
	d := openDesk(t)
	d.live("1", "scorer")
	form := exchangeForm(d.tokens["scorer"], "subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
	got := d.asks(form.Encode(), nil)
	d.may(got.Token, nil)
	a := d.read(got.Token)
	d.noToken(d.asks(exchangeForm(d.tokens["olga"], "subject_token_type", "urn:ietf:params:oauth:token-type:access_token").Encode(), nil), "invalid_request", "only a workload's own token")
	d.noToken(d.asks(exchangeForm("imp_00_11", "subject_token_type", "urn:ietf:params:oauth:token-type:access_token").Encode(), nil), "invalid_request", "sign in with a token that stands")
	must[record.Recorded[record.Token]](t)(d.admin.RevokeToken(d.ctx, a.Identity))
	d.mayNot(got.Token, nil)
}

// TestEachPlatformIsKnownByItsClaims exchanges what GitHub, GitLab and SPIFFE give, from
// issuers whose keys are files.
func TestEachPlatformIsKnownByItsClaims(t *testing.T) {
	c := newCluster(t)
	keys := filepath.Join(t.TempDir(), "keys.json")
	set := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"first","use":"USE","n":%q,"e":"AQAB"}]}`, b64(c.key.N.Bytes()))
	for use, name := range map[string]string{"sig": keys, "jwt-svid": keys + ".bundle"} {
		if err := os.WriteFile(name, []byte(strings.Replace(set, "USE", use, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	issuers := must[*oauth.Issuers](t)(oauth.ReadIssuers(fmt.Appendf(nil, "issuers:\n- {issuer: 'https://github.example', keys: %s}\n- {issuer: 'https://gitlab.example', keys: %s, audience: imprimatur}\n- {issuer: 'spiffe://acme.example', keys: %s.bundle}\n", keys, keys, keys), &guard.Guard{}))
	d := deskWith(t, c, issuers, registry.Config{Data: t.TempDir()})
	for _, in := range []record.Identity{
		{Workload: "scorer", Type: record.IdentityGitHub, Issuer: "https://github.example", Claims: map[string]string{"/repository_id": "74", "/environment": "production"}},
		{Workload: "scorer", Type: record.IdentityGitLab, Issuer: "https://gitlab.example", Claims: map[string]string{"/project_id": "22", "/ref": "main", "/ref_protected": "true"}},
		{Workload: "scorer", Type: record.IdentitySPIFFE, Issuer: "spiffe://acme.example", Claims: map[string]string{"/sub": "spiffe://acme.example/prod/scorer"}},
	} {
		must[record.Recorded[record.Identity]](t)(d.admin.AddIdentity(d.ctx, in))
	}
	d.live("1", "scorer")
	exp := time.Now().Add(time.Hour).Unix()
	sub := "repo:acme/net:environment:production"
	for _, x := range []struct {
		what   string
		claims map[string]any
		taken  bool
	}{
		{"GitHub", map[string]any{"iss": "https://github.example", "aud": d.at, "sub": sub, "repository_id": "74", "environment": "production", "exp": exp}, true},
		{"a repository that took the name over", map[string]any{"iss": "https://github.example", "aud": d.at, "sub": sub, "repository_id": "75", "environment": "production", "exp": exp}, false},
		{"a job outside of the environment", map[string]any{"iss": "https://github.example", "aud": d.at, "sub": sub, "repository_id": "74", "exp": exp}, false},
		{"a number for a text", map[string]any{"iss": "https://github.example", "aud": d.at, "sub": sub, "repository_id": 74, "environment": "production", "exp": exp}, false},
		{"GitLab", map[string]any{"iss": "https://gitlab.example", "aud": []string{"x", "imprimatur"}, "project_id": "22", "ref": "main", "ref_protected": "true", "exp": exp}, true},
		{"GitLab for the server's address", map[string]any{"iss": "https://gitlab.example", "aud": d.at, "project_id": "22", "ref": "main", "ref_protected": "true", "exp": exp}, false},
		{"GitHub's claims by GitLab", map[string]any{"iss": "https://gitlab.example", "aud": "imprimatur", "repository_id": "74", "environment": "production", "exp": exp}, false},
		{"a JWT-SVID", map[string]any{"sub": "spiffe://acme.example/prod/scorer", "aud": []string{d.at}, "exp": exp}, true},
		{"a JWT-SVID with an issuer", map[string]any{"iss": "https://spire.example", "sub": "spiffe://acme.example/prod/scorer", "aud": []string{d.at}, "exp": exp}, true},
		{"a JWT-SVID of another path", map[string]any{"sub": "spiffe://acme.example/prod", "aud": []string{d.at}, "exp": exp}, false},
		{"a JWT-SVID of another domain", map[string]any{"sub": "spiffe://acme.example.evil/prod/scorer", "aud": []string{d.at}, "exp": exp}, false},
		{"another issuer's word for a SPIFFE ID", map[string]any{"iss": "spiffe://acme.example", "sub": "scorer", "aud": []string{d.at}, "exp": exp}, false},
	} {
		if got := d.exchange(c.signed(x.claims)); (got.status == http.StatusOK) != x.taken {
			t.Errorf("%s: %+v", x.what, got)
		}
	}
	if n := c.fetches.Load(); n > 0 {
		t.Errorf("keys in files were fetched %d times", n)
	}
}
