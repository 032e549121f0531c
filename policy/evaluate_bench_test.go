package policy

import (
	"strings"
	"testing"
)

// twenty is the design's policy with slices, alarms, tries and companions.
var twenty = strings.Replace(strings.Replace(withContent,
	"        versusProduction: { noWorseThan: 0.01 }\n", "        versusProduction: { noWorseThan: 0.01, regressions: 0.05 }\n        tries: { atMost: 10 }\n", 1),
	"    content: {", `      - { category: accuracy, suite: holdout, metric: recall, require: lower95 >= 0.8, slice: { sex: f } }
      - { category: accuracy, suite: holdout, metric: recall, require: lower95 >= 0.8, over: site, minSlices: 5 }
      - { category: drift, suite: shifted-holdout, metric: ks, over: feature, alarm: { alpha: 0.05 }, minSlices: 20 }
      - { category: safety, suite: refusals, metric: refusal_rate, require: lower95 >= 0.9, with: accuracy/holdout/roc_auc }
    content: {`, 1)

// The decision of a release with twenty gates and more is to take 50 µs at most.
func BenchmarkEvaluateTwentyGates(b *testing.B) {
	p := mustLoad(b, twenty)
	d := p.Example("high", noon)
	v := p.Evaluate(d, noon)
	if g := gateOf(b, v, aucVersus); len(v.Gates) < 20 || !v.Passed || g.Numbers.Pairs == nil {
		b.Fatalf("%d gates: %s", len(v.Gates), blockers(v))
	}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Evaluate(d, noon).Passed {
			b.Fatal("the release does not pass")
		}
	}
}
