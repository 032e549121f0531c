package statistics

import (
	"cmp"
	"math"
	"slices"
)

// ROCAUC returns the area under the receiver operating characteristic: the
// chance that a random positive item scores higher than a random negative one,
// with ties counted half (Mann and Whitney 1947). It is ErrUndefined unless
// there are both.
func ROCAUC(truth []bool, scores []float64) (float64, error) {
	each := make([]int, len(truth))
	once := make([]uint32, len(truth))
	for i := range each {
		each[i], once[i] = i, 1
	}
	area, err := AUC(truth, scores, each)
	if err != nil {
		return 0, err
	}
	a := area(once)
	if math.IsNaN(a) {
		return 0, ErrUndefined
	}
	return a, nil
}

// AUC returns the statistic of [ROCAUC] of clustered items. Counts up to 2^53
// pairs are exact.
func AUC(truth []bool, scores []float64, clusters []int) (Statistic, error) {
	if err := sameLength(len(truth), len(scores), "scores"); err != nil {
		return nil, err
	}
	if err := finite(scores, "score"); err != nil {
		return nil, err
	}
	if _, err := countClusters(len(truth), clusters); err != nil {
		return nil, err
	}
	ranking := rank(truth, scores, clusters)
	return func(weights []uint32) float64 {
		// With twice the area in pairs, all sums are whole.
		var area, positives, negatives, tiedPositives, tiedNegatives float64
		for _, item := range ranking {
			w := float64(weights[item.cluster])
			if item.positive {
				tiedPositives += w
			} else {
				tiedNegatives += w
			}
			if item.endsTie {
				area += float64(tiedPositives * (float64(2*negatives) + tiedNegatives))
				positives += tiedPositives
				negatives += tiedNegatives
				tiedPositives, tiedNegatives = 0, 0
			}
		}
		return quotient(area, float64(2*positives)*negatives)
	}, nil
}

// ranked is an item in the order of scores; endsTie says that the next scores
// higher.
type ranked struct {
	cluster           int
	positive, endsTie bool
}

func rank(truth []bool, scores []float64, clusters []int) []ranked {
	order := make([]int, len(truth))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[i], scores[j]) })
	items := make([]ranked, len(order))
	for at, i := range order {
		last := at == len(order)-1 || scores[order[at+1]] != scores[i]
		items[at] = ranked{cluster: clusters[i], positive: truth[i], endsTie: last}
	}
	return items
}

// F1 returns the statistic of the F1 of the positive class of clustered items,
// 2TP/(2TP+FP+FN).
func F1(truth, predicted []bool, clusters []int) (Statistic, error) {
	counts, err := countF1(truth, predicted, clusters)
	if err != nil {
		return nil, err
	}
	return Ratio(counts.numerators, counts.denominators), nil
}

// f1Counts are the sums of each cluster whose ratio is the F1, and the totals
// of items that it depends on: true negatives do not count.
type f1Counts struct {
	numerators, denominators []float64
	hits, relevant           int
	relevantClusters         int
}

func countF1(truth, predicted []bool, clusters []int) (f1Counts, error) {
	if err := sameLength(len(truth), len(predicted), "predictions"); err != nil {
		return f1Counts{}, err
	}
	k, err := countClusters(len(truth), clusters)
	if err != nil {
		return f1Counts{}, err
	}
	counts := f1Counts{numerators: make([]float64, k), denominators: make([]float64, k)}
	for i, c := range clusters {
		switch {
		case truth[i] && predicted[i]:
			counts.numerators[c] += 2
			counts.denominators[c] += 2
			counts.hits++
		case truth[i] || predicted[i]:
			counts.denominators[c]++
		default:
			continue
		}
		counts.relevant++
	}
	for _, d := range counts.denominators {
		if d > 0 {
			counts.relevantClusters++
		}
	}
	return counts, nil
}
