package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// enrolForm is the page on which somebody new is enrolled.
func (c *console) enrolForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	p := &confirmation{
		Will: []string{
			"They are known here by this name from then on; it stands in the ledger for ever.",
			"They may do nothing yet: bind their roles next, then make the link by which they sign in.",
		},
		Form: Form{Action: "/people/enrol", Submit: "Enrol", Fields: []Field{
			{Kind: "text", Name: "name", Label: "Name", Hint: "Lower case, such as ann or jo-lee.", Value: in.get("name"), Required: true},
			{Kind: "text", Name: "display", Label: "Shown as", Value: in.get("display")},
			{Kind: "text", Name: "emails", Label: "E-mail addresses", Hint: "With commas between. They tie commits to the person; notices go to the first.", Value: in.get("emails")},
		}},
		Back: Link{Text: "Back to the people", Href: "/people"},
	}
	page := &Page{Template: "confirm", Title: "Enrol somebody", Crumbs: []Link{{Text: "People", Href: "/people"}}, Body: p}
	return page, c.mayManage(ctx, who, p, "enrol principals", c.Registry.ForeseeEnrol(ctx, who))
}

// mayManage says why an administrator may, or why somebody else may not.
func (c *console) mayManage(ctx context.Context, who registry.Caller, p *confirmation, what string, refusal error) (err error) {
	if p.Not, err = c.refused(ctx, refusal); err != nil || p.Not != nil {
		return err
	}
	p.May, err = c.because(ctx, who, what, record.AllTeams, record.Administrator)
	return err
}

func (c *console) enrol(ctx context.Context, who registry.Caller, in input) (string, error) {
	p := record.Principal{Name: in.get("name"), Type: record.Human, DisplayName: in.get("display"), Emails: commaList(in.get("emails"))}
	if err := c.Registry.ForeseeEnrol(ctx, who); err != nil {
		return "", err
	}
	if _, err := c.Registry.Principal(ctx, who, p.Name); err == nil {
		return "", api.Refusal(wire.Conflict, "%s is enrolled already; choose another name, or change theirs: imprimatur principal enrol %s", p.Name, p.Name)
	}
	_, err := c.Registry.EnrolPrincipal(ctx, who, p)
	return principalHref(p.Name) + "/roles", err
}

// managing are the links from the page of a principal to what administrators do.
func managing(p record.Principal) Term {
	at := principalHref(p.Name)
	links := []Link{{Text: "Roles", Href: at + "/roles"}}
	if p.Type == record.Human {
		links = append(links, Link{Text: "Invite them", Href: at + "/invite"}, Link{Text: "See them off", Href: at + "/offboard"})
	}
	return Term{"Manage", Cell{Links: links}}
}

// crumbsTo lead back to a principal.
func crumbsTo(p record.Principal) []Link {
	list := Link{Text: "People", Href: "/people"}
	if p.Type == record.Workload {
		list = Link{Text: "Workloads", Href: "/workloads"}
	}
	return []Link{list, {Text: p.Name, Href: principalHref(p.Name)}}
}

// inviteForm is the page before a link is made.
func (c *console) inviteForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	name := in.path("name")
	got, err := c.Registry.Principal(ctx, who, name)
	if err != nil {
		return nil, err
	}
	p := &confirmation{
		Facts: [][]Term{{{"Person", linked(name, principalHref(name))}, {"State", stands(got.Principal.Record, c.now())}}},
		Will: []string{
			"A link is made that works once, for 72 hours. Whoever opens it first is signed in as " + name + " and chooses a passkey or a password.",
			"Links that were made before for " + name + " stop working.",
			"It is shown to you once: give it to them over a channel that you trust. That it was made stands in the ledger, the link does not.",
		},
		Form: Form{Action: principalHref(name) + "/invite", Submit: "Make the link"},
		Back: Link{Text: "Back to " + name, Href: principalHref(name)},
	}
	page := &Page{Template: "confirm", Title: "Invite " + name, Crumbs: crumbsTo(got.Principal.Record), Body: p}
	return page, c.mayManage(ctx, who, p, "invite people", c.Registry.ForeseeInvite(ctx, who, name))
}

