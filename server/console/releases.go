package console

import (
	"context"
	"strconv"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// perPage is how many rows a list shows at once.
const perPage = 50

// releases is the list of releases.
func (c *console) releases(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	before, _ := strconv.ParseInt(in.get("before"), 10, 64) // what is no number is the first page
	got, err := c.Registry.Releases(ctx, who, in.get("model"), before, perPage)
	if err != nil {
		return nil, err
	}
	t := Table{
		Caption: "Releases, newest first",
		Columns: []Column{{Label: "Release"}, {Label: "Line"}, {Label: "Proposed by"}, {Label: "When"}},
		Filters: []Field{{Kind: "search", Name: "model", Label: "Model", Value: in.get("model"), Hint: "team/model"}},
		Empty:   Empty{Sentence: "No release is here yet.", Command: "imprimatur release propose team/model@version --use-case team/use-case --environment production"},
	}
	for _, e := range got.Entries {
		id := record.ReleaseID(e.Digest)
		t.Rows = append(t.Rows, Row{[]Cell{linked(id, "/releases/"+id), text(e.Subject), text(e.Actor), when(e.Time)}})
	}
	t.place(in, before, got.Next)
	return &Page{Template: "list", Title: "Releases", Body: t}, nil
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
