package console

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// model is the page of a model, or of the version that ?version= names.
func (c *console) model(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	ref := in.path("team") + "/" + in.path("name")
	if v := in.get("version"); v != "" {
		return c.version(ctx, who, in, ref+"@"+v)
	}
	m, e, err := newest[record.Model](ctx, c, who, record.KeyModel(ref), "the model "+ref)
	if err != nil {
		return nil, err
	}
	t := &thing{Facts: []Term{
		{"Kind", text(string(m.Type))},
		{"Owner", linked(m.Owner, principalHref(m.Owner))},
		{"Team", text(m.Team)},
		{"Registered by", linked(e.Actor, principalHref(e.Actor))},
		{"Releases", linked("of this model", "/releases?model="+ref)},
	}}
	s, err := c.under(ctx, who, "Versions", record.KeyVersions(ref), []string{"Version", "Artifact", "Training run", "Registered by", "When"},
		func(e wire.Entry, body record.Body) []Cell {
			v, ok := body.(record.ModelVersion)
			if !ok {
				return nil
			}
			return []Cell{linked(v.Version, versionHref(v.Ref())), digest(v.Artifact), runCell(v.Run), linked(e.Actor, principalHref(e.Actor)), when(e.Time)}
		}, "No version of it is registered yet.")
	if err != nil {
		return nil, err
	}
	t.Sections = append(t.Sections, s)
	err = t.tell(ctx, c, who, in, record.KeyModel(ref), record.KeyVersions(ref), record.KeyReleasesOf(ref))
	return &Page{Template: "thing", Title: ref, Lead: m.Description, Crumbs: []Link{{Text: "Models", Href: "/models"}}, Body: t}, err
}

func (c *console) version(ctx context.Context, who registry.Caller, in input, ref string) (*Page, error) {
	v, e, err := newest[record.ModelVersion](ctx, c, who, record.KeyVersion(ref), "the model version "+ref)
	if err != nil {
		return nil, err
	}
	t := &thing{Facts: []Term{
		{"Kind", text(string(v.Type))},
		{"Artifact", Cell{Text: string(v.Artifact), Code: true, Note: "of the manifest of its files"}},
		{"Training run", runCell(v.Run)},
		{"Registered by", linked(e.Actor, principalHref(e.Actor))},
		{"When", when(e.Time)},
	}}
	if v.Source != "" {
		t.Facts = append(t.Facts, Term{"Source", Cell{Text: v.Source, Code: true}})
	}
	for _, b := range v.Bases {
		t.Facts = append(t.Facts, Term{"Made from", Cell{Text: string(b), Code: true}})
	}
	impact, err := c.impact(ctx, who, string(v.Artifact))
	if err != nil {
		return nil, err
	}
	t.Sections = append(t.Sections, filesOf(v), impact)
	err = t.tell(ctx, c, who, in, record.KeyVersion(ref), record.KeyEvaluations(v.Artifact), record.KeyUses(v.Artifact))
	return &Page{
		Template: "thing", Title: ref, Crumbs: []Link{{Text: "Models", Href: "/models"}, {Text: v.Model, Href: modelHref(v.Model)}}, Body: t,
	}, err
}

// mostFiles is how many files of a model its page lists.
const mostFiles = 200

// filesOf lists the files of a model with what was found in them.
func filesOf(v record.ModelVersion) section {
	found := map[string]string{}
	for _, f := range v.Findings {
		found[f.File] += f.Type + ": " + f.Detail + " "
	}
	t := &Table{Caption: "Files", Columns: []Column{{Label: "File"}, {Label: "Bytes", Number: true}, {Label: "SHA-256"}, {Label: "Found in it"}}}
	for i, f := range v.Files {
		if i == mostFiles {
			break
		}
		sum := record.DigestFromHex(f.SHA256)
		t.Rows = append(t.Rows, Row{[]Cell{{Text: f.Path, Code: true}, {Text: strconv.FormatInt(f.Size, 10), Number: true}, digest(sum), text(found[f.Path])}})
	}
	s := section{Title: "Files", Table: t}
	if len(v.Files) > mostFiles {
		s.Text = "The first " + strconv.Itoa(mostFiles) + " of " + strconv.Itoa(len(v.Files)) + "; the statement of the version names all."
	}
	return s
}

// run is the page of a training run.
func (c *console) run(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	ref := in.path("team") + "/" + in.path("name")
	r, e, err := newest[record.Run](ctx, c, who, record.KeyRun(ref), "the training run "+ref)
	if err != nil {
		return nil, err
	}
	commit := Cell{Text: r.Code.Commit, Code: true, Note: r.Code.Repository}
	if r.Code.Dirty {
		commit.Marks = []string{"with changes that no commit has"}
	}
	t := &thing{Facts: []Term{
		{"Recorded by", linked(e.Actor, principalHref(e.Actor))},
		{"Began", when(r.Started)},
		{"Ended", when(r.Finished)},
		{"Commit", commit},
		{"Author", text(r.Code.Author)},
		{"Read", resources(r.Inputs)},
		{"Made", resources(r.Outputs)},
	}}
	if r.Initiator != "" {
		t.Facts = append(t.Facts, Term{"Ran for", linked(r.Initiator, principalHref(r.Initiator))})
	}
	impact, err := c.impact(ctx, who, "run:"+ref)
	if err != nil {
		return nil, err
	}
	t.Sections = append(t.Sections, texts("Parameters", r.Parameters, "None is recorded."), texts("Environment", r.Environment, "None is recorded."), impact)
	keys := []string{record.KeyRun(ref)}
	for _, o := range r.Outputs {
		keys = append(keys, record.KeyArtifact(o.Digest))
	}
	err = t.tell(ctx, c, who, in, keys...)
	return &Page{Template: "thing", Title: ref, Lead: "A training run.", Crumbs: []Link{{Text: "Training runs", Href: "/runs"}}, Body: t}, err
}

