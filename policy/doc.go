// Package policy reads policy files and judges releases by them.
//
// [Policy.Evaluate] is the only evaluator there is (rule 2): the server, the
// preview, the deploy check and the offline verifier all call it. It is a pure
// function of a policy, a dossier and a time, and gives the same bits on every
// machine: gates come in the order of the file, and arithmetic is kept from
// being fused.
//
// # The file
//
// A policy is YAML, one document, strict: see [Load]. Each tier says what it
// demands; what it does not name it does not demand, but for five gates that
// hold everywhere:
//
//   - known: the ledger has all that the release refers to. Never waived.
//   - use-case: the use case allows the environment, its owner is the one the
//     release froze, and its tier is no higher.
//   - environment-tier: the tier's rank is at least that of the environment's
//     least tier.
//   - reviews: no exception of the line is past its review date.
//   - tier, alone, where the policy has no such tier. Never waived.
//
// A tier in mode advise, or a gate in it, is reported and blocks nothing; the
// gates above block in every tier, for they are not the tier's to loosen. The
// further gates are lineage/datasets, lineage/run, lineage/code, one per
// evaluation ("category/suite/metric", or its name) and one per comparison
// ("…/versus-production"), rollback, content, "expression/<name>" and
// "approval/<role>".
//
// # Evaluations
//
// A requirement is judged by the newest complete evaluation of the release's
// artifact, among those the release names, that has the metric. lower95 and
// upper95 are the ends of its 95 % interval: Wilson's score interval where the
// metric has counts, else 1.96 standard errors, else the tool's own. Evidence
// that is incomplete, empty, contradicts itself or comes from the trainer is
// invalid; too few samples, or no interval where one is asked for, are
// inconclusive; what is stale or of too little assurance fails. Assurance is
// "imported" at least, unless the file says otherwise.
//
// The comparison with production judges the interval of the difference
// (Newcombe's, else from standard errors): pass where even its bad end is
// within the margin, fail where even its good end is not, else inconclusive.
//
// # Approvals
//
// A person's latest word in a role, over all releases of the line, counts
// (rule 7). An approval holds while the parts that the entry covers are those
// that were seen, or the authority is narrower (rules 6 and 9), while the
// person holds the role, and until it expires. One person fills one seat over
// all entries, and contributors named under separation fill none (rule 5). A
// standing request for changes blocks. In a solo tier separation does not hold
// and one person may fill several seats; the verdict then bears the mark "no
// independent approval" (rule 13), as it does where no approval is asked for.
//
// # Exceptions
//
// A waiver of a gate counts while it stands, when it was made on this very
// release by somebody with the role risk who neither trained nor proposed it.
// A break-glass promotion does not change a verdict; its review does.
//
// # Until
//
// A gate's Until is when it lapses by time alone, whatever lapses first: the
// evidence, an approval, the identity or role of who gave it. A verdict that
// passes at one time passes at every later time before its Until, so long as
// nothing new is stated.
//
// The package does no input or output and reads no clock.
package policy
