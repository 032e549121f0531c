package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// principalCmd is the noun principal.
type principalCmd struct {
	Enrol       principalEnrolCmd       `cmd:"" help:"Enrol a person or a workload, or change one."`
	Invite      principalInviteCmd      `cmd:"" help:"Make a link by which a person says, once, how they will sign in."`
	Show        principalShowCmd        `cmd:"" help:"Show a principal with its roles."`
	List        principalListCmd        `cmd:"" help:"List principals."`
	Inventory   principalInventoryCmd   `cmd:"" help:"List workloads and credentials: whose, for what, last used; and what to mend about them."`
	Renew       principalRenewCmd       `cmd:"" help:"Give a workload a later end, or enable it again."`
	Disable     principalDisableCmd     `cmd:"" help:"Disable a workload, and end all that it shows."`
	Bind        principalBindCmd        `cmd:"" help:"Bind a role to a principal, or take it away."`
	Delegate    principalDelegateCmd    `cmd:"" help:"Lend a role of your own to another person for a time, or take that back."`
	Offboard    principalOffboardCmd    `cmd:"" help:"See off a person who leaves: hand over what they own, and end all that they may do."`
	Token       principalTokenCmd       `cmd:"" help:"Issue an API token; its secret is shown once."`
	Tokens      principalTokensCmd      `cmd:"" help:"List tokens."`
	Rotate      principalRotateCmd      `cmd:"" help:"Issue a token in the place of another, which ends after an overlap."`
	Revoke      principalRevokeCmd      `cmd:"" help:"End a token at once."`
	Key         principalKeyCmd         `cmd:"" help:"Keys that sign for a principal: make, list, withdraw."`
	Identity    principalIdentityCmd    `cmd:"" help:"What workloads show to get access tokens: bind, list, end."`
	Team        principalTeamCmd        `cmd:"" help:"Create a team."`
	Environment principalEnvironmentCmd `cmd:"" help:"Set up an environment: a place where releases run."`
	Places      principalPlacesCmd      `cmd:"" help:"List environments."`
	Whoami      principalWhoamiCmd      `cmd:"" help:"Say who your token is and what it may do."`
}

type principalEnrolCmd struct {
	Name     string   `arg:"" help:"Lower case, such as ann or trainer@ci."`
	Workload bool     `help:"It is a machine: needs --owner, --purpose and --expires."`
	Display  string   `placeholder:"TEXT" help:"The name to show."`
	Email    []string `help:"E-mail addresses, which tie commits to the person; notices go to the first."`
	Quiet    bool     `help:"Send no notices of what waits and what lapses."`
	Owner    string   `placeholder:"NAME" help:"The person who answers for a workload."`
	Purpose  string   `help:"What a workload is for."`
	Expires  moment   `placeholder:"DATE" help:"When the identity ends: 2026-12-31 or 90d."`
	Disable  bool     `help:"Disable it."`
}

// Run implements the command.
func (c *principalEnrolCmd) Run(a *app) error {
	p := record.Principal{
		Name: c.Name, Type: record.Human, DisplayName: c.Display, Emails: c.Email, Quiet: c.Quiet,
		Owner: c.Owner, Purpose: c.Purpose, Expires: c.Expires.after(a.now()), Disabled: c.Disable,
	}
	if c.Workload {
		p.Type = record.Workload
	}
	got, err := a.client().EnrolPrincipal(a.ctx, p)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s is enrolled as a %s%s", c.Name, got.Record.Type, map[bool]string{true: ", disabled"}[c.Disable])
		if !c.Disable {
			p.styled(quiet, "next: imprimatur principal bind %s --role ROLE --team TEAM", c.Name)
		}
	})
}

type principalInviteCmd struct {
	Name string `arg:"" help:"A person who is enrolled."`
}

// Run implements the command.
func (c *principalInviteCmd) Run(a *app) error {
	got, err := a.client().Invite(a.ctx, c.Name)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s%s", a.server(), got.Path)
		p.styled(quiet, "hand this link to %s alone: it works once, until %s, and signs in whoever opens it", c.Name, day(got.Expires))
	})
}

type principalShowCmd struct {
	Name string `arg:"" help:"The principal."`
}

