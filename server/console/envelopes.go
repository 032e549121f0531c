package console

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// envelopes is the list of all.
func (c *console) envelopes(ctx context.Context, who registry.Caller, _ input) (*Page, error) {
	all, err := c.Registry.Envelopes(ctx, who, "")
	if err != nil {
		return nil, err
	}
	t := Table{
		Caption: "Envelopes, newest first", Columns: []Column{{Label: "Envelope"}, {Label: "Line"}, {Label: "Tier"}, {Label: "Releases", Number: true}, {Label: "Ends"}, {Label: "Proposed"}},
		Empty: Empty{Sentence: "There is no envelope that you may read.", Command: "imprimatur envelope propose FILE"},
	}
	for _, e := range all {
		id := record.EnvelopeID(e.Digest)
		t.Rows = append(t.Rows, Row{[]Cell{
			{Text: e.Record.Name, Href: envelopeHref(id), Note: id},
			text(e.Record.Line), text(e.Record.Tier),
			{Text: fmt.Sprint(e.Record.Releases), Number: true},
			when(e.Record.Ends),
			{Time: e.Time, Note: "by " + e.Actor},
		}})
	}
	return &Page{Template: "list", Title: "Envelopes", Lead: "Standing approvals for retraining: what is inside of one is released without people.", Body: t}, nil
}

// envelopeBody is the model of the page of one.
type envelopeBody struct {
	Open     string
	Facts    []Term
	Bounds   []Term
	Spent    []Term
	Gates    Table
	Words    []Event
	Releases Table
	// Values has a table of bounds and values for each of the newest releases.
	Values   []Table
	Decide   *Decision
	Withdraw Link
}

// envelope is the page of one: its bounds, how it stands, what it spent, and the
// form by which it is approved.
func (c *console) envelope(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	got, err := c.Registry.Envelope(ctx, who, in.path("id"))
	if err != nil {
		return nil, err
	}
	e := got.Envelope.Record
	body := envelopeBody{Facts: []Term{
		{"Line", text(e.Line)},
		{"Tier", text(e.Tier)},
		{"Policy", Cell{Text: e.Policy.Name + " " + e.Policy.Digest.Short(), Full: string(e.Policy.Digest), Href: policyHref(e.Policy.Name, e.Policy.Digest)}},
		{"Anchor", linked(e.Anchor, releaseHref(e.Anchor))},
		{"Proposed", Cell{Time: got.Envelope.Time, Note: "by " + got.Envelope.Actor}},
		{"Why", text(e.Reason)},
		{"Record", digest(got.Envelope.Digest)},
	}}
	body.Open = fmt.Sprintf("A release inside of its bounds is approved by it. It spent %d of %d releases, and may let %d through this week.", len(got.Uses), e.Releases, got.LeftThisWeek)
	state := Badge{"pass", "approved, and may be used"}
	if !got.Verdict.Passed {
		state = Badge{"missing", "may not be used"}
		body.Open = "Nothing is approved by it now; below is why."
	}
	for _, b := range e.Sentences() {
		body.Bounds = append(body.Bounds, Term{b.Bound, text(b.Is)})
	}
	body.Gates = envelopeGates(&got)
	for _, a := range got.Approvals {
		state := map[string]*Badge{record.Approve: {"pass", "approves"}, record.RequestChanges: {"fail", "requests changes"}}[a.Record.Decision]
		body.Words = append(body.Words, Event{
			Time: a.Time, Badge: state, Who: a.Actor + a.Record.Behalf(), What: "as " + string(a.Record.Role), Text: a.Record.Reason,
			Note: "By " + a.Record.Method + ", until " + a.Record.Expires.UTC().Format("2006-01-02"),
		})
	}
	body.Releases, body.Spent, body.Values = envelopeReleases(&got), spentOf(&got), valuesOf(&got)
	if _, err := c.Registry.ForeseeEnvelopeWithdrawal(ctx, who, got.ID); err == nil {
		body.Withdraw = Link{Text: "Withdraw it", Href: envelopeHref(got.ID) + "/withdraw"}
	}
	body.Decide = decisionOn(&got, in)
	return &Page{
		Template: "envelope", Title: e.Name, Lead: got.ID + ", an envelope of " + e.Line, Badges: append([]Badge{state}, marks(got.Verdict.Marks)...),
		Crumbs: []Link{{Text: "Envelopes", Href: "/envelopes"}}, Done: saidOfEnvelope[in.request.URL.Query().Get("done")], Body: body,
	}, nil
}

var saidOfEnvelope = map[string]string{
	record.Approve:        "Your approval is in the ledger: it counts for every release inside of the bounds.",
	record.RequestChanges: "Your request for changes is in the ledger; nothing is approved by the envelope until you say otherwise.",
	record.Withdraw:       "It is withdrawn: no further release uses it. What runs by it goes on.",
}

func marks(all []string) (out []Badge) {
	for _, m := range all {
		out = append(out, mark(m))
	}
	return out
}

func envelopeGates(got *wire.EnvelopeCase) Table {
	t := Table{Caption: "Gates", Columns: []Column{{Label: "Gate"}, {Label: "State"}, {Label: "Why"}, {Label: "How"}}}
	for _, g := range got.Verdict.Gates {
		t.Rows = append(t.Rows, Row{[]Cell{{Text: g.Name, Note: g.Rule}, badge(string(g.Result), string(g.Result)), text(g.Reason), {Text: g.Do, Code: g.Do != ""}}})
	}
	return t
}

