package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

var policies = listing{
	title: "Policies", lead: "What a release must show, tier by tier. A release is judged by the version that was newest when it was proposed.",
	prefix: record.KeyPolicy(""), hint: "name",
	columns: []string{"Policy", "Newest version", "Published by", "When", "Why"},
	row: func(e wire.Entry, body record.Body, _ time.Time) []Cell {
		p, _ := body.(record.Policy)
		return []Cell{linked(p.Name, policyHref(p.Name, "")), digest(p.Digest), linked(e.Actor, principalHref(e.Actor)), when(e.Time), text(p.Reason)}
	},
	add:   Link{Text: "Draft one, and try it on what is live", Href: "/policy-draft"},
	empty: Empty{Sentence: "No policy is published yet.", Command: "imprimatur policy publish FILE"},
}

var policyCrumbs = []Link{{Text: "Policies", Href: "/policies"}}

// policyPage is the model of one version of a policy.
type policyPage struct {
	Facts    []Term
	Changes  []Change
	Since    string
	Tiers    []livePlace
	Versions Table
	Text     string
}

func (c *console) policy(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	name := in.path("name")
	got, err := c.Registry.Under(ctx, who, before(in), perPage, record.KeyPolicyName(name))
	if err != nil {
		return nil, err
	}
	p := &policyPage{Versions: Table{Caption: "Versions, newest first", Columns: []Column{{Label: "Version"}, {Label: "Published by"}, {Label: "When"}, {Label: "Why"}}}}
	var shown, older *wire.Entry
	for i, e := range got.Entries {
		v, _ := last[record.Policy]([]wire.Entry{e})
		p.Versions.Rows = append(p.Versions.Rows, Row{[]Cell{
			{Text: v.Digest.Short(), Full: string(v.Digest), Code: true, Href: policyHref(name, v.Digest)}, linked(e.Actor, principalHref(e.Actor)), when(e.Time), text(v.Reason),
		}})
		switch asked := in.get("version"); {
		case shown != nil && older == nil:
			older = &got.Entries[i]
		case shown == nil && (asked == "" || asked == string(v.Digest) || asked == v.Digest.Short()):
			shown = &got.Entries[i]
		}
	}
	p.Versions.place(in, before(in), got.Next)
	if shown == nil {
		return nil, api.Refusal(wire.Unknown, "no such version of the policy %s is published here; the list of policies shows what is", name)
	}
	v, _ := last[record.Policy]([]wire.Entry{*shown})
	loaded, err := policy.Load([]byte(v.Text))
	if err != nil {
		return nil, err
	}
	p.Text, p.Tiers = v.Text, tierTables(loaded)
	p.Facts = []Term{
		{"Version", Cell{Text: string(v.Digest), Code: true}},
		{"Published by", linked(shown.Actor, principalHref(shown.Actor))},
		{"When", Cell{Time: shown.Time, Note: v.Reason}},
		{"Ledger", linked(fmt.Sprintf("entry %d", shown.Index), entryHref(shown.Index))},
		{"Next version", linked("draft one from this, and try it on what is live", "/policy-draft?from="+string(v.Digest))},
	}
	if older != nil {
		if p.Changes, p.Since, err = changesSince(*older, loaded); err != nil {
			return nil, err
		}
	}
	return &Page{Template: "policy", Title: "Policy " + name, Crumbs: policyCrumbs, Body: p}, nil
}

// changesSince compares a policy with the version before it.
func changesSince(e wire.Entry, now *policy.Policy) ([]Change, string, error) {
	v, _ := last[record.Policy]([]wire.Entry{e})
	was, err := policy.Load([]byte(v.Text))
	if err != nil {
		return nil, "", err
	}
	out := []Change{}
	for _, x := range policy.Compare(was, now) {
		at := x.Tier + ", " + x.Gate + ": "
		if x.Was != "" {
			out = append(out, Change{"-", at + x.Was})
		}
		if x.Is != "" {
			out = append(out, Change{"+", at + x.Is})
		}
	}
	return out, v.Digest.Short(), nil
}

// tierTables say the gates of each tier in sentences.
func tierTables(p *policy.Policy) (out []livePlace) {
	for _, t := range p.Sentences() {
		title := "Tier " + t.Tier
		if t.Mode == record.Advise {
			title += ", which advises only and blocks nothing"
		}
		if t.Solo {
			title += ", solo: one person may fill every seat, and the release says so"
		}
		table := Table{Caption: title, Columns: []Column{{Label: "Gate"}, {Label: "Demands"}}}
		for _, r := range t.Rules {
			cell := text(r.Rule)
			if r.Mode == record.Advise {
				cell.Marks = []string{"advice"}
			}
			table.Rows = append(table.Rows, Row{[]Cell{{Text: r.Gate, Code: true}, cell}})
		}
		out = append(out, livePlace{title, table})
	}
	return out
}

// draftPage is the model of a policy that is being written.
type draftPage struct {
	Try     Form
	Tried   bool
	Said    string
	Trial   Table
	Notes   []string
	Publish *Form
	May     string
}

