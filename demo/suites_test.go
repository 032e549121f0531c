package demo

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"imprimatur.dev/record"
)

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestDeLongByHand(t *testing.T) {
	// Of the four pairs three are won and one is a tie: 3.5/4. The positives
	// beat 1 and 3/4 of the negatives, the negatives lose to 1 and 3/4 of the
	// positives: each variance is 1/32, so the squared error is 2 (1/32)/2.
	auc, se := aucDeLong([]float64{3, 2}, []float64{1, 2})
	if !near(auc, 0.875, 1e-15) || !near(se, math.Sqrt(1.0/32), 1e-15) {
		t.Errorf("%v ± %v, want 0.875 ± %v", auc, se, math.Sqrt(1.0/32))
	}
}

// pairs is the area by its definition.
func pairs(positive, negative []float64) (auc float64) {
	for _, p := range positive {
		for _, n := range negative {
			switch {
			case p > n:
				auc++
			case p == n:
				auc += 0.5
			}
		}
	}
	return auc / float64(len(positive)*len(negative))
}

// jackknife is the two-sample jackknife error of the area, which for this
// statistic equals DeLong's exactly (Arvesen 1969; DeLong et al. 1988, p. 840).
func jackknife(positive, negative []float64) float64 {
	side := func(values []float64, area func([]float64) float64) float64 {
		whole, sum, n := area(values), 0.0, float64(len(values))
		for i := range values {
			d := area(slices.Delete(slices.Clone(values), i, i+1)) - whole
			sum += d * d
		}
		return sum * (n - 1) / n
	}
	return math.Sqrt(side(positive, func(p []float64) float64 { return pairs(p, negative) }) +
		side(negative, func(n []float64) float64 { return pairs(positive, n) }))
}

func TestDeLongIsPairsAndJackknife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 20), func(i int) float64 { return float64(i) }), 2, 25)
		positive, negative := values.Draw(t, "positive"), values.Draw(t, "negative")
		auc, se := aucDeLong(positive, negative)
		if want := pairs(positive, negative); !near(auc, want, 1e-12) {
			t.Errorf("area %v, pairs give %v", auc, want)
		}
		if want := jackknife(positive, negative); !near(se, want, 1e-9) {
			t.Errorf("error %v, the jackknife gives %v", se, want)
		}
	})
}

func TestPSIByHand(t *testing.T) {
	// Two bins: before 3 and 1, after 1 and 3, half an item more in each of
	// four: shares 0.7, 0.3 and 0.3, 0.7, so 2 (0.4) ln(7/3).
	got := psi([]int{0, 0, 0, 1}, []int{0, 1, 1, 1}, 2, each(4))
	if want := 0.8 * math.Log(7.0/3); !near(got, want, 1e-12) {
		t.Errorf("%v, want %v", got, want)
	}
	// All moved from one bin to the other: 0.9 against 0.1, and finite.
	got = psi([]int{0, 0, 0, 0}, []int{1, 1, 1, 1}, 2, each(4))
	if want := 1.6 * math.Log(9); !near(got, want, 1e-12) {
		t.Errorf("an empty bin: %v, want %v", got, want)
	}
	if got := psi([]int{0, 1}, []int{0, 1}, 2, each(2)); got != 0 {
		t.Errorf("no shift: %v", got)
	}
	cuts := edges([]float64{4, 3, 2, 1}, 2)
	if diff := cmp.Diff([]int{0, 0, 1, 1}, binOf([]float64{-9, 2, 2.5, 99}, cuts)); diff != "" {
		t.Errorf("bins below and above the median 2 (-want +got):\n%s", diff)
	}
}

