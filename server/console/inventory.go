package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/inventory"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// inventory is the page of all workloads and credentials that the reader oversees
// or answers for; with a finding asked for, of what is to be mended.
func (c *console) inventory(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	q := wire.InventoryQuery{Text: in.get("q"), Finding: in.get("finding"), Owner: in.get("owner"), Environment: in.get("environment"), From: in.get("from"), Limit: perPage}
	got, err := c.Registry.Inventory(ctx, who, q)
	if err != nil {
		return nil, err
	}
	t := Table{
		Caption: "Workloads and credentials, by name", ByName: true,
		Filters: []Field{
			{Kind: "search", Name: "q", Label: "Search", Hint: "Names, owners, purposes, releases, models.", Value: q.Text},
			{Kind: "select", Name: "finding", Label: "To mend", Options: choose(q.Finding, findingOptions(got.Findings)...)},
			{Kind: "search", Name: "owner", Label: "Owner", Value: q.Owner},
			{Kind: "search", Name: "environment", Label: "Environment", Value: q.Environment},
		},
		Empty: Empty{Sentence: "Nothing that you oversee or answer for is like that.", Link: Link{Text: "All of them", Href: "/inventory"}},
	}
	if in.request.URL.RawQuery == "" {
		t.Empty = Empty{Sentence: "You oversee no workload and answer for none. Administrators, security and auditors see those of what they are bound for, and owners their own.", Link: Link{Text: "The names of all workloads", Href: "/workloads"}}
	}
	if q.Finding == "" {
		t.Columns = []Column{{Label: "Name"}, {Label: "Owner"}, {Label: "Acts under"}, {Label: "Shows"}, {Label: "Last used"}, {Label: "Newest credential"}, {Label: "Ends"}, {Label: "State"}}
	} else {
		t.Columns = []Column{{Label: "Name"}, {Label: "Risk"}, {Label: "What is the matter"}, {Label: "What mends it"}, {Label: "Here"}}
	}
	for _, i := range got.Items {
		if q.Finding == "" {
			t.Rows = append(t.Rows, inventoryRow(i))
		} else {
			t.Rows = append(t.Rows, mendRows(i, q.Finding)...)
		}
	}
	if q.From != "" {
		t.First = in.with("from", "")
	}
	if got.Next != "" {
		t.Next = in.with("from", got.Next)
	}
	return &Page{Template: "list", Title: "Inventory", Lead: count(got.Total, "workload or credential", "workloads and credentials") + ": who answers for each, when it was last used, and what to mend.", Body: t}, nil
}

func findingOptions(counts map[string]int) []Option {
	out := []Option{{Text: "all, whether or not"}, {Value: wire.AnyFinding, Text: "whatever is to be mended"}}
	for _, code := range inventory.Codes {
		out = append(out, Option{Value: code, Text: fmt.Sprintf("%s (%d)", code, counts[code])})
	}
	for _, risk := range inventory.Risks() {
		out = append(out, Option{Value: risk, Text: "any of OWASP " + risk})
	}
	return out
}

func itemCell(i wire.Inventoried) Cell {
	cell := Cell{Text: i.Name, Note: i.Purpose}
	if i.Type == wire.InventoryWorkload {
		cell.Href = principalHref(i.Name)
	}
	return cell
}

func inventoryRow(i wire.Inventoried) Row {
	owner := text(i.Owner)
	if i.Type == wire.InventoryWorkload {
		owner.Href = principalHref(i.Owner)
	}
	acts := text("no release")
	if len(i.Releases) > 0 {
		acts = Cell{}
		for _, b := range i.Releases {
			acts.Links = append(acts.Links, Link{Text: b.Release + " in " + b.Environment, Href: releaseHref(b.Release)})
		}
	}
	state := badge("suspended", i.State)
	switch i.State {
	case "stands":
		state = badge("pass", i.State)
	case "expired":
		state = badge("retired", i.State)
	}
	var codes []string
	for _, f := range i.Findings {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	state.Marks = slices.Compact(codes)
	return Row{[]Cell{itemCell(i), owner, acts, text(shownBy(i)), orNever(when(i.Used)), orNever(when(i.Rotated)), orNever(when(i.Expires)), state}}
}

func orNever(c Cell) Cell {
	if c.Time.IsZero() {
		return text("never")
	}
	return c
}

// shownBy counts the credentials that stand.
func shownBy(i wire.Inventoried) string {
	var out []string
	for _, kind := range []struct{ one, many string }{{wire.CredentialIdentity, "identities"}, {wire.CredentialToken, "tokens"}, {wire.CredentialKey, "keys"}, {wire.CredentialSecret, "secrets"}} {
		n := 0
		for _, c := range i.Credentials {
			if c.Kind == kind.one && c.State == "stands" {
				n++
			}
		}
		if n > 0 {
			out = append(out, count(n, kind.one, kind.many))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// mendRows are the findings of one thing, a row each.
func mendRows(i wire.Inventoried, asked string) (rows []Row) {
	for _, f := range i.Findings {
		if !f.Is(asked) {
			continue
		}
		here := text("on the command line")
		if f.Page != "" {
			here = linked("Mend it", f.Page)
		}
		rows = append(rows, Row{[]Cell{itemCell(i), {Text: f.Risk, Note: f.Title}, {Text: f.Sentence, Note: f.Code}, {Text: f.Mend, Code: true}, here}})
	}
	return rows
}
