package statistics

import (
	"errors"
	"slices"
)

// The intervals of this file are those of the cluster bootstrap with [Draws]
// draws, guarded where it would flatter: a bootstrap of items that all agree
// has no width at all.

// percentileOr is Percentile for a share: where the draws collapsed it is the
// guard, and where the statistic was undefined, the whole range.
func percentileOr(guard Interval, draws []float64, level float64) (Interval, error) {
	i, err := Percentile(draws, level)
	switch {
	case errors.Is(err, ErrCollapsed):
		return guard, nil
	case errors.Is(err, ErrUndefined):
		return anyProportion, nil
	default:
		return i, err
	}
}

// ClusteredProportion returns the interval of the share of true outcomes of
// clustered items. It is never narrower than [Wilson] over the items; where all
// outcomes agree, or there is but one cluster, it is Wilson over the number of
// clusters. As the bootstrap alone is too narrow with few clusters, it is never
// narrower than Wilson over what the k clusters are worth either: n/DesignEffect
// items (see [ClusteredMean]), less by (k-1)/k, and with the critical value of
// Student's distribution at k-1 degrees of freedom: the adjustment of Korn and
// Graubard (1998) for survey samples.
func ClusteredProportion(seed [32]byte, outcomes []bool, clusters []int, level float64) (Interval, error) {
	k, err := countClusters(len(outcomes), clusters)
	if err != nil {
		return Interval{}, err
	}
	q, ok := critical(level)
	if !ok {
		return anyProportion, nil
	}
	values := make([]float64, len(outcomes))
	successes, sizes := make([]float64, k), make([]float64, k)
	total := 0
	for i, outcome := range outcomes {
		sizes[clusters[i]]++
		if outcome {
			values[i] = 1
			successes[clusters[i]]++
			total++
		}
	}
	n := float64(len(outcomes))
	p := float64(total) / n
	if total == 0 || total == len(outcomes) || k == 1 {
		return score(p, float64(k), q), nil
	}
	spread, err := ClusteredMean(values, clusters)
	if err != nil {
		return Interval{}, err
	}
	draws, err := BootstrapRatio(seed, successes, sizes, Draws)
	if err != nil {
		return Interval{}, err
	}
	clusterCount := float64(k)
	worth := n / max(1, spread.DesignEffect*clusterCount/(clusterCount-1))
	t := StudentQuantile((1+level)/2, clusterCount-1)
	few := score(p, worth, quantile{t, float64(t * t)})
	guard := few.hull(score(p, n, q))
	i, err := percentileOr(guard, draws, level)
	return i.hull(guard), err
}

// F1Interval returns the interval of the F1 of the positive class of clustered
// items. With J = TP/(TP+FP+FN), F1 = 2J/(1+J); so it is guarded by [Wilson] for
// J over the items that are, or were called, positive, and over their clusters
// where all or none of them are hits. Without any such item it is the whole
// range.
func F1Interval(seed [32]byte, truth, predicted []bool, clusters []int, level float64) (Interval, error) {
	counts, err := countF1(truth, predicted, clusters)
	if err != nil {
		return Interval{}, err
	}
	q, ok := critical(level)
	if !ok || counts.relevant == 0 {
		return anyProportion, nil
	}
	draws, err := BootstrapRatio(seed, counts.numerators, counts.denominators, Draws)
	if err != nil {
		return Interval{}, err
	}
	worth := counts.relevant
	if counts.hits == 0 || counts.hits == counts.relevant || counts.relevantClusters == 1 {
		worth = counts.relevantClusters
	}
	j := score(float64(counts.hits)/float64(counts.relevant), float64(worth), q)
	guard := Interval{2 * j.Lower / (1 + j.Lower), 2 * j.Upper / (1 + j.Upper)}
	i, err := percentileOr(guard, draws, level)
	return i.hull(guard), err
}

// AUCInterval returns the interval of the area under the receiver operating
// characteristic of clustered items, and the whole range without both positives
// and negatives. Where the draws collapse, as when the scores separate the
// classes perfectly, it is [Wilson] for the area over the clusters that hold
// positives or those that hold negatives, whichever are fewer: the variance of
// the area A is at most A(1-A)/min(positives, negatives) (Birnbaum and Klose
// 1957).
func AUCInterval(seed [32]byte, truth []bool, scores []float64, clusters []int, level float64) (Interval, error) {
	area, err := AUC(truth, scores, clusters)
	if err != nil {
		return Interval{}, err
	}
	q, ok := critical(level)
	observed, undefined := ROCAUC(truth, scores)
	if !ok || undefined != nil {
		return anyProportion, nil
	}
	with := map[bool]map[int]bool{true: {}, false: {}}
	for i, c := range clusters {
		with[truth[i]][c] = true
	}
	fewer := min(len(with[true]), len(with[false]))
	draws := Bootstrap(seed, slices.Max(clusters)+1, Draws, area)
	return percentileOr(score(observed, float64(fewer), q), draws, level)
}