// draft is the page on which a policy is written and tried, and, once it was
// tried, published.
func (c *console) draft(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	content := fileOf(in)
	if from := record.Digest(in.get("from")); content == "" && from != "" {
		v, _, err := newest[record.Policy](ctx, c, who, record.KeyPolicy(from), "the policy "+from.Short())
		if err != nil {
			return nil, err
		}
		content = v.Text
	}
	p := &draftPage{Try: Form{Action: "/policy-draft", Submit: "Try it on what is live", Fields: []Field{
		{Kind: "area", Name: "text", Label: "Policy file", Hint: "YAML; imprimatur policy ready prints some to start from.", Value: content, Required: true},
	}}}
	page := &Page{Template: "draft", Title: "Draft a policy", Lead: "Trying changes nothing: it says what the policy would make of the releases that are live now.", Crumbs: policyCrumbs, Body: p}
	if !in.posted() {
		return page, nil
	}
	trial, err := c.Registry.TryPolicy(ctx, who, []byte(content))
	if problem, err := c.refused(ctx, err); err != nil {
		return nil, err
	} else if problem != nil {
		page.Refusal = problem
		return page, nil
	}
	p.tried(trial)
	return page, c.offer(ctx, who, in, p, content, trial)
}

// fileOf is the policy file of a form. Browsers send lines with a carriage
// return, and the file on disk would have another digest.
func fileOf(in input) string {
	content := strings.Trim(strings.ReplaceAll(in.values.Get("text"), "\r\n", "\n"), "\n")
	if content == "" {
		return ""
	}
	return content + "\n"
}

// tried shows what came of a trial.
func (p *draftPage) tried(got wire.Trial) {
	p.Tried, p.Notes = true, append(got.Unsatisfiable, got.Warnings...)
	p.Said = fmt.Sprintf("%d of the %d live releases that you may read would fail policy %s.", got.Failing, len(got.Tried), got.Policy)
	if got.Left > 0 {
		p.Said += fmt.Sprintf(" %d more were not tried: there was no time.", got.Left)
	}
	p.Said += " What is live keeps the policy that it was proposed under; only releases that are proposed after the publication are judged by this one."
	p.Trial = Table{
		Caption: "Live releases under this policy, those that would fail first",
		Columns: []Column{{Label: "Release"}, {Label: "Model"}, {Label: "Runs in"}, {Label: "Under"}, {Label: "Would"}}, Empty: Empty{Sentence: "Nothing is live that you may read."},
	}
	for i, t := range got.Tried {
		if i == perPage {
			p.Said += fmt.Sprintf(" The first %d are shown; imprimatur policy try lists all.", perPage)
			break
		}
		word := badge("pass", "pass")
		if !t.Passes {
			word = badge("fail", "fail")
			word.Note = strings.Join(t.Gates, " ")
		}
		p.Trial.Rows = append(p.Trial.Rows, Row{[]Cell{
			{Text: t.Release, Href: releaseHref(t.Release), Code: true}, linked(t.Model, versionHref(t.Model)), {Text: t.Environment, Note: "tier " + t.Tier}, text(t.Under), word,
		}})
	}
}

// offer offers the publication to those who may.
func (c *console) offer(ctx context.Context, who registry.Caller, in input, p *draftPage, content string, got wire.Trial) error {
	if len(got.Unsatisfiable) > 0 {
		p.May = "It cannot be published: the people enrolled could never satisfy it."
		return nil
	}
	err := c.Registry.ForeseePolicy(ctx, who)
	problem, err := c.refused(ctx, err)
	if err != nil {
		return err
	}
	if problem != nil {
		p.May = problem.Detail
		return nil
	}
	if p.May, err = c.because(ctx, who, "publish policies", record.AllTeams, record.Risk); err != nil {
		return err
	}
	p.Publish = &Form{Action: "/policies", Submit: "Publish " + got.Policy, Fields: []Field{{Kind: "hidden", Name: "text", Value: content}, reasonField(in)}}
	return nil
}

func (c *console) publish(ctx context.Context, who registry.Caller, in input) (string, error) {
	got, err := c.Registry.PublishPolicy(ctx, who, []byte(fileOf(in)), in.get("reason"))
	return policyHref(got.Policy.Record.Name, got.Policy.Record.Digest), err
}

// asked answers with a page what a form asks, where there is no address to lead
// to: nothing was changed, or what was made is shown once.
func asked(show shows) answer {
	return func(c *console, w http.ResponseWriter, r *http.Request, who registry.Caller) error {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			return api.Refusal(wire.Invalid, "the form cannot be read: it is longer than %d bytes or cut off; send it again", maxForm)
		}
		p, err := show(c, r.Context(), who, input{r, r.PostForm})
		if err != nil {
			return err
		}
		status := http.StatusOK
		if p.Refusal != nil {
			status = p.Refusal.Status
		}
		return c.draw(w, r, who, status, p)
	}
}
