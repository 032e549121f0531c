package evidence

import (
	"crypto/sha256"
	"iter"
	"math"

	"imprimatur.dev/record"
	"imprimatur.dev/statistics"
)

// maxBootstrap is how many clusters are drawn from. With more of them the
// standard error that is robust to clusters says the same at a fraction of the
// cost.
const maxBootstrap = 20_000

// The methods by which an interval is computed.
const (
	methodBootstrap = "cluster-bootstrap"
	methodRobust    = "cluster-robust"
)

const level = 0.95

// points are the values of one metric over one slice.
type points struct {
	values []float64
	// clusters are of each value, 0 for none; nil while no value has one.
	clusters []uint32
}

func (p *points) add(v float64, cluster uint32) {
	if cluster != 0 && p.clusters == nil {
		p.clusters = make([]uint32, len(p.values), cap(p.values))
	}
	p.values = append(p.values, v)
	if p.clusters != nil {
		p.clusters = append(p.clusters, cluster)
	}
}

// numbered numbers the clusters from 0 in the order of the items, and says how
// many there are. An item without a cluster is one of its own.
func numbered(clusters []uint32, items int) ([]int, int) {
	out := make([]int, items)
	seen := map[uint32]int{}
	n := 0
	for i := range out {
		if clusters != nil && clusters[i] != 0 {
			if k, ok := seen[clusters[i]]; ok {
				out[i] = k
				continue
			}
			seen[clusters[i]] = n
		}
		out[i] = n
		n++
	}
	return out, n
}

// summarise sets the metric's value, counts and computed uncertainty. The
// interval of a proportion of independent items follows from its counts and is
// left to whoever judges it.
func (p *points) summarise(m *record.Metric, proportion bool, seed string) {
	n := len(p.values)
	t := tallyOf(p.values)
	if t.value(m, proportion); proportion && p.clusters == nil {
		return
	}
	numbers, clusters := numbered(p.clusters, n)
	if p.clusters != nil {
		m.Clusters = clusters
	}
	spread, err := statistics.ClusteredMean(p.values, numbers)
	if err != nil {
		return
	}
	u := &record.Uncertainty{Method: methodRobust}
	if spread.StdErr > 0 {
		u.StdErr = &spread.StdErr
	}
	i, err := p.interval(u, numbers, clusters, proportion, spread, seed)
	if err != nil {
		return
	}
	u.Lower95, u.Upper95 = &i.Lower, &i.Upper
	m.Computed = u
}

func (p *points) interval(u *record.Uncertainty, numbers []int, clusters int, proportion bool, spread statistics.Spread, seed string) (statistics.Interval, error) {
	if clusters > maxBootstrap {
		i := statistics.MeanInterval(spread.Mean, spread.StdErr, level)
		if proportion {
			w := statistics.Wilson(int(math.Round(tallyOf(p.values).total())), len(p.values), level)
			i.Lower, i.Upper = min(i.Lower, w.Lower), max(i.Upper, w.Upper)
		}
		return i, nil
	}
	u.Method, u.Draws = methodBootstrap, statistics.Draws
	key := sha256.Sum256([]byte(seed))
	if proportion {
		outcomes := make([]bool, len(p.values))
		for i, v := range p.values {
			outcomes[i] = v == 1
		}
		return statistics.ClusteredProportion(key, outcomes, numbers, level)
	}
	sums, sizes := make([]float64, clusters), make([]float64, clusters)
	for i, v := range p.values {
		sums[numbers[i]] += v
		sizes[numbers[i]]++
	}
	draws, err := statistics.BootstrapRatio(key, sums, sizes, statistics.Draws)
	if err != nil {
		return statistics.Interval{}, err
	}
	return statistics.Percentile(draws, level)
}

// tally counts and sums values. It sums with compensation (Neumaier 1974), so
// that the order of the items does not show in the digits that are compared.
type tally struct {
	n        int
	sum, low float64
}

func tallyOf(values []float64) (t tally) {
	for _, v := range values {
		t.add(v)
	}
	return t
}

func (t *tally) add(v float64) {
	s := t.sum + v
	if math.Abs(t.sum) >= math.Abs(v) {
		t.low += (t.sum - s) + v
	} else {
		t.low += (v - s) + t.sum
	}
	t.n, t.sum = t.n+1, s
}

func (t tally) total() float64 { return t.sum + t.low }

// value sets the metric's value and counts.
func (t tally) value(m *record.Metric, proportion bool) {
	m.N, m.Value = t.n, t.total()/float64(t.n)
	if proportion {
		s := int(math.Round(t.total()))
		m.Successes, m.Value = &s, float64(s)/float64(t.n)
	}
}

// summarise does what [points.summarise] does for values without clusters, of
// which there are more than are drawn from, and which it reads again: the
// standard error that is robust to clusters is then that of a mean.
func (t tally) summarise(m *record.Metric, proportion bool, values iter.Seq2[float64, uint32]) {
	if t.value(m, proportion); proportion {
		return
	}
	var squares float64
	for v := range values {
		squares += float64((v - m.Value) * (v - m.Value))
	}
	stdErr := math.Sqrt(squares) / float64(t.n)
	i := statistics.MeanInterval(m.Value, stdErr, level)
	m.Computed = &record.Uncertainty{Method: methodRobust, Lower95: &i.Lower, Upper95: &i.Upper}
	if stdErr > 0 {
		m.Computed.StdErr = &stdErr
	}
}
