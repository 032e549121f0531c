package main

import (
	"cmp"
	"os"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// word is what somebody says of a release or an envelope, in one role.
type word struct {
	Role   string        `required:"" aliases:"as" placeholder:"ROLE" help:"The role in which you speak: model-owner, risk, security, ..."`
	Reason string        `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger with your name."`
	Record record.Digest `placeholder:"DIGEST" help:"The digest that you saw, where you looked earlier or elsewhere; another one is refused."`
	Until  moment        `placeholder:"DATE" help:"Let your word lapse earlier than the policy does."`
}

// said is a word as it is sent, once seen was shown; it is bound to what was seen.
func (w *word) said(a *app, decision string, digest record.Digest, seen func(*page)) (wire.Word, error) {
	if !a.json {
		p := newPage(a.stdout, a.colour(a.stdout))
		seen(p)
		if err := p.flush(); err != nil {
			return wire.Word{}, err
		}
	}
	return wire.Word{Record: cmp.Or(w.Record, digest), Role: record.RoleName(w.Role), Decision: decision, Reason: w.Reason, Expires: w.Until.after(a.now())}, nil
}

// draw says what a word came to; blocks is what a request for changes does.
func (w *word) draw(p *page, decision, blocks string) {
	if decision == record.Approve {
		p.styled(good, "✓ approved as %s", w.Role)
	} else {
		p.styled(warn, "! changes are requested as %s: %s until you say otherwise", w.Role, blocks)
	}
	p.line("")
}

type releaseWord struct {
	ID string `arg:"" help:"The release."`
	word
}

type releaseApproveCmd struct{ releaseWord }

// Help implements kong.HelpProvider.
func (c *releaseApproveCmd) Help() string {
	return "Shows what is approved, and binds the approval to exactly that. With --record it is bound to what you saw before, " +
		"for instance in a review yesterday."
}

// Run implements the command.
func (c *releaseApproveCmd) Run(a *app) error { return c.say(a, record.Approve) }

type releaseChangesCmd struct{ releaseWord }

// Run implements the command.
func (c *releaseChangesCmd) Run(a *app) error { return c.say(a, record.RequestChanges) }

func (c *releaseWord) say(a *app, decision string) error {
	seen, err := a.client().CheckRelease(a.ctx, c.ID)
	if err != nil {
		return err
	}
	w, err := c.said(a, decision, seen.Digests.Record, func(p *page) { drawSeen(p, seen) })
	if err != nil {
		return err
	}
	w.Release = c.ID
	got, err := a.client().Approve(a.ctx, w)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		c.draw(p, decision, "it is blocked")
		drawVerdict(p, got)
	})
}

type releaseCommentCmd struct {
	ID   string `arg:"" help:"The release."`
	Text string `arg:"" help:"What you say; it stands in the ledger with your name."`
}

// Run implements the command.
func (c *releaseCommentCmd) Run(a *app) error {
	got, err := a.client().Comment(a.ctx, c.ID, wire.Remark{Text: c.Text})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s said of %s: %s", got.Actor, c.ID, got.Record.Text)
	})
}

// drawSeen shows what an approver's word is bound to.
func drawSeen(p *page, c wire.Case) {
	r := c.Release.Record
	p.styled(strong, "%s of %s@%s for %s in %s, tier %s", c.ID, r.Behaviour.Model, r.Behaviour.Version, r.Context.UseCase, r.Context.Environment, r.Context.Tier)
	p.field("record", "%s", c.Digests.Record)
	for _, part := range record.Parts {
		p.line("  %-11s %s", part, c.Digests.Parts[part])
	}
	drawAuthority(p, r.Authority)
	drawMarks(p, c.Verdict.Marks)
	p.line("")
}

type releasePromoteCmd struct {
	ID string `arg:"" help:"The release."`
}

// Run implements the command.
func (c *releasePromoteCmd) Run(a *app) error {
	got, err := a.client().Promote(a.ctx, c.ID)
	return a.promoted(got, err)
}

// promoted shows a promotion of any kind.
func (a *app) promoted(got wire.Promoted, err error) error {
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		x := got.Promotion.Record
		p.styled(good, "✓ %s runs in %s", x.Release, x.Environment)
		if x.Replaces != "" {
			p.field("replaces", "%s", x.Replaces)
		}
		p.field("artifact", "%s", x.Artifact)
		p.field("how", "%s, by %s at %s", x.How, got.Promotion.Actor, day(got.Promotion.Time))
		p.field("stands until", "%s", day(x.Until))
		drawMarks(p, got.Case.Verdict.Marks)
	})
}

type releaseAllowedCmd struct {
	Model       string `arg:"" help:"The model as it is to run, file or folder, or its digest."`
	Environment string `required:"" placeholder:"NAME" help:"Where it is to run."`
}

// Run implements the command.
func (c *releaseAllowedCmd) Run(a *app) error {
	digest := record.Digest(c.Model)
	if _, err := os.Stat(c.Model); err == nil || digest.Validate() != nil {
		b, err := a.hash(c.Model)
		if err != nil {
			return err
		}
		digest = b.Digest
	}
	got, err := a.client().Decide(a.ctx, c.Environment, digest)
	if err != nil {
		return err
	}
	err = a.show(got, func(p *page) {
		drawMarks(p, got.Marks)
		if got.Allowed {
			p.styled(good, "yes: %s may run in %s, as release %s of %s until %s", digest.Short(), c.Environment, got.Release, got.Line, day(got.Until))
			return
		}
		p.styled(bad, "no: %s may not run in %s", digest.Short(), c.Environment)
		for _, r := range got.Reasons {
			p.line("  %s", r)
		}
	})
	if err != nil || got.Allowed {
		return err
	}
	return no()
}

