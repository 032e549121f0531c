package main

import (
	"os"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
)

// authorityCmd is the noun authority.
type authorityCmd struct {
	Show authorityShowCmd `cmd:"" help:"Read out what a release, or an authority file, allows."`
	Diff authorityDiffCmd `cmd:"" help:"Say what widens and what narrows from one to another."`

	Allowed authorityAllowedCmd `cmd:"" help:"Ask whether a workload may make a call now."`
	Suggest authoritySuggestCmd `cmd:"" help:"Write the narrower authority that is enough for what was really called."`
}

// authorityOf reads an authority from a file, or from a release.
func (a *app) authorityOf(what string) (record.Authority, error) {
	if _, err := os.Stat(what); err == nil || what == "-" {
		return readJSON[record.Authority](a, what, "the authority")
	}
	c, err := a.client().CheckRelease(a.ctx, what)
	return c.Release.Record.Authority, err
}

type authorityShowCmd struct {
	What string `arg:"" help:"A release, or a JSON file."`
}

// Help implements kong.HelpProvider.
func (c *authorityShowCmd) Help() string {
	return `An authority file is one JSON object with grants by kind (access, tools, apis, records, secrets, models, data):

  {
    "tools":   [{"resource": "tickets", "actions": ["create"], "limit": {"calls": 60, "seconds": 3600}, "why": "to open a case"}],
    "secrets": [{"resource": "ticket-api-key", "actions": ["use"], "until": "2026-12-31T00:00:00Z"}]
  }

A resource that ends in * is a prefix. What no grant names is not allowed.`
}

// Run implements the command.
func (c *authorityShowCmd) Run(a *app) error {
	got, err := a.authorityOf(c.What)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawAuthority(p, got) })
}

type authorityDiffCmd struct {
	Old string `arg:"" help:"A release, or a JSON file."`
	New string `arg:"" help:"A release, or a JSON file."`
}

// Help implements kong.HelpProvider.
func (c *authorityDiffCmd) Help() string {
	return "Exit code 0 says that the new authority is equal or narrower and needs no new approval, 1 that it is wider or incomparable."
}

// Run implements the command.
func (c *authorityDiffCmd) Run(a *app) error {
	older, err := a.authorityOf(c.Old)
	if err != nil {
		return err
	}
	newer, err := a.authorityOf(c.New)
	if err != nil {
		return err
	}
	d := authority.Compare(older, newer)
	if err := a.show(d, func(p *page) { drawDifference(p, d) }); err != nil || d.Relation.Within() {
		return err
	}
	return no()
}

func drawDifference(p *page, d authority.Difference) {
	s := bad
	if d.Relation.Within() {
		s = good
	}
	p.styled(s, "%s", d.Relation)
	for _, ch := range d.Changes {
		mark := "-"
		if ch.Direction == authority.Wider {
			mark = "+"
		}
		p.line("%s %s", mark, ch.Sentence)
	}
}
