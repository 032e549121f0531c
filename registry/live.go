package registry

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/lineage"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// Live answers what was live at a time, in every line of the teams that the
// caller may read; the zero time is now.
func (r *Registry) Live(ctx context.Context, who Caller, at time.Time) ([]wire.LiveRelease, error) {
	out := []wire.LiveRelease{}
	for from := ""; ; {
		p, err := r.LivePage(ctx, who, wire.LiveQuery{At: at, From: from, Limit: wire.MaxPage})
		if err != nil {
			return nil, err
		}
		out, from = append(out, p.Releases...), p.Next
		if from == "" {
			return out, nil
		}
	}
}

// linesAtOnce is how many more lines than it shows one page looks at, however few
// are live in them.
const linesAtOnce = 50

// LivePage pages through what was live at a time, in the order of the lines.
func (r *Registry) LivePage(ctx context.Context, who Caller, q wire.LiveQuery) (wire.LivePage, error) {
	if q.Limit <= 0 || q.Limit > wire.MaxPage {
		q.Limit = wire.MaxPage
	}
	out := wire.LivePage{Releases: []wire.LiveRelease{}, At: q.At}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		prefix := record.KeyLive("")
		if q.Team != "" {
			prefix = record.KeyLive(q.Team + "/")
		}
		lines, err := t.view.EachFrom(prefix, record.KeyLive(q.From), q.Limit+linesAtOnce)
		if err != nil {
			return err
		}
		if out.At.IsZero() {
			out.At = t.now
		}
		for _, k := range lines {
			line := strings.TrimPrefix(k.Key, record.KeyLive(""))
			if len(out.Releases) == q.Limit {
				out.Next = line
				return nil
			}
			if q.Environment != "" && !strings.HasSuffix(line, "/"+q.Environment) || !t.mayRead(teamOf(line)) {
				continue
			}
			l, ok, err := t.liveAt(line, q.At)
			if err != nil {
				return err
			}
			if ok {
				out.Releases = append(out.Releases, l)
			}
		}
		if n := len(lines); n == q.Limit+linesAtOnce {
			out.Next = strings.TrimPrefix(lines[n-1].Key, record.KeyLive("")) + afterKey
		}
		return nil
	})
	return out, err
}

// afterKey makes of a key one that comes after it and before any other: no key
// has a character as low.
const afterKey = "\x01"

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
	none := wire.LiveRelease{}
	history, err := lineage.History(t, line)
	if err != nil {
		return none, false, err
	}
	if at.IsZero() {
		at = t.now // not before what the line was just found to hold
	}
	_, live := record.StatusAt(history, "", at)
	if live == "" {
		return none, false, nil
	}
	rel, digests, err := t.firstStated(live)
	if err != nil {
		return none, false, err
	}
	b, x := rel.Record.Behaviour, rel.Record.Context
	out := wire.LiveRelease{
		Line: line, Release: live, Model: b.Model + "@" + b.Version, Artifact: b.Artifact,
		UseCase: x.UseCase, Tier: x.Tier, Environment: x.Environment,
	}
	for _, e := range history {
		if e.Promotion != nil && e.Promotion.Release == live && !e.Time.After(at) {
			out.Since, out.How, out.PromotedBy, out.Verdict, out.Until = e.Time, e.Promotion.How, e.Actor, e.Promotion.Verdict, e.Promotion.Until
		}
	}
	if out.Marks, err = t.marksOf(out); err != nil {
		return none, false, err
	}
	if out.Approvals, err = t.approvalsOf(line, digests, out.Since); err != nil {
		return none, false, err
	}
	out.Evaluations, err = t.evaluationsOf(rel.Record)
	return out, true, err
}

// marksOf returns the marks of the verdict by which a release went live.
func (t *tx) marksOf(l wire.LiveRelease) (marks []string, err error) {
	verdicts, err := lineage.All[record.Verdict](t, record.KeyVerdicts(l.Release))
	for _, v := range verdicts {
		if v.Digest == l.Verdict {
			marks = slices.Clone(v.Record.Marks)
		}
	}
	if l.How == record.BrokeGlass {
		marks = append(marks, policy.MarkBreakGlass)
	}
	return marks, err
}

// firstStated returns the first release stated under an ID, with its digests.
func (t *tx) firstStated(id string) (record.Recorded[record.Release], record.Digests, error) {
	entries, err := t.Find(record.KeyRelease(id))
	for _, e := range entries {
		if rel, ok := e.Statement.Body.(record.Release); ok {
			ds, err := record.DigestsOf(e.Statement.Raw)
			return recorded(e, rel), ds, err
		}
	}
	return record.Recorded[record.Release]{}, record.Digests{}, err
}

// approvalsOf returns the approvals of a line that were given by a time and saw
// the parts as they are.
func (t *tx) approvalsOf(line string, ds record.Digests, by time.Time) (out []record.Recorded[record.Approval], err error) {
	stored, err := t.view.Find(record.KeyApprovals(line))
	if err != nil {
		return nil, err
	}
	// Most of a long line's are of other releases: these are not taken apart.
	entries, err := t.decode(slices.DeleteFunc(stored, func(e store.Entry) bool { return !saw(e.Payload, ds) }))
	for _, e := range entries {
		a, ok := e.Statement.Body.(record.Approval)
		if ok && a.Decision == record.Approve && !e.Statement.Time.After(by) && covers(a, ds) {
			out = append(out, recorded(e, a))
		}
	}
	return out, err
}

// saw reports whether the digest of one of the parts stands in a payload.
func saw(payload []byte, ds record.Digests) bool {
	for _, d := range ds.Parts {
		if bytes.Contains(payload, []byte(d)) {
			return true
		}
	}
	return false
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

// evaluationsOf returns the evaluations that a release names.
func (t *tx) evaluationsOf(rel record.Release) (out []record.Recorded[record.Evaluation], err error) {
	for _, digest := range rel.Behaviour.Evaluations {
		all, err := lineage.All[record.Evaluation](t, record.KeyEvaluation(record.EvaluationID(digest)))
		if err != nil {
			return nil, err
		}
		for _, e := range all {
			if e.Digest == digest {
				out = append(out, e)
				break
			}
		}
	}
	return out, nil
}

// turningPoints is how many of the newest promotions, suspensions and
// retirements a look back begins with.
const turningPoints = 60

// Changes returns the newest promotions, suspensions and retirements that the
// caller may read, newest first: the moments at which something else ran.
func (r *Registry) Changes(ctx context.Context, who Caller) ([]wire.Entry, error) {
	var out []wire.Entry
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		for _, kind := range []record.Kind{record.KindPromotion, record.KindSuspension, record.KindRetirement} {
			stored, err := t.view.Page(record.KeyKind(kind), 0, turningPoints)
			if err != nil {
				return err
			}
			entries, err := t.decode(stored)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if t.visible(e.Statement.Body) {
					out = append(out, entryOf(e))
				}
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b wire.Entry) int { return int(b.Index - a.Index) })
	return out[:min(len(out), turningPoints)], err
}