type releaseRollbackCmd struct {
	ID     string `arg:"" help:"The release that is live."`
	To     string `placeholder:"ID" help:"An earlier release of the line; else the one that it replaced."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *releaseRollbackCmd) Run(a *app) error {
	got, err := a.client().Rollback(a.ctx, c.ID, wire.Return{To: c.To, Reason: c.Reason})
	return a.promoted(got, err)
}

type releaseSuspendCmd struct {
	ID     string `arg:"" help:"The release."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
	Lift   bool   `help:"Let a suspended release go on."`
}

// Run implements the command.
func (c *releaseSuspendCmd) Run(a *app) error {
	got, err := a.client().Suspend(a.ctx, c.ID, wire.Stop{Reason: c.Reason, Lift: c.Lift})
	return a.ended(got, err)
}

type releaseRetireCmd struct {
	ID     string `arg:"" help:"The release."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *releaseRetireCmd) Run(a *app) error {
	got, err := a.client().Retire(a.ctx, c.ID, wire.Stop{Reason: c.Reason})
	return a.ended(got, err)
}

func (a *app) ended(got wire.Case, err error) error {
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { p.line("%s is %s%s", got.ID, got.Status, standing(got)) })
}

type releaseWaiveCmd struct {
	ID     string `arg:"" help:"The release."`
	Gate   string `required:"" placeholder:"NAME" help:"The gate's name, as imprimatur release check shows it."`
	Reason string `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
	For    span   `required:"" placeholder:"SPAN" help:"For how long: 7d or 12h."`
}

// Run implements the command.
func (c *releaseWaiveCmd) Run(a *app) error {
	got, err := a.client().Waive(a.ctx, c.ID, wire.ExceptionRequest{Gate: c.Gate, Reason: c.Reason, Seconds: c.For.seconds()})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		drawExceptions(p, got.Exceptions, a.now())
		drawVerdict(p, got)
	})
}

type releaseBreakGlassCmd struct {
	ID     string   `arg:"" help:"The release."`
	Gate   []string `placeholder:"NAME" help:"A gate to pass over, as imprimatur release check shows it; each that blocks, and no other."`
	Grant  []string `placeholder:"KIND/RESOURCE" help:"A grant of the release that may be used; may be repeated. Without any, all may."`
	Reason string   `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
	For    span     `required:"" placeholder:"SPAN" help:"For how long: 40m or 4h, at most what the policy allows, and 72h."`
}

// Run implements the command.
func (c *releaseBreakGlassCmd) Run(a *app) error {
	got, err := a.client().BreakGlass(a.ctx, c.ID, wire.ExceptionRequest{Gates: c.Gate, Grants: c.Grant, Reason: c.Reason, Seconds: c.For.seconds()})
	if err != nil {
		return err
	}
	if !a.json {
		p := newPage(a.stderr, a.colour(a.stderr))
		p.styled(warn, "! glass is broken: %s runs in spite of its verdict, and a review is due", c.ID)
		if err := p.flush(); err != nil {
			return err
		}
	}
	return a.promoted(got, nil)
}

type releaseReviewCmd struct {
	Exception string `arg:"" help:"Such as x-0123456789ab; imprimatur release show lists them."`
	Outcome   string `required:"" enum:"upheld,reversed" help:"upheld or reversed."`
	Reason    string `required:"" help:"Why; it stands in the ledger."`
}

// Run implements the command.
func (c *releaseReviewCmd) Run(a *app) error {
	got, err := a.client().ReviewException(a.ctx, c.Exception, wire.ReviewRequest{Outcome: c.Outcome, Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		p.line("%s of %s is %s", c.Exception, got.Record.Release, got.Record.Outcome)
	})
}

type releaseDiffCmd struct {
	ID   string `arg:"" help:"The newer release."`
	Than string `arg:"" name:"older" optional:"" help:"What to compare with; else the release that was live before it."`
}

// Run implements the command.
func (c *releaseDiffCmd) Run(a *app) error {
	d, err := a.client().DiffReleases(a.ctx, c.Than, c.ID)
	if err != nil {
		return err
	}
	return a.show(d, func(p *page) {
		p.styled(strong, "%s against %s", d.To, d.From)
		rows := [][]cell{}
		for _, part := range d.Parts {
			if !part.Changed {
				rows = append(rows, texts("  "+string(part.Part), "unchanged"))
			}
			name := "~ " + string(part.Part)
			for _, change := range part.Changes {
				rows = append(rows, []cell{{name, warn}, {text: change}})
				name = ""
			}
		}
		p.table(rows)
		p.line("authority: %s", d.Authority)
		if len(d.Approvals) == 0 {
			return
		}
		p.line("")
		p.line("approvals of %s, and whether they carry over:", d.From)
		rows = nil
		for _, w := range d.Approvals {
			rows = append(rows, []cell{tick(w.Carries), {text: w.By()}, {text: string(w.Role)}, {text: w.Why}})
		}
		p.table(rows)
	})
}
