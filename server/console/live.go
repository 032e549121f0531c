package console

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// fieldTime is how a browser writes a date and time; it is taken as UTC.
const fieldTime = "2006-01-02T15:04:05"

// livePage is the model of what is, or was, live.
type livePage struct {
	Filters []Field
	// Places are the environments with what runs in each.
	Places []livePlace
	Next   string
	First  string
	Slider *slider
	Empty  Empty
}

type livePlace struct {
	Name  string
	Table Table
}

// slider moves through the past without a script: it is a form.
type slider struct {
	// Min, Max and Value are seconds since 1970.
	Min, Max, Value int64
	From, To, At    time.Time
	// Before and After lead to the changes beside the moment, Now back.
	Before, After, Now string
	Hidden             []Field
}

// livePerPage is fewer than in other lists: each row reads the words on its line.
const livePerPage = 10

func (c *console) live(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	at, err := momentOf(in)
	if err != nil {
		return nil, err
	}
	q := wire.LiveQuery{At: at, Team: in.get("team"), Environment: in.get("environment"), From: in.get("from"), Limit: livePerPage}
	got, err := c.Registry.LivePage(ctx, who, q)
	if err != nil {
		return nil, err
	}
	environments, err := c.Registry.Named(ctx, who, wire.Browse{Prefix: record.KeyEnvironment("")})
	if err != nil {
		return nil, err
	}
	p := &livePage{Empty: Empty{
		Sentence: "Nothing ran here at that time.",
		Command:  "imprimatur release promote r-0123456789ab",
		Link:     Link{Text: "Releases that wait for it", Href: "/releases"},
	}}
	var names []string
	for _, e := range environments.Entries {
		names = append(names, strings.TrimPrefix(e.Subject, "environment/"))
	}
	p.Filters = liveFilters(in, names, at)
	if q.From == "" && got.Next == "" && q.Environment == "" {
		for _, n := range names {
			p.place(n) // also where nothing runs
		}
	}
	if !at.IsZero() {
		for i, place := range p.Places {
			p.Places[i].Table.Empty.Sentence = "Nothing ran in " + place.Name + " at that time."
		}
	}
	for _, l := range got.Releases {
		place := p.place(l.Environment)
		place.Table.Rows = append(place.Table.Rows, liveRow(l, at.IsZero()))
	}
	if q.From != "" {
		p.First = in.with("from", "")
	}
	if got.Next != "" {
		p.Next = in.with("from", got.Next)
	}
	if p.Slider, err = c.slide(ctx, who, in, got.At); err != nil {
		return nil, err
	}
	lead := "What runs now in each environment, by whose approval and on what evidence."
	if !at.IsZero() {
		lead = "What ran at " + at.Format(time.DateTime) + " UTC in each environment, by whose approval and on what evidence. What was stated later does not count."
	}
	return &Page{Template: "live", Title: "Live", Lead: lead, Body: p}, nil
}

// momentOf returns the time that is asked about; the zero time is now. The slider
// sends seconds, the field a date and time in UTC, a link RFC 3339.
func momentOf(in input) (time.Time, error) {
	if s := in.get("t"); s != "" {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 && n < 1<<40 {
			return time.Unix(n, 0).UTC(), nil
		}
		return time.Time{}, api.Refusal(wire.Invalid, "%q is no number of seconds; give a time as ?at=2026-05-01T12:00:00", s)
	}
	return timeOf(in, "at")
}

// timeOf reads a date and time; the zero time where none is given.
func timeOf(in input, name string) (time.Time, error) {
	s := in.get(name)
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, fieldTime, "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() <= 9999 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, api.Refusal(wire.Invalid, "%q is no date and time; give one as 2026-05-01T12:00:00, in UTC", s)
}

// fieldValue is a time in the value of a field; empty for none.
func fieldValue(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(fieldTime)
}

func liveFilters(in input, names []string, at time.Time) []Field {
	options := []Option{{Text: "all"}}
	for _, n := range names {
		options = append(options, Option{Value: n, Text: n})
	}
	return []Field{
		{Kind: "date-time", Name: "at", Label: "At (UTC)", Value: fieldValue(at)},
		{Kind: "select", Name: "environment", Label: "Environment", Options: choose(in.get("environment"), options...)},
		{Kind: "search", Name: "team", Label: "Team", Value: in.get("team")},
	}
}

