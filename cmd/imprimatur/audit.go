package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// auditCmd is the noun audit.
type auditCmd struct {
	Who    auditWhoCmd    `cmd:"" help:"Who did what: in a release's line, or one principal everywhere."`
	Live   auditLiveCmd   `cmd:"" help:"What was live at a time, by whose approval and on what evidence."`
	Impact auditImpactCmd `cmd:"" help:"What was made from a dataset or model, or may use a secret."`
	Export auditExportCmd `cmd:"" help:"Write every statement that you may read, one JSON object a line."`

	Decisions auditDecisionsCmd `cmd:"" help:"What workloads asked to do, and what was refused."`
}

type auditWhoCmd struct {
	Release   string `placeholder:"ID" help:"Everything stated in this release's line."`
	Principal string `placeholder:"NAME" help:"Everything that a principal stated, newest first."`
	Limit     int    `default:"50" help:"At most so many, for --principal (default 50)."`
}

// Run implements the command.
func (c *auditWhoCmd) Run(a *app) error {
	if (c.Release == "") == (c.Principal == "") {
		return wrongf("give either --release or --principal")
	}
	var found []wire.Entry
	var err error
	if c.Release != "" {
		found, err = a.client().History(a.ctx, c.Release)
	} else {
		var got wire.Page
		got, err = a.client().By(a.ctx, c.Principal, 0, c.Limit)
		found = got.Entries
	}
	if err != nil {
		return err
	}
	return a.show(found, func(p *page) {
		if len(found) == 0 {
			p.line("nothing")
			return
		}
		rows := [][]cell{heading("ENTRY", "TIME", "WHO", "WHAT", "ABOUT", "")}
		for _, e := range found {
			rows = append(rows, texts(fmt.Sprint(e.Index), day(e.Time), e.Actor, e.Word, e.Subject, said(e)))
		}
		p.table(rows)
	})
}

// said puts what a statement decided into a few words.
func said(e wire.Entry) string {
	body, err := record.Replay(e.Kind, e.Record)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	return record.Said(body, e.Digest)
}

type auditLiveCmd struct {
	At moment `placeholder:"TIME" help:"The time asked about: 2026-05-01, 2026-05-01T12:00:00Z, or a span ago such as 2d. Now, where none is given."`
}

// Run implements the command.
func (c *auditLiveCmd) Run(a *app) error {
	got, err := a.client().Live(a.ctx, c.At.before(a.now()))
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) {
		if len(got) == 0 {
			p.line("nothing was live")
		}
		for i, l := range got {
			if i > 0 {
				p.line("")
			}
			drawLive(p, l)
		}
	})
}

func drawLive(p *page, l wire.LiveRelease) {
	p.styled(strong, "%s  %s of %s", l.Line, l.Release, l.Model)
	drawMarks(p, l.Marks)
	p.field("artifact", "%s", l.Artifact)
	p.field("since", "%s, %s by %s", day(l.Since), l.How, l.PromotedBy)
	for _, x := range l.Approvals {
		p.field("approved", "by %s as %s at %s: %s", x.Actor+x.Record.Behalf(), x.Record.Role, day(x.Time), x.Record.Reason)
	}
	for _, e := range l.Evaluations {
		p.field("evidence", "%s %s/%s by %s, %s", record.EvaluationID(e.Digest), e.Record.Category, e.Record.Suite, e.Actor, e.Record.Evidence[0].Digest.Short())
	}
	p.field("verdict", "%s", l.Verdict)
}

// liveReleases returns the IDs of what is live now.
func (a *app) liveReleases() (map[string]bool, error) {
	got, err := a.client().Live(a.ctx, moment{}.at)
	live := map[string]bool{}
	for _, l := range got {
		live[l.Release] = true
	}
	return live, err
}

type auditImpactCmd struct {
	Thing string `arg:"" help:"team/name@version or a digest, run:TEAM/ID, commit:HASH, principal:NAME, vendor:NAME, the URI of data, or secret:NAME."`
	Limit int    `default:"200" help:"The most things on one page (default 200, at most 200)."`
	After string `placeholder:"CURSOR" help:"The next page, as the page before says."`
}

// Help implements kong.HelpProvider.
func (c *auditImpactCmd) Help() string {
	return `The releases that are live come first, with the environment and since when, then the other releases,
then models, then the rest. A person or workload touches what they stated, ran, wrote the code of, approved or promoted.

  imprimatur audit impact clinic/cases@2026-05
  imprimatur audit impact commit:4f0c9a3d2b7e5c1180d6aa77e2f31b90c4d5e6f7
  imprimatur audit impact principal:pipeline`
}

// Run implements the command.
func (c *auditImpactCmd) Run(a *app) error {
	got, err := a.client().Impact(a.ctx, c.Thing, c.After, c.Limit)
	if err != nil {
		return err
	}
	return a.show(got, func(p *page) { drawImpact(p, got) })
}

// drawImpact lists what a thing touches.
func drawImpact(p *page, got wire.Impact) {
	if len(got.Reached) == 0 && got.Others == 0 {
		p.line("nothing here was made from it, rests on it or was done by it")
		return
	}
	rows := [][]cell{heading("", "WHAT", "NAME", "THROUGH", "ENTRY")}
	for _, r := range got.Reached {
		state := cell{}
		if r.Live != nil {
			state = cell{fmt.Sprintf("live in %s since %s", r.Live.Environment, day(r.Live.Since)), bad}
		}
		rows = append(rows, append([]cell{state}, texts(r.Word, r.Name, r.Via.Role+" "+shorter(r.Via.From), fmt.Sprint(r.Via.Entry))...))
	}
	p.table(rows)
	total, words := 0, []string{}
	for _, word := range slices.Sorted(maps.Keys(got.Counts)) {
		total += got.Counts[word]
		words = append(words, count(got.Counts[word], word))
	}
	p.line("%s touched, %s live: %s", count(total, "thing"), count(got.Live, "release"), join(words, "none"))
	if got.Others > 0 {
		p.line("and %s of teams that you may not read, of which %s live", count(got.Others, "thing"), count(got.OthersLive, "release"))
	}
	if got.Next != "" {
		p.line("there is more: --after %s", got.Next)
	}
}

// shorter writes the digest in a node's name in short.
func shorter(id string) string {
	kind, key, _ := strings.Cut(id, ":")
	if d := record.Digest(key); d.Validate() == nil {
		return kind + ":" + d.Short()
	}
	return id
}

type auditExportCmd struct {
	Output string `placeholder:"FILE" help:"Where to; else standard output."`
}

// Run implements the command.
func (c *auditExportCmd) Run(a *app) error {
	var all []wire.Entry
	for _, kind := range record.Kinds() {
		for before := int64(0); ; {
			got, err := a.client().List(a.ctx, kind, before, wire.MaxPage)
			if err != nil {
				return err
			}
			all = append(all, got.Entries...)
			if before = got.Next; before == 0 {
				break
			}
		}
	}
	slices.SortFunc(all, func(x, y wire.Entry) int { return cmp.Compare(x.Index, y.Index) })
	w, done, err := a.output(c.Output)
	if err != nil {
		return err
	}
	for _, e := range all {
		raw, err := json.Marshal(e, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("writing entry %d: %w", e.Index, err)
		}
		if _, err := w.Write(append(raw, '\n')); err != nil {
			return err
		}
	}
	if err := done(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stderr, "%s\n", entries(int64(len(all))))
	return err
}
