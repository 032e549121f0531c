package lineage

import (
	"slices"

	"imprimatur.dev/record"
)

// committed reads the statements of a dataset that carry a commitment. It reads
// all of them: a commitment that came late still shows what two sets share.
func (c *collector) committed(digest record.Digest) (out []record.Recorded[record.Dataset], err error) {
	all, err := All[record.Dataset](c, record.KeyDataset(digest))
	for _, d := range all {
		if d.Record.Commitment != nil {
			out = append(out, d)
		}
	}
	return out, err
}

// heldOut reads the datasets that the release was evaluated on, and what was
// found in common between each and others.
func (c *collector) heldOut() error {
	var sets []record.Digest
	for _, e := range c.d.Evaluations {
		sets = append(sets, e.Record.Dataset)
	}
	slices.Sort(sets)
	for _, digest := range slices.Compact(sets) {
		facts := record.HeldOutFacts{Digest: digest}
		var err error
		if facts.Stated, err = All[record.Dataset](c, record.KeyDataset(digest)); err != nil {
			return err
		}
		if facts.Overlaps, err = All[record.Overlap](c, record.KeyOverlaps(digest)); err != nil {
			return err
		}
		c.d.HeldOut = append(c.d.HeldOut, facts)
	}
	return nil
}
