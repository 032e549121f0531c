package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/authority"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/registry"
	"imprimatur.dev/wire"
)

// releaseBody is the page of one release.
type releaseBody struct {
	ID      string
	Summary []Term
	// Open says in one sentence what it waits for.
	Open string
	// Promote leads to its promotion, where every gate lets it through.
	Promote string
	Parts   []Part
	// Since is what it is compared with, and Compare the form that chooses.
	Since   string
	Compare []Field
	Carried []Change
	// InTheWay are the gates that do not let it through, Passed the others.
	InTheWay, Passed []GateRow
	// Plain are the passed gates that have no numbers.
	Plain      []GateRow
	Authority  []authority.Sentence
	Picture    Picture
	Seats      []SeatRow
	Exceptions []Event
	Comments   []Event
	History    []Event
	Decide     *Decision
	Comment    *Form
	Commands   []string
}

// Part is one of the four parts with what changed in it.
type Part struct {
	Name    record.Part
	Changed bool
	Changes []Change
}

// GateRow is one gate.
type GateRow struct {
	Badge    Badge
	Name     string
	Rule     string
	Reason   string
	Advisory bool
	Scale    *Scale
	// Who can supply what is missing, by role, and the command that does.
	Who string
	Do  string
}

// release shows one release: all that a reviewer decides from.
func (c *console) release(ctx context.Context, who registry.Caller, in input) (*Page, error) {
	id := in.path("id")
	since := in.request.URL.Query().Get("since")
	saw := record.Digest(in.get("record"))
	other := in.posted() && saw.Validate() == nil && record.ReleaseID(saw) != id
	if other {
		since = record.ReleaseID(saw) // what they saw is another release: the page shows the difference
	}
	got, err := c.Registry.InspectRelease(ctx, who, id, since)
	if other && registry.CodeOf(err) == wire.Unknown {
		got, err = c.Registry.InspectRelease(ctx, who, id, "") // or none at all
	}
	if err != nil {
		return nil, err
	}
	b, x := got.Release.Record.Behaviour, got.Release.Record.Context
	body := releaseBody{
		ID: id, Summary: summary(&got), Open: waitsFor(&got), Since: got.Since, Compare: others(&got),
		Authority: authority.Sentences(got.Release.Record.Authority), Picture: draw(lineageOf(&got)),
		Exceptions: exceptions(&got), Comments: comments(&got), History: history(&got),
		Commands: []string{
			"imprimatur release show " + id + " --bundle " + id + ".bundle.json",
			"imprimatur verify MODEL --bundle " + id + ".bundle.json --trust trust.txt --env " + x.Environment,
		},
	}
	if got.Status == record.Proposed && got.Verdict.Passed {
		body.Promote = releaseHref(id) + "/promote"
	}
	body.Parts, body.Carried = changes(got.Diff)
	for _, row := range gates(&got) {
		switch {
		case row.Badge.State != string(record.Pass):
			body.InTheWay = append(body.InTheWay, row)
		case row.Scale != nil:
			body.Passed = append(body.Passed, row)
		default:
			body.Plain = append(body.Plain, row)
		}
	}
	for _, s := range got.Seats {
		row := seatRow(s)
		if got.Verdict.Envelope != "" && row.Badge.State == "missing" {
			row.Badge, row.May = Badge{"pass", "by the envelope"}, nil
		}
		body.Seats = append(body.Seats, row)
	}
	body.Decide = decision(&got, in)
	if got.MayComment {
		body.Comment = &Form{Action: "/releases/" + id + "/comments", Submit: "Comment", Fields: []Field{{Kind: "area", Name: "text", Label: "What you say stands in the ledger with your name, and fills no seat", Value: in.get("text"), Required: true}}}
	}
	p := &Page{
		Template: "release", Title: b.Model + "@" + b.Version, Body: body,
		Lead:   fmt.Sprintf("%s for %s in %s, tier %s", id, cmp.Or(got.Dossier.UseCase.Record.Title, x.UseCase), x.Environment, x.Tier),
		Badges: badges(&got.Case), Crumbs: []Link{{Text: "Releases", Href: "/releases"}, {Text: b.Model, Href: "/releases?model=" + b.Model}},
		Done: said[in.request.URL.Query().Get("done")],
	}
	return p, nil
}