// place returns the environment with a name, added when it is new.
func (p *livePage) place(name string) *livePlace {
	i := slices.IndexFunc(p.Places, func(l livePlace) bool { return l.Name == name })
	if i < 0 {
		i = len(p.Places)
		p.Places = append(p.Places, livePlace{Name: name, Table: Table{
			Caption: "What runs in " + name,
			Columns: []Column{{Label: "Model and use"}, {Label: "Release"}, {Label: "Since"}, {Label: "Approved by"}, {Label: "Evidence"}, {Label: "Stop it"}},
			Empty:   Empty{Sentence: "Nothing runs in " + name + "."},
		}})
	}
	return &p.Places[i]
}

// hows say how a release went live.
var hows = map[string]string{record.Promote: "promoted", record.Rollback: "rolled back to", record.BrokeGlass: "promoted by breaking glass"}

func liveRow(l wire.LiveRelease, now bool) Row {
	row := Row{Cells: []Cell{
		{Text: l.Model, Href: versionHref(l.Model), Note: l.UseCase + ", tier " + l.Tier},
		{Text: l.Release, Href: releaseHref(l.Release), Code: true, Marks: l.Marks, Note: until(l)},
		{Time: l.Since, Note: cmp.Or(hows[l.How], l.How) + " by " + l.PromotedBy},
		{Links: approvers(l), Note: nobody(l)},
		{Links: evidence(l), Note: noEvidence(l)},
		{Text: "as of then"},
	}}
	if now {
		row.Cells[5] = Cell{Links: []Link{
			{Text: "Roll back", Href: "/live/" + l.Release + "/rollback"},
			{Text: "Suspend", Href: "/live/" + l.Release + "/suspend"},
		}}
	}
	return row
}

func until(l wire.LiveRelease) string {
	if l.Until.IsZero() {
		return ""
	}
	return "its verdict lapses " + l.Until.UTC().Format(time.DateOnly)
}

func approvers(l wire.LiveRelease) (out []Link) {
	for _, a := range l.Approvals {
		out = append(out, Link{Text: a.Actor + a.Record.Behalf() + " (" + string(a.Record.Role) + ")", Href: entryHref(a.Index)})
	}
	return out
}

func nobody(l wire.LiveRelease) string {
	if len(l.Approvals) > 0 {
		return ""
	}
	return "nobody: see its marks"
}

func evidence(l wire.LiveRelease) (out []Link) {
	for _, e := range l.Evaluations {
		out = append(out, Link{Text: string(e.Record.Category) + "/" + e.Record.Suite, Href: evaluationHref(e.Digest)})
	}
	return out
}

func noEvidence(l wire.LiveRelease) string {
	if len(l.Evaluations) > 0 {
		return ""
	}
	return "none is named"
}

// slide returns the slider between the first of the newest changes and now; nil
// where nothing was ever promoted.
func (c *console) slide(ctx context.Context, who registry.Caller, in input, at time.Time) (*slider, error) {
	changes, err := c.Registry.Changes(ctx, who)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	s := &slider{From: changes[len(changes)-1].Time.Add(-time.Minute), To: c.now().UTC(), At: at}
	if at.Before(s.From) {
		s.From = at
	}
	s.Min, s.Max, s.Value = s.From.Unix(), s.To.Unix()+1, at.Unix()
	moment := func(t time.Time) string { return in.with("t", "", "from", "", "at", t.UTC().Format(time.RFC3339Nano)) }
	i := slices.IndexFunc(changes, func(e wire.Entry) bool { return !e.Time.After(at) }) // newest first
	switch {
	case i < 0:
		i = len(changes)
	case i+1 < len(changes):
		s.Before = moment(changes[i+1].Time)
	default:
		s.Before = moment(changes[i].Time.Add(-time.Millisecond))
	}
	if i > 0 {
		s.After = moment(changes[i-1].Time)
	}
	if in.get("at")+in.get("t") != "" {
		s.Now = in.with("t", "", "from", "", "at", "")
	}
	for _, name := range []string{"environment", "team"} {
		s.Hidden = append(s.Hidden, Field{Kind: "hidden", Name: name, Value: in.get(name)})
	}
	return s, nil
}
