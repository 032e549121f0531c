package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// EnvelopePrefix begins the names of the gates of an envelope's bounds.
const EnvelopePrefix = "envelope/"

// Week is the span in which an envelope's releases a week are counted.
const Week = 7 * 24 * time.Hour

// inside is whether a release is inside the envelope that it names: a gate for each
// bound, and what follows for the seats that nobody fills.
type inside struct {
	*judge
	f *record.EnvelopeFacts
	// moment is when the release uses the envelope: when it was first promoted by
	// it, else now. Index is the place in the ledger of that promotion. What ends an
	// envelope later stops no release that used it in time.
	moment time.Time
	index  int64
	used   bool
	// before are the earlier uses.
	before []record.Event
	// ran is when people let it run before, who answer for it from then on.
	ran   time.Time
	out   []string
	until time.Time
	// approved says by whom.
	approved string
}

// IsEnvelope reports whether a dossier is of an envelope, and of no release.
func IsEnvelope(d *record.Dossier) bool {
	return d.Envelope != nil && d.ID == record.EnvelopeID(d.Envelope.Envelope.Digest)
}

// envelope judges every bound of the envelope that the release names; nil where it
// names none. The gates block nothing by themselves, for what is outside goes to
// people.
func (j *judge) envelope() *inside {
	f := j.d.Envelope
	if f == nil || IsEnvelope(j.d) {
		return nil
	}
	b := j.inside(f)
	b.isApproved()
	b.scope()
	b.unchanged()
	b.sources()
	b.code()
	b.parameters()
	b.metrics()
	b.authority()
	b.budget()
	b.people()
	return b
}

// inside finds when the release uses the envelope, and what was used before.
func (j *judge) inside(f *record.EnvelopeFacts) *inside {
	b := &inside{judge: j, f: f, moment: j.at, index: math.MaxInt64}
	uses := slices.DeleteFunc(record.UsesOf(j.d.History, f.Envelope.Digest), func(e record.Event) bool { return e.Time.After(j.at) })
	for _, u := range uses {
		if u.Promotion.Release == j.d.ID {
			b.moment, b.index, b.used = u.Time, u.Index, true
			break
		}
		b.before = append(b.before, u)
	}
	i := slices.IndexFunc(j.d.History, func(e record.Event) bool {
		return e.Promotion != nil && e.Promotion.Release == j.d.ID && !e.Time.After(j.at)
	})
	if i >= 0 && !b.used {
		b.ran, b.index = j.d.History[i].Time, j.d.History[i].Index
	}
	return b
}

// bound keeps the gate of one bound.
func (b *inside) bound(name, rule string, g record.Gate) {
	g.Name, g.Mode = EnvelopePrefix+name, record.Advise
	g.Rule = fmt.Sprintf("Envelope %s: %s.", b.f.Envelope.Record.Name, rule)
	if g.Result == record.Pass {
		b.until = record.Earlier(b.until, g.Until)
	} else {
		b.out = append(b.out, g.Name)
		if g.Do == "" {
			g.Do = doShowEnvelope(b.f)
		}
	}
	b.gates = append(b.gates, g)
}

// outside makes the outcome of a bound that does not hold.
func outside(format string, args ...any) record.Gate {
	return record.Gate{Result: record.Fail, Reason: fmt.Sprintf(format, args...)}
}

// answer fills the seats that people left empty, where every bound holds, else
// says which do not.
func (b *inside) answer(g record.Gate) record.Gate {
	name := b.f.Envelope.Record.Name
	if len(b.out) > 0 {
		g.Reason = strings.TrimSuffix(g.Reason, ".") + fmt.Sprintf(". The envelope %s does not answer for it: outside are %s.", name, few(b.out))
		return g
	}
	if !b.ran.IsZero() {
		// It spent nothing, and shall not outlast its approvals by an envelope unspent.
		g.Reason = strings.TrimSuffix(g.Reason, ".") + fmt.Sprintf(". The envelope %s answers for what it let run itself, and people let this run on %s.", name, date(b.ran))
		return g
	}
	b.by = b.f.Envelope.Digest
	filled := pass("By the envelope %s, %s.", name, b.approved)
	filled.Evidence, filled.Until = []string{string(b.f.Envelope.Digest)}, b.until
	return filled
}

// quorum is the judge of the envelope's own approvals: they are words on the
// envelope as those of a release are on that, and whoever took part in the release
// approved none of it beforehand either.
func (b *inside) quorum() *judge {
	d := b.f.AsRelease(b.d.People)
	d.Signals = b.d.Signals // what they void of the release's approvals, they void of these
	k := newJudge(b.policy, d, b.at)
	for name, parts := range b.parts {
		k.parts[name] = append(slices.Clip(k.parts[name]), parts...)
	}
	return k
}

