package registry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/authority"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// seal makes a blob of each team's lines in the open file, states them all at
// once, and begins the file anew. Crash order: what was stated before the file
// was emptied is found by its digest, and not stated again.
func (j *journal) seal(ctx context.Context) error {
	if err := j.file.Sync(); err != nil {
		return err
	}
	var sealed []record.Decisions
	for _, team := range slices.Sorted(maps.Keys(j.teams)) {
		d, err := j.keepDecisions(ctx, j.teams[team])
		if err != nil {
			return err
		}
		sealed = append(sealed, d)
	}
	_, err := j.reg.write(ctx, Caller{Name: j.reg.Origin()}, func(t *tx) error {
		for _, d := range sealed {
			if before, err := t.Find(record.KeyDecisionLog(d.Log)); err != nil || len(before) > 0 {
				return err
			}
			if err := t.state(d); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = j.file.Truncate(0)
	}
	if err == nil {
		j.size, j.denied, j.sealed = 0, false, time.Now()
		clear(j.teams)
	}
	return err
}

// sweep removes the files whose time is over, the newest of them first, until it
// finds a page of which all are gone. What they said in sum stays in the ledger.
func (j *journal) sweep(ctx context.Context) error {
	var logs []record.Decisions
	err := j.reg.read(ctx, Caller{}, func(t *tx) error {
		before, err := t.upTo(wire.EntriesQuery{Until: t.now.Add(-j.keep)})
		for some := true; err == nil && some && before > 0; {
			var entries []lineage.Entry
			if entries, before, err = t.pageBefore(record.KeyKind(record.KindDecisions), before); err != nil {
				return err
			}
			some = false
			for _, e := range entries {
				if d, ok := e.Statement.Body.(record.Decisions); ok && j.reg.blobs.Has(string(d.Log)) {
					logs, some = append(logs, d), true
				}
			}
		}
		return err
	})
	for _, d := range logs {
		err = errors.Join(err, j.reg.blobs.Remove(string(d.Log)))
	}
	return err
}

// pageBefore reads a page of entries under a key, newest first, and says before
// which index the next one begins, 0 after the last.
func (t *tx) pageBefore(key string, before int64) ([]lineage.Entry, int64, error) {
	stored, err := t.view.Page(key, before, wire.MaxPage)
	if err != nil {
		return nil, 0, err
	}
	entries, err := t.decode(stored)
	if err != nil || len(entries) < wire.MaxPage {
		return entries, 0, err
	}
	return entries, entries[len(entries)-1].Index, nil
}

// tally is what the lines of one team in the open file say in sum, and where they
// stand there.
type tally struct {
	sum   record.Decisions
	words map[record.Denial]int // where in the sum such denials are
	parts []part
}

// part is a stretch of a file, in bytes.
type part struct{ from, to int64 }

// count takes a line that stands in the open file into its team's tally.
func (j *journal) count(l *wire.Decided, at part) {
	t := j.teams[l.Team]
	if t == nil {
		t = &tally{sum: record.Decisions{Team: l.Team, From: l.At, To: l.At}, words: map[record.Denial]int{}}
		j.teams[l.Team] = t
	}
	t.add(l)
	if n := len(t.parts); n > 0 && t.parts[n-1].to == at.from {
		t.parts[n-1].to = at.to
	} else {
		t.parts = append(t.parts, at)
	}
}

// recount counts what another process left in the file; a line that a crash cut off
// is passed over.
func (j *journal) recount() error {
	raw := make([]byte, j.size)
	if _, err := j.file.ReadAt(raw, 0); err != nil {
		return err
	}
	at := int64(0)
	for line := range bytes.Lines(raw) {
		from := at
		at += int64(len(line))
		var d wire.Decided
		if line[len(line)-1] == '\n' && json.Unmarshal(line, &d) == nil && d.Count > 0 {
			j.count(&d, part{from, at})
		}
	}
	return nil
}

// keepDecisions keeps the lines of a team as one blob.
func (j *journal) keepDecisions(ctx context.Context, t *tally) (record.Decisions, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return record.Decisions{}, err
	}
	for _, p := range t.parts {
		if _, err := io.Copy(z, io.NewSectionReader(j.file, p.from, p.to-p.from)); err != nil {
			return record.Decisions{}, err
		}
	}
	if err := z.Close(); err != nil {
		return record.Decisions{}, err
	}
	digest, _, err := j.reg.blobs.Put(ctx, &packed)
	d := t.sum
	d.Log = record.Digest(digest)
	return d, err
}

// add adds a line to the sum, which will be the statement on all of them.
func (t *tally) add(l *wire.Decided) {
	d, last := &t.sum, later(l.At, l.Last)
	if l.At.Before(d.From) {
		d.From = l.At
	}
	d.To = later(d.To, last)
	if l.Allowed {
		d.Allowed += l.Count
		if l.Cut {
			d.Unkept += l.Count
		}
		return
	}
	d.Denied += l.Count
	words := record.Denial{Workload: l.Workload, Release: l.Release, Type: l.Kind, Resource: l.Resource, Action: l.Action, Reason: l.Reason}
	at, known := t.words[words]
	switch {
	case l.Cut || !known && len(d.Denials) == record.MaxDenials:
		d.Others += l.Count
		return
	case !known:
		at = len(d.Denials)
		t.words[words] = at
		words.First, words.Last = l.At, last
		d.Denials = append(d.Denials, words)
	}
	d.Denials[at].Count += l.Count
	d.Denials[at].Last = later(d.Denials[at].Last, last)
}

// DecisionLog opens a decision log by its digest, for who may read the statement
// that names it: gzip of lines, each a wire.Decided.
func (r *Registry) DecisionLog(ctx context.Context, who Caller, digest record.Digest) (io.ReadCloser, error) {
	if err := digest.Validate(); err != nil {
		return nil, refusef(wire.Invalid, "%w", err)
	}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		entries, err := t.Find(record.KeyDecisionLog(digest))
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return refusef(wire.Unknown, "no decision log has the digest %s; imprimatur audit decisions reads them", digest)
		}
		if team := teamOfRecord(entries[0].Statement.Body); team != "" {
			return t.may(actRead, team)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	content, err := r.blobs.Open(string(digest))
	if errors.Is(err, store.ErrNotFound) {
		return nil, refusef(wire.Unknown, "the decision log %s is past its time and was removed, or another server of this ledger has it; ask there", digest.Short())
	}
	return content, err
}

// Used says what was really called under a release since a time, and the narrower
// authority that would have been enough. What was answered within the last minute
// may not be in it.
func (r *Registry) Used(ctx context.Context, who Caller, id string, since time.Time) (wire.Used, error) {
	out := wire.Used{Release: id, From: since}
	var logs []record.Decisions
	err := r.read(ctx, who, func(t *tx) error {
		rel, err := t.release(id)
		if err != nil {
			return err
		}
		if err := t.may(actRead, teamOf(rel.Record.Behaviour.Model)); err != nil {
			return err
		}
		out.Now, out.From = rel.Record.Authority, later(since, rel.Time)
		logs, err = t.decisionLogs(teamOf(rel.Record.Behaviour.Model), out.From)
		return err
	})
	if err != nil {
		return out, err
	}
	uses := map[authority.Use]bool{}
	for _, d := range logs {
		out.To = later(out.To, d.To)
		if err := r.eachDecided(d.Log, func(l wire.Decided) {
			switch {
			case l.Release != id || l.At.Before(out.From):
			case !l.Allowed:
				out.Denied += l.Count
			default:
				out.Calls += l.Count
				if l.Cut {
					out.Unkept += l.Count
					return
				}
				uses[authority.Use{Kind: l.Kind, Number: l.Grant, Workload: l.Workload, Resource: l.Resource, Action: l.Action}] = true
			}
		}); err != nil {
			return out, err
		}
	}
	out.Suggested = authority.Suggest(out.Now, slices.SortedFunc(maps.Keys(uses), byUse))
	return out, nil
}

// decisionLogs are those of a team that end at a time or later.
func (t *tx) decisionLogs(team string, from time.Time) (logs []record.Decisions, err error) {
	for before, more := t.view.Size(), true; more; more = before > 0 {
		var entries []lineage.Entry
		if entries, before, err = t.pageBefore(record.KeyDecisions(team), before); err != nil {
			return nil, err
		}
		for _, e := range entries {
			// Nothing is stated before it has happened.
			if e.Statement.Time.Before(from) {
				return logs, nil
			}
			if d, ok := e.Statement.Body.(record.Decisions); ok && !d.To.Before(from) {
				logs = append(logs, d)
			}
		}
	}
	return logs, nil
}

// eachDecided reads the lines of a log. Of one that is not here it reads none.
func (r *Registry) eachDecided(log record.Digest, each func(wire.Decided)) error {
	content, err := r.blobs.Open(string(log))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer content.Close()
	z, err := gzip.NewReader(content)
	if err != nil {
		return fmt.Errorf("reading the decision log %s: %w", log.Short(), err)
	}
	for lines := jsontext.NewDecoder(z); ; {
		var d wire.Decided
		if err := json.UnmarshalDecode(lines, &d); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the decision log %s: %w", log.Short(), err)
		}
		each(d)
	}
}
