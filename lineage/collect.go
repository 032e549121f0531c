package lineage

import (
	"fmt"
	"maps"
	"slices"

	"imprimatur.dev/record"
)

// Collect gathers the dossier of a release, and every entry that it rests on,
// in ledger order without repeats.
func Collect(src Source, release string) (*record.Dossier, []Entry, error) {
	c := &collector{src: src, touched: map[int64]Entry{}, people: map[string]bool{}}
	if err := c.collect(release); err != nil {
		return nil, nil, fmt.Errorf("gathering the facts of release %s: %w", release, err)
	}
	return &c.d, c.entries(), nil
}

// Gather returns every entry that a bundle of the release needs, in ledger
// order: what its dossier rests on now, the verdicts stated of it, and what each
// of these rested on when it was stated.
func Gather(src Source, release string) ([]Entry, error) {
	all := &collector{src: src, touched: map[int64]Entry{}}
	verdicts, err := All[record.Verdict](all, record.KeyVerdicts(release))
	if err != nil {
		return nil, err
	}
	_, entries, err := Collect(src, release)
	if err != nil {
		return nil, err
	}
	for _, v := range verdicts {
		_, then, err := Collect(Filter(src, func(e Entry) bool { return e.Index < v.Index }), release)
		if err != nil {
			return nil, fmt.Errorf("gathering what the verdict at index %d rested on: %w", v.Index, err)
		}
		entries = append(entries, then...)
	}
	for _, e := range entries {
		all.touched[e.Index] = e
	}
	return all.entries(), nil
}

// collector is a Source that remembers what it found, so that what a dossier
// rests on is known without a second list to keep in step.
type collector struct {
	src     Source
	touched map[int64]Entry
	d       record.Dossier
	people  map[string]bool
}

// Find implements Source.
func (c *collector) Find(key string) ([]Entry, error) {
	entries, err := c.src.Find(key)
	for _, e := range entries {
		c.touched[e.Index] = e
	}
	return entries, err
}

func (c *collector) entries() []Entry {
	out := make([]Entry, 0, len(c.touched))
	for _, i := range slices.Sorted(maps.Keys(c.touched)) {
		out = append(out, c.touched[i])
	}
	return out
}

func (c *collector) collect(release string) error {
	steps := []func() error{c.context, c.lineage, c.vendors, c.evaluations, c.heldOut, c.anchor, c.envelope, c.approvals, c.exceptions, c.signals, c.history, c.persons}
	if err := c.release(release); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) absent(format string, args ...any) {
	c.d.Absent = append(c.d.Absent, fmt.Sprintf(format, args...))
}

// names notes principals whose roles and kinds the policy will ask about.
func (c *collector) names(names ...string) {
	for _, n := range names {
		if n != "" {
			c.people[n] = true
		}
	}
}

func (c *collector) release(id string) error {
	rel, ds, ok, err := c.find(id)
	if err != nil {
		return err
	}
	if !ok {
		return ErrNotFound
	}
	c.d.Release, c.d.Digests, c.d.ID, c.d.Line = rel, ds, id, rel.Record.Line()
	c.names(rel.Actor, rel.Record.Context.Owner)
	return nil
}

// find returns the first release stated under an ID, with its digests. An ID is
// 48 bits of a digest: a second record made to share it has no say.
func (c *collector) find(id string) (record.Recorded[record.Release], record.Digests, bool, error) {
	if id != "" && id == c.d.ID {
		return c.d.Release, c.d.Digests, true, nil
	}
	entries, err := c.Find(record.KeyRelease(id))
	for _, e := range entries {
		if rel, ok := e.Statement.Body.(record.Release); ok {
			ds, err := record.DigestsOf(e.Statement.Raw)
			return recorded(e, rel), ds, true, err
		}
	}
	return record.Recorded[record.Release]{}, record.Digests{}, false, err
}

// context reads what the release's context part names, the policy's statement
// included, so that it is among the entries.
func (c *collector) context() error {
	x := c.d.Release.Record.Context
	var ok bool
	var err error
	if c.d.UseCase, ok, err = Last[record.UseCase](c, record.KeyUseCase(x.UseCase)); err != nil {
		return err
	} else if !ok {
		c.absent("the use case %s", x.UseCase)
	}
	if c.d.Environment, ok, err = Last[record.Environment](c, record.KeyEnvironment(x.Environment)); err != nil {
		return err
	} else if !ok {
		c.absent("the environment %s", x.Environment)
	}
	if _, ok, err = Last[record.Policy](c, record.KeyPolicy(x.Policy.Digest)); err == nil && !ok {
		c.absent("the policy %s %s", x.Policy.Name, x.Policy.Digest)
	}
	return err
}