// isApproved judges whether the envelope's quorum stands now, and whether the
// envelope did when it was used.
func (b *inside) isApproved() {
	e := &b.f.Envelope.Record
	rule := "it is approved by the quorum of a release of tier " + e.Tier
	k := b.quorum()
	var who, lacking []string
	g := record.Gate{Result: record.Pass}
	if k.tier == nil {
		b.bound("approved", rule, outside("The policy has no tier %s.", e.Tier))
	} else {
		for i, a := range k.approvals(nil) {
			if a.Result != record.Pass {
				g.Result = a.Result
				lacking = append(lacking, strings.TrimSuffix(a.Reason, "."))
				g.Who, g.Do = a.Who, a.Do
				continue
			}
			g.Until, g.Evidence = record.Earlier(g.Until, a.Until), append(g.Evidence, a.Evidence...)
			who = append(who, strings.TrimSuffix(a.Reason, ".")+" as "+string(k.tier.Approvals[i].Role))
		}
		b.approved = strings.Join(who, "; ")
		g.Reason = "It was: " + b.approved + "."
		switch {
		case len(lacking) > 0:
			g.Reason = strings.Join(lacking, ". ") + "."
		case len(k.tier.Approvals) == 0:
			g.Reason, b.approved = "The tier asks for no approval.", "which its tier asks nobody to approve"
		}
		b.bound("approved", rule, g)
		b.dependent = b.dependent || k.dependent && len(lacking) == 0
	}
	b.bound("stands", "no release uses it after "+date(e.Ends)+", when it was withdrawn, or when what it let through had to be taken back", b.stands())
}

// stands judges whether the envelope may be used at the moment of use.
func (b *inside) stands() record.Gate {
	e := &b.f.Envelope.Record
	if why := b.stopped(); why != "" {
		return outside("It is at an end: %s. Propose another one where retraining is to go on.", why)
	}
	g := pass("It may be used until %s.", date(e.Ends))
	if b.used {
		return pass("It was used on %s, and could be until %s.", date(b.moment), date(e.Ends))
	}
	g.Until = e.Ends
	return g
}

// stopped says why the envelope was at an end when it was, or would be, used; it is
// empty where it was not.
func (b *inside) stopped() string {
	for _, w := range b.f.Withdrawals {
		if w.Index < b.index && !w.Time.After(b.moment) {
			return fmt.Sprintf("%s withdrew it on %s: %s", w.Actor, date(w.Time), strings.TrimSuffix(w.Record.Reason, "."))
		}
	}
	if ends := b.f.Envelope.Record.Ends; !record.Stands(time.Time{}, ends, b.moment) {
		return "it ended on " + date(ends)
	}
	if why := b.takenBack(); why != "" {
		return why
	}
	a := b.f.Attempts
	for _, x := range a {
		i := slices.IndexFunc(x.Verdict.Gates, func(g record.Gate) bool { return g.Name == EnvelopePrefix+"stands" })
		if i >= 0 && x.Verdict.Gates[i].Result != record.Pass {
			return fmt.Sprintf("it was so when %s was proposed", x.Release)
		}
	}
	if len(a) == 2 && inconclusive(a[0].Verdict) && inconclusive(a[1].Verdict) {
		return fmt.Sprintf("two releases in a row, %s and %s, were inconclusive", a[0].Release, a[1].Release)
	}
	return ""
}

// takenBack says which release that used the envelope was suspended or rolled back.
func (b *inside) takenBack() string {
	let := map[string]bool{}
	for _, e := range b.d.History {
		if e.Index >= b.index || e.Time.After(b.moment) {
			break
		}
		switch p := e.Promotion; {
		case e.Suspension != nil && !e.Suspension.Lifted && let[e.Suspension.Release]:
			return fmt.Sprintf("%s, which it let through, was suspended on %s", e.Suspension.Release, date(e.Time))
		case p != nil && p.How == record.Rollback && let[p.Replaces]:
			return fmt.Sprintf("%s, which it let through, was rolled back on %s", p.Replaces, date(e.Time))
		case p != nil && p.Envelope != nil && p.Envelope.Envelope == b.f.Envelope.Digest && !p.Envelope.People:
			let[p.Release] = true
		}
	}
	return ""
}

func inconclusive(v record.Verdict) bool {
	return slices.ContainsFunc(v.Gates, func(g record.Gate) bool { return g.Result == record.Inconclusive })
}

