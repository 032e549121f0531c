package statistics

import (
	"cmp"
	"slices"
)

// Holm returns the p-values adjusted for testing all of them, in input order:
// rejecting where the adjusted value is at most alpha keeps the chance of any
// false alarm at alpha, whatever the dependence. Holm (1979). A value that is
// no probability counts as 1.
func Holm(p []float64) []float64 {
	order, sorted := ascending(p)
	adjusted := make([]float64, len(p))
	running := 0.0
	for rank, i := range order {
		running = max(running, float64(len(p)-rank)*sorted[rank])
		adjusted[i] = min(running, 1)
	}
	return adjusted
}

// BenjaminiHochberg returns the p-values adjusted for testing all of them, in
// input order: rejecting where the adjusted value is at most q keeps the
// expected share of false alarms among the alarms at q, if the tests are
// independent or positively dependent. Benjamini and Hochberg (1995). For
// screening, not for gates. A value that is no probability counts as 1.
func BenjaminiHochberg(p []float64) []float64 {
	order, sorted := ascending(p)
	adjusted := make([]float64, len(p))
	running := 1.0
	for rank, i := range slices.Backward(order) {
		running = min(running, float64(len(p))/float64(rank+1)*sorted[rank])
		adjusted[i] = running
	}
	return adjusted
}

// ascending returns the indices of p in rising order, and the values so sorted.
func ascending(p []float64) (order []int, sorted []float64) {
	valid := make([]float64, len(p))
	order = make([]int, len(p))
	for i, v := range p {
		order[i], valid[i] = i, 1
		if v >= 0 && v <= 1 {
			valid[i] = v
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(valid[i], valid[j]) })
	for _, i := range order {
		sorted = append(sorted, valid[i])
	}
	return order, sorted
}
