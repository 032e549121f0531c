package record

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Envelope is a standing approval for retraining: a release of its line that
// names it and is inside all of its bounds is approved by whoever approved the
// envelope. It is never changed: another envelope is another record with another
// digest, and is approved anew. The idea is that of the FDA's predetermined change
// control plan (section 515C of the FD&C Act).
type Envelope struct {
	// Name is unique in the line.
	Name string `json:"name"`
	Line string `json:"line"`
	// Tier and Policy are by whose rules it is approved, and each release inside it
	// is judged: with another version of the policy nothing is inside.
	Tier   string    `json:"tier"`
	Policy PolicyRef `json:"policy"`
	// Anchor is the release against which margins are held for as long as the
	// envelope lasts, and which says what is not to change: the type of the model,
	// its bases, prompt and configuration, the tools and suites of its evaluations,
	// parameters that the envelope does not name, and the widest authority.
	Anchor string `json:"anchor"`
	// Workloads are the pipelines that may use it.
	Workloads  []string                  `json:"workloads"`
	Sources    []SourceBound             `json:"sources"`
	Code       CodeBound                 `json:"code"`
	Parameters map[string]ParameterBound `json:"parameters,omitzero"`
	// Evaluations are floors and ceilings of metrics, and margins.
	Evaluations []MetricBound `json:"evaluations"`
	// Rollback asks for a release to go back to, as the policy's gate of that name
	// says.
	Rollback bool `json:"rollback,omitzero"`
	// Tries are the evaluations on one held-out set, at most.
	Tries int `json:"tries"`
	// Releases are those that it approves in all, Weekly those in any seven days.
	Releases int `json:"releases"`
	Weekly   int `json:"weekly"`
	// People says which releases that name it people look at all the same.
	People PeopleBound `json:"people,omitzero"`
	// Ends is when the last release may use it.
	Ends   time.Time `json:"ends"`
	Reason string    `json:"reason,omitzero"`
}

// SourceBound allows datasets from a source: the URI, or a prefix followed by
// '*'. Where From or To is given the dataset must say when it is of, and that must
// lie between; MaxAge is in days, from the end of the data to the start of the run.
type SourceBound struct {
	Source string    `json:"source"`
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	MaxAge int       `json:"maxAge,omitzero"`
}

// CodeBound allows the code of one repository: commits, and programs by the
// beginnings of their paths in it. What is empty is not asked about.
type CodeBound struct {
	Repository string   `json:"repository"`
	Commits    []string `json:"commits,omitzero"`
	Paths      []string `json:"paths,omitzero"`
}

// ParameterBound allows a parameter of the run to be a number of a range, both
// ends allowed, or one of some values, or anything.
type ParameterBound struct {
	Least  *float64 `json:"least,omitzero"`
	Most   *float64 `json:"most,omitzero"`
	Values []string `json:"values,omitzero"`
	Any    bool     `json:"any,omitzero"`
}

// PeopleBound sends releases to people though all else is inside: the first, and the
// one after each Each-1 in a row that ran by the envelope. What people then let run
// spends nothing of it.
type PeopleBound struct {
	First bool `json:"first,omitzero"`
	Each  int  `json:"each,omitzero"`
}

// MetricBound is what a metric must be. Require is written as in a policy, such as
// "lower95 >= 0.85" or "value <= 0.2". Production and Anchor are how much worse it
// may be than that of the release that runs, and that of the anchor.
type MetricBound struct {
	Category   Category          `json:"category"`
	Suite      string            `json:"suite"`
	Metric     string            `json:"metric"`
	Slice      map[string]string `json:"slice,omitzero"`
	Require    string            `json:"require"`
	Production *float64          `json:"production,omitzero"`
	Anchor     *float64          `json:"anchor,omitzero"`
	MinSamples int               `json:"minSamples,omitzero"`
}

// Name names the metric as a policy's gate does.
func (m MetricBound) Name() string {
	name := string(m.Category) + "/" + m.Suite + "/" + m.Metric
	for _, d := range sortedKeys(m.Slice) {
		name += "/" + d + "=" + m.Slice[d]
	}
	return name
}

// Kind implements Body.
func (Envelope) Kind() Kind { return KindEnvelope }

// EnvelopeID returns "env-" and the first 12 hex digits of the record's digest.
func EnvelopeID(self Digest) string { return "env-" + self.Short() }

// Keys implements Body.
func (e Envelope) Keys(self Digest) []string {
	return []string{KeyEnvelopes(e.Line), KeyEnvelope(EnvelopeID(self))}
}

// Subject implements Body.
func (e Envelope) Subject() (string, Digest) { return "envelope/" + e.Line + "/" + e.Name, "" }

