package server_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/server/session"
	"imprimatur.dev/wire"
)

// browser keeps cookies and follows no redirect.
type browser struct {
	*house
	client *http.Client
}

func (h *house) browser() *browser {
	h.Helper()
	jar := must[*cookiejar.Jar](h)(cookiejar.New(nil))
	return &browser{h, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// post sends a form, and returns the status and the place it is sent to.
func (b *browser) post(path string, form url.Values) (int, string) {
	b.Helper()
	answer := must[*http.Response](b)(b.client.PostForm(b.url+path, form))
	answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("Location")
}

func (b *browser) cookie() *http.Cookie {
	b.Helper()
	for _, c := range b.client.Jar.Cookies(must[*url.URL](b)(url.Parse(b.url))) {
		if c.Name == "imprimatur" {
			return c
		}
	}
	return nil
}

// who is whose the browser's session is, and how it began.
func (b *browser) who() string {
	b.Helper()
	c := b.cookie()
	if c == nil {
		return ""
	}
	got, err := b.reg.Session(b.ctx, c.Value)
	if err != nil {
		if registry.CodeOf(err) != wire.SignIn {
			b.Error(err)
		}
		return ""
	}
	return got.Caller.Name + " by " + got.By
}

func TestSessionBegunWithAToken(t *testing.T) {
	h := settle(t)
	b := h.browser()
	status, to := b.post("/sign-in", url.Values{"token": {h.tokens["rita"]}, "next": {"/releases?x=1"}})
	if status != http.StatusSeeOther || to != "/releases?x=1" || b.who() != "rita by token" {
		t.Fatalf("got %d, sent to %q as %q", status, to, b.who())
	}
	// The next sign-in has another secret, and the one before is void.
	before := b.cookie().Value
	b.post("/sign-in", url.Values{"token": {h.tokens["sam"]}})
	if b.who() != "sam by token" || b.cookie().Value == before {
		t.Errorf("the browser is %q", b.who())
	}
	if _, err := h.reg.Session(h.ctx, before); registry.CodeOf(err) != wire.SignIn {
		t.Errorf("the session before stands: %v", err)
	}
	// Another token's session, its token revoked.
	issued := must[wire.IssuedToken](t)(h.people["sam"].IssueToken(h.ctx, wire.TokenRequest{Principal: "sam", Scopes: []string{record.ScopeRead}, Seconds: 60}))
	b.post("/sign-in", url.Values{"token": {issued.Secret}})
	if got := must[registry.Session](t)(h.reg.Session(h.ctx, b.cookie().Value)); len(got.Caller.Scopes) != 1 || got.Caller.Scopes[0] != record.ScopeRead {
		t.Errorf("the session reaches further than its token: %+v", got.Caller)
	}
	must[record.Recorded[record.Token]](t)(h.people["sam"].RevokeToken(h.ctx, issued.Token.Record.ID))
	if b.who() != "" {
		t.Errorf("the session outlives its token: %q", b.who())
	}
}

func TestSignInRefuses(t *testing.T) {
	h := settle(t)
	for what, form := range map[string]url.Values{
		"no token":         {},
		"a wrong token":    {"token": {h.tokens["rita"] + "0"}},
		"a workload's":     {"token": {h.tokens["robot"]}},
		"what is no token": {"token": {"imp_"}},
	} {
		b := h.browser()
		if status, _ := b.post("/sign-in", form); status != http.StatusUnauthorized && status != http.StatusForbidden || b.cookie() != nil {
			t.Errorf("%s: status %d, cookie %v", what, status, b.cookie())
		}
	}
}

func TestSigningOut(t *testing.T) {
	h := settle(t)
	here, there := h.browser(), h.browser()
	for _, b := range []*browser{here, there} {
		b.post("/sign-in", url.Values{"token": {h.tokens["rita"]}})
	}
	secret := here.cookie().Value
	if status, to := here.post("/sign-out", nil); status != http.StatusSeeOther || to != "/sign-in" || here.cookie() != nil {
		t.Fatalf("got %d, sent to %q, cookie %v", status, to, here.cookie())
	}
	if _, err := h.reg.Session(h.ctx, secret); registry.CodeOf(err) != wire.SignIn || there.who() != "rita by token" {
		t.Errorf("after one sign-out: %v, and elsewhere %q", err, there.who())
	}
	here.post("/sign-in", url.Values{"token": {h.tokens["rita"]}})
	here.post("/sign-out", url.Values{"everywhere": {"yes"}})
	if there.who() != "" {
		t.Error("signing out everywhere left a session")
	}
	// Nobody ends another's sessions but an administrator.
	there.post("/sign-in", url.Values{"token": {h.tokens["rita"]}})
	err := h.reg.SignOutEverywhere(h.ctx, registry.Caller{Name: "sam", Type: record.Human}, "rita")
	if registry.CodeOf(err) != wire.Forbidden || there.who() == "" {
		t.Errorf("sam signed rita out: %v", err)
	}
	if err := h.reg.SignOutEverywhere(h.ctx, registry.Caller{Name: "administrator", Type: record.Human}, "rita"); err != nil || there.who() != "" {
		t.Errorf("the administrator did not: %v", err)
	}
}

func TestSessionsEnd(t *testing.T) {
	clock := &struct{ ahead time.Duration }{}
	h := openWith(t, registry.Config{Data: t.TempDir(), Now: func() time.Time { return time.Now().Add(clock.ahead) }})
	h.settle()
	begin := func() *browser {
		b := h.browser()
		b.post("/sign-in", url.Values{"token": {h.token("rita", record.ScopeWrite)}})
		if b.who() != "rita by token" {
			t.Fatal("rita is not signed in")
		}
		return b
	}
	idle := begin()
	clock.ahead += registry.SessionIdle + time.Second
	if idle.who() != "" {
		t.Error("a session outlives its idle limit")
	}
	secret := must[string](t)(h.reg.SignInByToken(h.ctx, must[wire.IssuedToken](t)(h.admin.IssueToken(h.ctx, wire.TokenRequest{Principal: "rita", Scopes: []string{"write"}, Seconds: 200000})).Secret))
	steps := 0
	for ; ; steps++ {
		clock.ahead += registry.SessionIdle / 2
		if _, err := h.reg.Session(h.ctx, secret); err != nil {
			break
		}
	}
	if got := time.Duration(steps+1) * registry.SessionIdle / 2; got != registry.SessionLife {
		t.Errorf("a session in use ended after %s, want %s", got, registry.SessionLife)
	}
	gone := begin()
	must[record.Recorded[record.Principal]](t)(h.admin.EnrolPrincipal(h.ctx, record.Principal{Name: "rita", Type: record.Human, Disabled: true}))
	if gone.who() != "" {
		t.Error("a session outlives its principal")
	}
}

func TestCookieOfAnHTTPSInstallation(t *testing.T) {
	h := settle(t)
	at := must[*url.URL](t)(url.Parse("https://models.example"))
	s := httptest.NewServer(server.New(h.reg, server.Options{URL: at}))
	defer s.Close()
	b := h.browser()
	answer := must[*http.Response](t)(b.client.PostForm(s.URL+"/sign-in", url.Values{"token": {h.tokens["rita"]}}))
	defer answer.Body.Close()
	set := answer.Header.Get("Set-Cookie")
	for _, part := range []string{"__Host-imprimatur=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie %q lacks %q", set, part)
		}
	}
	if strings.Contains(set, "Domain") {
		t.Errorf("the cookie %q names a domain", set)
	}
}

func TestNobodyIsSentElsewhere(t *testing.T) {
	for to, want := range map[string]string{
		"/": "/", "/releases/r-1?x=2#y": "/releases/r-1?x=2#y", "": "/", "releases": "/",
		"//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/", "https:/evil.example": "/",
		"javascript:alert(1)": "/", "/\t/evil.example": "/", "/%0a": "/%0a", "\\\\evil.example": "/", "///evil.example": "/",
	} {
		if got := session.Local(to); got != want {
			t.Errorf("Local(%q) = %q, want %q", to, got, want)
		}
	}
}

func TestTooManySignInsAreRefused(t *testing.T) {
	h := settle(t)
	b := h.browser()
	statuses := map[int]int{}
	for range 40 {
		status, _ := b.post("/sign-in", url.Values{"token": {"imp_0_0"}})
		statuses[status]++
	}
	if statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusUnauthorized] < 10 {
		t.Errorf("40 wrong tries from one address: %v", statuses)
	}
	if status, _ := b.post("/sign-in", url.Values{"token": {h.tokens["rita"]}}); status != http.StatusTooManyRequests {
		t.Errorf("a right one right after: %d", status)
	}
}
