package main

import (
	"errors"
	"fmt"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type releaseDrillCmd struct {
	ID    string `arg:"" optional:"" help:"A release that ran, or runs."`
	Model string `placeholder:"PATH" help:"The model's file or folder as it would be deployed; else the server reads what MLflow's clients registered."`
	Due   bool   `help:"Drill whatever waits for you to be drilled again, from the server; nothing, where nothing does."`
}

// Help implements kong.HelpProvider.
func (c *releaseDrillCmd) Help() string {
	return `Tries whether a release could take over, and states what came of it. Exit 1 says that one could not.

  imprimatur release drill r-4be1c0a7d2f3 --model /srv/models/triage

A drill lapses after the days of the policy. With --due a timer does it: run daily, it drills a sixth of those days before, and costs one question otherwise.`
}

// Run implements the command.
func (c *releaseDrillCmd) Run(a *app) error {
	if c.Due == (c.ID != "") || c.Due && c.Model != "" {
		return wrongf("drill one release, perhaps with --model, or whatever is --due")
	}
	if !c.Due {
		got, err := c.drill(a, c.ID)
		if err != nil {
			return err
		}
		return a.drilled([]record.Recorded[record.Drill]{got}, got)
	}
	waiting, err := a.client().Waiting(a.ctx)
	if err != nil {
		return err
	}
	all, seen, worst := []record.Recorded[record.Drill]{}, map[string]bool{}, error(nil)
	for _, w := range waiting {
		if w.Act != wire.WaitsDrill || seen[w.Drill] {
			continue
		}
		seen[w.Drill] = true
		got, err := c.drill(a, w.Drill)
		var refused *client.Problem
		switch {
		case errors.As(err, &refused):
			fmt.Fprintf(a.stderr, "imprimatur: %s is due by %s: %s\n", w.Drill, day(w.Due), plain(err.Error()))
			worst = no()
		case err != nil:
			return err
		default:
			all = append(all, got)
		}
	}
	if err := a.drilled(all, all); err != nil {
		return err
	}
	return worst
}

func (c *releaseDrillCmd) drill(a *app, id string) (got record.Recorded[record.Drill], err error) {
	var in wire.DrillRequest
	if c.Model != "" {
		found, err := a.hash(c.Model)
		if err != nil {
			return got, err
		}
		in.Files = found.Files
	}
	return a.client().Drill(a.ctx, id, in)
}

// drilled shows what came of drills, as JSON in the form of shown.
func (a *app) drilled(all []record.Recorded[record.Drill], shown any) error {
	ready := true
	err := a.show(shown, func(p *page) {
		if len(all) == 0 {
			p.line("No drill is due.")
		}
		for _, x := range all {
			for _, check := range x.Record.Checks {
				p.line("%-8s %s", check.Name, check.Detail)
			}
			if x.Record.Ready() {
				p.line("%s can take over", x.Record.Release)
			} else {
				p.styled(bad, "%s cannot take over", x.Record.Release)
			}
		}
	})
	for _, x := range all {
		ready = ready && x.Record.Ready()
	}
	if err != nil || ready {
		return err
	}
	return no()
}
