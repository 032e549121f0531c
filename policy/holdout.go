package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

const gateHoldout = "holdout"

// Holdout is what a policy demands of the datasets that evaluations are made on.
type Holdout struct {
	// Committed demands a commitment from before the training started.
	Committed bool
	// Overlap demands that nothing is in common with the training data.
	Overlap bool
	// Public keeps public sets from carrying a gate of safety or misuse.
	Public bool

	where position
}

func (r *reader) holdout(n *yaml.Node) *Holdout {
	h := &Holdout{where: at(n)}
	r.mapping(n, "holdout",
		may("committed", func(n *yaml.Node) { h.Committed = r.oneOf(n, "committed", "before-training") == "before-training" }),
		may("overlap", func(n *yaml.Node) { h.Overlap = r.oneOf(n, "overlap", "none") == "none" }),
		may("public", func(n *yaml.Node) { h.Public = r.oneOf(n, "public", "never-safety") == "never-safety" }),
	)
	if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		r.failf(at(n), "holdout is empty; it has committed, overlap, public")
	}
	return h
}

func (h *Holdout) sentence() string {
	var s []string
	if h.Committed {
		s = append(s, "every dataset evaluated on was committed to before the training started")
	}
	if h.Overlap {
		s = append(s, "none of its items is among those of any dataset of the lineage")
	}
	if h.Public {
		s = append(s, "no gate of safety or misuse rests on a set that is public, or may be")
	}
	return strings.Join(s, "; ")
}

// heldSet is a dataset that the release was evaluated on, as it stood.
type heldSet struct {
	facts *record.HeldOutFacts
	// newest is the latest word on it, committed the first that carries a
	// commitment; nil for none.
	newest, committed *record.Recorded[record.Dataset]
	// public says that somebody once said so.
	public bool
}

func (s *heldSet) ref() string {
	if s.newest == nil {
		return s.facts.Digest.Short()
	}
	return s.newest.Record.Ref()
}

// shortfall is one way in which the held-out sets are not as they should be.
type shortfall struct {
	result record.Result
	do     string
	text   string
}

// inquiry gathers what is wrong with the held-out sets.
type inquiry struct {
	*judge
	sets  []heldSet
	short []shortfall
	// said are the sentences of what is right, and evidence the statements that
	// they rest on.
	said     []string
	evidence []string
}

func (q *inquiry) fault(result record.Result, do, format string, args ...any) {
	q.short = append(q.short, shortfall{result, do, fmt.Sprintf(format, args...)})
}

// holdout judges the datasets that the release's evaluations were made on. It
// comes after the gates of evaluations, to know which of them rest on what.
func (j *judge) holdout() record.Gate {
	q := inquiry{judge: j, sets: j.heldSets()}
	if len(q.sets) == 0 {
		return refuse(record.Missing, evaluators, doHoldoutEvaluate(j.d), "The release names no evaluation, so there is no held-out set to look at.")
	}
	for i := range q.sets {
		if s := &q.sets[i]; s.newest == nil {
			q.fault(record.Missing, doRegister(string(s.facts.Digest)), "the dataset %s, on which it was evaluated, is not registered", s.ref())
		}
	}
	if j.tier.Holdout.Committed {
		q.committedBefore()
	}
	if j.tier.Holdout.Overlap {
		q.nothingInCommon()
	}
	if j.tier.Holdout.Public {
		q.noneIsPublic()
	}
	return q.gate()
}

// gate joins what was found, the worst first.
func (q *inquiry) gate() record.Gate {
	if len(q.short) == 0 {
		g := pass("%s.", strings.Join(q.said, ". "))
		g.Evidence = q.evidence
		return g
	}
	slices.SortStableFunc(q.short, func(a, b shortfall) int { return severity[b.result] - severity[a.result] })
	texts := make([]string, len(q.short))
	for i, s := range q.short {
		texts[i] = s.text
	}
	const shown = 5
	more := ""
	if len(texts) > shown {
		more = fmt.Sprintf("; and %d more", len(texts)-shown)
		texts = texts[:shown]
	}
	text := strings.Join(texts, "; ") + more + "."
	g := refuse(q.short[0].result, roles(record.Contributor, record.DataSteward), q.short[0].do, "What was held out falls short: %s", text)
	g.Evidence = q.evidence
	return g
}

