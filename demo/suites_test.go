package demo

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/evidence"
	"imprimatur.dev/record"
)

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

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

func TestCalibrationByHand(t *testing.T) {
	p, y := []float64{0.95, 0.75, 0.15, 0.12}, []float64{1, 0, 0, 1}
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

// evaluated runs the suites and reads their evidence as the server does.
func evaluated(t testing.TB) (Model, Data, map[string]record.Evaluation) {
	t.Helper()
	m, d := trained(t)
	results, err := Evaluate(m, d)
	if err != nil {
		t.Fatal(err)
	}
	bySuite := map[string]record.Evaluation{}
	for _, r := range results {
		bySuite[r.Suite] = readBack(t, r)
	}
	return m, d, bySuite
}

func readBack(t testing.TB, r Result) record.Evaluation {
	t.Helper()
	got, err := evidence.Read([]evidence.File{evidence.FileOf("items.ndjson", r.Items)}, record.EvaluationRun{})
	if err != nil {
		t.Fatal(err)
	}
	e := got.Evaluations[0]
	if e.Suite != r.Suite || e.Category != r.Category || e.Incomplete != "" || e.Contradiction() != "" || len(e.Import.Unknown) > 0 {
		t.Errorf("%s/%s reads as %s/%s, incomplete %q, contradiction %q, unknown %q", r.Category, r.Suite, e.Category, e.Suite, e.Incomplete, e.Contradiction(), e.Import.Unknown)
	}
	return e
}

func metric(t testing.TB, e record.Evaluation, label string) record.Metric {
	t.Helper()
	i := slices.IndexFunc(e.Metrics, func(m record.Metric) bool { return m.Label() == label })
	if i < 0 {
		t.Fatalf("%s has no metric %s", e.Suite, label)
	}
	return e.Metrics[i]
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
		// The server's error of the area is from a bootstrap, the reference's is
		// DeLong's: they agree as far as 10,000 draws go.
		if se, known := want[c.reference+"_stderr"]; known && m.Computed != nil && !near(*m.Computed.StdErr, se, 0.15*se) {
			t.Errorf("%s %s has the error %v, the reference %v", c.suite, c.metric, *m.Computed.StdErr, se)
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
	if asr := metric(t, readBack(t, open), "attack_success_rate"); *asr.Successes != 2*228+1 {
		t.Errorf("without a guard %d attacks succeed, want the 457 with positive numbers", *asr.Successes)
	}
}

func TestEvaluateGivesTheSameBytes(t *testing.T) {
	m, d := trained(t)
	first, err := Evaluate(m, d)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Evaluate(m, d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two evaluations differ:\n%s", diff)
	}
}

// TestItemsSayWhatTheModelDid counts what the model does, row by row, and
// compares with what is read from the evidence.
func TestItemsSayWhatTheModelDid(t *testing.T) {
	m, d, got := evaluated(t)
	var right, refused, missed, malignant int
	for _, r := range d.Holdout.Rows {
		says, _, refusal := m.Predict(r.Features)
		switch {
		case refusal != nil:
			refused++
		case says == r.Malignant:
			right++
		case r.Malignant:
			missed++
		}
		if r.Malignant {
			malignant++
		}
	}
	for _, c := range []struct {
		suite, metric string
		successes, n  int
	}{
		{"holdout", "accuracy", right, len(d.Holdout.Rows)},
		{"holdout", "refusal_rate", refused, len(d.Holdout.Rows)},
		{"missed-malignant", "false_negative_rate", missed, malignant},
		{"implausible-input", "perturbation_flip_rate", *metric(t, got["implausible-input"], "perturbation_flip_rate[attack=perturbation]").Successes, len(d.Holdout.Rows) - refused},
		{"implausible-input", "attack_success_rate[attack=all-zero]", 0, 1},
	} {
		if x := metric(t, got[c.suite], c.metric); *x.Successes != c.successes || x.N != c.n {
			t.Errorf("%s is %d of %d, the model did %d of %d", c.metric, *x.Successes, x.N, c.successes, c.n)
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
				if !corner.Metrics["perturbation_flip_rate"] {
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
