package main

import (
	"imprimatur.dev/wire"
)

type principalOffboardCmd struct {
	Name   string `arg:"" help:"The person who leaves."`
	To     string `placeholder:"OTHER" help:"Who takes over the models, data, use cases and workloads that they own."`
	DryRun bool   `help:"Show what they have and what comes of it, and change nothing."`
}

// Help implements kong.HelpProvider.
func (c *principalOffboardCmd) Help() string {
	return `Hands over what the person owns, takes their roles, delegations, tokens and keys away and disables them, all in one step, and ends
their sessions. Their approvals count no more: what runs on them is shown.

  imprimatur principal offboard ann --to olga --dry-run
  imprimatur principal offboard ann --to olga`
}

// Run implements the command.
func (c *principalOffboardCmd) Run(a *app) error {
	got, err := a.client().Offboard(a.ctx, c.Name, wire.Offboarding{To: c.To, DryRun: c.DryRun})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawOffboarded(p, got) })
}

func drawOffboarded(p *page, got wire.Offboarded) {
	if got.Done {
		p.line("%s is seen off and disabled; no session of theirs goes on", got.Principal)
	} else {
		p.line("%s would be seen off and disabled; nothing was changed", got.Principal)
	}
	for _, e := range got.Owns {
		p.field("owns", "%s", e.Subject)
	}
	if len(got.Owns) > 0 {
		p.field("goes to", "%s", orElse(got.To, "nobody yet; name somebody with --to"))
	}
	for _, r := range got.Roles {
		p.field("role", "%s", roleText(r))
	}
	for _, d := range got.Delegations {
		p.field("delegation", "%s", delegationText(d))
	}
	p.field("tokens", "%s", join(got.Tokens, "none"))
	p.field("keys", "%s", join(got.Keys, "none"))
	for _, l := range got.Losses {
		for _, why := range l.Reasons {
			p.field("stops", "%s in %s: %s", l.Release, l.Line, why)
		}
		for _, role := range l.Seats {
			p.field("lacks", "%s in %s (%s): nobody who is left may fill the seat of %s", l.Release, l.Line, l.Status, role)
		}
	}
	if got.Left > 0 {
		p.styled(quiet, "%d more releases were not looked at: it took too long", got.Left)
	}
}
