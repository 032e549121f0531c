package main

import (
	"strconv"
	"strings"

	"imprimatur.dev/catalogue"
	"imprimatur.dev/record"
)

// usecaseCmd is the noun usecase.
type usecaseCmd struct {
	Register usecaseRegisterCmd `cmd:"" help:"Register a use case, or change one."`
	Show     usecaseShowCmd     `cmd:"" help:"Show a use case."`
	List     usecaseListCmd     `cmd:"" help:"List use cases."`
	Cases    usecaseCasesCmd    `cmd:"" help:"List the misuse cases of the catalogue, with no server."`
}

type usecaseRegisterCmd struct {
	Ref         string   `arg:"" name:"team/name" help:"Such as clinic/second-reading."`
	Title       string   `required:"" placeholder:"TEXT" help:"What it is, in a few words."`
	Purpose     string   `required:"" help:"What data must be approved for, one word such as triage."`
	Tier        string   `required:"" help:"How much is at stake: low, medium, high, or a tier of your policy."`
	Environment []string `required:"" help:"Where releases for it may run."`
	Owner       string   `placeholder:"NAME" help:"The business owner; else you."`
	Context     string   `placeholder:"TEXT" help:"Who is affected, and what a person still decides."`
	Misuse      []string `placeholder:"CASE" help:"A misuse case of which releases must bring evidence; imprimatur usecase cases lists them."`
	// A reason is prose, in which commas and semicolons are no separators.
	NotApplicable []string `sep:"none" placeholder:"CASE=REASON" help:"A misuse case that does not apply, and why; once for each."`
	Anchor        string   `placeholder:"MODEL" help:"The model version that a first release is compared with, team/name@version."`
}

// Help implements kong.HelpProvider.
func (c *usecaseRegisterCmd) Help() string {
	return `The whole is stated anew each time: give all of it, also what stays.

  imprimatur usecase register clinic/triage --title Triage --purpose triage --tier high --environment production \
    --misuse direct-prompt-injection --misuse data-leakage \
    --not-applicable 'tool-misuse=It has no tools and sees one case at a time.' \
    --anchor clinic/net@1

A policy with a section "misuse" asks for evidence on every required case. A case that comes to be required counts
for releases that run already; one that is set aside counts from the next proposal on.`
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
	use := record.UseCase{
		Team: team, Name: name, Title: c.Title, Purpose: c.Purpose, Owner: c.Owner, Tier: c.Tier, Context: c.Context, Environments: c.Environment,
	}
	if err := c.misuse(&use); err != nil {
		return err
	}
	if c.Anchor != "" {
		v, err := a.version(c.Anchor)
		if err != nil {
			return err
		}
		use.Anchor = v.Record.Artifact
	}
	got, err := a.client().RegisterUseCase(a.ctx, use)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawUseCase(p, got) })
}

// misuse chooses cases from the catalogue of this program.
func (c *usecaseRegisterCmd) misuse(use *record.UseCase) error {
	for _, name := range c.Misuse {
		use.Misuse = append(use.Misuse, record.MisuseCase{Case: name, Required: true})
	}
	for _, aside := range c.NotApplicable {
		name, reason, ok := strings.Cut(aside, "=")
		if !ok || strings.TrimSpace(reason) == "" {
			return wrongf("--not-applicable %q is not of the form CASE=REASON", aside)
		}
		use.Misuse = append(use.Misuse, record.MisuseCase{Case: name, Reason: strings.TrimSpace(reason)})
	}
	for _, m := range use.Misuse {
		if _, ok := catalogue.Lookup(m.Case); !ok {
			return noCase(m.Case)
		}
		use.Catalogue = catalogue.Current
	}
	return nil
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
	for _, m := range u.Misuse {
		if m.Required {
			p.field("misuse", "%s is required", m.Case)
		} else {
			p.field("misuse", "%s does not apply: %s", m.Case, m.Reason)
		}
	}
	if u.Catalogue != "" {
		p.field("catalogue", "%s", u.Catalogue)
	}
	if u.Anchor != "" {
		p.field("anchor", "%s", u.Anchor)
	}
	p.field("stated", "by %s at %s", got.Actor, day(got.Time))
}

type usecaseCasesCmd struct {
	Case string `arg:"" optional:"" help:"Such as jailbreak: all of one case."`
}

// casesShown is what cases prints.
type casesShown struct {
	Edition string           `json:"edition"`
	Cases   []catalogue.Case `json:"cases"`
}

// Run implements the command.
func (c *usecaseCasesCmd) Run(a *app) error {
	out := casesShown{catalogue.Current, catalogue.Cases()}
	if c.Case != "" {
		one, ok := catalogue.Lookup(c.Case)
		if !ok {
			return noCase(c.Case)
		}
		out.Cases = []catalogue.Case{one}
	}
	return a.show(out, func(p *page) {
		if c.Case != "" {
			drawMisuseCase(p, out.Cases[0])
			return
		}
		rows := [][]cell{heading("CASE", "TITLE", "GARAK PROBES", "PROMPTFOO PLUGINS", "HAZARDS")}
		for _, m := range out.Cases {
			rows = append(rows, texts(m.ID, m.Title, strconv.Itoa(len(m.GarakProbes)), strconv.Itoa(len(m.PromptfooPlugins)), strconv.Itoa(len(m.Hazards))))
		}
		p.table(rows)
	})
}

func drawMisuseCase(p *page, m catalogue.Case) {
	p.field("case", "%s: %s", m.ID, m.Title)
	p.field("", "%s", m.Description)
	p.field("garak", "%s", join(m.GarakProbes, "no probe"))
	p.field("promptfoo", "%s", join(m.PromptfooPlugins, "no plugin"))
	p.field("ailuminate", "%s", join(m.Hazards, "no hazard"))
	for _, ref := range m.Refs {
		title, _, _ := catalogue.Entry(ref)
		p.field("see", "%s %s", ref, title)
	}
}

func noCase(name string) error {
	f := wrongf("the catalogue %s has no misuse case %q", catalogue.Current, name)
	f.hint = "imprimatur usecase cases lists them"
	return f
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
