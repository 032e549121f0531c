package policy

import (
	"strings"
	"testing"

	"imprimatur.dev/record"
)

// minimal is a policy of one evaluation with the given members, after its
// metric "accuracy" on the accuracy suite holdout.
func minimal(members string) string { return minimals(members) }

func minimals(each ...string) string {
	text := "apiVersion: imprimatur/v1\nkind: Policy\nname: default\ntiers:\n  high:\n    evaluations:\n"
	for _, members := range each {
		if !strings.Contains(members, "suite: ") {
			members = "suite: holdout, " + members
		}
		text += "      - { category: accuracy, metric: accuracy, " + members + " }\n"
	}
	return text
}

func TestRequirementFaults(t *testing.T) {
	for _, c := range []struct{ name, members, want string }{
		{"nothing asked", "minSamples: 3", `line 7, column 9: an evaluation lacks "require"`},
		{"two things asked", "over: site, require: value >= 0, alarm: { alpha: 0.05 }", "line 7, column 9: require and alarm are both given"},
		{"an alarm over one", "alarm: { alpha: 0.05 }", "line 7, column 9: alarm corrects for looking at several slices"},
		{"an alarm without level", "over: site, alarm: {}", `alarm lacks "alpha"`},
		{"an alarm at 1", "over: site, alarm: { alpha: 1 }", "line 7, column 93: alpha is not between 0 and 1"},
		{"an alarm at 0", "over: site, alarm: { alpha: 0 }", "alpha is not between 0 and 1"},
		{"an interval not known", "require: value >= 0, interval: wald", `line 7, column 96: interval "wald" is not one of wilson, clopper-pearson`},
		{"a slice of nothing", "require: value >= 0, slice: {}", "line 7, column 93: slice is empty"},
		{"a slice that is a number", "require: value >= 0, slice: { fold: 1 }", "line 7, column 101: fold is not text"},
		{"a slice that is a list", "require: value >= 0, slice: [a]", "slice is not a mapping"},
		{"a slice and all of them", "require: value >= 0, slice: { sex: f }, over: site", "slice and over are both given"},
		{"slices of nothing counted", "require: value >= 0, minSlices: 3", "minSlices counts the slices of a dimension"},
		{"no slices counted", "require: value >= 0, over: site, minSlices: 0", "minSlices is not a whole number from 1 to 500"},
		{"no tries", "require: value >= 0, tries: { atMost: 0 }", "line 7, column 103: atMost is not a whole number from 1 to 1000"},
		{"tries without number", "require: value >= 0, tries: {}", `tries lacks "atMost"`},
		{"slices against production", "require: value >= 0, over: site, versusProduction: { noWorseThan: 0 }", "versusProduction compares one metric"},
		{"a first release compared with a wish", "require: value >= 0, versusProduction: { noWorseThan: 0, first: hope }", `first "hope" is not one of anchor, apart`},
		{"regressions at 5", "require: value >= 0, versusProduction: { noWorseThan: 0, regressions: 5 }", "regressions is not between 0 and 1"},
		{"regressions of too many", "require: value >= 0, minSamples: 100000, versusProduction: { noWorseThan: 0, regressions: 0.05 }", "minSamples asks for more"},
		{"regressions of a slice", "require: value >= 0, slice: { sex: f }, versusProduction: { noWorseThan: 0, regressions: 0.05 }", "kept for all items together"},
		{"a companion not known", "require: value >= 0, with: accuracy/holdout/recall", `line 7, column 9: with: tier high has no gate "accuracy/holdout/recall" of an evaluation; it has accuracy/holdout/accuracy`},
		{"a companion that is no evaluation", "require: value >= 0, with: rollback", `has no gate "rollback" of an evaluation`},
		{"its own companion", "require: value >= 0, with: accuracy/holdout/accuracy", "line 7, column 9: with: the gate accuracy/holdout/accuracy would wait for itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Load([]byte(minimal(c.members))); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	_, err := Load([]byte(minimals("name: a, require: value >= 0, with: b", "name: b, require: value >= 0, with: c", "name: c, require: value >= 0, with: b")))
	if err == nil || !strings.Contains(err.Error(), "line 8, column 9: with: the gate b would wait for itself") || strings.Contains(err.Error(), "gate a would") {
		t.Errorf("a circle of companions: %v", err)
	}
}

func TestGatesAreNamedAfterTheirSlice(t *testing.T) {
	for members, want := range map[string]string{
		"require: value >= 0": "accuracy/holdout/accuracy",
		"require: value >= 0, slice: { site: north, sex: f }":        "accuracy/holdout/accuracy/sex=f/site=north",
		"require: value >= 0, over: site":                            "accuracy/holdout/accuracy/over-site",
		"require: value >= 0, over: site, name: everywhere":          "everywhere",
		"alarm: { alpha: 0.1 }, over: feature":                       "accuracy/holdout/accuracy/over-feature",
		"require: value >= 0, slice: { site: north }, minSamples: 5": "accuracy/holdout/accuracy/site=north",
	} {
		if got := mustLoad(t, minimal(members)).Tiers[0].Evaluations[0].Gate; got != want {
			t.Errorf("%s: the gate is called %s, want %s", members, got, want)
		}
	}
}

func TestRulesSayWhatIsAsked(t *testing.T) {
	p := mustLoad(t, minimals(
		"require: lower95 >= 0.8, slice: { sex: f }, interval: clopper-pearson, tries: { atMost: 10 }, with: everywhere",
		"name: everywhere, require: lower95 >= 0.7, over: site, minSlices: 3",
		"name: drifting, over: feature, alarm: { alpha: 0.05 }, tries: { atMost: 5 }",
		"name: compared, require: lower95 >= 0.8, versusProduction: { noWorseThan: 0.01, first: apart, regressions: 0.02 }",
	))
	rules := map[string]string{}
	for _, g := range p.Evaluate(p.Example("high", noon), noon).Gates {
		rules[g.Name] = g.Rule
	}
	for gate, want := range map[string]string{
		"accuracy/holdout/accuracy/sex=f": "lower95 of accuracy[sex=f] on the accuracy suite holdout must be >= 0.8, by the exact interval of Clopper and Pearson, within 10 tries on one held-out set, which share 5 %, so that bounds are taken at 99.5 %, with assurance imported or better, and counts only while the gate everywhere passes.",
		"everywhere":                      "lower95 of accuracy on the accuracy suite holdout must be >= 0.7 in every slice of site, of which there are at least 3, with assurance imported or better.",
		"drifting":                        "the drift of accuracy on the accuracy suite holdout must not be significant in any slice of feature, at 0.05 after Holm's correction, within 5 tries on one held-out set, with assurance imported or better.",
		"compared/versus-production":      "accuracy on the accuracy suite holdout is no more than 0.01 worse than in production, and loses no more items to it than chance explains at 0.02; a first release is compared with nothing, and marked so.",
	} {
		if got := strings.TrimPrefix(rules[gate], "Policy default, tier high: "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", gate, got, want)
		}
	}
}

// Whatever a policy asks for, there is a release that it lets through.
func TestExamplePassesWhateverIsAsked(t *testing.T) {
	const versus = ", versusProduction: { noWorseThan: 0, regressions: 0.05 }"
	for _, members := range []string{
		"require: lower95 >= 0.85", "require: lower95 > 0.9999", "require: upper95 <= 0.0001", "require: upper95 < 3", "require: value == 1", "require: lower95 >= 12.5",
		"require: lower95 >= 0.99, tries: { atMost: 1000 }, interval: clopper-pearson",
		"require: lower95 >= 0.85" + versus, "require: upper95 <= 0.02" + versus, "require: lower95 >= 0.85, tries: { atMost: 100 }, minSamples: 65536" + versus,
		"require: upper95 <= 0.001, versusProduction: { noWorseThan: 0 }", "require: lower95 >= 5, versusProduction: { noWorseThan: 0 }",
		"require: lower95 >= 0.85, slice: { sex: f, site: north }, versusProduction: { noWorseThan: 0 }",
		"require: lower95 >= 0.85, over: site", "require: upper95 <= 0.1, over: site, minSlices: 40, tries: { atMost: 3 }",
		"alarm: { alpha: 0.999 }, over: feature, minSlices: 200, minSamples: 5000, tries: { atMost: 2 }",
	} {
		p := mustLoad(t, minimals(members+", freshFor: 1d, assurance: signed-run, with: other, name: asked", "name: other, suite: other, require: lower95 >= 0.5"))
		for _, anchored := range []bool{false, true} {
			d := p.Example("high", noon)
			if anchored {
				firstRelease(d)
			}
			v := p.Evaluate(d, noon)
			if !v.Passed || len(v.Gates) < 6 {
				t.Errorf("%s: %s", members, blockers(v))
			}
			for _, e := range d.Evaluations {
				if err := e.Record.Validate(); err != nil {
					t.Errorf("%s: %v", members, err)
				}
			}
		}
	}
}

func TestLintOfEvaluations(t *testing.T) {
	for members, want := range map[string]string{
		"require: value >= 0, minSamples: 5, freshFor: 1d, tries: { atMost: 3 }": "compares the value alone, to which a number of tries makes no difference but for its limit",
		"require: lower95 >= 0, freshFor: 1d, over: site":                        "has no minSlices: an evaluation that leaves a slice out goes unnoticed",
	} {
		var got []string
		for _, p := range Lint([]byte(minimal(members))) {
			got = append(got, p.String())
		}
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: %q", members, got)
		}
	}
}

// A test beside a policy can reach the metric of a slice by its label.
func TestTestFilesReachSlices(t *testing.T) {
	text := minimals("require: lower95 >= 0.85, over: site", "require: lower95 >= 0.85")
	results, err := RunTests([]byte(text), []byte(`cases:
  - name: one bad site
    tier: high
    change: { "/evaluations/holdout/record/metrics/accuracy[site=site-2]": { name: accuracy, slice: { site: site-2 }, value: 0.5, n: 1000, successes: 500 } }
    expect: { passed: false, gates: { accuracy/holdout/accuracy: pass, accuracy/holdout/accuracy/over-site: fail } }
  - name: bad on the whole
    tier: high
    change: { /evaluations/holdout/record/metrics/accuracy: { name: accuracy, value: 0.5, n: 1000, successes: 500 } }
    expect: { passed: false, gates: { accuracy/holdout/accuracy: fail, accuracy/holdout/accuracy/over-site: pass } }
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.Passed || r.Verdict.Gates[3].Mode != record.Enforce {
			t.Errorf("%s: %v", r.Name, r.Faults)
		}
	}
}
