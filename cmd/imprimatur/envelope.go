package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// envelopeCmd is the noun envelope.
type envelopeCmd struct {
	Propose envelopeProposeCmd `cmd:"" help:"Propose a standing approval for retraining, within bounds."`
	Show    envelopeShowCmd    `cmd:"" help:"Show its bounds, what it spent, its releases and its approvals."`
	Check   envelopeCheckCmd   `cmd:"" help:"Ask whether a release may use it now: yes, or every reason why not."`
	List    envelopeListCmd    `cmd:"" help:"List envelopes, newest first."`

	Approve        envelopeApproveCmd  `cmd:"" help:"Approve what you saw, in one role, with a reason."`
	RequestChanges envelopeChangesCmd  `cmd:"" help:"Take back your word, or block it, in one role, with a reason."`
	Withdraw       envelopeWithdrawCmd `cmd:"" help:"End it: no further release uses it."`
}

type envelopeProposeCmd struct {
	File string `arg:"" placeholder:"FILE" help:"The bounds, as JSON; - is standard input."`
}

// Help implements kong.HelpProvider.
func (c *envelopeProposeCmd) Help() string {
	return "The line is that of the anchor, a release that people let run. It is approved by the same roles as a release of " +
		"the line, and never changes: other bounds are another envelope. docs/envelopes.md has a file to begin with."
}

// Run implements the command.
func (c *envelopeProposeCmd) Run(a *app) error {
	in, err := readJSON[wire.EnvelopeProposal](a, c.File, "the envelope")
	if err != nil {
		return err
	}
	got, err := a.client().ProposeEnvelope(a.ctx, in)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawEnvelope(p, got) })
}

type envelopeShowCmd struct {
	ID string `arg:"" help:"Such as env-0123456789ab."`
}

// Run implements the command.
func (c *envelopeShowCmd) Run(a *app) error {
	got, err := a.client().Envelope(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawEnvelope(p, got) })
}

type envelopeCheckCmd struct {
	ID string `arg:"" help:"The envelope."`
}

// Run implements the command.
func (c *envelopeCheckCmd) Run(a *app) error {
	got, err := a.client().Envelope(a.ctx, c.ID)
	if err != nil {
		return err
	}
	if err := a.show(got, func(p *page) { drawEnvelopeVerdict(p, got) }); err != nil {
		return err
	}
	if !got.Verdict.Passed || got.LeftThisWeek == 0 {
		return no()
	}
	return nil
}

type envelopeListCmd struct {
	Line string `placeholder:"LINE" help:"Only those of one line: team/model/team:usecase/environment."`
}

// Run implements the command.
func (c *envelopeListCmd) Run(a *app) error {
	got, err := a.client().Envelopes(a.ctx, c.Line)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		if len(got) == 0 {
			p.line("There is no envelope.")
			return
		}
		rows := [][]cell{heading("ENVELOPE", "NAME", "LINE", "TIER", "RELEASES", "ENDS", "BY")}
		for _, e := range got {
			rows = append(rows, texts(record.EnvelopeID(e.Digest), e.Record.Name, e.Record.Line, e.Record.Tier, fmt.Sprint(e.Record.Releases), day(e.Record.Ends), e.Actor))
		}
		p.table(rows)
	})
}

// envelopeWord is what an approver gives.
type envelopeWord struct {
	ID string `arg:"" help:"The envelope."`
	word
}

type envelopeApproveCmd struct{ envelopeWord }

// Help implements kong.HelpProvider.
func (c *envelopeApproveCmd) Help() string {
	return "Your word counts for every release inside the bounds, as if you had approved each: for as long as the policy lets an " +
		"approval last, and while you hold the role."
}

// Run implements the command.
func (c *envelopeApproveCmd) Run(a *app) error { return c.say(a, record.Approve) }

type envelopeChangesCmd struct{ envelopeWord }