func TestBrierAndCalibrationByHand(t *testing.T) {
	p, y := []float64{0.95, 0.75, 0.15, 0.12}, []float64{1, 0, 0, 1}
	// Squares 0.0025, 0.5625, 0.0225, 0.7744.
	if mean, _ := brier(p, y); !near(mean, 1.3619/4, 1e-12) {
		t.Errorf("brier %v", mean)
	}
	// Squares 0.25 and 0.01: standard deviation 0.24/√2, error 0.12.
	if mean, se := brier([]float64{0.5, 0.1}, []float64{1, 0}); !near(mean, 0.13, 1e-12) || !near(se, 0.12, 1e-12) {
		t.Errorf("brier %v ± %v, want 0.13 ± 0.12", mean, se)
	}
	// Bins: |0.95-1|, |0.75-0|, |0.15+0.12-1|.
	if got := calibrationError(p, y, each(4)); !near(got, (0.05+0.75+0.73)/4, 1e-12) {
		t.Errorf("calibration error %v", got)
	}
	// Two bins, though side by side, and 1 in the upper: |0.85-1|, |0.95+1-1|.
	if got := calibrationError([]float64{0.85, 0.95, 1}, []float64{1, 0, 1}, each(3)); !near(got, (0.15+0.95)/3, 1e-12) {
		t.Errorf("calibration error of the upper bins %v", got)
	}
}

func TestBootstrapOfAMean(t *testing.T) {
	// The standard error of a mean of n draws of 0 or 1 is known: 0.5/√n.
	values := make([]float64, 400)
	for i := range values {
		values[i] = float64(i % 2)
	}
	got := bootstrap(len(values), func(picked []int) (sum float64) {
		for _, i := range picked {
			sum += values[i]
		}
		return sum / float64(len(picked))
	})
	if !near(got, 0.025, 0.005) { // 200 resamples: within 20 % at four sigma
		t.Errorf("%v, want about 0.025", got)
	}
}

func evaluated(t testing.TB) (Model, Data, map[string]Result) {
	t.Helper()
	m, d := trained(t)
	results, err := Evaluate(m, d)
	if err != nil {
		t.Fatal(err)
	}
	bySuite := map[string]Result{}
	for _, r := range results {
		bySuite[r.Suite] = r
	}
	return m, d, bySuite
}

func metric(t testing.TB, r Result, name string) record.Metric {
	t.Helper()
	i := slices.IndexFunc(r.Metrics, func(m record.Metric) bool { return m.Name == name })
	if i < 0 {
		t.Fatalf("%s has no metric %s", r.Suite, name)
	}
	return r.Metrics[i]
}

func TestMetricsAgreeWithScikitLearn(t *testing.T) {
	_, _, got := evaluated(t)
	for _, c := range []struct{ suite, metric, reference string }{
		{"holdout", "roc_auc", "roc_auc"},
		{"holdout", "brier", "brier"},
		{"missed-malignant", "expected_calibration_error", "expected_calibration_error"},
		{"shifted-holdout", "psi_max", "psi_max"},
		{"shifted-holdout", "roc_auc", "shifted_roc_auc"},
	} {
		m, want := metric(t, got[c.suite], c.metric), readReference(t).Metrics
		if !near(m.Value, want[c.reference], 1e-6) {
			t.Errorf("%s %s is %v, the reference %v", c.suite, c.metric, m.Value, want[c.reference])
		}
		if se, known := want[c.reference+"_stderr"]; known && !near(*m.Reported.StdErr, se, 1e-6) {
			t.Errorf("%s %s has the error %v, the reference %v", c.suite, c.metric, *m.Reported.StdErr, se)
		}
	}
}

