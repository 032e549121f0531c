package policy

import (
	"testing"
	"time"

	"imprimatur.dev/record"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// design is the policy of the design, as users will first see one.
const design = `apiVersion: imprimatur/v1
kind: Policy
name: default
tiers:
  high:
    mode: enforce                    # or: advise (reported, never blocks), per gate too
    lineage:
      datasets: approved             # every dataset, through every base model and derived dataset
      run: attested                  # signed by the pipeline's own identity
      code: committed                # a full commit, clean tree
    evaluations:
      - category: accuracy
        suite: holdout
        metric: roc_auc
        require: lower95 >= 0.85     # the lower bound of the interval, not the point estimate
        versusProduction: { noWorseThan: 0.01 }
        minSamples: 500
        freshFor: 30d
      - category: safety
        suite: garak
        metric: attack_success_rate
        require: upper95 <= 0.02
      - category: drift
        suite: shifted-holdout
        metric: psi_max
        require: value <= 0.2
      - category: misuse
        suite: red-team
        metric: attack_success_rate
        require: upper95 <= 0.05
    rollback: ready                  # a standing target, bytes present and hashed, drill within 90d
    expressions:
      - name: no-wildcard-writes
        cel: "!release.authority.records.exists(g, g.actions.exists(a, a == '*'))"
        message: "record-write grants name their actions"
    approvals:
      - { role: model-owner, count: 1, covers: [behaviour, data, context] }
      - { role: risk,        count: 1, covers: [behaviour, data, context], passkey: required }
      - { role: security,    count: 1, covers: [authority, behaviour] }
    separation: [trainer, evaluator, code-author]    # may hold no seat
    expires: 180d
`

func mustLoad(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLoadDesign(t *testing.T) {
	p := mustLoad(t, design)
	d := p.Example("high", noon)
	v := p.Evaluate(d, noon)
	for _, g := range v.Gates {
		t.Logf("%-40s %-6s %s %s", g.Name, g.Result, g.Rule, g.Reason)
	}
	if !v.Passed || len(v.Blocking()) > 0 {
		t.Error("the example release does not pass")
	}
	if err := v.Validate(); err != nil {
		t.Error(err)
	}
	_ = record.Pass
}
