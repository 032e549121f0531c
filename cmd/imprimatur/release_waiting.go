package main

import (
	"cmp"
	"strings"

	"imprimatur.dev/wire"
)

type releaseWaitingCmd struct{}

// Help implements kong.HelpProvider.
func (c *releaseWaitingCmd) Help() string {
	return "What runs comes first, then the riskiest, then the oldest: seats that you can fill, gates that you can " +
		"supply, releases that you can promote, drills that are due, and exceptions that you should look back at."
}

// Run implements the command.
func (c *releaseWaitingCmd) Run(a *app) error {
	got, err := a.client().Waiting(a.ctx)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawWaiting(p, got) })
}

func drawWaiting(p *page, all []wire.Waiting) {
	if len(all) == 0 {
		p.line("Nothing waits for you.")
		return
	}
	rows := [][]cell{heading("TO", "RELEASE", "", "MODEL", "ENVIRONMENT", "TIER", "AS", "SINCE", "GATES")}
	for _, w := range all {
		state := cell{}
		if w.Live {
			state = cell{"live", bad}
		}
		gates := strings.Join(w.Gates, ", ")
		if !w.Due.IsZero() {
			gates = "due " + day(w.Due)
		}
		rows = append(rows, append([]cell{{w.Act, strong}, {text: cmp.Or(w.Release, w.Envelope)}, state},
			texts(w.Model, w.Environment, w.Tier, string(w.Role), day(w.Since), cmp.Or(gates, "all pass"))...))
	}
	p.table(rows)
	for _, w := range all {
		p.line("")
		p.line("%s", w.Why)
		p.styled(quiet, "  %s", w.Do)
	}
}
