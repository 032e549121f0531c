package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	"imprimatur.dev/commitment"
	"imprimatur.dev/lineage"
	"imprimatur.dev/record"
	"imprimatur.dev/store"
	"imprimatur.dev/wire"
)

// RegisterDataset registers a dataset version. One name and version stands for
// one digest, and one digest under one name: else a second name in another team
// would bring a second steward with it.
//
// A dataset that is registered already can be given a commitment to its items,
// and be said to be public or private, once; neither changes after that. The
// file of leaves that a commitment names was sent before ([Registry.KeepEvidence]).
func (r *Registry) RegisterDataset(ctx context.Context, who Caller, d record.Dataset) (record.Recorded[record.Dataset], error) {
	if d.Commitment != nil {
		if err := r.checkCommitment(ctx, who, d); err != nil {
			return record.Recorded[record.Dataset]{}, err
		}
	}
	return command[record.Dataset](ctx, r, who, func(t *tx) error {
		if err := d.Validate(); err != nil {
			return err
		}
		if err := t.within(actDataset, d.Team); err != nil {
			return err
		}
		versions, err := t.Find(record.KeyDatasetName(d.Team, d.Name))
		if err != nil {
			return err
		}
		for _, e := range versions {
			if old, ok := e.Statement.Body.(record.Dataset); ok && old.Version == d.Version && old.Digest != d.Digest {
				return refusef(wire.Conflict, "the dataset %s stands for %s already; register other bytes under a new version", d.Ref(), old.Digest.Short())
			}
		}
		return t.stateDataset(d)
	})
}

// stateDataset states a dataset that does not stand yet, or says more of one.
func (t *tx) stateDataset(d record.Dataset) error {
	entries, err := t.Find(record.KeyDataset(d.Digest))
	if err != nil {
		return err
	}
	raw, err := record.CanonicalOf(d)
	if err != nil {
		return err
	}
	var newest *record.Dataset
	for _, e := range entries {
		old, ok := e.Statement.Body.(record.Dataset)
		if !ok {
			continue
		}
		if e.Statement.Digest() == record.DigestOf(raw) {
			t.answer = []lineage.Entry{e}
			return nil
		}
		newest = &old
	}
	if newest != nil {
		more, err := saysMore(*newest, d)
		if err != nil {
			return err
		}
		if !more {
			return refusef(wire.Conflict, "the data %s stands already with other content, as %s; use a new name or version for other bytes, or give just what stands and a commitment", d.Digest.Short(), newest.Ref())
		}
	}
	return t.state(d)
}

// saysMore reports whether is differs from was in nothing but a commitment or a
// visibility that was has not.
func saysMore(was, is record.Dataset) (bool, error) {
	more := false
	if was.Commitment == nil && is.Commitment != nil {
		was.Commitment, more = is.Commitment, true
	}
	if (was.Visibility == "" || was.Visibility == record.Unknown) && was.Visibility != is.Visibility {
		was.Visibility, more = is.Visibility, true
	}
	a, err := record.CanonicalOf(was)
	if err != nil {
		return false, err
	}
	b, err := record.CanonicalOf(is)
	return more && string(a) == string(b), err
}

// checkCommitment refuses a commitment that is not that of its file of leaves.
func (r *Registry) checkCommitment(ctx context.Context, who Caller, d record.Dataset) error {
	if err := d.Validate(); err != nil {
		return err
	}
	if err := r.read(ctx, who, func(t *tx) error { return t.may(actDataset, d.Team) }); err != nil {
		return err
	}
	set, err := r.leaves(ctx, d)
	if err != nil {
		return err
	}
	got, err := set.Commitment()
	if err != nil {
		return err
	}
	if got != *d.Commitment {
		return refusef(wire.Invalid, "the commitment of %s is not that of its file of leaves, which has %d items and the root %s; send what imprimatur dataset commit wrote", d.Ref(), got.Items, got.Root.Short())
	}
	return nil
}