// said are the sentences after a form was carried out.
var said = map[string]string{
	record.Approve:        "Your approval is in the ledger.",
	record.RequestChanges: "Your request for changes is in the ledger; it blocks the release until you say otherwise.",
	"comment":             "Your comment is in the ledger.",
	"promote":             "The promotion is in the ledger: it runs from now on.",
}

// badges are the state of a release, its verdict, and every mark.
func badges(c *wire.Case) []Badge {
	out := []Badge{{string(c.Status), string(c.Status)}}
	switch {
	case c.Status == record.Live && !c.Stands:
		out = append(out, Badge{"fail", "does not stand"})
	case c.Verdict.Passed:
		out = append(out, Badge{"pass", "every gate passes"})
	default:
		out = append(out, Badge{"missing", count(len(c.Verdict.Blocking()), "gate in the way", "gates in the way")})
	}
	for _, m := range c.Verdict.Marks {
		out = append(out, mark(m))
	}
	return out
}

// mark is a mark of a verdict as a badge.
func mark(m string) Badge {
	state := "note"
	switch {
	case m == policy.MarkNoIndependent, m == policy.MarkBreakGlass:
		state = "invalid"
	case strings.HasPrefix(m, policy.MarkWaived):
		state = "waived"
	}
	return Badge{state, m}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// summary says what it is and for what use.
func summary(got *registry.Inspection) []Term {
	b, x, use := got.Release.Record.Behaviour, got.Release.Record.Context, got.Dossier.UseCase.Record
	var envelope Cell
	if e := got.Dossier.Envelope; e != nil {
		id := record.EnvelopeID(e.Envelope.Digest)
		envelope = Cell{Text: e.Envelope.Record.Name, Href: envelopeHref(id), Note: id}
	}
	var watched Cell
	if slices.ContainsFunc(got.Dossier.Evaluations, func(e record.Recorded[record.Evaluation]) bool { return e.Record.Monitor != nil }) {
		watched = linked("what was seen of it since", monitorHref(got.ID))
	}
	return []Term{
		{"Envelope", envelope},
		{"Monitor", watched},
		{"Model", linked(b.Model+"@"+b.Version, versionHref(b.Model+"@"+b.Version))},
		{"Kind", text(string(b.Type))},
		{"Use case", Cell{Text: x.UseCase, Href: useCaseHref(x.UseCase), Note: use.Title}},
		{"Purpose", Cell{Text: use.Purpose, Note: use.Context}},
		{"Environment and tier", text(x.Environment + ", " + x.Tier)},
		{"Answers for it", linked(x.Owner, principalHref(x.Owner))},
		{"Policy", Cell{Text: x.Policy.Name + " " + x.Policy.Digest.Short(), Full: string(x.Policy.Digest), Href: policyHref(x.Policy.Name, x.Policy.Digest)}},
		{"Proposed", Cell{Time: got.Release.Time, Note: "by " + got.Release.Actor}},
		{"Artifact", digest(b.Artifact)},
		{"Record", digest(got.Digests.Record)},
	}
}

// waitsFor says in a sentence what is still open.
func waitsFor(got *registry.Inspection) string {
	switch {
	case got.Status == record.Live && got.Stands:
		return fmt.Sprintf("It runs in %s, and stands.", got.Release.Record.Context.Environment)
	case got.Status == record.Live:
		return "It was promoted and does not stand: " + strings.Join(got.Reasons, "; ")
	case got.Status == record.Retired || got.Status == record.Suspended:
		return "It is " + string(got.Status) + "."
	case got.Verdict.Passed && got.Status == record.Replaced:
		return "It was replaced, and still stands: it can be rolled back to."
	case got.Verdict.Passed:
		return "Every gate passes. A model owner may promote it: imprimatur release promote " + got.ID
	}
	var seats, gates []string
	for _, g := range got.Verdict.Blocking() {
		if role, ok := strings.CutPrefix(g.Name, "approval/"); ok {
			seats = append(seats, role)
		} else {
			gates = append(gates, g.Name)
		}
	}
	var out []string
	if len(gates) > 0 {
		out = append(out, "evidence or repair for "+strings.Join(gates, ", "))
	}
	if len(seats) > 0 {
		out = append(out, "the word of "+strings.Join(seats, ", "))
	}
	return "It waits for " + strings.Join(out, ", and for ") + "."
}

// others are the releases of the line with which it can be compared.
func others(got *registry.Inspection) []Field {
	var options []Option
	for _, s := range got.Siblings {
		if s.ID != got.ID {
			options = append(options, Option{Value: s.ID, Text: fmt.Sprintf("%s · version %s · %s · %s", s.ID, s.Version, s.Status, s.Time.UTC().Format("2006-01-02"))})
		}
	}
	if len(options) == 0 {
		return nil
	}
	return []Field{{Kind: "select", Name: "since", Label: "Compare with", Options: choose(got.Since, options...)}}
}

// changes are what differs, part by part, and whose approval carries over.
func changes(d *wire.Diff) (parts []Part, carried []Change) {
	if d == nil {
		return nil, nil
	}
	for _, p := range d.Parts {
		part := Part{Name: p.Part, Changed: p.Changed}
		for _, s := range p.Changes {
			part.Changes = append(part.Changes, Change{signOf(s), s})
		}
		parts = append(parts, part)
	}
	for _, a := range d.Approvals {
		sign, what := "-", "is void"
		if a.Carries {
			sign, what = "+", "carries over"
		}
		carried = append(carried, Change{sign, fmt.Sprintf("The approval of %s as %s %s: %s.", a.By(), a.Role, what, strings.TrimSuffix(a.Why, "."))})
	}
	return parts, carried
}

// signOf tells what was added, removed or changed by the words in which the
// registry and the authority say so.
func signOf(sentence string) string {
	switch {
	case strings.HasSuffix(sentence, " is new"), strings.HasPrefix(sentence, "may now ") && !strings.Contains(sentence, "; before: "):
		return "+"
	case strings.HasSuffix(sentence, " is gone"), strings.HasPrefix(sentence, "may no longer "):
		return "-"
	}
	return "~"
}

// gates are the gates as rows; the seats have a part of the page for themselves.
func gates(got *registry.Inspection) (out []GateRow) {
	for _, g := range got.Verdict.Gates {
		if strings.HasPrefix(g.Name, "approval/") {
			continue
		}
		row := GateRow{
			Badge: Badge{string(g.Result), string(g.Result)}, Name: g.Name, Rule: bare(g.Rule, &got.Verdict), Reason: g.Reason,
			Advisory: g.Mode == record.Advise, Do: g.Do,
		}
		if g.Numbers != nil {
			row.Scale = scaleOf(g.Numbers, inProduction(got, g.Name), higherIsBetter(got, g.Name))
		}
		var who []string
		for _, role := range g.Who {
			who = append(who, fmt.Sprintf("%s (%s)", role, cmp.Or(strings.Join(got.Approvers[role], ", "), "nobody holds the role")))
		}
		row.Who = strings.Join(who, " or ")
		out = append(out, row)
	}
	return out
}

// bare is a rule without the policy and tier, which the page names once.
func bare(rule string, v *record.Verdict) string {
	if rest, ok := strings.CutPrefix(rule, fmt.Sprintf("Policy %s, tier %s: ", v.Policy.Name, v.Tier)); ok && rest != "" {
		return strings.ToUpper(rest[:1]) + rest[1:]
	}
	return rule
}

// higherIsBetter tells of a comparison which way is better, by the gate of the
// same metric.
func higherIsBetter(got *registry.Inspection, gate string) bool {
	base := strings.TrimSuffix(gate, "/versus-production")
	i := slices.IndexFunc(got.Verdict.Gates, func(g record.Gate) bool { return g.Name == base })
	return i >= 0 && got.Verdict.Gates[i].Numbers != nil && strings.HasPrefix(got.Verdict.Gates[i].Numbers.Operator, ">")
}

// inProduction finds the same metric of what runs now, evaluated on the same
// data.
func inProduction(got *registry.Inspection, gate string) rival {
	p := got.Dossier.ProductionAt(got.At)
	name := strings.Split(gate, "/")
	if p == nil || len(name) != 3 {
		return rival{}
	}
	same := func(e *record.Evaluation) bool { return string(e.Category) == name[0] && e.Suite == name[1] }
	i := slices.IndexFunc(got.Dossier.Evaluations, func(e record.Recorded[record.Evaluation]) bool { return same(&e.Record) })
	if i < 0 {
		return rival{}
	}
	for _, e := range p.Evaluations {
		if !same(&e.Record) || e.Record.Dataset != got.Dossier.Evaluations[i].Record.Dataset {
			continue
		}
		for _, m := range e.Record.Metrics {
			if m.Name == name[2] && len(m.Slice) == 0 {
				return rival{m.Value, true}
			}
		}
	}
	return rival{}
}

// exceptions are those of the line, shown for ever.
func exceptions(got *registry.Inspection) []Event {
	var out []Event
	for _, x := range got.Exceptions {
		what := "broke glass " + x.Record.Scope() + " for"
		if x.Record.Type == record.Waiver {
			what = "waived " + x.Record.Gate + " of"
		}
		state := "Until "
		if !record.Stands(time.Time{}, x.Record.Expires, got.At) {
			state = "Lapsed on "
		}
		state += x.Record.Expires.UTC().Format("2006-01-02 15:04 UTC")
		id, reviewed := record.ExceptionID(x.Digest), "; review due by "+x.Record.ReviewBy.UTC().Format("2006-01-02")
		for _, r := range got.Dossier.Reviews {
			if r.Record.Exception == id {
				reviewed = fmt.Sprintf("; %s by %s: %s", r.Record.Outcome, r.Actor, r.Record.Reason)
			}
		}
		out = append(out, Event{Time: x.Time, Badge: &Badge{"waived", id}, Who: x.Actor, What: what, On: x.Record.Release, Note: state + reviewed, Text: x.Record.Reason})
	}
	return out
}

func comments(got *registry.Inspection) []Event {
	var out []Event
	for _, m := range got.Comments {
		e := Event{Time: m.Time, Who: m.Actor, Text: m.Record.Text}
		if m.Record.Release != got.ID {
			e.What, e.On = "on", m.Record.Release
		}
		out = append(out, e)
	}
	return out
}

// history is what became of this release, oldest first.
func history(got *registry.Inspection) []Event {
	out := []Event{{Time: got.Release.Time, Badge: &Badge{"proposed", "proposed"}, Who: got.Release.Actor, What: "froze the release"}}
	for _, a := range got.Dossier.Approvals {
		if a.Approval.Record.Release == got.ID {
			b := Badge{"pass", "approved"}
			if a.Approval.Record.Decision != record.Approve {
				b = Badge{"fail", "changes requested"}
			}
			out = append(out, Event{Time: a.Approval.Time, Badge: &b, Who: a.Approval.Actor + a.Approval.Record.Behalf(), What: "as " + string(a.Approval.Record.Role)})
		}
	}
	for _, h := range got.Dossier.History {
		e := Event{Time: h.Time, Who: h.Actor}
		switch {
		case h.Promotion != nil && h.Promotion.Release == got.ID:
			e.Badge, e.What, e.Text = &Badge{"live", h.Promotion.How}, "it runs in "+h.Promotion.Environment, h.Promotion.Reason
		case h.Promotion != nil && h.Promotion.Replaces == got.ID:
			e.Badge, e.What, e.On, e.Text = &Badge{"replaced", "replaced"}, "by", h.Promotion.Release, h.Promotion.Reason
		case h.Suspension != nil && h.Suspension.Release == got.ID:
			e.Badge, e.Text = &Badge{"suspended", "suspended"}, h.Suspension.Reason
			if h.Suspension.Lifted {
				e.Badge = &Badge{"note", "suspension lifted"}
			}
		case h.Retirement != nil && h.Retirement.Release == got.ID:
			e.Badge, e.Text = &Badge{"retired", "retired"}, h.Retirement.Reason
		default:
			continue
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return out
}