// lineage traces the artifact and holds the release's data part against it, so
// that a release cannot leave out what its model was made from.
func (c *collector) lineage() error {
	rel := c.d.Release.Record
	trail, err := traceAsOf(c, rel.Behaviour.Artifact, c.d.Release.Index)
	if err != nil {
		return err
	}
	c.d.Absent = append(c.d.Absent, trail.Absent...)
	c.d.Unread = trail.Unread
	for _, v := range trail.Versions {
		c.names(v.Actor)
		if v.Record.Artifact != rel.Behaviour.Artifact {
			c.d.Bases = append(c.d.Bases, v)
		}
	}
	if err := c.namedVersion(); err != nil {
		return err
	}
	if err := c.runs(trail.Runs); err != nil {
		return err
	}
	for _, b := range trail.Bases {
		if !slices.Contains(rel.Data.Bases, b) {
			c.absent("in the release, the base model %s, from which its model was made; propose the release again", b)
		}
	}
	for _, d := range trail.Datasets {
		if !slices.Contains(rel.Data.Datasets, d) {
			c.absent("in the release, the dataset %s, which its model was trained on; propose the release again", d)
		}
	}
	return c.datasets(trail.Datasets)
}

// namedVersion finds the version that the release names, among those that stand
// for the same bytes.
func (c *collector) namedVersion() error {
	b := c.d.Release.Record.Behaviour
	stated, err := asOf[record.ModelVersion](c, record.KeyVersion(b.Model+"@"+b.Version), c.d.Release.Index)
	if err != nil {
		return err
	}
	for _, v := range stated {
		if v.Record.Artifact == b.Artifact {
			c.d.Version = v
			c.names(v.Actor)
		}
	}
	if c.d.Version.Statement == "" {
		c.absent("the model version %s@%s with the artifact %s", b.Model, b.Version, b.Artifact)
	}
	return nil
}

// runs takes the runs that were traced and those that the release names besides.
func (c *collector) runs(traced []record.Recorded[record.Run]) error {
	named := c.d.Release.Record.Data.Runs
	for _, r := range traced {
		c.d.Runs = append(c.d.Runs, r)
		if !slices.Contains(named, r.Record.Ref()) {
			c.absent("in the release, the run %s, which made its model or a base of it; propose the release again", r.Record.Ref())
		}
	}
	for _, ref := range named {
		if slices.ContainsFunc(traced, func(r record.Recorded[record.Run]) bool { return r.Record.Ref() == ref }) {
			continue
		}
		stated, err := asOf[record.Run](c, record.KeyRun(ref), c.d.Release.Index)
		if err != nil {
			return err
		}
		if len(stated) == 0 {
			c.absent("the run %s", ref)
			continue
		}
		c.d.Runs = append(c.d.Runs, stated[len(stated)-1])
	}
	for _, r := range c.d.Runs {
		c.names(r.Actor, r.Record.Initiator)
	}
	return nil
}

// datasets reads every dataset that was traced or that the release names, with
// the stewards' words on it.
func (c *collector) datasets(traced []record.Digest) error {
	all := append(slices.Clone(traced), c.d.Release.Record.Data.Datasets...)
	slices.Sort(all)
	bySource, err := All[record.DataApproval](c, record.KeySourceApprovals)
	if err != nil {
		return err
	}
	for _, digest := range slices.Compact(all) {
		stated, err := asOf[record.Dataset](c, record.KeyDataset(digest), c.d.Release.Index)
		if err != nil {
			return err
		}
		if len(stated) == 0 {
			if !slices.Contains(traced, digest) {
				c.absent("the dataset %s", digest)
			}
			continue
		}
		set := stated[len(stated)-1]
		words, err := All[record.DataApproval](c, record.KeyDataApprovals(digest))
		if err != nil {
			return err
		}
		for _, w := range bySource {
			if w.Record.Matches(set.Record) {
				words = append(words, w)
			}
		}
		slices.SortFunc(words, func(a, b record.Recorded[record.DataApproval]) int { return int(a.Index - b.Index) })
		for _, w := range words {
			c.names(w.Actor)
		}
		c.names(set.Actor)
		facts := record.DatasetFacts{Dataset: set, Approvals: words}
		if facts.Committed, err = c.committed(digest); err != nil {
			return err
		}
		c.d.Datasets = append(c.d.Datasets, facts)
	}
	return nil
}

func (c *collector) evaluations() error {
	var err error
	c.d.Evaluations, err = c.evaluationsOf(c.d.Release.Record, true)
	for _, e := range c.d.Evaluations {
		c.names(e.Actor)
	}
	return err
}

// evaluationsOf reads the evaluations that a release names.
func (c *collector) evaluationsOf(rel record.Release, demanded bool) ([]record.Recorded[record.Evaluation], error) {
	var out []record.Recorded[record.Evaluation]
	for _, digest := range rel.Behaviour.Evaluations {
		all, err := All[record.Evaluation](c, record.KeyEvaluation(record.EvaluationID(digest)))
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(e record.Recorded[record.Evaluation]) bool { return e.Digest == digest })
		switch {
		case i >= 0:
			out = append(out, all[i])
		case demanded:
			c.absent("the evaluation %s", digest)
		}
	}
	return out, nil
}

