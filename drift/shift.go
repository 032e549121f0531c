package drift

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// A Sample is a table of raw values; all its columns have equally many rows.
type Sample struct {
	Columns []Column
}

// A Column has Numbers, of which NaN is missing, or else Labels, of which the
// empty string is.
type Column struct {
	Name    string
	Source  Source
	Numbers []float64
	Labels  []string
}

func (c Column) rows() int { return max(len(c.Numbers), len(c.Labels)) }

// ErrSample marks samples and shifts that do not fit each other.
var ErrSample = errors.New("unusable sample")

// Rows returns the number of rows, or an error that matches ErrSample if the
// columns differ in it or have both numbers and labels.
func (s Sample) Rows() (int, error) {
	for i, c := range s.Columns {
		if c.Numbers != nil && c.Labels != nil {
			return 0, fmt.Errorf("%w: column %q has both numbers and labels", ErrSample, c.Name)
		}
		if i > 0 && c.rows() != s.Columns[0].rows() {
			return 0, fmt.Errorf("%w: column %q has %d rows, %q has %d", ErrSample, c.Name, c.rows(), s.Columns[0].Name, s.Columns[0].rows())
		}
	}
	if len(s.Columns) == 0 || s.Columns[0].rows() == 0 {
		return 0, fmt.Errorf("%w: it is empty", ErrSample)
	}
	return s.Columns[0].rows(), nil
}

// Capture makes the sample a baseline, each column as CaptureNumbers and
// CaptureCategories do.
func Capture(s Sample) (Baseline, error) {
	if _, err := s.Rows(); err != nil {
		return Baseline{}, err
	}
	features := make([]Feature, len(s.Columns))
	for i, c := range s.Columns {
		var err error
		if c.Labels != nil {
			features[i], err = CaptureCategories(c.Name, c.Source, c.Labels)
		} else {
			features[i], err = CaptureNumbers(c.Name, c.Source, c.Numbers)
		}
		if err != nil {
			return Baseline{}, fmt.Errorf("capturing the baseline: %w", err)
		}
	}
	return NewBaseline(features...)
}

// ShiftKind names a known shift.
type ShiftKind string

// The known shifts, of the values that are not missing unless it says otherwise.
const (
	ShiftMean    ShiftKind = "mean"    // adds Size standard deviations of the baseline
	ShiftScale   ShiftKind = "scale"   // multiplies the distance from the baseline's mean by Size
	ShiftBias    ShiftKind = "bias"    // adds Size in the feature's own unit, as a sensor that is off
	ShiftSwap    ShiftKind = "swap"    // exchanges From and To in Size, a part of 1, of the rows that have them
	ShiftMissing ShiftKind = "missing" // makes Size, a part of 1, of all rows missing
)

// A Shift is a change made on purpose to one feature, to see whether it is
// noticed. A swap of two equally frequent categories changes no distribution
// and is not noticed by any monitor of distributions.
type Shift struct {
	Kind    ShiftKind `json:"kind"`
	Feature string    `json:"feature"`
	Size    float64   `json:"size"`
	From    string    `json:"from,omitzero"`
	To      string    `json:"to,omitzero"`
}

// KnownShifts returns the shifts that a monitor is usually asked to see: of each
// numeric feature that varies a quarter and half a standard deviation; of each
// categorical one the exchange of its most and its least frequent category; and
// 5 % missing of each.
func KnownShifts(b Baseline) []Shift {
	var shifts []Shift
	for _, f := range b.Features {
		if f.Kind == Numeric && f.SD > 0 {
			shifts = append(shifts, Shift{Kind: ShiftMean, Feature: f.Name, Size: 0.25}, Shift{Kind: ShiftMean, Feature: f.Name, Size: 0.5})
		}
		if len(f.Categories) > 1 {
			byCount := func(a, b Category) int { return cmp.Compare(a.Count, b.Count) }
			from, to := slices.MaxFunc(f.Categories, byCount), slices.MinFunc(f.Categories, byCount)
			// A swap of equally frequent categories cannot be seen in the counts.
			if from.Count > to.Count {
				shifts = append(shifts, Shift{Kind: ShiftSwap, Feature: f.Name, Size: 1, From: from.Name, To: to.Name})
			}
		}
		shifts = append(shifts, Shift{Kind: ShiftMissing, Feature: f.Name, Size: 0.05})
	}
	return shifts
}

// Validate reports whether the shift can be applied to a feature of the
// baseline, as an error that matches ErrSample.
func (x Shift) Validate(b Baseline) error {
	i := slices.IndexFunc(b.Features, func(f Feature) bool { return f.Name == x.Feature })
	if i < 0 {
		return fmt.Errorf("%w: the baseline has no feature %q to shift", ErrSample, x.Feature)
	}
	kind, part := b.Features[i].Kind, false
	want := Numeric
	switch x.Kind {
	case ShiftMean, ShiftScale, ShiftBias:
	case ShiftSwap:
		want, part = Categorical, true
		if x.From == "" || x.To == "" || x.From == x.To {
			return fmt.Errorf("%w: a swap exchanges two categories, not %q and %q", ErrSample, x.From, x.To)
		}
	case ShiftMissing:
		want, part = kind, true
	default:
		return fmt.Errorf("%w: no shift is called %q", ErrSample, x.Kind)
	}
	if kind != want {
		return fmt.Errorf("%w: feature %q is %s; the shift %q is of %s ones", ErrSample, x.Feature, kind, x.Kind, want)
	}
	if !finite(x.Size) || part && !(x.Size > 0 && x.Size <= 1) {
		return fmt.Errorf("%w: the shift %q of feature %q has size %v", ErrSample, x.Kind, x.Feature, x.Size)
	}
	return nil
}

// Apply returns a shifted copy of a column of the feature. Which rows it hits
// depends on the seed and the number of rows only: row i is hit if the i-th
// number of ChaCha8 (math/rand/v2, C2SP chacha8rand), keyed with the SHA-256 of
// "imprimatur/drift", "shift" and the seed, each ended by a zero byte, is below
// Size as a Float64.
func (x Shift) Apply(f Feature, c Column, seed string) Column {
	c.Numbers, c.Labels = slices.Clone(c.Numbers), slices.Clone(c.Labels)
	rng := generator("shift", seed)
	for i := range c.rows() {
		hit := rng.Float64() < x.Size
		switch {
		case x.Kind == ShiftMean:
			c.Numbers[i] += float64(x.Size * f.SD)
		case x.Kind == ShiftBias:
			c.Numbers[i] += x.Size
		case x.Kind == ShiftScale:
			c.Numbers[i] = f.Mean + float64((c.Numbers[i]-f.Mean)*x.Size)
		case !hit:
		case x.Kind == ShiftMissing && c.Labels != nil:
			c.Labels[i] = ""
		case x.Kind == ShiftMissing:
			c.Numbers[i] = math.NaN()
		case c.Labels[i] == x.From:
			c.Labels[i] = x.To
		case c.Labels[i] == x.To:
			c.Labels[i] = x.From
		}
	}
	return c
}

// generator returns a source of random numbers for one purpose.
func generator(purpose ...string) *rand.Rand {
	key := sha256.Sum256([]byte("imprimatur/drift\x00" + strings.Join(purpose, "\x00") + "\x00"))
	return rand.New(rand.NewChaCha8(key))
}
