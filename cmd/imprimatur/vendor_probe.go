package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"imprimatur.dev/gateway/prober"
	"imprimatur.dev/probe"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type vendorProbeCmd struct {
	vendorRef
	Service    string `required:"" placeholder:"ID" help:"The ID by which the vendor knows the model."`
	APIVersion string `name:"api-version" placeholder:"TEXT" help:"The version of the vendor's interface."`
	Suite      string `required:"" placeholder:"FILE" help:"The suite of probes, YAML or JSON."`
	Gateway    string `required:"" placeholder:"URL" help:"The vendor's place at imprimatur gateway egress, such as http://127.0.0.1:8423/parrot."`
	Baseline   bool   `help:"Ask as often as a run is asked that later ones are compared with."`
	AtOnce     int    `default:"2" placeholder:"N" help:"How many prompts are asked at once (default 2)."`
	Every      span   `placeholder:"SPAN" help:"Probe again and again, such as every 6h, until the program is ended."`
}

// Help implements kong.HelpProvider.
func (c *vendorProbeCmd) Help() string {
	return `The prober is the workload that IMPRIMATUR_TOKEN stands for: its own standing release must grant the action chat of VENDOR/ID, and it must hold a
role that records probes. Its calls pass the gateway, where they are decided about and logged like any other.

  imprimatur vendor probe lab/parrot --service chat-2 --suite basics.yaml --gateway http://127.0.0.1:8423/parrot --baseline

The server scores the answers and compares them. The answer is no (exit 1) when the model changed or could not be probed; with --every that is
printed, and a signal of each live release that rests on the model.`
}

// Run implements the command.
func (c *vendorProbeCmd) Run(a *app) error {
	text, err := a.readFile(c.Suite, "the suite of probes")
	if err != nil {
		return err
	}
	s, err := probe.ParseSuite(text)
	if err != nil {
		return wrongf("%s: %w", c.Suite, err)
	}
	if c.AtOnce < 1 || c.AtOnce > 64 {
		return wrongf("--at-once %d is outside 1 to 64", c.AtOnce)
	}
	if c.Every == 0 {
		return c.once(a, s, text)
	}
	for {
		var refused *failure
		if err := c.once(a, s, text); err != nil && !(errors.As(err, &refused) && refused.code == exitNo) {
			if a.ctx.Err() != nil {
				return nil
			}
			fmt.Fprintf(a.stderr, "imprimatur: %s; probing again in %s\n", plain(err.Error()), time.Duration(c.Every))
		}
		timer := time.NewTimer(time.Duration(c.Every))
		select {
		case <-a.ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// once asks, sends what was answered, and has it judged.
func (c *vendorProbeCmd) once(a *app, s *probe.Suite, text []byte) error {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	o := prober.Options{
		URL: c.Gateway, Token: a.env("IMPRIMATUR_TOKEN"), Vendor: c.Ref, Model: c.Service, APIVersion: c.APIVersion,
		Repeats: s.Repeats, AtOnce: c.AtOnce, Client: client, Now: a.now,
	}
	if c.Baseline {
		o.Repeats = s.Baseline
	}
	report, end := a.progress("probing")
	o.Report = report
	run, err := prober.Ask(a.ctx, s, o)
	end()
	if err != nil {
		return err
	}
	raw, err := run.Marshal()
	if err != nil {
		return err
	}
	in := wire.ProbeSubmission{Vendor: c.Ref, Suite: s.Digest, Answers: record.DigestOf(raw)}
	for digest, content := range map[record.Digest][]byte{in.Suite: text, in.Answers: raw} {
		if err := a.client().KeepEvidence(a.ctx, digest, bytes.NewReader(content), int64(len(content)), nil); err != nil {
			return fmt.Errorf("sending what was asked and answered: %w", err)
		}
	}
	got, err := a.client().RecordProbe(a.ctx, in)
	if err != nil {
		return err
	}
	id := record.ProbeID(got.Digest)
	if err := a.show(got, func(p *page) { drawProbe(p, id, got) }); err != nil {
		return err
	}
	if r := got.Record.Result; r == record.ProbeChanged || r == record.ProbeIncomplete {
		return no()
	}
	return nil
}

func drawProbe(p *page, id string, got record.Recorded[record.Probe]) {
	x := got.Record
	p.styled(map[string]style{record.ProbeChanged: bad, record.ProbeIncomplete: warn}[x.Result], "%s: %s of %s is %s", id, x.Model, x.VendorRef(), x.Result)
	p.line("%s", x.Detail)
	switch {
	case x.Report != "":
		p.styled(quiet, "see the answers before and after: imprimatur vendor diff %s", id)
	case x.Result == record.ProbeBaseline:
		p.styled(quiet, "next: take it as a version with imprimatur vendor accept TEAM/NAME@VERSION --probe %s", id)
	}
}

type vendorDiffCmd struct {
	Probe string `arg:"" help:"The ID of a probe that changed."`
}

// Run implements the command.
func (c *vendorDiffCmd) Run(a *app) error {
	got, err := a.client().Probe(a.ctx, c.Probe)
	if err != nil {
		return err
	}
	if got.Record.Report == "" {
		return a.show(got, func(p *page) { drawProbe(p, c.Probe, got) })
	}
	raw, err := a.client().Evidence(a.ctx, got.Record.Report)
	if err != nil {
		return err
	}
	report, err := probe.ParseReport(raw)
	if err != nil {
		return err
	}
	return a.show(report, func(p *page) {
		p.line("%s of %s: %s", report.Model, report.Vendor, report.Finding.Detail)
		p.table([][]cell{
			heading("", "BEFORE", "NOW"),
			texts("name", strings.Join(report.NamesBefore, ", "), strings.Join(report.NamesNow, ", ")),
			texts("fingerprint", strings.Join(report.SystemsBefore, ", "), strings.Join(report.SystemsNow, ", ")),
		})
		for _, s := range report.Prompts {
			p.line("")
			p.styled(strong, "%s: passed %d of %d, and passes %d of %d (p = %.2g)", s.ID, s.PassedBefore, s.Before, s.PassedNow, s.Now, s.P)
			p.line("%s", brief(s.Prompt))
			rows := [][]cell{heading("TIMES", "BEFORE", "TIMES", "NOW")}
			for i := range max(len(s.Was), len(s.Is)) {
				rows = append(rows, append(givenCells(s.Was, i), givenCells(s.Is, i)...))
			}
			p.table(rows)
		}
	})
}

func givenCells(all []probe.Given, i int) []cell {
	if i >= len(all) {
		return texts("", "")
	}
	g := all[i]
	return []cell{{text: fmt.Sprint(g.Times)}, {brief(g.Text), map[bool]style{false: bad}[g.Passes]}}
}

// brief is a text on one line, cut to what a column shows.
func brief(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return string(runes)
}
