package notify

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// Event is a CloudEvent 1.0 about one statement.
type Event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Data        Data      `json:"data"`
}

// Data is what an event says.
type Data struct {
	// Index is the statement's place in the ledger; -1 where nothing was stated.
	Index int64 `json:"index"`
	// Kind is the statement's kind, and Digest that of its record.
	Kind   record.Kind   `json:"kind,omitzero"`
	Digest record.Digest `json:"digest,omitzero"`
	Actor  string        `json:"actor,omitzero"`
	// Action tells apart what one kind can say, such as "approve" and
	// "request-changes".
	Action      string `json:"action,omitzero"`
	Team        string `json:"team,omitzero"`
	Release     string `json:"release,omitzero"`
	Line        string `json:"line,omitzero"`
	Environment string `json:"environment,omitzero"`
	// Summary is one sentence for people.
	Summary string `json:"summary"`
	Links   Links  `json:"links"`
}

// Links lead to more, for who may read it.
type Links struct {
	// Page is the console's, Record the API's.
	Page   string `json:"page,omitzero"`
	Record string `json:"record,omitzero"`
}

// Types of the events that no statement makes.
const (
	typePrefix = "dev.imprimatur."
	TypeTest   = typePrefix + "test"
	TypeNotice = typePrefix + "notice"
)

// Place is where links lead and what ledger it is.
type Place struct {
	// URL is the server's address as others reach it, without a slash at the end.
	URL string
	// Origin is the ledger's name.
	Origin string
}

// Of returns the event of a statement at an index of the ledger.
func (p Place) Of(index int64, s record.Statement) Event {
	name, _ := s.Subject()
	d := describe(s)
	d.Index, d.Kind, d.Actor, d.Digest = index, s.Body.Kind(), s.Actor, s.Digest()
	if d.Environment == "" && d.Line != "" {
		d.Environment = d.Line[strings.LastIndexByte(d.Line, '/')+1:]
	}
	d.Links = p.links(d)
	return Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("entry-%d", index), Source: p.Origin, Type: typePrefix + record.EventOf(s.Body.Kind()),
		Subject: name, Time: s.Time, ContentType: "application/json", Data: d,
	}
}

// Test returns an event that says only that a target can be reached.
func (p Place) Test(actor, target string, at time.Time) Event {
	d := Data{Index: -1, Actor: actor, Action: "test", Summary: fmt.Sprintf("%s tests the target %s. Nothing was stated.", actor, target)}
	d.Links = p.links(d)
	return Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("test-%d", at.UnixMilli()), Source: p.Origin, Type: TypeTest,
		Subject: "target/" + target, Time: at.UTC(), ContentType: "application/json", Data: d,
	}
}

func (p Place) links(d Data) Links {
	if p.URL == "" {
		return Links{}
	}
	if d.Release != "" {
		return Links{Page: p.URL + "/releases/" + url.PathEscape(d.Release), Record: p.URL + "/api/v1/releases/" + url.PathEscape(d.Release)}
	}
	l := Links{Page: p.URL + "/"}
	if d.Kind != "" {
		query := url.Values{"kind": {record.EventOf(d.Kind)}, "before": {fmt.Sprint(d.Index + 1)}, "limit": {"1"}}
		l.Record = p.URL + "/api/v1/log/entries?" + query.Encode()
	}
	return l
}

