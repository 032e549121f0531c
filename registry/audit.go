package registry

import (
	"cmp"
	"context"
	"slices"

	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// List pages through the statements of one kind, newest first.
func (r *Registry) List(ctx context.Context, who Caller, kind record.Kind, before int64, limit int) (wire.Page, error) {
	return r.Under(ctx, who, before, limit, record.KeyKind(kind))
}

// By pages through what a principal stated, newest first.
func (r *Registry) By(ctx context.Context, who Caller, actor string, before int64, limit int) (wire.Page, error) {
	return r.Under(ctx, who, before, limit, record.KeyActor(actor))
}

// Releases pages through the releases of a model, newest first; an empty model
// means all.
func (r *Registry) Releases(ctx context.Context, who Caller, model string, before int64, limit int) (wire.Page, error) {
	if model == "" {
		return r.List(ctx, who, record.KindRelease, before, limit)
	}
	return r.Under(ctx, who, before, limit, record.KeyReleasesOf(model))
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
		for _, key := range []string{record.KeyReleases(line), record.KeyApprovals(line), record.KeyExceptions(line), record.KeyLive(line), record.KeySignals(line), record.KeyComments(line), record.KeyDrills(line)} {
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

// Under pages through what is found under any of some keys, newest first.
func (r *Registry) Under(ctx context.Context, who Caller, before int64, limit int, keys ...string) (wire.Page, error) {
	if limit <= 0 || limit > wire.MaxPage {
		limit = wire.MaxPage
	}
	p := wire.Page{Entries: []wire.Entry{}}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		var stored []store.Entry
		for _, key := range keys {
			some, err := t.view.Page(key, before, limit)
			if err != nil {
				return err
			}
			stored = append(stored, some...)
		}
		if len(keys) > 1 {
			slices.SortFunc(stored, func(a, b store.Entry) int { return cmp.Compare(b.Index, a.Index) })
			stored = slices.CompactFunc(stored, func(a, b store.Entry) bool { return a.Index == b.Index })
			stored = stored[:min(len(stored), limit)]
		}
		if len(stored) == limit {
			p.Next = stored[limit-1].Index
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
		return nil
	})
	return p, err
}

// mayReadAny lets in whoever holds any role for any team; visible then decides
// entry by entry.
func (t *tx) mayReadAny() error { return t.mayAnywhere(actRead) }

// visible reports whether the caller may read a record: what belongs to a team
// is read by those who hold a role for it, what belongs to none by all. Token
// records are for administrators and their owner, targets for who may set them up.
func (t *tx) visible(body record.Body) bool {
	if token, ok := body.(record.Token); ok && token.Principal != t.who.Name {
		return t.may(actToken, record.AllTeams) == nil
	}
	if x, ok := body.(record.Target); ok {
		return t.may(actTarget, x.Team) == nil
	}
	team := teamOfRecord(body)
	return team == "" || t.mayRead(team)
}

func teamOfRecord(body record.Body) string {
	switch b := body.(type) {
	case record.LineageEvents:
		return b.Team
	case record.Decisions:
		return b.Team
	case record.Secret:
		return b.Team
	case record.ModelVendor:
		return b.Team
	case record.Assurance:
		return b.Team
	case record.Probe:
		return b.Team
	case record.Gateway:
		return b.Team
	case record.Window:
		return teamOf(b.Line)
	case record.Dataset:
		return b.Team
	case record.Run:
		return b.Team
	case record.Model:
		return b.Team
	case record.ModelVersion:
		return teamOf(b.Model)
	case record.RegisteredModel:
		return b.Team
	case record.RegisteredVersion:
		return b.Team
	case record.Delegation:
		if b.Team == record.AllTeams {
			return ""
		}
		return b.Team
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
	case record.Drill:
		return teamOf(b.Line)
	case record.Comment:
		return teamOf(b.Line)
	case record.Verdict:
		return teamOf(b.Line)
	case record.Envelope:
		return teamOf(b.Line)
	case record.EnvelopeWithdrawal:
		return teamOf(b.Line)
	case record.Signal:
		if b.Move != nil {
			return b.Move.Team
		}
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
