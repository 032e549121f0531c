package mlflow_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server"
	"imprimatur.dev/wire"
)

// house is a server with a contributor.
type house struct {
	testing.TB
	ctx   context.Context
	reg   *registry.Registry
	url   string
	token string
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var administrator = registry.Caller{Name: registry.FirstAdministrator, Type: record.Human, Method: record.MethodToken}

// open starts a server with the teams lab and other, of which ann is in lab.
func open(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, ctx: context.WithoutCancel(t.Context())}
	h.reg = must[*registry.Registry](t)(registry.Open(h.ctx, registry.Config{Data: t.TempDir()}))
	t.Cleanup(func() { h.reg.Close() })
	s := httptest.NewServer(server.New(h.reg, server.Options{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(s.Close)
	h.url = s.URL
	must[string](t)(h.reg.Begin(h.ctx))
	for _, team := range []string{"lab", "other"} {
		must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: team}))
	}
	h.token = h.enrol("ann", record.Role{Role: record.Contributor, Team: "lab"})
	return h
}

func (h *house) enrol(name string, roles ...record.Role) string {
	h.Helper()
	must[record.Recorded[record.Principal]](h)(h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: name, Type: record.Human}))
	for _, r := range roles {
		r.Principal = name
		must[record.Recorded[record.Role]](h)(h.reg.BindRole(h.ctx, administrator, r))
	}
	return must[wire.IssuedToken](h)(h.reg.IssueToken(h.ctx, administrator, wire.TokenRequest{Principal: name, Scopes: []string{"write"}, Seconds: 3600})).Secret
}

