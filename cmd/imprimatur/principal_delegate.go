package main

import (
	"cmp"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type principalDelegateCmd struct {
	To       string `arg:"" help:"The person who is to act for you."`
	Role     string `required:"" enum:"viewer,contributor,data-steward,evaluator,model-owner,risk,security,auditor" help:"One of ${enum}; it must be bound to you."`
	Team     string `required:"" xor:"where" help:"The team, or '*' for all."`
	Model    string `required:"" xor:"where" placeholder:"TEAM/NAME" help:"In place of --team: the one model that a model-owner answers for."`
	FromDate moment `placeholder:"DATE" help:"When it begins: 2026-12-20 or 7d. Now, where none is given."`
	Until    moment `placeholder:"DATE" help:"When it ends: 2027-01-10 or 14d, at most 90 days after it begins."`
	Reason   string `required:"" placeholder:"TEXT" help:"Stands in the ledger for ever."`
	Revoke   bool   `help:"Take it back at once."`
	Of       string `placeholder:"NAME" help:"With --revoke, for an administrator: whose delegation it is."`
}

// Help implements kong.HelpProvider.
func (c *principalDelegateCmd) Help() string {
	return `The other person acts in your role from the one date to the other, and what they approve says that it was for you.
It fills a seat only where yours would: what you did in a release's lineage bars them too, and your own approval and
theirs for you fill one seat together. When the delegation ends, the approvals given by it count no more, as when a
role is taken away. A later delegation of the same role to the same person takes the place of the one before.

  imprimatur principal delegate sam --role risk --team '*' --from-date 2026-12-20 --until 2027-01-10 --reason "on leave"
  imprimatur principal delegate sam --role risk --team '*' --revoke --reason "back early"`
}

// Run implements the command.
func (c *principalDelegateCmd) Run(a *app) error {
	if until := c.Until != (moment{}); until == c.Revoke {
		return wrongf("give either --until, to delegate, or --revoke, to take it back")
	}
	if c.Of != "" && !c.Revoke {
		return wrongf("--of is for --revoke: nobody delegates for another")
	}
	got, err := a.client().Delegate(a.ctx, wire.DelegationRequest{
		From: c.Of, To: c.To, Role: record.RoleName(c.Role), Team: cmp.Or(c.Team, record.TeamOf(c.Model)), Model: c.Model,
		Starts: c.FromDate.after(a.now()), Expires: c.Until.after(a.now()), Reason: c.Reason, Revoke: c.Revoke,
	})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		d := got.Record
		if d.Revoked {
			p.line("%s acts for %s no longer as %s of %s", d.To, d.From, d.Role, d.For())
			return
		}
		p.line("%s acts for %s as %s of %s from %s until %s", d.To, d.From, d.Role, d.For(), day(d.Starts), day(d.Expires))
	})
}

// drawDelegations lists what somebody lent and was lent.
func drawDelegations(p *page, all []wire.Lent) {
	for _, d := range all {
		p.field("delegation", "%s", delegationText(d.Record)+map[bool]string{false: "; it gives nothing now"}[d.Stands])
	}
}

func delegationText(d record.Delegation) string {
	return string(d.Role) + " of " + d.For() + ", by " + d.From + " to " + d.To + " from " + day(d.Starts) + " until " + day(d.Expires) + ": " + d.Reason
}
