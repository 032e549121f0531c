package main

import (
	"fmt"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type gatewayBindCmd struct {
	Workload string   `arg:"" help:"The gateway's own principal, a workload."`
	Team     string   `required:"" placeholder:"NAME" help:"Whose releases it attaches for."`
	Env      string   `required:"" placeholder:"NAME" help:"Where they run."`
	Secrets  []string `name:"secret" placeholder:"NAME" help:"A secret that it may attach; may be repeated. Without one, whichever the releases grant."`
	Expires  moment   `placeholder:"TIME" help:"When that ends: 2027-01-31, or a span such as 90d."`
}

// Help implements kong.HelpProvider.
func (c *gatewayBindCmd) Help() string {
	return "A gateway is lent a secret when both stand: what is bound here, and the grant of the action use in the release of the " +
		"workload for which it attaches it. It signs in with a token of its own: imprimatur principal token WORKLOAD."
}

// Run implements the command.
func (c *gatewayBindCmd) Run(a *app) error {
	got, err := a.client().BindGateway(a.ctx, record.Gateway{Workload: c.Workload, Team: c.Team, Environment: c.Env, Secrets: c.Secrets, Expires: c.Expires.after(a.now())})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("bound %s as the gateway %s: it may attach %s", c.Workload, got.Record.ID, got.Record.Reach())
	})
}

type gatewayListCmd struct {
	Team string `placeholder:"NAME" help:"Only this team's."`
}

// Run implements the command.
func (c *gatewayListCmd) Run(a *app) error {
	got, err := a.client().Gateways(a.ctx, c.Team)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		if len(got) == 0 {
			p.line("none; bind one with imprimatur gateway bind")
			return
		}
		rows := [][]cell{heading("ID", "WORKLOAD", "BY", "EXPIRES", "LEASES", "", "ATTACHES")}
		for _, g := range got {
			x := g.Gateway.Record
			state := cell{g.State, map[string]style{"stands": good, "expired": bad, "ended": quiet}[g.State]}
			if x.Ended {
				state.text += ": " + x.Reason
			}
			rows = append(rows, append(append(texts(x.ID, x.Workload, g.Gateway.Actor, day(x.Expires), fmt.Sprint(g.Leases)), state), cell{text: x.Reach()}))
		}
		p.table(rows)
	})
}

type gatewayEndCmd struct {
	ID     string `arg:"" help:"Such as g-0123456789abcdef; imprimatur gateway list shows them."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *gatewayEndCmd) Run(a *app) error {
	got, err := a.client().EndGateway(a.ctx, c.ID, wire.Stop{Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("the gateway %s of %s is ended, with its leases", c.ID, got.Record.Workload) })
}
