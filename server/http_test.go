package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// ask sends a request as a person, with headers in pairs.
func (h *house) ask(who, method, path, body string, headers ...string) *http.Response {
	h.Helper()
	req := must[*http.Request](h)(http.NewRequestWithContext(h.ctx, method, h.url+path, strings.NewReader(body)))
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+h.tokens[who])
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	answer := must[*http.Response](h)(http.DefaultClient.Do(req))
	h.Cleanup(func() { answer.Body.Close() })
	return answer
}

// problem demands a problem with a status.
func (h *house) problem(answer *http.Response, status int) wire.Problem {
	h.Helper()
	raw := must[[]byte](h)(io.ReadAll(answer.Body))
	var p wire.Problem
	if err := json.Unmarshal(raw, &p, json.RejectUnknownMembers(true)); err != nil {
		h.Fatalf("not a problem: %v\n%s", err, raw)
	}
	if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
		h.Errorf("the problem is of type %q", got)
	}
	if answer.StatusCode != status || p.Status != status || p.Type != "about:blank" || p.Title == "" || p.Detail == "" || p.Code == "" {
		h.Errorf("got status %d and %s, want %d", answer.StatusCode, raw, status)
	}
	return p
}

func body[T any](h *house, answer *http.Response) T {
	h.Helper()
	raw := must[[]byte](h)(io.ReadAll(answer.Body))
	var v T
	if err := json.Unmarshal(raw, &v); err != nil || answer.StatusCode != http.StatusOK {
		h.Fatalf("%s: %s: %v", answer.Status, raw, err)
	}
	return v
}

// A lenient reader would take one of two spellings for the check and the other
// for the record.
func TestBodiesAreReadStrictly(t *testing.T) {
	h := open(t)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"wrong case":           {`{"name":"lab","Name":"other"}`, 422},
		"only the wrong case":  {`{"NAME":"lab"}`, 422},
		"twice":                {`{"name":"lab","name":"other"}`, 422},
		"twice by escape":      {`{"name":"lab","n\u0061me":"other"}`, 422},
		"unknown member":       {`{"name":"lab","stage":"prod"}`, 422},
		"trailing data":        {`{"name":"lab"}{}`, 422},
		"wrong type":           {`{"name":7}`, 422},
		"not JSON":             {`name: lab`, 422},
		"invalid UTF-8":        {"{\"name\":\"lab\",\"displayName\":\"\xff\"}", 422},
		"lone surrogate":       {`{"name":"lab","displayName":"\ud800"}`, 422},
		"an array":             {`[]`, 422},
		"nothing":              {``, 422},
		"what record refuses":  {`{"name":"Not A Name"}`, 422},
		"a forged line":        {`{"name":"lab","displayName":"a\u001b[2K"}`, 422},
		"larger than the most": {`{"name":"lab","displayName":"` + strings.Repeat("a", 5<<20) + `"}`, 413},
	} {
		t.Run(name, func(t *testing.T) {
			p := (&house{TB: t, ctx: h.ctx, url: h.url, tokens: h.tokens}).problem(h.ask("administrator", "POST", "/api/v1/teams", c.body), c.status)
			if p.Code != wire.Invalid {
				t.Errorf("the code is %s", p.Code)
			}
		})
	}
	if p := must[wire.Page](t)(h.admin.List(h.ctx, record.KindTeam, 0, 0)); len(p.Entries) != 0 {
		t.Errorf("something was kept: %+v", p.Entries)
	}
}

func TestRequestsThatMeanNothingAreRefused(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/api/v1/teams?befor=3", "", 422, "befor"},
		{"GET", "/api/v1/teams?before=x", "", 422, "before"},
		{"GET", "/api/v1/teams?limit=-1", "", 422, "limit"},
		{"GET", "/api/v1/log/entries?kind=mystery", "", 422, "not a kind"},
		{"GET", "/api/v1/log/entries", "", 422, "kind"},
		{"GET", "/api/v1/audit/live?at=yesterday", "", 422, "at"},
		{"GET", "/api/v1/decide?environment=production&artifact=abc", "", 422, "artifact"},
		{"GET", "/api/v1/decide?environment=production", "", 422, "artifact"},
		{"GET", "/api/v1/log/proof?index=1000", "", 404, "entry"},
		{"GET", "/api/v1/log/consistency?older=3&newer=2", "", 404, "proof"},
		{"GET", "/api/v1/nothing", "", 404, "/api/"},
		{"PATCH", "/api/v1/teams", "{}", 405, "GET and POST"},
		{"DELETE", "/api/v1/me", "", 405, "GET"},
		{"POST", "/api/v1/releases/r-0123456789ab/promote", `{"force":true}`, 422, "no body"},
		{"POST", "/api/v1/releases/r-0123456789ab/approvals", `{"release":"r-ba9876543210"}`, 422, "r-ba9876543210"},
		{"POST", "/api/v1/releases/r-0123456789ab/retire", `{"reason":"x","lift":true}`, 422, "for good"},
		{"POST", "/api/v1/releases/r-0123456789ab/break-glass", `{"gate":"x","reason":"y","seconds":1}`, 422, "waiver"},
	} {
		p := h.problem(h.ask("administrator", c.method, c.path, c.body), c.status)
		if !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s %s: the refusal does not say %q: %s", c.method, c.path, c.says, p.Detail)
		}
	}
	h.problem(h.ask("administrator", "POST", "/api/v1/teams", "name: lab", "Content-Type", "application/yaml"), 422)
}

