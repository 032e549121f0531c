package console

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// perPage is how many rows a list shows at once.
const perPage = 50

// releases is the list of releases.
func (c *console) releases(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	before := before(in)
	q := registry.Query{
		Text: in.get("q"), Model: in.get("model"), Environment: in.get("environment"), Tier: in.get("tier"),
		Status: record.Status(in.get("status")), Before: before, Limit: perPage,
	}
	got, err := c.Registry.FindReleases(ctx, who, q)
	if err != nil {
		return nil, err
	}
	t := Table{
		Caption: "Releases, newest first", Columns: releaseColumns,
		Filters: []Field{
			{Kind: "search", Name: "q", Label: "Search", Value: q.Text},
			{Kind: "search", Name: "model", Label: "Model", Value: q.Model},
			{Kind: "select", Name: "status", Label: "State", Options: choose(string(q.Status), statuses()...)},
			{Kind: "search", Name: "environment", Label: "Environment", Value: q.Environment},
			{Kind: "search", Name: "tier", Label: "Tier", Value: q.Tier},
		},
		Empty: Empty{Sentence: "No release is like that.", Link: Link{Text: "All releases", Href: "/releases"}},
	}
	if in.request.URL.RawQuery == "" {
		t.Empty = Empty{Sentence: "No release is here yet. The first one is proposed with:", Command: "imprimatur release propose TEAM/MODEL@VERSION --use-case TEAM/NAME --environment production"}
	}
	if t.Rows, err = c.releaseRows(ctx, who, got.List); err != nil {
		return nil, err
	}
	t.place(in, before, got.Next)
	return &Page{Template: "list", Title: "Releases", Lead: count(got.Total, "release", "releases") + ", newest first.", Body: t}, nil
}

var releaseColumns = []Column{{Label: "Release"}, {Label: "Model"}, {Label: "For"}, {Label: "Where"}, {Label: "State"}, {Label: "Proposed"}}

func statuses() []Option {
	out := []Option{{Text: "any"}}
	for _, s := range []record.Status{record.Proposed, record.Live, record.Replaced, record.Suspended, record.Retired} {
		out = append(out, Option{Value: string(s), Text: string(s)})
	}
	return out
}

// releaseRows are releases as rows. How those stand that may still change is
// asked of the registry; the others show what was stated of them.
func (c *console) releaseRows(ctx context.Context, who registry.Caller, list []registry.Listed) ([]Row, error) {
	var ask []string
	for _, l := range list {
		if l.Status == record.Live || l.Status == record.Proposed && l.Newest {
			ask = append(ask, l.ID)
		}
	}
	now, err := c.Registry.Summaries(ctx, who, ask)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, l := range list {
		state := Cell{Badge: &Badge{string(l.Status), string(l.Status)}, Marks: l.Marks}
		if s, ok := now[l.ID]; ok {
			state.Marks = s.Marks
			state.Note = standing(s)
		}
		rows = append(rows, Row{[]Cell{
			linked(l.ID, releaseHref(l.ID)), linked(l.Model+"@"+l.Version, versionHref(l.Model+"@"+l.Version)), linked(l.UseCase, useCaseHref(l.UseCase)),
			{Text: l.Environment, Note: "tier " + l.Tier},
			state,
			{Time: l.Proposed, Note: "by " + l.Proposer},
		}})
	}
	return rows, nil
}

// standing says in a few words how a release stands.
func standing(s registry.Summary) string {
	switch {
	case s.Status == record.Live && s.Stands:
		return "stands"
	case s.Status == record.Live:
		return "does not stand: " + strings.Join(s.Blocking, ", ")
	case s.Passed:
		return "may be promoted"
	}
	const shown = 2
	if len(s.Blocking) > shown {
		return fmt.Sprintf("waits for %s and %d more", strings.Join(s.Blocking[:shown], ", "), len(s.Blocking)-shown)
	}
	return "waits for " + strings.Join(s.Blocking, ", ")
}

// before is the cursor of a page; what is no number is the first page.
func before(in input) int64 {
	n, _ := strconv.ParseInt(in.get("before"), 10, 64)
	return max(n, 0)
}

// place gives a table the addresses of its other parts.
func (t *Table) place(in input, before, next int64) {
	if before > 0 {
		t.First = in.with("before", "")
	}
	if next > 0 {
		t.Next = in.with("before", strconv.FormatInt(next, 10))
	}
}
