package notify

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/guard"
	"imprimatur.dev/record"
)

var at = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func sender(t testing.TB) *Sender {
	g, err := guard.Allow("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return NewSender(g, nil)
}

// The key, message and signature of the specification of Standard Webhooks
// (standard-webhooks/spec/standard-webhooks.md, and its libraries' tests).
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	raw, err := secretBytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(raw, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}

func TestSecretsAreThoseOfStandardWebhooks(t *testing.T) {
	one, other := NewSecret(), NewSecret()
	if err := CheckSecret(one); err != nil || one == other {
		t.Errorf("a new secret: %v", err)
	}
	short, long := base64.StdEncoding.EncodeToString(make([]byte, 23)), base64.StdEncoding.EncodeToString(make([]byte, 65))
	for _, bad := range []string{"", "whsec_", "whsec_" + short, "whsec_" + long, strings.TrimPrefix(NewSecret(), "whsec_"), NewSecret() + "\n", "whsec_!!"} {
		if CheckSecret(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestAnswersAreJudged(t *testing.T) {
	answer := func(http.ResponseWriter) {}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
	defer s.Close()
	to := Destination{Form: record.FormWebhook, URL: s.URL, Secrets: []string{NewSecret(), NewSecret()}}
	m := About("msg_1", Place{Origin: "log"}.Test("ann", "hook", at))
	code := func(n int, more ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for i := 0; i < len(more); i += 2 {
				w.Header().Set(more[i], more[i+1])
			}
			w.WriteHeader(n)
			_, _ = w.Write([]byte("no\x1b[31m\r\nmore"))
		}
	}
	for _, c := range []struct {
		answer func(http.ResponseWriter)
		want   Outcome
	}{
		{code(200), Outcome{OK: true, Status: 200}},
		{code(204), Outcome{OK: true, Status: 204}},
		{code(302, "Location", "http://127.0.0.1:1/"), Outcome{Status: 302, Again: true}},
		{code(401), Outcome{Status: 401, Again: true}},
		{code(410), Outcome{Status: 410, Gone: true}},
		{code(429, "Retry-After", "7"), Outcome{Status: 429, Again: true, Rest: true, After: 7 * time.Second}},
		{code(503, "Retry-After", at.Add(time.Minute).Format(http.TimeFormat)), Outcome{Status: 503, Again: true, Rest: true, After: time.Minute}},
		{code(503, "Retry-After", "99999999"), Outcome{Status: 503, Again: true, Rest: true, After: time.Hour}},
		{code(500, "Retry-After", "soon"), Outcome{Status: 500, Again: true, Rest: true}},
	} {
		answer = c.answer
		got := sender(t).Send(t.Context(), to, m, at)
		if got.OK == (got.Fault != "") || strings.ContainsFunc(got.Body, unicode.IsControl) {
			t.Errorf("%+v", got)
		}
		got.Fault, got.Body = "", ""
		if got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
	// MLflow's webhooks are not tried again where they are refused.
	answer = code(401)
	if got := sender(t).Send(t.Context(), Destination{Form: record.FormMLflow, URL: s.URL}, Message{ID: "x", MLflow: &MLflow{Entity: "prompt", Action: "created"}}, at); got.Again {
		t.Errorf("%+v", got)
	}
	s.Close()
	if got := sender(t).Send(t.Context(), to, m, at); !got.Again || !got.Rest || got.Status != 0 || got.Fault == "" {
		t.Errorf("a receiver that is down: %+v", got)
	}
	to.URL = "http://127.0.0.2/secret-path"
	if got := sender(t).Send(t.Context(), to, m, at); got.OK || got.Rest || strings.Contains(got.Fault, "secret-path") {
		t.Errorf("an address that is refused: %+v", got)
	}
}

func TestSlackReadsNoMarkup(t *testing.T) {
	came := make(chan []byte, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		came <- body
	}))
	defer s.Close()
	m := Message{ID: "msg_1", Text: "<!channel> & <https://evil|click> *bold*"}
	if got := sender(t).Send(t.Context(), Destination{Form: record.FormSlack, URL: "https://hooks.slack.example", Secrets: []string{s.URL + "/T0/B0/x"}}, m, at); !got.OK {
		t.Fatalf("%+v", got)
	}
	var body struct {
		Text   string `json:"text"`
		Mrkdwn *bool  `json:"mrkdwn"`
	}
	if err := json.Unmarshal(<-came, &body); err != nil || body.Mrkdwn == nil || *body.Mrkdwn || body.Text != "&lt;!channel&gt; &amp; &lt;https://evil|click&gt; *bold*" {
		t.Errorf("sent %+v, %v", body, err)
	}
}

func TestBackoffGrowsAndEnds(t *testing.T) {
	var last, all time.Duration
	n := 0
	for {
		d, again := Backoff(n + 1)
		if !again {
			break
		}
		if d < last*8/10 {
			t.Errorf("after %d attempts it waits %s, before that %s", n+1, d, last)
		}
		last, all, n = d, all+d, n+1
	}
	if n != 10 || all < 24*time.Hour || all > 48*time.Hour {
		t.Errorf("%d more attempts over %s", n, all)
	}
	if Pause(1) > 2*time.Second || Pause(1000) > 6*time.Minute || Pause(1000) < 4*time.Minute {
		t.Errorf("pauses of %s to %s", Pause(1), Pause(1000))
	}
}

// checkMail demands that a composed mail is one mail to one person with the
// header that was meant, whatever stands in it.
func checkMail(t *testing.T, subject, text string) {
	raw := compose("imprimatur@a.example", "ann@b.example", Message{ID: "msg_1", Subject: subject, Text: text}, at)
	got, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	for name, values := range got.Header {
		if len(values) != 1 || !strings.Contains(" From To Subject Date Message-Id Auto-Submitted Mime-Version Content-Type Content-Transfer-Encoding ", " "+name+" ") {
			t.Errorf("%q put %s: %q into the header", subject, name, values)
		}
	}
	to, err := got.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "ann@b.example" {
		t.Errorf("to %v, %v", to, err)
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(decoded, "Imprimatur:") || strings.ContainsFunc(decoded, unicode.IsControl) {
		t.Errorf("%q became the subject %q, %v", subject, decoded, err)
	}
	for _, line := range strings.Split(string(raw), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	want := strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r", "")
	if have := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || have != want+"\n" {
		t.Errorf("%q became %q, %v", text, have, err)
	}
}

func TestMailsHoldNoMoreThanWasMeant(t *testing.T) {
	for _, hostile := range []string{
		"", "plain", "a\r\nBcc: eve@c.example", "a\nBcc: eve@c.example\n\nbody", "=?utf-8?q?a=0d=0aBcc:_eve?=", strings.Repeat("é", 400),
		"\u202eevil", "\x00\x1b[2J", "日本語の件名 " + strings.Repeat("長", 100), "a\u2028b", "\xff\xfe", ".\r\n.\r\nQUIT\r\n",
	} {
		checkMail(t, hostile, hostile)
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("a\r\nBcc: x@y", "text\r\n.\r\n")
	f.Add("é=?utf-8?b?x?=", "= \t\n")
	f.Fuzz(func(t *testing.T, subject, text string) {
		if strings.ContainsRune(text, 0) {
			return // the standard library's own reader of quoted-printable refuses it
		}
		checkMail(t, subject, text)
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Fri, 01 May 2026 12:01:00 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		if d := retryAfter(text, at); d < 0 || d > longestRest {
			t.Fatalf("%q: %s", text, d)
		}
	})
}
