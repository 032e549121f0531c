package registry

import (
	"context"
	"slices"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/wire"
)

// Live answers what was live at a time, in every line of the teams that the
// caller may read; the zero time is now.
func (r *Registry) Live(ctx context.Context, who Caller, at time.Time) ([]wire.LiveRelease, error) {
	out := []wire.LiveRelease{}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		lines, err := t.lines()
		if err != nil {
			return err
		}
		if at.IsZero() {
			at = t.now
		}
		for _, line := range lines {
			if t.may(actRead, teamOf(line)) != nil {
				continue
			}
			l, ok, err := t.liveAt(line, at)
			if err != nil {
				return err
			}
			if ok {
				out = append(out, l)
			}
		}
		return nil
	})
	return out, err
}

// lines returns every line in which something was ever promoted, suspended or
// retired.
func (t *tx) lines() ([]string, error) {
	newest, err := t.view.LastOfEach(record.KeyLive(""))
	if err != nil {
		return nil, err
	}
	entries, err := t.decode(newest)
	lines := make([]string, len(entries))
	for i, e := range entries {
		lines[i] = lineOf(e.Statement.Body)
	}
	return lines, err
}

func lineOf(body record.Body) string {
	switch b := body.(type) {
	case record.Promotion:
		return b.Line
	case record.Suspension:
		return b.Line
	case record.Retirement:
		return b.Line
	}
	return ""
}

// liveAt answers for one line, from the statements that stood at that time.
func (t *tx) liveAt(line string, at time.Time) (wire.LiveRelease, bool, error) {
	var none wire.LiveRelease
	history, err := lineage.History(t, line)
	if err != nil {
		return none, false, err
	}
	_, live := record.StatusAt(history, "", at)
	if live == "" {
		return none, false, nil
	}
	d, _, err := lineage.Collect(t, live)
	if err != nil {
		return none, false, err
	}
	b := d.Release.Record.Behaviour
	out := wire.LiveRelease{
		Line: line, Release: live, Model: b.Model + "@" + b.Version, Artifact: b.Artifact,
		Environment: d.Release.Record.Context.Environment, Evaluations: d.Evaluations,
	}
	for _, e := range history {
		if e.Promotion != nil && e.Promotion.Release == live && !e.Time.After(at) {
			out.Since, out.How, out.PromotedBy, out.Verdict = e.Time, e.Promotion.How, e.Actor, e.Promotion.Verdict
		}
	}
	verdicts, err := lineage.All[record.Verdict](t, record.KeyVerdicts(live))
	if err != nil {
		return none, false, err
	}
	for _, v := range verdicts {
		if v.Digest == out.Verdict {
			out.Marks = v.Record.Marks
		}
	}
	if out.How == record.BrokeGlass {
		out.Marks = append(out.Marks, policy.MarkBreakGlass)
	}
	for _, a := range d.Approvals {
		counts := a.Approval.Record.Decision == record.Approve && !a.Approval.Time.After(out.Since)
		if counts && covers(a.Approval.Record, d.Digests) {
			out.Approvals = append(out.Approvals, a.Approval)
		}
	}
	return out, true, nil
}

// covers reports whether an approval saw the parts as they are.
func covers(a record.Approval, now record.Digests) bool {
	for p, d := range a.Parts {
		if now.Parts[p] != d {
			return false
		}
	}
	return true
}

// List pages through the statements of one kind, newest first.
func (r *Registry) List(ctx context.Context, who Caller, kind record.Kind, before int64, limit int) (wire.Page, error) {
	return r.page(ctx, who, record.KeyKind(kind), before, limit)
}

// By pages through what a principal stated, newest first.
func (r *Registry) By(ctx context.Context, who Caller, actor string, before int64, limit int) (wire.Page, error) {
	return r.page(ctx, who, record.KeyActor(actor), before, limit)
}

