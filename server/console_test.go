package server_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"imprimatur.dev/client"
	"imprimatur.dev/demo"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/browsertest"
	"imprimatur.dev/wire"
)

// clinic is the demo's installation after its story, with one more release that
// waits for two of its reviewers.
type clinic struct {
	*house
	open, live string
}

func told(t testing.TB) *clinic {
	t.Helper()
	c := &clinic{house: open(t)}
	tokens := must[demo.Tokens](t)(demo.Tell(c.ctx, demo.Config{
		URL: c.url, Administrator: c.tokens["administrator"], Folder: t.TempDir(), Tell: func(demo.Step) {},
		VerifyLedger: func(context.Context) (string, error) { return "not asked here", nil },
	}))
	for name, token := range tokens {
		c.tokens[name], c.people[name] = token, client.New(c.url, token)
	}
	for name, role := range map[string]record.RoleName{"viewer": record.Viewer, "auditor": record.Auditor} {
		must[record.Recorded[record.Principal]](t)(c.admin.EnrolPrincipal(c.ctx, record.Principal{Name: name, Type: record.Human}))
		must[record.Recorded[record.Role]](t)(c.admin.BindRole(c.ctx, record.Role{Principal: name, Role: role, Team: record.AllTeams}))
		c.tokens[name] = c.token(name, record.ScopeWrite)
	}
	live := must[[]wire.LiveRelease](t)(c.people["risk-officer"].Live(c.ctx, now()))
	c.live = live[0].Release
	may := must[wire.Case](t)(c.people["engineer"].CheckRelease(c.ctx, c.live)).Release.Record.Authority
	may.APIs = []record.Grant{{Resource: "https://clinic.example/appointments", Actions: []string{"GET"}, Condition: "args.days < 14", Why: "finds a free hour"}}
	c.open = must[wire.Case](t)(c.people["engineer"].ProposeRelease(c.ctx, wire.Proposal{Version: "clinic/breast-mass@2", UseCase: "clinic/second-reading", Environment: "production", Authority: may})).ID
	c.says("model-owner", record.ModelOwner, record.Approve, "Fewer cancers are missed in the new clinic.")
	return c
}

// says speaks of the open release as somebody.
func (c *clinic) says(name string, role record.RoleName, decision, reason string) {
	c.Helper()
	who := registry.Caller{Name: name, Type: record.Human, Method: record.MethodToken}
	seen := must[wire.Case](c)(c.reg.CheckRelease(c.ctx, who, c.open))
	must[wire.Case](c)(c.reg.Approve(c.ctx, who, wire.Word{Release: c.open, Record: seen.Digests.Record, Role: role, Decision: decision, Reason: reason}))
}

// see returns the markup of a page.
func (b *browser) see(path string, status int) string {
	b.Helper()
	answer := must[*http.Response](b)(b.client.Get(b.url + path))
	defer answer.Body.Close()
	raw := must[[]byte](b)(io.ReadAll(answer.Body))
	if answer.StatusCode != status {
		b.Fatalf("%s: %s, want %d:\n%s", path, answer.Status, status, raw)
	}
	return string(raw)
}

var digestOnPage = regexp.MustCompile(`name="record" value="(sha256:[0-9a-f]{64})"`)

func TestReviewersDecideOnOnePage(t *testing.T) {
	c := told(t)
	page := c.as("security-officer").see("/releases/"+c.open, 200)
	for _, want := range []string{
		"It waits for the word of security.", "may now call the API https://clinic.example/appointments", "the training run clinic/train-2 is new",
		"may GET at the API https://clinic.example/appointments, only when args.days &lt; 14", "may use no secrets",
		"engineer owns the workload training-pipeline, which trained the model", "carried over from", "Fewer cancers are missed in the new clinic.",
		"Value 0.9925 over 228 items, 95 % interval from", "/releases/" + c.open + "/bundle", "imprimatur verify MODEL",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of the release does not say %q", want)
		}
	}
	shown := digestOnPage.FindStringSubmatch(page)
	if len(shown) == 0 {
		t.Fatal("the form does not hold the record digest")
	}
	for _, name := range []string{"viewer", "engineer"} {
		if name == "viewer" && digestOnPage.MatchString(c.as(name).see("/releases/"+c.open, 200)) {
			t.Errorf("%s is shown a form to decide", name)
		}
	}
	b := c.as("security-officer")
	other := "sha256:" + strings.Repeat("0", 64)
	form := url.Values{"record": {other}, "role": {"security"}, "decision": {"approve"}, "reason": {"narrow enough"}}
	answer := must[*http.Response](t)(b.client.PostForm(b.url+"/releases/"+c.open+"/decision", form))
	raw := string(must[[]byte](t)(io.ReadAll(answer.Body)))
	answer.Body.Close()
	if answer.StatusCode != http.StatusConflict || !strings.Contains(raw, "look again at what you approve") || !strings.Contains(raw, "narrow enough") {
		t.Errorf("an approval of another record was answered with %s:\n%s", answer.Status, raw)
	}
	form.Set("record", shown[1])
	if code, to := b.post("/releases/"+c.open+"/decision", form); code != http.StatusSeeOther || to != "/releases/"+c.open+"?done=approve" {
		t.Fatalf("the approval was answered with %d and led to %q", code, to)
	}
	if page := b.see("/releases/"+c.open+"?done=approve", 200); !strings.Contains(page, "Every gate passes. A model owner may promote it") || !strings.Contains(page, "Your approval is in the ledger.") {
		t.Error("the page does not show what the approval did")
	}
	if inbox := b.see("/inbox", 200); !strings.Contains(inbox, "Nothing waits for you.") {
		t.Error("what was decided still waits")
	}
	if inbox := c.as("model-owner").see("/inbox", 200); !strings.Contains(inbox, "Promote it, as model-owner.") {
		t.Error("the promotion does not wait for the model owner")
	}
}