// describe says what a statement is about, and what it says.
func describe(s record.Statement) Data {
	who := s.Actor
	about := func(d Data, format string, args ...any) Data {
		d.Summary = who + " " + fmt.Sprintf(format, args...) + "."
		return d
	}
	of := func(release, line, action string) Data {
		return Data{Release: release, Line: line, Team: teamOf(line), Action: action}
	}
	switch b := s.Body.(type) {
	case record.Release:
		d := of(record.ReleaseID(s.Digest()), b.Line(), "propose")
		return about(d, "proposed the release %s of %s@%s for %s in %s, tier %s", d.Release, b.Behaviour.Model, b.Behaviour.Version, b.Context.UseCase, b.Context.Environment, b.Context.Tier)
	case record.Approval:
		if b.Decision == record.RequestChanges {
			return about(of(b.Release, b.Line, b.Decision), "requested changes on %s (%s) as %s%s: %s", b.Of(), b.Line, b.Role, b.Behalf(), brief(b.Reason))
		}
		return about(of(b.Release, b.Line, b.Decision), "approved %s (%s) as %s%s: %s", b.Of(), b.Line, b.Role, b.Behalf(), brief(b.Reason))
	case record.Comment:
		return about(of(b.Release, b.Line, "comment"), "commented on %s (%s): %s", b.Release, b.Line, brief(b.Text))
	case record.Promotion:
		d := of(b.Release, b.Line, b.How)
		return about(d, "%s %s (%s)", map[string]string{record.Promote: "promoted", record.Rollback: "rolled back to", record.BrokeGlass: "broke glass to promote"}[b.How], b.Release, b.Line)
	case record.Suspension:
		if b.Lifted {
			return about(of(b.Release, b.Line, "lift"), "lifted the suspension of %s (%s): %s", b.Release, b.Line, brief(b.Reason))
		}
		return about(of(b.Release, b.Line, "suspend"), "suspended %s (%s): %s", b.Release, b.Line, brief(b.Reason))
	case record.Drill:
		return about(of(b.Release, b.Line, "drill"), "tried whether %s (%s) can take over: %s", b.Release, b.Line, brief(record.Said(b, "")))
	case record.Retirement:
		return about(of(b.Release, b.Line, "retire"), "retired %s (%s): %s", b.Release, b.Line, brief(b.Reason))
	case record.Exception:
		if b.Type == record.Waiver {
			return about(of(b.Release, b.Line, b.Type), "waived the gate %s of %s (%s) until %s: %s", b.Gate, b.Release, b.Line, day(b.Expires), brief(b.Reason))
		}
		return about(of(b.Release, b.Line, b.Type), "broke glass %s for %s (%s) until %s: %s", b.Scope(), b.Release, b.Line, day(b.Expires), brief(b.Reason))
	case record.Review:
		return about(of(b.Release, b.Line, b.Outcome), "reviewed the exception %s of %s (%s), %s: %s", b.Exception, b.Release, b.Line, b.Outcome, brief(b.Reason))
	case record.Signal:
		return about(of(b.Release, b.Line, b.Type), "saw %s at %s (%s): %s", b.Type, b.Release, b.Line, brief(b.Detail))
	case record.Envelope:
		return about(of("", b.Line, ""), "proposed the envelope %s of %s until %s", b.Name, b.Line, day(b.Ends))
	case record.EnvelopeWithdrawal:
		return about(of("", b.Line, "withdraw"), "withdrew the envelope %s of %s: %s", b.Envelope, b.Line, brief(b.Reason))
	}
	return describeThing(s, about)
}

// describeThing is describe for what is no release's.
func describeThing(s record.Statement, about func(Data, string, ...any) Data) Data {
	switch b := s.Body.(type) {
	case record.Evaluation:
		return about(Data{Team: b.Team, Action: string(b.Category)}, "recorded the evaluation %s (%s, suite %s) of %s", record.EvaluationID(s.Digest()), b.Category, b.Suite, b.Artifact.Short())
	case record.DataApproval:
		what := b.Source
		if b.Dataset != "" {
			what = "the dataset " + b.Dataset.Short()
		}
		if b.Decision == record.Allow {
			return about(Data{Action: b.Decision}, "approved %s for %s until %s: %s", what, strings.Join(b.Purposes, ", "), day(b.Expires), brief(b.Reason))
		}
		return about(Data{Action: b.Decision}, "withdrew the approval of %s: %s", what, brief(b.Reason))
	case record.ModelVersion:
		return about(Data{Team: teamOf(b.Model)}, "registered %s", b.Ref())
	case record.UseCase:
		return about(Data{Team: b.Team}, "stated the use case %s, tier %s, owner %s", b.Ref(), b.Tier, b.Owner)
	case record.Policy:
		return about(Data{}, "published the policy %s (%s)", b.Name, b.Digest.Short())
	case record.Environment:
		return about(Data{Environment: b.Name}, "set up the environment %s with the policy %s", b.Name, b.Policy)
	case record.Principal:
		return about(Data{}, "enrolled %s, or changed it", b.Name)
	case record.Role:
		verb := map[bool]string{false: "bound the role %s to %s", true: "took the role %s from %s"}[b.Revoked]
		d := Data{Team: b.Team, Action: map[bool]string{false: "bind", true: "revoke"}[b.Revoked]}
		if b.Team == record.AllTeams {
			d.Team = ""
		}
		return about(d, verb+" for team %s", b.Role, b.Principal, b.Team)
	case record.Delegation:
		d := Data{Team: b.Team, Action: map[bool]string{false: "delegate", true: "revoke"}[b.Revoked]}
		if b.Team == record.AllTeams {
			d.Team = ""
		}
		if b.Revoked {
			return about(d, "ended the delegation of the role %s for %s by %s to %s: %s", b.Role, b.For(), b.From, b.To, brief(b.Reason))
		}
		return about(d, "delegated the role %s for %s to %s from %s until %s: %s", b.Role, b.For(), b.To, day(b.Starts), day(b.Expires), brief(b.Reason))
	}
	name, _ := s.Subject()
	return about(Data{}, "stated the %s %s", s.Body.Kind(), name)
}

func teamOf(ref string) string {
	team, _, _ := strings.Cut(ref, "/")
	return team
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// longest is how much of a reason goes into a summary, in characters.
const longest = 300

// brief is a reason on one line, without its full stop and not too long.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return strings.TrimSuffix(text, ".")
}
