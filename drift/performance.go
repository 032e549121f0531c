package drift

// A Rate counts how many of n predictions were right.
type Rate struct {
	Right int64 `json:"right"`
	N     int64 `json:"n"`
}

// Share returns the part that was right, 0 of nothing.
func (r Rate) Share() float64 {
	if r.N == 0 {
		return 0
	}
	return float64(r.Right) / float64(r.N)
}

// Correctness is the measure of [JudgeRate].
const Correctness Measure = "correct"

// JudgeRate compares how often predictions were right in a window with how often
// they were when the model was evaluated. Value is by how much the rate fell, and P
// the probability of so many errors in the window if nothing had changed, by the exact
// test of [RateTest], which allows for the evaluation's own sampling error. It
// breaches if P <= alpha and Value is above the limit; with fewer than MinCount
// outcomes on either side it is inconclusive.
func JudgeRate(reference, window Rate, limit float64, s Settings) (Check, error) {
	if err := s.Validate(); err != nil {
		return Check{}, err
	}
	c := Check{Measure: Correctness, Outcome: Inconclusive, P: 1, Adjusted: 1, Limit: limit, Exact: true}
	if reference.N < s.MinCount || window.N < s.MinCount {
		return c, nil
	}
	c.Value = reference.Share() - window.Share()
	c.P, _ = RateTest(reference.N-reference.Right, reference.N, window.N-window.Right, window.N)
	c.Adjusted, c.Outcome = c.P, Steady
	if c.P <= s.Alpha && c.Value > limit {
		c.Outcome = Breach
	}
	return c, nil
}
