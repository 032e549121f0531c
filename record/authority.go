package record

import (
	"fmt"
	"time"
)

// Authority is the set of grants a release carries. What no grant names is not
// allowed. The members are kept apart by kind so that a policy's expression can
// ask about one kind without mistaking another for it.
type Authority struct {
	// Access is production access: networks, clusters, accounts.
	Access []Grant `json:"access,omitzero"`
	Tools  []Grant `json:"tools,omitzero"`
	APIs   []Grant `json:"apis,omitzero"`
	// Records are record writes: tables, queues, documents.
	Records []Grant `json:"records,omitzero"`
	Secrets []Grant `json:"secrets,omitzero"`
	Models  []Grant `json:"models,omitzero"`
	Data    []Grant `json:"data,omitzero"`
	// Workloads are the principals that may act with the grants.
	Workloads []string `json:"workloads,omitzero"`
}

// Grant allows actions on one resource, within conditions, a rate and a time.
type Grant struct {
	// Resource is a name, or a prefix followed by '*'.
	Resource string `json:"resource"`
	// Actions are names; '*' alone is any action.
	Actions []string `json:"actions"`
	// Definition pins a tool: the digest of its name, description and schema.
	Definition Digest `json:"definition,omitzero"`
	// Condition is a CEL expression over the call's arguments.
	Condition string `json:"condition,omitzero"`
	// Limit bounds the calls, and Budget what they cost; the zero value does not.
	Limit  Limit     `json:"limit,omitzero"`
	Budget Budget    `json:"budget,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	// Why is for the people who approve it.
	Why string `json:"why,omitzero"`
}

// Limit is a number of calls in a span of seconds.
type Limit struct {
	Calls   int `json:"calls"`
	Seconds int `json:"seconds"`
}

// Budget is an amount of a unit in a span of seconds.
type Budget struct {
	// Unit is one of the [BudgetUnits].
	Unit    string `json:"unit"`
	Amount  int    `json:"amount"`
	Seconds int    `json:"seconds"`
}

// BudgetUnits are what a budget can be counted in: the tokens of a language
// model, in and out together, and the bytes of an answer.
var BudgetUnits = []string{"tokens", "bytes"}

// GrantName names the grants of a kind that name a resource: KIND/RESOURCE.
func GrantName(kind, resource string) string { return kind + "/" + resource }

// GrantKinds lists the kinds of grant in the order in which they are shown.
var GrantKinds = []string{"access", "tools", "apis", "records", "secrets", "models", "data"}

// Of returns the grants of one of the [GrantKinds].
func (a Authority) Of(kind string) []Grant {
	if grants := a.of(kind); grants != nil {
		return *grants
	}
	return nil
}

// Set puts grants in the place of those of one of the [GrantKinds].
func (a *Authority) Set(kind string, grants []Grant) { *a.of(kind) = grants }

func (a *Authority) of(kind string) *[]Grant {
	switch kind {
	case "access":
		return &a.Access
	case "tools":
		return &a.Tools
	case "apis":
		return &a.APIs
	case "records":
		return &a.Records
	case "secrets":
		return &a.Secrets
	case "models":
		return &a.Models
	case "data":
		return &a.Data
	}
	return nil
}

func (a Authority) check(c *checker) {
	c.list("authority.workloads", len(a.Workloads))
	for _, w := range a.Workloads {
		c.principal("authority.workloads", w)
	}
	for _, kind := range GrantKinds {
		grants := a.Of(kind)
		c.list("authority."+kind, len(grants))
		for i, g := range grants {
			g.check(c, fmt.Sprintf("authority.%s[%d]", kind, i))
		}
	}
}

func (g Grant) check(c *checker, field string) {
	c.text(field+".resource", g.Resource, true)
	if len(g.Actions) == 0 {
		c.failf("%s.actions is empty", field)
	}
	for i, a := range g.Actions {
		c.text(fmt.Sprintf("%s.actions[%d]", field, i), a, true)
	}
	c.optionalDigest(field+".definition", g.Definition)
	c.text(field+".condition", g.Condition, false)
	c.text(field+".why", g.Why, false)
	c.optionalTime(field+".until", g.Until)
	if g.Limit != (Limit{}) && (g.Limit.Calls < 0 || g.Limit.Seconds <= 0) {
		c.failf("%s.limit is not a number of calls in a positive number of seconds", field)
	}
	if g.Budget != (Budget{}) {
		c.oneOf(field+".budget.unit", g.Budget.Unit, BudgetUnits...)
		c.count(field+".budget.amount", g.Budget.Amount)
		if g.Budget.Seconds <= 0 {
			c.failf("%s.budget is not an amount in a positive number of seconds", field)
		}
	}
}
