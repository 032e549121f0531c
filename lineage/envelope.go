package lineage

import (
	"fmt"
	"math"
	"slices"

	"imprimatur.dev/record"
)

// CollectEnvelope gathers what the approval of an envelope rests on, and every
// entry of that in ledger order: the dossier is the one of [record.EnvelopeFacts].
func CollectEnvelope(src Source, id string) (*record.Dossier, []Entry, error) {
	c := &collector{src: src, touched: map[int64]Entry{}, people: map[string]bool{}}
	stated, ok, err := First[record.Envelope](c, record.KeyEnvelope(id))
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, fmt.Errorf("gathering the facts of the envelope %s: %w", id, ErrNotFound)
	}
	c.d.Line = stated.Record.Line
	for _, step := range []func() error{
		func() error { return c.facts(stated, math.MaxInt64) },
		func() (err error) { c.d.History, err = History(c, c.d.Line); return err },
		c.persons,
	} {
		if err := step(); err != nil {
			return nil, nil, fmt.Errorf("gathering the facts of the envelope %s: %w", id, err)
		}
	}
	d := c.d.Envelope.AsRelease(c.d.People)
	d.History, d.Absent = c.d.History, c.d.Absent
	return d, c.entries(), nil
}

// First returns the oldest record of one type under a key.
func First[T record.Body](src Source, key string) (record.Recorded[T], bool, error) {
	all, err := All[T](src, key)
	if err != nil || len(all) == 0 {
		return record.Recorded[T]{}, false, err
	}
	return all[0], true, nil
}

// envelope reads what is known of the envelope that the release names.
func (c *collector) envelope() error {
	digest := c.d.Release.Record.Context.Envelope
	if digest == "" {
		return nil
	}
	stated, err := All[record.Envelope](c, record.KeyEnvelope(record.EnvelopeID(digest)))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(stated, func(e record.Recorded[record.Envelope]) bool { return e.Digest == digest })
	if i < 0 {
		c.absent("the envelope %s", digest)
		return nil
	}
	return c.facts(stated[i], c.d.Release.Index)
}

// facts reads an envelope's approvals, withdrawals and anchor, and the last two
// releases that named it before an index.
func (c *collector) facts(e record.Recorded[record.Envelope], before int64) error {
	f := &record.EnvelopeFacts{Envelope: e}
	c.d.Envelope = f
	c.names(e.Actor)
	c.names(e.Record.Workloads...)
	id := record.EnvelopeID(e.Digest)
	words, err := All[record.Approval](c, record.KeyEnvelope(id))
	if err != nil {
		return err
	}
	for _, w := range words {
		if err := c.spoke(w); err != nil {
			return err
		}
		f.Approvals = append(f.Approvals, record.ApprovalFacts{Approval: w, Digests: record.Digests{Record: e.Digest}})
	}
	if f.Withdrawals, err = All[record.EnvelopeWithdrawal](c, record.KeyEnvelope(id)); err != nil {
		return err
	}
	if err := c.anchored(f); err != nil {
		return err
	}
	return c.attempts(f, id, before)
}

// anchored reads the release that an envelope is anchored to.
func (c *collector) anchored(f *record.EnvelopeFacts) error {
	id := f.Envelope.Record.Anchor
	base, ok, err := c.baseline(id)
	if err != nil {
		return err
	}
	if !ok {
		c.absent("the release %s, to which the envelope is anchored", id)
		return nil
	}
	f.Anchor = base
	b := base.Release.Record.Behaviour
	trail, err := traceAsOf(c, b.Artifact, base.Release.Index)
	if err != nil {
		return err
	}
	f.AnchorRuns = trail.Runs
	for _, v := range trail.Versions {
		if v.Record.Artifact == b.Artifact {
			f.AnchorVersion = v
		}
		c.names(v.Actor)
	}
	for _, r := range trail.Runs {
		c.names(r.Actor, r.Record.Initiator)
	}
	for _, e := range base.Evaluations {
		c.names(e.Actor)
	}
	return nil
}

// attempts reads the last two releases that named an envelope before an index,
// with the verdicts that were stated beside them.
func (c *collector) attempts(f *record.EnvelopeFacts, id string, before int64) error {
	entries, err := c.Find(record.KeyEnvelopeReleases(id))
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		rel, ok := e.Statement.Body.(record.Release)
		return !ok || e.Index >= before || rel.Context.Envelope != f.Envelope.Digest
	})
	for _, e := range entries[max(0, len(entries)-2):] {
		a := record.EnvelopeAttempt{Release: record.ReleaseID(e.Statement.Digest()), Time: e.Statement.Time}
		verdict, _, err := First[record.Verdict](c, record.KeyVerdicts(a.Release))
		if err != nil {
			return err
		}
		a.Verdict = verdict.Record
		f.Attempts = append(f.Attempts, a)
	}
	return nil
}
