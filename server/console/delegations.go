package console

import (
	"context"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// delegations are what a person lent and was lent and, on one's own page, the
// forms by which one lends and takes back. Who may take back what others lent has
// that form on their pages.
func (c *console) delegations(ctx context.Context, got wire.Enrolled, who registry.Caller, in input) []section {
	name := got.Principal.Record.Name
	t := &Table{
		Caption: "Delegations", Empty: Empty{Sentence: "Nothing is delegated by them or to them."},
		Columns: []Column{{Label: "Role"}, {Label: "For"}, {Label: "Whose it is"}, {Label: "Who acts"}, {Label: "From"}, {Label: "Until"}, {Label: "State"}, {Label: "Reason"}},
	}
	var gave []Option
	for _, d := range got.Delegations {
		r := d.Record
		state := badge("pass", "stands")
		switch {
		case r.Starts.After(c.now()):
			state = badge("missing", "not begun")
		case !d.Stands:
			state = badge("retired", "gives nothing now")
		}
		state.Href = entryHref(d.Index)
		t.Rows = append(t.Rows, Row{[]Cell{text(string(r.Role)), text(r.For()), linked(r.From, principalHref(r.From)), linked(r.To, principalHref(r.To)), when(r.Starts), when(r.Expires), state, text(r.Reason)}})
		if r.From == name {
			gave = append(gave, Option{Value: r.To + " " + bindingOf(r.Binding()), Text: string(r.Role) + " for " + r.For() + ", to " + r.To})
		}
	}
	out := []section{{Title: "Delegations", Table: t}}
	if s, ok := lendForm(got, in); ok && who.Name == name {
		out = append(out, s)
	}
	if len(gave) > 0 && (who.Name == name || c.Registry.ForeseeBind(ctx, who) == nil) {
		out = append(out, section{Title: "Take a delegation back", Text: "It ends at once, and the approvals given by it count no more.", Form: &Form{
			Action: principalHref(name) + "/delegations/end", Submit: "Take it back", Grave: true, Fields: []Field{
				{Kind: "select", Name: "delegation", Label: "Delegation", Options: choose(in.get("delegation"), gave...)},
				{Kind: "area", Name: "why", Label: "Why it is taken back", Hint: "Stands in the ledger for ever, beside your name.", Value: in.get("why"), Required: true},
			},
		}})
	}
	return out
}

// lendForm is the form by which one lends a role; there is none where one has none
// to lend.
func lendForm(got wire.Enrolled, in input) (section, bool) {
	var own []Option
	for _, r := range got.Roles {
		if r.Role != record.Administrator {
			own = append(own, Option{Value: bindingOf(r), Text: string(r.Role) + " for " + r.For()})
		}
	}
	return section{
		Title: "Delegate a role",
		Text:  "Another person acts in it for you, for 90 days at most. It fills a seat only where yours would, and what they approve says that it was for you.",
		Form: &Form{Action: principalHref(got.Principal.Record.Name) + "/delegations", Submit: "Delegate it", Fields: []Field{
			{Kind: "select", Name: "holding", Label: "Role", Options: choose(in.get("holding"), own...)},
			{Kind: "text", Name: "to", Label: "To whom", Value: in.get("to"), Required: true},
			{Kind: "date-time", Name: "starts", Label: "From (UTC)", Hint: "Empty for now.", Value: in.get("starts")},
			{Kind: "date-time", Name: "until", Label: "Until (UTC)", Value: in.get("until"), Required: true},
			reasonField(in),
		}},
	}, len(own) > 0
}

// delegate carries out the form by which one lends a role.
func (c *console) delegate(ctx context.Context, who registry.Caller, in input) (string, error) {
	d := lent(in.get("holding"))
	d.From, d.To, d.Reason = in.path("name"), in.get("to"), in.get("reason")
	var err error
	if d.Starts, err = timeOf(in, "starts"); err != nil {
		return "", err
	}
	if d.Expires, err = timeOf(in, "until"); err != nil {
		return "", err
	}
	_, err = c.Registry.Delegate(ctx, who, d)
	return principalHref(in.path("name")), err
}

// endDelegation carries out the form by which one is taken back.
func (c *console) endDelegation(ctx context.Context, who registry.Caller, in input) (string, error) {
	to, holding, _ := strings.Cut(in.get("delegation"), " ")
	d := lent(holding)
	d.From, d.To, d.Reason, d.Revoke = in.path("name"), to, in.get("why"), true
	_, err := c.Registry.Delegate(ctx, who, d)
	return principalHref(d.From), err
}

// lent is the part of a request that an option "role where" says.
func lent(holding string) wire.DelegationRequest {
	role, where, _ := strings.Cut(holding, " ")
	d := wire.DelegationRequest{Role: record.RoleName(role), Team: record.TeamOf(where)}
	if strings.Contains(where, "/") {
		d.Model = where
	}
	return d
}
