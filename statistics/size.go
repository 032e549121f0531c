package statistics

import "math"

// The largest number of items worth naming to a person; beyond it no answer.
const mostItems = 1e12

// ItemsForNoFailure returns the smallest number of items of which none may fail
// for the one-sided exact upper bound on the failure rate to be at most limit:
// the rule of three in its exact form, ln(1-level)/ln(1-limit). At level 0.95,
// 5 % need 59 and 1 % need 299. ok is false where no number does. For the bound
// of a two-sided [Wilson] interval use [ItemsForUpperBound].
func ItemsForNoFailure(limit, level float64) (items int, ok bool) {
	if !(limit > 0 && limit < 1 && level > 0 && level < 1) {
		return 0, false
	}
	n := max(1, math.Ceil(rounded(math.Log1p(-level)/math.Log1p(-limit))))
	if n > mostItems {
		return 0, false
	}
	return int(n), true
}

// ItemsForUpperBound returns the smallest number of items at which the upper
// bound of [Wilson] would be at most limit if they went on to succeed at the
// given rate, so that a refusal can say how many more are needed. The bound q
// meets the limit where z² q(1-q)/n ≤ (q-rate)². ok is false where no number
// does, as when the rate is not below the limit. Unless the rate is 0 or 1, the
// successes of that many items need not be whole, and one or two more may be
// needed.
func ItemsForUpperBound(rate, limit, level float64) (items int, ok bool) {
	q, ok := critical(level)
	if !ok || !(rate >= 0 && rate < limit && limit < 1) {
		return 0, false
	}
	return least(itemsEstimate(rate, limit, q), func(n float64) bool { return score(rate, n, q).Upper <= limit })
}

// ItemsForLowerBound is the counterpart of [ItemsForUpperBound]: the lower bound
// of Wilson is to be at least limit.
func ItemsForLowerBound(rate, limit, level float64) (items int, ok bool) {
	q, ok := critical(level)
	if !ok || !(limit > 0 && limit < rate && rate <= 1) {
		return 0, false
	}
	return least(itemsEstimate(rate, limit, q), func(n float64) bool { return score(rate, n, q).Lower >= limit })
}

func itemsEstimate(rate, limit float64, q quantile) float64 {
	gap := limit - rate
	return math.Ceil(q.square * limit * (1 - limit) / float64(gap*gap))
}

// least corrects an estimate that rounding may have put a few items off: the
// answer must agree with the bound as it will be computed.
func least(estimate float64, enough func(n float64) bool) (items int, ok bool) {
	if !(estimate <= mostItems) {
		return 0, false
	}
	n := max(estimate, 1)
	for n > 1 && enough(n-1) {
		n--
	}
	for !enough(n) {
		n++
	}
	return int(n), true
}