// Run implements the command.
func (c *envelopeChangesCmd) Run(a *app) error { return c.say(a, record.RequestChanges) }

func (c *envelopeWord) say(a *app, decision string) error {
	seen, err := a.client().Envelope(a.ctx, c.ID)
	if err != nil {
		return err
	}
	w, err := c.said(a, decision, seen.Envelope.Digest, func(p *page) { drawBounds(p, seen) })
	if err != nil {
		return err
	}
	w.Envelope = c.ID
	got, err := a.client().ApproveEnvelope(a.ctx, w)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		c.draw(p, decision, "nothing is approved by it")
		drawEnvelopeVerdict(p, got)
	})
}

type envelopeWithdrawCmd struct {
	ID     string `arg:"" help:"The envelope."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger with your name."`
}

// Help implements kong.HelpProvider.
func (c *envelopeWithdrawCmd) Help() string {
	return "What runs by it goes on; stop that with imprimatur release suspend, or take back your own approval with " +
		"imprimatur envelope request-changes."
}

// Run implements the command.
func (c *envelopeWithdrawCmd) Run(a *app) error {
	got, err := a.client().WithdrawEnvelope(a.ctx, c.ID, wire.Stop{Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s is withdrawn: no further release uses it.", c.ID)
		drawEnvelopeVerdict(p, got)
	})
}

// drawEnvelope shows an envelope on one page.
func drawEnvelope(p *page, c wire.EnvelopeCase) {
	drawBounds(p, c)
	p.line("")
	drawEnvelopeVerdict(p, c)
	if len(c.Releases) > 0 {
		p.line("")
	}
	rows := [][]cell{}
	for _, r := range c.Releases {
		state := cell{"outside: " + strings.Join(r.Outside, "; "), warn}
		if i := slices.IndexFunc(c.Uses, func(u wire.EnvelopeSpent) bool { return u.Release == r.Release }); i >= 0 {
			state = cell{fmt.Sprintf("use %d, by %s", c.Uses[i].Use, c.Uses[i].By), good}
		} else if len(r.Outside) == 0 {
			state = cell{text: "inside, and not promoted by it"}
		}
		rows = append(rows, append(texts("  "+r.Release, r.Version, string(r.Status), day(r.Time)), state))
	}
	p.table(rows)
}

// drawBounds says what an approver's word is bound to.
func drawBounds(p *page, c wire.EnvelopeCase) {
	e := c.Envelope.Record
	p.styled(strong, "%s: the envelope %s of %s", c.ID, e.Name, e.Line)
	p.field("tier", "%s, by policy %s (%s)", e.Tier, e.Policy.Name, e.Policy.Digest.Short())
	p.field("proposed", "by %s at %s", c.Envelope.Actor, day(c.Envelope.Time))
	p.field("record", "%s", c.Envelope.Digest)
	if e.Reason != "" {
		p.field("why", "%s", e.Reason)
	}
	for _, b := range e.Sentences() {
		p.field(b.Bound, "%s", b.Is)
	}
}

func drawEnvelopeVerdict(p *page, c wire.EnvelopeCase) {
	drawMarks(p, c.Verdict.Marks)
	drawGates(p, c.Verdict.Gates)
	p.line("")
	p.line("spent %d of %d releases; %d may still be let through this week", len(c.Uses), c.Envelope.Record.Releases, c.LeftThisWeek)
	blocking := c.Verdict.Blocking()
	if len(blocking) == 0 {
		p.styled(good, "yes: a release inside its bounds is approved by it%s", untilOf(c.Verdict.Until))
		return
	}
	p.styled(bad, "no: nothing is approved by it now")
	rows := [][]cell{heading("  GATE", "WHO CAN HELP", "HOW")}
	for _, g := range blocking {
		rows = append(rows, texts("  "+g.Name, supply(g, c.Approvers), g.Do))
	}
	p.table(rows)
}

func untilOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + day(t)
}