// invited is the model of the page that shows a link, once.
type invited struct {
	Link  string
	Facts []Term
	Back  Link
}

// invite makes the link and answers with it: an address that showed it could be
// opened again.
func (c *console) invite(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	name := in.path("name")
	made, err := c.Registry.Invite(ctx, who, name)
	if err != nil {
		page, failed := c.inviteForm(ctx, who, in)
		if failed != nil {
			return nil, err
		}
		page.Refusal, failed = c.refused(ctx, err)
		return page, failed
	}
	at := cmp.Or(c.Base, "http://"+in.request.Host)
	return &Page{
		Template: "invited", Title: "The link for " + name, Crumbs: []Link{{Text: "People", Href: "/people"}, {Text: name, Href: principalHref(name)}},
		Body: invited{
			Link:  at + made.Path,
			Facts: []Term{{"For", linked(name, principalHref(name))}, {"Works until", when(made.Expires)}},
			Back:  Link{Text: "Back to " + name, Href: principalHref(name)},
		},
	}, nil
}

// rolesPage is the model of the page on which roles are bound and taken away.
type rolesPage struct {
	Roles Table
	Not   *wire.Problem
	May   string
	Bind  Form
	Take  *Form
	Back  Link
}

// roleForms is the page on which roles are bound and taken away.
func (c *console) roleForms(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	name := in.path("name")
	got, err := c.Registry.Principal(ctx, who, name)
	if err != nil {
		return nil, err
	}
	p := &rolesPage{Roles: rolesTable(name, got.Roles), Back: Link{Text: "Back to " + name, Href: principalHref(name)}}
	page := &Page{Template: "roles", Title: "Roles of " + name, Crumbs: crumbsTo(got.Principal.Record), Body: p}
	if p.Not, err = c.refused(ctx, c.Registry.ForeseeBind(ctx, who)); err != nil || p.Not != nil {
		return page, err
	}
	if p.May, err = c.because(ctx, who, "bind roles and take them away", record.AllTeams, record.Administrator); err != nil {
		return nil, err
	}
	if p.Bind, err = c.bindForm(ctx, who, in, name); err != nil {
		return nil, err
	}
	if len(got.Roles) > 0 {
		var options []Option
		for _, r := range got.Roles {
			options = append(options, Option{Value: bindingOf(r), Text: string(r.Role) + " for " + r.For()})
		}
		p.Take = &Form{Action: principalHref(name) + "/roles/take", Submit: "Take it away", Grave: true, Fields: []Field{
			{Kind: "select", Name: "binding", Label: "Role that stands", Options: choose(in.get("binding"), options...)},
		}}
	}
	return page, nil
}

// rolesTable lists the roles of a principal that stand.
func rolesTable(name string, roles []record.Role) Table {
	t := Table{Caption: "Roles", Columns: []Column{{Label: "Role"}, {Label: "For"}, {Label: "Until"}}, Empty: Empty{Sentence: "No role stands, so they may do nothing.", Command: "imprimatur principal bind " + name + " --role viewer --team TEAM"}}
	for _, r := range roles {
		cell := text(string(r.Role))
		if r.Issuer != "" {
			cell.Note = "by a group of " + r.Issuer
		}
		t.Rows = append(t.Rows, Row{[]Cell{cell, text(r.For()), when(r.Expires)}})
	}
	return t
}

