package server_test

import (
	"strings"
	"testing"

	"imprimatur.dev/wire"
)

// What is asked at every call has a handler of its own, which must refuse what the
// handler of the other rows refuses.
func TestQuestionsAreReadStrictlyToo(t *testing.T) {
	h := open(t)
	const path = "/api/v1/authorize"
	ask := `{"kind":"tools","resource":"page","action":"call"}`
	for name, c := range map[string]struct {
		path, body string
		status     int
		says       string
		headers    []string
	}{
		"wrong case":           {path, `{"Kind":"tools"}`, 422, "Kind", nil},
		"twice":                {path, `{"kind":"tools","kind":"data"}`, 422, "duplicate", nil},
		"twice by escape":      {path, `{"kind":"tools","k\u0069nd":"data"}`, 422, "duplicate", nil},
		"twice inside":         {path, `{"kind":"tools","arguments":{"a":1,"a":2}}`, 422, "duplicate", nil},
		"unknown member":       {path, `{"kind":"tools","lease":"mine"}`, 422, "lease", nil},
		"trailing data":        {path, ask + `{}`, 422, "body", nil},
		"wrong type":           {path, `{"kind":7}`, 422, "kind", nil},
		"not JSON":             {path, `kind: tools`, 422, "body", nil},
		"invalid UTF-8":        {path, "{\"kind\":\"\xff\"}", 422, "UTF-8", nil},
		"an array":             {path, `[]`, 422, "body", nil},
		"nothing":              {path, ``, 422, "request body is required", nil},
		"larger than the most": {path, `{"kind":"` + strings.Repeat("a", 5<<20) + `"}`, 413, "too large", nil},
		"unknown parameter":    {path + "?dry=1", ask, 422, "query.dry: unknown query parameter", nil},
		"another media type":   {path, ask, 422, "yaml", []string{"Content-Type", "application/yaml"}},
		"a bad key":            {path, ask, 422, "Idempotency-Key", []string{"Idempotency-Key", "a#b"}},
		"a settlement":         {path + "/settle", `{"reservations":"x"}`, 422, "reservations", nil},
	} {
		for _, who := range []string{"administrator", ""} {
			answer := h.ask(who, "POST", c.path, c.body, c.headers...)
			if who == "" {
				h.problem(answer, 401)
				continue
			}
			if p := (&house{TB: t}).problem(answer, c.status); p.Code != wire.Invalid || !strings.Contains(p.Detail, c.says) {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
	got := h.ask("administrator", "POST", path, ask, "Content-Type", "application/json; charset=utf-8", "Idempotency-Key", "once")
	if a := body[wire.Answer](h, got); a.Allowed || len(a.Reasons) == 0 {
		t.Errorf("%+v", a)
	}
	if media := got.Header.Get("Content-Type"); media != "application/json" {
		t.Errorf("the answer is of type %q", media)
	}
}

// Answers to who shows a token are kept by nobody and are no page; everything else may
// be shown, and has what pages have.
func TestAnswersToTokensAreNoPages(t *testing.T) {
	h := open(t)
	for who, want := range map[string]string{"administrator": "", "": "DENY"} {
		head := h.ask(who, "GET", "/api/v1/me", "").Header
		if head.Get("Cache-Control") != "no-store" || head.Get("X-Content-Type-Options") != "nosniff" || head.Get("X-Request-Id") == "" {
			t.Errorf("%q: %v", who, head)
		}
		if head.Get("X-Frame-Options") != want || (head.Get("Content-Security-Policy") == "") != (want == "") {
			t.Errorf("%q: %v", who, head)
		}
	}
}
