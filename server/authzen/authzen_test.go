package authzen_test

import (
	"bytes"
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
	"imprimatur.dev/server/authzen"
	"imprimatur.dev/server/router"
	"imprimatur.dev/wire"
)

const rules = `apiVersion: imprimatur/v1
kind: Policy
name: house
tiers:
  low:
    mode: enforce
    approvals:
      - { role: model-owner, count: 1, covers: [behaviour, data, authority, context] }
    expires: 90d
`

// point is a decision point with its people and two workloads: the people and
// the records of the certification scenario of AuthZEN 1.0.
type point struct {
	testing.TB
	url, token string
	reg        *registry.Registry
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

func as(name string) registry.Caller {
	return registry.Caller{Name: name, Type: record.Human, Method: record.MethodToken}
}

func open(t testing.TB) *point {
	reg := must[*registry.Registry](t)(registry.Open(t.Context(), registry.Config{Data: t.TempDir()}))
	t.Cleanup(func() { reg.Close() })
	p := &point{TB: t, reg: reg}
	admin, ctx := as(registry.FirstAdministrator), t.Context()
	must[string](t)(reg.Begin(ctx))
	must[record.Recorded[record.Team]](t)(reg.CreateTeam(ctx, admin, record.Team{Name: "lab"}))
	for name, role := range map[string]record.RoleName{"ann": record.Contributor, "olga": record.ModelOwner, "rita": record.Risk, "vera": record.Viewer} {
		must[record.Recorded[record.Principal]](t)(reg.EnrolPrincipal(ctx, admin, record.Principal{Name: name, Type: record.Human}))
		must[record.Recorded[record.Role]](t)(reg.BindRole(ctx, admin, record.Role{Principal: name, Role: role, Team: record.AllTeams}))
	}
	must[wire.Published](t)(reg.PublishPolicy(ctx, as("rita"), []byte(rules), "house rules"))
	must[record.Recorded[record.Environment]](t)(reg.SetEnvironment(ctx, admin, record.Environment{Name: "production", LeastTier: "low", Policy: "house"}))
	for _, name := range []string{"alice", "bob"} {
		must[record.Recorded[record.Principal]](t)(reg.EnrolPrincipal(ctx, admin, record.Principal{
			Name: name, Type: record.Workload, Owner: "olga", Purpose: "keeps records", Expires: record.Millis(time.Now().AddDate(1, 0, 0)),
		}))
	}
	p.release("alice", []record.Grant{
		{Resource: "record-1", Actions: []string{"read"}},
		{Resource: "*", Actions: []string{"write"}, Condition: `has(about.resource.status) && about.resource.status != "archived"`},
		{Resource: "record-1", Actions: []string{"delete"}, Condition: `has(args.soft) && args.soft == true`},
	})
	p.release("bob", []record.Grant{
		{Resource: "record-1", Actions: []string{"read"}},
		{Resource: "*", Actions: []string{"write"}, Condition: `has(about.subject.role) && about.subject.role == "admin" && about.resource.status == "archived"`},
	})
	p.token = must[wire.IssuedToken](t)(reg.IssueToken(ctx, as("vera"), wire.TokenRequest{Principal: "vera", Scopes: []string{record.ScopeRead}, Seconds: 3600})).Secret
	mux := router.New()
	authzen.Mount(mux, reg, "", slog.New(slog.DiscardHandler))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

// release puts a model live that acts as a workload.
func (p *point) release(workload string, records []record.Grant) {
	p.Helper()
	ctx, d := p.Context(), record.DigestOf([]byte("model of "+workload))
	must[record.Recorded[record.Model]](p)(p.reg.RegisterModel(ctx, as("olga"), record.Model{Team: "lab", Name: workload, Type: record.Trained, Owner: "olga"}))
	must[record.Recorded[record.ModelVersion]](p)(p.reg.RegisterVersion(ctx, as("ann"), record.ModelVersion{
		Model: "lab/" + workload, Version: "1", Type: record.Trained, Artifact: d, Files: []record.File{{Path: "m", SHA256: d.Hex(), Size: 1}},
	}))
	must[record.Recorded[record.UseCase]](p)(p.reg.RegisterUseCase(ctx, as("olga"), record.UseCase{
		Team: "lab", Name: workload, Title: "Records", Purpose: "keep-records", Owner: "olga", Tier: "low", Environments: []string{"production"},
	}))
	c := must[wire.Case](p)(p.reg.ProposeRelease(ctx, as("ann"), wire.Proposal{
		Version: "lab/" + workload + "@1", UseCase: "lab/" + workload, Environment: "production",
		Authority: record.Authority{Records: records, Workloads: []string{workload}},
	}))
	must[wire.Case](p)(p.reg.Approve(ctx, as("olga"), wire.Word{Release: c.ID, Record: c.Digests.Record, Role: record.ModelOwner, Decision: record.Approve, Reason: "seen"}))
	must[wire.Promoted](p)(p.reg.Promote(ctx, as("olga"), c.ID))
}

// post sends a body and returns the status and the answer.
func (p *point) post(path, body string, change func(*http.Request)) (int, http.Header, []byte) {
	p.Helper()
	r := must[*http.Request](p)(http.NewRequestWithContext(p.Context(), http.MethodPost, p.url+path, strings.NewReader(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+p.token)
	if change != nil {
		change(r)
	}
	res := must[*http.Response](p)(http.DefaultClient.Do(r))
	defer res.Body.Close()
	return res.StatusCode, res.Header, must[[]byte](p)(io.ReadAll(res.Body))
}

func (p *point) decides(body string) bool {
	p.Helper()
	status, _, raw := p.post("/access/v1/evaluation", body, nil)
	var got struct {
		Decision *bool `json:"decision"`
		Context  struct {
			Reasons []string `json:"reasons"`
		} `json:"context"`
	}
	if err := json.Unmarshal(raw, &got); err != nil || status != http.StatusOK || got.Decision == nil {
		p.Fatalf("%s: %d %s %v", body, status, raw, err)
	}
	if !*got.Decision && len(got.Context.Reasons) == 0 {
		p.Errorf("%s: a no without a reason: %s", body, raw)
	}
	return *got.Decision
}

// asked is a question of the scenario; properties are JSON or empty.
func asked(subject, role, action, args, resource, status string) string {
	props := func(name, value string) string {
		if value == "" {
			return ""
		}
		return fmt.Sprintf(`,"properties":{"%s":%s}`, name, value)
	}
	return fmt.Sprintf(`{"subject":{"type":"user","id":"%s"%s},"action":{"name":"%s"%s},"resource":{"type":"record","id":"%s"%s}}`,
		subject, props("role", role), action, props("soft", args), resource, props("status", status))
}

// The eight decisions of the certification scenario of AuthZEN 1.0.
func TestCertificationScenario(t *testing.T) {
	p := open(t)
	for i, c := range []struct {
		question string
		want     bool
	}{
		{asked("alice", "", "read", "", "record-1", ""), true},
		{asked("alice", "", "write", "", "record-1", `"active"`), true},
		{asked("bob", "", "read", "", "record-1", ""), true},
		{asked("bob", "", "write", "", "record-1", `"active"`), false},
		{asked("alice", "", "write", "", "record-2", `"archived"`), false},
		{asked("bob", `"admin"`, "write", "", "record-2", `"archived"`), true},
		{asked("alice", "", "delete", "true", "record-1", ""), true},
		{asked("alice", "", "delete", "false", "record-1", ""), false},
	} {
		for range 2 { // the same question has the same answer
			if got := p.decides(c.question); got != c.want {
				t.Errorf("rule %d: %v, want %v", i+1, got, c.want)
			}
		}
	}
	if p.decides(asked("nobody", "", "read", "", "record-1", "")) || p.decides(asked("alice", "", "read", "", "record-9", "")) {
		t.Error("what no grant names is allowed")
	}
}

func TestWhatIsNoQuestion(t *testing.T) {
	p := open(t)
	good := asked("alice", "", "read", "", "record-1", "")
	for name, body := range map[string]string{
		"nothing":          "",
		"no object":        "[]",
		"cut off":          good[:20],
		"no subject":       `{"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
		"no action":        `{"subject":{"type":"user","id":"a"},"resource":{"type":"record","id":"1"}}`,
		"no resource":      `{"subject":{"type":"user","id":"a"},"action":{"name":"read"}}`,
		"no subject type":  `{"subject":{"id":"a"},"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
		"no subject id":    `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
		"no resource type": `{"subject":{"type":"user","id":"a"},"action":{"name":"read"},"resource":{"id":"1"}}`,
		"no action name":   `{"subject":{"type":"user","id":"a"},"action":{},"resource":{"type":"record","id":"1"}}`,
		"a number":         `{"subject":{"type":"user","id":7},"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
		"a list":           `{"subject":["user"],"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
		"twice":            `{"subject":{"type":"user","id":"a","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
		"properties":       `{"subject":{"type":"user","id":"a","properties":[]},"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
		"context":          `{"subject":{"type":"user","id":"a"},"action":{"name":"read"},"resource":{"type":"record","id":"1"},"context":"x"}`,
	} {
		if status, _, raw := p.post("/access/v1/evaluation", body, nil); status != http.StatusBadRequest || !bytes.Contains(raw, []byte(`"detail"`)) {
			t.Errorf("%s: %d %s", name, status, raw)
		}
	}
	if status, _, _ := p.post("/access/v1/evaluation", good, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }); status != http.StatusBadRequest {
		t.Errorf("another content type: %d", status)
	}
	if status, _, _ := p.post("/access/v1/evaluation", good, func(r *http.Request) { r.Header.Del("Authorization") }); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	status, header, _ := p.post("/access/v1/evaluation", good[:len(good)-1]+`,"unknown":{"a":1}}`, func(r *http.Request) { r.Header.Set("X-Request-ID", "q-7") })
	if status != http.StatusOK || header.Get("X-Request-ID") != "q-7" {
		t.Errorf("a member that is not known: %d, request %q", status, header.Get("X-Request-ID"))
	}
}

func TestSeveralQuestions(t *testing.T) {
	p := open(t)
	ask := func(semantic, items string) []bool {
		t.Helper()
		body := fmt.Sprintf(`{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"},"options":{"evaluations_semantic":%q},"evaluations":[%s]}`, semantic, items)
		status, _, raw := p.post("/access/v1/evaluations", body, nil)
		var got struct {
			Evaluations []struct {
				Decision bool `json:"decision"`
			} `json:"evaluations"`
		}
		if err := json.Unmarshal(raw, &got); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s %v", status, raw, err)
		}
		out := []bool{}
		for _, e := range got.Evaluations {
			out = append(out, e.Decision)
		}
		return out
	}
	const yes, never, broken = `{}`, `{"resource":{"type":"record","id":"record-9"}}`, `{"resource":{"type":"record"}}`
	for _, c := range []struct {
		semantic, items string
		want            []bool
	}{
		{"execute_all", yes + "," + never + "," + yes, []bool{true, false, true}},
		{"deny_on_first_deny", yes + "," + never + "," + yes, []bool{true, false}},
		{"permit_on_first_permit", never + "," + yes + "," + yes, []bool{false, true}},
		// One that is no question is a no of its own.
		{"execute_all", broken + "," + yes + `,7`, []bool{false, true, false}},
		// A member takes the place of the whole of the common one.
		{"execute_all", `{"subject":{"type":"user","id":"bob"}},{"action":{"name":"write"}}`, []bool{true, false}},
	} {
		if diff := cmp.Diff(c.want, ask(c.semantic, c.items)); diff != "" {
			t.Errorf("%s over %s: %s", c.semantic, c.items, diff)
		}
	}
	// Without questions of their own the common one is the question.
	status, _, raw := p.post("/access/v1/evaluations", asked("alice", "", "read", "", "record-1", ""), nil)
	if status != http.StatusOK || !bytes.Contains(raw, []byte(`"decision":true`)) {
		t.Errorf("%d %s", status, raw)
	}
	for _, body := range []string{`{"evaluations":[{}],"options":{"evaluations_semantic":"maybe"}}`, `{"evaluations":[` + strings.Repeat("{},", 1000) + `{}]}`} {
		if status, _, _ := p.post("/access/v1/evaluations", body, nil); status != http.StatusBadRequest {
			t.Errorf("%.60s: %d", body, status)
		}
	}
}

func TestSearch(t *testing.T) {
	p := open(t)
	for _, c := range []struct{ path, body, want string }{
		{"subject", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`, `{"results":[{"id":"alice","type":"user"},{"id":"bob","type":"user"}]}`},
		{"subject", `{"subject":{"type":"user","id":"passed over"},"action":{"name":"write"},"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}}`, `{"results":[{"id":"alice","type":"user"}]}`},
		{"resource", `{"subject":{"type":"user","id":"bob"},"action":{"name":"read"},"resource":{"type":"record"}}`, `{"results":[{"id":"record-1","type":"record"}]}`},
		{"action", `{"subject":{"type":"user","id":"alice"},"resource":{"type":"record","id":"record-1","properties":{"status":"active"}}}`, `{"results":[{"name":"read"},{"name":"write"}]}`},
		{"action", `{"subject":{"type":"user","id":"nobody"},"resource":{"type":"record","id":"record-1"}}`, `{"results":[]}`},
	} {
		status, _, raw := p.post("/access/v1/search/"+c.path, c.body, nil)
		var got, want any
		if err := json.Unmarshal(raw, &got); err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %s %v", c.path, status, raw, err)
		}
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s: %s", c.path, c.body, diff)
		}
	}
}

func TestMetadataNamesWhatAnswers(t *testing.T) {
	p := open(t)
	res := must[*http.Response](t)(http.Get(p.url + "/.well-known/authzen-configuration"))
	defer res.Body.Close()
	var doc map[string]string
	if err := json.UnmarshalRead(res.Body, &doc); err != nil {
		t.Fatal(err)
	}
	if doc["policy_decision_point"] != p.url || len(doc) != 6 {
		t.Errorf("%v", doc)
	}
	for name, at := range doc {
		if name == "policy_decision_point" {
			continue
		}
		if status, _, _ := p.post(strings.TrimPrefix(at, p.url), "", nil); status != http.StatusBadRequest {
			t.Errorf("%s at %s answers nothing: %d", name, at, status)
		}
	}
}

func TestWhoMayNotReadATeamLearnsNothing(t *testing.T) {
	p := open(t)
	must[record.Recorded[record.Principal]](t)(p.reg.EnrolPrincipal(t.Context(), as(registry.FirstAdministrator), record.Principal{Name: "zoe", Type: record.Human}))
	p.token = must[wire.IssuedToken](t)(p.reg.IssueToken(t.Context(), as("zoe"), wire.TokenRequest{Principal: "zoe", Scopes: []string{record.ScopeRead}, Seconds: 3600})).Secret
	for _, subject := range []string{"alice", "nobody"} {
		if status, _, _ := p.post("/access/v1/evaluation", asked(subject, "", "read", "", "record-1", ""), nil); status != http.StatusForbidden {
			t.Errorf("about %s: %d", subject, status)
		}
	}
	_, _, raw := p.post("/access/v1/search/subject", `{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}`, nil)
	if string(raw) != `{"results":[]}` {
		t.Errorf("found %s", raw)
	}
}

func FuzzEvaluations(f *testing.F) {
	p := open(f)
	f.Add([]byte(asked("alice", `"admin"`, "write", "true", "record-1", `"active"`)))
	f.Add([]byte(`{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"evaluations":[{"resource":{"type":"record","id":"record-1"}},{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q := *p
		q.TB = t
		status, _, raw := q.post("/access/v1/evaluations", string(body), nil)
		if status != http.StatusOK && status != http.StatusBadRequest {
			t.Errorf("%d %s", status, raw)
		}
	})
}