// Releases pages through the releases of a model, newest first; an empty model
// means all.
func (r *Registry) Releases(ctx context.Context, who Caller, model string, before int64, limit int) (wire.Page, error) {
	if model == "" {
		return r.List(ctx, who, record.KindRelease, before, limit)
	}
	return r.page(ctx, who, record.KeyReleasesOf(model), before, limit)
}

// History returns everything that was stated of a release's line, oldest first.
func (r *Registry) History(ctx context.Context, who Caller, release string) ([]wire.Entry, error) {
	var out []wire.Entry
	err := r.read(ctx, who, func(t *tx) error {
		rel, err := t.release(release)
		if err != nil {
			return err
		}
		if err := t.may(actRead, teamOf(rel.Record.Line())); err != nil {
			return err
		}
		line := rel.Record.Line()
		for _, key := range []string{record.KeyReleases(line), record.KeyApprovals(line), record.KeyExceptions(line), record.KeyLive(line), record.KeySignals(line), record.KeyComments(line)} {
			entries, err := t.Find(key)
			if err != nil {
				return err
			}
			for _, e := range entries {
				out = append(out, entryOf(e))
			}
		}
		slices.SortFunc(out, func(a, b wire.Entry) int { return int(a.Index - b.Index) })
		return nil
	})
	return out, err
}

func (r *Registry) page(ctx context.Context, who Caller, key string, before int64, limit int) (wire.Page, error) {
	if limit <= 0 || limit > wire.MaxPage {
		limit = wire.MaxPage
	}
	p := wire.Page{Entries: []wire.Entry{}}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.may(actRead, record.AllTeams); err != nil {
			if err := t.mayReadAny(); err != nil {
				return err
			}
		}
		stored, err := t.view.Page(key, before, limit)
		if err != nil {
			return err
		}
		entries, err := t.decode(stored)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if t.visible(e.Statement.Body) {
				p.Entries = append(p.Entries, entryOf(e))
			}
		}
		if len(entries) == limit {
			p.Next = entries[limit-1].Index
		}
		return nil
	})
	return p, err
}

// mayReadAny lets in whoever holds any role for any team; visible then decides
// entry by entry.
func (t *tx) mayReadAny() error { return t.mayAnywhere(actRead) }

// visible reports whether the caller may read a record: what belongs to a team
// is read by those who hold a role for it, what belongs to none by all. Token
// records are for administrators and their owner.
func (t *tx) visible(body record.Body) bool {
	if token, ok := body.(record.Token); ok && token.Principal != t.who.Name {
		return t.may(actToken, record.AllTeams) == nil
	}
	team := teamOfRecord(body)
	return team == "" || t.may(actRead, team) == nil
}

func teamOfRecord(body record.Body) string {
	switch b := body.(type) {
	case record.LineageEvents:
		return b.Team
	case record.Dataset:
		return b.Team
	case record.Run:
		return b.Team
	case record.Model:
		return b.Team
	case record.ModelVersion:
		return teamOf(b.Model)
	case record.UseCase:
		return b.Team
	case record.Evaluation:
		return b.Team
	case record.Release:
		return teamOf(b.Behaviour.Model)
	case record.Approval:
		return teamOf(b.Line)
	case record.Exception:
		return teamOf(b.Line)
	case record.Review:
		return teamOf(b.Line)
	case record.Comment:
		return teamOf(b.Line)
	case record.Verdict:
		return teamOf(b.Line)
	case record.Envelope:
		return teamOf(b.Line)
	case record.Signal:
		return teamOf(b.Line)
	default:
		return teamOf(lineOf(body))
	}
}

func entryOf(e lineage.Entry) wire.Entry {
	s := e.Statement
	name, _ := s.Subject()
	return wire.Entry{
		Index: e.Index, Kind: s.Body.Kind(), Word: s.Body.Kind().String(), Actor: s.Actor, Time: s.Time,
		Subject: name, Digest: s.Digest(), Statement: e.Digest, Record: s.Raw,
	}
}