func TestModelIsGoodEnoughForTheStory(t *testing.T) {
	_, _, got := evaluated(t)
	if acc := metric(t, got["holdout"], "accuracy"); acc.Value <= 0.93 || acc.N != 228 {
		t.Errorf("accuracy %v of %d, want above 0.93 of 228", acc.Value, acc.N)
	}
	if asr := metric(t, got["implausible-input"], "attack_success_rate"); asr.Value >= 0.02 || asr.N != 4*228+1 {
		t.Errorf("attack success %v of %d, want below 0.02 of 913", asr.Value, asr.N)
	}
	// A model without a guard answers all but the inputs that are not numbers.
	m, d, _ := evaluated(t)
	for j := range m.Guard.Min {
		m.Guard.Min[j], m.Guard.Max[j] = 0, 1e12
	}
	open, err := Misuse(m, d.Holdout)
	if err != nil {
		t.Fatal(err)
	}
	if asr := metric(t, open, "attack_success_rate"); *asr.Successes != 2*228+1 {
		t.Errorf("without a guard %d attacks succeed, want the 457 with positive numbers", *asr.Successes)
	}
}

func TestEvaluateGivesTheSameBytesAndCounts(t *testing.T) {
	_, _, first := evaluated(t)
	_, _, second := evaluated(t)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two evaluations differ:\n%s", diff)
	}
	for _, c := range []struct {
		suite, metric, outcome string
		of                     func(Item) bool
	}{
		{"holdout", "accuracy", Correct, func(Item) bool { return true }},
		{"holdout", "refusal_rate", Refused, func(Item) bool { return true }},
		{"holdout", "sensitivity", Correct, func(i Item) bool { return i.Label == "malignant" }},
		{"holdout", "specificity", Correct, func(i Item) bool { return i.Label == "benign" }},
		{"missed-malignant", "false_negative_rate", Wrong, func(i Item) bool { return i.Label == "malignant" }},
		{"implausible-input", "attack_success_rate", Accepted, func(i Item) bool { return i.Slice != "perturbation" }},
		{"implausible-input", "perturbation_flip_rate", Flipped, func(i Item) bool { return i.Slice == "perturbation" }},
	} {
		n, successes := 0, 0
		for line := range bytes.Lines(first[c.suite].Items) {
			var item Item
			if err := json.Unmarshal(line, &item, json.RejectUnknownMembers(true)); err != nil {
				t.Fatal(err)
			}
			if c.of(item) {
				n++
				if item.Outcome == c.outcome {
					successes++
				}
			}
		}
		if m := metric(t, first[c.suite], c.metric); m.N != n || *m.Successes != successes {
			t.Errorf("%s is %d of %d, its items hold %d of %d", c.metric, *m.Successes, m.N, successes, n)
		}
	}
}

// TestNoSearchBeatsTheCorner tries what perturb claims to make needless.
func TestNoSearchBeatsTheCorner(t *testing.T) {
	m, d := trained(t)
	random := rand.New(rand.NewPCG(7, 7))
	flips := 0
	for _, r := range d.Holdout.Rows {
		before, _, refusal := m.Predict(r.Features)
		if refusal != nil {
			continue
		}
		corner := perturb(m, r)
		for range 200 {
			x := slices.Clone(r.Features)
			for j := range x {
				x[j] += perturbation * m.Scale[j] * (1 - 2*float64(random.IntN(2)))
			}
			after, _, err := m.Predict(x)
			if err == nil && after != before {
				flips++
				if corner.Outcome != Flipped {
					t.Fatalf("%s flips under a random perturbation, but not at the corner", r.ID)
				}
			}
		}
	}
	if flips == 0 {
		t.Error("the random search flipped nothing, so it tested nothing")
	}
}

func TestEvaluateRefusesSetsThatSayNothing(t *testing.T) {
	m, d := trained(t)
	d.Holdout.Rows = slices.DeleteFunc(d.Holdout.Rows, func(r Row) bool { return r.Malignant })
	if _, err := Evaluate(m, d); err == nil {
		t.Error("a holdout without a malignant row was evaluated")
	}
	if _, err := Misuse(m, Split{Name: "nothing"}); err == nil {
		t.Error("an empty set was attacked")
	}
	whole := splits(t)
	if _, err := Drift(m, whole.Train, d.Holdout, whole.Shifted); err == nil {
		t.Error("sets that are not pairs were compared")
	}
}
