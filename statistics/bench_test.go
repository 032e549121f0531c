package statistics_test

import (
	"testing"

	"imprimatur.dev/statistics"
)

// Ten thousand draws of ten thousand clusters must fit into one evaluation of a
// gate.
func BenchmarkBootstrapRatio(b *testing.B) {
	const k = 10_000
	successes, sizes, thirds := make([]float64, k), make([]float64, k), make([]float64, k)
	for i := range k {
		successes[i], sizes[i], thirds[i] = float64(i%5), 5, float64(i)/3
	}
	b.Run("counts", func(b *testing.B) {
		for b.Loop() {
			if _, err := statistics.BootstrapRatio([32]byte{}, successes, sizes, statistics.Draws); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("values", func(b *testing.B) {
		for b.Loop() {
			if _, err := statistics.BootstrapRatio([32]byte{}, thirds, sizes, statistics.Draws); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAUCInterval(b *testing.B) {
	const n = 1_000
	truth, scores, clusters := make([]bool, n), make([]float64, n), make([]int, n)
	for i := range n {
		truth[i], scores[i], clusters[i] = i%3 == 0, float64(i*7919%n), i/2
	}
	for b.Loop() {
		if _, err := statistics.AUCInterval([32]byte{}, truth, scores, clusters, 0.95); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTango(b *testing.B) {
	for b.Loop() {
		statistics.Tango(40, 60, 5000, 0.95)
	}
}

func BenchmarkMiettinenNurminen(b *testing.B) {
	for b.Loop() {
		statistics.MiettinenNurminen(900, 1000, 870, 1000, 0.95)
	}
}

func BenchmarkClopperPearson(b *testing.B) {
	for b.Loop() {
		statistics.ClopperPearson(500_000, 1_000_000, 0.95)
	}
}
