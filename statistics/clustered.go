package statistics

import (
	"errors"
)

// The intervals of this file are those of the cluster bootstrap with [Draws]
// draws, guarded where it would flatter: a bootstrap of items that all agree
// has no width at all.

// guarded widens the interval of the draws to hold the guard, and is the guard
// alone where the draws collapsed.
func guarded(draws []float64, level float64, guard Interval) (Interval, error) {
	i, err := Percentile(draws, level)
	switch {
	case errors.Is(err, ErrCollapsed):
		return guard, nil
	case errors.Is(err, ErrUndefined):
		return anyProportion, nil
	case err != nil:
		return Interval{}, err
	default:
		return i.hull(guard), nil
	}
}

// ClusteredProportion returns the interval of the share of true outcomes of
// clustered items. It is never narrower than [Wilson] over the items, nor than
// Wilson over the items' worth n/DesignEffect (see [ClusteredMean]); where all
// outcomes agree, or there is but one cluster, it is Wilson over the number of
// clusters.
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
	return guarded(draws, level, score(p, n/max(1, spread.DesignEffect), q).hull(score(p, n, q)))
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
	return guarded(draws, level, Interval{2 * j.Lower / (1 + j.Lower), 2 * j.Upper / (1 + j.Upper)})
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
	with := [2]map[int]bool{{}, {}}
	for i, c := range clusters {
		if truth[i] {
			with[1][c] = true
		} else {
			with[0][c] = true
		}
	}
	clustersLeft := float64(min(len(with[0]), len(with[1])))
	k, _ := countClusters(len(truth), clusters)
	draws := Bootstrap(seed, k, Draws, area)
	guard := score(observed, clustersLeft, q)
	if _, err := Percentile(draws, level); !errors.Is(err, ErrCollapsed) {
		guard = Interval{observed, observed}
	}
	return guarded(draws, level, guard)
}
