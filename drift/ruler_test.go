package drift

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// slotByDefinition is the package comment's rule, edge by edge.
func slotByDefinition(edges []float64, v float64) int {
	last := len(edges) - 1
	switch {
	case math.IsNaN(v):
		return slotMissing
	case v < edges[0]:
		return slotBelow
	case v > edges[last]:
		return slotBins + last
	}
	for i := last - 1; i > 0; i-- {
		if v >= edges[i] {
			return slotBins + i
		}
	}
	return slotBins
}

func TestRulerIsExact(t *testing.T) {
	number := rapid.OneOf(
		rapid.Float64(),
		rapid.Float64Range(-3, 3),
		rapid.Map(rapid.IntRange(-9, 9), func(i int) float64 { return float64(i) }),
		rapid.SampledFrom([]float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), math.MaxFloat64, -math.MaxFloat64, 5e-324}),
	)
	rapid.Check(t, func(t *rapid.T) {
		reference := rapid.SliceOfN(number, 1, 200).Draw(t, "reference")
		edges := QuantileEdges(reference, rapid.IntRange(1, MaxBins).Draw(t, "bins"))
		if edges == nil {
			edges = LinearEdges(-1, 1, 7)
		}
		if err := validateEdges(edges); err != nil {
			t.Fatal(err)
		}
		values := rapid.SliceOf(number).Draw(t, "values")
		for _, e := range edges {
			values = append(values, e, math.Nextafter(e, math.Inf(1)), math.Nextafter(e, math.Inf(-1)))
		}
		want := make([]int64, slotBins+len(edges))
		for _, v := range values {
			want[slotByDefinition(edges, v)]++
		}
		r := newRuler(edges)
		steps := append(edges[:len(edges)-1:len(edges)-1], math.Nextafter(edges[len(edges)-1], math.Inf(1)))
		for _, g := range []grid{r.grid, linearGrid(edges[0], edges[len(edges)-1]), wideningGrid(edges[0], edges[len(edges)-1])} {
			r.lay(g, steps)
			got := make([]int64, len(want))
			r.count(got, values)
			for s := range want {
				if got[s] != want[s] {
					t.Fatalf("slot %d of edges %v counts %d by %+v, want %d", s, edges, got[s], g, want[s])
				}
			}
		}
	})
}

func normals(seed uint64, n int, mean, sd float64) []float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	values := make([]float64, n)
	for i := range values {
		values[i] = mean + sd*rng.NormFloat64()
	}
	return values
}

// BenchmarkCount counts a million decoded values; the figure to read is Mvalues/s
// on one core.
func BenchmarkCount(b *testing.B) {
	normal := normals(1, 1_000_000, 0, 1)
	lognormal := make([]float64, len(normal))
	pareto := make([]float64, len(normal))
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range normal {
		lognormal[i] = math.Exp(normal[i])
		pareto[i] = math.Pow(rng.Float64(), -3)
	}
	holes := append([]float64(nil), normal...)
	for i := range holes {
		if rng.Float64() < 0.05 {
			holes[i] = math.NaN()
		}
	}
	for _, c := range []struct {
		name          string
		values, edges []float64
	}{
		{"linear", normal, LinearEdges(-4, 4, 32)},
		{"quantile", normal, QuantileEdges(normal[:10_000], 32)},
		{"quantile-constant", make([]float64, 1_000_000), QuantileEdges(normal[:10_000], 32)},
		{"quantile-missing5", holes, QuantileEdges(normal[:10_000], 32)},
		{"quantile-lognormal", lognormal, QuantileEdges(lognormal[:10_000], 32)},
		{"quantile-heavytail", pareto, QuantileEdges(pareto[:10_000], 32)},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRuler(c.edges)
			counts := make([]int64, slotBins+len(c.edges))
			for b.Loop() {
				r.count(counts, c.values)
			}
			b.ReportMetric(float64(b.N)*float64(len(c.values))/1e6/b.Elapsed().Seconds(), "Mvalues/s")
		})
	}
}
