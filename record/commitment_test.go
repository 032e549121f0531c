package record_test

import "imprimatur.dev/record"

func faultsOfCommitments() []fault {
	return []fault{
		wrong("visibility", func(d *record.Dataset) { d.Visibility = "secret" }),
		wrong("there is no commitment", func(d *record.Dataset) { d.Commitment = nil }),
		wrong("commitment.root", func(d *record.Dataset) { d.Commitment.Root = "" }),
		wrong("commitment.leaves", func(d *record.Dataset) { d.Commitment.Leaves = "" }),
		wrong("commitment.key", func(d *record.Dataset) { d.Commitment.Key = "" }),
		wrong("commitment.items -1", func(d *record.Dataset) { d.Commitment.Items = -1 }),
		wrong("commitment.items is 0", func(d *record.Dataset) { d.Commitment.Items = 0 }),
		wrong("commitment.identity is empty", func(d *record.Dataset) { d.Commitment.Identity = "" }),
		wrong("commitment.identity is longer", func(d *record.Dataset) { d.Commitment.Identity = "a\nb" }),
		wrong("a:", func(o *record.Overlap) { o.A = "" }),
		wrong("b:", func(o *record.Overlap) { o.B = "z" }),
		wrong("lesser digest", func(o *record.Overlap) { o.A, o.B = o.B, o.A }),
		wrong("lesser digest", func(o *record.Overlap) { o.A = o.B }),
		wrong("leavesA", func(o *record.Overlap) { o.LeavesA = "" }),
		wrong("leavesB", func(o *record.Overlap) { o.LeavesB = "" }),
		wrong("ofA", func(o *record.Overlap) { o.OfA, o.Common = -1, 0 }),
		wrong("ofB", func(o *record.Overlap) { o.OfB, o.Common = -1, 0 }),
		wrong("common -1", func(o *record.Overlap) { o.Common = -1 }),
		wrong("common 3 exceeds", func(o *record.Overlap) { o.Common = 3 }),
	}
}
