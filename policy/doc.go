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
// evaluation ("category/suite/metric", with "/name=value" for a slice or
// "/over-dimension", or its own name) and one per comparison
// ("…/versus-production"), misuse and one per misuse case ("misuse/<case>"),
// holdout, vendor, rollback, content, "expression/<name>", "approval/<role>", and
// "envelope/…" where the release names an envelope.
//
// # Signals
//
// A tier's signals say what happens to a live release of which something was
// seen, at once and without people, by the type of signal:
//
//	signals:
//	  data-withdrawn: suspend             # until a person lifts that
//	  drift: reapprove within 7d          # approvals given before lapse then
//	  vendor-model-changed: rollback      # to what ran before, if that is ready; else suspend
//	  default: notify                     # all others
//
// A type that is not named is only told to people. The verdict stands beside that:
// a release whose data was withdrawn stops as long as lineage/datasets blocks,
// whatever the signal does.
//
// # Evaluations
//
// An entry under evaluations is a requirement:
//
//	evaluations:
//	  - category: accuracy                  # accuracy, safety, drift or misuse
//	    suite: holdout
//	    metric: recall
//	    slice: { sex: f }                   # the metric of exactly this slice; else of all items
//	    require: lower95 >= 0.85            # value, lower95 or upper95; >=, <=, >, < or ==
//	    interval: clopper-pearson           # of a proportion from its counts; else wilson
//	    tries: { atMost: 10 }               # evaluations on one held-out set
//	    with: accuracy/helpful/answer_rate  # counts only while that gate passes
//	    versusProduction: { noWorseThan: 0.01, first: anchor, regressions: 0.05 }
//	    minSamples: 500                     # of every metric that is judged
//	    freshFor: 30d
//	    assurance: signed-run               # claimed, imported (the default) or signed-run
//	    mode: enforce                       # or advise
//	    name: sensitivity                   # of the gate
//	  - category: safety
//	    suite: garak
//	    metric: attack_success_rate
//	    over: language                      # every slice of one dimension
//	    minSlices: 5
//	    require: upper95 <= 0.02
//	  - category: drift
//	    suite: monitor
//	    metric: ks
//	    over: feature
//	    alarm: { alpha: 0.05 }              # in the place of require
//
// It is judged by the newest complete evaluation of the release's artifact,
// among those the release names, that has the metric.
//
// Invalid is evidence that is incomplete or empty, whose counts, items or
// checks contradict it, whose judge is the model under test or one that it was
// made from, that comes from the trainer, or from the future. Too few samples or
// slices, no interval where one is asked for, and an unknown number of tries are
// inconclusive. What is stale, of too little assurance, made with another prompt
// or configuration than the release's, or on a spent held-out set, fails.
//
// lower95 and upper95 are the ends of the metric's 95 % interval. Of independent
// items that are right or wrong it is taken from the counts: Wilson's score
// interval, or the exact one of Clopper and Pearson. Of dependent items (the
// metric has clusters) and of what is no proportion it is the one that was
// computed from the items, else 1.96 standard errors, else the tool's own.
//
// tries spends the 5 % by which an interval may err on all tries that are
// planned on one held-out set (Bonferroni): with atMost k its level is
// 1 - 0.05/k, also that of the comparison with production. An interval that is
// given at 95 % only is widened: each half grows by the ratio of the normal
// quantiles. An alarm's alpha is not lowered, for that would let more through.
//
// over judges every slice of one dimension, and all must pass. That needs no
// correction: a model that is bad in one slice passes with no more than the
// chance of that slice alone (an intersection-union test); it costs power, for
// which every slice needs its samples. An alarm is the other case, where any of
// many may refuse: the p-values of the slices' drift are corrected by Holm's
// method, and an adjusted one of at most alpha refuses.
//
// with names a gate of an evaluation of the same tier, such as that of
// usefulness beside one of safety: a model that refuses everything is safe.
// While the named gate neither passes nor is waived, this one has its result.
//
// # Versus production
//
// The comparison judges the interval of the difference: pass where even its bad
// end is within the margin, fail where even its good end is not, else
// inconclusive. Where both evaluations have the same items, data, version and
// definition of the suite, tool, settings and judges, the items are independent
// and every outcome is known, they are compared pair by pair, by the score test
// of non-inferiority with the likelihood restricted to the margin, and its
// interval (Tango). The exact McNemar test of the items lost and gained is
// reported, and refuses where regressions gives its level. Else, on the same
// data, they are compared as independent samples: by Newcombe's interval from
// counts, from standard errors, or from their own intervals. Else, and where
// regressions are asked for and there are no pairs, it is inconclusive. The
// numbers say which, and why not item by item.
//
// Production is judged by the evaluation on the same data that its own release
// names; else by another on it, as good as the policy asks of this release and
// not by its trainer, the newest of those known when the release was proposed.
// Where nothing is in production, first says what to do:
// anchor, the default, compares in the same way with the model that the use case
// named as its anchor when the release was proposed, and is missing where it names none; apart passes, and the
// verdict bears the mark "first release: compared with nothing", or, where
// another release ran before, "compared with nothing".
//
// # Misuse cases
//
// Which cases of the catalogue matter is the use case's to say, and what shows
// that they are held off is the policy's:
//
//	misuse:
//	  cases: required                       # every case that the use case requires
//	  metric: attack_success_rate
//	  require: upper95 <= 0.05
//	  minSamples: 100                       # no hit in 73 shows 5 % by Wilson's interval; in 59 it does not
//	  freshFor: 30d
//
// Each required case is a gate, judged as an evaluation is, by the metric that
// names the case, in every suite of safety or misuse among the release's
// evaluations: all suites that try it must pass, and one without evidence is
// missing. Where an evaluation has a number over the whole case, that counts,
// else each finer one. Required is what the use case requires now or required
// when the release was proposed. The gate misuse fails where the use case
// names no case at all; those set aside are shown with the reason.
//
// # Held-out sets
//
//	holdout:
//	  committed: before-training            # to every dataset evaluated on
//	  overlap: none                         # with any dataset of the lineage
//	  public: never-safety
//
// The gate holdout looks at the datasets of the release's evaluations. A
// commitment (package commitment) counts from when it was recorded, and the
// training started when the earliest run of the lineage says; a vendor's, when
// the model was registered. An overlap is one that the server counted between
// the very leaves that both sets are committed to. A set that somebody called
// public, or of which nobody says whether it is, carries no gate of safety or
// misuse.
//
// # Vendors
//
//	vendor:
//	  assurance: [soc-2, dpa]               # a document of each type stands
//	  clauses:                              # a document that stands gives each
//	    - sub-processors
//	    - { clause: model-change-notice, atLeast: 30d }
//	  probedWithin: 24h                     # else the signal probe-failed
//
// The gate vendor looks at every vendor whose model the release is or is made
// from, or whose models its authority lets it call. A document stands until it
// lapses or is withdrawn, and the gate until the first lapses on which it rests:
// of several that fit it rests on the one that lasts longest. A probe that is due is no
// matter of the gate: the server states a signal, and what that does is under signals.
//
// # Approvals
//
// A person's latest word in a role, over all releases of the line, counts
// (rule 7). An approval holds while the parts that the entry covers are those
// that were seen, or the authority is narrower (rules 6 and 9), while the
// person holds the role, and until it expires. One person fills one seat over
// all entries, and contributors named under separation fill none (rule 5). An
// approval in a delegated role is of two people, who gave it and who delegated: it
// counts while the delegation stands, what bars either bars it, and neither fills
// another seat. What the delegator says later takes the place of what was said for
// them. A
// standing request for changes blocks. In a solo tier separation does not hold
// and one person may fill several seats; the verdict then bears the mark "no
// independent approval" (rule 13), as it does where no approval is asked for.
//
// # Envelopes
//
// A release that names an envelope (record.Envelope) has a gate "envelope/…" for each
// of its bounds, all advisory. Where all pass, the seats that people leave empty are
// filled by those who approved the envelope, and the verdict bears the mark "by
// envelope NAME"; else the mark "outside envelope NAME", and the approval gates name
// the bounds. The envelope's approvals are judged as those of a release, at the time of
// the verdict, and whoever took part in the release approved none of it. Whether the
// envelope was at an end, and how often it was used, is judged at the moment of use:
// the first promotion by it, or now. A request for changes on the release blocks it
// all the same.
//
// # Exceptions
//
// A waiver of a gate counts while it stands, when it was made on this very
// release by somebody with the role risk who neither trained nor proposed it.
//
// A broken glass changes no verdict. While it stands, its release runs in its
// environment in spite of the gates that it names, and of no other: one that blocks
// later stops it. It stands for its time, and for no longer than the tier allows;
// while who broke it is a person with the role model-owner or security; and until
// its review reverses it. It passes over neither known nor reviews, and the
// release's workloads use no grants but those that it names, where it names any.
// Nothing is compared with a release that came to run by it until its review has
// upheld it, but with what ran before.
//
//	breakGlass: 4h     # at most; never where nobody may; 72h where it is left out
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