// enter waits for a turn to read what takes much memory.
func (r *Registry) enter(ctx context.Context) (leave func(), err error) {
	select {
	case r.reading <- struct{}{}:
		return func() { <-r.reading }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// leaves reads the file of leaves that a dataset is committed to.
func (r *Registry) leaves(ctx context.Context, d record.Dataset) (*commitment.Set, error) {
	leave, err := r.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	again := "send the file again: imprimatur dataset register " + d.Ref() + " --commitment FILE"
	blob, err := r.blobs.Open(string(d.Commitment.Leaves))
	if errors.Is(err, store.ErrNotFound) {
		return nil, refusef(wire.Unknown, "the file of leaves of %s, %s, is not here; %s", d.Ref(), d.Commitment.Leaves.Short(), again)
	}
	if err != nil {
		return nil, err
	}
	defer blob.Close() //nolint:errcheck // it was only read
	raw, err := io.ReadAll(io.LimitReader(blob, commitment.MaxFile+1))
	if errors.Is(err, store.ErrBlob) {
		return nil, refusef(wire.Unavailable, "the file of leaves of %s was damaged or changed where it is kept: %w; %s", d.Ref(), err, again)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the file of leaves of %s: %w", d.Ref(), err)
	}
	set, err := commitment.Parse(raw)
	if err != nil {
		return nil, refusef(wire.Invalid, "%s names %s: %w; give what imprimatur dataset commit wrote", d.Ref(), d.Commitment.Leaves.Short(), err)
	}
	return set, nil
}

// CompareDatasets counts the items that two committed datasets have in common
// and states it. The same comparison is stated once.
func (r *Registry) CompareDatasets(ctx context.Context, who Caller, in wire.Comparison) (record.Recorded[record.Overlap], error) {
	in.A, in.B = min(in.A, in.B), max(in.A, in.B)
	var a, b record.Dataset
	err := r.read(ctx, who, func(t *tx) (err error) {
		a, b, err = t.pair(in)
		return err
	})
	var none record.Recorded[record.Overlap]
	if err != nil {
		return none, err
	}
	o, err := r.count(ctx, a, b)
	if err != nil {
		return none, err
	}
	return command[record.Overlap](ctx, r, who, func(t *tx) error {
		if _, _, err := t.pair(in); err != nil {
			return err
		}
		// What a dataset is committed to never changes, so the count still holds.
		entries, err := t.Find(record.KeyOverlaps(o.A))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Statement.Body == record.Body(o) {
				t.answer = append(t.answer, e)
				return nil
			}
		}
		return t.state(o)
	})
}

// pair finds two committed datasets for a caller who may compare in the team of
// one and read in that of the other.
func (t *tx) pair(in wire.Comparison) (a, b record.Dataset, err error) {
	if in.A == in.B {
		return a, b, refusef(wire.Invalid, "a dataset has everything in common with itself; name two")
	}
	var found [2]record.Dataset
	for i, digest := range []record.Digest{in.A, in.B} {
		got, err := need[record.Dataset](t, record.KeyDataset(digest), "the dataset "+digest.Short(), "register it first: imprimatur dataset register")
		if err != nil {
			return a, b, err
		}
		found[i] = got.Record
	}
	own, other := found[0].Team, found[1].Team
	if t.may(actCompare, own) != nil {
		own, other = other, own
	}
	if err := t.may(actCompare, own); err != nil {
		return a, b, err
	}
	if err := t.may(actRead, other); err != nil {
		return a, b, err
	}
	if a, err = t.committed(found[0]); err != nil {
		return a, b, err
	}
	b, err = t.committed(found[1])
	return a, b, err
}

// committed finds a dataset in the statement that first carried its commitment.
func (t *tx) committed(d record.Dataset) (record.Dataset, error) {
	all, err := lineage.All[record.Dataset](t, record.KeyDataset(d.Digest))
	if err != nil {
		return d, err
	}
	for _, stated := range all {
		if stated.Record.Commitment != nil {
			return stated.Record, nil
		}
	}
	return d, refusef(wire.Conflict, "nobody committed to the items of %s; run imprimatur dataset commit FILE --key KEYFILE on them, and imprimatur dataset register %s FILE --commitment FILE.leaves", d.Ref(), d.Ref())
}

func (r *Registry) count(ctx context.Context, a, b record.Dataset) (record.Overlap, error) {
	var o record.Overlap
	comparable := commitment.Comparable(a.Commitment.Key, b.Commitment.Key, a.Commitment.Identity, b.Commitment.Identity)
	if comparable != nil {
		return o, refusef(wire.Conflict, "%s and %s: %w, with imprimatur dataset commit", a.Ref(), b.Ref(), comparable)
	}
	setA, err := r.leaves(ctx, a)
	if err != nil {
		return o, err
	}
	setB, err := r.leaves(ctx, b)
	if err != nil {
		return o, err
	}
	common, err := commitment.Overlap(setA, setB)
	if err != nil {
		return o, fmt.Errorf("comparing %s and %s: %w", a.Ref(), b.Ref(), err)
	}
	return record.Overlap{
		A: a.Digest, B: b.Digest, LeavesA: a.Commitment.Leaves, LeavesB: b.Commitment.Leaves,
		Common: common, OfA: setA.Items(), OfB: setB.Items(),
	}, nil
}