// exchange sends a request and returns the status and the body.
func (h *house) exchange(method, path, body string, header http.Header) (int, string) {
	h.Helper()
	req := must[*http.Request](h)(http.NewRequestWithContext(h.ctx, method, h.url+path, strings.NewReader(body)))
	req.Header.Set("Authorization", "Bearer "+h.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp := must[*http.Response](h)(http.DefaultClient.Do(req))
	defer resp.Body.Close()
	return resp.StatusCode, string(must[[]byte](h)(io.ReadAll(resp.Body)))
}

// does demands a 200 and returns the answer.
func (h *house) does(method, path, body string) map[string]any {
	h.Helper()
	status, out := h.exchange(method, path, body, nil)
	if status != http.StatusOK {
		h.Fatalf("%s %s: %d %s", method, path, status, out)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		h.Fatalf("%s: %v", out, err)
	}
	return v
}

const api = "/api/2.0/mlflow"

// step is one exchange of the table.
type step struct {
	method, path, body string
	status             int
	// want is a part of the body that must be there, or the whole where it
	// begins with '='.
	want string
}

// The shapes of requests and answers that the real client does not try.
var protocol = []step{
	{"POST", api + "/registered-models/create", `{"name":"m","tags":[{"key":"k","value":"v"}],"unknown":1}`, 200, `"tags":[{"key":"k","value":"v"}]`},
	{"GET", api + "/registered-models/get?name=m", "", 200, `"name":"m","creation_timestamp":1`},
	{"GET", "/ajax-api/2.0/mlflow/registered-models/get?name=m", "", 200, `"name":"m"`},
	{"GET", "/t/lab/api/2.0/mlflow/registered-models/get?name=m", "", 200, `"name":"m"`},
	{"GET", "/t/lab/ajax-api/2.0/mlflow/registered-models/get?name=m", "", 200, `"name":"m"`},
	{"GET", "/t/other/api/2.0/mlflow/registered-models/get?name=m", "", 403, `"error_code":"PERMISSION_DENIED"`},
	{"GET", "/t/none/api/2.0/mlflow/registered-models/get?name=m", "", 404, `the team none is not known here`},
	{"POST", api + "/registered-models/create", `"{\"name\":\"twice\"}"`, 200, `"name":"twice"`},
	{"POST", api + "/registered-models/create", `{"name":"twice"}`, 400, `{"error_code":"RESOURCE_ALREADY_EXISTS","message":"Registered Model (name=twice) already exists`},
	{"POST", api + "/registered-models/create", `{}`, 400, `={"error_code":"INVALID_PARAMETER_VALUE","message":"Missing value for required parameter 'name'. See the API docs for more information about request parameters."}`},
	{"POST", api + "/registered-models/create", ``, 400, `Missing value for required parameter 'name'`},
	{"POST", api + "/registered-models/create", `{"name":null}`, 400, `Missing value for required parameter 'name'`},
	{"POST", api + "/registered-models/create", `{"name":7}`, 400, `Invalid value 7 for parameter 'name' supplied:  Hint: Value was of type 'int'.`},
	{"POST", api + "/registered-models/create", `{"name":"x","tags":"k"}`, 400, `for parameter 'tags' supplied:  Hint: Value was of type 'str'.`},
	{"POST", api + "/registered-models/create", `[1]`, 400, `not a JSON object`},
	{"POST", api + "/registered-models/create", `{"name":"x"`, 400, `not a JSON object`},
	{"GET", api + "/registered-models/get?name=none", "", 404, `"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Registered Model with name=none not found`},
	{"POST", api + "/model-versions/create", `{"name":"m","source":"runs:/r/m","run_id":"r"}`, 200, `"version":"1"`},
	{"GET", api + "/model-versions/get?name=m&version=1", "", 200, `"current_stage":"None","description":"","source":"runs:/r/m","run_id":"r","status":"READY","run_link":""`},
	{"GET", api + "/model-versions/get-download-uri?name=m&version=1", "", 200, `={"artifact_uri":"runs:/r/m"}`},
	{"POST", api + "/registered-models/alias", `{"name":"m","alias":"blue","version":1}`, 200, `={}`},
	{"GET", api + "/registered-models/alias?name=m&alias=blue", "", 200, `"aliases":["blue"]`},
	{"GET", api + "/registered-models/get?name=m", "", 200, `"aliases":[{"alias":"blue","version":"1"}]`},
	{"GET", api + "/registered-models/alias?name=m&alias=green", "", 400, `={"error_code":"INVALID_PARAMETER_VALUE","message":"Registered model alias green not found."}`},
	{"POST", api + "/registered-models/get-latest-versions", `{"name":"m","stages":["None","Production"]}`, 200, `"version":"1"`},
	{"GET", api + "/registered-models/get-latest-versions?name=m&stages=none&stages=staging", "", 200, `"version":"1"`},
	{"GET", api + "/registered-models/get-latest-versions?name=m&stages=Staging", "", 200, `={}`},
	{"GET", api + "/registered-models/search?order_by=name+DESC&order_by=timestamp&max_results=1", "", 200, `"name":"twice"`},
	{"GET", api + "/registered-models/search?max_results=many", "", 400, `for parameter 'max_results'`},
	{"GET", api + "/registered-models/search?page_token=%3F%3F", "", 400, `Invalid page token, could not base64-decode`},
	{"GET", api + "/registered-models/search?page_token=eyJvZmZzZXQiOjF9", "", 400, `Invalid page token`},
	{"GET", api + "/model-versions/search?filter=name%3D%27none%27", "", 200, `={}`},
	{"POST", api + "/model-versions/set-tag", `{"name":"m","version":"1","key":"k"}`, 200, `={}`},
	{"GET", api + "/model-versions/get?name=m&version=1", "", 200, `"tags":[{"key":"k","value":""}]`},
	{"POST", api + "/model-versions/transition-stage", `{"name":"m","version":"1","stage":"staging","archive_existing_versions":"maybe"}`, 400, `Invalid boolean value`},
	{"POST", api + "/model-versions/transition-stage", `{"name":"m","version":"1","stage":"staging"}`, 200, `"current_stage":"Staging"`},
	{"PATCH", api + "/model-versions/update", `{"name":"m","version":"1","description":"é"}`, 200, `"description":"é"`},
	{"PATCH", api + "/registered-models/update", `{"name":"m","description":"d"}`, 200, `"description":"d"`},
	{"DELETE", api + "/registered-models/alias", `{"name":"m","alias":"blue"}`, 200, `={}`},
	{"DELETE", api + "/model-versions/delete-tag", `{"name":"m","version":"1","key":"k"}`, 200, `={}`},
	{"DELETE", api + "/registered-models/delete-tag", `{"name":"m","key":"k"}`, 200, `={}`},
	{"DELETE", api + "/model-versions/delete", `{"name":"m","version":"1"}`, 200, `={}`},
	{"DELETE", api + "/model-versions/delete", `{"name":"m","version":"1"}`, 404, `Model Version (name=m, version=1) not found`},
	{"POST", api + "/registered-models/rename", `{"name":"m","new_name":"n"}`, 200, `"name":"n"`},
	{"POST", api + "/registered-models/rename", `{"name":"n"}`, 400, `Missing value for required parameter 'new_name'`},
	{"DELETE", api + "/registered-models/delete", `{"name":"n"}`, 200, `={}`},
	{"GET", api + "/registered-models/get?name=n", "", 404, `RESOURCE_DOES_NOT_EXIST`},
	{"GET", api + "/runs/get?run_id=1", "", 404, `"error_code":"ENDPOINT_NOT_FOUND"`},
	{"PUT", api + "/registered-models/get?name=m", "", 404, `"error_code":"ENDPOINT_NOT_FOUND"`},
	{"GET", "/version", "", 200, `=3.17.2`},
	{"GET", "/t/lab/health", "", 200, `=OK`},
	{"GET", "/api/3.0/mlflow/server-info", "", 200, `={"store_type":"SqlStore","workspaces_enabled":false}`},
}

func TestProtocol(t *testing.T) {
	h := open(t)
	for _, s := range protocol {
		status, body := h.exchange(s.method, s.path, s.body, nil)
		ok := strings.Contains(body, s.want)
		if whole, exact := strings.CutPrefix(s.want, "="); exact {
			ok = body == whole
		}
		if status != s.status || !ok {
			t.Errorf("%s %s %s: %d %s\nwant %d %s", s.method, s.path, s.body, status, body, s.status, s.want)
		}
	}
}

func TestSigningIn(t *testing.T) {
	h := open(t)
	basic := func(pair string) http.Header {
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}}
	}
	for name, x := range map[string]struct {
		header http.Header
		status int
	}{
		"bearer":                {http.Header{"Authorization": {"Bearer " + h.token}}, 200},
		"bearer in lower case":  {http.Header{"Authorization": {"bearer " + h.token}}, 200},
		"basic":                 {basic("ann:" + h.token), 200},
		"basic, any name":       {basic("x:" + h.token), 200},
		"nothing":               {http.Header{"Authorization": nil}, 401},
		"two":                   {http.Header{"Authorization": {"Bearer " + h.token, "Bearer " + h.token}}, 401},
		"token as the name":     {basic(h.token + ":"), 401},
		"not base64":            {http.Header{"Authorization": {"Basic !"}}, 401},
		"another scheme":        {http.Header{"Authorization": {"Digest " + h.token}}, 401},
		"a token cut short":     {http.Header{"Authorization": {"Bearer " + h.token[:len(h.token)-1]}}, 401},
		"a password with colon": {basic("x:" + h.token + ":"), 401},
	} {
		status, body := h.exchange("GET", api+"/registered-models/search", "", x.header)
		if status != x.status || status == 401 && !strings.Contains(body, `"error_code":"UNAUTHENTICATED"`) {
			t.Errorf("%s: %d %s, want %d", name, status, body, x.status)
		}
	}
}

