package notify

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"imprimatur.dev/guard"
	"imprimatur.dev/record"
)

// Destination is a target as it is sent to, with its secrets open.
type Destination struct {
	Form    string
	URL     string
	Address string
	// Secrets are those that sign now, the newest first.
	Secrets []string
}

// Outcome is what became of one attempt.
type Outcome struct {
	OK bool
	// Status is the HTTP or SMTP status, 0 where there was none.
	Status int
	// Body is the beginning of the answer, as text.
	Body string
	// Fault says what went wrong, without a secret.
	Fault string
	// Again says that another attempt makes sense; Rest that the receiver is down
	// or asks for a pause, so that nothing should be sent to it for a while.
	Again, Rest bool
	// After is how long the receiver asks to be left alone; 0 where it does not.
	After time.Duration
	// Gone says that the receiver wants nothing more (410).
	Gone bool
}

const (
	// sendWithin bounds one attempt.
	sendWithin = 15 * time.Second
	// maxAnswer is how much of an answer is read, maxShown what is kept of it.
	maxAnswer = 16 << 10
	maxShown  = 500
	// longestRest is the longest pause that a receiver gets.
	longestRest = time.Hour
)

// Sender sends messages. Its methods may be called concurrently.
type Sender struct {
	http *http.Client
	mail *Mail
}

// NewSender returns a sender that reaches what the guard lets through, and sends
// mail where a server for it is given.
func NewSender(g *guard.Guard, mail *Mail) *Sender {
	return &Sender{http: g.Client(sendWithin), mail: mail}
}

// Mails reports whether the sender can send mail.
func (s *Sender) Mails() bool { return s.mail != nil }

// Send makes one attempt at a time, which signatures hold.
func (s *Sender) Send(ctx context.Context, to Destination, m Message, at time.Time) Outcome {
	if to.Form == record.FormMail {
		if s.mail == nil {
			return Outcome{Fault: "this server sends no mail; give it a mail server with --smtp", Again: true, Rest: true}
		}
		return s.mail.send(ctx, to.Address, m, at)
	}
	r, err := request(to, m, at)
	if err != nil {
		return Outcome{Fault: err.Error()}
	}
	answer, err := s.http.Do(r.WithContext(ctx))
	if err != nil {
		return unreached(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // a broken answer is judged by its status
	return judge(to.Form, answer, Shown(string(body)), at)
}

// unreached is the outcome of what got no answer. The URL is left out of the
// fault, since it may be a secret.
func unreached(err error) Outcome {
	refused := errors.Is(err, guard.ErrRefused)
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return Outcome{Fault: Shown(err.Error()), Again: true, Rest: !refused}
}

func judge(form string, answer *http.Response, body string, at time.Time) Outcome {
	out := Outcome{Status: answer.StatusCode, Body: body}
	if out.OK = answer.StatusCode >= 200 && answer.StatusCode < 300; out.OK {
		return out
	}
	out.Fault = "the receiver answered " + answer.Status
	switch {
	case answer.StatusCode == http.StatusGone:
		out.Gone, out.Fault = true, out.Fault+": it wants nothing more"
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		out.Again, out.Fault = true, out.Fault+": a redirect is not followed; give the target the new address"
	case answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500:
		out.Again, out.Rest, out.After = true, true, retryAfter(answer.Header.Get("Retry-After"), at)
	default:
		// MLflow's webhooks are not tried again on what the receiver refuses.
		out.Again = form != record.FormMLflow
	}
	return out
}

// retryAfter reads the header (RFC 9110 section 10.2.3): seconds or a date.
func retryAfter(text string, at time.Time) time.Duration {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return min(max(0, time.Duration(n)*time.Second), longestRest)
	}
	if t, err := http.ParseTime(text); err == nil {
		return min(max(0, t.Sub(at)), longestRest)
	}
	return 0
}

// Shown is text from elsewhere on one line, without control characters and not
// too long.
func Shown(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if runes := []rune(text); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return text
}

// waits is how long after each failed attempt the next one is made.
var waits = []time.Duration{
	time.Second, 3 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 12 * time.Hour, 16 * time.Hour,
}

// Backoff returns how long to wait after so many failed attempts, a fifth more or
// less than the plan; false when there shall be no more.
func Backoff(attempts int) (time.Duration, bool) {
	if attempts < 1 || attempts > len(waits) {
		return 0, false
	}
	return jitter(waits[attempts-1]), true
}

// Pause returns how long a receiver that failed so often in a row is left alone:
// at most five minutes, so that one that is up again is soon told of the rest.
func Pause(failures int) time.Duration {
	return jitter(waits[min(max(failures, 1), 5)-1])
}

func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