// texts lists names with their texts.
func texts(title string, m map[string]string, none string) section {
	if len(m) == 0 {
		return section{Title: title, Text: none}
	}
	s := section{Title: title}
	for _, k := range sortedNames(m) {
		s.Terms = append(s.Terms, Term{k, text(m[k])})
	}
	return s
}

// useCase is the page of a use case.
func (c *console) useCase(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	ref := in.path("team") + "/" + in.path("name")
	u, _, err := newest[record.UseCase](ctx, c, who, record.KeyUseCase(ref), "the use case "+ref)
	if err != nil {
		return nil, err
	}
	t := &thing{Facts: []Term{{"Tier", text(u.Tier)}, {"Owner", linked(u.Owner, principalHref(u.Owner))}, {"Purpose", Cell{Text: u.Purpose, Note: "what data may be approved for"}}}}
	for _, e := range u.Environments {
		t.Facts = append(t.Facts, Term{"May run in", linked(e, "/live?environment="+e)})
	}
	if u.Context != "" {
		t.Sections = append(t.Sections, section{Title: "Context", Text: u.Context})
	}
	misuse := &Table{Caption: "Misuse cases", Columns: []Column{{Label: "Case"}, {Label: "Evidence"}, {Label: "Why"}}, Empty: Empty{Sentence: "No misuse case was judged for this use."}}
	for _, m := range u.Misuse {
		word := badge("waived", "set aside")
		if m.Required {
			word = badge("pass", "required")
		}
		misuse.Rows = append(misuse.Rows, Row{[]Cell{text(m.Case), word, text(m.Reason)}})
	}
	t.Sections = append(t.Sections, section{Title: "Misuse cases", Text: u.Catalogue, Table: misuse})
	err = t.tell(ctx, c, who, in, record.KeyUseCase(ref))
	return &Page{Template: "thing", Title: u.Title, Lead: ref, Crumbs: []Link{{Text: "Use cases", Href: "/use-cases"}}, Body: t}, err
}

// evaluation is the page of an evaluation by its ID.
func (c *console) evaluation(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	id := in.path("id")
	v, e, err := newest[record.Evaluation](ctx, c, who, record.KeyEvaluation(id), "the evaluation "+id)
	if err != nil {
		return nil, err
	}
	t := &thing{Facts: []Term{
		{"Suite", text(string(v.Category) + "/" + v.Suite)},
		{"Recorded by", linked(e.Actor, principalHref(e.Actor))},
		{"Ran", when(v.Ran)},
		{"Tool", text(v.Tool.Name + " " + v.Tool.Version)},
		{"Assurance", text(v.Assurance)},
		{"Try", text(strconv.Itoa(v.Attempt))},
		{"Model", Cell{Text: v.Artifact.Short(), Full: string(v.Artifact), Code: true}},
		{"Data", linked(v.Dataset.Short(), dataHref(v.Dataset))},
		{"Items", text(strconv.Itoa(v.Counts.Scored) + " scored of " + strconv.Itoa(v.Counts.Evaluated))},
	}}
	if v.Incomplete != "" {
		t.Facts = append(t.Facts, Term{"Incomplete", Cell{Badge: &Badge{"invalid", "does not count"}, Note: v.Incomplete}})
	}
	files := &Table{Caption: "Evidence", Columns: []Column{{Label: "File"}, {Label: "Format"}, {Label: "Bytes", Number: true}, {Label: "SHA-256"}}}
	for _, f := range v.Evidence {
		files.Rows = append(files.Rows, Row{[]Cell{{Text: f.Name, Code: true}, text(f.Format), {Text: strconv.FormatInt(f.Bytes, 10), Number: true}, digest(f.Digest)}})
	}
	t.Sections = append(t.Sections, metricsOf(v), section{Title: "Evidence", Table: files})
	err = t.tell(ctx, c, who, in, record.KeyEvaluation(id))
	return &Page{Template: "thing", Title: "Evaluation " + id, Lead: string(v.Category) + "/" + v.Suite, Crumbs: []Link{{Text: "Ledger", Href: "/ledger?kind=evaluation"}}, Body: t}, err
}

// metricsOf lists what an evaluation found out.
func metricsOf(v record.Evaluation) section {
	t := &Table{Caption: "Metrics", Columns: []Column{{Label: "Metric"}, {Label: "Value", Number: true}, {Label: "95 % interval", Number: true}, {Label: "Items", Number: true}}}
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', 5, 64) }
	for i, m := range v.Metrics {
		if i == mostFiles {
			break
		}
		between := Cell{Number: true}
		if u := cmp.Or(m.Computed, m.Reported); u != nil && u.Lower95 != nil && u.Upper95 != nil {
			between.Text, between.Note = number(*u.Lower95)+" to "+number(*u.Upper95), u.Method
		}
		t.Rows = append(t.Rows, Row{[]Cell{text(m.Label()), {Text: number(m.Value), Number: true}, between, {Text: strconv.Itoa(m.N), Number: true}}})
	}
	return section{Title: "What it found", Table: t}
}

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
