package console

import (
	"cmp"
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
		{"Answers", Cell{Text: fmt.Sprintf("%d to %d prompts", x.Given, x.Prompts), Note: missing(x.Missing)}},
		{"p", Cell{Text: number(x.P), Note: fmt.Sprintf("a change is called at %s", number(x.FalseAlarm))}},
		{"Judged with the runs before", Cell{Text: judgedWith(x)}},
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

// missing says how many answers there are not.
func missing(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d more were not given", n)
}

// judgedWith says with which runs before it a probe was judged.
func judgedWith(x record.Probe) string {
	switch {
	case len(x.Earlier) == 0:
		return "none"
	case x.Together:
		return fmt.Sprintf("%d, with which alone the change shows", len(x.Earlier))
	}
	return fmt.Sprint(len(x.Earlier))
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
	said := &Table{Caption: "What the answers say", Even: true, Columns: []Column{{Label: "What"}, {Label: "Before"}, {Label: "Now"}}}
	for _, row := range [][3]string{
		{"Name", strings.Join(r.NamesBefore, ", "), strings.Join(r.NamesNow, ", ")},
		{"Fingerprint", strings.Join(r.SystemsBefore, ", "), strings.Join(r.SystemsNow, ", ")},
	} {
		said.Rows = append(said.Rows, Row{[]Cell{text(row[0]), text(cmp.Or(row[1], "not said")), text(cmp.Or(row[2], "not said"))}})
	}
	out := []section{{Title: "Name and fingerprint", Table: said}}
	for _, s := range r.Prompts {
		t := &Table{
			Caption: "The answers to " + s.ID + " before and now", Even: true,
			Columns: []Column{{Label: "Before"}, {Label: "Times", Number: true}, {Label: "Now"}, {Label: "Times", Number: true}},
		}
		for i := range max(len(s.Was), len(s.Is)) {
			t.Rows = append(t.Rows, Row{append(given(s.Was, i), given(s.Is, i)...)})
		}
		out = append(out, section{Title: s.ID, Text: s.Prompt, Table: t, Terms: []Term{
			{"An answer passes that", text(s.Score)},
			{"Before", text(fmt.Sprintf("%d of %d passed", s.PassedBefore, s.Before))},
			{"Now", text(fmt.Sprintf("%d of %d pass", s.PassedNow, s.Now))},
			{"p of this prompt", text(number(s.P))},
		}})
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
	return []Cell{{Badge: &state, Note: g.Text}, {Text: fmt.Sprint(g.Times), Number: true}}
}
