package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// vendorCmd is the noun vendor.
type vendorCmd struct {
	Register vendorRegisterCmd `cmd:"" help:"Register a vendor of models, with who answers for it, or change that."`
	List     vendorListCmd     `cmd:"" help:"List vendors, and when what assures of them lapses."`
	Show     vendorShowCmd     `cmd:"" help:"Show one with its documents, clauses and the live releases that rest on it."`
	Assure   vendorAssureCmd   `cmd:"" help:"Record a document: a report, a certificate, a contract."`
	Withdraw vendorWithdrawCmd `cmd:"" help:"End a document before its time."`
	Probe    vendorProbeCmd    `cmd:"" help:"Ask a vendor's model a suite of probes through the gateway, once or again and again."`
	Diff     vendorDiffCmd     `cmd:"" help:"Show the answers before and after a change, side by side."`
	Accept   vendorAcceptCmd   `cmd:"" help:"Take a vendor's model as a version that a release can name."`
}

// vendorRef is "team/name" on the command line.
type vendorRef struct {
	Ref string `arg:"" name:"vendor" help:"team/name; the name is the one that grants and the gateway use."`
}

func (r vendorRef) parts() (team, name string, err error) { return secretRef(r).parts() }

type vendorRegisterCmd struct {
	vendorRef
	Owner       string `required:"" placeholder:"NAME" help:"The person who renews what assures of it."`
	Contact     string `required:"" placeholder:"TEXT" help:"Whom to ask at the vendor."`
	Description string `placeholder:"TEXT" help:"What it is used for."`
}

// Run implements the command.
func (c *vendorRegisterCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	got, err := a.client().RegisterVendor(a.ctx, record.ModelVendor{Team: team, Name: name, Owner: c.Owner, Contact: c.Contact, Description: c.Description})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("registered the vendor %s; %s answers for it", c.Ref, c.Owner)
		p.styled(quiet, "next: record what it assures of with imprimatur vendor assure %s FILE", c.Ref)
	})
}

type vendorListCmd struct {
	Team string `placeholder:"NAME" help:"Only this team's."`
}

// Run implements the command.
func (c *vendorListCmd) Run(a *app) error {
	got, err := a.client().Vendors(a.ctx, c.Team)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		if len(got) == 0 {
			p.line("none; register one with imprimatur vendor register")
			return
		}
		rows := [][]cell{heading("VENDOR", "OWNER", "DOCUMENTS", "NEXT LAPSES", "")}
		for _, v := range got {
			x, stands, lapsed := v.Vendor.Record, 0, 0
			for _, d := range v.Documents {
				stands += map[string]int{wire.AssuranceStands: 1}[d.State]
				lapsed += map[string]int{wire.AssuranceLapsed: 1}[d.State]
			}
			state := cell{}
			if lapsed > 0 {
				state = cell{fmt.Sprintf("%d lapsed", lapsed), bad}
			}
			rows = append(rows, append(texts(x.Ref(), x.Owner, fmt.Sprintf("%d stand", stands), day(v.Next)), state))
		}
		p.table(rows)
	})
}

type vendorShowCmd struct{ vendorRef }

// Run implements the command.
func (c *vendorShowCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	got, err := a.client().Vendor(a.ctx, team, name)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawVendor(p, got) })
}

func drawVendor(p *page, got wire.VendorStatus) {
	x := got.Vendor.Record
	p.styled(strong, "%s", x.Ref())
	if x.Description != "" {
		p.field("for", "%s", x.Description)
	}
	p.field("owner", "%s", x.Owner)
	p.field("contact", "%s", x.Contact)
	p.field("next lapses", "%s", day(got.Next))
	p.line("")
	if len(got.Documents) == 0 {
		p.line("no document is recorded; record one with imprimatur vendor assure %s FILE", x.Ref())
	} else {
		rows := [][]cell{heading("DOCUMENT", "TYPE", "ISSUER", "UNTIL", "FILE", "")}
		for _, d := range got.Documents {
			a := d.Document.Record
			state := cell{d.State, map[string]style{wire.AssuranceStands: good, wire.AssuranceLapsed: bad}[d.State]}
			rows = append(rows, append(texts(d.ID, a.Type, a.Issuer, day(a.Expires), a.Document.Name), state))
		}
		p.table(rows)
	}
	for _, d := range got.Documents {
		for _, k := range d.Document.Record.Clauses {
			p.field(k.Name, "%s", clauseText(k)+" ("+d.ID+")")
		}
	}
	for _, x := range got.Probes {
		p.field("probe", "%s", fmt.Sprintf("%s on %s: %s is %s; %s", x.ID, day(x.Probe.Record.Ran), x.Probe.Record.Model, x.Probe.Record.Result, x.Probe.Record.Detail))
		if !x.Due.IsZero() {
			p.field("next probe", "%s", "of "+x.Probe.Record.Model+", by "+day(x.Due))
		}
	}
	for _, l := range got.Live {
		due := ""
		if !l.ProbeDue.IsZero() {
			due = "; it is to be probed by " + day(l.ProbeDue)
		}
		p.field("live", "%s", l.Release+" of "+l.Model+" in "+l.Line+due)
	}
}

