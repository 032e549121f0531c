package notify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// Message is what is to be delivered to one target, in whatever form.
type Message struct {
	// ID is that of the delivery, the same for each attempt.
	ID string `json:"id"`
	// Event is what a webhook gets; Subject and Text are what people read.
	Event   *Event `json:"event,omitzero"`
	Subject string `json:"subject,omitzero"`
	Text    string `json:"text,omitzero"`
	// MLflow is what a webhook of MLflow's registry gets.
	MLflow *MLflow `json:"mlflow,omitzero"`
}

// About returns the message that tells a target of an event.
func About(id string, e Event) Message {
	text := e.Data.Summary
	if e.Data.Links.Page != "" {
		text += "\n" + e.Data.Links.Page
	}
	return Message{ID: id, Event: &e, Subject: e.Data.Summary, Text: text}
}

// DeliveryID names a delivery by what it is of: the same parts give the same ID.
func DeliveryID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return "msg_" + hex.EncodeToString(h.Sum(nil))[:32]
}

// secretPrefix begins a secret of Standard Webhooks.
const secretPrefix = "whsec_"

// NewSecret returns a secret of 32 random bytes, as Standard Webhooks writes it.
func NewSecret() string {
	var b [32]byte
	// crypto/rand.Read never fails on the systems that Go supports; it aborts.
	_, _ = rand.Read(b[:])
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// CheckSecret refuses what is no secret of Standard Webhooks: "whsec_" and 24 to
// 64 bytes in base64.
func CheckSecret(secret string) error {
	_, err := secretBytes(secret)
	return err
}

var errSecret = errors.New("a secret is whsec_ and 24 to 64 bytes in base64; leave it out to have one made")

func secretBytes(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	// The decoder passes over line breaks.
	if !ok || err != nil || strings.ContainsAny(text, "\r\n") || len(raw) < 24 || len(raw) > 64 {
		return nil, errSecret
	}
	return raw, nil
}

// request builds the HTTP request of a message.
func request(to Destination, m Message, at time.Time) (*http.Request, error) {
	switch to.Form {
	case record.FormWebhook:
		return webhook(to, m, at)
	case record.FormSlack:
		return slack(to, m)
	case record.FormMLflow:
		return mlflow(to, m, at)
	}
	return nil, fmt.Errorf("a target of the form %q is not reached by HTTP", to.Form)
}

func post(url, media string, body []byte) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		return nil, errors.New("the target's URL cannot be used")
	}
	r.Header.Set("Content-Type", media)
	r.Header.Set("User-Agent", "Imprimatur")
	return r, nil
}

// webhook writes a CloudEvent in structured mode, signed.
func webhook(to Destination, m Message, at time.Time) (*http.Request, error) {
	if m.Event == nil {
		return nil, fmt.Errorf("the message %s has no event", m.ID)
	}
	body, err := json.Marshal(m.Event, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing the event: %w", err)
	}
	r, err := post(to.URL, "application/cloudevents+json; charset=utf-8", body)
	if err != nil {
		return nil, err
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("webhook-id", m.ID)
	r.Header.Set("webhook-timestamp", stamp)
	var signatures []string
	for _, s := range to.Secrets {
		raw, err := secretBytes(s)
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, "v1,"+sign(raw, m.ID, stamp, body))
	}
	if len(signatures) > 0 {
		r.Header.Set("webhook-signature", strings.Join(signatures, " "))
	}
	return r, nil
}

// sign is the signature of Standard Webhooks, and of MLflow.
func sign(secret []byte, id, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// slack writes the text of an incoming webhook, whose URL is the secret.
func slack(to Destination, m Message) (*http.Request, error) {
	if len(to.Secrets) == 0 {
		return nil, errors.New("the target's secret URL is not kept here; give it again")
	}
	// The three characters that Slack's markup reads; what is left is text.
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(m.Text)
	body, err := json.Marshal(struct {
		Text string `json:"text"`
		// Without it a name such as *x* would be shown in bold.
		Markup bool `json:"mrkdwn"`
	}{Text: escaped})
	if err != nil {
		return nil, fmt.Errorf("writing the text: %w", err)
	}
	return post(to.Secrets[0], "application/json", body)
}
