package server_test

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// as signs a browser in as somebody.
func (h *house) as(name string) *browser {
	h.Helper()
	b := h.browser()
	if status, to := b.post("/sign-in", url.Values{"token": {h.tokens[name]}}); status != http.StatusSeeOther {
		h.Fatalf("%s could not sign in: %d to %q", name, status, to)
	}
	return b
}

// page returns the text of a page as a person reads it, tags left out, and fails
// unless it has the status and says certain things.
func (b *browser) page(path string, status int, says ...string) string {
	b.Helper()
	return b.read(must[*http.Response](b)(b.client.Get(b.url+path)), status, says...)
}

// send posts a form and reads the page that answers it.
func (b *browser) send(path string, form url.Values, status int, says ...string) string {
	b.Helper()
	return b.read(must[*http.Response](b)(b.client.PostForm(b.url+path, form)), status, says...)
}

func (b *browser) read(answer *http.Response, status int, says ...string) string {
	b.Helper()
	defer answer.Body.Close()
	raw := string(must[[]byte](b)(io.ReadAll(answer.Body)))
	text := textOf(raw)
	if answer.StatusCode != status {
		b.Fatalf("%s: %d, want %d:\n%s", answer.Request.URL, answer.StatusCode, status, text)
	}
	if strings.Contains(raw, "<img") || strings.Contains(raw, "style=") || strings.Contains(raw, " onclick") {
		b.Errorf("%s: something was taken for markup:\n%s", answer.Request.URL, raw)
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			b.Errorf("%s does not say %q:\n%s", answer.Request.URL, s, text)
		}
	}
	return text
}

// textOf leaves the tags out of a page and reads its entities.
func textOf(page string) string {
	var out strings.Builder
	for page != "" {
		before, rest, _ := strings.Cut(page, "<")
		out.WriteString(before)
		_, page, _ = strings.Cut(rest, ">")
		out.WriteByte(' ')
	}
	return strings.Join(strings.Fields(html.UnescapeString(out.String())), " ")
}

func TestLivePageShowsNowAndThen(t *testing.T) {
	h := settle(t)
	before := now()
	first, second := h.ready("1"), h.ready("2")
	vic := h.as("vic")
	vic.page("/live", 200, "Nothing runs in production.")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, first.ID))
	between := must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, second.ID)).Promotion.Time.Add(-time.Millisecond)
	vic.page("/live", 200, "lab/net@2", second.ID, "promoted by olga", "rita (risk)", "accuracy/holdout", "lab/triage, tier high")
	at := url.QueryEscape(between.Format(time.RFC3339Nano))
	if text := vic.page("/live?at="+at, 200, "lab/net@1", first.ID, "as of then"); strings.Contains(text, second.ID) {
		t.Errorf("the past shows what came later:\n%s", text)
	}
	vic.page("/live?at="+url.QueryEscape(before.Format(time.RFC3339)), 200, "Nothing ran in production at that time.")
	vic.page("/live?environment=staging", 200, "Nothing ran here")
	vic.page("/live?team=other", 200, "Nothing runs in production.")
	vic.page("/live?at=yesterday", 422, `"yesterday" is no date and time`)
	vic.page("/live?t=x", 422, "no number of seconds")
	vic.page("/live?from=%01", 200)
}

func TestRollbackIsShownBeforeItIsDone(t *testing.T) {
	h := settle(t)
	first, second := h.ready("1"), h.ready("2")
	olga, vic := h.as("olga"), h.as("vic")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, first.ID))
	olga.page("/live/"+first.ID+"/rollback", 200, "nothing ran in", "so there is nothing to roll back to")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, second.ID))
	size := must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size
	path := "/live/" + second.ID + "/rollback"
	olga.page(path, 200, first.ID+" runs in production in the place of "+second.ID, "You may promote releases because you hold the role model-owner for team lab", "the model version was lab/net@2 and is lab/net@1", "Roll back to "+first.ID)
	if text := vic.page(path, 200, "vic may not promote releases for team lab", "imprimatur principal bind vic"); strings.Contains(text, "Reason") {
		t.Errorf("a viewer is shown the form:\n%s", text)
	}
	if got := must[wire.LogStatus](t)(h.reg.LogStatus(h.ctx)).Size; got != size {
		t.Errorf("looking stated %d things", got-size)
	}
	vic.send(path, url.Values{"to": {first.ID}, "reason": {"mine"}}, 403, "vic may not promote")
	olga.send(path, url.Values{"to": {first.ID}}, 422, "reason")
	if status, to := olga.post(path, url.Values{"to": {first.ID}, "reason": {"it drifts"}}); status != 303 || to != "/live" {
		t.Errorf("the rollback answers %d to %q", status, to)
	}
	olga.page("/live", 200, first.ID, "rolled back to by olga")
}

func TestSuspendAndLiftFromTheConsole(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	must[wire.Promoted](t)(h.people["olga"].Promote(h.ctx, c.ID))
	sam := h.as("sam")
	path := "/live/" + c.ID + "/suspend"
	sam.page(path, 200, c.ID+" stops at once", "You may suspend releases because you hold the role security")
	h.as("eve").page(path, 200, "eve may not suspend releases")
	sam.send(path, url.Values{"reason": {`<img src=x onerror=alert(1)>`}}, 303)
	if d := must[wire.Decision](t)(h.people["robot"].Decide(h.ctx, "production", digest("model 1"))); d.Allowed {
		t.Error("it may run still")
	}
	sam.page(path, 200, "Lift the suspension of "+c.ID)
	sam.send(path, url.Values{"reason": {"checked"}, "lift": {"yes"}}, 303)
	if got := must[wire.Case](t)(h.people["sam"].CheckRelease(h.ctx, c.ID)); got.Status != record.Live {
		t.Errorf("it is %s", got.Status)
	}
	sam.page("/live/r-0123456789ab/suspend", 404, "r-0123456789ab")
}
