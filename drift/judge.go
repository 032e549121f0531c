package drift

import (
	"fmt"
	"math"
	"slices"

	"imprimatur.dev/record"
)

// Outcome is what a check, a feature or a window came to. A feature or window
// breaches if any of its checks does; it is steady only if all are.
type Outcome string

// The outcomes.
const (
	Steady       Outcome = "steady"
	Breach       Outcome = "breach"
	Inconclusive Outcome = "inconclusive"
)

// Measure names what a check compares.
type Measure string

// The measures of a window. Each feature has the first two; a categorical one
// has Unseen and a numeric one Outside.
const (
	Distribution Measure = "psi"     // the PSI of the values that are not missing
	MissingRate  Measure = "missing" // the change of the rate of missing values, either way
	UnseenRate   Measure = "unseen"  // the rise of the rate of unlisted categories
	OutsideRate  Measure = "outside" // the rise of the rate of values out of range
)

// A Report is the judgement of one window.
type Report struct {
	Baseline record.Digest   `json:"baseline"`
	Settings Settings        `json:"settings"`
	Outcome  Outcome         `json:"outcome"`
	Features []FeatureReport `json:"features"`
}

// A FeatureReport is the judgement of one feature, in the order of the baseline.
// Rows counts all rows and Values those not missing. Distances are for people
// and decide nothing.
type FeatureReport struct {
	Name      string    `json:"name"`
	Source    Source    `json:"source"`
	Kind      Kind      `json:"kind"`
	Outcome   Outcome   `json:"outcome"`
	Rows      int64     `json:"rows"`
	Values    int64     `json:"values"`
	Checks    []Check   `json:"checks"`
	Distances Distances `json:"distances"`
}

// A Check is one comparison. Value is the statistic: a PSI over Groups groups,
// or the change of a rate. P is the probability of at least as much without
// drift and Adjusted the same after correction over the window's checks. It
// breaches if Adjusted <= alpha and Value (of the missing rate, its size) is
// above Limit. Floor, of a PSI, is the value at which P is the level that this
// check had to pass; it has none if its P is that of an exact test, of two
// groups. Of an inconclusive check P and Adjusted are 1.
type Check struct {
	Measure  Measure `json:"measure"`
	Outcome  Outcome `json:"outcome"`
	Value    float64 `json:"value"`
	P        float64 `json:"p"`
	Adjusted float64 `json:"adjusted"`
	Limit    float64 `json:"limit"`
	Groups   int     `json:"groups,omitzero"`
	Exact    bool    `json:"exact,omitzero"`
	Floor    float64 `json:"floor,omitzero"`
}

// Threshold is what a value must be above to breach: Limit, or Floor where that is
// more.
func (c Check) Threshold() float64 { return max(c.Limit, c.Floor) }

// Distances say how far a feature has moved, by measures that other tools show:
// the Jensen-Shannon distance in base e; for a numeric feature the bounds of the
// Kolmogorov-Smirnov statistic and the estimate of the Wasserstein distance in
// standard deviations. They are zero if the window has no value.
type Distances struct {
	JensenShannon float64 `json:"jensenShannon"`
	KSLeast       float64 `json:"ksLeast,omitzero"`
	KSGreatest    float64 `json:"ksGreatest,omitzero"`
	Wasserstein   float64 `json:"wasserstein,omitzero"`
}

// Judge compares a window with its baseline, as the package comment says. It
// fails on settings that Validate refuses and on a sketch of another baseline.
func Judge(f *Frame, window *Sketch, settings Settings) (Report, error) {
	if err := settings.Validate(); err != nil {
		return Report{}, err
	}
	if window.frame.digest != f.digest {
		return Report{}, fmt.Errorf("judging a window: %w: it counts against baseline %s, not %s", ErrSketch, window.frame.digest.Short(), f.digest.Short())
	}
	report := Report{Baseline: f.digest, Settings: settings, Features: make([]FeatureReport, len(f.columns))}
	var decided []*verdict
	for i, c := range f.columns {
		r := &report.Features[i]
		reference := f.reference[c.at : c.at+c.width]
		*r = f.compare(i, reference, window.counts[c.at:c.at+c.width], settings)
		compared := slotBelow // the first slot that the PSI looks at
		if c.slots != nil {
			compared = slotCategories
		}
		for k := range r.Checks {
			if r.Checks[k].Outcome != Inconclusive {
				n, m := total(reference[compared:]), total(window.counts[c.at+compared:c.at+c.width])
				decided = append(decided, &verdict{&r.Checks[k], n, m})
			}
		}
	}
	correct(decided, settings)
	for i := range report.Features {
		r := &report.Features[i]
		for _, c := range r.Checks {
			r.Outcome = worse(r.Outcome, c.Outcome)
		}
		report.Outcome = worse(report.Outcome, r.Outcome)
	}
	return report, nil
}

func worse(a, b Outcome) Outcome {
	for _, o := range []Outcome{Breach, Inconclusive} {
		if a == o || b == o {
			return o
		}
	}
	return Steady
}