func (c *console) bindForm(ctx context.Context, who registry.Caller, in input, name string) (Form, error) {
	teams, err := c.Registry.Named(ctx, who, wire.Browse{Prefix: record.KeyTeam("")})
	if err != nil {
		return Form{}, err
	}
	where := []Option{{Value: record.AllTeams, Text: "all teams"}}
	for _, e := range teams.Entries {
		team := strings.TrimPrefix(e.Subject, "team/")
		where = append(where, Option{Value: team, Text: team})
	}
	var roles []Option
	for _, r := range record.RoleNames {
		roles = append(roles, Option{Value: string(r), Text: string(r)})
	}
	return Form{Action: principalHref(name) + "/roles", Submit: "Bind it", Fields: []Field{
		{Kind: "select", Name: "role", Label: "Role", Options: choose(in.get("role"), roles...)},
		{Kind: "select", Name: "team", Label: "For", Options: choose(in.get("team"), where...)},
		{Kind: "text", Name: "model", Label: "For one model only", Hint: "As team/name; a model owner's role alone can be bound so. It says which team.", Value: in.get("model")},
		{Kind: "date-time", Name: "expires", Label: "Until (UTC)", Hint: "Empty is without an end.", Value: in.get("expires")},
	}}, nil
}

// bindingOf names one role among those of a principal.
func bindingOf(r record.Role) string { return string(r.Role) + " " + r.Where() }

func (c *console) bind(ctx context.Context, who registry.Caller, in input) (string, error) {
	name := in.path("name")
	b := record.Role{Principal: name, Role: record.RoleName(in.get("role")), Team: in.get("team"), Model: in.get("model")}
	if b.Model != "" {
		b.Team = record.TeamOf(b.Model)
	}
	var err error
	if b.Expires, err = timeOf(in, "expires"); err != nil {
		return "", err
	}
	_, err = c.Registry.BindRole(ctx, who, b)
	return principalHref(name) + "/roles", err
}

// take takes away a role that stands.
func (c *console) take(ctx context.Context, who registry.Caller, in input) (string, error) {
	name, binding := in.path("name"), in.get("binding")
	got, err := c.Registry.Principal(ctx, who, name)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(got.Roles, func(r record.Role) bool { return bindingOf(r) == binding })
	if i < 0 {
		// Whoever may not bind is told that, not what stands.
		return "", cmp.Or(c.Registry.ForeseeBind(ctx, who), error(api.Refusal(wire.Conflict, "%s does not hold the role %q any more; the page shows what stands", name, binding)))
	}
	b := got.Roles[i]
	b.Revoked = true
	_, err = c.Registry.BindRole(ctx, who, b)
	return principalHref(name) + "/roles", err
}

// leaving is the model of the page before somebody is seen off.
type leaving struct {
	Facts []Term
	// Choose asks who takes over, where there is something to be taken over.
	Choose   []Field
	Sections []section
	Not      *wire.Problem
	May      string
	Will     []string
	Form     *Form
	Back     Link
}

// offboardForm is the page before somebody is seen off: what they own, who takes
// it over, and what comes of it.
func (c *console) offboardForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	name, to := in.path("name"), in.get("to")
	got, err := c.Registry.Principal(ctx, who, name)
	if err != nil {
		return nil, err
	}
	p := &leaving{
		Facts: []Term{{"Person", linked(name, principalHref(name))}, {"State", stands(got.Principal.Record, c.now())}},
		Back:  Link{Text: "Back to " + name, Href: principalHref(name)},
	}
	page := &Page{Template: "leaving", Title: "See " + name + " off", Crumbs: crumbsTo(got.Principal.Record), Body: p}
	seen, err := c.Registry.Offboard(ctx, who, name, wire.Offboarding{To: to, DryRun: true})
	if problem, failed := c.refused(ctx, err); failed != nil {
		return nil, failed
	} else if problem != nil {
		if to != "" {
			p.Choose = []Field{heir(to)}
		}
		if !in.posted() { // else it stands on top
			p.Not = problem
		}
		return page, nil
	}
	if p.May, err = c.because(ctx, who, "see people off", record.AllTeams, record.Administrator); err != nil {
		return nil, err
	}
	if len(seen.Owns) > 0 {
		p.Choose = []Field{heir(to)}
	}
	p.Sections = []section{ownsSection(seen), endsSection(name, seen), lossesSection(seen)}
	if to == "" && len(seen.Owns) > 0 {
		return page, nil
	}
	p.Will = willLeave(name, seen)
	p.Form = &Form{Action: principalHref(name) + "/offboard", Submit: "See " + name + " off", Grave: true, Fields: []Field{
		{Kind: "hidden", Name: "to", Value: to},
		{Kind: "check", Name: "sure", Label: "I have read what ends with them", Required: true},
	}}
	return page, nil
}