// heldSets are the datasets of the evaluations that the release names, as they
// stood at the time asked about.
func (j *judge) heldSets() (out []heldSet) {
	named := j.d.Release.Record.Behaviour.Evaluations
	for i := range j.d.HeldOut {
		f := &j.d.HeldOut[i]
		used := slices.ContainsFunc(j.d.Evaluations, func(e record.Recorded[record.Evaluation]) bool {
			return e.Record.Dataset == f.Digest && slices.Contains(named, e.Digest)
		})
		if !used {
			continue
		}
		s := heldSet{facts: f}
		for k := range f.Stated {
			d := &f.Stated[k]
			if d.Time.After(j.at) {
				continue
			}
			s.newest, s.public = d, s.public || d.Record.Visibility == record.Public
			if s.committed == nil && d.Record.Commitment != nil {
				s.committed = d
			}
		}
		out = append(out, s)
	}
	return out
}

// began returns when the training started, and what says so: the earliest run
// of the lineage, or for a vendor's model, whose training nobody knows, when it
// was registered here.
func (j *judge) began() (at time.Time, what string) {
	for i := range j.d.Runs {
		if r := &j.d.Runs[i]; what == "" || r.Record.Started.Before(at) {
			at, what = r.Record.Started, "the training run "+r.Record.Ref()+" started"
		}
	}
	if v := &j.d.Version; what == "" && v.Record.Type == record.Vendor {
		at, what = v.Time, "the vendor's model was registered"
	}
	return at, what
}

func (q *inquiry) committedBefore() {
	began, what := q.began()
	if what == "" {
		q.fault(record.Missing, doRecordRun(q.d), "no training run is recorded, so it cannot be told what was committed to before")
		return
	}
	short, items := len(q.short), 0
	for i := range q.sets {
		s := &q.sets[i]
		switch {
		case s.newest == nil:
		case s.committed == nil:
			q.fault(record.Missing, doCommit(), "nobody committed to the items of %s; commit to a fresh set before the next training, and evaluate on it", s.ref())
		case !s.committed.Time.Before(began):
			q.fault(record.Fail, doCommit(), "%s was committed to on %s, and %s on %s; commit to a fresh set before the next training, and evaluate on it",
				s.ref(), date(s.committed.Time), what, date(began))
		default:
			items += s.committed.Record.Commitment.Items
			q.evidence = append(q.evidence, string(s.committed.Digest))
		}
	}
	if len(q.short) == short {
		q.said = append(q.said, fmt.Sprintf("%s, of %d items, before %s on %s", countSets(len(q.sets)), items, what, date(began)))
	}
}

func countSets(n int) string {
	if n == 1 {
		return "The held-out set was committed to"
	}
	return fmt.Sprintf("All %d held-out sets were committed to", n)
}

func (q *inquiry) nothingInCommon() {
	short, items := len(q.short), 0
	for i := range q.d.Datasets {
		for k := range q.sets {
			items += q.pair(&q.sets[k], &q.d.Datasets[i], k == 0)
		}
	}
	switch {
	case len(q.short) > short:
	case len(q.d.Datasets) > 0:
		q.said = append(q.said, fmt.Sprintf("None of their items is among the %d of %d datasets of the lineage", items, len(q.d.Datasets)))
	case q.d.Version.Record.Type == record.Vendor && len(q.d.Runs) == 0:
		q.said = append(q.said, "A vendor's model names no dataset here to compare with")
	case len(q.d.Runs) == 0:
		q.fault(record.Missing, doRecordRun(q.d), "no training run is recorded, so it is not known which datasets to compare with")
	default:
		q.said = append(q.said, "The runs read no dataset to compare with")
	}
}