func TestTheEngineerMayNotDecideOnTheirOwnModel(t *testing.T) {
	c := told(t)
	b := c.as("engineer")
	shown := digestOnPage.FindStringSubmatch(b.see("/releases/"+c.open, 200))
	answer := must[*http.Response](t)(b.client.PostForm(b.url+"/releases/"+c.open+"/decision", url.Values{"record": {shown[1]}, "role": {"model-owner"}, "decision": {"approve"}, "reason": {"mine"}}))
	raw := string(must[[]byte](t)(io.ReadAll(answer.Body)))
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden || !strings.Contains(raw, "may not approve the release") {
		t.Errorf("answered with %s", answer.Status)
	}
}

// Where an attacker would write: whatever of this comes out as markup is a hole.
const hostile = `"><svg onload=alert(1)><script>alert(1)</script></textarea>{{.}}[x](javascript:alert(1)) <img src=x onerror=alert(1)>'&` + "\x60"

func TestHostileTextStaysText(t *testing.T) {
	c := told(t)
	for name, say := range map[string]func() error{
		"comment": func() error {
			_, err := c.people["engineer"].Comment(c.ctx, c.open, wire.Remark{Text: hostile})
			return err
		},
		"reason": func() error {
			c.says("risk-officer", record.Risk, record.RequestChanges, hostile)
			return nil
		},
		"use case": func() error {
			_, err := c.people["model-owner"].RegisterUseCase(c.ctx, record.UseCase{
				Team: "clinic", Name: "second-reading", Title: hostile, Purpose: "second-reading", Owner: "model-owner", Tier: "high", Context: hostile, Environments: []string{"production"},
			})
			return err
		},
		"signal": func() error {
			_, err := c.people["engineer"].RecordSignal(c.ctx, record.Signal{Release: c.open, Line: "clinic/breast-mass/clinic:second-reading/production", Type: "odd", Detail: hostile, Observed: now()})
			return err
		},
		"authority": func() error {
			a := record.Authority{Tools: []record.Grant{{Resource: hostile, Actions: []string{hostile}, Condition: "true", Limit: record.Limit{Calls: 1, Seconds: 1}, Definition: digest("x"), Why: hostile}}}
			got, err := c.people["engineer"].ProposeRelease(c.ctx, wire.Proposal{Version: "clinic/breast-mass@2", UseCase: "clinic/second-reading", Environment: "production", Authority: a, Incomplete: true})
			c.live = got.ID
			return err
		},
	} {
		if err := say(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	b := c.as("risk-officer")
	q := url.QueryEscape(hostile)
	for _, path := range []string{
		"/", "/inbox", "/releases", "/releases?q=" + q + "&model=" + q + "&status=" + q + "&before=" + q, "/search?q=" + q,
		"/releases/" + c.open, "/releases/" + c.live, "/releases/" + c.open + "?since=" + c.live + "&done=" + q,
	} {
		page := b.see(path, 200)
		for _, bad := range []string{"<script>", "<svg onload", "<img", "onload=alert(1)>", `href="javascript:`} {
			if strings.Contains(page, bad) {
				t.Errorf("%s holds %q as markup", path, bad)
			}
		}
		if strings.Contains(page, "style=") || strings.Contains(page, "<style") || strings.Contains(page, "ZgotmplZ") {
			t.Errorf("%s holds a style of its own", path)
		}
	}
	for _, path := range []string{"/releases/" + url.PathEscape(hostile), "/nothing/" + url.PathEscape(hostile), "/releases/" + c.open + "?since=" + q} {
		if page := b.see(path, 404); strings.Contains(page, "<script>") {
			t.Errorf("%s holds a script", path)
		}
	}
	bundle := must[*http.Response](t)(b.client.Get(b.url + "/releases/" + c.open + "/bundle"))
	bundle.Body.Close()
	if h := bundle.Header; !strings.HasPrefix(h.Get("Content-Disposition"), "attachment;") || strings.Contains(h.Get("Content-Type"), "html") || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the bundle comes as %s, %s", h.Get("Content-Type"), h.Get("Content-Disposition"))
	}
}

// signIn signs somebody in by their token.
func (v *visited) signIn(name string) {
	v.house.Helper()
	v.Go(v.at.String() + "/sign-in")
	v.Click("summary")
	v.Type("#token", v.tokens[name])
	v.Follow("details button")
}

func TestAReleaseIsDecidedByKeyboardAlone(t *testing.T) {
	c := told(t)
	v := visit(t, c.house)
	v.signIn("security-officer")
	v.Go(v.at.String() + "/inbox")
	v.Press("\t")
	if at := browsertest.Evaluate[string](v.Browser, "document.activeElement.className"); at != "skip" {
		t.Errorf("the first key leads to %q, not to the link that skips", at)
	}
	v.Press("\r\t")
	if at := browsertest.Evaluate[string](v.Browser, "document.activeElement.getAttribute('href')"); at != "/releases/"+c.open+"#decide" {
		t.Fatalf("the link in the inbox leads to %q", at)
	}
	v.Press("\r")
	v.Wait("#d-reason")
	browsertest.Evaluate[any](v.Browser, "document.getElementById('d-role').focus(), true")
	v.Press("\tread only, within a limit\t\r")
	v.Wait("p.done")
	v.Says("Your approval is in the ledger.", "Every gate passes")
	if got := must[wire.Case](t)(c.people["risk-officer"].CheckRelease(c.ctx, c.open)); !got.Verdict.Passed {
		t.Error("the approval by keyboard did not count")
	}
}
