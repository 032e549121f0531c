package main

import (
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type principalInventoryCmd struct {
	Text        string `arg:"" optional:"" help:"Look for this in names, owners, purposes, releases and models."`
	Findings    bool   `help:"Only what has something to be mended, with the commands that mend it."`
	Finding     string `placeholder:"CODE" help:"Only what has this finding, such as orphaned-owner, or one of this risk, such as NHI7."`
	Owner       string `placeholder:"NAME" help:"Only what this person answers for."`
	Environment string `placeholder:"NAME" help:"Only workloads that a release in force there names."`
	Limit       int    `default:"50" help:"At most so many, in the order of their names (default 50)."`
	After       string `placeholder:"CURSOR" help:"Go on from the \"next\" of the part before."`
}

// Help implements kong.HelpProvider.
func (c *principalInventoryCmd) Help() string {
	return "Administrators, security and auditors see what they are bound for, and owners their own. No value of a secret is ever shown. " +
		"Each finding names its risk in the OWASP Non-Human Identities Top 10 of 2025."
}

// Run implements the command.
func (c *principalInventoryCmd) Run(a *app) error {
	q := wire.InventoryQuery{Text: c.Text, Finding: c.Finding, Owner: c.Owner, Environment: c.Environment, From: c.After, Limit: c.Limit}
	if c.Findings && q.Finding == "" {
		q.Finding = wire.AnyFinding
	}
	got, err := a.client().Inventory(a.ctx, q)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		switch {
		case len(got.Items) == 0 && q.Finding != "":
			p.line("none; nothing is to be mended")
		case len(got.Items) == 0:
			p.line("none that you oversee or answer for")
		case q.Finding != "":
			drawMends(p, got)
		default:
			drawInventory(p, got)
		}
		if got.Next != "" {
			p.styled(quiet, "there are more of the %d: --after '%s'", got.Total, got.Next)
		}
	})
}

func drawInventory(p *page, got wire.Inventory) {
	rows := [][]cell{heading("NAME", "OWNER", "RELEASES", "SHOWS", "LAST USED", "ROTATED", "EXPIRES", "", "FINDINGS")}
	for _, i := range got.Items {
		rows = append(rows, append(texts(i.Name, i.Owner, boundTo(i), credentialsOf(i), day(i.Used), day(i.Rotated), day(i.Expires)), inventoryState(i), codesOf(i)))
	}
	p.table(rows)
	drawCounts(p, got)
}

func inventoryState(i wire.Inventoried) cell {
	if i.State == "stands" {
		return cell{i.State, good}
	}
	return cell{i.State, bad}
}

func boundTo(i wire.Inventoried) string {
	var out []string
	for _, b := range i.Releases {
		out = append(out, fmt.Sprintf("%s in %s (%s)", b.Release, b.Environment, b.Status))
	}
	return join(out, "none")
}

// credentialsOf counts what stands.
func credentialsOf(i wire.Inventoried) string {
	counts := map[string]int{}
	for _, c := range i.Credentials {
		if c.State == "stands" {
			counts[c.Kind]++
		}
	}
	var out []string
	for _, kind := range []string{wire.CredentialIdentity, wire.CredentialToken, wire.CredentialKey, wire.CredentialSecret} {
		if n := counts[kind]; n > 0 {
			out = append(out, strings.Replace(count(n, kind), "identitys", "identities", 1))
		}
	}
	return join(out, "nothing")
}

func codesOf(i wire.Inventoried) cell {
	var codes []string
	for _, f := range i.Findings {
		if !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	return cell{strings.Join(codes, ", "), warn}
}

func drawCounts(p *page, got wire.Inventory) {
	total := 0
	for _, n := range got.Findings {
		total += n
	}
	if total > 0 {
		p.styled(quiet, "next: imprimatur principal inventory --findings")
	}
}

func drawMends(p *page, got wire.Inventory) {
	for _, i := range got.Items {
		p.styled(strong, "%s", i.Name)
		for _, f := range i.Findings {
			p.styled(warn, "  %s %s (%s)", f.Risk, f.Code, f.Title)
			p.line("    %s", f.Sentence)
			p.styled(quiet, "    %s", f.Mend)
		}
	}
}

type principalDisableCmd struct {
	Name   string `arg:"" help:"The workload."`
	Reason string `default:"It is not needed any more." placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Help implements kong.HelpProvider.
func (c *principalDisableCmd) Help() string {
	return "Its tokens, keys and identities end in the same step, and the access tokens that it was given. Enabled again with imprimatur principal renew, it needs new ones."
}

// Run implements the command.
func (c *principalDisableCmd) Run(a *app) error {
	got, err := a.client().DisableWorkload(a.ctx, c.Name, wire.Stop{Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("%s is disabled; all that it shows has ended", c.Name) })
}

type principalRenewCmd struct {
	Name    string `arg:"" help:"The workload."`
	Expires moment `required:"" placeholder:"DATE" help:"When it ends now: 2026-12-31 or 90d."`
	Owner   string `placeholder:"NAME" help:"Who answers for it from now on."`
}

// Run implements the command.
func (c *principalRenewCmd) Run(a *app) error {
	was, err := a.client().Principal(a.ctx, c.Name)
	if err != nil {
		return err
	}
	p := was.Principal.Record
	if p.Type != record.Workload {
		return wrongf("%s is a person: imprimatur principal enrol %s changes what is said of them", c.Name, c.Name)
	}
	p.Expires, p.Disabled = c.Expires.after(a.now()), false
	if c.Owner != "" {
		p.Owner = c.Owner
	}
	got, err := a.client().EnrolPrincipal(a.ctx, p)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s stands until %s; %s answers for it", c.Name, day(got.Record.Expires), got.Record.Owner)
	})
}
