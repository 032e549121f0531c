package statistics_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"imprimatur.dev/statistics"
)

// trials of a simulation; with IMPRIMATUR_LONG=1 more, held to the same limits.
func trials(n int) int {
	if os.Getenv("IMPRIMATUR_LONG") == "1" {
		return 10 * n
	}
	return n
}

// Wilson's coverage swings around its level as n and p change, most near 0 and
// 1 (Brown, Cai and DasGupta 2001, figure 5); its mean over p is close.
func TestWilsonCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{20, 50, 300} {
		covered, total := 0, trials(20_000)
		for range total {
			p := random.Float64()
			if statistics.Wilson(binomial(random, n, p), n, 0.95).Contains(p) {
				covered++
			}
		}
		if share := float64(covered) / float64(total); share < 0.942 || share > 0.958 {
			t.Errorf("of %d items, 95 %% intervals cover in %.1f %%", n, 100*share)
		}
	}
}

// For true proportions near the edge, where a Wald interval covers in some 63 %.
func TestWilsonCoversAtTheEdge(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	covered, total := 0, trials(20_000)
	for range total {
		if statistics.Wilson(binomial(random, 50, 0.98), 50, 0.95).Contains(0.98) {
			covered++
		}
	}
	if share := float64(covered) / float64(total); share < 0.90 {
		t.Errorf("95 %% intervals cover 0.98 in %.1f %%", 100*share)
	}
}

func binomial(random *rand.Rand, n int, p float64) (s int) {
	for range n {
		if random.Float64() < p {
			s++
		}
	}
	return s
}

// clusteredOutcomes draws k clusters of m items: an item is like its cluster
// with probability alike, else on its own.
func clusteredOutcomes(random *rand.Rand, k, m int, p, alike float64) (outcomes []bool, clusters []int) {
	for c := range k {
		site := random.Float64() < p
		for range m {
			outcome := random.Float64() < p
			if random.Float64() < alike {
				outcome = site
			}
			outcomes, clusters = append(outcomes, outcome), append(clusters, c)
		}
	}
	return outcomes, clusters
}

// The limits are the nominal 95 % less what few clusters or a proportion near
// the edge cost, and three standard errors of the simulation. Wilson as if the
// items were independent covers in 66 to 82 % of all but the last.
func TestClusteredProportionCovers(t *testing.T) {
	for _, c := range []struct {
		k, m           int
		p, alike, want float64
	}{
		{5, 10, 0.9, 0.5, 0.92},
		{10, 10, 0.9, 0.5, 0.87},
		{10, 10, 0.5, 0.5, 0.92},
		{30, 10, 0.98, 0.5, 0.88},
		{50, 10, 0.9, 0.5, 0.91},
		{100, 10, 0.9, 0.5, 0.91},
		{200, 3, 0.7, 0.9, 0.92},
		{20, 20, 0.95, 0.1, 0.91},
	} {
		random := rand.New(rand.NewPCG(uint64(c.k), 7))
		covered, plain, total := 0, 0, trials(200)
		for trial := range total {
			outcomes, clusters := clusteredOutcomes(random, c.k, c.m, c.p, c.alike)
			var seed [32]byte
			binary.LittleEndian.PutUint64(seed[:], uint64(trial))
			i, err := statistics.ClusteredProportion(seed, outcomes, clusters, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			successes := 0
			for _, o := range outcomes {
				if o {
					successes++
				}
			}
			w := statistics.Wilson(successes, len(outcomes), 0.95)
			agree := successes == 0 || successes == len(outcomes)
			if !agree && (i.Lower > w.Lower || i.Upper < w.Upper) {
				t.Fatalf("%v is narrower than Wilson's %v", i, w)
			}
			if i.Contains(c.p) {
				covered++
			}
			if w.Contains(c.p) {
				plain++
			}
		}
		share := float64(covered) / float64(total)
		t.Logf("%d clusters of %d, p %v, alike %v: %.1f %%, Wilson over items %.1f %%", c.k, c.m, c.p, c.alike, 100*share, 100*float64(plain)/float64(total))
		if share < c.want {
			t.Errorf("%d clusters of %d, p %v, alike %v: 95 %% intervals cover in %.1f %%, want %v", c.k, c.m, c.p, c.alike, 100*share, c.want)
		}
	}
}

// Scores of positives and negatives are normal, a distance apart for which the
// area is 0.85; half of the variance is the cluster's.
func TestAUCIntervalCovers(t *testing.T) {
	const area, k, m = 0.85, 40, 5
	distance := math.Sqrt2 * statistics.NormalQuantile(area)
	random := rand.New(rand.NewPCG(5, 6))
	covered, total := 0, trials(150)
	for trial := range total {
		var truth []bool
		var scores []float64
		var clusters []int
		for c := range k {
			site := random.NormFloat64()
			for j := range m {
				score := math.Sqrt(0.5)*site + math.Sqrt(0.5)*random.NormFloat64()
				positive := (c+j)%2 == 0
				if positive {
					score += distance
				}
				truth, scores, clusters = append(truth, positive), append(scores, score), append(clusters, c)
			}
		}
		i, err := statistics.AUCInterval([32]byte{byte(trial)}, truth, scores, clusters, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if i.Contains(area) {
			covered++
		}
	}
	if share := float64(covered) / float64(total); share < 0.89 {
		t.Errorf("95 %% intervals cover the area in %.1f %%", 100*share)
	}
}

// The size of the non-inferiority test at its boundary: a candidate worse by
// exactly the margin must pass in 2.5 % of trials.
func TestNonInferiorityKeepsItsLevel(t *testing.T) {
	const n, margin, discordant = 400, 0.03, 0.12
	random := rand.New(rand.NewPCG(8, 9))
	passed, total := 0, trials(10_000)
	for range total {
		b, c := 0, 0
		for range n {
			switch u := random.Float64(); {
			case u < (discordant+margin)/2:
				b++
			case u < discordant:
				c++
			}
		}
		if statistics.NonInferiority(b, c, n, margin).P <= 0.025 {
			passed++
		}
	}
	if share := float64(passed) / float64(total); share < 0.019 || share > 0.031 {
		t.Errorf("a candidate worse by the margin passes in %.2f %%", 100*share)
	}
}
