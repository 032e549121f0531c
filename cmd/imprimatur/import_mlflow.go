package main

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/client"
	"imprimatur.dev/record"
	"imprimatur.dev/tracking"
	"imprimatur.dev/wire"
)

type importMLflowCmd struct {
	From      string `arg:"" name:"url" help:"The address of the team's MLflow."`
	Team      string `required:"" placeholder:"NAME" help:"The team whose models they become."`
	TokenFile string `name:"mlflow-token-file" placeholder:"FILE" help:"Holds the token for that MLflow; or MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."`
}

// Help implements kong.HelpProvider.
func (c *importMLflowCmd) Help() string {
	return `Every registered model and version becomes one here, in the order of the numbers, and then every run. The server reads the bytes and
the runs where it was started with --mlflow-tracking for the same MLflow. A second run registers nothing twice, and one that was cut off is
gone on with. Aliases and stages become tags: here they may be promotions, which nobody asks for by an import.

  imprimatur import mlflow http://mlflow.example:5000 --team lab`
}

// The tags that an import leaves.
const (
	importedTag = "imprimatur.imported" // ADDRESS NAME/VERSION, by which a second import knows it
	aliasTag    = "mlflow.alias."       // with the version that the alias pointed to
	stageTag    = "mlflow.stage"
	createdTag  = "mlflow.created" // in milliseconds, as MLflow has it
)

// importedMLflow is what became of an MLflow.
type importedMLflow struct {
	From        string `json:"from"`
	Experiments int    `json:"experiments"`
	Runs        int    `json:"runs"`
	Models      int    `json:"models"`
	Versions    int    `json:"versions"`
	// Registered are the versions that were registered now, Known those that were
	// here before, and Refused those that were not taken.
	Registered int `json:"registered"`
	Known      int `json:"known"`
	// Reported are the runs that were recorded now, as they are reported, besides
	// those that came with their versions; RunsKnown are those that were here
	// before, and RunsLeft those that were not taken.
	Reported  int      `json:"reported"`
	RunsKnown int      `json:"runsKnown"`
	RunsLeft  int      `json:"runsLeft"`
	Refused   []string `json:"refused,omitzero"`
	// Lost says what has no place here.
	Lost []string `json:"lost,omitzero"`
}

// theirs is what an MLflow's registry has, and whether the runs that its versions
// name are there. Of the other runs nothing is kept.
type theirs struct {
	models   []tracking.RegisteredModel
	versions map[string][]tracking.ModelVersion
	runs     map[string]bool
}

// Run implements the command.
func (c *importMLflowCmd) Run(a *app) error {
	from, err := tracking.New(tracking.Config{URL: c.From, Env: a.env, TokenFile: c.TokenFile})
	if err != nil {
		return wrongf("%w", err)
	}
	out := importedMLflow{From: c.From}
	has, err := c.read(a, from, &out)
	if err != nil {
		return elsewhere(err)
	}
	known, err := c.known(a)
	if err != nil {
		return err
	}
	if err := c.register(a, from, has, known, &out); err != nil {
		return err
	}
	if err := c.runs(a, from, has, &out); err != nil {
		return err
	}
	c.lost(has, &out)
	if err := a.show(out, out.draw); err != nil {
		return err
	}
	if len(out.Refused) > 0 {
		return no()
	}
	return nil
}

// elsewhere is a fault of the other server, which is not the one that is asked.
func elsewhere(err error) error {
	if errors.Is(err, tracking.ErrAnswer) || errors.Is(err, tracking.ErrListing) {
		return &failure{code: exitWrong, err: err, hint: "is it the address of an MLflow?"}
	}
	return &failure{code: exitUndecided, err: err, hint: "run the same command again: what was imported is not imported twice"}
}

// read lists all that is registered there before anything is registered here.
func (c *importMLflowCmd) read(a *app, from *tracking.Client, out *importedMLflow) (*theirs, error) {
	has := &theirs{versions: map[string][]tracking.ModelVersion{}, runs: map[string]bool{}}
	var err error
	if has.models, err = collect(from.RegisteredModels(a.ctx)); err != nil {
		return nil, err
	}
	for v, err := range from.ModelVersions(a.ctx) {
		if err != nil {
			return nil, err
		}
		has.versions[v.Name] = append(has.versions[v.Name], v)
		if v.Run != "" {
			has.runs[v.Run] = false
		}
		out.Versions++
	}
	for _, versions := range has.versions {
		slices.SortFunc(versions, func(a, b tracking.ModelVersion) int { return cmp.Compare(a.Number(), b.Number()) })
	}
	out.Models = len(has.models)
	return has, nil
}