// Validate implements Body.
func (e Envelope) Validate() error {
	c := checker{kind: KindEnvelope}
	c.name("name", e.Name)
	c.line("line", e.Line)
	c.name("tier", e.Tier)
	c.name("policy.name", e.Policy.Name)
	c.digest("policy.digest", e.Policy.Digest)
	c.releaseID("anchor", e.Anchor)
	if len(e.Workloads) == 0 {
		c.failf("workloads is empty: a pipeline must be named that may use it")
	}
	c.list("workloads", len(e.Workloads))
	for _, w := range e.Workloads {
		c.principal("workloads", w)
	}
	e.checkSources(&c)
	e.checkParameters(&c)
	e.checkMetrics(&c)
	if e.Tries <= 0 || e.Releases <= 0 || e.Weekly <= 0 {
		c.failf("tries, releases and weekly are not all positive numbers")
	}
	c.count("tries", e.Tries)
	c.count("releases", e.Releases)
	c.count("weekly", e.Weekly)
	c.count("people.each", e.People.Each)
	if e.People.Each == 1 {
		c.failf("people.each is 1, and would leave no release to the envelope")
	}
	c.time("ends", e.Ends)
	c.text("reason", e.Reason, false)
	return c.err()
}

func (e Envelope) checkSources(c *checker) {
	if len(e.Sources) == 0 {
		c.failf("sources is empty")
	}
	c.list("sources", len(e.Sources))
	for _, s := range e.Sources {
		c.text("sources.source", s.Source, true)
		if strings.Trim(s.Source, "*") == "" {
			c.failf("sources.source %q would allow all data there is", s.Source)
		}
		c.optionalTime("sources.from", s.From)
		c.optionalTime("sources.to", s.To)
		if !s.To.IsZero() && s.To.Before(s.From) {
			c.failf("sources.to of %s is before its from", s.Source)
		}
		c.count("sources.maxAge", s.MaxAge)
	}
	c.text("code.repository", e.Code.Repository, true)
	c.list("code.commits", len(e.Code.Commits))
	for _, k := range e.Code.Commits {
		if !commitPattern.MatchString(k) {
			c.failf("code.commits %q is not a full commit of 40 or 64 hex digits", k)
		}
	}
	c.texts("code.paths", e.Code.Paths)
	if len(e.Code.Commits) == 0 && len(e.Code.Paths) == 0 {
		c.failf("code names neither commits nor paths, and would allow all of the repository")
	}
}

func (e Envelope) checkParameters(c *checker) {
	c.list("parameters", len(e.Parameters))
	for _, k := range sortedKeys(e.Parameters) {
		p, field := e.Parameters[k], "parameters."+k
		c.text("parameters", k, true)
		c.texts(field+".values", p.Values)
		ranged := p.Least != nil || p.Most != nil
		kinds := 0
		for _, given := range []bool{ranged, len(p.Values) > 0, p.Any} {
			if given {
				kinds++
			}
		}
		switch {
		case kinds != 1:
			c.failf("%s is not exactly one of a range, values and any", field)
		case ranged && (p.Least == nil || p.Most == nil):
			c.failf("%s lacks least or most", field)
		case ranged:
			c.finite(field, *p.Least)
			c.finite(field, *p.Most)
			if *p.Least > *p.Most {
				c.failf("%s allows nothing", field)
			}
		}
	}
}

func (e Envelope) checkMetrics(c *checker) {
	if len(e.Evaluations) == 0 {
		c.failf("evaluations is empty: nothing would show that a retrained model is fit")
	}
	c.list("evaluations", len(e.Evaluations))
	seen := map[string]bool{}
	for _, m := range e.Evaluations {
		c.oneOf("evaluations.category", string(m.Category), string(Accuracy), string(Safety), string(Drift), string(Misuse))
		c.name("evaluations.suite", m.Suite)
		c.name("evaluations.metric", m.Metric)
		c.textMap("evaluations.slice", m.Slice)
		c.text("evaluations.require", m.Require, true)
		for _, margin := range []*float64{m.Production, m.Anchor} {
			if margin != nil {
				c.finite("evaluations.production and anchor", *margin)
			}
			if margin != nil && *margin < 0 {
				c.failf("evaluations: a margin of %s is below 0, and says how much worse is still allowed", m.Name())
			}
		}
		// A margin against production alone may be lost again at each release.
		if m.Production != nil && m.Anchor == nil {
			c.failf("evaluations: %s has a margin against production and none against the anchor, so that small losses would add up", m.Name())
		}
		c.count("evaluations.minSamples", m.MinSamples)
		if seen[m.Name()] {
			c.failf("evaluations names %s twice", m.Name())
		}
		seen[m.Name()] = true
	}
}

// KeyEnvelope finds an envelope by its ID, its approvals and its withdrawal.
func KeyEnvelope(id string) string { return "envelope/" + id }

// KeyEnvelopes finds the envelopes of a line.
func KeyEnvelopes(line string) string { return "envelopes/" + line }

// KeyEnvelopeReleases finds the releases that name an envelope.
func KeyEnvelopeReleases(id string) string { return "envelope-releases/" + id }

var envelopeIDPattern = regexp.MustCompile(`^env-[0-9a-f]{12}$`)