// A token is looked up at most once a second, and yet a revocation, the end of a
// principal and a lost role count for the next request.
func TestAWithdrawnTokenIsRefusedAtOnce(t *testing.T) {
	h := open(t)
	search := func(token string) int {
		status, _ := h.exchange("GET", api+"/registered-models/search", "", http.Header{"Authorization": {"Bearer " + token}})
		return status
	}
	for i, end := range []func(name string, token string) error{
		func(_, token string) error {
			_, err := h.reg.RevokeToken(h.ctx, administrator, strings.Split(token, "_")[1])
			return err
		},
		func(name, _ string) error {
			_, err := h.reg.EnrolPrincipal(h.ctx, administrator, record.Principal{Name: name, Type: record.Human, Disabled: true})
			return err
		},
		func(name, _ string) error {
			_, err := h.reg.BindRole(h.ctx, administrator, record.Role{Principal: name, Role: record.Viewer, Team: "lab", Revoked: true})
			return err
		},
	} {
		name := fmt.Sprint("p", i)
		token := h.enrol(name, record.Role{Role: record.Viewer, Team: "lab"})
		for range 3 {
			if status := search(token); status != 200 {
				t.Fatalf("%s gets %d", name, status)
			}
		}
		if err := end(name, token); err != nil {
			t.Fatal(err)
		}
		if status := search(token); status == 200 {
			t.Errorf("%s still reads after the end of its token, identity or role", name)
		}
	}
}