// Run implements the command.
func (c *principalShowCmd) Run(a *app) error {
	got, err := a.client().Principal(a.ctx, c.Name)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawPrincipal(p, got, a.now()) })
}

func drawPrincipal(p *page, w wire.Enrolled, now time.Time) {
	r := w.Principal.Record
	p.field("principal", "%s, a %s", r.Name, r.Type)
	if r.DisplayName != "" {
		p.field("name", "%s", r.DisplayName)
	}
	if r.Type == record.Workload {
		p.field("owner", "%s", r.Owner)
		p.field("purpose", "%s", r.Purpose)
	}
	p.field("e-mail", "%s", join(r.Emails, "none"))
	if !r.Expires.IsZero() {
		p.field("expires", "%s", day(r.Expires))
	}
	if !r.Stands(now) {
		p.styled(bad, "disabled or expired")
	}
	p.field("enrolled", "by %s at %s", w.Principal.Actor, day(w.Principal.Time))
	if len(w.Roles) == 0 {
		p.field("roles", "none")
	}
	for _, role := range w.Roles {
		p.field("role", "%s", roleText(role))
	}
	drawDelegations(p, w.Delegations)
}

func roleText(r record.Role) string {
	s := string(r.Role) + " of " + r.For()
	if !r.Expires.IsZero() {
		s += " until " + day(r.Expires)
	}
	return s
}

type principalListCmd struct{ pager }

// Run implements the command.
func (c *principalListCmd) Run(a *app) error {
	return listLatest(a, record.KindPrincipal, c.pager, heading("NAME", "TYPE", "OWNER", "EXPIRES", ""), func(r record.Recorded[record.Principal]) []cell {
		state := cell{}
		if !r.Record.Stands(a.now()) {
			state = cell{"disabled or expired", bad}
		}
		return append(texts(r.Record.Name, string(r.Record.Type), r.Record.Owner, day(r.Record.Expires)), state)
	})
}

type principalBindCmd struct {
	Name    string `arg:"" help:"The principal."`
	Role    string `required:"" enum:"viewer,contributor,data-steward,evaluator,model-owner,risk,security,auditor,administrator" help:"One of ${enum}."`
	Team    string `required:"" xor:"where" help:"The team, or '*' for all."`
	Model   string `required:"" xor:"where" placeholder:"TEAM/NAME" help:"In place of --team: the one model that a model-owner answers for."`
	Expires moment `placeholder:"DATE" help:"When the binding ends."`
	Remove  bool   `help:"Take the role away."`
}

// Run implements the command.
func (c *principalBindCmd) Run(a *app) error {
	got, err := a.client().BindRole(a.ctx, record.Role{
		Principal: c.Name, Role: record.RoleName(c.Role), Team: cmp.Or(c.Team, record.TeamOf(c.Model)), Model: c.Model, Revoked: c.Remove, Expires: c.Expires.after(a.now()),
	})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s %s %s", c.Name, map[bool]string{false: "is", true: "is no longer"}[c.Remove], roleText(got.Record))
	})
}

type principalTokenCmd struct {
	Name  string   `arg:"" optional:"" help:"Whose token; yours, where none is given."`
	Scope []string `default:"write" help:"read, write, or a role to be limited to (default write)."`
	For   span     `default:"30d" help:"How long it lives (default 30d)."`
	Note  string   `placeholder:"TEXT" help:"What it is for."`
}

// Run implements the command.
func (c *principalTokenCmd) Run(a *app) error {
	if c.Name == "" {
		me, err := a.client().Me(a.ctx)
		if err != nil {
			return err
		}
		c.Name = me.Name
	}
	got, err := a.client().IssueToken(a.ctx, wire.TokenRequest{Principal: c.Name, Scopes: c.Scope, Seconds: c.For.seconds(), Note: c.Note})
	if err != nil {
		return err
	}
	// The secret alone goes to standard output, so that a script can keep it.
	if err := a.show(got, func(p *page) { p.line("%s", got.Secret) }); err != nil || a.json {
		return err
	}
	t := got.Token.Record
	_, err = fmt.Fprintf(a.stderr, "token %s of %s, scope %s, until %s; it is not shown again\n", t.ID, t.Principal, strings.Join(t.Scopes, ", "), day(t.Expires))
	return err
}

