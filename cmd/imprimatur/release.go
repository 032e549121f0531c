package main

import (
	"fmt"
	"os"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// releaseCmd is the noun release.
type releaseCmd struct {
	Propose releaseProposeCmd `cmd:"" help:"Freeze a model version and all that belongs to it into a release."`
	Show    releaseShowCmd    `cmd:"" help:"Show a release on one page, or write its bundle."`
	Check   releaseCheckCmd   `cmd:"" help:"Judge a release now: yes, or every reason why not and who can help."`
	Diff    releaseDiffCmd    `cmd:"" help:"Say what changed against another release, and whose approval carries over."`
	List    releaseListCmd    `cmd:"" help:"List releases, newest first."`

	Waiting releaseWaitingCmd `cmd:"" help:"List what waits for you: why you, since when, and the command."`

	Approve        releaseApproveCmd `cmd:"" help:"Approve what you saw, in one role, with a reason."`
	RequestChanges releaseChangesCmd `cmd:"" help:"Block it until something changes, in one role, with a reason."`
	Comment        releaseCommentCmd `cmd:"" help:"Say something of it, without deciding."`

	Promote  releasePromoteCmd  `cmd:"" help:"Make it the one that runs in its environment."`
	Allowed  releaseAllowedCmd  `cmd:"" help:"Ask whether a model may run in an environment now."`
	Rollback releaseRollbackCmd `cmd:"" help:"Return to the release that ran before and still stands."`
	Drill    releaseDrillCmd    `cmd:"" help:"Try whether a release that ran could take over now: a dry promotion, with the bytes read again."`
	Suspend  releaseSuspendCmd  `cmd:"" help:"Stop it at once, or lift a suspension."`
	Retire   releaseRetireCmd   `cmd:"" help:"End it for good."`

	Observe releaseObserveCmd `cmd:"" help:"Tell what it sees and says in production."`
	Monitor releaseMonitorCmd `cmd:"" help:"Show what that was compared with, and what it came to."`

	Waive      releaseWaiveCmd      `cmd:"" help:"Set aside one gate for a time. It stays in the record."`
	BreakGlass releaseBreakGlassCmd `cmd:"" help:"Promote in spite of the verdict, for hours. It stays in the record."`
	Review     releaseReviewCmd     `cmd:"" help:"Look back at an exception that somebody else made."`
}

type releaseProposeCmd struct {
	Version     string `arg:"" name:"team/name@version" help:"The model version."`
	UseCase     string `required:"" placeholder:"TEAM/NAME" help:"What it is for."`
	Environment string `required:"" placeholder:"NAME" help:"Where it is to run."`
	Authority   string `placeholder:"FILE" help:"What it may do, as JSON; else nothing. imprimatur authority show FILE reads it out."`
	Incomplete  bool   `help:"Propose in spite of gates that do not pass, to ask for a waiver."`
	Envelope    string `placeholder:"NAME" help:"The envelope by which it asks to be approved; what is outside of it goes to people."`
	Promote     bool   `help:"Promote it at once, where the envelope answers for it."`
}

// Help implements kong.HelpProvider.
func (c *releaseProposeCmd) Help() string {
	return "The release is refused, with every reason and who can help, until only approvals are missing."
}

// Run implements the command.
func (c *releaseProposeCmd) Run(a *app) error {
	in := wire.Proposal{Version: c.Version, UseCase: c.UseCase, Environment: c.Environment, Incomplete: c.Incomplete, Envelope: c.Envelope, Promote: c.Promote}
	if c.Authority != "" {
		var err error
		if in.Authority, err = readJSON[record.Authority](a, c.Authority, "the authority"); err != nil {
			return err
		}
	}
	got, err := a.client().ProposeRelease(a.ctx, in)
	if err != nil {
		return err
	}
	err = a.show(got, func(p *page) {
		drawCase(p, got, a.now())
		if got.NotPromoted != "" {
			p.line("")
			p.styled(bad, "proposed, and not promoted: %s", got.NotPromoted)
		}
	})
	if err == nil && got.NotPromoted != "" {
		return no()
	}
	return err
}

type releaseShowCmd struct {
	ID     string `arg:"" help:"Such as r-0123456789ab."`
	Bundle string `placeholder:"FILE" help:"Write the release with all its statements and proofs, to be verified offline; - is standard output."`
}

// Run implements the command.
func (c *releaseShowCmd) Run(a *app) error {
	if c.Bundle != "" {
		return c.bundle(a)
	}
	got, err := a.client().CheckRelease(a.ctx, c.ID)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawCase(p, got, a.now()) })
}

