package record

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Forms in which a target is told.
const (
	FormWebhook = "webhook" // a CloudEvent, signed as Standard Webhooks asks
	FormSlack   = "slack"   // the text of an incoming webhook that Slack, Mattermost and others take
	FormMail    = "mail"    // e-mail
	FormMLflow  = "mlflow"  // a webhook of MLflow's registry
)

// Target is a place outside that is told of what is stated here: one team's
// affairs or everybody's. Each statement restates the whole, and the newest
// under its key is its state. Its secrets are not in the ledger: Secret names
// one that the server keeps sealed.
type Target struct {
	ID string `json:"id"`
	// Team is whose affairs it is told of, AllTeams for all.
	Team        string `json:"team"`
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	Form        string `json:"form"`
	// URL is where a webhook goes. Of a Slack one, whose path is its secret, it
	// is the host alone.
	URL string `json:"url,omitzero"`
	// Address is where mail goes.
	Address string `json:"address,omitzero"`
	// Events limit what it is told of: the words of kinds with '-' for spaces,
	// such as "data-approval"; of an MLflow webhook "entity.action", such as
	// "model_version.created". None is all that [Notable] lists.
	Events []string `json:"events,omitzero"`
	// Environments limit it to what concerns these; none is no limit.
	Environments []string `json:"environments,omitzero"`
	// Secret names the sealed secret, and Previous the one before it, which signs
	// too until PreviousUntil.
	Secret        string    `json:"secret,omitzero"`
	Previous      string    `json:"previous,omitzero"`
	PreviousUntil time.Time `json:"previousUntil,omitzero"`
	Created       time.Time `json:"created"`
	Updated       time.Time `json:"updated"`
	Disabled      bool      `json:"disabled,omitzero"`
	Deleted       bool      `json:"deleted,omitzero"`
}

// Notable lists the kinds of which targets are told: what people decide and what
// they have to know. The rest is lineage, which comes by the thousand.
var Notable = []Kind{
	KindRelease, KindApproval, KindComment, KindException, KindReview, KindPromotion, KindSuspension, KindRetirement, KindEvaluation,
	KindDataApproval, KindModelVersion, KindUseCase, KindPolicy, KindEnvelope, KindSignal, KindEnvironment, KindPrincipal, KindRole, KindDelegation,
}

// EventOf returns the name of a kind in Target.Events.
func EventOf(k Kind) string { return strings.ReplaceAll(k.String(), " ", "-") }

// MLflowEvents are the events of MLflow's registry of which its webhooks are
// told (mlflow/entities/webhook.py), as "entity.action", in its order.
var MLflowEvents = []string{
	"registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
	"model_version_alias.created", "model_version_alias.deleted", "prompt.created", "prompt_version.created",
	"prompt_tag.set", "prompt_tag.deleted", "prompt_version_tag.set", "prompt_version_tag.deleted",
	"prompt_alias.created", "prompt_alias.deleted", "budget_policy.exceeded",
}

// Kind implements Body.
func (Target) Kind() Kind { return KindTarget }

// Keys implements Body.
func (t Target) Keys(Digest) []string { return []string{KeyTarget(t.ID)} }

// Subject implements Body.
func (t Target) Subject() (string, Digest) { return "target/" + t.ID, "" }

// mailPattern takes an addr-spec without quoting or comments (RFC 5321 section
// 4.1.2), so that no address can carry a second one, or a line.
var mailPattern = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// IsMailAddress reports whether text is one plain e-mail address.
func IsMailAddress(text string) bool { return len(text) <= 254 && mailPattern.MatchString(text) }

// Validate implements Body.
func (t Target) Validate() error {
	c := checker{kind: KindTarget}
	c.name("id", t.ID)
	if t.Team != AllTeams {
		c.name("team", t.Team)
	}
	c.oneLine("name", t.Name, MaxNames, true)
	c.text("description", t.Description, false)
	c.oneOf("form", t.Form, FormWebhook, FormSlack, FormMail, FormMLflow)
	if t.Form == FormMail {
		if !IsMailAddress(t.Address) || t.URL != "" {
			c.failf("address %q is not one e-mail address, such as team@example.org", t.Address)
		}
	} else {
		c.webAddress(t)
	}
	c.events(t)
	c.list("environments", len(t.Environments))
	for _, e := range t.Environments {
		c.name("environments", e)
	}
	c.text("secret", t.Secret, t.Form == FormSlack && !t.Deleted)
	c.text("previous", t.Previous, false)
	c.optionalTime("previousUntil", t.PreviousUntil)
	c.time("created", t.Created)
	c.time("updated", t.Updated)
	return c.err()
}

func (c *checker) webAddress(t Target) {
	u, err := url.Parse(t.URL)
	switch {
	case t.Address != "":
		c.failf("address is only for mail")
	case len(t.URL) > 2048 || strings.ContainsFunc(t.URL, func(r rune) bool { return r <= ' ' || r > '~' }):
		c.failf("url is not plain ASCII of at most 2048 characters")
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		c.failf("url is not of the form https://host/path")
	case t.Form == FormSlack && (strings.Trim(u.Path, "/") != "" || u.RawQuery != ""):
		c.failf("url of a slack target is its host alone: its path is a secret")
	}
}

func (c *checker) events(t Target) {
	c.list("events", len(t.Events))
	allowed := MLflowEvents
	if t.Form != FormMLflow {
		allowed = nil
		for _, k := range Notable {
			allowed = append(allowed, EventOf(k))
		}
	} else if len(t.Events) == 0 {
		c.failf("events is empty")
	}
	for _, e := range t.Events {
		if !slices.Contains(allowed, e) {
			c.failf("events: %q is not one of %s", e, strings.Join(allowed, ", "))
		}
	}
}

// KeyTarget finds the statements of a target.
func KeyTarget(id string) string { return "target/" + id }
