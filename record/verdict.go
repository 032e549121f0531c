package record

import (
	"time"
)

// Result is what a gate says. Only Pass, or Waived while the waiver stands,
// lets a release through.
type Result string

// The results of a gate.
const (
	Pass         Result = "pass"
	Fail         Result = "fail"
	Inconclusive Result = "inconclusive"
	Invalid      Result = "invalid"
	Missing      Result = "missing"
	Waived       Result = "waived"
)

// Modes of a tier or gate.
const (
	Enforce = "enforce"
	Advise  = "advise"
)

// Gate is the result of one rule of the policy.
type Gate struct {
	// Name is unique in the verdict, such as "accuracy/holdout/roc_auc" or
	// "approval/risk"; a waiver names it.
	Name string `json:"name"`
	// Rule is the policy's demand as a sentence.
	Rule   string `json:"rule"`
	Mode   string `json:"mode"`
	Result Result `json:"result"`
	// Reason says why, as a sentence a person can act on.
	Reason  string   `json:"reason"`
	Numbers *Numbers `json:"numbers,omitzero"`
	// Who are the roles that can supply what is missing.
	Who []RoleName `json:"who,omitzero"`
	// Do is the command that supplies it.
	Do string `json:"do,omitzero"`
	// Evidence are the evaluations or other records the result rests on.
	Evidence []string `json:"evidence,omitzero"`
	// Until is when the result lapses by time alone; zero for never.
	Until time.Time `json:"until,omitzero"`
}

// Numbers are what an evaluation gate compared: what a risk officer reads in one
// row.
type Numbers struct {
	// Statistic is what was held against the threshold: StatValue, StatLower,
	// StatUpper, StatDifference or StatAdjustedP.
	Statistic string `json:"statistic,omitzero"`
	// Slice is the slice that the numbers are of; of a gate over several, the
	// one that decided, and Slices is how many there are.
	Slice  string  `json:"slice,omitzero"`
	Slices int     `json:"slices,omitzero"`
	Value  float64 `json:"value"`
	// Lower and Upper bound the value, or the difference from production, at
	// Level: 0.95, or more where a policy spends it on several tries.
	Lower *float64 `json:"lower,omitzero"`
	Upper *float64 `json:"upper,omitzero"`
	Level float64  `json:"level,omitzero"`
	// Method names the interval, such as "wilson", "clopper-pearson",
	// "cluster-bootstrap", "standard-error", "newcombe" or "tango"; "none" where
	// there is none.
	Method string `json:"method"`
	// Operator is how it was held against the threshold: >=, <=, >, <, == or
	// NoWorseThan.
	Operator  string  `json:"operator,omitzero"`
	Threshold float64 `json:"threshold"`
	N         int     `json:"n"`
	// Clusters is how many groups of dependent items there are.
	Clusters int `json:"clusters,omitzero"`
	// Production is the value of what the release was compared with, and
	// Against names that: "production r-…" or "anchor …".
	Production *float64 `json:"production,omitzero"`
	Against    string   `json:"against,omitzero"`
	// Pairs are the counts of a comparison item by item; Unpaired says why there
	// was none.
	Pairs    *Pairs `json:"pairs,omitzero"`
	Unpaired string `json:"unpaired,omitzero"`
	// Attempt is the how-manieth evaluation on the held-out set it is, of Tries
	// that the policy allows.
	Attempt   int    `json:"attempt,omitzero"`
	Tries     int    `json:"tries,omitzero"`
	Assurance string `json:"assurance,omitzero"`
}

// Pairs count a comparison of two models on the same items.
type Pairs struct {
	N int `json:"n"`
	// Lost are the items that only the other model got right, Gained those that
	// only this one did.
	Lost   int `json:"lost"`
	Gained int `json:"gained"`
	// P is the one-sided p-value of the score test that this model is worse by
	// the margin or more: a small one speaks for it. McNemar is the two-sided
	// p-value of the exact test that both are equally often right.
	P       float64 `json:"p"`
	McNemar float64 `json:"mcNemar"`
}

