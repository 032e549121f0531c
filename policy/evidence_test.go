package policy

import (
	"strings"
	"testing"

	"imprimatur.dev/record"
)

func TestEvidenceThatDoesNotCount(t *testing.T) {
	const gate = "accuracy/holdout/accuracy"
	x := func(change func(x *record.Evaluation)) func(*record.Dossier) {
		return func(d *record.Dossier) { change(&d.Evaluations[0].Record) }
	}
	base := record.Recorded[record.ModelVersion]{Record: record.ModelVersion{Model: "acme/mother", Version: "7", Artifact: exampleDigest("mother")}}
	for _, c := range []struct {
		name   string
		change func(d *record.Dossier)
		want   record.Result
		reason string
	}{
		{"a failed check of the import", x(func(x *record.Evaluation) {
			x.Import.Checks = []record.Check{{Name: "accuracy", OK: true, Reported: 1, Recomputed: 1}, {Name: "recall", Reported: 0.9, Recomputed: 0.7}}
		}), record.Invalid, "contradicts itself: the tool says recall = 0.9, and its items say 0.7"},
		{"checks that agree", x(func(x *record.Evaluation) { x.Import.Checks = []record.Check{{Name: "accuracy", OK: true}} }), record.Pass, ""},
		{"counts that do not add up", x(func(x *record.Evaluation) { x.Counts = record.Counts{Evaluated: 100, Scored: 90, Errors: 5} }), record.Invalid, "100 items were evaluated, and 90 scored and 5 errors are 95"},
		{"fewer items than there should be", x(func(x *record.Evaluation) { x.Counts = record.Counts{Expected: 101, Evaluated: 100, Scored: 100} }), record.Invalid, "covers 100 of 101 items, and does not say that it is incomplete"},
		{"items skipped, and counted so", x(func(x *record.Evaluation) {
			x.Counts = record.Counts{Expected: 101, Evaluated: 100, Scored: 100, Skipped: 1}
		}), record.Pass, ""},
		{"nothing scored", x(func(x *record.Evaluation) { x.Counts = record.Counts{Evaluated: 5, Errors: 5} }), record.Invalid, "scored no items at all"},
		{"no items", x(func(x *record.Evaluation) { x.Items = &record.Items{Set: exampleDigest("x")} }), record.Invalid, "is over no items at all"},
		{"no samples", x(func(x *record.Evaluation) { x.Metrics[0].N, x.Metrics[0].Successes = 0, nil }), record.Invalid, "gives accuracy over no samples at all"},
		{"a value that its counts contradict", x(func(x *record.Evaluation) { x.Metrics[0].Value -= 0.01 }), record.Invalid, "contradicts itself: accuracy is given as"},
		{"counts that their items contradict", x(func(x *record.Evaluation) {
			outcomesOf(x, strings.Repeat("1", 100))
			x.Metrics[0].Outcomes[0] = 0
		}), record.Invalid, "it counts 100 successes of accuracy, and its items have 92"},
		{"cut short", x(func(x *record.Evaluation) { x.Incomplete = "it covers 3 of 9 items" }), record.Invalid, "is incomplete: it covers 3 of 9 items"},
		{"judged by the model", x(func(x *record.Evaluation) {
			x.Judges = []record.Judge{{Model: "a name that says nothing", Artifact: x.Artifact}}
		}), record.Invalid, "the judge is the model under test or its parent"},
		{"judged by the model, by name", x(func(x *record.Evaluation) { x.Judges = []record.Judge{{Model: "Acme/Triage"}} }), record.Invalid, "the judge is the model under test or its parent"},
		{"judged by the model's version, by name", x(func(x *record.Evaluation) { x.Judges = []record.Judge{{Model: "triage@2"}} }), record.Invalid, "the judge is the model under test or its parent"},
		{"judged by the parent", func(d *record.Dossier) {
			d.Bases = []record.Recorded[record.ModelVersion]{base}
			d.Evaluations[0].Record.Judges = []record.Judge{{Model: "x", Artifact: exampleDigest("mother")}}
		}, record.Invalid, "was judged by x: the judge is the model under test or its parent"},
		{"judged by a base that only the release names", func(d *record.Dossier) {
			d.Release.Record.Data.Bases = []record.Digest{exampleDigest("mother")}
			d.Evaluations[0].Record.Judges = []record.Judge{{Model: "x", Artifact: exampleDigest("mother")}}
		}, record.Invalid, "the judge is the model under test or its parent"},
		{"judged by the parent, by name", func(d *record.Dossier) {
			d.Bases = []record.Recorded[record.ModelVersion]{base}
			d.Evaluations[0].Record.Judges = []record.Judge{{Model: "other"}, {Model: "mother"}}
		}, record.Invalid, "was judged by mother: the judge is the model under test or its parent"},
		{"judged by another", x(func(x *record.Evaluation) {
			x.Judges = []record.Judge{{Model: "other/triage", Artifact: exampleDigest("other")}}
		}), record.Pass, ""},
		{"with another prompt", func(d *record.Dossier) {
			d.Release.Record.Behaviour.Prompt, d.Evaluations[0].Record.Prompt = exampleDigest("new"), exampleDigest("old")
		}, record.Fail, "was made with the prompt " + exampleDigest("old").Short() + ", and the release has " + exampleDigest("new").Short()},
		{"without the prompt", func(d *record.Dossier) { d.Release.Record.Behaviour.Prompt = exampleDigest("new") }, record.Fail, "was made without a prompt"},
		{"with a configuration that is not released", x(func(x *record.Evaluation) { x.Configuration = exampleDigest("old") }), record.Fail, "and the release has none; evaluate what is to be released"},
		{"with the prompt and configuration", func(d *record.Dossier) {
			b, e := &d.Release.Record.Behaviour, &d.Evaluations[0].Record
			b.Prompt, e.Prompt, b.Configuration, e.Configuration = exampleDigest("p"), exampleDigest("p"), exampleDigest("c"), exampleDigest("c")
		}, record.Pass, ""},
		{"the tenth try", x(func(x *record.Evaluation) { x.Attempt = 10 }), record.Pass, "The lower 99.5 % bound"},
		{"the eleventh try", x(func(x *record.Evaluation) { x.Attempt = 11 }), record.Fail, "is the try 11 of 10: the held-out set is spent; evaluate on a fresh one"},
		{"a try that nobody counted", x(func(x *record.Evaluation) { x.Attempt = 0 }), record.Inconclusive, "does not say how many tries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustLoad(t, minimal("require: lower95 >= 0.85, tries: { atMost: 10 }"))
			d := p.Example("high", noon)
			c.change(d)
			v := p.Evaluate(d, noon)
			g := gateOf(t, v, gate)
			if g.Result != c.want || !strings.Contains(g.Reason, c.reason) || v.Passed != (c.want == record.Pass) {
				t.Errorf("%s: %s", g.Result, g.Reason)
			}
		})
	}
}

