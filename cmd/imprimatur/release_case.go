package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// drawCase shows a release on one page: what it is, what it may do, the
// verdict, and what was made an exception of.
func drawCase(p *page, c wire.Case, now time.Time) {
	r := c.Release.Record
	p.styled(strong, "%s of %s@%s for %s in %s", c.ID, r.Behaviour.Model, r.Behaviour.Version, r.Context.UseCase, r.Context.Environment)
	p.field("state", "%s%s", c.Status, standing(c))
	if m := c.Last; m != nil {
		p.field("since", "%s, %s by %s%s", day(m.At), m.How, m.By, cited(m.Reason))
	}
	p.field("tier", "%s; owner %s; policy %s (%s)", r.Context.Tier, r.Context.Owner, r.Context.Policy.Name, r.Context.Policy.Digest.Short())
	p.field("proposed", "by %s at %s", c.Release.Actor, day(c.Release.Time))
	p.field("artifact", "%s (%s)", r.Behaviour.Artifact, r.Behaviour.Type)
	p.field("made from", "%s, %s, %s", count(len(r.Data.Datasets), "dataset"), count(len(r.Data.Runs), "run"), count(len(r.Data.Bases), "base model"))
	p.field("record", "%s", c.Digests.Record)
	for _, part := range record.Parts {
		p.styled(quiet, "  %-11s %s", part, c.Digests.Parts[part])
	}
	p.line("")
	drawAuthority(p, r.Authority)
	drawExceptions(p, c.Exceptions, now)
	p.line("")
	drawVerdict(p, c)
}

