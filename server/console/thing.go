package console

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// thing is the model of the page of one thing: what is known of it, what depends
// on it, and everything that was stated of it.
type thing struct {
	Facts    []Term
	Sections []section
	History  []Event
	// First and Next are other parts of the history.
	First, Next string
}

// section is a part of a page with a heading.
type section struct {
	Title string
	Text  string
	Terms []Term
	Table *Table
	Form  *Form
}

// newest returns the last record of a type that stands under a key, with its
// entry; what says in the refusal which thing is not known.
func newest[T record.Body](ctx context.Context, c *console, who registry.Caller, key, what string) (T, wire.Entry, error) {
	var none T
	got, err := c.Registry.Under(ctx, who, 0, wire.MaxPage, key)
	if err != nil {
		return none, wire.Entry{}, err
	}
	for _, e := range got.Entries {
		body, err := record.Replay(e.Kind, e.Record)
		if err != nil {
			return none, e, err
		}
		if b, ok := body.(T); ok {
			return b, e, nil
		}
	}
	return none, wire.Entry{}, api.Refusal(wire.Unknown, "%s is not known here, or you may not read it; the lists show what you may", what)
}

// tell adds the history: what was stated under some keys, newest first.
func (t *thing) tell(ctx context.Context, c *console, who registry.Caller, in input, keys ...string) error {
	got, err := c.Registry.Under(ctx, who, before(in), perPage, keys...)
	if err != nil {
		return err
	}
	for _, e := range got.Entries {
		t.History = append(t.History, eventOf(e))
	}
	var place Table
	place.place(in, before(in), got.Next)
	t.First, t.Next = place.First, place.Next
	return nil
}

// kindShapes are the shapes of statements that change how something stands.
var kindShapes = map[record.Kind]string{
	record.KindRelease: "proposed", record.KindApproval: "pass", record.KindPromotion: "live", record.KindSuspension: "suspended",
	record.KindRetirement: "retired", record.KindException: "waived", record.KindDataApproval: "pass",
}

func eventOf(e wire.Entry) Event {
	shape, ok := kindShapes[e.Kind]
	if !ok {
		shape = "note"
	}
	if word := saying(e); e.Kind == record.KindDataApproval && strings.HasPrefix(word, record.Withdraw) {
		shape = "fail"
	}
	return Event{Time: e.Time, Badge: &Badge{shape, e.Word}, Who: e.Actor, What: aboutOf(e), Href: entryHref(e.Index), Text: saying(e)}
}

// under is a table of the newest entries under a key; all leads to the rest.
func (c *console) under(ctx context.Context, who registry.Caller, title, key string, columns []string, row func(wire.Entry, record.Body) []Cell, empty string) (section, error) {
	got, err := c.Registry.Under(ctx, who, 0, perPage, key)
	if err != nil {
		return section{}, err
	}
	t := &Table{Caption: title, Empty: Empty{Sentence: empty}}
	for _, label := range columns {
		t.Columns = append(t.Columns, Column{Label: label})
	}
	for _, e := range got.Entries {
		body, err := record.Replay(e.Kind, e.Record)
		if err != nil {
			return section{}, err
		}
		if cells := row(e, body); cells != nil {
			t.Rows = append(t.Rows, Row{cells})
		}
	}
	s := section{Title: title, Table: t}
	if got.Next > 0 {
		s.Text = fmt.Sprintf("The newest %d; the history below has all.", perPage)
	}
	return s, nil
}

// impact is what was made from a thing, rests on it or was done by it.
func (c *console) impact(ctx context.Context, who registry.Caller, name string) (section, error) {
	got, err := c.Registry.Impact(ctx, who, name, "", perPage)
	if problem, err := c.refused(ctx, err); err != nil {
		return section{}, err
	} else if problem != nil {
		return section{Title: "What depends on it", Text: problem.Detail}, nil
	}
	s := section{Title: "What depends on it", Text: impactSentence(got)}
	if len(got.Reached) == 0 {
		return s, err
	}
	s.Table = &Table{Caption: "What depends on it, nearest first", Columns: []Column{{Label: "What"}, {Label: "Which"}, {Label: "Runs"}, {Label: "By"}}}
	for _, r := range got.Reached {
		s.Table.Rows = append(s.Table.Rows, Row{[]Cell{text(r.Word), linked(shortDigests(r.Name), reachedHref(r)), liveCell(r.Live), linked(r.Via.Role, entryHref(r.Via.Entry))}})
	}
	if got.Next != "" {
		s.Text += fmt.Sprintf(" The first %d are shown; imprimatur audit impact %s lists all.", len(got.Reached), name)
	}
	return s, err
}

func liveCell(l *wire.LiveIn) Cell {
	if l == nil {
		return Cell{}
	}
	cell := badge("live", "live")
	cell.Note = "in " + l.Environment + " since " + stamp(l.Since)
	return cell
}

// impactSentence counts what is reached.
func impactSentence(got wire.Impact) string {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(got.Counts)) {
		if n := got.Counts[word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d", word, n))
		}
	}
	if len(parts) == 0 && got.Others == 0 {
		return "Nothing depends on it."
	}
	out := "It reaches " + strings.Join(parts, ", ") + "."
	if len(parts) == 0 {
		out = "It reaches nothing of your teams."
	}
	switch got.Live {
	case 0:
		out += " None of the releases is live."
	case 1:
		out += " One release is live."
	default:
		out += fmt.Sprintf(" %d releases are live.", got.Live)
	}
	if got.Others > 0 {
		out += fmt.Sprintf(" %d more belong to teams that you may not read, %d of them live.", got.Others, got.OthersLive)
	}
	return out
}

// reachedHref is the page of what an impact reaches.
func reachedHref(r wire.Reached) string {
	word, key, _ := strings.Cut(r.ID, ":")
	switch word {
	case "release":
		return releaseHref(key)
	case "dataset":
		return dataHref(record.Digest(key))
	case "run":
		return runHref(key)
	case "model":
		if ref, _, _ := strings.Cut(r.Name, ","); strings.Contains(ref, "@") {
			return versionHref(ref)
		}
	case "evaluation":
		return "/evaluations/" + key
	case "principal":
		return principalHref(key)
	case "vendor":
		return vendorHref(key)
	}
	return ""
}
