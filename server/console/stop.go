package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/server/api"
	"imprimatur.dev/wire"
)

// confirmation shows what a command will do before it is sent.
type confirmation struct {
	// Facts are what it is about, Will what becomes of it, May why the caller
	// may; Not is why it is refused, and then there is no form.
	Facts   [][]Term
	Will    []string
	May     string
	Changes []wire.PartChange
	// Hits is what it reaches.
	Hits *section
	Not  *wire.Problem
	Form Form
	Back Link
}

// rollbackForm is the page before a rollback.
func (c *console) rollbackForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	id, to := in.path("release"), in.get("to")
	from, err := c.Registry.CheckRelease(ctx, who, id)
	if err != nil {
		return nil, err
	}
	p := &confirmation{Facts: [][]Term{caseTerms("Runs now", from)}, Back: Link{Text: "Back to what is live", Href: "/live"}}
	stated, err := c.Registry.ForeseeRollback(ctx, who, id, to)
	if p.Not, err = c.refused(ctx, err); err != nil {
		return nil, err
	}
	page := &Page{Template: "confirm", Title: "Roll back " + id, Lead: from.Line, Crumbs: liveCrumbs, Body: p}
	if p.Not != nil {
		return page, nil
	}
	promotion, _ := last[record.Promotion](stated)
	target, err := c.Registry.CheckRelease(ctx, who, promotion.Release)
	if err != nil {
		return nil, err
	}
	p.Facts = append(p.Facts, caseTerms("Will run", target))
	p.Will = willRun(target, promotion.Environment, id)
	if p.May, err = c.because(ctx, who, "promote releases", target.Release.Record.Behaviour.Model, record.ModelOwner); err != nil {
		return nil, err
	}
	p.Changes = c.differs(ctx, who, id, target.ID)
	p.Form = Form{Action: "/live/" + id + "/rollback", Submit: "Roll back to " + target.ID, Grave: true, Fields: []Field{
		{Kind: "hidden", Name: "to", Value: target.ID}, reasonField(in),
	}}
	return page, nil
}

// rollback carries it out, to the very release that was shown.
func (c *console) rollback(ctx context.Context, who registry.Caller, in input) (string, error) {
	_, err := c.Registry.Rollback(ctx, who, in.path("release"), in.get("to"), in.get("reason"))
	return "/live", err
}

// suspendForm is the page before a suspension, or before one is lifted.
func (c *console) suspendForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	id := in.path("release")
	now, err := c.Registry.CheckRelease(ctx, who, id)
	if err != nil {
		return nil, err
	}
	lift := now.Status == record.Suspended
	title, submit := "Suspend "+id, "Suspend "+id
	will := []string{
		fmt.Sprintf("%s stops at once: every decision on it is no, within one second here, and within five on other servers.", id),
		"Nothing takes its place. What it replaced does not come back by itself: roll back instead, if something should run.",
		"It can be lifted again, by whoever may suspend.",
	}
	if lift {
		title, submit = "Lift the suspension of "+id, "Lift the suspension"
		will = []string{fmt.Sprintf("%s may go on where it stopped, if its verdict still passes and nothing took its place.", id)}
	}
	p := &confirmation{Facts: [][]Term{caseTerms("Release", now)}, Will: will, Back: Link{Text: "Back to what is live", Href: "/live"}}
	_, err = c.Registry.ForeseeSuspend(ctx, who, id, lift)
	if p.Not, err = c.refused(ctx, err); err != nil {
		return nil, err
	}
	if p.Not != nil {
		p.Will = nil
	} else if p.May, err = c.because(ctx, who, "suspend releases", now.Release.Record.Behaviour.Model, record.ModelOwner, record.Risk, record.Security); err != nil {
		return nil, err
	}
	p.Form = Form{Action: "/live/" + id + "/suspend", Submit: submit, Grave: !lift, Fields: []Field{reasonField(in)}}
	if lift {
		p.Form.Fields = append(p.Form.Fields, Field{Kind: "hidden", Name: "lift", Value: "yes"})
	}
	return &Page{Template: "confirm", Title: title, Lead: now.Line, Crumbs: liveCrumbs, Body: p}, nil
}

func (c *console) suspend(ctx context.Context, who registry.Caller, in input) (string, error) {
	_, err := c.Registry.Suspend(ctx, who, in.path("release"), in.get("reason"), in.get("lift") == "yes")
	return "/live", err
}

var liveCrumbs = []Link{{Text: "Live", Href: "/live"}}

func reasonField(in input) Field {
	return Field{Kind: "area", Name: "reason", Label: "Reason", Hint: "Stands in the ledger for ever, beside your name.", Value: in.get("reason"), Required: true}
}

// caseTerms say which release it is and how it stands.
func caseTerms(label string, x wire.Case) []Term {
	b := x.Release.Record.Behaviour
	return []Term{
		{Label: label, Cell: Cell{Text: x.ID, Href: releaseHref(x.ID), Code: true, Marks: x.Verdict.Marks}},
		{Label: "Model", Cell: linked(b.Model+"@"+b.Version, versionHref(b.Model+"@"+b.Version))},
		{Label: "Status", Cell: badge(string(x.Status), string(x.Status))},
		{Label: "Verdict now", Cell: verdictCell(x.Verdict)},
	}
}

func verdictCell(v record.Verdict) Cell {
	if v.Passed {
		cell := badge("pass", "passes")
		if !v.Until.IsZero() {
			cell.Note = "until " + v.Until.UTC().Format(time.DateOnly)
		}
		return cell
	}
	cell := badge("fail", "does not pass")
	for _, g := range v.Blocking() {
		cell.Note += g.Name + ": " + g.Reason + " "
	}
	return cell
}

// refused turns a refusal into what a page shows of it; any other error is
// returned.
func (c *console) refused(ctx context.Context, err error) (*wire.Problem, error) {
	var refusal *registry.Error
	if !errors.As(err, &refusal) {
		return nil, err
	}
	problem := api.ProblemOf(ctx, c.Log, "", refusal)
	return &problem, nil
}

// because says which of the caller's roles gives a right, for a team or
// a model.
func (c *console) because(ctx context.Context, who registry.Caller, what, where string, roles ...record.RoleName) (string, error) {
	me, err := c.Registry.Me(ctx, who)
	if err != nil {
		return "", err
	}
	for _, r := range me.Roles {
		if slices.Contains(roles, r.Role) && r.Covers(where, c.now()) {
			return fmt.Sprintf("You may %s because you hold the role %s for %s.", what, r.Role, r.For()), nil
		}
	}
	for _, d := range me.Delegations {
		if d.Stands && d.Record.To == who.Name && slices.Contains(roles, d.Record.Role) && d.Record.Binding().Covers(where, c.now()) {
			return fmt.Sprintf("You may %s because %s delegated the role %s for %s to you until %s.", what, d.Record.From, d.Record.Role, d.Record.For(), stamp(d.Record.Expires)), nil
		}
	}
	return fmt.Sprintf("You may %s because the environment names you as one of its workloads.", what), nil
}

// last returns the last record of a type among entries.
func last[T record.Body](entries []wire.Entry) (T, bool) {
	for _, e := range slices.Backward(entries) {
		if body, err := record.Replay(e.Kind, e.Record); err == nil {
			if b, ok := body.(T); ok {
				return b, true
			}
		}
	}
	var none T
	return none, false
}
