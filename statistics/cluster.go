package statistics

import (
	"errors"
	"fmt"
	"math"
)

// ErrOneCluster says that all items are of one cluster, which tells nothing of
// how clusters differ.
var ErrOneCluster = errors.New("all items are of one cluster: how clusters differ cannot be seen from one")

// Clusters numbers the clusters of items from 0, in the order in which their
// names first occur: the numbering of the bootstrap, so that the same items in
// the same order give the same interval.
func Clusters[K comparable](names []K) []int {
	numbers := make([]int, len(names))
	known := map[K]int{}
	for i, name := range names {
		number, seen := known[name]
		if !seen {
			number = len(known)
			known[name] = number
		}
		numbers[i] = number
	}
	return numbers
}

// countClusters checks that the clusters of n items are numbered without gaps.
func countClusters(n int, clusters []int) (int, error) {
	if err := sameLength(n, len(clusters), "clusters"); err != nil {
		return 0, err
	}
	used := make([]bool, n)
	count := 0
	for i, c := range clusters {
		if c < 0 || c >= n {
			return 0, fmt.Errorf("item %d is of cluster %d, which is not from 0 to %d", i+1, c, n-1)
		}
		used[c] = true
		count = max(count, c+1)
	}
	for c, u := range used[:count] {
		if !u {
			return 0, fmt.Errorf("cluster %d of %d has no items", c, count)
		}
	}
	return count, nil
}

// Spread is a mean and how far it may be off by chance.
type Spread struct {
	Mean, StdErr    float64
	Items, Clusters int
	// DesignEffect is the variance of the mean relative to that of as many
	// independent items: with it, n items are worth n/DesignEffect. It is 1 where
	// all values agree and nothing can be seen.
	DesignEffect float64
}

// ClusteredMean returns the mean of the values with its standard error robust to
// clusters: items of one site, user, document or prompt are not independent. It
// is Miller (2024), "Adding Error Bars to Evals", arXiv 2411.00640, section 2.2,
// the sum over pairs within a cluster of (x-mean)(y-mean), its root divided by
// the number of items; the estimator of Liang and Zeger (1986) without
// correction for few clusters, so that below some 30 clusters it is too small.
// clusters is as from [Clusters]; nil says that each item is its own.
func ClusteredMean(values []float64, clusters []int) (Spread, error) {
	k := len(values)
	if clusters != nil {
		var err error
		if k, err = countClusters(len(values), clusters); err != nil {
			return Spread{}, err
		}
	}
	if len(values) == 0 {
		return Spread{}, ErrNoItems
	}
	if err := finite(values, "value"); err != nil {
		return Spread{}, err
	}
	if k == 1 {
		return Spread{}, ErrOneCluster
	}
	n := float64(len(values))
	var sum, naive, clustered float64
	for _, v := range values {
		sum += v
	}
	mean := sum / n
	residuals := make([]float64, k)
	for i, v := range values {
		c := i
		if clusters != nil {
			c = clusters[i]
		}
		residuals[c] += v - mean
		naive += float64((v - mean) * (v - mean))
	}
	for _, r := range residuals {
		clustered += float64(r * r)
	}
	s := Spread{Mean: mean, StdErr: math.Sqrt(clustered) / n, Items: len(values), Clusters: k, DesignEffect: 1}
	if naive > 0 {
		s.DesignEffect = clustered / naive
	}
	return s, nil
}
