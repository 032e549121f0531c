package drift

import (
	"cmp"
	"slices"
)

// leastInGroup returns how many of the reference's values a group must have, so
// that it has minExpected and the window expects minExpected in it.
func leastInGroup(reference, window []int64) int64 {
	all, values := total(reference), max(total(window), 1)
	return max(minExpected, (minExpected*all+values-1)/values)
}

// poolBins joins neighbouring bins into at most the given number of groups,
// about equally full in the reference. It looks at the reference and at the size
// of the window, never at where the window's values lie.
func poolBins(reference, window []int64, groups int) (r, w []int64) {
	least := leastInGroup(reference, window)
	all := total(reference)
	n := min(int64(groups), max(1, all/least))
	var passed, inR, inW int64
	for i, count := range reference {
		passed += count
		inR += count
		inW += window[i]
		// Close the group where its end is nearest to the next n-th of the whole.
		next := int64(0)
		if i+1 < len(reference) {
			next = reference[i+1]
		}
		full := (2*passed+next)*n >= 2*all*int64(len(r)+1)
		if full && inR >= least || i+1 == len(reference) {
			r, w = append(r, inR), append(w, inW)
			inR, inW = 0, 0
		}
	}
	if k := len(r) - 1; k > 0 && r[k] < least {
		r[k-1] += r[k]
		w[k-1] += w[k]
		r, w = r[:k], w[:k]
	}
	return r, w
}

// poolCategories joins the least frequent categories of the reference, in order
// of frequency and then of name, until each group is frequent enough. It knows
// no greatest number of groups: what categories have in common it cannot know.
func poolCategories(reference, window []int64, _ int) (r, w []int64) {
	least := leastInGroup(reference, window)
	order := make([]int, len(reference))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(reference[a], reference[b]) })
	for _, i := range order {
		if k := len(r) - 1; k >= 0 && r[k] < least {
			r[k] += reference[i]
			w[k] += window[i]
			continue
		}
		r, w = append(r, reference[i]), append(w, window[i])
	}
	return r, w
}

// mostAgainstRest has the reference's most frequent bin and all the others.
func mostAgainstRest(reference, window []int64) (r, w []int64) {
	most := slices.Index(reference, slices.Max(reference))
	r = []int64{reference[most], total(reference) - reference[most]}
	w = []int64{window[most], total(window) - window[most]}
	return r, w
}