func (f *Frame) compare(i int, reference, window []int64, s Settings) FeatureReport {
	feature := &f.baseline.Features[i]
	r := FeatureReport{Name: feature.Name, Source: feature.Source, Kind: feature.Kind, Rows: total(window), Values: total(window[1:])}
	known := total(reference[1:])
	rows := known + reference[slotMissing]
	_, p := RateTest(reference[slotMissing], rows, window[slotMissing], r.Rows)
	missing := rateCheck(MissingRate, reference[slotMissing], rows, window[slotMissing], r.Rows, p, s.MissingLimit, s)
	var rate, distribution Check
	if feature.Kind == Numeric {
		last := len(window) - 1
		outR, outW := reference[slotBelow]+reference[last], window[slotBelow]+window[last]
		// The range is the reference's own, so nothing of it lies outside. By
		// symmetry, though, k more values beyond both its ends than it has itself is
		// as likely as at most one of k+1 events falling to it: count one more.
		p, _ := RateTest(min(outR+1, known), known, outW, r.Values)
		rate = rateCheck(OutsideRate, outR, known, outW, r.Values, p, s.OutsideLimit, s)
		distribution = psiCheck(folded(reference), folded(window), s, poolBins)
		r.Distances = numericDistances(feature, reference, window)
	} else {
		// A category seen once is one that the rest of the reference has not seen:
		// their rate estimates that of unseen ones (Good 1953, Turing's estimate), and
		// one more allows for an estimate that is nothing by chance.
		once := feature.Unseen + 1
		for _, c := range feature.Categories {
			if c.Count == 1 {
				once++
			}
		}
		p, _ := RateTest(min(once, known), known, window[slotUnseen], r.Values)
		rate = rateCheck(UnseenRate, feature.Unseen, known, window[slotUnseen], r.Values, p, s.UnseenLimit, s)
		distribution = psiCheck(reference[slotCategories:], window[slotCategories:], s, poolCategories)
		if r.Values > 0 {
			r.Distances.JensenShannon = JensenShannon(reference[1:], window[1:], math.E)
		}
	}
	r.Checks = []Check{distribution, missing, rate}
	return r
}

func rateCheck(measure Measure, a, n, b, m int64, p, limit float64, s Settings) Check {
	if m < s.MinCount {
		return Check{Measure: measure, Outcome: Inconclusive, P: 1, Adjusted: 1, Limit: limit}
	}
	return Check{Measure: measure, Value: float64(b)/float64(m) - float64(a)/float64(n), P: p, Limit: limit}
}

// smoothing is added to each group's count, on both sides, so that no group is
// empty, and so that the PSI of two samples of one distribution passes its floor
// no more often than the floor says, also far out in the tail where a correction
// over many checks looks. It hides less of a true shift the more values a group
// has: each has at least minExpected.
const (
	smoothing   = 1
	minExpected = 10
)

// psiCheck compares bins or categories, pooled so that the floor holds. If only
// one group can be had, as where all but a few values are zero, it is the most
// frequent bin against the rest, by an exact test, which needs no least count. A
// reference of one bin has nothing to compare: what leaves it is outside or
// unseen, and has a check of its own.
func psiCheck(reference, window []int64, s Settings, pool func(reference, window []int64, most int) (r, w []int64)) Check {
	c := Check{Measure: Distribution, P: 1, Limit: s.PSILimit}
	n, m := total(reference), total(window)
	if n < s.MinCount || m < s.MinCount {
		c.Outcome, c.Adjusted = Inconclusive, 1
		return c
	}
	r, w := pool(reference, window, s.Bins)
	c.Groups = len(r)
	switch {
	case len(r) > 1:
		c.P = psiP(PSI(r, w, smoothing), len(r), n, m)
	case len(reference) > 1:
		r, w = mostAgainstRest(reference, window)
		c.Groups, c.Exact = 2, true
		_, c.P = RateTest(r[1], n, w[1], m)
	}
	c.Value = PSI(r, w, smoothing)
	return c
}

func numericDistances(feature *Feature, reference, window []int64) Distances {
	if total(window[1:]) == 0 {
		return Distances{}
	}
	d := Distances{JensenShannon: JensenShannon(reference[1:], window[1:], math.E)}
	d.KSLeast, d.KSGreatest = KolmogorovSmirnov(reference[1:], window[1:])
	d.Wasserstein = Wasserstein(feature.Edges, folded(reference), folded(window), feature.SD)
	if !finite(d.Wasserstein) { // edges as far apart as floats go; JSON has no infinity
		d.Wasserstein = math.MaxFloat64
	}
	return d
}

// folded returns the bins, with what is out of range in the outer ones.
func folded(slots []int64) []int64 {
	last := len(slots) - 1
	bins := slices.Clone(slots[slotBins:last])
	bins[0] += slots[slotBelow]
	bins[len(bins)-1] += slots[last]
	return bins
}
