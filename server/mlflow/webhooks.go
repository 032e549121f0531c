package mlflow

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// A webhook of MLflow's clients is a target of the team, of the form mlflow: the
// limits and sentences here are those of mlflow/utils/validation.py and
// mlflow/entities/webhook.py, the rest is the registry's.

// webhookOut is the protocol's Webhook. A secret is never answered.
type webhookOut struct {
	ID          string         `json:"webhook_id"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitzero"`
	URL         string         `json:"url"`
	Events      []webhookEvent `json:"events"`
	Status      string         `json:"status"`
	Created     int64          `json:"creation_timestamp"`
	Updated     int64          `json:"last_updated_timestamp"`
}

// webhookEvent is an event by the names of the protocol's enumerations.
type webhookEvent struct {
	Entity string `json:"entity"`
	Action string `json:"action"`
}

type (
	webhookAnswer struct {
		Webhook webhookOut `json:"webhook"`
	}
	webhooksAnswer struct {
		Webhooks []webhookOut `json:"webhooks,omitempty"`
		Next     string       `json:"next_page_token,omitzero"`
	}
	testAnswer struct {
		Result testResult `json:"result"`
	}
	testResult struct {
		Success bool   `json:"success"`
		Status  int    `json:"response_status,omitzero"`
		Body    string `json:"response_body,omitzero"`
		Error   string `json:"error_message,omitzero"`
	}
)

// States of a webhook.
const (
	webhookActive   = "ACTIVE"
	webhookDisabled = "DISABLED"
)

func webhookOf(x record.Target) webhookOut {
	out := webhookOut{
		ID: x.ID, Name: x.Name, Description: x.Description, URL: x.URL, Status: webhookActive,
		Created: x.Created.UnixMilli(), Updated: x.Updated.UnixMilli(),
	}
	if x.Disabled {
		out.Status = webhookDisabled
	}
	for _, e := range x.Events {
		entity, action, _ := strings.Cut(e, ".")
		out.Events = append(out.Events, webhookEvent{strings.ToUpper(entity), strings.ToUpper(action)})
	}
	return out
}

// webhookPath splits the ID off a path of the protocol: "/webhooks/x/test" is
// the path "/webhooks/{id}/test" of x.
func webhookPath(path string) (pattern, id string) {
	rest, ok := strings.CutPrefix(path, "/webhooks/")
	if !ok || rest == "" {
		return path, ""
	}
	id, test, more := strings.Cut(rest, "/")
	if more {
		return "/webhooks/{id}/" + test, id
	}
	return "/webhooks/{id}", id
}

