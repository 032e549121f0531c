package console

import (
	"context"
	"strings"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// listing is a list of the things of one noun, in the order of their names.
type listing struct {
	title, lead string
	// prefix begins the keys of the things; kind narrows them down for good,
	// kinds are what the reader can narrow them down to.
	prefix, kind string
	kinds        []string
	kindLabel    string
	hint         string
	columns      []string
	row          func(e wire.Entry, body record.Body, now time.Time) []Cell
	add          Link
	empty        Empty
}

// listed is the page of a listing.
func listed(l listing) answer {
	return page(func(c *console, ctx context.Context, who registry.Caller, in input) (*Page, error) {
		q := wire.Browse{Prefix: l.prefix, Begins: in.get("q"), Type: l.kind, From: in.get("from"), Limit: perPage}
		if len(l.kinds) > 0 {
			q.Type = in.get("kind")
		}
		got, err := c.Registry.Named(ctx, who, q)
		if err != nil {
			return nil, err
		}
		t := Table{Caption: l.title + ", by name", ByName: true, Add: l.add, Empty: l.empty, Filters: []Field{{Kind: "search", Name: "q", Label: "Name begins with", Value: q.Begins, Hint: l.hint}}}
		if len(l.kinds) > 0 {
			options := []Option{{Text: "all"}}
			for _, k := range l.kinds {
				options = append(options, Option{Value: k, Text: k})
			}
			t.Filters = append(t.Filters, Field{Kind: "select", Name: "kind", Label: l.kindLabel, Options: choose(q.Type, options...)})
		}
		if q.Begins != "" || in.get("kind") != "" {
			t.Empty = Empty{Sentence: "Nothing that you may read is like that.", Link: Link{Text: "All of them", Href: in.request.URL.Path}}
		}
		for _, label := range l.columns {
			t.Columns = append(t.Columns, Column{Label: label})
		}
		for _, e := range got.Entries {
			body, err := record.Replay(e.Kind, e.Record)
			if err != nil {
				return nil, err
			}
			t.Rows = append(t.Rows, Row{l.row(e, body, c.now())})
		}
		if q.From != "" {
			t.First = in.with("from", "")
		}
		if got.Next != "" {
			t.Next = in.with("from", got.Next)
		}
		return &Page{Template: "list", Title: l.title, Lead: l.lead, Body: t}, nil
	})
}

var modelKinds = []string{string(record.Trained), string(record.FineTuned), string(record.Vendor), string(record.Agent)}

var models = listing{
	title: "Models", lead: "Names under which versions stand. A vendor's model is one of the kinds.",
	prefix: record.KeyModel(""), kinds: modelKinds, kindLabel: "Kind", hint: "team/model",
	columns: []string{"Model", "Kind", "Owner", "What it is", "Last changed"},
	row: func(e wire.Entry, body record.Body, _ time.Time) []Cell {
		m, _ := body.(record.Model)
		return []Cell{linked(m.Ref(), modelHref(m.Ref())), text(string(m.Type)), linked(m.Owner, principalHref(m.Owner)), text(m.Description), when(e.Time)}
	},
	empty: Empty{Sentence: "No model is registered yet.", Command: "imprimatur model create team/model --type trained --owner NAME"},
}

var modelVersions = listing{
	title: "Model versions", lead: "Each is the digest of one model's files, which never change under it.",
	prefix: record.KeyVersion(""), kinds: modelKinds, kindLabel: "Kind", hint: "team/model@version",
	columns: []string{"Version", "Kind", "Artifact", "Training run", "Registered by", "When"},
	row: func(e wire.Entry, body record.Body, _ time.Time) []Cell {
		v, _ := body.(record.ModelVersion)
		return []Cell{linked(v.Ref(), versionHref(v.Ref())), text(string(v.Type)), digest(v.Artifact), runCell(v.Run), linked(e.Actor, principalHref(e.Actor)), when(e.Time)}
	},
	empty: Empty{Sentence: "No model version is registered yet.", Command: "imprimatur model register team/model@version FOLDER --run team/run"},
}

func runCell(ref string) Cell {
	if ref == "" {
		return text("none")
	}
	return linked(ref, runHref(ref))
}

var datasets = listing{
	title: "Data sets", lead: "Named, versioned data, known by the SHA-256 of its bytes.",
	prefix: record.KeyDataset(""), hint: "team/name, or a digest as sha256:…",
	columns: []string{"Data set", "Newest version", "Classification", "Owner", "Source", "Last changed"},
	row: func(e wire.Entry, body record.Body, _ time.Time) []Cell {
		d, _ := body.(record.Dataset)
		name := d.Team + "/" + d.Name
		return []Cell{
			linked(name, datasetHref(name)),
			{Text: d.Version, Href: dataHref(d.Digest), Note: d.Digest.Short()},
			text(d.Classification), linked(d.Owner, principalHref(d.Owner)),
			{Text: d.Source, Code: true},
			when(e.Time),
		}
	},
	empty: Empty{Sentence: "No data set is registered yet.", Command: "imprimatur dataset register team/name@version FILE --source URI"},
}

var runs = listing{
	title: "Training runs", lead: "What was made from what, by which code, and by whose identity.",
	prefix: record.KeyRun(""), hint: "team/run",
	columns: []string{"Run", "Recorded by", "Code", "Read", "Made", "Ended"},
	row: func(e wire.Entry, body record.Body, _ time.Time) []Cell {
		r, _ := body.(record.Run)
		return []Cell{
			linked(r.Ref(), runHref(r.Ref())), linked(e.Actor, principalHref(e.Actor)),
			{Text: r.Code.Commit[:min(len(r.Code.Commit), 12)], Code: true, Full: r.Code.Commit},
			resources(r.Inputs), resources(r.Outputs), when(r.Finished),
		}
	},
	empty: Empty{Sentence: "No training run is recorded yet.", Command: "imprimatur run record FILE"},
}

// resources are what a run read or wrote.
func resources(rs []record.Resource) Cell {
	var c Cell
	for _, r := range rs {
		l := Link{Text: r.Name}
		if r.Type == record.ResourceDataset {
			l.Href = dataHref(r.Digest)
		}
		c.Links = append(c.Links, l)
	}
	return c
}

var useCases = listing{
	title: "Use cases", lead: "What models are for, who answers for it, and how much is at stake.",
	prefix: record.KeyUseCase(""), kinds: []string{"low", "medium", "high"}, kindLabel: "Tier", hint: "team/use-case",
	columns: []string{"Use case", "What for", "Tier", "Owner", "Environments", "Last changed"},
	row: func(e wire.Entry, body record.Body, _ time.Time) []Cell {
		u, _ := body.(record.UseCase)
		return []Cell{linked(u.Ref(), useCaseHref(u.Ref())), text(u.Title), text(u.Tier), linked(u.Owner, principalHref(u.Owner)), text(strings.Join(u.Environments, ", ")), when(e.Time)}
	},
	empty: Empty{Sentence: "No use case is registered yet.", Command: "imprimatur usecase register team/use-case --title TEXT --purpose WORD --tier high --environment production"},
}

var people = listing{
	title: "People", lead: "Who is enrolled here. Rights come from roles, which an administrator binds.",
	prefix: record.KeyPrincipal(""), kind: string(record.Human), hint: "name",
	columns: []string{"Name", "Shown as", "State", "Last changed by", "When"},
	row: func(e wire.Entry, body record.Body, now time.Time) []Cell {
		p, _ := body.(record.Principal)
		return []Cell{linked(p.Name, principalHref(p.Name)), text(p.DisplayName), stands(p, now), linked(e.Actor, principalHref(e.Actor)), when(e.Time)}
	},
	add:   Link{Text: "Enrol somebody", Href: "/people/enrol"},
	empty: Empty{Sentence: "Nobody is enrolled yet.", Command: "imprimatur principal enrol NAME"},
}

var workloads = listing{
	title: "Workloads", lead: "Identities that are no people: pipelines, deployers, running models. Each has a human owner, a purpose and an end.",
	prefix: record.KeyPrincipal(""), kind: string(record.Workload), hint: "name",
	columns: []string{"Name", "Purpose", "Owner", "State", "Ends"},
	row: func(_ wire.Entry, body record.Body, now time.Time) []Cell {
		p, _ := body.(record.Principal)
		return []Cell{linked(p.Name, principalHref(p.Name)), text(p.Purpose), linked(p.Owner, principalHref(p.Owner)), stands(p, now), when(p.Expires)}
	},
	empty: Empty{Sentence: "No workload is enrolled yet.", Command: "imprimatur principal enrol NAME --workload --owner PERSON --purpose TEXT --expires 90d"},
}

// stands says whether an identity may be used.
func stands(p record.Principal, now time.Time) Cell {
	switch {
	case p.Disabled:
		return badge("suspended", "disabled")
	case !p.Stands(now):
		return badge("retired", "expired")
	}
	return badge("pass", "stands")
}
