package policy

import (
	"time"

	"imprimatur.dev/record"
)

// exampleCase is the misuse case that the example's use case requires.
const exampleCase = "direct-prompt-injection"

// misuse requires one case of the use case, and makes the evidence for it.
func (x *example) misuse() {
	e := x.tier.Misuse
	if e == nil {
		return
	}
	use := &x.d.UseCase.Record
	use.Catalogue = "example"
	use.Misuse = []record.MisuseCase{{Case: exampleCase, Required: true}, {Case: "tool-misuse", Reason: "it has no tools"}}
	m := e.metric(false, false)
	m.Case, m.Slice = exampleCase, map[string]string{caseDimension: exampleCase}
	x.d.Evaluations = append(x.d.Evaluations, recorded(x, "ed", "evaluation of misuse", record.Evaluation{
		Team: exampleTeam, Artifact: exampleDigest("artifact"), Category: record.Misuse, Suite: "attacks", Dataset: exampleDigest("held-out set"),
		Tool:     record.Tool{Name: "example", Version: "1"},
		Evidence: []record.RawFile{{Name: "evidence", Digest: exampleDigest("evidence of misuse"), Format: "example"}},
		Metrics:  []record.Metric{m}, Attempt: 1, Assurance: record.SignedRun, Ran: x.at.Add(-time.Minute),
	}))
}

// heldOut commits to the held-out set before the training, and to the training
// data, and finds nothing in common.
func (x *example) heldOut() {
	if x.tier.Holdout == nil {
		return
	}
	commit := func(name string, items int) *record.Commitment {
		return &record.Commitment{
			Root: exampleDigest("root of " + name), Items: items, Leaves: exampleDigest("leaves of " + name),
			Key: exampleDigest("key"), Identity: "csv",
		}
	}
	held := recorded(x, "stella", "held-out set record", record.Dataset{
		Team: exampleTeam, Name: "held-out", Version: "1", Digest: exampleDigest("held-out set"), Source: "s3://acme/held-out", Classification: "internal", Owner: "stella",
		Visibility: record.PrivateCommitted, Commitment: commit("held-out set", 1000),
	})
	held.Time = x.at.Add(-3 * day)
	used := &x.d.Datasets[0]
	used.Dataset.Record.Visibility, used.Dataset.Record.Commitment = record.PrivateCommitted, commit("dataset", 50_000)
	used.Committed = []record.Recorded[record.Dataset]{used.Dataset}
	overlap := record.Overlap{
		A: held.Record.Digest, B: used.Dataset.Record.Digest, LeavesA: held.Record.Commitment.Leaves, LeavesB: used.Dataset.Record.Commitment.Leaves,
		OfA: held.Record.Commitment.Items, OfB: used.Dataset.Record.Commitment.Items,
	}
	if overlap.A > overlap.B {
		overlap = record.Overlap{A: overlap.B, B: overlap.A, LeavesA: overlap.LeavesB, LeavesB: overlap.LeavesA, OfA: overlap.OfB, OfB: overlap.OfA}
	}
	x.d.HeldOut = []record.HeldOutFacts{{
		Digest: held.Record.Digest, Stated: []record.Recorded[record.Dataset]{held},
		Overlaps: []record.Recorded[record.Overlap]{recorded(x, "ed", "overlap", overlap)},
	}}
}