// webhookName is MLflow's pattern; the length is checked beside it.
var webhookName = regexp.MustCompile(`(?i)^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)

// maxWebhookName is the length of the longest name.
const maxWebhookName = 63

func checkWebhookName(name string) error {
	if len(name) > maxWebhookName || !webhookName.MatchString(name) {
		return invalidf("Webhook name '%s' is invalid. It must start and end with a letter or digit, be at most %d characters long, and contain only letters, digits, '.', '_' and '-'.", name, maxWebhookName)
	}
	return nil
}

// checkWebhookURL has the words that MLflow's tests look for; whether the address
// may be sent to is the registry's to say.
func checkWebhookURL(text string) error {
	if strings.TrimSpace(text) == "" {
		return invalidf("Webhook URL cannot be empty or just whitespace: '%s'", text)
	}
	u, err := url.Parse(text)
	if err != nil {
		return invalidf("Invalid webhook URL '%s': it cannot be read", text)
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return invalidf("Invalid webhook URL scheme: '%s'. Allowed schemes are: https.", u.Scheme)
	}
	if u.Hostname() == "" {
		return invalidf("Webhook URL must include a hostname: '%s'", text)
	}
	return nil
}

// event reads an event of the protocol as record.Target has it.
func (e webhookEvent) name() (string, error) {
	entity, action := strings.ToLower(e.Entity), strings.ToLower(e.Action)
	if slices.Contains(record.MLflowEvents, entity+"."+action) {
		return entity + "." + action, nil
	}
	var valid []string
	for _, known := range record.MLflowEvents {
		if of, a, _ := strings.Cut(known, "."); of == entity {
			valid = append(valid, "'"+a+"'")
		}
	}
	if len(valid) == 0 {
		return "", invalidf("Invalid entity '%s' of a webhook's event", e.Entity)
	}
	return "", invalidf("Invalid action '%s' for entity '%s'. Valid actions are: [%s]", action, entity, strings.Join(valid, ", "))
}

// events returns the argument events; nil where it was not given.
func (a args) events() ([]string, error) {
	v, ok := a.given("events")
	if !ok {
		return nil, nil
	}
	var list []webhookEvent
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, wrongType("events", v)
	}
	out := []string{}
	for _, e := range list {
		name, err := e.name()
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// disabled returns the argument status; nil where it was not given.
func (a args) disabled() (*bool, error) {
	s, err := a.text("status")
	switch {
	case err != nil || s == "":
		return nil, err
	case s == webhookActive:
		return new(false), nil
	case s == webhookDisabled:
		return new(true), nil
	}
	return nil, invalidf("Invalid value '%s' for parameter 'status' supplied: it is %s or %s", s, webhookActive, webhookDisabled)
}

// given returns an argument of text that is checked; nil where it is empty,
// which MLflow takes for not given.
func (c *call) given(name string, check func(string) error) (*string, error) {
	text, err := c.args.text(name)
	if err != nil || text == "" {
		return nil, err
	}
	if check != nil {
		err = check(text)
	}
	return &text, err
}

// webhookChange reads what creating and updating have in common.
func (c *call) webhookChange() (in wire.TargetChange, err error) {
	fields := []struct {
		name  string
		to    **string
		check func(string) error
	}{{"name", &in.Name, checkWebhookName}, {"url", &in.URL, checkWebhookURL}, {"description", &in.Description, nil}, {"secret", &in.Secret, nil}}
	for _, f := range fields {
		if *f.to, err = c.given(f.name, f.check); err != nil {
			return in, err
		}
	}
	events, err := c.args.events()
	if len(events) > 0 {
		in.Events = &events
	}
	if err == nil {
		in.Disabled, err = c.args.disabled()
	}
	return in, err
}

func createWebhook(c *call) (any, error) {
	in, err := c.webhookChange()
	switch {
	case err != nil:
		return nil, err
	case in.Name == nil:
		return nil, missing("name")
	case in.URL == nil:
		return nil, missing("url")
	case in.Events == nil:
		return nil, missing("events")
	}
	made := wire.TargetRequest{Team: c.team, Form: record.FormMLflow, Name: *in.Name, URL: *in.URL, Events: *in.Events}
	if in.Description != nil {
		made.Description = *in.Description
	}
	if in.Secret != nil {
		made.Secret = *in.Secret
	}
	got, err := c.reg.AddTarget(c.ctx, c.who, made)
	if err == nil && in.Disabled != nil && *in.Disabled {
		got, err = c.reg.ChangeTarget(c.ctx, c.who, got.Target.Record.ID, wire.TargetChange{Disabled: in.Disabled})
	}
	if err != nil {
		return nil, err
	}
	return webhookAnswer{webhookOf(got.Target.Record)}, nil
}

// webhook returns the target that the path names.
func (c *call) webhook() (record.Target, error) {
	got, err := c.reg.Target(c.ctx, c.who, c.id)
	x := got.Target.Record
	var refused *registry.Error
	if errors.As(err, &refused) && refused.Code == wire.Unknown || err == nil && (x.Form != record.FormMLflow || x.Team != c.team) {
		return x, &fault{doesNotExist, fmt.Sprintf("Webhook with ID %s not found.", c.id)}
	}
	return x, err
}

func getWebhook(c *call) (any, error) {
	x, err := c.webhook()
	if err != nil {
		return nil, err
	}
	return webhookAnswer{webhookOf(x)}, nil
}

func updateWebhook(c *call) (any, error) {
	if _, err := c.webhook(); err != nil {
		return nil, err
	}
	in, err := c.webhookChange()
	if err != nil {
		return nil, err
	}
	got, err := c.reg.ChangeTarget(c.ctx, c.who, c.id, in)
	if err != nil {
		return nil, err
	}
	return webhookAnswer{webhookOf(got.Target.Record)}, nil
}

func deleteWebhook(c *call) (any, error) {
	if _, err := c.webhook(); err != nil {
		return nil, err
	}
	_, err := c.reg.RemoveTarget(c.ctx, c.who, c.id)
	return none{}, err
}

func testWebhook(c *call) (any, error) {
	if _, err := c.webhook(); err != nil {
		return nil, err
	}
	event := ""
	if v, ok := c.args.given("event"); ok {
		var e webhookEvent
		if err := json.Unmarshal(v, &e); err != nil {
			return nil, wrongType("event", v)
		}
		var err error
		if event, err = e.name(); err != nil {
			return nil, err
		}
	}
	got, err := c.reg.TestTarget(c.ctx, c.who, c.id, event)
	if err != nil {
		return nil, err
	}
	out := testResult{Success: got.OK, Status: got.Status, Body: got.Body}
	if got.Status == 0 && !got.OK {
		out.Error = "Failed to test webhook: " + got.Fault
	}
	return testAnswer{out}, nil
}

const (
	webhooksPage    = 100
	maxWebhooksPage = 1000
)

// listWebhooks pages through the team's webhooks, the newest first. A page token
// is where the last one stands.
func listWebhooks(c *call) (any, error) {
	most, err := c.args.number("max_results", webhooksPage)
	if err != nil {
		return nil, err
	}
	if most < 1 || most > maxWebhooksPage {
		return nil, invalidf("max_results must be between 1 and %d.", maxWebhooksPage)
	}
	after, err := webhookToken(c.args.query.Get("page_token"))
	if err != nil {
		return nil, err
	}
	all, err := c.reg.Targets(c.ctx, c.who, c.team)
	if err != nil {
		return nil, err
	}
	order := func(a, b record.Target) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) }
	var found []record.Target
	for _, s := range all {
		if x := s.Target.Record; x.Form == record.FormMLflow && (after.ID == "" || order(x, after) > 0) {
			found = append(found, x)
		}
	}
	slices.SortFunc(found, order)
	var out webhooksAnswer
	for i, x := range found {
		if i == most {
			last := found[i-1]
			out.Next = base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%d/%s", last.Created.UnixMilli(), last.ID))
			break
		}
		out.Webhooks = append(out.Webhooks, webhookOf(x))
	}
	return out, nil
}

func webhookToken(text string) (after record.Target, err error) {
	if text == "" {
		return after, nil
	}
	raw, err := base64.URLEncoding.DecodeString(text)
	created, id, ok := strings.Cut(string(raw), "/")
	ms, failed := strconv.ParseInt(created, 10, 64)
	if err != nil || !ok || failed != nil || id == "" {
		return after, invalidf("Invalid page token, could not base64-decode")
	}
	return record.Target{ID: id, Created: time.UnixMilli(ms).UTC()}, nil
}
