package lineage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imprimatur.dev/record"
)

// Collect gathers the dossier of a release, and every entry that it rests on,
// in ledger order without repeats; the entries' digests are a verdict's Inputs.
// What is referred to and not found is named in the dossier's Absent, and so is
// what the release's lineage has and the release does not name. An unknown
// release is [ErrNotFound]; any other error is the source's.
func Collect(src Source, releaseID string) (*record.Dossier, []Entry, error) {
	c := &collector{reader: newReader(src), d: &record.Dossier{ID: releaseID, People: map[string]record.Person{}}}
	rel, ok := c.release(releaseID)
	if !ok {
		return nil, nil, cmp.Or(c.err, fmt.Errorf("%w: %s", ErrNotFound, releaseID))
	}
	c.d.Release, c.d.Digests, c.d.Line = rel.Recorded, rel.digests, rel.Record.Line()
	c.context()
	c.lineage()
	c.d.Evaluations = c.evaluations(rel.Record.Behaviour.Evaluations)
	c.approvals()
	c.d.Exceptions = pick[record.Exception](c.reader, record.KeyExceptions(c.d.Line), nil)
	c.d.Reviews = pick[record.Review](c.reader, record.KeyExceptions(c.d.Line), nil)
	c.d.History = c.history(c.d.Line)
	c.production()
	c.people()
	if c.err != nil {
		return nil, nil, c.err
	}
	return c.d, c.entries(), nil
}

// Gather returns every entry that a bundle of the release needs, in ledger
// order: what its dossier rests on now, the verdicts stated of it, and what
// each of these rested on when it was stated.
func Gather(src Source, releaseID string) ([]Entry, error) {
	_, entries, err := Collect(src, releaseID)
	if err != nil {
		return nil, err
	}
	all := newReader(src)
	for _, v := range pick[record.Verdict](all, record.KeyVerdicts(releaseID), nil) {
		_, then, err := Collect(Filter(src, func(e Entry) bool { return e.Index < v.Index }), releaseID)
		if err != nil {
			return nil, fmt.Errorf("gathering what the verdict at %d rested on: %w", v.Index, err)
		}
		entries = append(entries, then...)
	}
	for _, e := range entries {
		all.used[e.Index] = e
	}
	return all.entries(), all.err
}

type collector struct {
	*reader
	d *record.Dossier
}

func (c *collector) absent(format string, args ...any) {
	fragment := fmt.Sprintf(format, args...)
	if !slices.Contains(c.d.Absent, fragment) {
		c.d.Absent = append(c.d.Absent, fragment)
	}
}

// release is a release with the digests of its raw record.
type release struct {
	record.Recorded[record.Release]
	digests record.Digests
}

// release finds a release by its ID. An entry whose record has another ID is
// passed over: only a wrong source gives one.
func (c *collector) release(id string) (release, bool) {
	for _, e := range c.find(record.KeyRelease(id)) {
		if _, ok := e.Statement.Body.(record.Release); !ok {
			continue
		}
		ds, err := record.DigestsOf(e.Statement.Raw)
		if err == nil && record.ReleaseID(ds.Record) == id {
			return release{use[record.Release](c.reader, e), ds}, true
		}
	}
	return release{}, false
}

func (c *collector) context() {
	x := c.d.Release.Record.Context
	var ok bool
	if c.d.UseCase, ok = newest[record.UseCase](c.reader, record.KeyUseCase(x.UseCase)); !ok {
		c.absent("use case %s", x.UseCase)
	}
	if c.d.Environment, ok = newest[record.Environment](c.reader, record.KeyEnvironment(x.Environment)); !ok {
		c.absent("environment %s", x.Environment)
	}
	if len(asOf[record.Policy](c.reader, record.KeyPolicy(x.Policy.Digest), -1)) == 0 {
		c.absent("policy %s with the digest %s", x.Policy.Name, x.Policy.Digest)
	}
}

// lineage fills in the version, what it was made from, and the stewards' words.
func (c *collector) lineage() {
	b, data := c.d.Release.Record.Behaviour, c.d.Release.Record.Data
	w := newWalk(c.reader, c.d.Release.Index, b.Artifact)
	w.drain()
	w.named(data)
	ref := b.Model + "@" + b.Version
	for _, v := range w.versions[b.Artifact] {
		if v.Record.Ref() == ref {
			c.d.Version = v
		}
	}
	if c.d.Version.Statement == "" {
		c.absent("model version %s with the artifact %s", ref, b.Artifact)
	}
	c.d.Bases = w.trail().Bases
	for _, ref := range data.Runs {
		named := func(r record.Recorded[record.Run]) bool { return r.Record.Ref() == ref }
		if at := slices.IndexFunc(w.runs, named); at >= 0 {
			c.d.Runs = append(c.d.Runs, w.runs[at])
		}
	}
	for _, digest := range data.Datasets {
		if found, ok := w.datasets[digest]; ok {
			c.d.Datasets = append(c.d.Datasets, record.DatasetFacts{Dataset: found, Approvals: c.stewards(found.Record)})
		}
	}
	for _, fragment := range append(w.absent, w.hidden(data)...) {
		c.absent("%s", fragment)
	}
}

