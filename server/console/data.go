package console

import (
	"context"
	"fmt"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

var dataCrumbs = []Link{{Text: "Data sets", Href: "/datasets"}}

// dataset is the page of a dataset's name, with its versions.
func (c *console) dataset(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	team, name := in.path("team"), in.path("name")
	ref, key := team+"/"+name, record.KeyDatasetName(team, name)
	d, _, err := newest[record.Dataset](ctx, c, who, key, "the data set "+ref)
	if err != nil {
		return nil, err
	}
	t := &thing{Facts: []Term{{"Newest version", linked(d.Version, dataHref(d.Digest))}, {"Classification", text(d.Classification)}, {"Owner", linked(d.Owner, principalHref(d.Owner))}}}
	seen := map[record.Digest]bool{}
	s, err := c.under(ctx, who, "Versions", key, []string{"Version", "Digest", "Source", "Stated by", "When"}, func(e wire.Entry, body record.Body) []Cell {
		d, ok := body.(record.Dataset)
		if !ok || seen[d.Digest] {
			return nil
		}
		seen[d.Digest] = true
		return []Cell{linked(d.Version, dataHref(d.Digest)), digest(d.Digest), {Text: d.Source, Code: true}, linked(e.Actor, principalHref(e.Actor)), when(e.Time)}
	}, "No version of it is registered.")
	if err != nil {
		return nil, err
	}
	t.Sections = append(t.Sections, s)
	err = t.tell(ctx, c, who, in, key)
	return &Page{Template: "thing", Title: ref, Crumbs: dataCrumbs, Body: t}, err
}

// data is the page of one dataset version, by its digest.
func (c *console) data(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	d, e, err := c.dataOf(ctx, who, in)
	if err != nil {
		return nil, err
	}
	t := &thing{Facts: append(dataTerms(d), Term{"Registered by", linked(e.Actor, principalHref(e.Actor))}, Term{"When", when(e.Time)})}
	if d.Commitment != nil {
		t.Facts = append(t.Facts, Term{"Committed to", Cell{Text: fmt.Sprintf("%d items", d.Commitment.Items), Note: d.Commitment.Root.Short()}})
	}
	for _, from := range d.Derived {
		t.Facts = append(t.Facts, Term{"Made from", linked(from.Short(), dataHref(from))})
	}
	words, err := c.wordsOn(ctx, who, d)
	if err != nil {
		return nil, err
	}
	impact, err := c.impact(ctx, who, string(d.Digest))
	if err != nil {
		return nil, err
	}
	t.Sections = append(t.Sections, words, impact)
	err = t.tell(ctx, c, who, in, record.KeyDataset(d.Digest), record.KeyDataApprovals(d.Digest), record.KeyOverlaps(d.Digest), record.KeyUses(d.Digest))
	return &Page{
		Template: "thing", Title: d.Ref(), Crumbs: append(dataCrumbs[:1:1], Link{Text: d.Team + "/" + d.Name, Href: datasetHref(d.Team + "/" + d.Name)}), Body: t,
	}, err
}

func (c *console) dataOf(ctx context.Context, who registry.Caller, in input) (record.Dataset, wire.Entry, error) {
	name := record.Digest(in.path("digest"))
	if err := name.Validate(); err != nil {
		return record.Dataset{}, wire.Entry{}, api.Refusal(wire.Unknown, "%v; the list of data sets leads to each", err)
	}
	return newest[record.Dataset](ctx, c, who, record.KeyDataset(name), "the data set "+name.Short())
}

func dataTerms(d record.Dataset) []Term {
	return []Term{
		{"Digest", Cell{Text: string(d.Digest), Code: true}},
		{"Source", Cell{Text: d.Source, Code: true}},
		{"Classification", text(d.Classification)},
		{"Owner", linked(d.Owner, principalHref(d.Owner))},
		{"Visibility", text(d.Visibility)},
		{"Licence", text(d.Licence)},
	}
}

// wordsOn are the stewards' words on a dataset, those on its source included.
func (c *console) wordsOn(ctx context.Context, who registry.Caller, d record.Dataset) (section, error) {
	got, err := c.Registry.Under(ctx, who, 0, wire.MaxPage, record.KeyDataApprovals(d.Digest), record.KeySourceApprovals)
	if err != nil {
		return section{}, err
	}
	t := &Table{
		Caption: "What stewards decided, newest first", Columns: []Column{{Label: "Decision"}, {Label: "For"}, {Label: "By"}, {Label: "When"}, {Label: "Until"}, {Label: "Reason"}},
		Empty: Empty{Sentence: "No steward has decided on it, so no release may rest on it where a policy asks for approved data.", Command: "imprimatur dataset approve " + d.Ref() + " --purpose PURPOSE --until 180d --reason TEXT"},
	}
	for _, e := range got.Entries {
		a, ok := last[record.DataApproval]([]wire.Entry{e})
		if !ok || !a.Matches(d) {
			continue
		}
		word := badge("pass", "approved")
		switch {
		case a.Decision == record.Withdraw:
			word = badge("fail", "withdrawn")
		case !a.Expires.After(c.now()):
			word = badge("retired", "lapsed")
		}
		word.Href = entryHref(e.Index)
		if a.Source != "" {
			word.Note = "all from " + a.Source
		}
		purposes := strings.Join(a.Purposes, ", ")
		if purposes == "" {
			purposes = "all purposes"
		}
		t.Rows = append(t.Rows, Row{[]Cell{word, text(purposes), linked(e.Actor, principalHref(e.Actor)), when(e.Time), when(a.Expires), text(a.Reason)}})
	}
	s := section{Title: "What stewards decided", Table: t}
	s.Terms = []Term{{"Decide", Cell{Links: []Link{{Text: "Approve it", Href: dataHref(d.Digest) + "/decide?decision=allow"}, {Text: "Withdraw it", Href: dataHref(d.Digest) + "/decide?decision=withdraw"}}}}}
	return s, nil
}

// dataForm is the page before a steward's decision: whom it hits stands there
// before it is made.
func (c *console) dataForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	d, _, err := c.dataOf(ctx, who, in)
	if err != nil {
		return nil, err
	}
	withdraw := in.get("decision") == record.Withdraw
	p := &confirmation{Facts: [][]Term{dataTerms(d)}, Back: Link{Text: "Back to " + d.Ref(), Href: dataHref(d.Digest)}}
	foreseen := record.DataApproval{Dataset: d.Digest, Decision: record.Allow, Purposes: []string{"any"}, Expires: record.Millis(c.now().AddDate(0, 6, 0))}
	title := "Approve " + d.Ref()
	p.Form = Form{Action: dataHref(d.Digest) + "/decide", Submit: title, Fields: []Field{
		{Kind: "hidden", Name: "decision", Value: record.Allow},
		{Kind: "text", Name: "purposes", Label: "Purposes", Hint: "Those of the use cases, with commas between.", Value: in.get("purposes"), Required: true},
		{Kind: "date-time", Name: "expires", Label: "Until (UTC)", Value: in.get("expires"), Required: true},
		reasonField(in),
	}}
	p.Will = []string{"Releases whose use case has one of the purposes may rest on it until the date, through every model that was made from it."}
	if withdraw {
		foreseen = record.DataApproval{Dataset: d.Digest, Decision: record.Withdraw}
		title = "Withdraw " + d.Ref()
		p.Form.Submit, p.Form.Grave = title, true
		p.Form.Fields = []Field{
			{Kind: "hidden", Name: "decision", Value: record.Withdraw},
			{Kind: "text", Name: "purposes", Label: "Purposes", Hint: "With commas between; empty withdraws it for all.", Value: in.get("purposes")},
			reasonField(in),
		}
		p.Will = []string{"The approvals of the purposes named end at once. Every live release that rests on it, where its policy asks for approved data, stops: each decision on it is no from then on."}
	}
	_, err = c.Registry.ForeseeData(ctx, who, foreseen)
	if p.Not, err = c.refused(ctx, err); err != nil {
		return nil, err
	}
	if p.Not == nil {
		if p.May, err = c.because(ctx, who, "decide on data", d.Team, record.DataSteward); err != nil {
			return nil, err
		}
	}
	if p.Not == nil {
		if p.Hits, err = c.hits(ctx, who, in, p, foreseen); err != nil {
			return nil, err
		}
	}
	return &Page{Template: "confirm", Title: title, Lead: d.Digest.Short(), Crumbs: dataCrumbs, Body: p}, nil
}