// evaluationsBy reads every evaluation of an artifact. Whoever made one may have
// a stake in it, and so is among the people.
func (c *collector) evaluationsBy(artifact record.Digest) ([]record.Recorded[record.Evaluation], error) {
	all, err := All[record.Evaluation](c, record.KeyEvaluations(artifact))
	for _, e := range all {
		c.names(e.Actor)
	}
	return all, err
}

// anchor reads what is known of the model that the use case names for a first
// release to be compared with: the one that it named when the release was
// proposed, so that naming another for the next stops nothing that runs; where
// it named none, the first that it named later.
func (c *collector) anchor() error {
	stated, err := All[record.UseCase](c, record.KeyUseCase(c.d.Release.Record.Context.UseCase))
	var artifact record.Digest
	for _, u := range stated {
		if u.Index <= c.d.Release.Index || artifact == "" {
			artifact = u.Record.Anchor
		}
	}
	if err != nil || artifact == "" {
		return err
	}
	known, err := c.evaluationsBy(artifact)
	c.d.Anchor = &record.AnchorFacts{Artifact: artifact, Evaluations: known}
	return err
}

// approvals reads the words spoken in the whole line, each with what the
// approver saw.
func (c *collector) approvals() error {
	words, err := All[record.Approval](c, record.KeyApprovals(c.d.Line))
	if err != nil {
		return err
	}
	seen := map[string]record.ApprovalFacts{}
	for _, w := range words {
		facts, ok := seen[w.Record.Release]
		if !ok {
			if facts, err = c.whatWasSeen(w.Record.Release); err != nil {
				return err
			}
			seen[w.Record.Release] = facts
		}
		facts.Approval = w
		if err := c.spoke(w); err != nil {
			return err
		}
		c.d.Approvals = append(c.d.Approvals, facts)
	}
	return nil
}

// spoke names whose word it is. The key by which an approval is checked goes with
// it.
func (c *collector) spoke(w record.Recorded[record.Approval]) error {
	c.names(w.Actor, w.Record.For)
	if w.Record.Assertion == nil {
		return nil
	}
	_, err := c.Find(record.KeyPrincipalKey(w.Record.Assertion.Key))
	return err
}

func (c *collector) whatWasSeen(release string) (record.ApprovalFacts, error) {
	rel, ds, ok, err := c.find(release)
	if err == nil && !ok {
		c.absent("the release %s, of which somebody spoke", release)
	}
	return record.ApprovalFacts{Digests: ds, Authority: rel.Record.Authority}, err
}

func (c *collector) signals() (err error) {
	if c.d.Drills, err = All[record.Drill](c, record.KeyDrills(c.d.Line)); err != nil {
		return err
	}
	c.d.Signals, err = All[record.Signal](c, record.KeyRenewals(c.d.Line))
	return err
}

func (c *collector) exceptions() error {
	var err error
	if c.d.Exceptions, err = All[record.Exception](c, record.KeyExceptions(c.d.Line)); err != nil {
		return err
	}
	c.d.Reviews, err = All[record.Review](c, record.KeyExceptions(c.d.Line))
	for _, x := range c.d.Exceptions {
		c.names(x.Actor)
	}
	for _, r := range c.d.Reviews {
		c.names(r.Actor)
	}
	return err
}

// history reads what became of the line and the releases that this one can be
// compared with: those that it, or one that broke glass, replaced, and the one that
// is live.
func (c *collector) history() error {
	var err error
	if c.d.History, err = History(c, c.d.Line); err != nil || len(c.d.History) == 0 {
		return err
	}
	_, live := record.StatusAt(c.d.History, c.d.ID, c.d.History[len(c.d.History)-1].Time)
	baselines := []string{live}
	for _, e := range c.d.History {
		if e.Promotion != nil && (e.Promotion.Release == c.d.ID || e.Promotion.How == record.BrokeGlass) {
			baselines = append(baselines, e.Promotion.Replaces)
		}
	}
	slices.Sort(baselines)
	for _, id := range slices.Compact(baselines) {
		if id == "" || id == c.d.ID {
			continue
		}
		base, ok, err := c.baseline(id)
		switch {
		case err != nil:
			return err
		case !ok:
			c.absent("the release %s, with which this one is compared", id)
			continue
		}
		for _, e := range c.d.History {
			if e.Promotion != nil && e.Promotion.Release == id {
				base.Until = e.Promotion.Until
			}
		}
		c.d.Baselines = append(c.d.Baselines, base)
	}
	return nil
}

// baseline reads a release that another can be compared with.
func (c *collector) baseline(id string) (record.Baseline, bool, error) {
	rel, _, ok, err := c.find(id)
	base := record.Baseline{ID: id, Release: rel}
	if err != nil || !ok {
		return base, ok, err
	}
	if base.Evaluations, err = c.evaluationsOf(rel.Record, false); err != nil {
		return base, ok, err
	}
	known, err := c.evaluationsBy(rel.Record.Behaviour.Artifact)
	for _, e := range known {
		if !slices.Contains(rel.Record.Behaviour.Evaluations, e.Digest) {
			base.Others = append(base.Others, e)
		}
	}
	return base, ok, err
}