type principalTokensCmd struct {
	pager
	Name string `arg:"" optional:"" help:"Whose; else all that you may see."`
}

// Run implements the command.
func (c *principalTokensCmd) Run(a *app) error {
	seen := map[string]bool{}
	fits := func(r record.Recorded[record.Token]) bool {
		known := seen[r.Record.ID]
		seen[r.Record.ID] = true
		return !known && (c.Name == "" || r.Record.Principal == c.Name)
	}
	return listFrom(a, record.KindToken, 0, c.pager, fits, heading("ID", "PRINCIPAL", "SCOPES", "UNTIL", "", "NOTE"), func(r record.Recorded[record.Token]) []cell {
		state := cell{"stands", good}
		switch {
		case r.Record.Revoked:
			state = cell{"revoked", bad}
		case !record.Stands(time.Time{}, r.Record.Expires, a.now()):
			state = cell{"lapsed", bad}
		}
		return slices.Concat(texts(r.Record.ID, r.Record.Principal, strings.Join(r.Record.Scopes, ","), day(r.Record.Expires)), []cell{state}, texts(r.Record.Note))
	})
}

type principalRevokeCmd struct {
	Token string `arg:"" help:"The token's ID, from imprimatur principal tokens."`
}

// Run implements the command.
func (c *principalRevokeCmd) Run(a *app) error {
	got, err := a.client().RevokeToken(a.ctx, c.Token)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("the token %s of %s is revoked", got.Record.ID, got.Record.Principal) })
}

type principalTeamCmd struct {
	Name    string `arg:"" help:"The team's name."`
	Display string `placeholder:"TEXT" help:"The name to show."`
}

// Run implements the command.
func (c *principalTeamCmd) Run(a *app) error {
	got, err := a.client().CreateTeam(a.ctx, record.Team{Name: c.Name, DisplayName: c.Display})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("team %s stands", c.Name) })
}

type principalEnvironmentCmd struct {
	Name      string   `arg:"" help:"Such as staging or production."`
	LeastTier string   `required:"" placeholder:"TIER" help:"The least tier whose controls it accepts."`
	Policy    string   `required:"" help:"The name of the policy that governs releases here."`
	Alias     []string `help:"What other systems call it, such as an MLflow alias."`
	Namespace []string `help:"Kubernetes namespaces that mean it."`
	Workload  []string `help:"Workloads that may promote into it."`
}

// Run implements the command.
func (c *principalEnvironmentCmd) Run(a *app) error {
	got, err := a.client().SetEnvironment(a.ctx, record.Environment{
		Name: c.Name, LeastTier: c.LeastTier, Policy: c.Policy, Aliases: c.Alias, Namespaces: c.Namespace, Workloads: c.Workload,
	})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("environment %s accepts tier %s and above, by policy %s", c.Name, c.LeastTier, c.Policy)
	})
}

type principalPlacesCmd struct{ pager }

// Run implements the command.
func (c *principalPlacesCmd) Run(a *app) error {
	return listLatest(a, record.KindEnvironment, c.pager, heading("NAME", "LEAST TIER", "POLICY", "ALIASES", "WORKLOADS"), func(r record.Recorded[record.Environment]) []cell {
		e := r.Record
		return texts(e.Name, e.LeastTier, e.Policy, join(e.Aliases, ""), join(e.Workloads, ""))
	})
}

type principalWhoamiCmd struct{}

// Run implements the command.
func (c *principalWhoamiCmd) Run(a *app) error {
	me, err := a.client().Me(a.ctx)
	if err != nil {
		return err
	}
	return a.show(me, func(p *page) {
		p.field("principal", "%s, a %s", me.Name, me.Type)
		p.field("server", "%s", a.server())
		p.field("token", "%s", join(me.Scopes, "no limit beyond the roles"))
		for _, r := range me.Roles {
			if !r.Revoked {
				p.field("role", "%s", roleText(r))
			}
		}
		drawDelegations(p, me.Delegations)
	})
}
