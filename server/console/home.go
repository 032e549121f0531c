package console

import (
	"context"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// homeBody is the first page.
type homeBody struct {
	// Steps are shown while nothing was ever released.
	Steps []Step
	// Waiting is the beginning of the inbox, and More how much of it is left out.
	Waiting []InboxItem
	More    int
	Live    Table
	Recent  Table
	Signals []Event
	Ledger  []Term
}

// Step is one of the steps to the first governed release.
type Step struct {
	Title    string
	Why      string
	Commands []string
	Done     bool
}

// shortList is how much of a longer list the first page shows.
const shortList = 8

// home shows a newcomer the way to the first release, and everybody else how
// things are.
func (c *console) home(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	p := &Page{Template: "home", Title: "Home"}
	body := homeBody{Ledger: []Term{{"Ledger", Cell{Text: c.Registry.Origin(), Code: true}}, {"Its key", Cell{Text: c.Registry.VerifierKey(), Code: true, Href: "/log/key"}}}}
	recent, err := c.Registry.FindReleases(ctx, who, registry.Query{Limit: shortList})
	if err != nil {
		return nil, err
	}
	if recent.Total == 0 {
		p.Lead = "Four steps lead to the first governed release."
		body.Steps, err = c.steps(ctx, who)
		p.Body = body
		return p, err
	}
	waiting, err := c.Registry.Waiting(ctx, who)
	if err != nil {
		return nil, err
	}
	body.More = max(0, len(waiting)-shortList)
	body.Waiting = c.items(waiting[:min(len(waiting), shortList)])
	live, err := c.Registry.FindReleases(ctx, who, registry.Query{Status: record.Live, Limit: shortList})
	if err != nil {
		return nil, err
	}
	body.Live = Table{Caption: "Live releases", Columns: releaseColumns, Empty: Empty{Sentence: "Nothing runs yet."}}
	if body.Live.Rows, err = c.releaseRows(ctx, who, live.List); err != nil {
		return nil, err
	}
	if live.Next > 0 {
		body.Live.Next = "/releases?status=live"
	}
	body.Recent = Table{Caption: "Newest releases", Columns: releaseColumns}
	if body.Recent.Rows, err = c.releaseRows(ctx, who, recent.List); err != nil {
		return nil, err
	}
	if body.Signals, err = c.signals(ctx, who); err != nil {
		return nil, err
	}
	p.Lead = count(recent.Total, "release", "releases") + ", " + count(live.Total, "of them runs", "of them run") + "."
	p.Body = body
	return p, nil
}

// signals are the latest of what was seen after promotions.
func (c *console) signals(ctx context.Context, who registry.Caller) ([]Event, error) {
	got, err := c.Registry.List(ctx, who, record.KindSignal, 0, shortList)
	if err != nil {
		return nil, err
	}
	var out []Event
	for _, e := range got.Entries {
		body, err := record.Replay(e.Kind, e.Record)
		if err != nil {
			return nil, err
		}
		if s, ok := body.(record.Signal); ok {
			out = append(out, Event{Time: e.Time, Badge: &Badge{"invalid", s.Type}, Who: e.Actor, What: "on", On: s.Release, Text: s.Detail})
		}
	}
	return out, nil
}

// steps lead an empty installation to its first release, each done when
// something of its kind is in the ledger.
func (c *console) steps(ctx context.Context, who registry.Caller) ([]Step, error) {
	steps := []struct {
		Step
		kind record.Kind
	}{
		{Step{Title: "People and their roles", Why: "One person fills one seat: whoever trains a model does not approve it.", Commands: []string{
			"imprimatur principal team clinic", "imprimatur principal enrol ann",
			"imprimatur principal bind ann --role contributor --team clinic", "imprimatur principal invite ann",
		}}, record.KindTeam},
		{Step{Title: "Rules, a place and a use", Why: "A policy says what each risk tier asks for; an environment names its policy and the least tier that it accepts.", Commands: []string{
			"imprimatur policy ready NAME > policy.yaml", "imprimatur policy publish policy.yaml",
			"imprimatur principal environment production --least-tier low --policy NAME",
			"imprimatur usecase register clinic/triage --title TEXT --purpose triage --tier low --environment production",
		}}, record.KindUseCase},
		{Step{Title: "Evidence", Why: "Data, the training run, the model's exact bytes, and evaluations from the tool that you use already.", Commands: []string{
			"imprimatur dataset register clinic/cases@1 PATH", "imprimatur dataset approve clinic/cases@1 --purpose triage --until 365d --reason TEXT",
			"imprimatur run record run.json", "imprimatur model create clinic/net", "imprimatur model register clinic/net@1 PATH", "imprimatur eval record FILE",
		}}, record.KindEvaluation},
		{Step{Title: "The release", Why: "Propose it, let people decide on its page, promote it.", Commands: []string{
			"imprimatur release propose clinic/net@1 --use-case clinic/triage --environment production", "imprimatur release promote ID",
		}}, record.KindPromotion},
	}
	out := make([]Step, len(steps))
	for i, s := range steps {
		got, err := c.Registry.List(ctx, who, s.kind, 0, 1)
		if err != nil {
			return nil, err
		}
		out[i] = s.Step
		out[i].Done = len(got.Entries) > 0
	}
	return out, nil
}

// operations is the page of the API.
func (c *console) operations(_ context.Context, _ registry.Caller, _ input) (*Page, error) {
	t := Table{Caption: "Operations of the API", Columns: []Column{{Label: "Operation"}, {Label: "What it does"}, {Label: "For"}}}
	for _, op := range c.Operations {
		t.Rows = append(t.Rows, Row{[]Cell{{Text: op.Method + " " + op.Path, Code: true}, text(op.Summary), text(op.Access)}})
	}
	return &Page{Template: "operations", Title: "The API", Body: t}, nil
}
