package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// releaseObserveCmd is "imprimatur release observe".
type releaseObserveCmd struct {
	Files   []string `arg:"" name:"file" help:"NDJSON, Arrow or Parquet, perhaps packed by gzip."`
	From    moment   `required:"" placeholder:"TIME" help:"When the observations begin, such as 2026-05-01T12:00:00Z."`
	To      moment   `required:"" placeholder:"TIME" help:"When they end; this moment is not among them."`
	Time    string   `placeholder:"COLUMN" help:"The column with the time of each row; without it the span lies in one window."`
	Batch   string   `placeholder:"ID" help:"The batch's own ID; else the digest of the file."`
	Release string   `placeholder:"ID" help:"Which of the workload's releases it is, where it has several, or the one before, of which this was on the way."`
}

// Help implements kong.HelpProvider.
func (c *releaseObserveCmd) Help() string {
	return `Tells what a release sees and says in production, so that it is compared with the baseline of its evidence. It is told by the workload
that runs the release, with its own token: of others' releases nobody speaks.

  imprimatur release observe hour-12.parquet --from 2026-05-01T12:00:00Z --to 2026-05-01T13:00:00Z

The columns are those of the baseline, by name. A column "correct" says which predictions were right; where labels come later, send it by
itself, with the time of the prediction. Values are counted and not kept, unless the policy keeps them. A file that is sent again counts once.`
}

// Run implements the command.
func (c *releaseObserveCmd) Run(a *app) error {
	if c.Batch != "" && len(c.Files) > 1 {
		return wrongf("--batch names one batch, and there are %d files; leave it out, and each has its digest", len(c.Files))
	}
	all := []wire.Observed{}
	for _, path := range c.Files {
		got, err := c.send(a, path)
		if err != nil {
			return err
		}
		all = append(all, got)
	}
	return a.show(all, func(p *page) {
		for _, o := range all {
			p.line("%s: %s as the batch %s%s", o.Release, countOf(o.Rows, "row"), o.Batch, map[bool]string{true: ", which was counted before"}[o.Again])
			for _, w := range o.Windows {
				p.line("  %s from %s: %s%s", w.Of, w.From.Format(time.RFC3339), countOf(w.Rows, "row"), map[bool]string{true: ", too late: the window had closed"}[w.Late])
			}
			if len(o.Unknown) > 0 {
				p.styled(quiet, "not in the baseline: %v", o.Unknown)
			}
		}
	})
}

func (c *releaseObserveCmd) send(a *app, path string) (wire.Observed, error) {
	f, err := os.Open(path)
	if err != nil {
		return wire.Observed{}, wrongf("the observations cannot be read: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return wire.Observed{}, err
	}
	in := wire.ObservationBatch{ID: c.Batch, Release: c.Release, From: c.From.before(a.now()), To: c.To.before(a.now()), Time: c.Time}
	if in.ID == "" {
		b, err := a.hash(path)
		if err != nil {
			return wire.Observed{}, err
		}
		in.ID = string(b.Digest)
	}
	report, end := a.progress("sending " + filepath.Base(path))
	defer end()
	return a.client().Observe(a.ctx, in, f, info.Size(), report)
}

// releaseMonitorCmd is "imprimatur release monitor".
type releaseMonitorCmd struct {
	ID string `arg:"" help:"The release."`
}

// Help implements kong.HelpProvider.
func (c *releaseMonitorCmd) Help() string {
	return `Shows what a release is compared with, and what its windows came to. Exit 1 says that an alarm is raised, or that observations have
stopped: that as many whole windows as the policy allows (monitor: silence) have brought nothing.`
}

// Run implements the command.
func (c *releaseMonitorCmd) Run(a *app) error {
	got, err := a.client().Monitor(a.ctx, c.ID)
	if err != nil {
		return err
	}
	alarm := map[record.Category]bool{}
	for _, w := range got.Windows {
		alarm[w.Record.Of] = w.Record.Alarm
	}
	if err := a.show(got, func(p *page) { drawMonitor(p, got) }); err != nil {
		return err
	}
	if alarm[record.Drift] || alarm[record.Accuracy] || got.Stopped() {
		return no()
	}
	return nil
}

func drawMonitor(p *page, m wire.Monitored) {
	p.line("%s is compared with the baseline %s in windows of %s, which wait %s for what comes late", m.Release, m.Baseline.Short(),
		time.Duration(m.Window)*time.Second, time.Duration(m.Lateness)*time.Second)
	if m.Reference != nil {
		p.line("its outcomes are compared with %s = %.4g of %d", m.Metric, m.Reference.Share(), m.Reference.N)
	}
	if m.Silent > 0 {
		p.styled(map[bool]style{true: bad, false: quiet}[m.Stopped()], "%s", m.Quiet())
	}
	if len(m.Windows)+len(m.Open) == 0 {
		p.styled(quiet, "nothing was observed yet; its workload tells what it sees: imprimatur release observe FILE")
		return
	}
	p.line("")
	rows := [][]cell{heading("window", "of", "rows", "came to", "alarm", "worst")}
	for _, w := range m.Windows {
		worst := ""
		if len(w.Record.Worst) > 0 {
			x := w.Record.Worst[0]
			worst = fmt.Sprintf("%s %s %.3g (a breach is above %.3g)", x.Feature, x.Measure, x.Value, x.Threshold())
		}
		rows = append(rows, texts(day(w.Record.From), string(w.Record.Of), countOf(w.Record.Rows, "row"), w.Record.Outcome, map[bool]string{true: "alarm"}[w.Record.Alarm], worst))
	}
	for _, w := range m.Open {
		rows = append(rows, texts(day(w.From), string(w.Of), countOf(w.Rows, "row"), "open", "", ""))
	}
	p.table(rows)
}

func countOf(n int64, what string) string { return count(int(n), what) }