// bundled is what show --bundle prints.
type bundled struct {
	Release string        `json:"release"`
	File    string        `json:"file"`
	Bytes   int           `json:"bytes"`
	Digest  record.Digest `json:"digest"`
}

func (c *releaseShowCmd) bundle(a *app) error {
	raw, err := a.client().Bundle(a.ctx, c.ID)
	if err != nil {
		return err
	}
	if c.Bundle == "-" {
		_, err := a.stdout.Write(raw)
		return err
	}
	if err := os.WriteFile(c.Bundle, raw, 0o644); err != nil {
		return fmt.Errorf("cannot write the bundle: %w", err)
	}
	out := bundled{Release: c.ID, File: c.Bundle, Bytes: len(raw), Digest: record.DigestOf(raw)}
	return a.show(out, func(p *page) {
		p.line("wrote %s (%s)", out.File, size(int64(out.Bytes)))
		p.styled(quiet, "next: imprimatur verify MODEL --bundle %s --trust FILE", out.File)
	})
}

type releaseCheckCmd struct {
	ID string `arg:"" help:"The release."`
}

// Run implements the command.
func (c *releaseCheckCmd) Run(a *app) error {
	got, err := a.client().CheckRelease(a.ctx, c.ID)
	if err != nil {
		return err
	}
	if err := a.show(got, func(p *page) { drawVerdict(p, got) }); err != nil {
		return err
	}
	if !passes(got) {
		return no()
	}
	return nil
}

// passes reports whether a release may run, or be promoted.
func passes(c wire.Case) bool {
	switch c.Status {
	case record.Live:
		return c.Stands
	case record.Proposed, record.Replaced:
		return c.Verdict.Passed
	}
	return false
}

type releaseListCmd struct {
	pager
	Model string `placeholder:"TEAM/NAME" help:"Only this model's."`
}

// Run implements the command.
func (c *releaseListCmd) Run(a *app) error {
	got, err := a.client().Releases(a.ctx, c.Model, c.Before, c.Limit)
	if err != nil {
		return err
	}
	live, err := a.liveReleases()
	if err != nil {
		return err
	}
	out := releases{Releases: []releaseRow{}, Next: got.Next}
	for _, e := range got.Entries {
		r, err := recordedOf[record.Release](e)
		if err != nil {
			return err
		}
		id := record.ReleaseID(r.Digest)
		out.Releases = append(out.Releases, releaseRow{ID: id, Line: r.Record.Line(), Live: live[id], Release: r})
	}
	return a.show(out, func(p *page) { drawReleases(p, out) })
}

// releases is what list prints.
type releases struct {
	Releases []releaseRow `json:"releases"`
	Next     int64        `json:"next,omitzero"`
}

type releaseRow struct {
	ID      string                          `json:"id"`
	Line    string                          `json:"line"`
	Live    bool                            `json:"live"`
	Release record.Recorded[record.Release] `json:"release"`
}

func drawReleases(p *page, out releases) {
	if len(out.Releases) == 0 {
		p.line("none; propose one with imprimatur release propose")
		return
	}
	rows := [][]cell{heading("RELEASE", "", "MODEL", "USE CASE", "ENVIRONMENT", "TIER", "BY", "PROPOSED")}
	for _, r := range out.Releases {
		b, x := r.Release.Record.Behaviour, r.Release.Record.Context
		state := cell{}
		if r.Live {
			state = cell{"live", good}
		}
		rows = append(rows, append([]cell{{text: r.ID}, state},
			texts(b.Model+"@"+b.Version, x.UseCase, x.Environment, x.Tier, r.Release.Actor, day(r.Release.Time))...))
	}
	p.table(rows)
	if out.Next > 0 {
		p.styled(quiet, "there are more: --before %d", out.Next)
	}
}