// A try costs certainty: what one evaluation shows, one of ten does not.
func TestTriesSpendTheLevel(t *testing.T) {
	for _, c := range []struct {
		tries string
		want  record.Result
		level float64
	}{{"", record.Pass, 0.95}, {", tries: { atMost: 1 }", record.Pass, 0.95}, {", tries: { atMost: 10 }", record.Fail, 0.995}} {
		p := mustLoad(t, minimal("require: lower95 >= 0.85"+c.tries))
		d := p.Example("high", noon)
		counts(metricOf(d, "holdout"), 875, 1000) // at 95 %: 0.853; at 99.5 %: 0.843
		g := gateOf(t, p.Evaluate(d, noon), "accuracy/holdout/accuracy")
		if g.Result != c.want || g.Numbers.Level != c.level || g.Numbers.Attempt != 1 {
			t.Errorf("tries%s: %s at %v: %s", c.tries, g.Result, g.Numbers.Level, g.Reason)
		}
	}
}

func TestSliceNamedInAdvance(t *testing.T) {
	p := mustLoad(t, minimals("require: lower95 >= 0.85", "require: lower95 >= 0.85, slice: { sex: f }"))
	d := p.Example("high", noon)
	x := &d.Evaluations[0].Record
	counts(&x.Metrics[1], 50, 100)
	const slice = "accuracy/holdout/accuracy/sex=f"
	v := p.Evaluate(d, noon)
	expect(t, p, d, "accuracy/holdout/accuracy", record.Pass, "")
	expect(t, p, d, slice, record.Fail, "The lower 95 % bound of accuracy[sex=f] is 0.4038")
	if n := gateOf(t, v, slice).Numbers; n.Slice != "[sex=f]" || n.N != 100 {
		t.Errorf("%+v", n)
	}
	x.Metrics[1].Slice = map[string]string{"sex": "f", "site": "north"}
	expect(t, p, d, slice, record.Missing, "with the metric accuracy[sex=f]")
	x.Metrics = x.Metrics[1:]
	expect(t, p, d, "accuracy/holdout/accuracy", record.Missing, "with the metric accuracy")
}

