package drift

import (
	"math"
	"testing"
)

// TestJudgeRateByHand holds the fall of a rate to Fisher's exact test, one way, whose
// values were worked out with whole numbers alone: with a wrong of n in the evaluation
// and b of m in the window, the sum over x from b of C(a+b, x) C(n+m-a-b, m-x) / C(n+m, m).
// The fifth is 59/238 and the sixth 1749/2692564 exactly.
func TestJudgeRateByHand(t *testing.T) {
	for _, c := range []struct {
		reference, window Rate
		limit, value, p   float64
		want              Outcome
	}{
		{Rate{95, 100}, Rate{40, 50}, 0.05, 0.15, 0.005796642860818846, Breach},
		{Rate{950, 1000}, Rate{180, 200}, 0.02, 0.05, 0.007153961988198439, Breach},
		{Rate{950, 1000}, Rate{186, 200}, 0, 0.02, 0.16357556105016183, Steady}, // not significant
		{Rate{9000, 10_000}, Rate{4450, 5000}, 0, 0.01, 0.031278870048924975, Steady},
		{Rate{60, 60}, Rate{58, 60}, 0, 1.0 / 30, 59.0 / 238, Steady},
		{Rate{60, 60}, Rate{50, 60}, 0.1, 1.0 / 6, 1749.0 / 2692564, Breach},
		{Rate{60, 60}, Rate{50, 60}, 0.17, 1.0 / 6, 1749.0 / 2692564, Steady}, // significant, and below the limit
		{Rate{990, 1000}, Rate{9800, 10_000}, 0, 0.01, 0.01320249947850177, Steady},
		{Rate{30, 60}, Rate{60, 60}, 0, -0.5, 1, Steady}, // better is no breach
		{Rate{48, 50}, Rate{50, 50}, 0, -0.04, 1, Steady},
		{Rate{49, 49}, Rate{0, 1000}, 0, 0, 1, Inconclusive},
		{Rate{1000, 1000}, Rate{0, 49}, 0, 0, 1, Inconclusive},
	} {
		got, err := JudgeRate(c.reference, c.window, c.limit, Defaults())
		if err != nil {
			t.Fatal(err)
		}
		if got.Outcome != c.want || math.Abs(got.Value-c.value) > 1e-12 || math.Abs(got.P-c.p) > 1e-9*c.p || got.Adjusted != got.P || got.Limit != c.limit || !got.Exact {
			t.Errorf("%v against %v: %+v, want %s of %v with P = %v", c.window, c.reference, got, c.want, c.value, c.p)
		}
	}
	if _, err := JudgeRate(Rate{1, 1}, Rate{1, 1}, 0, Settings{}); err == nil {
		t.Error("settings of nothing are taken")
	}
}
