package console

import (
	"context"
	"fmt"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// assured are the sections of a vendor's page on what assures of it, for each team that the reader may
// read, with the keys under which it was stated.
func (c *console) assured(ctx context.Context, who registry.Caller, name string) (out []section, keys []string, err error) {
	all, err := c.Registry.Vendors(ctx, who, "")
	for _, v := range all {
		if v.Vendor.Record.Name != name {
			continue
		}
		x := v.Vendor.Record
		whole, err := c.Registry.Vendor(ctx, who, x.Team, x.Name)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, section{Title: "For team " + x.Team, Terms: []Term{
			{"Who renews", linked(x.Owner, principalHref(x.Owner))}, {"Contact", Cell{Text: x.Contact}}, {"Next lapses", when(v.Next)},
		}}, documents(whole), clauses(whole), probes(whole), resting(whole))
		keys = append(keys, record.KeyVendor(x.Ref()), record.KeyAssurances(x.Ref()))
	}
	return out, keys, err
}

func documents(v wire.VendorStatus) section {
	t := &Table{
		Caption: "What it assures of", Columns: []Column{{Label: "Document"}, {Label: "Issuer"}, {Label: "Scope"}, {Label: "Until"}, {Label: "State"}, {Label: "File"}},
		Empty: Empty{Sentence: "No document is recorded.", Command: "imprimatur vendor assure " + v.Vendor.Record.Ref() + " FILE"},
	}
	for _, d := range v.Documents {
		a := d.Document.Record
		state := map[string]string{wire.AssuranceStands: "pass", wire.AssuranceLapsed: "fail"}[d.State]
		if state == "" {
			state = "waived"
		}
		t.Rows = append(t.Rows, Row{[]Cell{{Text: a.Type, Note: d.ID}, {Text: a.Issuer}, {Text: a.Scope}, when(a.Expires), badge(state, d.State), digest(a.Document.Digest)}})
	}
	return section{Title: "Documents", Table: t}
}

func clauses(v wire.VendorStatus) section {
	t := &Table{
		Caption: "What the documents say on what matters", Columns: []Column{{Label: "Clause"}, {Label: "Given"}, {Label: "Days"}, {Label: "Where"}, {Label: "Document"}},
		Empty: Empty{Sentence: "No clause is recorded.", Command: "imprimatur vendor assure " + v.Vendor.Record.Ref() + " FILE --clause NAME=yes@WHERE"},
	}
	for _, d := range v.Documents {
		for _, k := range d.Document.Record.Clauses {
			days := ""
			if k.Days != nil {
				days = fmt.Sprint(*k.Days)
			}
			given := map[bool]Cell{true: badge("pass", "yes"), false: badge("fail", "no")}[k.Given]
			t.Rows = append(t.Rows, Row{[]Cell{{Text: k.Name, Note: k.Text}, given, {Text: days}, {Text: k.Where}, {Text: d.ID, Note: d.State}}})
		}
	}
	return section{Title: "Clauses", Table: t}
}

func probes(v wire.VendorStatus) section {
	t := &Table{
		Caption: "The newest probe of each model", Columns: []Column{{Label: "Probe"}, {Label: "Model"}, {Label: "Ran"}, {Label: "Next due"}, {Label: "Result"}, {Label: "What was found"}},
		Empty: Empty{Sentence: "Its models are not probed.", Command: "imprimatur vendor probe " + v.Vendor.Record.Ref() + " --service ID --suite FILE --gateway URL"},
	}
	for _, p := range v.Probes {
		x := p.Probe.Record
		t.Rows = append(t.Rows, Row{[]Cell{linked(p.ID, probeHref(p.ID)), {Text: x.Model}, when(x.Ran), due(p.Due), badge(probeState(x.Result), x.Result), {Text: x.Detail}}})
	}
	return section{Title: "Probes", Table: t}
}

// resting are the live releases that rest on the vendor.
func resting(v wire.VendorStatus) section {
	t := &Table{
		Caption: "What runs on it", Columns: []Column{{Label: "Release"}, {Label: "Model"}, {Label: "Environment"}, {Label: "Live since"}, {Label: "Probe due"}},
		Empty: Empty{Sentence: "No live release rests on it."},
	}
	for _, l := range v.Live {
		t.Rows = append(t.Rows, Row{[]Cell{linked(l.Release, releaseHref(l.Release)), {Text: l.Model}, {Text: l.Environment}, when(l.Since), due(l.ProbeDue)}})
	}
	return section{Title: "Live releases", Table: t}
}

// due is by when a model is to be probed again.
func due(at time.Time) Cell {
	if at.IsZero() {
		return Cell{Text: "not asked for"}
	}
	return when(at)
}