// clauseText says what a clause gives.
func clauseText(k record.Clause) string {
	text := map[bool]string{true: "yes", false: "no"}[k.Given]
	if k.Days != nil {
		text = fmt.Sprintf("%s, %d days", text, *k.Days)
	}
	if k.Where != "" {
		text += ", at " + k.Where
	}
	if k.Text != "" {
		text += ": " + k.Text
	}
	return text
}

type vendorAssureCmd struct {
	vendorRef
	File   string   `arg:"" help:"The document; it is kept as it is, by its digest."`
	Type   string   `required:"" placeholder:"NAME" help:"What it is: soc-2, iso-42001, dpa, contract, model-card, or another name that a policy asks for."`
	Issuer string   `required:"" placeholder:"NAME" help:"Who says it: the auditor, or the vendor."`
	Scope  string   `required:"" placeholder:"TEXT" help:"What it speaks of."`
	Issued moment   `placeholder:"DATE" help:"When it was made."`
	Until  moment   `required:"" placeholder:"DATE" help:"When it speaks no more: 2027-01-31, or a span such as 365d."`
	Clause []string `sep:"none" placeholder:"NAME=yes[,DAYS]@WHERE" help:"What it says on a matter, and where: model-change-notice=yes,30@'section 4.2', retention=no."`
}

// Help implements kong.HelpProvider.
func (c *vendorAssureCmd) Help() string {
	return `Clauses of which policies and pages speak are model-change-notice, data-use, retention, sub-processors and incident-notice;
others may be given. The same document again corrects what was said of it; one that renews another is a document of its own.

  imprimatur vendor assure acme/parrot dpa.pdf --type dpa --issuer Parrot --scope "the API" --until 365d \
    --clause model-change-notice=yes,30@"section 4.2" --clause data-use=yes@"section 6"`
}

// Run implements the command.
func (c *vendorAssureCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	in := wire.AssuranceRequest{Type: c.Type, Scope: c.Scope, Issuer: c.Issuer, Issued: c.Issued.before(a.now()), Expires: c.Until.after(a.now())}
	for _, text := range c.Clause {
		k, err := readClause(text)
		if err != nil {
			return err
		}
		in.Clauses = append(in.Clauses, k)
	}
	raw, err := a.readFile(c.File, "the document")
	if err != nil {
		return err
	}
	in.Document = record.FileOf(filepath.Base(c.File), "document", raw)
	if err := a.client().KeepEvidence(a.ctx, in.Document.Digest, bytes.NewReader(raw), int64(len(raw)), nil); err != nil {
		return fmt.Errorf("sending %s: %w", c.File, err)
	}
	got, err := a.client().Assure(a.ctx, team, name, in)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("recorded %s: %s of %s by %s, until %s", got.Record.ID(), got.Record.Type, c.Ref, got.Record.Issuer, day(got.Record.Expires))
	})
}

// readClause reads NAME=yes[,DAYS][@WHERE][: TEXT].
func readClause(text string) (record.Clause, error) {
	wrong := wrongf("the clause %q is not of the form NAME=yes[,DAYS]@WHERE or NAME=no", text)
	name, rest, ok := strings.Cut(text, "=")
	said, where, _ := strings.Cut(rest, "@")
	answer, number, hasDays := strings.Cut(said, ",")
	k := record.Clause{Name: name, Given: answer == "yes", Where: where}
	if !ok || answer != "yes" && answer != "no" {
		return k, wrong
	}
	if hasDays {
		n, err := strconv.Atoi(strings.TrimSuffix(number, "d"))
		if err != nil {
			return k, wrong
		}
		k.Days = &n
	}
	return k, nil
}

type vendorWithdrawCmd struct {
	vendorRef
	Document string `arg:"" help:"The document's ID, as imprimatur vendor show lists it."`
	Reason   string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run implements the command.
func (c *vendorWithdrawCmd) Run(a *app) error {
	team, name, err := c.parts()
	if err != nil {
		return err
	}
	got, err := a.client().WithdrawAssurance(a.ctx, team, name, wire.AssuranceEnd{ID: c.Document, Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("withdrew the %s of %s; live releases that rest on it have a signal", got.Record.Type, c.Ref)
	})
}

type vendorAcceptCmd struct {
	Version    string `arg:"" help:"team/name@version of the model that it becomes."`
	Vendor     string `placeholder:"NAME" help:"The vendor, of the same team."`
	Service    string `placeholder:"ID" help:"The ID by which the vendor knows the model."`
	APIVersion string `name:"api-version" placeholder:"TEXT" help:"The version of the vendor's interface."`
	Probe      string `placeholder:"ID" help:"A probe with as many answers as --baseline asks for, in place of the other flags: what it found is accepted."`
}

// Run implements the command.
func (c *vendorAcceptCmd) Run(a *app) error {
	got, err := a.client().AcceptService(a.ctx, wire.ServiceRequest{Version: c.Version, Vendor: c.Vendor, Service: c.Service, APIVersion: c.APIVersion, Probe: c.Probe})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("accepted %s of %s as %s", got.Record.Service.Model, got.Record.Service.Vendor, c.Version)
		p.field("artifact", "%s", string(got.Record.Artifact))
		if f := got.Record.Service.Fingerprint; f != "" {
			p.field("fingerprint", "%s", string(f))
		}
	})
}
