package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

type auditDecisionsCmd struct {
	Since    moment `default:"1d" placeholder:"TIME" help:"From then on: 2026-05-01, or a span such as 12h (default 1d)."`
	Team     string `placeholder:"TEAM" help:"Of this team's releases alone."`
	Release  string `placeholder:"ID" help:"Of this release alone."`
	Workload string `placeholder:"NAME" help:"Of this workload alone."`
	All      bool   `help:"Each answer that has a line in the decision log, the allowed ones too, and not only the refusals that the ledger spells out."`
}

// Help implements kong.HelpProvider.
func (c *auditDecisionsCmd) Help() string {
	return "The server writes the decision log within ten seconds where something was refused, and once a minute otherwise. Each file's digest stands in the ledger; a file that does not match is refused here."
}

// Run implements the command.
func (c *auditDecisionsCmd) Run(a *app) error {
	since := c.Since.before(a.now())
	logs, err := c.logs(a, since)
	if err != nil {
		return err
	}
	var lines []wire.Decided
	for _, l := range logs {
		if !c.All {
			lines = append(lines, denialsOf(l.Record)...)
			continue
		}
		more, err := decisionLog(a, l.Record.Log)
		if err != nil {
			return err
		}
		lines = append(lines, more...)
	}
	found := []wire.Decided{}
	for _, d := range lines {
		if !d.At.Before(since) && (c.Release == "" || d.Release == c.Release) && (c.Workload == "" || d.Workload == c.Workload) {
			found = append(found, d)
		}
	}
	return a.show(found, func(p *page) { drawDecided(p, found, logs) })
}

// logs are the statements on decision logs since a time, oldest first.
func (c *auditDecisionsCmd) logs(a *app, since time.Time) (logs []record.Recorded[record.Decisions], err error) {
	_, err = each(a, record.KindDecisions, 0, func(r record.Recorded[record.Decisions]) bool {
		if !r.Record.To.Before(since) && (c.Team == "" || r.Record.Team == c.Team) {
			logs = append([]record.Recorded[record.Decisions]{r}, logs...)
		}
		return !r.Time.Before(since)
	})
	return logs, err
}

// denialsOf are the refusals that a statement spells out, and a line for the rest.
func denialsOf(d record.Decisions) (out []wire.Decided) {
	for _, x := range d.Denials {
		out = append(out, wire.Decided{
			At: x.First, Last: x.Last, Team: d.Team, Workload: x.Workload, Release: x.Release, Kind: x.Type,
			Resource: x.Resource, Action: x.Action, Reason: x.Reason, Count: x.Count,
		})
	}
	if d.Others > 0 {
		out = append(out, wire.Decided{At: d.From, Last: d.To, Team: d.Team, Count: d.Others, Cut: true, Reason: "many others; --all shows those that have a line"})
	}
	return out
}

// decisionLog fetches a decision log and reads it, once its digest is found right.
func decisionLog(a *app, digest record.Digest) (lines []wire.Decided, err error) {
	raw, err := a.client().DecisionLog(a.ctx, digest)
	if err != nil {
		return nil, err
	}
	if got := record.DigestOf(raw); got != digest {
		return nil, fmt.Errorf("the server's decision log %s is not what the ledger says: it has the digest %s", digest.Short(), got.Short())
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading the decision log %s: %w", digest.Short(), err)
	}
	for d := jsontext.NewDecoder(z); ; {
		var line wire.Decided
		if err := json.UnmarshalDecode(d, &line); errors.Is(err, io.EOF) {
			return lines, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the decision log %s: %w", digest.Short(), err)
		}
		lines = append(lines, line)
	}
}

func drawDecided(p *page, found []wire.Decided, logs []record.Recorded[record.Decisions]) {
	var allowed, denied int64
	for _, l := range logs {
		allowed, denied = allowed+l.Record.Allowed, denied+l.Record.Denied
	}
	p.line("%s allowed and %d refused, in %s", count(int(allowed), "call"), denied, count(len(logs), "log"))
	if len(found) == 0 {
		return
	}
	rows := [][]cell{heading("TIME", "TIMES", "WORKLOAD", "RELEASE", "CALL", "")}
	for _, d := range found {
		answer := d.Reason
		if d.Allowed {
			answer = "allowed"
		}
		rows = append(rows, texts(day(d.At), fmt.Sprint(d.Count), d.Workload, d.Release, d.Kind+" "+d.Resource+" "+d.Action, answer))
	}
	p.table(rows)
}