// cited is a reason at the end of a sentence, where there is one.
func cited(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// standing says for a live release whether it stands.
func standing(c wire.Case) string {
	switch {
	case c.Status != record.Live && c.Live != "":
		return "; live in its place: " + c.Live
	case c.Status != record.Live:
		return ""
	case c.Stands:
		return ", and stands"
	}
	return ", but does not stand: " + strings.Join(c.Reasons, "; ")
}

// drawAuthority reads out what a release may do.
func drawAuthority(p *page, a record.Authority) {
	rows := [][]cell{}
	for _, s := range authority.Sentences(a) {
		row := []cell{{text: "·"}, {text: s.Text}, {text: s.Why}}
		if s.May {
			row[0] = cell{"✓", good}
		}
		rows = append(rows, row)
	}
	p.table(rows)
}

func drawExceptions(p *page, exceptions []record.Recorded[record.Exception], now time.Time) {
	for _, x := range exceptions {
		what := "glass broken " + x.Record.Scope()
		if x.Record.Type == record.Waiver {
			what = "gate " + x.Record.Gate + " waived"
		}
		state := "until " + day(x.Record.Expires)
		if !record.Stands(x.Time, x.Record.Expires, now) {
			state = "lapsed " + day(x.Record.Expires)
		}
		p.styled(warn, "! %s for %s by %s, %s: %s (%s, review by %s)", what, x.Record.Release, x.Actor, state,
			x.Record.Reason, record.ExceptionID(x.Digest), day(x.Record.ReviewBy))
	}
}

// drawVerdict shows every gate, and then who can supply what is missing.
func drawVerdict(p *page, c wire.Case) {
	v := c.Verdict
	drawMarks(p, v.Marks)
	drawGates(p, v.Gates)
	p.line("")
	blocking := v.Blocking()
	switch {
	case len(blocking) == 0 && passes(c):
		until := ""
		if !v.Until.IsZero() {
			until = ", until " + day(v.Until) + " unless something is renewed"
		}
		p.styled(good, "yes: policy %s (%s), tier %s lets %s through%s", v.Policy.Name, v.Policy.Digest.Short(), v.Tier, c.ID, until)
		return
	case len(blocking) == 0:
		p.styled(bad, "no: every gate passes, but the release is %s%s", c.Status, reasons(c.Reasons))
		return
	case c.Status == record.Live && c.Stands:
		p.styled(warn, "it runs all the same%s, but %s", reasons(c.Reasons), blocked(v, len(blocking)))
	default:
		p.styled(bad, "no: %s", blocked(v, len(blocking)))
	}
	rows := [][]cell{heading("  GATE", "WHO CAN HELP", "HOW")}
	for _, g := range blocking {
		rows = append(rows, texts("  "+g.Name, supply(g, c.Approvers), g.Do))
	}
	p.table(rows)
}

func reasons(rs []string) string {
	if len(rs) == 0 {
		return ""
	}
	return ": " + strings.Join(rs, "; ")
}

func blocked(v record.Verdict, n int) string {
	verb := "do"
	if n == 1 {
		verb = "does"
	}
	return fmt.Sprintf("%s of policy %s (%s), tier %s, %s not let it through:", count(n, "gate"), v.Policy.Name, v.Policy.Digest.Short(), v.Tier, verb)
}

// supply names the people who can supply what a gate waits for.
func supply(g record.Gate, people map[record.RoleName][]string) string {
	var out []string
	for _, role := range g.Who {
		names := join(people[role], "nobody yet: imprimatur principal bind NAME --role "+string(role)+" --team TEAM")
		out = append(out, fmt.Sprintf("%s (%s)", role, names))
	}
	return strings.Join(out, " or ")
}

// gateColumns are the columns of the table of gates; those that are empty for
// every gate are left out.
var gateColumns = []string{"", "GATE", "RESULT", "VALUE", "INTERVAL", "LIMIT", "COMPARED", "ITEMS", "TRY", "ASSURANCE", "REASON"}

func drawGates(p *page, gates []record.Gate) {
	rows := [][]cell{heading(gateColumns...)}
	used := map[int]bool{}
	for _, g := range gates {
		row := gateRow(g)
		for i, c := range row {
			used[i] = used[i] || c.text != ""
		}
		rows = append(rows, row)
	}
	for i, row := range rows {
		rows[i] = nil
		for _, col := range slices.Sorted(maps.Keys(used)) {
			if used[col] {
				rows[i] = append(rows[i], row[col])
			}
		}
	}
	p.table(rows)
}

func gateRow(g record.Gate) []cell {
	result := cell{string(g.Result), bad}
	mark := tick(g.Lets())
	switch {
	case g.Result == record.Pass:
		result.style = good
	case g.Lets():
		mark, result.style = cell{"!", warn}, warn
	}
	if g.Mode == record.Advise && g.Result != record.Pass {
		result.text += " (advice)"
	}
	row := []cell{mark, {text: g.Name}, result}
	if g.Numbers != nil {
		row = append(row, texts(numbersRow(g.Numbers)...)...)
	} else {
		row = append(row, make([]cell, len(gateColumns)-len(row)-1)...)
	}
	return append(row, cell{text: g.Reason})
}

// numbersRow writes the numbers of a gate: value, interval, limit, what it was
// compared with, items, try and assurance.
func numbersRow(n *record.Numbers) []string {
	interval, compared, items, try := "", "", count(n.N, "item"), ""
	if n.Lower != nil && n.Upper != nil {
		interval = fmt.Sprintf("%s to %s", number(*n.Lower), number(*n.Upper))
		if n.Level != 0 && n.Level != 0.95 {
			interval += fmt.Sprintf(" at %s %%", number(100*n.Level))
		}
	}
	if n.Production != nil {
		compared = number(*n.Production)
		if n.Pairs != nil {
			compared += fmt.Sprintf(", paired: %d lost, %d gained", n.Pairs.Lost, n.Pairs.Gained)
		}
	}
	if n.Clusters > 0 {
		items += " in " + count(n.Clusters, "group")
	}
	if n.Attempt > 0 {
		try = strconv.Itoa(n.Attempt)
		if n.Tries > 0 {
			try += " of " + strconv.Itoa(n.Tries)
		}
	}
	limit := strings.TrimSpace(strings.Join([]string{statisticWords[n.Statistic], n.Operator, number(n.Threshold)}, " "))
	return []string{number(n.Value), interval, limit, compared, items, try, n.Assurance}
}

// statisticWords are the words for what is held against a limit.
var statisticWords = map[string]string{
	record.StatLower: "lower end", record.StatUpper: "upper end", record.StatDifference: "", record.StatAdjustedP: "adjusted p",
}