// What a gate holds against its threshold, and how, besides the operators of
// arithmetic.
const (
	StatValue      = "value"
	StatLower      = "lower95"
	StatUpper      = "upper95"
	StatDifference = "difference"
	StatAdjustedP  = "adjusted-p-value"
	NoWorseThan    = "no-worse-than"
)

// Lets reports whether the gate lets the release through.
func (g Gate) Lets() bool {
	return g.Result == Pass || g.Result == Waived || g.Mode == Advise
}

// Verdict is the policy evaluated over a release at a time. On the ledger it
// is written as a SLSA Verification Summary v1, with this record beside the
// standard fields.
type Verdict struct {
	Release  string    `json:"release"`
	Line     string    `json:"line"`
	Record   Digest    `json:"record"`
	Artifact Digest    `json:"artifact"`
	Policy   PolicyRef `json:"policy"`
	Tier     string    `json:"tier"`
	At       time.Time `json:"at"`
	Passed   bool      `json:"passed"`
	Gates    []Gate    `json:"gates"`
	// Until is the earliest time at which a passing gate lapses.
	Until time.Time `json:"until,omitzero"`
	// Marks are shown wherever the release is: "no independent approval",
	// "first release", "waived: …", "advisory".
	Marks []string `json:"marks,omitzero"`
	// Envelope is the digest of the envelope that fills the seats which nobody
	// does; empty where people fill all, or it does not answer for the release.
	Envelope Digest `json:"envelope,omitzero"`
	// Inputs are the digests of the statements the verdict was computed from,
	// in ledger order; an offline verifier demands every one of them.
	Inputs []Digest `json:"inputs,omitzero"`
}

// Kind implements Body.
func (Verdict) Kind() Kind { return KindVerdict }

// Keys implements Body.
func (v Verdict) Keys(Digest) []string { return []string{KeyVerdicts(v.Release)} }

// Subject implements Body.
func (v Verdict) Subject() (string, Digest) { return "artifact/" + v.Line, v.Artifact }

// Validate implements Body.
func (v Verdict) Validate() error {
	c := checker{kind: KindVerdict}
	c.releaseID("release", v.Release)
	c.line("line", v.Line)
	c.digest("record", v.Record)
	c.digest("artifact", v.Artifact)
	c.name("policy.name", v.Policy.Name)
	c.digest("policy.digest", v.Policy.Digest)
	c.name("tier", v.Tier)
	c.time("at", v.At)
	return c.err()
}

// Blocking returns the gates that do not let the release through.
func (v Verdict) Blocking() []Gate {
	var out []Gate
	for _, g := range v.Gates {
		if !g.Lets() {
			out = append(out, g)
		}
	}
	return out
}

// KeyVerdicts finds the verdicts kept for a release.
func KeyVerdicts(release string) string { return "verdicts/" + release }

// Policy is one immutable version of a policy file, known by the digest of its text.
type Policy struct {
	Name string `json:"name"`
	// Text is the YAML file.
	Text   string `json:"text"`
	Digest Digest `json:"digest"`
	Reason string `json:"reason,omitzero"`
}

// MaxPolicy is the length in bytes of the largest policy file.
const MaxPolicy = 1 << 20

// Kind implements Body.
func (Policy) Kind() Kind { return KindPolicy }

// Keys implements Body.
func (p Policy) Keys(Digest) []string { return []string{KeyPolicy(p.Digest), KeyPolicyName(p.Name)} }

// Subject implements Body.
func (p Policy) Subject() (string, Digest) { return "policy/" + p.Name, p.Digest }

// Validate implements Body.
func (p Policy) Validate() error {
	c := checker{kind: KindPolicy}
	c.name("name", p.Name)
	if len(p.Text) > MaxPolicy {
		c.failf("text is longer than %d bytes", MaxPolicy)
	}
	if p.Digest != DigestOf([]byte(p.Text)) {
		c.failf("digest is not that of the text")
	}
	c.text("reason", p.Reason, false)
	return c.err()
}

// KeyPolicy finds a policy's text by digest.
func KeyPolicy(d Digest) string { return "policy/" + string(d) }

// KeyPolicyName finds the versions of a policy by name; the newest is in force
// for new releases.
func KeyPolicyName(name string) string { return "policy/" + name }