// pair judges one held-out set against one dataset of the lineage, and returns
// how many items the latter has, where that is to be counted.
func (q *inquiry) pair(s *heldSet, f *record.DatasetFacts, count bool) (items int) {
	used := f.Dataset.Record
	if used.Digest == s.facts.Digest {
		q.fault(record.Fail, doCommit(), "%s, on which it was evaluated, is itself among what the model was made from", s.ref())
		return 0
	}
	var c *record.Commitment
	for i := range f.Committed {
		if d := &f.Committed[i]; c == nil && !d.Time.After(q.at) {
			c = d.Record.Commitment
		}
	}
	if c == nil {
		q.fault(record.Missing, doCommit(), "nobody committed to the items of %s, from which the model was made, so it cannot be compared with %s", used.Ref(), s.ref())
		return 0
	}
	if s.committed == nil {
		if s.newest != nil && !q.tier.Holdout.Committed {
			q.fault(record.Missing, doCommit(), "nobody committed to the items of %s, so it cannot be compared with %s", s.ref(), used.Ref())
		}
		return 0
	}
	own := s.committed.Record.Commitment
	if own.Key != c.Key || own.Identity != c.Identity {
		q.fault(record.Missing, doCommit(), "%s and %s are committed to under different keys, or by different fields, and cannot be compared; commit to both with one key file", s.ref(), used.Ref())
		return 0
	}
	o := q.overlap(s, used.Digest, own.Leaves, c.Leaves)
	switch {
	case o == nil:
		q.fault(record.Missing, doOverlap(s.ref(), used.Ref()), "nobody has compared %s with %s", s.ref(), used.Ref())
	case o.Record.Common > 0:
		q.fault(record.Fail, doCommit(), "%d of the %d items of %s are among the %d of %s, from which the model was made; evaluate on a set that it has not seen",
			o.Record.Common, own.Items, s.ref(), c.Items, used.Ref())
		q.evidence = append(q.evidence, string(o.Digest))
	default:
		q.evidence = append(q.evidence, string(o.Digest))
	}
	if count {
		items = c.Items
	}
	return items
}

// overlap finds the comparison of two sets by the leaves that they are committed
// to; nil for none.
func (q *inquiry) overlap(s *heldSet, other, own, others record.Digest) (found *record.Recorded[record.Overlap]) {
	for i := range s.facts.Overlaps {
		o := &s.facts.Overlaps[i]
		a, b := own, others
		if o.Record.A == other {
			a, b = others, own
		}
		if o.Record.Other(s.facts.Digest) == other && o.Record.LeavesA == a && o.Record.LeavesB == b && !o.Time.After(q.at) {
			found = o
		}
	}
	return found
}

func (q *inquiry) noneIsPublic() {
	short, carrying := len(q.short), q.carrying()
	for i := range q.sets {
		s := &q.sets[i]
		gates := carrying[s.facts.Digest]
		if s.newest == nil || len(gates) == 0 {
			continue
		}
		switch {
		case s.public:
			q.fault(record.Fail, doCommit(), "%s is public, so the model may have been trained on it, and it carries the gate %s; evaluate that on a set that was kept private", s.ref(), few(gates))
		case s.newest.Record.Visibility != record.PrivateCommitted:
			q.fault(record.Inconclusive, doCommit(), "nobody has said whether %s is public, and it carries the gate %s; commit to its items, or evaluate on a set that was kept private", s.ref(), few(gates))
		}
	}
	if len(q.short) == short {
		q.said = append(q.said, "No gate of safety or misuse rests on a public set")
	}
}

// carrying returns, for each dataset, the gates of safety and misuse that were
// judged by an evaluation on it.
func (j *judge) carrying() map[record.Digest][]string {
	out := map[record.Digest][]string{}
	for i := range j.gates {
		g := &j.gates[i]
		if !j.ofSafety(g.Name) {
			continue
		}
		for k := range j.d.Evaluations {
			e := &j.d.Evaluations[k]
			set := e.Record.Dataset
			if slices.Contains(g.Evidence, record.EvaluationID(e.Digest)) && !slices.Contains(out[set], g.Name) {
				out[set] = append(out[set], g.Name)
			}
		}
	}
	return out
}

func (j *judge) ofSafety(gate string) bool {
	if j.tier.Misuse != nil && strings.HasPrefix(gate, misusePrefix) {
		return true
	}
	return slices.ContainsFunc(j.tier.Evaluations, func(e Requirement) bool {
		return e.Gate == gate && (e.Category == record.Safety || e.Category == record.Misuse)
	})
}

func doCommit() string { return "imprimatur dataset commit FILE --key KEYFILE" }

func doRegister(ref string) string {
	return "imprimatur dataset register TEAM/NAME@VERSION --digest " + ref
}

func doOverlap(a, b string) string { return "imprimatur dataset overlap " + a + " " + b }

func doHoldoutEvaluate(d *record.Dossier) string {
	b := d.Release.Record.Behaviour
	return fmt.Sprintf("imprimatur eval record FILE --model %s@%s", b.Model, b.Version)
}