func (c *checker) envelopeID(field, id string) {
	if !envelopeIDPattern.MatchString(id) {
		c.failf("%s %q is not an envelope's ID, env- and 12 hex digits", field, id)
	}
}

// EnvelopeUse is what one promotion spent of an envelope.
type EnvelopeUse struct {
	Envelope Digest `json:"envelope"`
	// Use is the how-manieth release it is, and Left how many remain.
	Use  int `json:"use,omitzero"`
	Left int `json:"left"`
	// People says that it spent nothing: people let a release run that names the
	// envelope, which asks for that now and then.
	People bool `json:"people,omitzero"`
}

// EnvelopeWithdrawal ends an envelope for good: no further release may use it.
type EnvelopeWithdrawal struct {
	// Envelope is the envelope's ID, Line its line and Record its digest.
	Envelope string `json:"envelope"`
	Line     string `json:"line"`
	Record   Digest `json:"record"`
	Reason   string `json:"reason"`
}

// Kind implements Body.
func (EnvelopeWithdrawal) Kind() Kind { return KindWithdrawal }

// Keys implements Body.
func (w EnvelopeWithdrawal) Keys(Digest) []string { return []string{KeyEnvelope(w.Envelope)} }

// Subject implements Body.
func (w EnvelopeWithdrawal) Subject() (string, Digest) { return "envelope/" + w.Envelope, w.Record }

// Validate implements Body.
func (w EnvelopeWithdrawal) Validate() error {
	c := checker{kind: KindWithdrawal}
	c.envelopeID("envelope", w.Envelope)
	c.line("line", w.Line)
	c.digest("record", w.Record)
	c.text("reason", w.Reason, true)
	return c.err()
}

// EnvelopeFacts are an envelope with what its approval rests on and what became of
// it.
type EnvelopeFacts struct {
	Envelope Recorded[Envelope]
	// Approvals are the words on it, oldest first.
	Approvals   []ApprovalFacts
	Withdrawals []Recorded[EnvelopeWithdrawal]
	// Anchor is the release that it names, with the runs and the version that it was
	// made by.
	Anchor        Baseline
	AnchorRuns    []Recorded[Run]
	AnchorVersion Recorded[ModelVersion]
	// Attempts are the last two releases that named it before the one judged, oldest
	// first, each with the verdict that was stated beside it.
	Attempts []EnvelopeAttempt
}

// EnvelopeAttempt is a release that named an envelope.
type EnvelopeAttempt struct {
	Release string
	Time    time.Time
	Verdict Verdict
}

// UsesOf returns the promotions of a line's history that spent an envelope, oldest
// first.
func UsesOf(history []Event, envelope Digest) (uses []Event) {
	for _, e := range history {
		if e.Promotion != nil && e.Promotion.Envelope != nil && e.Promotion.Envelope.Envelope == envelope && !e.Promotion.Envelope.People {
			uses = append(uses, e)
		}
	}
	return uses
}

// AsRelease is the envelope as the quorum of a policy judges it: as a release whose
// parts all are the envelope. Who took part in making the anchor took part in it,
// and so did the workloads that may use it.
func (f *EnvelopeFacts) AsRelease(people map[string]Person) *Dossier {
	e := &f.Envelope
	d := &Dossier{
		ID: EnvelopeID(e.Digest), Line: e.Record.Line, Approvals: f.Approvals, People: people,
		Digests: Digests{Record: e.Digest, Parts: map[Part]Digest{}},
		Runs:    f.AnchorRuns, Version: f.AnchorVersion, Evaluations: f.Anchor.Evaluations,
	}
	for _, p := range Parts {
		d.Digests.Parts[p] = e.Digest
	}
	d.Release = Recorded[Release]{Actor: e.Actor, Time: e.Time, Index: e.Index, Digest: e.Digest, Record: Release{
		Behaviour: Behaviour{Model: ModelOfLine(e.Record.Line)},
		Context:   Context{Tier: e.Record.Tier, Policy: e.Record.Policy},
	}}
	d.Envelope = f
	return d
}

// ModelOfLine returns the model "team/name" whose releases a line is of.
func ModelOfLine(line string) string {
	parts := strings.SplitN(line, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// Matches reports whether a dataset is from the source. One whose address climbs
// out of a folder is from nowhere.
func (s SourceBound) Matches(d Dataset) bool {
	return !slices.Contains(strings.Split(d.Source, "/"), "..") && DataApproval{Source: s.Source}.Matches(d)
}

// Allows reports whether code is of the repository and among the commits and
// paths: a path allows the program of that name, or those in the folder.
func (b CodeBound) Allows(c Code) bool {
	program := path.Clean(c.Path)
	return c.Repository == b.Repository &&
		(len(b.Commits) == 0 || slices.Contains(b.Commits, c.Commit)) &&
		(len(b.Paths) == 0 || slices.ContainsFunc(b.Paths, func(p string) bool {
			folder := strings.TrimSuffix(p, "/")
			return c.Path != "" && (program == folder || strings.HasPrefix(program, folder+"/"))
		}))
}
