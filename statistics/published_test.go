package statistics_test

import (
	"math"
	"testing"

	"imprimatur.dev/statistics"
)

func near(t *testing.T, what string, got statistics.Interval, lower, upper, tolerance float64) {
	t.Helper()
	if !(math.Abs(got.Lower-lower) <= tolerance && math.Abs(got.Upper-upper) <= tolerance) {
		t.Errorf("%s is %.5f to %.5f, published as %.4f to %.4f", what, got.Lower, got.Upper, lower, upper)
	}
}

// Newcombe, Two-sided confidence intervals for the single proportion,
// Statistics in Medicine 17 (1998) 857-872, table I, methods 3 and 5.
func TestSingleProportionAsPublished(t *testing.T) {
	for _, c := range []struct {
		s, n                       int
		wilsonLower, wilsonUpper   float64
		clopperLower, clopperUpper float64
	}{
		{81, 263, 0.2553, 0.3662, 0.2527, 0.3676},
		{15, 148, 0.0624, 0.1605, 0.0578, 0.1617},
		{0, 20, 0, 0.1611, 0, 0.1684},
		{1, 29, 0.0061, 0.1718, 0.0009, 0.1776},
	} {
		near(t, "Wilson", statistics.Wilson(c.s, c.n, 0.95), c.wilsonLower, c.wilsonUpper, 0.00005)
		near(t, "Clopper-Pearson", statistics.ClopperPearson(c.s, c.n, 0.95), c.clopperLower, c.clopperUpper, 0.00005)
	}
}

// Newcombe, Interval estimation for the difference between independent
// proportions, Statistics in Medicine 17 (1998) 873-890, table II, methods 10
// and 6.
func TestDifferencesAsPublished(t *testing.T) {
	for _, c := range []struct {
		s1, n1, s2, n2 int
		lower, upper   float64
	}{
		{56, 70, 48, 80, 0.0524, 0.3339},
		{9, 10, 3, 10, 0.1705, 0.8090},
		{6, 7, 2, 7, 0.0582, 0.8062},
		{5, 56, 0, 29, -0.0381, 0.1926},
		{0, 10, 0, 20, -0.1611, 0.2775},
		{0, 10, 0, 10, -0.2775, 0.2775},
		{10, 10, 0, 20, 0.6791, 1},
		{10, 10, 0, 10, 0.6075, 1},
	} {
		near(t, "Newcombe", statistics.Newcombe(c.s1, c.n1, c.s2, c.n2, 0.95), c.lower, c.upper, 0.00005)
	}
	near(t, "Miettinen-Nurminen", statistics.MiettinenNurminen(56, 70, 48, 80, 0.95), 0.0528, 0.3382, 0.00005)
}

// The first: Fagerland, Lydersen and Laake, Recommended tests and confidence
// intervals for paired binomial proportions, Statistics in Medicine 33 (2014),
// the airway data of Bentur and others (2009). The second: R's PropCIs 0.3,
// scoreci.mp(25, 28, 618) at 90 %.
func TestTangoAsPublished(t *testing.T) {
	near(t, "Tango", statistics.Tango(7, 1, 21, 0.95), -0.517, -0.026, 0.0005)
	near(t, "Tango", statistics.Tango(25, 28, 618, 0.9), -0.0148, 0.0247, 0.00005)
}

// Verdicts on record stand on these bits: those of the interval that releases
// were judged by before it moved here, fixed at 95 %.
func TestBitsAreThoseOnRecord(t *testing.T) {
	bits := func(i statistics.Interval) [2]uint64 {
		return [2]uint64{math.Float64bits(i.Lower), math.Float64bits(i.Upper)}
	}
	for _, c := range []struct {
		s, n int
		want [2]uint64
	}{
		{0, 1, [2]uint64{0x0, 0x3fe963f2b137a224}},
		{1, 1, [2]uint64{0x3fca70353b217770, 0x3ff0000000000000}},
		{0, 50, [2]uint64{0x0, 0x3fb243d614ed075e}},
		{13, 50, [2]uint64{0x3fc450c8399ca2fa, 0x3fd95063a843e29b}},
		{49, 50, [2]uint64{0x3feca4369848285e, 0x3fefe301a2a5a38e}},
		{81, 263, [2]uint64{0x3fd056a5a8faf8c5, 0x3fd76ffa4b27e135}},
		{15, 148, [2]uint64{0x3faff11c33663f5c, 0x3fc48ad88f503cc6}},
		{1, 29, [2]uint64{0x3f790a2b775fa9f0, 0x3fc5fc1333d12b34}},
		{997, 1000, [2]uint64{0x3fefb80caf3c281b, 0x3feff7a342d3a7bd}},
		{123456, 1000000, [2]uint64{0x3fbf70a72322d31c, 0x3fbfc5295af5bd24}},
	} {
		if got := bits(statistics.Wilson(c.s, c.n, 0.95)); got != c.want {
			t.Errorf("Wilson of %d/%d has the bits %x, on record %x", c.s, c.n, got, c.want)
		}
	}
	for _, c := range []struct {
		s1, n1, s2, n2 int
		want           [2]uint64
	}{
		{56, 70, 48, 80, [2]uint64{0x3faad84c467fa238, 0x3fd55e2b688780c2}},
		{9, 10, 3, 10, [2]uint64{0x3fc5d3b0494302f0, 0x3fe9e379a946c174}},
		{5, 56, 0, 29, [2]uint64{0xbfa386b656044dc6, 0x3fc8a5ce79033392}},
		{10, 10, 0, 20, [2]uint64{0x3fe5bb12a4163b84, 0x3ff0000000000000}},
		{997, 1000, 123456, 1000000, [2]uint64{0x3febc4673554ce5d, 0x3fec051f027674dd}},
	} {
		if got := bits(statistics.Newcombe(c.s1, c.n1, c.s2, c.n2, 0.95)); got != c.want {
			t.Errorf("Newcombe of %d/%d and %d/%d has the bits %x, on record %x", c.s1, c.n1, c.s2, c.n2, got, c.want)
		}
	}
}

// The figures of the exact rule of three.
func TestItemsForNoFailureAsPublished(t *testing.T) {
	for limit, want := range map[float64]int{0.05: 59, 0.02: 149, 0.01: 299, 0.005: 598, 0.001: 2995} {
		if n, ok := statistics.ItemsForNoFailure(limit, 0.95); !ok || n != want {
			t.Errorf("a limit of %v needs %d items (%v), want %d", limit, n, ok, want)
		}
	}
}
