package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type datasetWithdrawCmd struct {
	Dataset string   `arg:"" optional:"" help:"team/name@version, or the digest."`
	Source  string   `placeholder:"URI*" help:"Withdraw a source instead."`
	Purpose []string `help:"Only these purposes; else all."`
	Reason  string   `required:"" placeholder:"TEXT" help:"Why; it stands in the ledger."`
	Yes     bool     `help:"Do not ask; needed where there is no terminal."`
	DryRun  bool     `help:"Show what it would hit, and change nothing."`
}

// Help implements kong.HelpProvider.
func (c *datasetWithdrawCmd) Help() string {
	return `Shows the live releases that it hits, asks, and then withdraws. If another release is hit by then, it is
refused, and the list is shown again. Each hit release gets a signal, and what its policy says happens to it.

  imprimatur dataset withdraw clinic/scans@2026-05 --reason 'consent was withdrawn'
  imprimatur dataset withdraw --source 's3://lake/scans/*' --reason 'licence ended' --dry-run`
}

// withdrawn is what withdraw prints; Withdrawal is missing where nothing was done.
type withdrawn struct {
	Withdrawal *record.Recorded[record.DataApproval] `json:"withdrawal,omitzero"`
	Hits       wire.Hits                             `json:"hits"`
}

// Run implements the command.
func (c *datasetWithdrawCmd) Run(a *app) error {
	word := record.DataApproval{Source: c.Source, Decision: record.Withdraw, Purposes: c.Purpose, Reason: c.Reason}
	if c.Dataset != "" {
		var err error
		if word.Dataset, err = a.dataset(c.Dataset); err != nil {
			return err
		}
	}
	hits, err := a.client().PreviewWithdrawal(a.ctx, word)
	if err != nil {
		return err
	}
	out := withdrawn{Hits: hits}
	if c.DryRun {
		return a.show(out, func(p *page) { drawHits(p, hits) })
	}
	if !c.Yes {
		if err := c.ask(a, hits); err != nil {
			return err
		}
	}
	got, err := a.client().Withdraw(a.ctx, wire.Withdrawal{Approval: word, Seen: hits.Digest})
	if err != nil {
		return err
	}
	out.Withdrawal = &got
	return a.show(out, func(p *page) {
		p.line("%s is withdrawn for %s", orElse(c.Dataset, c.Source), join(c.Purpose, "all purposes"))
		drawHits(p, hits)
	})
}

// ask shows the hits on the terminal and waits for a yes.
func (c *datasetWithdrawCmd) ask(a *app, hits wire.Hits) error {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return wrongf("the withdrawal hits %s that is live, and there is no terminal to ask on; look with --dry-run, then give --yes", count(len(hits.Releases)+hits.Others, "release"))
	}
	p := newPage(a.stderr, a.colour(a.stderr))
	drawHits(p, hits)
	if err := p.flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "Withdraw %s? [y/N] ", orElse(c.Dataset, c.Source))
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading your answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return wrongf("nothing was withdrawn")
	}
	return nil
}

// drawHits lists the live releases that a withdrawal hits, then all it touches.
func drawHits(p *page, hits wire.Hits) {
	for _, h := range hits.Releases {
		does := "is told"
		switch {
		case h.Does == record.Suspend:
			does = "is suspended"
		case h.Does == record.RollBack:
			does = "is rolled back, or suspended where nothing can take over"
		case h.Stops:
			does = "stops unless other data approvals stand"
		case h.Does == record.Reapprove:
			does = "is to be approved again"
		}
		p.styled(bad, "hits %s of %s, live in %s since %s: it %s", h.Release, h.Model, h.Environment, day(h.Since), does)
	}
	if hits.Others > 0 {
		p.line("hits %s of teams that you may not read", count(hits.Others, "live release"))
	}
	if len(hits.Releases)+hits.Others == 0 {
		p.line("hits nothing that is live")
	}
	drawImpact(p, hits.Impact)
}
