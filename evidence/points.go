package evidence

import (
	"math"

	"imprimatur.dev/record"
)

// points are the values of one metric over one slice.
type points struct {
	values   []float64
	clusters []uint32 // of each value, 0 for none; nil while no value has one
}

func (p *points) add(v float64, cluster uint32) {
	if cluster != 0 && p.clusters == nil {
		p.clusters = make([]uint32, len(p.values))
	}
	p.values = append(p.values, v)
	if p.clusters != nil {
		p.clusters = append(p.clusters, cluster)
	}
}

// summarise sets the metric's value, counts and computed uncertainty.
func (p *points) summarise(m *record.Metric, proportion bool, seed string) {
	var sum, low float64
	for _, v := range p.values {
		// Neumaier's compensated sum: the order of the items does not matter
		// to the digits that are compared.
		t := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			low += (sum - t) + v
		} else {
			low += (v - t) + sum
		}
		sum = t
	}
	n := len(p.values)
	m.N, m.Value = n, (sum+low)/float64(n)
	if proportion {
		s := int(math.Round(sum + low))
		m.Successes, m.Value = &s, float64(s)/float64(n)
	}
}