func heir(to string) Field {
	return Field{Kind: "text", Name: "to", Label: "Who takes over what they own", Hint: "The name of another person who is enrolled.", Value: to, Required: true}
}

func willLeave(name string, seen wire.Offboarded) []string {
	var out []string
	if len(seen.Owns) > 0 {
		out = append(out, fmt.Sprintf("%s owns what %s owned: %s.", seen.To, name, count(len(seen.Owns), "thing", "things")))
	}
	return append(out,
		fmt.Sprintf("%s and %s end, their keys are withdrawn, %s is disabled and signed out: in one step, or not at all.", count(len(seen.Roles), "role", "roles"), count(len(seen.Tokens), "token", "tokens"), name),
		"What they approved counts no more. What they stated stays in the ledger.",
	)
}

func ownsSection(seen wire.Offboarded) section {
	t := &Table{Caption: "What they own", Columns: []Column{{Label: "What"}, {Label: "Which"}, {Label: "Since"}}, Empty: Empty{Sentence: "They own nothing."}}
	for _, e := range seen.Owns {
		t.Rows = append(t.Rows, Row{[]Cell{text(e.Word), linked(aboutOf(e), thingHref(e)), when(e.Time)}})
	}
	return section{Title: "What they own", Table: t}
}

func endsSection(name string, seen wire.Offboarded) section {
	roles := rolesTable(name, seen.Roles)
	roles.Empty = Empty{Sentence: "They hold no role."}
	ids := func(ids []string) Cell { return text(cmp.Or(strings.Join(ids, ", "), "none")) }
	var lent []string
	for _, d := range seen.Delegations {
		lent = append(lent, fmt.Sprintf("%s for %s, by %s to %s", d.Role, d.For(), d.From, d.To))
	}
	return section{Title: "What ends", Terms: []Term{{"Delegations", ids(lent)}, {"Tokens", ids(seen.Tokens)}, {"Keys", ids(seen.Keys)}}, Table: &roles}
}

func lossesSection(seen wire.Offboarded) section {
	t := &Table{
		Caption: "Releases that suffer", Columns: []Column{{Label: "Release"}, {Label: "Line"}, {Label: "Now"}, {Label: "What it loses"}},
		Empty: Empty{Sentence: "No release that runs or waits loses anything by it."},
	}
	for _, l := range seen.Losses {
		cell := Cell{Text: strings.Join(l.Reasons, " ")}
		if len(l.Reasons) > 0 {
			cell = badge("fail", "may run no longer")
			cell.Note = strings.Join(l.Reasons, " ")
		}
		for _, role := range l.Seats {
			cell.Marks = append(cell.Marks, "nobody is left for the seat of "+string(role))
		}
		t.Rows = append(t.Rows, Row{[]Cell{{Text: l.Release, Href: releaseHref(l.Release), Code: true}, text(l.Line), badge(string(l.Status), string(l.Status)), cell}})
	}
	s := section{Title: "What suffers", Table: t}
	if seen.Left > 0 {
		s.Text = fmt.Sprintf("%d more could not be looked at in time: imprimatur principal offboard %s --dry-run looks again.", seen.Left, seen.Principal)
	}
	return s
}

// offboard sees somebody off.
func (c *console) offboard(ctx context.Context, who registry.Caller, in input) (string, error) {
	name := in.path("name")
	if in.get("sure") == "" {
		// Whoever may not is told that first.
		if _, err := c.Registry.Offboard(ctx, who, name, wire.Offboarding{To: in.get("to"), DryRun: true}); err != nil {
			return "", err
		}
		return "", api.Refusal(wire.Invalid, "nobody was seen off: say that you have read what ends with %s", name)
	}
	_, err := c.Registry.Offboard(ctx, who, name, wire.Offboarding{To: in.get("to")})
	return principalHref(name), err
}

// commaList reads values with commas between.
func commaList(s string) (out []string) {
	for _, v := range strings.Split(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}
