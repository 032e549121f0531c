package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type authorityAllowedCmd struct {
	Kind     string `arg:"" help:"The kind of grant: access, tools, apis, records, secrets, models or data."`
	Resource string `arg:"" help:"What is called."`
	Action   string `arg:"" help:"What is done with it."`

	Workload    string        `placeholder:"NAME" help:"The workload; without it, whose token this is."`
	Environment string        `placeholder:"NAME" help:"Where it acts, if it acts under several releases."`
	Release     string        `placeholder:"ID" help:"The release, if it acts under several."`
	Definition  record.Digest `placeholder:"DIGEST" help:"The tool's definition as its server tells it now."`
	Args        string        `placeholder:"JSON" help:"The call's arguments, a JSON object."`
}

// Help implements kong.HelpProvider.
func (c *authorityAllowedCmd) Help() string {
	return "The question counts: it uses up limits and stands in the decision log, like any that a gateway asks."
}

// Run implements the command.
func (c *authorityAllowedCmd) Run(a *app) error {
	ask := wire.Ask{
		Workload: c.Workload, Environment: c.Environment, Release: c.Release, Kind: c.Kind, Resource: c.Resource, Action: c.Action,
		Definition: c.Definition,
	}
	if c.Args != "" {
		ask.Arguments = jsontext.Value(c.Args)
		if !ask.Arguments.IsValid(jsontext.AllowDuplicateNames(true)) {
			return wrongf("--args is no JSON")
		}
	}
	if ask.Workload == "" {
		me, err := a.client().Me(a.ctx)
		if err != nil {
			return err
		}
		ask.Workload = me.Name
	}
	got, err := a.client().Authorize(a.ctx, ask)
	if err != nil {
		return err
	}
	err = a.show(got, func(p *page) {
		if got.Allowed {
			p.styled(good, "yes: %s allows it", got.Release)
			return
		}
		p.styled(bad, "no: %s", strings.Join(got.Reasons, "; "))
		if !got.After.IsZero() {
			p.field("again", "%s", day(got.After))
		}
	})
	if err != nil || got.Allowed {
		return err
	}
	return no()
}

type authoritySuggestCmd struct {
	Release string `arg:"" help:"The release."`
	Since   moment `placeholder:"TIME" help:"Look at what was called since then: 2026-05-01, or a span such as 30d. Without it, since the release was proposed."`
	Out     string `placeholder:"FILE" help:"Write the authority there, for release propose."`
	Propose bool   `help:"Propose the release again with it, all else as it is now. The release must be live."`
	Anyway  bool   `help:"Propose it although of some calls only the number was kept."`
}

// Help implements kong.HelpProvider.
func (c *authoritySuggestCmd) Help() string {
	return "What was not called falls away, and patterns become what was called. It is never wider, so a release with it keeps the approvals of its authority; what is called once a year is missing all the same: read it before you propose it."
}

// Run implements the command.
func (c *authoritySuggestCmd) Run(a *app) error {
	got, err := a.client().Used(a.ctx, c.Release, c.Since.before(a.now()))
	if err != nil {
		return err
	}
	if got.Calls == 0 {
		return &failure{code: exitNo, err: fmt.Errorf("nothing was called under %s since %s, so there is nothing to go by", c.Release, day(got.From)), hint: "the decision log is written once a minute; see imprimatur audit decisions"}
	}
	if c.Out != "" {
		raw, err := json.Marshal(got.Suggested, json.Deterministic(true), jsontext.WithIndent("  "))
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.Out, append(raw, '\n'), 0o644); err != nil {
			return fmt.Errorf("writing the authority: %w", err)
		}
	}
	if c.Propose {
		return c.propose(a)
	}
	return a.show(got, func(p *page) {
		p.line("%s from %s to %s, %d refused", count(int(got.Calls), "call"), day(got.From), day(got.To), got.Denied)
		if got.Unkept > 0 {
			p.styled(bad, "of %s only the number was kept: what they called may be missing", count(int(got.Unkept), "call"))
		}
		drawDifference(p, authority.Compare(got.Now, got.Suggested))
		p.line("")
		drawAuthority(p, got.Suggested)
	})
}

func (c *authoritySuggestCmd) propose(a *app) error {
	got, err := a.client().ProposeNarrower(a.ctx, c.Release, wire.Narrower{Since: c.Since.before(a.now()), Anyway: c.Anyway})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		drawCase(p, got, a.now())
		p.styled(quiet, "next: imprimatur authority diff %s %s, then imprimatur release promote %s", c.Release, got.ID, got.ID)
	})
}