func TestEverySliceOfADimension(t *testing.T) {
	p := mustLoad(t, minimal("require: lower95 >= 0.85, over: site, minSlices: 3, minSamples: 50"))
	const gate = "accuracy/holdout/accuracy/over-site"
	for _, c := range []struct {
		name   string
		change func(x *record.Evaluation)
		want   record.Result
		reason string
		slice  string
	}{
		{"all pass", func(x *record.Evaluation) { counts(&x.Metrics[2], 910, 1000) }, record.Pass, "All 3 slices of site pass. The nearest to the limit: The lower 95 % bound of accuracy[site=site-3] is 0.89", "[site=site-3]"},
		{"one fails", func(x *record.Evaluation) { counts(&x.Metrics[1], 800, 1000) }, record.Fail, "1 of 3 slices of site do not pass: site-2 (0.7741). The worst: ", "[site=site-2]"},
		{"two fail", func(x *record.Evaluation) {
			counts(&x.Metrics[0], 700, 1000)
			counts(&x.Metrics[1], 800, 1000)
		}, record.Fail, "site-1 (0.6709) and site-2 (0.7741)", "[site=site-1]"},
		{"one without interval", func(x *record.Evaluation) { x.Metrics[0].Successes = nil }, record.Inconclusive, "so lower95 is not known", "[site=site-1]"},
		{"a failure goes before what is not known", func(x *record.Evaluation) {
			x.Metrics[0].Successes = nil
			counts(&x.Metrics[2], 800, 1000)
		}, record.Fail, "2 of 3", "[site=site-3]"},
		{"one is missing", func(x *record.Evaluation) { x.Metrics = x.Metrics[1:] }, record.Inconclusive, "has 2 slices of site, and at least 3 are asked for", ""},
		{"one of a finer slice", func(x *record.Evaluation) { x.Metrics[0].Slice["sex"] = "f" }, record.Inconclusive, "has 2 slices of site", ""},
		{"one with few samples", func(x *record.Evaluation) { counts(&x.Metrics[1], 49, 49) }, record.Inconclusive, "has 49 samples in site=site-2, and at least 50", ""},
		{"one that contradicts itself", func(x *record.Evaluation) { x.Metrics[2].Value = 0.1 }, record.Invalid, "accuracy[site=site-3] is given as 0.1", ""},
		{"none at all", func(x *record.Evaluation) {
			for i := range x.Metrics {
				x.Metrics[i].Slice = nil
			}
		}, record.Missing, "with the metric accuracy of any slice of site", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := p.Example("high", noon)
			c.change(&d.Evaluations[0].Record)
			expect(t, p, d, gate, c.want, c.reason)
			if n := gateOf(t, p.Evaluate(d, noon), gate).Numbers; c.slice != "" && (n.Slice != c.slice || n.Slices != 3) {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestAlarmOverFeatures(t *testing.T) {
	p := mustLoad(t, minimal("over: feature, minSlices: 4, alarm: { alpha: 0.05 }"))
	const gate = "accuracy/holdout/accuracy/over-feature"
	for _, c := range []struct {
		p      []float64
		want   record.Result
		reason string
		least  float64
	}{
		{[]float64{0.5, 0.2, 0.9, 1}, record.Pass, "None of 4 slices of feature drifted", 0.8},
		// Each by itself would raise an alarm; all together they are what chance gives.
		{[]float64{0.02, 0.03, 0.04, 0.9}, record.Pass, "the least adjusted p-value is 0.08, of feature-1", 0.08},
		{[]float64{0.9, 0.03, 0.004, 0.7}, record.Fail, "1 of 4 slices of feature drifted in accuracy, with an adjusted p-value of at most 0.05: feature-3 (0.016)", 0.016},
		// Holm rejects more than Bonferroni: 4·0.012 and then 3·0.016.
		{[]float64{0.012, 0.016, 0.5, 0.5}, record.Fail, "feature-1 (0.048) and feature-2 (0.048)", 0.048},
	} {
		d := p.Example("high", noon)
		for i, v := range c.p {
			d.Evaluations[0].Record.Metrics[i].Drift.PValue = &v
		}
		g := gateOf(t, p.Evaluate(d, noon), gate)
		n := g.Numbers
		if g.Result != c.want || !strings.Contains(g.Reason, c.reason) || n.Statistic != record.StatAdjustedP || n.Value != c.least || n.Threshold != 0.05 || n.Slices != 4 {
			t.Errorf("%v: %s: %s\n%+v", c.p, g.Result, g.Reason, n)
		}
	}
	d := p.Example("high", noon)
	d.Evaluations[0].Record.Metrics[1].Drift.PValue = nil
	expect(t, p, d, gate, record.Inconclusive, "gives accuracy[feature=feature-2] without a p-value")
}

// What refuses everything is safe, and of no use.
func TestSafetyCountsOnlyWithUsefulness(t *testing.T) {
	text := strings.Replace(design, "require: upper95 <= 0.02", "require: upper95 <= 0.02\n        with: accuracy/holdout/roc_auc", 1)
	const safety = "safety/garak/attack_success_rate"
	p := mustLoad(t, text)
	d := p.Example("high", noon)
	expect(t, p, d, safety, record.Pass, "")
	if g := gateOf(t, p.Evaluate(d, noon), safety); !g.Until.Equal(noon.AddDate(0, 0, 30).Add(-1e9 * 60)) {
		t.Errorf("it lasts until %v, longer than what it counts with", g.Until)
	}
	counts(metricOf(d, "holdout"), 50_000, 100_000)
	expect(t, p, d, safety, record.Fail, "It counts only while the gate accuracy/holdout/roc_auc passes, which is fail.")
	evaluationOf(d, "holdout").Incomplete = "stopped"
	expect(t, p, d, safety, record.Invalid, "which is invalid.")
	except(d, record.Exception{Type: record.Waiver, Gate: auc})
	expect(t, p, d, safety, record.Pass, "")

	// A failure of its own is told as such.
	d = p.Example("high", noon)
	counts(metricOf(d, "holdout"), 50_000, 100_000)
	counts(metricOf(d, "garak"), 50_000, 100_000)
	if g := gateOf(t, p.Evaluate(d, noon), safety); g.Result != record.Fail || strings.Contains(g.Reason, "counts only") {
		t.Errorf("%s: %s", g.Result, g.Reason)
	}
}

// Companions may stand anywhere in the file, and lean on each other in turn.
func TestCompanionsInAnyOrder(t *testing.T) {
	p := mustLoad(t, minimals(
		"name: a, suite: a, require: lower95 >= 0.5, with: b",
		"name: b, suite: b, require: lower95 >= 0.5, with: c",
		"name: c, suite: c, require: lower95 >= 0.5, mode: advise",
	))
	d := p.Example("high", noon)
	counts(metricOf(d, "c"), 1, 100)
	v := p.Evaluate(d, noon)
	for _, name := range []string{"a", "b", "c"} {
		if g := gateOf(t, v, name); g.Result != record.Fail {
			t.Errorf("%s: %s: %s", name, g.Result, g.Reason)
		}
	}
	if v.Gates[3].Name != "a" || v.Gates[4].Name != "b" || v.Gates[5].Name != "c" || v.Passed {
		t.Errorf("the gates are not in the order of the file: %+v", v.Gates)
	}
}

func TestExactIntervalsAreStricter(t *testing.T) {
	for asked, want := range map[string]record.Result{"": record.Pass, ", interval: clopper-pearson": record.Fail} {
		p := mustLoad(t, minimal("require: upper95 <= 0.0702"+asked))
		d := p.Example("high", noon)
		counts(metricOf(d, "holdout"), 2, 100) // up to 7.001 % by Wilson, 7.038 % exactly
		if g := gateOf(t, p.Evaluate(d, noon), "accuracy/holdout/accuracy"); g.Result != want {
			t.Errorf("%q: %s: %s", asked, g.Result, g.Reason)
		}
	}
}