// Uses says what a promotion of a release spends of the envelope that fills its
// seats, and until when the release then stands. It spends nothing where people fill
// them, or where the release used the envelope before.
func (p *Policy) Uses(d *record.Dossier, at time.Time) (use *record.EnvelopeUse, until time.Time) {
	v := p.Evaluate(d, at)
	if d.Envelope == nil {
		return nil, v.Until
	}
	j := newJudge(p, d, record.Millis(at))
	b := j.inside(d.Envelope)
	e := &d.Envelope.Envelope
	switch {
	case b.used || v.Envelope == "" && !looked(&v, e.Record.People):
		return nil, v.Until
	case v.Envelope == "":
		return &record.EnvelopeUse{Envelope: e.Digest, Left: max(0, e.Record.Releases-len(b.before)), People: true}, v.Until
	}
	n := len(b.before) + 1
	use = &record.EnvelopeUse{Envelope: e.Digest, Use: n, Left: max(0, e.Record.Releases-n)}
	promoted := *d
	promoted.History = append(slices.Clip(d.History), record.Event{Time: j.at, Index: math.MaxInt64, Promotion: &record.Promotion{
		Release: d.ID, Line: d.Line, How: record.Promote, Envelope: use, Replaces: replacing(d, j.at),
	}})
	return use, p.Evaluate(&promoted, at).Until
}

// looked reports whether people filled the seats of a release, where its envelope asks
// for that now and then. A seat that was waived nobody filled.
func looked(v *record.Verdict, asks record.PeopleBound) bool {
	seats, filled := 0, 0
	for _, g := range v.Gates {
		if strings.HasPrefix(g.Name, approvalPrefix) {
			if seats++; g.Result == record.Pass {
				filled++
			}
		}
	}
	return asks != record.PeopleBound{} && seats > 0 && filled == seats
}

func replacing(d *record.Dossier, at time.Time) string {
	_, live := record.StatusAt(d.History, d.ID, at)
	return live
}

// Envelope judges an envelope itself at a time, from the dossier that
// lineage.CollectEnvelope gives: a gate for each role that must approve it, and one
// for whether it may still be used.
func (p *Policy) Envelope(d *record.Dossier, at time.Time) record.Verdict {
	j := newJudge(p, d, record.Millis(at))
	f := d.Envelope
	v := record.Verdict{Release: d.ID, Line: d.Line, Record: d.Digests.Record, Policy: f.Envelope.Record.Policy, Tier: f.Envelope.Record.Tier, At: j.at, Passed: true}
	if j.tier == nil {
		v.Gates, v.Passed = []record.Gate{j.unknownTier()}, false
		return v
	}
	b := j.inside(f)
	for i, g := range j.approvals(nil) {
		j.add(approvalPrefix+string(j.tier.Approvals[i].Role), record.Enforce, g)
	}
	b.bound("stands", "no release uses it after "+date(f.Envelope.Record.Ends), b.stands())
	for i := range j.gates {
		g := &j.gates[i]
		g.Mode = record.Enforce
		if v.Passed = v.Passed && g.Lets(); g.Lets() {
			v.Until = record.Earlier(v.Until, g.Until)
		}
	}
	v.Gates = j.gates
	if j.dependent || len(j.tier.Approvals) == 0 {
		v.Marks = []string{MarkNoIndependent}
	}
	return v
}

// CheckEnvelope says what of an envelope no policy could judge: comparisons that
// cannot be read, and a tier that there is not.
func (p *Policy) CheckEnvelope(e *record.Envelope) (faults []string) {
	if p.Tier(e.Tier) == nil {
		faults = append(faults, fmt.Sprintf("policy %s has no tier %q", p.Name, e.Tier))
	}
	for _, m := range e.Evaluations {
		q, err := requirementOf(e, &m)
		switch {
		case err != nil:
			faults = append(faults, m.Name()+": require: "+err.Error())
		case q.Bound.Operator == "==" && (m.Production != nil || m.Anchor != nil):
			faults = append(faults, m.Name()+": == does not say whether more or less is better; require with >= or <=")
		}
	}
	return faults
}

// Unfilled returns the roles of the seats that some people could not fill of the tier
// by whose rules a release or an envelope is judged.
func (p *Policy) Unfilled(d *record.Dossier, people []record.Person, at time.Time) []record.RoleName {
	t := p.Tier(d.Release.Record.Context.Tier)
	if t == nil {
		return nil
	}
	return t.unfilled(people, teamOf(d.Release.Record.Behaviour.Model), at, "")
}

// requirementOf is a bound on a metric as a policy would demand it. The tries share
// the 5 % by which its interval may err.
func requirementOf(e *record.Envelope, m *record.MetricBound) (Requirement, error) {
	bound, err := ParseBound(m.Require)
	q := Requirement{
		Gate: m.Name(), Category: m.Category, Suite: m.Suite, Metric: m.Metric, Slice: maps.Clone(m.Slice), Bound: bound,
		Interval: MethodWilson, Assurance: record.Imported, Mode: record.Advise, MinSamples: m.MinSamples,
		level: 0.95, widening: 1, with: -1,
	}
	q.spend(e.Tries)
	return q, err
}
