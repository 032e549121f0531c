package api

import (
	"bytes"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

var update = flag.Bool("update", false, "write the OpenAPI document anew")

const golden = "openapi.golden.json"

// opened returns the API of a real registry without anybody in it.
func opened(t *testing.T) *API {
	t.Helper()
	reg, err := registry.Open(t.Context(), registry.Config{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	return New(reg, slog.New(slog.DiscardHandler))
}

func TestOpenAPIDocumentIsTheAgreedOne(t *testing.T) {
	api := opened(t)
	if *update {
		if err := os.WriteFile(golden, api.OpenAPI, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(api.OpenAPI)); diff != "" {
		t.Errorf("the contract changed (go test ./server/api -update writes it anew):\n%s", diff)
	}
}

func TestOpenAPIDocumentNamesEveryRow(t *testing.T) {
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			ID       string                `json:"operationId"`
			Security []map[string][]string `json:"security"`
			Takes    []struct {
				Name string `json:"name"`
			} `json:"parameters"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(opened(t).OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("the document is of OpenAPI %q", doc.OpenAPI)
	}
	names := map[string]bool{}
	for _, r := range routes {
		op := doc.Paths[r.path][strings.ToLower(r.method)]
		if op.ID != r.name || names[r.name] {
			t.Errorf("%s %s is %q in the document, want %q, once", r.method, r.path, op.ID, r.name)
		}
		names[r.name] = true
		takes := map[string]bool{}
		for _, p := range op.Takes {
			takes[p.Name] = true
		}
		isList := strings.HasPrefix(r.name, "List") || r.name == "Releases" || r.name == "By"
		if takes["id"] != strings.Contains(r.path, "{id}") || (takes["before"] && takes["limit"]) != isList || takes["Idempotency-Key"] != (r.method != get) {
			t.Errorf("%s %s takes %v", r.method, r.path, takes)
		}
		if secured := len(op.Security) == 1; secured != (r.access != public) {
			t.Errorf("%s %s: the document asks for a token: %v", r.method, r.path, secured)
		}
	}
}

func TestRowWithoutAccessIsRefused(t *testing.T) {
	defer func() {
		fault, _ := recover().(string)
		if !strings.Contains(fault, "GET /me does not say who gets in") {
			t.Errorf("the table was taken, or refused with %q", fault)
		}
	}()
	build(nil, nil, []route{{method: get, path: "/me", name: "Me", handler: ask(me)}})
}

// path fills in the places of a row's path.
func (r route) at() string {
	path := strings.NewReplacer("{id}", "r-0123456789ab", "{team}", "lab", "{name}", "crm-key").Replace(Prefix + r.path)
	if !strings.Contains(path, "{") {
		return path
	}
	panic("the path " + path + " has places that the test does not know")
}

func TestRule04NothingAnswersWithoutToken(t *testing.T) {
	api := opened(t)
	var open []string
	for _, r := range routes {
		for _, authorization := range []string{"", "Bearer imp_00_00", "Basic YTpi", "Bearer "} {
			// A body that would be refused shows that the caller is looked at first.
			req := httptest.NewRequest(r.method, r.at(), strings.NewReader(`{"unknown":1}`))
			if authorization != "" {
				req.Header.Set("Authorization", authorization)
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, req)
			switch {
			case r.access == public:
				open = append(open, r.name)
			case w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "":
				t.Errorf("%s %s with %q: %d", r.method, r.at(), authorization, w.Code)
			}
		}
	}
	slices.Sort(open)
	if diff := cmp.Diff([]string{"Consistency", "Proof", "Status"}, slices.Compact(open)); diff != "" {
		t.Errorf("operations that need no token: %s", diff)
	}
}

func TestEveryCodeHasStatusAndTitle(t *testing.T) {
	for _, c := range []wire.Code{wire.Invalid, wire.Unknown, wire.Forbidden, wire.Conflict, wire.Refused, wire.SignIn, wire.Unavailable} {
		if statuses[c] < 400 || titles[c] == "" {
			t.Errorf("the code %q has the status %d and the title %q", c, statuses[c], titles[c])
		}
	}
	if len(statuses) != 7 || len(titles) != 7 {
		t.Errorf("there are %d statuses and %d titles for 7 codes", len(statuses), len(titles))
	}
}

func TestFaultInsideIsLoggedAndNotTold(t *testing.T) {
	var log bytes.Buffer
	w := httptest.NewRecorder()
	w.Header().Set(RequestID, "REQUEST7")
	Refuse(w, httptest.NewRequest(get, "/", nil), slog.New(slog.NewTextHandler(&log, nil)), os.ErrPermission)
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "permission") || !strings.Contains(w.Body.String(), "REQUEST7") {
		t.Errorf("the caller was told: %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "permission denied") || !strings.Contains(log.String(), "REQUEST7") {
		t.Errorf("the log says: %s", log.String())
	}
}
