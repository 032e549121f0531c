package registry

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/ledger"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// namesAtOnce is how many names one page looks at, however few of them it shows.
const namesAtOnce = 1000

// Named pages through the things whose keys begin with a prefix, such as
// record.KeyModel(""), in the order of their names, each as it was last stated.
func (r *Registry) Named(ctx context.Context, who Caller, q wire.Browse) (wire.Named, error) {
	if q.Limit <= 0 || q.Limit > wire.MaxPage {
		q.Limit = wire.MaxPage
	}
	out := wire.Named{Entries: []wire.Entry{}}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		from := q.Prefix + q.From
		for seen := 0; ; {
			names, err := t.view.EachFrom(q.Prefix+q.Begins, from, q.Limit+1)
			if err != nil || len(names) == 0 {
				return err
			}
			for _, k := range names {
				name := strings.TrimPrefix(k.Key, q.Prefix)
				if len(out.Entries) == q.Limit || seen == namesAtOnce {
					out.Next = name
					return nil
				}
				if strings.HasPrefix(name, digests) && !strings.HasPrefix(q.Begins, digests) {
					from = q.Prefix + pastDigests
					break
				}
				if err := t.name(q, k.Entry, &out); err != nil {
					return err
				}
				from = k.Key + afterKey
				seen++
			}
		}
	})
	return out, err
}

// Some things stand under their digests as well as under their names; the
// digests are looked at only when they are asked for.
const (
	digests     = "sha256:"
	pastDigests = "sha256;"
)

// name adds one thing to a page when it is what was asked for.
func (t *tx) name(q wire.Browse, stored store.Entry, out *wire.Named) error {
	entries, err := t.decode([]store.Entry{stored})
	if err != nil {
		return err
	}
	body := entries[0].Statement.Body
	if q.Type != "" && typeOf(body) != q.Type || !t.visible(body) {
		return nil
	}
	out.Entries = append(out.Entries, entryOf(entries[0]))
	return nil
}

// typeOf returns what a list of such things can be narrowed down by.
func typeOf(body record.Body) string {
	switch b := body.(type) {
	case record.Model:
		return string(b.Type)
	case record.ModelVersion:
		return string(b.Type)
	case record.Principal:
		return string(b.Type)
	case record.UseCase:
		return b.Tier
	case record.Delegation:
		return string(b.Role)
	case record.Dataset:
		return b.Classification
	case record.Assurance:
		return b.Type
	case record.Probe:
		return b.Result
	}
	return ""
}

// entriesAtOnce is how many entries one page of the ledger looks at, however few
// of them it shows.
const entriesAtOnce = 1000

// Entries pages through the ledger, newest first, by kind, actor and time.
func (r *Registry) Entries(ctx context.Context, who Caller, q wire.EntriesQuery) (wire.Page, error) {
	if q.Limit <= 0 || q.Limit > wire.MaxPage {
		q.Limit = wire.MaxPage
	}
	out := wire.Page{Entries: []wire.Entry{}}
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		before, err := t.upTo(q)
		if err != nil || before == 0 {
			return err
		}
		for seen := 0; seen < entriesAtOnce; {
			stored, err := t.entriesBefore(q, before)
			if err != nil {
				return err
			}
			entries, err := t.decode(stored)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if !q.Since.IsZero() && e.Statement.Time.Before(q.Since) {
					return nil
				}
				before = e.Index
				if (q.Kind == "" || e.Statement.Body.Kind() == q.Kind) && t.visible(e.Statement.Body) {
					out.Entries = append(out.Entries, entryOf(e))
				}
				if len(out.Entries) == q.Limit {
					out.Next = before
					return nil
				}
			}
			if seen += len(entries); len(entries) < wire.MaxPage || before == 0 {
				return nil
			}
		}
		out.Next = before
		return nil
	})
	return out, err
}

// entriesBefore reads the next entries by the narrowest key that there is.
func (t *tx) entriesBefore(q wire.EntriesQuery, before int64) ([]store.Entry, error) {
	switch {
	case q.Actor != "":
		return t.view.Page(record.KeyActor(q.Actor), before, wire.MaxPage)
	case q.Kind != "":
		return t.view.Page(record.KeyKind(q.Kind), before, wire.MaxPage)
	default:
		return t.view.Before(before, wire.MaxPage)
	}
}

// upTo returns the index before which the entries asked for stand: that of the
// cursor, or of the first entry after the time. The ledger is in the order of
// time but for what clocks of replicas differ by.
func (t *tx) upTo(q wire.EntriesQuery) (int64, error) {
	size := t.view.Size()
	if q.Before > 0 {
		size = min(size, q.Before)
	}
	if q.Until.IsZero() {
		return size, nil
	}
	low, high := int64(0), size
	for low < high {
		mid := (low + high) / 2
		at, err := t.timeOf(mid)
		if err != nil {
			return 0, err
		}
		if at.After(q.Until) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low, nil
}

func (t *tx) timeOf(index int64) (time.Time, error) {
	stored, err := t.view.Get(index)
	if err != nil {
		return time.Time{}, err
	}
	entries, err := t.decode([]store.Entry{stored})
	if err != nil {
		return time.Time{}, err
	}
	return entries[0].Statement.Time, nil
}

// Entry returns one entry of the ledger whole: what was said, who signed it, and
// the proof that it stands in the ledger. Whoever may not read what it says gets
// no more than the public log shows of it.
func (r *Registry) Entry(ctx context.Context, who Caller, index int64) (wire.LedgerEntry, error) {
	var out wire.LedgerEntry
	err := r.read(ctx, who, func(t *tx) error {
		if err := t.mayReadAny(); err != nil {
			return err
		}
		stored, err := t.view.Get(index)
		if err != nil {
			return refusef(wire.Unknown, "the ledger has no entry %d: its %d entries are numbered from 0; see imprimatur log status", index, t.view.Size())
		}
		entries, err := t.decode([]store.Entry{stored})
		if err != nil {
			return err
		}
		if body := entries[0].Statement.Body; !t.visible(body) {
			return cmp.Or(t.may(actRead, teamOfRecord(body)), t.may(actToken, record.AllTeams))
		}
		proof, err := t.view.Proof(index)
		if err != nil {
			return err
		}
		out = wire.LedgerEntry{
			Entry: entryOf(entries[0]), Payload: stored.Payload, Signature: stored.Signature, KeyID: r.key.ID(),
			Checkpoint: string(proof.Checkpoint), Size: t.view.Size(),
		}
		if out.Leaf, err = ledger.LeafOf(entries[0].Statement, stored.Payload); err != nil {
			return err
		}
		out.Proof = slices.Grow(out.Proof, len(proof.Hashes))
		for _, h := range proof.Hashes {
			out.Proof = append(out.Proof, h[:])
		}
		return nil
	})
	return out, err
}