// stewards returns the stewards' words on a dataset, whether they spoke of it
// or of its source, oldest first.
func (c *collector) stewards(d record.Dataset) []record.Recorded[record.DataApproval] {
	speaks := func(_ Entry, a record.DataApproval) bool { return a.Matches(d) }
	out := append(
		pick(c.reader, record.KeyDataApprovals(d.Digest), speaks),
		pick(c.reader, record.KeySourceApprovals, speaks)...)
	slices.SortFunc(out, func(a, b record.Recorded[record.DataApproval]) int { return cmp.Compare(a.Index, b.Index) })
	return out
}

// evaluations finds evaluations by record digest. The same evidence stated
// twice is one evaluation: its first statement counts.
func (c *collector) evaluations(digests []record.Digest) []record.Recorded[record.Evaluation] {
	var out []record.Recorded[record.Evaluation]
	for _, digest := range digests {
		found := false
		out = append(out, pick(c.reader, record.KeyEvaluation(record.EvaluationID(digest)), func(e Entry, _ record.Evaluation) bool {
			first := !found && e.Statement.Digest() == digest
			found = found || first
			return first
		})...)
		if !found {
			c.absent("evaluation %s", digest)
		}
	}
	return out
}

// approvals gathers the words on every release of the line, each with what the
// approver saw.
func (c *collector) approvals() {
	seen := map[string]release{}
	for _, a := range pick[record.Approval](c.reader, record.KeyApprovals(c.d.Line), nil) {
		rel, ok := seen[a.Record.Release]
		if !ok {
			if rel, ok = c.release(a.Record.Release); !ok {
				c.absent("release %s, which %s spoke of", a.Record.Release, a.Actor)
				continue
			}
			seen[a.Record.Release] = rel
		}
		c.d.Approvals = append(c.d.Approvals, record.ApprovalFacts{Approval: a, Digests: rel.digests, Authority: rel.Record.Authority})
	}
}

// production finds the release to compare with: the one that this release
// replaced when it is live, otherwise the live one.
func (c *collector) production() {
	if len(c.d.History) == 0 {
		return
	}
	last := slices.MaxFunc(c.d.History, func(a, b record.Event) int { return a.Time.Compare(b.Time) }).Time
	_, id := record.StatusAt(c.d.History, c.d.ID, last)
	if id == c.d.ID {
		for _, e := range c.d.History {
			if e.Promotion != nil && e.Promotion.Release == c.d.ID {
				id = e.Promotion.Replaces
			}
		}
	}
	if id == "" || id == c.d.ID {
		return
	}
	rel, ok := c.release(id)
	if !ok {
		c.absent("release %s, which was live before", id)
		return
	}
	c.d.Production = &record.Baseline{ID: id, Release: rel.Recorded, Evaluations: c.evaluations(rel.Record.Behaviour.Evaluations)}
	for _, e := range c.d.History {
		if e.Promotion != nil && e.Promotion.Release == id {
			c.d.Production.Until = e.Promotion.Until
		}
	}
}

// people gathers the principals whom the facts name: every actor of an entry
// used so far, the owner of the release, who started the runs, who wrote their
// code, and the owners of the workloads among all these.
func (c *collector) people() {
	names := map[string]bool{c.d.Release.Record.Context.Owner: true}
	for _, e := range c.used {
		names[e.Statement.Actor] = true
	}
	for _, run := range c.d.Runs {
		names[run.Record.Initiator] = true
		for _, name := range c.authors(run.Record.Code.Author) {
			names[name] = true
		}
	}
	queue := slices.Sorted(maps.Keys(names))
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if _, done := c.d.People[name]; done || name == "" {
			continue
		}
		if p, ok := c.person(name); ok {
			c.d.People[name] = p
			queue = append(queue, p.Principal.Owner)
		}
	}
}

// authors resolves a commit's author, a principal's name or an e-mail address
// such as "Jo <jo@example.org>", to the names of principals who claim it now.
func (c *collector) authors(author string) []string {
	if author == "" {
		return nil
	}
	address := author
	if _, rest, ok := strings.Cut(author, "<"); ok {
		address, _, _ = strings.Cut(rest, ">")
	}
	names := []string{strings.ToLower(author), strings.ToLower(address)}
	for _, e := range c.find(record.KeyEmail(address)) {
		if claimant, ok := e.Statement.Body.(record.Principal); ok && c.claims(claimant.Name, address) {
			names = append(names, claimant.Name)
		}
	}
	return names
}

// claims reports whether a principal's newest statement has the address.
func (c *collector) claims(name, address string) bool {
	for _, e := range slices.Backward(c.find(record.KeyPrincipal(name))) {
		if p, ok := e.Statement.Body.(record.Principal); ok {
			return slices.ContainsFunc(p.Emails, func(a string) bool { return strings.EqualFold(a, address) })
		}
	}
	return false
}