// envelopeReleases are what named it, newest first, and what came of each.
func envelopeReleases(got *wire.EnvelopeCase) Table {
	t := Table{
		Caption: "Releases that named it", Columns: []Column{{Label: "Release"}, {Label: "Proposed"}, {Label: "State"}, {Label: "What the envelope said"}},
		Empty: Empty{Sentence: "No release has named it yet."},
	}
	for _, r := range slices.Backward(got.Releases) {
		said := Cell{Text: "inside, and not promoted by it", Href: releaseHref(r.Release) + "#gates"}
		if i := slices.IndexFunc(got.Uses, func(u wire.EnvelopeSpent) bool { return u.Release == r.Release }); i >= 0 {
			said = badge("pass", fmt.Sprintf("use %d of %d", got.Uses[i].Use, got.Envelope.Record.Releases))
		} else if len(r.Outside) > 0 {
			said = Cell{Badge: &Badge{"missing", "outside, so people decide"}, Note: strings.Join(r.Outside, " ")}
		}
		t.Rows = append(t.Rows, Row{[]Cell{
			{Text: r.Release, Href: releaseHref(r.Release), Note: "version " + r.Version}, {Time: r.Time, Note: "by " + r.By}, badge(string(r.Status), string(r.Status)), said,
		}})
	}
	return t
}

// spentOf says what was spent: promotions, and what the newest release says of tries
// and of losses against the anchor.
func spentOf(got *wire.EnvelopeCase) []Term {
	e := got.Envelope.Record
	out := []Term{
		{"Releases", text(fmt.Sprintf("%d of %d, %d left", len(got.Uses), e.Releases, got.Left))},
		{"This week", text(fmt.Sprintf("%d more of %d in seven days", got.LeftThisWeek, e.Weekly))},
		{"Ends", when(e.Ends)},
	}
	if n := len(got.Releases) - 1; n >= 0 {
		r := got.Releases[n]
		for _, g := range r.Bounds {
			if name := strings.TrimPrefix(g.Name, policy.EnvelopePrefix); name == "tries" || strings.HasPrefix(name, "anchor/") || strings.HasPrefix(name, "production/") {
				out = append(out, Term{name, Cell{Text: g.Reason, Note: "by " + r.Release}})
			}
		}
	}
	return out
}

// valuesShown is of how many releases the page has each bound with its value; the page
// of a release has its own.
const valuesShown = 5

func valuesOf(got *wire.EnvelopeCase) (out []Table) {
	for _, r := range slices.Backward(got.Releases[max(0, len(got.Releases)-valuesShown):]) {
		t := Table{Caption: "Bounds and values of " + r.Release, Columns: []Column{{Label: "Bound"}, {Label: "State"}, {Label: "What it was"}}}
		for _, g := range r.Bounds {
			t.Rows = append(t.Rows, Row{[]Cell{{Text: strings.TrimPrefix(g.Name, policy.EnvelopePrefix), Note: g.Rule}, badge(string(g.Result), string(g.Result)), text(g.Reason)}})
		}
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// withdrawEnvelopeForm is the page before an envelope is withdrawn.
func (c *console) withdrawEnvelopeForm(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	got, err := c.Registry.Envelope(ctx, who, in.path("id"))
	if err != nil {
		return nil, err
	}
	e := got.Envelope.Record
	p := &confirmation{
		Facts: [][]Term{{{"Envelope", linked(e.Name, envelopeHref(got.ID))}, {"Line", text(e.Line)}, {"Left", text(count(got.Left, "release", "releases"))}}},
		Will: []string{
			"No further release is approved by it, from now on and for good: propose another one where retraining is to go on.",
			"What runs by it goes on, as long as its approvals stand. To stop a release, suspend it.",
		},
		Back: Link{Text: "Back to the envelope", Href: envelopeHref(got.ID)},
	}
	_, err = c.Registry.ForeseeEnvelopeWithdrawal(ctx, who, got.ID)
	if p.Not, err = c.refused(ctx, err); err != nil {
		return nil, err
	}
	if p.Not == nil {
		if p.May, err = c.because(ctx, who, "withdraw envelopes", record.ModelOfLine(e.Line), record.ModelOwner, record.Risk, record.Security); err != nil {
			return nil, err
		}
	}
	p.Form = Form{Action: envelopeHref(got.ID) + "/withdraw", Submit: "Withdraw " + e.Name, Grave: true, Fields: []Field{reasonField(in)}}
	return &Page{Template: "confirm", Title: "Withdraw " + e.Name, Lead: got.ID + ", an envelope of " + e.Line, Crumbs: []Link{{Text: "Envelopes", Href: "/envelopes"}}, Body: p}, nil
}

func (c *console) withdrawEnvelope(ctx context.Context, who registry.Caller, in input) (string, error) {
	got, err := c.Registry.WithdrawEnvelope(ctx, who, in.path("id"), in.get("reason"))
	if err != nil {
		return "", err
	}
	return envelopeHref(got.ID) + "?done=" + record.Withdraw, nil
}

// decisionOn is the form for somebody who holds a role with seats; nil for others.
func decisionOn(got *wire.EnvelopeCase, in input) *Decision {
	if len(got.Mine) == 0 {
		return nil
	}
	d := &Decision{Of: "envelope", ID: got.ID, Record: got.Envelope.Digest, Reason: in.get("reason")}
	for _, s := range got.Seats {
		if slices.Contains(got.Mine, s.Role) {
			d.offer(s.Role, s.Passkey, in)
		}
	}
	return d
}

// decideEnvelope carries out the form.
func (c *console) decideEnvelope(ctx context.Context, who registry.Caller, in input) (string, error) {
	word, err := wordOf(in)
	if err != nil {
		return "", err
	}
	word.Envelope = in.path("id")
	if _, err := c.Registry.ApproveEnvelope(ctx, who, word); err != nil {
		return "", err
	}
	return envelopeHref(word.Envelope) + "?done=" + word.Decision, nil
}
