package console

import (
	"context"
	"regexp"
	"strings"

	"imprimatur.dev/registry"
)

var (
	releaseID = regexp.MustCompile(`^r-[0-9a-f]{12}$`)
	digestOf  = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)
)

// search finds releases by what their names have in them, and the thing itself
// where its whole name or digest is given.
func (c *console) search(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	q := in.get("q")
	body := searchBody{Query: q}
	switch {
	case q == "":
		return &Page{Template: "search", Title: "Search", Body: body}, nil
	case releaseID.MatchString(q):
		body.Things = append(body.Things, Link{Text: "the release " + q, Href: "/releases/" + q})
	case digestOf.MatchString(q):
		body.Reached = c.reached(ctx, who, "sha256:"+strings.TrimPrefix(q, "sha256:"))
	case strings.Contains(q, "@") && strings.Contains(q, "/"):
		body.Reached = c.reached(ctx, who, q)
	}
	got, err := c.Registry.FindReleases(ctx, who, registry.Query{Text: q, Limit: perPage})
	if err != nil {
		return nil, err
	}
	body.Releases = Table{Caption: "Releases", Columns: releaseColumns, Empty: Empty{Sentence: "No release has it in its ID, model, use case or proposer."}}
	if body.Releases.Rows, err = c.releaseRows(ctx, who, got.List); err != nil {
		return nil, err
	}
	if got.Next > 0 {
		body.Releases.Next = "/releases?" + in.request.URL.Query().Encode()
	}
	return &Page{Template: "search", Title: "Search", Lead: "For " + q, Body: body}, nil
}

// searchBody is what a search found.
type searchBody struct {
	Query    string
	Things   []Link
	Reached  []Cell
	Releases Table
}

// reached are what was made from, or names, a thing. A thing that is not known
// reaches nothing.
func (c *console) reached(ctx context.Context, who registry.Caller, thing string) []Cell {
	got, err := c.Registry.Impact(ctx, who, thing, "", perPage)
	if err != nil {
		return nil
	}
	var out []Cell
	for _, r := range got.Reached {
		cell := Cell{Text: r.Word + " " + r.Name}
		if id, ok := strings.CutPrefix(r.ID, "release:"); ok {
			cell.Text, cell.Href = r.Word+" "+id, "/releases/"+id
		}
		if r.Live != nil {
			cell.Marks = []string{"live"}
		}
		out = append(out, cell)
	}
	return out
}
