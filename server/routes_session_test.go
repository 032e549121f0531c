package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// signInRoutes is every route of package session with what nobody gets there:
// a page for all, the way to the sign-in page, or a refusal.
var signInRoutes = map[string]int{
	"GET /sign-in": 200, "POST /sign-in": 401, "POST /sign-out": 303,
	"GET /welcome/{link}": 401, "POST /welcome/{link}": 401,
	"GET /sign-in/ways": 303, "POST /sign-in/password": 303,
	"GET /sign-in/issuer": 404, "GET /sign-in/issuer/callback": 401,
	"GET /passkey.js": 200, "POST /passkey/enrol/begin": 401, "POST /passkey/enrol": 401,
	"POST /passkey/sign-in/begin": 200, "POST /passkey/sign-in": 422, "POST /passkey/ask": 401,
}

var mountedAt = regexp.MustCompile(`mux\.Handle(?:Func)?\("((?:GET|POST) )([^"]*)"(?:\+([a-zA-Z.]+)(?:\+"([^"]*)")?)?`)

// TestNobodyGetsPastTheSignInRoutes reads the routes from the source, so that a
// new one fails until it stands in the table.
func TestNobodyGetsPastTheSignInRoutes(t *testing.T) {
	h := settle(t)
	v := servedAt(t, h)
	names := map[string]string{"registry.WelcomePath": "/welcome/", "issuerPath": "/sign-in/issuer", "callbackPath": "/sign-in/issuer/callback"}
	seen := 0
	for _, file := range must[[]string](t)(filepath.Glob("session/*.go")) {
		for _, m := range mountedAt.FindAllStringSubmatch(string(must[[]byte](t)(os.ReadFile(file))), -1) {
			seen++
			pattern := m[1] + m[2] + names[m[3]] + m[4]
			want, ok := signInRoutes[pattern]
			if !ok {
				t.Errorf("the route %s stands in no table of who gets in", pattern)
				continue
			}
			method, path, _ := strings.Cut(strings.Replace(pattern, "{link}", "0", 1), " ")
			request := must[*http.Request](t)(http.NewRequestWithContext(h.ctx, method, v+path, http.NoBody))
			answer := must[*http.Response](t)(h.browser().client.Do(request))
			answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("%s: nobody gets %d, want %d", pattern, answer.StatusCode, want)
			}
		}
	}
	if seen != len(signInRoutes) {
		t.Errorf("%d routes were read, and the table has %d", seen, len(signInRoutes))
	}
}