// hits is what a decision reaches: of a withdrawal the live releases that it
// hits, and the form is held to the list that is shown.
func (c *console) hits(ctx context.Context, who registry.Caller, in input, p *confirmation, a record.DataApproval) (*section, error) {
	if a.Decision != record.Withdraw {
		reach, err := c.impact(ctx, who, string(a.Dataset))
		reach.Title = "What may rest on it"
		return &reach, err
	}
	a.Purposes, a.Reason = commaList(in.get("purposes")), "to be given"
	got, err := c.Registry.PreviewWithdrawal(ctx, who, a)
	if err != nil {
		return nil, err
	}
	p.Form.Fields = append(p.Form.Fields, Field{Kind: "hidden", Name: "seen", Value: string(got.Digest)})
	t := &Table{Caption: "Live releases that it hits", Columns: []Column{{Label: "Release"}, {Label: "Model"}, {Label: "Runs in"}, {Label: "Since"}, {Label: "What happens"}}, Empty: Empty{Sentence: "No live release that you may read rests on it for such a purpose."}}
	for _, h := range got.Releases {
		does := badge("waived", "its owners are told")
		if h.Stops {
			does = badge("suspended", "stops")
		}
		t.Rows = append(t.Rows, Row{[]Cell{{Text: h.Release, Href: releaseHref(h.Release), Code: true}, linked(h.Model, versionHref(h.Model)), text(h.Environment), when(h.Since), does}})
	}
	s := &section{Title: "What it hits", Text: impactSentence(got.Impact), Table: t}
	if got.Others > 0 {
		s.Text += fmt.Sprintf(" Of the live releases that it hits, %d are of teams that you may not read.", got.Others)
	}
	return s, nil
}

func (c *console) decideData(ctx context.Context, who registry.Caller, in input) (string, error) {
	a := record.DataApproval{Dataset: record.Digest(in.path("digest")), Decision: in.get("decision"), Reason: in.get("reason"), Purposes: commaList(in.get("purposes"))}
	var err error
	if a.Decision == record.Withdraw {
		_, err = c.Registry.Withdraw(ctx, who, wire.Withdrawal{Approval: a, Seen: record.Digest(in.get("seen"))})
		return dataHref(a.Dataset), err
	}
	if a.Expires, err = timeOf(in, "expires"); err != nil {
		return "", err
	}
	_, err = c.Registry.DecideData(ctx, who, a)
	return dataHref(a.Dataset), err
}
