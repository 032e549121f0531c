package console

import (
	"context"
	"fmt"
	"slices"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// promoteForm is the page before a promotion.
func (c *console) promoteForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	id := in.path("id")
	target, err := c.Registry.CheckRelease(ctx, who, id)
	if err != nil {
		return nil, err
	}
	p := &confirmation{Facts: [][]Term{caseTerms("Will run", target)}, Back: Link{Text: "Back to the release", Href: releaseHref(id)}}
	page := &Page{
		Template: "confirm", Title: "Promote " + id, Lead: target.Line, Body: p,
		Crumbs: []Link{{Text: "Releases", Href: "/releases"}, {Text: id, Href: releaseHref(id)}},
	}
	stated, err := c.Registry.ForeseePromote(ctx, who, id)
	if p.Not, err = c.refused(ctx, err); err != nil || p.Not != nil {
		return page, err
	}
	promotion, _ := last[record.Promotion](stated)
	replaces := promotion.Replaces
	if replaces != "" {
		from, err := c.Registry.CheckRelease(ctx, who, replaces)
		if err != nil {
			return nil, err
		}
		p.Facts = slices.Insert(p.Facts, 0, caseTerms("Runs now", from))
	}
	p.Will = willRun(target, promotion.Environment, replaces)
	if p.May, err = c.because(ctx, who, "promote releases", target.Release.Record.Behaviour.Model, record.ModelOwner); err != nil {
		return nil, err
	}
	p.Changes = c.differs(ctx, who, replaces, id)
	p.Form = Form{Action: releaseHref(id) + "/promote", Submit: "Promote " + id}
	return page, nil
}

// willRun says what becomes of it when a release takes the place of another.
func willRun(target wire.Case, environment, replaces string) []string {
	will := fmt.Sprintf("%s runs in %s, where nothing of its line runs", target.ID, environment)
	if replaces != "" {
		will = fmt.Sprintf("%s runs in %s in the place of %s", target.ID, environment, replaces)
	}
	out := []string{
		will + ", from the next decision on: within one second here, and within five on other servers.",
		fmt.Sprintf("Its verdict is made anew now and passes all %d gates of policy %s, tier %s; that verdict and the promotion are stated under your name.", len(target.Verdict.Gates), target.Verdict.Policy.Name, target.Verdict.Tier),
	}
	if replaces != "" {
		out = append(out, fmt.Sprintf("%s stays as it is and can be promoted again while it stands.", replaces))
	}
	return out
}

// differs returns the parts in which two releases differ; none where they cannot
// be compared.
func (c *console) differs(ctx context.Context, who registry.Caller, from, to string) []wire.PartChange {
	if from == "" {
		return nil
	}
	diff, err := c.Registry.DiffReleases(ctx, who, from, to)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(diff.Parts, func(part wire.PartChange) bool { return !part.Changed })
}

// promote carries it out.
func (c *console) promote(ctx context.Context, who registry.Caller, in input) (string, error) {
	_, err := c.Registry.Promote(ctx, who, in.path("id"))
	return releaseHref(in.path("id")) + "?done=promote", err
}
