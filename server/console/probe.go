package console

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"

	"imprimatur.dev/probe"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// probeHref is the page of a probe by its ID.
func probeHref(id string) string { return "/probes/" + url.PathEscape(id) }

// probe is the page of one probe of a vendor's model: what was found and, where it was
// compared with another, the answers before and after side by side.
func (c *console) probe(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	id := in.path("id")
	got, err := c.Registry.Probe(ctx, who, id)
	if err != nil {
		return nil, err
	}
	x := got.Record
	t := &thing{Sections: []section{{Title: "What was found", Text: x.Detail, Terms: []Term{
		{"Model", text(x.Model)},
		{"Vendor", linked(x.Vendor, vendorHref(x.Vendor))},
		{"Ran", when(x.Ran)},
		{"Recorded", Cell{Time: got.Time, Note: "by " + got.Actor, Href: entryHref(got.Index)}},
	}}}}
	if x.Report != "" {
		sides, err := c.sides(ctx, who, x.Report)
		if err != nil {
			return nil, err
		}
		t.Sections = append(t.Sections, sides...)
	}
	if err := t.tell(ctx, c, who, in, record.KeyProbe(id)); err != nil {
		return nil, err
	}
	return &Page{
		Template: "thing", Title: id, Lead: "A probe of " + x.Model + ".", Badges: []Badge{{probeState(x.Result), x.Result}},
		Crumbs: []Link{{Text: "Vendors", Href: "/vendors"}, {Text: x.Vendor, Href: vendorHref(x.Vendor)}}, Body: t,
	}, nil
}

func probeState(result string) string {
	switch result {
	case record.ProbeSame, record.ProbeBaseline:
		return "pass"
	case record.ProbeChanged:
		return "fail"
	}
	return "waived"
}

// sides shows a report: what the answers say they are of, and the prompts that moved most.
func (c *console) sides(ctx context.Context, who registry.Caller, d record.Digest) ([]section, error) {
	content, err := c.Registry.Evidence(ctx, who, d)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	raw, err := io.ReadAll(io.LimitReader(content, maxReport))
	if err != nil {
		return nil, err
	}
	r, err := probe.ParseReport(raw)
	if err != nil {
		return nil, err
	}
	said := &Table{Caption: "What the answers say", Columns: []Column{{Label: "What"}, {Label: "Before"}, {Label: "Now"}}}
	for _, row := range [][3]string{
		{"Name", strings.Join(r.NamesBefore, ", "), strings.Join(r.NamesNow, ", ")},
		{"Fingerprint", strings.Join(r.SystemsBefore, ", "), strings.Join(r.SystemsNow, ", ")},
	} {
		said.Rows = append(said.Rows, Row{[]Cell{text(row[0]), text(row[1]), text(row[2])}})
	}
	out := []section{{Title: "Name and fingerprint", Table: said}}
	for _, s := range r.Prompts {
		t := &Table{
			Caption: fmt.Sprintf("Passed %d of %d before, and %d of %d now; p = %s", s.PassedBefore, s.Before, s.PassedNow, s.Now, number(s.P)),
			Columns: []Column{{Label: "Times", Number: true}, {Label: "Before"}, {Label: "Times", Number: true}, {Label: "Now"}},
		}
		for i := range max(len(s.Was), len(s.Is)) {
			t.Rows = append(t.Rows, Row{append(given(s.Was, i), given(s.Is, i)...)})
		}
		out = append(out, section{Title: s.ID, Text: s.Prompt, Table: t})
	}
	return out, nil
}

func given(all []probe.Given, i int) []Cell {
	if i >= len(all) {
		return []Cell{{}, {}}
	}
	g := all[i]
	state := Badge{"fail", "fails"}
	if g.Passes {
		state = Badge{"pass", "passes"}
	}
	return []Cell{{Text: fmt.Sprint(g.Times), Number: true}, {Badge: &state, Note: g.Text}}
}
