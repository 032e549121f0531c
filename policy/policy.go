package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"imprimatur.dev/record"
)

// Policy is one policy file, read and checked. It does not change after [Load]
// and may be used by several goroutines.
type Policy struct {
	Name string
	// Digest is that of the file's text.
	Digest record.Digest
	// Tiers are in ascending order of rank.
	Tiers []*Tier
}

// Tier is what a policy demands of the releases of one risk tier.
type Tier struct {
	Name string
	// Mode is record.Enforce or record.Advise.
	Mode string
	// Rank orders tiers: a higher rank is a higher risk.
	Rank int
	// Solo lets one person fill several seats, without separation.
	Solo bool
	// Datasets, Run and Code say that the lineage must be approved, attested
	// and committed.
	Datasets, Run, Code bool
	Evaluations         []Requirement
	// Misuse is demanded of every misuse case that the use case requires; nil
	// where the policy asks for none.
	Misuse *Requirement
	// Holdout is demanded of the sets that evaluations are made on; nil for
	// nothing.
	Holdout *Holdout
	// Signals is what signals of a live release do, by type; see [Tier.Responds].
	Signals map[string]Response
	// Vendor is demanded of the vendors on which a release rests; nil for nothing.
	Vendor *VendorRule
	// BreakGlass is how long a broken glass lasts at most; 0 is that none is.
	BreakGlass time.Duration
	// Rollback demands a release to go back to, which was tried within that time;
	// 0 demands none.
	Rollback time.Duration
	// Monitor says how observations of a live release are judged; nil is as by
	// [DefaultMonitor].
	Monitor *Monitor
	// Content forbids findings in the model's files.
	Content     bool
	Expressions []Expression
	Approvals   []Seats
	// Separation names the contributors who may hold no seat.
	Separation []Contributor
	// Expires is how long an approval lasts at most; 0 is as long as it says.
	Expires time.Duration

	where position
	rules map[string]string
	// order has the indices of Evaluations, each after the one that it names
	// under with.
	order []int
}

// Seats are the approvals that one role must give.
type Seats struct {
	Role    record.RoleName
	Count   int
	Covers  []record.Part
	Passkey bool

	where position
}

// Contributor is a way in which somebody took part in a release, for which a
// policy may deny a seat.
type Contributor string

// The contributors.
const (
	Trainer    Contributor = "trainer"
	Evaluator  Contributor = "evaluator"
	CodeAuthor Contributor = "code-author"
	Steward    Contributor = "data-steward"
	Proposer   Contributor = "proposer"
)

var contributors = []Contributor{Trainer, Evaluator, CodeAuthor, Steward, Proposer}

// Names of gates that every policy or tier shares.
const (
	gateKnown       = "known"
	gateTier        = "tier"
	gateUseCase     = "use-case"
	gateEnvironment = "environment-tier"
	gateDatasets    = "lineage/datasets"
	gateRun         = "lineage/run"
	gateCode        = "lineage/code"
	gateRollback    = "rollback"
	gateContent     = "content"
	gateReviews     = "reviews"
)

const (
	expressionPrefix = "expression/"
	approvalPrefix   = "approval/"
	versusSuffix     = "/versus-production"
)

// Tier returns the tier with a name, or nil.
func (p *Policy) Tier(name string) *Tier {
	for _, t := range p.Tiers {
		if t.Name == name {
			return t
		}
	}
	return nil
}

var defaultRanks = map[string]int{"low": 1, "medium": 2, "high": 3}

// Rank returns the rank of a tier. The tiers low, medium and high have their
// ranks whether or not the policy has rules for them.
func (p *Policy) Rank(tier string) (int, bool) {
	if t := p.Tier(tier); t != nil {
		return t.Rank, true
	}
	rank, ok := defaultRanks[tier]
	return rank, ok
}

// Gates returns the names of the gates that a tier judges, in their order, but
// for those of the misuse cases, which the use case names: see [Tier.Judges].
func (t *Tier) Gates() []string {
	names := []string{gateKnown, gateUseCase, gateEnvironment}
	optional := []struct {
		on   bool
		name string
	}{{t.Datasets, gateDatasets}, {t.Run, gateRun}, {t.Code, gateCode}}
	for _, o := range optional {
		if o.on {
			names = append(names, o.name)
		}
	}
	for _, e := range t.Evaluations {
		names = append(names, e.Gate)
		if e.Margin != nil {
			names = append(names, e.Gate+versusSuffix)
		}
	}
	if t.Misuse != nil {
		names = append(names, gateMisuse)
	}
	if t.Holdout != nil {
		names = append(names, gateHoldout)
	}
	if t.Vendor != nil {
		names = append(names, gateVendor)
	}
	if t.Rollback > 0 {
		names = append(names, gateRollback)
	}
	if t.Content {
		names = append(names, gateContent)
	}
	for _, e := range t.Expressions {
		names = append(names, expressionPrefix+e.Name)
	}
	names = append(names, gateReviews)
	for _, s := range t.Approvals {
		names = append(names, approvalPrefix+string(s.Role))
	}
	return names
}

// describe writes the rule of every gate once, for they are the same in every
// verdict.
func (t *Tier) describe(policy string) {
	t.rules = map[string]string{}
	rule := func(gate, format string, args ...any) {
		t.rules[gate] = fmt.Sprintf("Policy %s, tier %s: %s.", policy, t.Name, fmt.Sprintf(format, args...))
	}
	rule(gateKnown, "all that the release refers to is in the ledger")
	rule(gateUseCase, "the use case allows the environment, and has the tier and owner that the release froze")
	rule(gateEnvironment, "the release's tier is at least the least tier of the environment")
	rule(gateDatasets, "every dataset, through every base model and derived dataset, has a standing steward's approval for the use case's purpose")
	rule(gateRun, "the training run is recorded by the pipeline's own identity")
	rule(gateCode, "the run names a full commit and a clean tree")
	rule(gateRollback, "%s", t.readyRule())
	rule(gateContent, "no file of the model or its bases runs code when it is loaded, or is of an unknown kind")
	rule(gateReviews, "every exception of the line is reviewed by its date")
	for _, e := range t.Evaluations {
		rule(e.Gate, "%s", e.sentence())
		if e.Margin != nil {
			rule(e.Gate+versusSuffix, "%s", e.versusSentence())
		}
	}
	if t.Misuse != nil {
		rule(gateMisuse, misuseRule)
	}
	if t.Holdout != nil {
		rule(gateHoldout, "%s", t.Holdout.sentence())
	}
	if t.Vendor != nil {
		rule(gateVendor, "%s", t.Vendor.sentence())
	}
	for _, e := range t.Expressions {
		rule(expressionPrefix+e.Name, "%s", strings.TrimSuffix(e.Message, "."))
	}
	for _, s := range t.Approvals {
		rule(approvalPrefix+string(s.Role), "%s", s.sentence(t))
	}
}

func (s Seats) sentence(t *Tier) string {
	people := "one person"
	if s.Count > 1 {
		people = fmt.Sprintf("%d people", s.Count)
	}
	text := fmt.Sprintf("%s with the role %s must approve the %s", people, s.Role, list(s.Covers))
	if s.Passkey {
		text += " with a passkey"
	}
	if len(t.Separation) > 0 && !t.Solo {
		text += fmt.Sprintf("; no seat for the %s", list(t.Separation))
	}
	return text
}

// list writes names as "a, b and c".
func list[S ~string](names []S) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " and " + texts[last]
}

// Separates reports whether the tier denies a seat to a kind of contributor.
func (t *Tier) Separates(c Contributor) bool { return !t.Solo && slices.Contains(t.Separation, c) }