// What is left unread of a body must never be taken for the next request: else
// whoever writes the body could speak in the name of who shares the connection.
func TestRestOfLargeBodyIsNoRequest(t *testing.T) {
	h := open(t)
	conn := must[net.Conn](t)(net.Dial("tcp", strings.TrimPrefix(h.url, "http://")))
	defer conn.Close()
	hidden := strings.Repeat("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 5<<20/36)
	go fmt.Fprintf(conn, "POST /api/v1/teams HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", h.tokens["administrator"], len(hidden), hidden)
	answers, count := bufio.NewReader(conn), 0
	for {
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			break
		}
		count++
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 413 {
			t.Fatalf("answer %d is %s: %v", count, answer.Status, err)
		}
	}
	if count != 1 {
		t.Errorf("one request had %d answers", count)
	}
}

func TestIdempotencyKey(t *testing.T) {
	h := open(t)
	key := []string{"Idempotency-Key", "once-and-for-all"}
	send := func(body string, headers ...string) *http.Response {
		return h.ask("administrator", "POST", "/api/v1/teams", body, headers...)
	}
	first := body[record.Recorded[record.Team]](h, send(`{"name":"lab"}`, key...))
	again := body[record.Recorded[record.Team]](h, send(`{"name":"lab"}`, key...))
	if again != first {
		t.Errorf("the repeat was answered with %+v, not %+v", again, first)
	}
	if p := h.problem(send(`{"name":"other"}`, key...), 409); p.Code != wire.Conflict {
		t.Errorf("another body with the key: %+v", p)
	}
	h.problem(h.ask("administrator", "POST", "/api/v1/principals", `{"name":"lab"}`, key...), 409)
	if p := must[wire.Page](t)(h.admin.List(h.ctx, record.KindTeam, 0, 0)); len(p.Entries) != 1 {
		t.Errorf("%d teams were stated", len(p.Entries))
	}
	for _, bad := range []string{"", "with space", "with#hash", "naïve", strings.Repeat("k", 65)} {
		h.problem(send(`{"name":"lab"}`, "Idempotency-Key", bad), 422)
	}
	body[record.Recorded[record.Team]](h, send(`{"name":"third"}`, "Idempotency-Key", strings.Repeat("k", 64)))
}

// A promotion has no body, so that only the path tells one from another.
func TestIdempotencyKeyIsForOneRelease(t *testing.T) {
	h := settle(t)
	first, second := h.ready("1"), h.ready("2")
	promote := func(id string) *http.Response {
		return h.ask("olga", "POST", "/api/v1/releases/"+id+"/promote", "", "Idempotency-Key", "k")
	}
	done := body[wire.Promoted](h, promote(first.ID))
	again := body[wire.Promoted](h, promote(first.ID))
	if again.Promotion != done.Promotion || done.Promotion.Record.Release != first.ID {
		t.Errorf("the repeat was answered with %+v, not %+v", again.Promotion, done.Promotion)
	}
	p := h.problem(promote(second.ID), 409)
	if p.Code != wire.Conflict || !strings.Contains(p.Detail, "Idempotency-Key") {
		t.Errorf("another release with the key: %+v", p)
	}
	if n := h.count(record.KindPromotion); n != 1 {
		t.Errorf("%d promotions were stated", n)
	}
}