func TestTheTeamIsTheOnlyOneOrIsNamed(t *testing.T) {
	h := open(t)
	both := h.enrol("both", record.Role{Role: record.Viewer, Team: "lab"}, record.Role{Role: record.Viewer, Team: "other"})
	header := http.Header{"Authorization": {"Bearer " + both}}
	if status, body := h.exchange("GET", api+"/registered-models/search", "", header); status != 400 || !strings.Contains(body, "/t/TEAM") {
		t.Errorf("without a team: %d %s", status, body)
	}
	if status, body := h.exchange("GET", "/t/other"+api+"/registered-models/search", "", header); status != 200 {
		t.Errorf("with a team: %d %s", status, body)
	}
}

func TestPagesNeitherHideNorRepeatWhatChangesInBetween(t *testing.T) {
	h := open(t)
	for i := range 9 {
		h.does("POST", api+"/registered-models/create", fmt.Sprintf(`{"name":"m%d"}`, i))
	}
	var names []string
	token := ""
	for {
		out := h.does("GET", api+"/registered-models/search?max_results=2&page_token="+strings.ReplaceAll(token, "+", "%2B"), "")
		for _, m := range out["registered_models"].([]any) {
			names = append(names, m.(map[string]any)["name"].(string))
		}
		next, more := out["next_page_token"]
		if !more {
			break
		}
		token = next.(string)
		// What was seen goes, and something comes before it.
		h.does("DELETE", api+"/registered-models/delete", fmt.Sprintf(`{"name":%q}`, names[len(names)-1]))
		h.does("POST", api+"/registered-models/create", fmt.Sprintf(`{"name":"a%d"}`, len(names)))
	}
	want := []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("the pages show (-want +got):\n%s", diff)
	}
}

func TestABodyThatIsTooLongOrNoJSONIsRefused(t *testing.T) {
	h := open(t)
	long := `{"name":"` + strings.Repeat("x", 5<<20) + `"}`
	if status, body := h.exchange("POST", api+"/registered-models/create", long, nil); status != 400 || !strings.Contains(body, "longer than") {
		t.Errorf("a long body: %d %.200s", status, body)
	}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if status, body := h.exchange("POST", api+"/registered-models/create", `{"name":"x"}`, form); status != 400 || !strings.Contains(body, `"BAD_REQUEST"`) {
		t.Errorf("a form: %d %s", status, body)
	}
}

// FuzzSearch demands that no filter, order or token makes the server fail.
func FuzzSearch(f *testing.F) {
	h := open(f)
	h.does("POST", api+"/registered-models/create", `{"name":"m","tags":[{"key":"k","value":"v"}]}`)
	h.does("POST", api+"/model-versions/create", `{"name":"m","source":"runs:/r/m"}`)
	for _, s := range []string{
		"name = 'm'", "name LIKE '%m%_'", "tags.`a b` ILIKE \"x\"", "run_id IN ('a','b') AND version_number >= 1", "name = 'a' OR 1=1",
		"tag.x != ''", "attribute.name NOT IN ('a')", "(((", "name = '", "name LIKE '%%%%%%%%%%%%%%%%%%%%%%b'", "version_number = 1.5",
	} {
		f.Add(s, "name DESC", "eyJvIjpbIm5hbWUrIl0sImEiOlt7fV19")
	}
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, filter, order, token string) {
		for _, path := range []string{"/registered-models/search", "/model-versions/search"} {
			req := must[*http.Request](t)(http.NewRequestWithContext(h.ctx, "GET", h.url+api+path, http.NoBody))
			q := req.URL.Query()
			q.Set("filter", filter)
			q.Set("page_token", token)
			if order != "" {
				q.Set("order_by", order)
			}
			req.URL.RawQuery = q.Encode()
			req.Header.Set("Authorization", "Bearer "+h.token)
			resp := must[*http.Response](t)(http.DefaultClient.Do(req))
			body := must[[]byte](t)(io.ReadAll(resp.Body))
			resp.Body.Close()
			if resp.StatusCode != 200 && resp.StatusCode != 400 || !bytes.HasPrefix(body, []byte("{")) {
				t.Errorf("%s?%s: %d %s", path, req.URL.RawQuery, resp.StatusCode, body)
			}
		}
	})
}

// A pattern of SQL takes no longer than the product of the lengths.
func TestAPatternTakesNoAge(t *testing.T) {
	h := open(t)
	h.does("POST", api+"/registered-models/create", `{"name":"`+strings.Repeat("a", 256)+`"}`)
	began := time.Now()
	h.does("GET", api+"/registered-models/search?filter=name+LIKE+%27"+strings.Repeat("%25a", 400)+"b%27", "")
	if took := time.Since(began); took > time.Second {
		t.Errorf("the search took %s", took)
	}
}
