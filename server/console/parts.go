package console

import (
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// Page is what a handler returns: the model of one page.
type Page struct {
	// Template is the file under templates that draws it, without ".html".
	Template string
	Title    string
	// Lead is one sentence under the title; Badges stand beside the title.
	Lead   string
	Badges []Badge
	// Crumbs lead back, from the top, this page left out.
	Crumbs []Link
	// Done says what a form has just done.
	Done string
	// Body is the template's own model.
	Body any
	// Refusal is shown on top of the page; set where a form was refused.
	Refusal *wire.Problem
}

// frame is what surrounds every page.
type frame struct {
	*Page
	Who        registry.Caller
	Navigation []Group
	Search     string
	Now        time.Time
}

// Group is a group of links in the navigation.
type Group struct {
	Label string
	Links []Link
}

// Link leads to another page.
type Link struct {
	Text, Href string
	Current    bool
}

// Badge is a state by shape and word; its colour only repeats it. State is a
// key of shapes.
type Badge struct{ State, Word string }

// Cell is one thing that a table or a definition list shows. Of Badge, Time and
// Text the first that is set is its value; the rest are beside or beneath it.
type Cell struct {
	Text  string
	Href  string
	Badge *Badge
	Time  time.Time
	// Code sets the text as code; Full is what a shortened text stands for.
	Code bool
	Full string
	// Number sets it flush right.
	Number bool
	// Note is beneath, Marks are beside: "no independent approval".
	Note  string
	Marks []string
	// Links are several values beside each other, instead of Text.
	Links []Link
}

// Blank reports whether there is nothing to show.
func (c Cell) Blank() bool {
	return c.Text == "" && c.Badge == nil && c.Time.IsZero() && len(c.Links) == 0 && c.Note == "" && len(c.Marks) == 0
}

// Text is a cell of plain text.
func text(s string) Cell { return Cell{Text: s} }

func linked(s, href string) Cell { return Cell{Text: s, Href: href} }

func when(t time.Time) Cell { return Cell{Time: t} }

func badge(state, word string) Cell { return Cell{Badge: &Badge{state, word}} }

// digest is a cell with the beginning of a digest.
func digest(d record.Digest) Cell {
	if d == "" {
		return Cell{}
	}
	return Cell{Text: d.Short(), Full: string(d), Code: true}
}

// Table is a list that can be searched, filtered, paged and linked to.
type Table struct {
	// Caption says what it lists; for those who do not see it, and on paper.
	Caption string
	Columns []Column
	Rows    []Row
	// Filters are the fields of the form above it; none for no form.
	Filters []Field
	// First and Next are the addresses of other parts of the list, or empty.
	First, Next string
	// ByName says that the list is in the order of names, else the newest first.
	ByName bool
	// Add leads to where another can be made.
	Add   Link
	Empty Empty
	// Even gives its columns of text the same width, and breaks what is too long.
	Even bool
}

// Column is the head of a column.
type Column struct {
	Label  string
	Number bool
}

// Row is one row; its first cell is its head.
type Row struct{ Cells []Cell }

// Empty is what stands where there is nothing.
type Empty struct {
	Sentence string
	// Command does something about it, Link leads to where that can be done.
	Command string
	Link    Link
}

// Field is a field of a form.
type Field struct {
	// Kind is "text", "search", "area", "select", "date-time", "check" or "hidden".
	Kind  string
	Name  string
	Label string
	Value string
	// Hint is beneath the label.
	Hint     string
	Required bool
	Options  []Option
}

// Option is a choice of a select.
type Option struct {
	Value, Text string
	Chosen      bool
}

// choose returns options of which one is chosen.
func choose(chosen string, options ...Option) []Option {
	for i := range options {
		options[i].Chosen = options[i].Value == chosen
	}
	return options
}

// Form is a form that changes something.
type Form struct {
	Action string
	Fields []Field
	Submit string
	// Grave says that it takes something away, and is to look so.
	Grave bool
}

// Term is one term of a definition list.
type Term struct {
	Label string
	Cell
}

// Change is one line of a difference: Sign is "+", "-" or "~".
type Change struct{ Sign, Text string }

// Event is one line of a timeline.
type Event struct {
	Time  time.Time
	Badge *Badge
	// Who did it, What was done, and to which release, if another than the page's;
	// Note is what is to be known of it, Text what they said.
	Who  string
	What string
	// Href is the page of what was done.
	Href string
	On   string
	Note string
	Text string
}

// shapes draw the states in a square of 16, so that none is told by colour.
var shapes = map[string]string{
	"pass":         "M3 8.5l3.2 3.2L13 4.8",
	"fail":         "M4 4l8 8M12 4l-8 8",
	"inconclusive": "M3 9.2c1.6-3 3.2-3 5-1.2s3.4 1.8 5-1.2",
	"invalid":      "M8 2.5L14 13.5H2zM8 6.5v3.5M8 11.7v.1",
	"missing":      "M8 2.5v1.6M8 11.9v1.6M2.5 8h1.6M11.9 8h1.6M4.1 4.1l1.1 1.1M10.8 10.8l1.1 1.1M11.9 4.1l-1.1 1.1M5.2 10.8l-1.1 1.1",
	"waived":       "M8 2l6 6-6 6-6-6z",
	"proposed":     "M8 2.5a5.5 5.5 0 1 0 .01 0z",
	"live":         "M8 2.5a5.5 5.5 0 1 0 .01 0zM6.5 5.5l4 2.5-4 2.5z",
	"replaced":     "M3 8h8.5M8.5 4.5L12 8l-3.5 3.5",
	"suspended":    "M5.5 3.5v9M10.5 3.5v9",
	"retired":      "M3.5 3.5h9v9h-9z",
	"note":         "M3 4.5h10M3 8h10M3 11.5h6",
}