func TestIdempotencyKeyIsOnesOwn(t *testing.T) {
	h := open(t)
	h.enrol(record.Principal{Name: "ada", Type: record.Human})
	must[record.Recorded[record.Role]](t)(h.admin.BindRole(h.ctx, record.Role{Principal: "ada", Role: record.Administrator, Team: record.AllTeams}))
	for i, who := range []string{"administrator", "ada"} {
		got := body[record.Recorded[record.Team]](h, h.ask(who, "POST", "/api/v1/teams", fmt.Sprintf(`{"name":"team%d"}`, i), "Idempotency-Key", "1"))
		if got.Actor != who {
			t.Errorf("%s was answered with what %s stated", who, got.Actor)
		}
	}
}

func TestPagesHoldEverythingOnce(t *testing.T) {
	const teams = 450
	h := open(t)
	for i := range teams {
		must[record.Recorded[record.Team]](t)(h.reg.CreateTeam(h.ctx, administrator, record.Team{Name: fmt.Sprintf("team%d", i)}))
	}
	seen := map[string]bool{}
	path := "/api/v1/teams?limit=0"
	sizes := []int{}
	for path != "" {
		answer := h.ask("administrator", "GET", path, "")
		p := body[wire.Page](h, answer)
		for _, e := range p.Entries {
			seen[e.Subject] = true
		}
		sizes = append(sizes, len(p.Entries))
		link := answer.Header.Get("Link")
		path, _ = strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		if (link == "") != (p.Next == 0) {
			t.Fatalf("next is %d, the link %q", p.Next, link)
		}
	}
	if len(seen) != teams || fmt.Sprint(sizes) != "[200 200 50]" {
		t.Errorf("%d teams came in pages of %v", len(seen), sizes)
	}
	before, count := int64(0), 0
	for more := true; more; more = before > 0 {
		p := must[wire.Page](t)(h.admin.List(h.ctx, record.KindTeam, before, 7))
		before, count = p.Next, count+len(p.Entries)
	}
	if count != teams {
		t.Errorf("the client found %d teams in pages of 7", count)
	}
}

func TestPublicPagesAndHeaders(t *testing.T) {
	h := open(t)
	for path, media := range map[string]string{
		"/api/": "text/html; charset=utf-8", "/assets/console.css": "text/css; charset=utf-8",
		"/api/openapi.json": "application/openapi+json; charset=utf-8", "/healthz": "text/plain; charset=utf-8",
		"/readyz": "text/plain; charset=utf-8", "/log/checkpoint": "text/plain; charset=utf-8", "/log/key": "text/plain; charset=utf-8",
	} {
		answer := h.ask("", "GET", path, "")
		raw := must[[]byte](t)(io.ReadAll(answer.Body))
		if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != media || len(raw) == 0 {
			t.Errorf("%s: %s, %q, %d bytes", path, answer.Status, answer.Header.Get("Content-Type"), len(raw))
		}
		if strings.Contains(string(raw), "<script") {
			t.Errorf("%s has a script", path)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if csp := answer.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || answer.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: policy %q, request %q", path, csp, answer.Header.Get("X-Request-Id"))
		}
	}
	for _, path := range []string{"/nothing", "/api/v2/me", "/log/", "/log/tile/0/../../etc", "/metrics"} {
		if answer := h.ask("", "GET", path, ""); answer.StatusCode < 300 {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestBrowsersOfOtherSitesAreRefused(t *testing.T) {
	h := open(t)
	answer := h.ask("administrator", "POST", "/api/v1/teams", `{"name":"lab"}`, "Sec-Fetch-Site", "cross-site")
	if p := h.problem(answer, 403); p.Code != wire.Forbidden {
		t.Errorf("refused with %+v", p)
	}
}

func TestReadyRefusesWhenTheLedgerIsGone(t *testing.T) {
	h := open(t)
	if err := h.reg.Close(); err != nil {
		t.Fatal(err)
	}
	if answer := h.ask("", "GET", "/readyz", ""); answer.StatusCode != 503 {
		t.Errorf("readyz: %s", answer.Status)
	}
	if answer := h.ask("", "GET", "/healthz", ""); answer.StatusCode != 200 {
		t.Errorf("healthz: %s", answer.Status)
	}
	p := h.problem(h.ask("administrator", "GET", "/api/v1/me", ""), 503)
	if p.Code != wire.Unavailable || strings.Contains(p.Detail, "closed") {
		t.Errorf("the caller was told %+v", p)
	}
	id, _ := strings.CutPrefix(p.Detail[strings.LastIndex(p.Detail, " "):], " ")
	if !strings.Contains(h.log.String(), id) {
		t.Errorf("the log does not know the request %q: %s", id, h.log)
	}
}

func readAll(answer *http.Response) ([]byte, error) { return io.ReadAll(answer.Body) }
