package drift

import "math"

// RateTest compares two rates of an event, such as a value being missing: a of
// n in the reference and b of m now. Upper is the probability that, were both
// rates the same, at least b of all a+b events fell into the m; TwoSided is
// twice the lesser tail, at most 1. Both are exact (Fisher 1935), so they hold
// their level at any count.
func RateTest(a, n, b, m int64) (upper, twoSided float64) {
	e := events{all: float64(n + m), events: float64(a + b), drawn: float64(m)}
	x := float64(b)
	var lower float64
	// Sum the tail that falls away from x; the other is what remains.
	if x > e.events*e.drawn/e.all {
		upper = e.tail(x, +1)
		lower = 1 - e.tail(x+1, +1)
	} else {
		lower = e.tail(x, -1)
		upper = 1 - e.tail(x-1, -1)
	}
	return clip(upper), clip(2 * min(upper, lower))
}

// events is the hypergeometric distribution of how many of the events are among
// the drawn.
type events struct{ all, events, drawn float64 }

// tail sums the probabilities of x and all beyond it, in the direction in which
// they fall.
func (e events) tail(x, direction float64) float64 {
	least, most := max(0, e.events+e.drawn-e.all), min(e.events, e.drawn)
	if x < least || x > most {
		return 0
	}
	term := math.Exp(logChoose(e.events, x) + logChoose(e.all-e.events, e.drawn-x) - logChoose(e.all, e.drawn))
	sum := 0.0
	for x >= least && x <= most && term > sum*1e-17 {
		sum += term
		if direction > 0 {
			term *= (e.events - x) * (e.drawn - x) / ((x + 1) * (e.all - e.events - e.drawn + x + 1))
		} else {
			term *= x * (e.all - e.events - e.drawn + x) / ((e.events - x + 1) * (e.drawn - x + 1))
		}
		x += direction
	}
	return sum
}

func logChoose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}
