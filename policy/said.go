package policy

import (
	"slices"
	"strings"
	"time"
)

// TierRules are what a policy demands of one tier, in sentences.
type TierRules struct {
	Tier  string     `json:"tier"`
	Mode  string     `json:"mode"`
	Solo  bool       `json:"solo,omitzero"`
	Rules []GateRule `json:"rules"`
}

// GateRule is what one gate demands, as a sentence without its full stop's lead:
// "Policy default, tier high: " is left out.
type GateRule struct {
	Gate string `json:"gate"`
	Rule string `json:"rule"`
	Mode string `json:"mode"`
}

// Sentences says a policy in words, tier by tier and gate by gate, as its own
// verdicts say it. A rule does not depend on the time.
func (p *Policy) Sentences() []TierRules {
	var out []TierRules
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, t := range p.Tiers {
		rules := TierRules{Tier: t.Name, Mode: t.Mode, Solo: t.Solo}
		for _, g := range p.Evaluate(p.Example(t.Name, at), at).Gates {
			rules.Rules = append(rules.Rules, GateRule{g.Name, strings.TrimPrefix(g.Rule, "Policy "+p.Name+", tier "+t.Name+": "), g.Mode})
		}
		rules.Rules = append(rules.Rules, t.signalRules()...)
		out = append(out, rules)
	}
	return out
}

// RuleChange is one difference between two policies: Was is empty for what is
// new, Is for what is gone.
type RuleChange struct {
	Tier, Gate, Was, Is string
}

// Compare says how the rules of one policy differ from those of an older one, in
// the order of the newer one's tiers and gates; what is gone comes last.
func Compare(older, newer *Policy) (out []RuleChange) {
	was, is := older.sentencesByGate(), newer.sentencesByGate()
	find := func(in []RuleChange, c RuleChange) (string, bool) {
		i := slices.IndexFunc(in, func(x RuleChange) bool { return x.Tier == c.Tier && x.Gate == c.Gate })
		if i < 0 {
			return "", false
		}
		return in[i].Is, true
	}
	for _, c := range is {
		if before, _ := find(was, c); before != c.Is {
			out = append(out, RuleChange{c.Tier, c.Gate, before, c.Is})
		}
	}
	for _, c := range was {
		if _, still := find(is, c); !still {
			out = append(out, RuleChange{c.Tier, c.Gate, c.Is, ""})
		}
	}
	return out
}

func (p *Policy) sentencesByGate() (out []RuleChange) {
	for _, t := range p.Sentences() {
		for _, r := range t.Rules {
			said := r.Rule
			if r.Mode != "enforce" {
				said += " (advice)"
			}
			out = append(out, RuleChange{Tier: t.Tier, Gate: r.Gate, Is: said})
		}
	}
	return out
}
