package console

import (
	"context"
	"slices"
	"strings"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// maxVendorVersions is how many versions of vendors' models are looked at.
const maxVendorVersions = 2000

// vendored are the versions of one vendor's models, in the order of their names.
type vendored struct {
	name     string
	versions []record.Recorded[record.ModelVersion]
}

// byVendor gathers the versions of vendors' models that a reader may read.
func (c *console) byVendor(ctx context.Context, who registry.Caller) (found []vendored, more bool, err error) {
	at := map[string]int{}
	for from, seen := "", 0; seen < maxVendorVersions; {
		got, err := c.Registry.Named(ctx, who, wire.Browse{Prefix: record.KeyVersion(""), Type: string(record.Vendor), From: from, Limit: wire.MaxPage})
		if err != nil {
			return nil, false, err
		}
		for _, e := range got.Entries {
			body, err := record.Replay(e.Kind, e.Record)
			if err != nil {
				return nil, false, err
			}
			v, ok := body.(record.ModelVersion)
			if !ok {
				continue
			}
			name := lineage.VendorOf(v)
			if _, ok := at[name]; !ok {
				at[name], found = len(found), append(found, vendored{name: name})
			}
			mine := &found[at[name]]
			mine.versions = append(mine.versions, record.Recorded[record.ModelVersion]{Record: v, Actor: e.Actor, Time: e.Time})
		}
		seen += len(got.Entries)
		if from, more = got.Next, got.Next != ""; !more {
			break
		}
	}
	slices.SortFunc(found, func(a, b vendored) int { return strings.Compare(a.name, b.name) })
	return found, more, nil
}

// vendors is the page of all.
func (c *console) vendors(ctx context.Context, who registry.Caller, _ input) (*Page, error) {
	found, more, err := c.byVendor(ctx, who)
	if err != nil {
		return nil, err
	}
	t := Table{
		Caption: "Vendors, by name", ByName: true, Columns: []Column{{Label: "Vendor"}, {Label: "Models"}, {Label: "Newest version"}, {Label: "Registered by"}, {Label: "When"}},
		Empty: Empty{Sentence: "No vendor's model is registered yet.", Command: "imprimatur model register team/model@version FOLDER --type vendor --source https://vendor.example/model"},
	}
	known, err := c.Registry.Vendors(ctx, who, "")
	if err != nil {
		return nil, err
	}
	for _, v := range known {
		if name := v.Vendor.Record.Name; !slices.ContainsFunc(found, func(f vendored) bool { return f.name == name }) {
			t.Rows = append(t.Rows, Row{[]Cell{linked(name, vendorHref(name)), {}, {}, linked(v.Vendor.Actor, principalHref(v.Vendor.Actor)), when(v.Vendor.Time)}})
		}
	}
	for _, v := range found {
		newest := slices.MaxFunc(v.versions, func(a, b record.Recorded[record.ModelVersion]) int { return a.Time.Compare(b.Time) })
		var used Cell
		for _, x := range v.versions {
			l := Link{Text: x.Record.Model, Href: modelHref(x.Record.Model)}
			if !slices.Contains(used.Links, l) {
				used.Links = append(used.Links, l)
			}
		}
		t.Rows = append(t.Rows, Row{[]Cell{
			linked(v.name, vendorHref(v.name)), used, linked(newest.Record.Ref(), versionHref(newest.Record.Ref())),
			linked(newest.Actor, principalHref(newest.Actor)), when(newest.Time),
		}})
	}
	lead := "Who makes the models that were not trained here: the host that they come from."
	if more {
		lead += " There are more than are shown; the list of versions has all."
	}
	return &Page{Template: "list", Title: "Vendors", Lead: lead, Body: t}, nil
}

// vendor is the page of one: its models, what depends on them, and all that was
// stated of them.
func (c *console) vendor(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	name := in.path("name")
	found, _, err := c.byVendor(ctx, who)
	if err != nil {
		return nil, err
	}
	assured, keys, err := c.assured(ctx, who, name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found, func(v vendored) bool { return v.name == name })
	if i < 0 && len(assured) > 0 {
		i, found = 0, []vendored{{name: name}}
	}
	if i < 0 {
		return nil, api.Refusal(wire.Unknown, "the vendor %s is not known here, or you may not read its models; the lists show what you may", name)
	}
	table := &Table{
		Caption: "Its models", Columns: []Column{{Label: "Version"}, {Label: "Artifact"}, {Label: "Source"}, {Label: "Registered by"}, {Label: "When"}},
		Empty: Empty{Sentence: "No version here is one of its models.", Command: "imprimatur vendor accept TEAM/NAME@VERSION --vendor " + name + " --service ID"},
	}
	for _, v := range found[i].versions {
		table.Rows = append(table.Rows, Row{[]Cell{
			linked(v.Record.Ref(), versionHref(v.Record.Ref())), digest(v.Record.Artifact),
			{Text: v.Record.Source, Code: true},
			linked(v.Actor, principalHref(v.Actor)), when(v.Time),
		}})
		if len(keys) < perPage {
			keys = append(keys, record.KeyVersion(v.Record.Ref()))
		}
	}
	depends, err := c.impact(ctx, who, "vendor:"+name)
	if err != nil {
		return nil, err
	}
	t := &thing{Sections: append(assured, section{Title: "Its models", Table: table}, depends)}
	err = t.tell(ctx, c, who, in, keys...)
	return &Page{Template: "thing", Title: name, Crumbs: []Link{{Text: "Vendors", Href: "/vendors"}}, Body: t}, err
}