func collect[T any](from iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for item, err := range from {
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

// known returns the marks of what was imported before. Our own server speaks the
// same protocol.
func (c *importMLflowCmd) known(a *app) (map[string]bool, error) {
	ours, err := tracking.New(tracking.Config{URL: a.server() + "/t/" + c.Team, Env: func(name string) string {
		if name == "MLFLOW_TRACKING_TOKEN" {
			return a.env("IMPRIMATUR_TOKEN")
		}
		return ""
	}})
	if err != nil {
		return nil, wrongf("%w", err)
	}
	known := map[string]bool{}
	for v, err := range ours.ModelVersions(a.ctx) {
		if err != nil {
			var f *tracking.Fault
			if errors.As(err, &f) && f.Status < 500 {
				return nil, &failure{code: exitNo, err: errors.New(f.Message)}
			}
			return nil, &failure{code: exitUndecided, err: fmt.Errorf("cannot reach the server at %s: %w", a.server(), err), hint: "start one with imprimatur serve, or set IMPRIMATUR_URL"}
		}
		for _, tag := range v.Tags {
			if tag.Key == importedTag {
				known[string(tag.Value)] = true
			}
		}
	}
	return known, nil
}

func (c *importMLflowCmd) mark(v tracking.ModelVersion) string {
	return strings.TrimRight(c.From, "/") + " " + v.Name + "/" + string(v.Version)
}

// register registers what is not known yet.
func (c *importMLflowCmd) register(a *app, from *tracking.Client, has *theirs, known map[string]bool, out *importedMLflow) error {
	report, end := a.progress("registering versions")
	defer end()
	done := 0
	for _, m := range has.models {
		tags := tagsOf(m.Tags, map[string]string{createdTag: string(m.Created)})
		for _, alias := range m.Aliases {
			tags = append(tags, tag{aliasTag + alias.Alias, string(alias.Version)})
		}
		err := a.client().MLflow(a.ctx, c.Team, "registered-models/create", map[string]any{"name": m.Name, "description": m.Description, "tags": tags}, &struct{}{})
		if err != nil && !refusedAs(err, wire.Conflict) {
			if !refusedAs(err, wire.Invalid) {
				return err
			}
			out.Refused = append(out.Refused, fmt.Sprintf("%s: %v", m.Name, err))
			continue
		}
		for _, v := range has.versions[m.Name] {
			report(int64(done), int64(out.Versions))
			done++
			if known[c.mark(v)] {
				out.Known++
				continue
			}
			if err := c.version(a, from, v, out); err != nil {
				return err
			}
		}
	}
	return nil
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func tagsOf(theirs []tracking.Pair, more map[string]string) []tag {
	out := []tag{}
	for _, p := range theirs {
		out = append(out, tag{p.Key, string(p.Value)})
	}
	for _, key := range slices.Sorted(maps.Keys(more)) {
		out = append(out, tag{key, more[key]})
	}
	return out
}

func refusedAs(err error, code wire.Code) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Code == code
}

// version registers one version from where its bytes are.
func (c *importMLflowCmd) version(a *app, from *tracking.Client, v tracking.ModelVersion, out *importedMLflow) error {
	source := v.Source
	if strings.HasPrefix(source, "models:/") && !strings.HasPrefix(source, "models:/m-") {
		// It is another version's there, under a number that means another one here.
		var err error
		if source, err = from.DownloadURI(a.ctx, v.Name, string(v.Version)); err != nil {
			return elsewhere(err)
		}
	}
	asked := map[string]any{"name": v.Name, "source": source, "description": v.Description, "tags": tagsOf(v.Tags, map[string]string{
		importedTag: c.mark(v), stageTag: cmp.Or(v.Stage, record.StageNone), createdTag: string(v.Created),
	})}
	for name, value := range map[string]string{"run_id": v.Run, "run_link": v.RunLink, "model_id": v.ModelID} {
		if value != "" {
			asked[name] = value
		}
	}
	var got struct {
		Version struct {
			Version string `json:"version"`
			Status  string `json:"status"`
			Message string `json:"status_message"`
		} `json:"model_version"`
	}
	err := a.client().MLflow(a.ctx, c.Team, "model-versions/create", asked, &got)
	if refusedAs(err, wire.Invalid) || refusedAs(err, wire.Refused) {
		out.Refused = append(out.Refused, fmt.Sprintf("%s, version %s: %v", v.Name, v.Version, err))
		return nil
	}
	if err != nil {
		return err
	}
	out.Registered++
	if got.Version.Version != string(v.Version) {
		out.Lost = append(out.Lost, fmt.Sprintf("%s, version %s: it has the number %s here", v.Name, v.Version, got.Version.Version))
	}
	if got.Version.Message != "" {
		out.Lost = append(out.Lost, fmt.Sprintf("%s, version %s: %s", v.Name, v.Version, got.Version.Message))
	}
	return nil
}

// lost says what has no place here, whenever it was imported.
func (c *importMLflowCmd) lost(has *theirs, out *importedMLflow) {
	for _, m := range has.models {
		for _, alias := range m.Aliases {
			out.Lost = append(out.Lost, fmt.Sprintf("%s: the alias %s of version %s is kept as the tag %s; set it here when a release stands", m.Name, alias.Alias, alias.Version, aliasTag+alias.Alias))
		}
		for _, v := range has.versions[m.Name] {
			if v.Stage != "" && v.Stage != record.StageNone {
				out.Lost = append(out.Lost, fmt.Sprintf("%s, version %s: the stage %s is kept as the tag %s", m.Name, v.Version, v.Stage, stageTag))
			}
			if v.Run != "" && !has.runs[v.Run] {
				out.Lost = append(out.Lost, fmt.Sprintf("%s, version %s: its run %s is not there any more", m.Name, v.Version, v.Run))
			}
		}
	}
	if out.Runs > 0 {
		out.Lost = append(out.Lost, "of each metric the last value is here; how it went before stays in MLflow")
	}
	if out.Versions > 0 {
		out.Lost = append(out.Lost, "when versions were registered there is kept as the tag "+createdTag+"; here they are registered now")
	}
}

func (m importedMLflow) draw(p *page) {
	p.line("%s: %s, %s, %s, %s", m.From, count(m.Experiments, "experiment"), count(m.Runs, "run"), count(m.Models, "model"), count(m.Versions, "version"))
	p.line("%s registered, %s here before", count(m.Registered, "version"), strconv.Itoa(m.Known))
	p.line("%s reported, %d here before, %d not taken", count(m.Reported, "run"), m.RunsKnown, m.RunsLeft)
	for _, part := range []struct {
		title string
		lines []string
	}{{"refused", m.Refused}, {"lost in translation", m.Lost}} {
		if len(part.lines) > 0 {
			p.line("%s:", part.title)
		}
		for _, l := range part.lines {
			p.line("  %s", l)
		}
	}
}
