package main

import (
	"strings"

	"imprimatur.dev/record"
)

// usecaseCmd is the noun usecase.
type usecaseCmd struct {
	Register usecaseRegisterCmd `cmd:"" help:"Register a use case, or change one."`
	Show     usecaseShowCmd     `cmd:"" help:"Show a use case."`
	List     usecaseListCmd     `cmd:"" help:"List use cases."`
}

type usecaseRegisterCmd struct {
	Ref         string   `arg:"" name:"team/name" help:"Such as clinic/second-reading."`
	Title       string   `required:"" placeholder:"TEXT" help:"What it is, in a few words."`
	Purpose     string   `required:"" help:"What data must be approved for, one word such as triage."`
	Tier        string   `required:"" help:"How much is at stake: low, medium, high, or a tier of your policy."`
	Environment []string `required:"" help:"Where releases for it may run."`
	Owner       string   `placeholder:"NAME" help:"The business owner; else you."`
	Context     string   `placeholder:"TEXT" help:"Who is affected, and what a person still decides."`
}

// Run implements the command.
func (c *usecaseRegisterCmd) Run(a *app) error {
	team, name, ok := strings.Cut(c.Ref, "/")
	if !ok {
		return wrongf("%q is not of the form team/name", c.Ref)
	}
	if c.Owner == "" {
		me, err := a.client().Me(a.ctx)
		if err != nil {
			return err
		}
		c.Owner = me.Name
	}
	got, err := a.client().RegisterUseCase(a.ctx, record.UseCase{
		Team: team, Name: name, Title: c.Title, Purpose: c.Purpose, Owner: c.Owner, Tier: c.Tier, Context: c.Context, Environments: c.Environment,
	})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawUseCase(p, got) })
}

func drawUseCase(p *page, got record.Recorded[record.UseCase]) {
	u := got.Record
	p.field("use case", "%s: %s", u.Ref(), u.Title)
	p.field("purpose", "%s", u.Purpose)
	p.field("tier", "%s", u.Tier)
	p.field("owner", "%s", u.Owner)
	p.field("environments", "%s", join(u.Environments, "none"))
	if u.Context != "" {
		p.field("context", "%s", u.Context)
	}
	p.field("stated", "by %s at %s", got.Actor, day(got.Time))
}

type usecaseShowCmd struct {
	Ref string `arg:"" name:"team/name" help:"The use case."`
}

// Run implements the command.
func (c *usecaseShowCmd) Run(a *app) error {
	got, ok, err := newest(a, record.KindUseCase, func(u record.UseCase) bool { return u.Ref() == c.Ref })
	switch {
	case err != nil:
		return err
	case !ok:
		return absent("the use case "+c.Ref, "imprimatur usecase list shows them; its owner registers it: imprimatur usecase register "+c.Ref)
	}
	return a.show(got, func(p *page) { drawUseCase(p, got) })
}

type usecaseListCmd struct{ pager }

// Run implements the command.
func (c *usecaseListCmd) Run(a *app) error {
	return listLatest(a, record.KindUseCase, c.pager, heading("USE CASE", "TIER", "PURPOSE", "OWNER", "ENVIRONMENTS", "TITLE"), func(r record.Recorded[record.UseCase]) []cell {
		u := r.Record
		return texts(u.Ref(), u.Tier, u.Purpose, u.Owner, join(u.Environments, ""), u.Title)
	})
}
