package console

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"imprimatur.dev/registry"
	"imprimatur.dev/server/router"
)

// What anybody may see. All else needs somebody who is signed in.
var open = []string{"GET /api/{$}", "GET /assets/{name}"}

func TestEveryRouteSaysWhoGetsIn(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range routes {
		name := row.method + " " + row.path
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
		if (row.access == public) != slices.Contains(open, name) || row.access == 0 {
			t.Errorf("%s has the access level %d", name, row.access)
		}
	}
	for _, name := range open {
		if !seen[name] {
			t.Errorf("%s is open and not a route", name)
		}
	}
}

func TestARouteWithoutAccessRefuses(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a route that does not say who gets in was mounted")
		}
	}()
	mount(router.New(), Options{}, []route{{method: "GET", path: "/x", answer: page((*console).home)}})
}

func TestNobodyIsSentToSignIn(t *testing.T) {
	mux := router.New()
	Mount(mux, Options{SignedIn: func(*http.Request) (registry.Caller, bool) { return registry.Caller{}, false }})
	for _, row := range routes {
		if row.access == public {
			continue
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(row.method, examplePath(row.path), nil))
		switch {
		case row.method == "GET" && (w.Code != http.StatusSeeOther || w.Header().Get("Location")[:14] != "/sign-in?next="):
			t.Errorf("%s %s: %d to %q", row.method, row.path, w.Code, w.Header().Get("Location"))
		case row.method != "GET" && w.Code != http.StatusUnauthorized:
			t.Errorf("%s %s: %d", row.method, row.path, w.Code)
		}
	}
}

// examplePath fills the parts of a row's path with something.
func examplePath(path string) string {
	out := ""
	for i := 0; i < len(path); i++ {
		switch {
		case path[i:] == "{$}":
			return out
		case path[i] == '{':
			for path[i] != '}' {
				i++
			}
			out += "x"
		default:
			out += path[i : i+1]
		}
	}
	return out
}

func TestNavigationMarksWhereOneIs(t *testing.T) {
	for path, want := range map[string]string{"/": "/", "/releases": "/releases", "/releases/r-0123456789ab": "/releases", "/releasesx": ""} {
		got := ""
		for _, g := range navigation(path) {
			for _, l := range g.Links {
				if l.Current {
					got += l.Href
				}
			}
		}
		if got != want {
			t.Errorf("at %s the navigation marks %q, want %q", path, got, want)
		}
	}
}
