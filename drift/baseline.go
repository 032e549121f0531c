package drift

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// Limits of a baseline.
const (
	MaxBins       = 254  // bins of a numeric feature
	MaxCategories = 1000 // categories listed; the rarer ones count as unseen
	MaxFeatures   = 10_000
	maxCount      = 1 << 53 // of all values; RFC 8785 numbers are exact below
	maxSlot       = 1 << 43 // of one count of a sketch, so that all of a feature stay below maxCount
)

// Kind is how the values of a feature are compared.
type Kind string

// The kinds of feature.
const (
	Numeric     Kind = "numeric"
	Categorical Kind = "categorical"
)

// Source is the side of the model on which a feature is observed.
type Source string

// The sources of a feature.
const (
	Input      Source = "input"
	Prediction Source = "prediction"
)

// A Baseline is the reference that observations are compared with. Its features
// are in the order of their names, which differ.
type Baseline struct {
	Features []Feature `json:"features"`
}

// A Feature is one column of the reference, counted.
//
// A numeric feature has Edges, in value's units, one more than Bins; they rise
// strictly, but that the last may equal the one before, which makes the last
// bin a single value. Mean and SD (population standard deviation) are over its
// finite values. A categorical feature has Categories in the order of their
// names.
type Feature struct {
	Name       string     `json:"name"`
	Source     Source     `json:"source"`
	Kind       Kind       `json:"kind"`
	Missing    int64      `json:"missing"`
	Mean       float64    `json:"mean,omitzero"`
	SD         float64    `json:"sd,omitzero"`
	Edges      []float64  `json:"edges,omitempty"`
	Bins       []int64    `json:"bins,omitempty"`
	Below      int64      `json:"below,omitzero"`
	Above      int64      `json:"above,omitzero"`
	Categories []Category `json:"categories,omitempty"`
	Unseen     int64      `json:"unseen,omitzero"`
}

// A Category is one value of a categorical feature and how often the reference
// has it.
type Category struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// ErrBaseline marks a baseline that cannot be used, whatever is compared with it.
var ErrBaseline = errors.New("unusable baseline")

// NewBaseline puts captured features in order and checks them.
func NewBaseline(features ...Feature) (Baseline, error) {
	b := Baseline{Features: slices.Clone(features)}
	slices.SortStableFunc(b.Features, func(x, y Feature) int { return cmp.Compare(x.Name, y.Name) })
	return b, b.Validate()
}

// ParseBaseline reads the JSON form of a baseline. Unknown members, features
// out of order and counts that do not fit together are errors that match
// ErrBaseline.
func ParseBaseline(raw []byte) (Baseline, error) {
	var b Baseline
	if err := json.Unmarshal(raw, &b, json.RejectUnknownMembers(true)); err != nil {
		return Baseline{}, fmt.Errorf("%w: reading its JSON: %w", ErrBaseline, err)
	}
	if err := b.Validate(); err != nil {
		return Baseline{}, err
	}
	return b, nil
}

// Canonical returns the RFC 8785 form, which is what the digest is of.
func (b Baseline) Canonical() ([]byte, error) { return record.CanonicalOf(b) }

// Digest returns the SHA-256 of the canonical form.
func (b Baseline) Digest() (record.Digest, error) {
	raw, err := b.Canonical()
	if err != nil {
		return "", fmt.Errorf("digesting the baseline: %w", err)
	}
	return record.DigestOf(raw), nil
}

// Validate reports the first thing that is wrong, as an error that matches
// ErrBaseline.
func (b Baseline) Validate() error {
	if n := len(b.Features); n == 0 || n > MaxFeatures {
		return fmt.Errorf("%w: it has %d features, and must have 1 to %d", ErrBaseline, n, MaxFeatures)
	}
	for i, f := range b.Features {
		if i > 0 && f.Name <= b.Features[i-1].Name {
			return fmt.Errorf("%w: feature %q follows %q; names must differ and be in order", ErrBaseline, f.Name, b.Features[i-1].Name)
		}
		if err := f.validate(); err != nil {
			return fmt.Errorf("%w: feature %q %w", ErrBaseline, f.Name, err)
		}
	}
	return nil
}

func (f Feature) validate() error {
	if f.Name == "" || len(f.Name) > record.MaxNames {
		return fmt.Errorf("has a name of %d bytes, not 1 to %d", len(f.Name), record.MaxNames)
	}
	if f.Source != Input && f.Source != Prediction {
		return fmt.Errorf("has source %q, neither %q nor %q", f.Source, Input, Prediction)
	}
	switch f.Kind {
	case Numeric:
		if f.Categories != nil || f.Unseen != 0 {
			return errors.New("is numeric and has categories")
		}
		if err := validateEdges(f.Edges); err != nil {
			return err
		}
		if len(f.Bins) != len(f.Edges)-1 {
			return fmt.Errorf("has %d bins for %d edges; it must have one fewer", len(f.Bins), len(f.Edges))
		}
		if !finite(f.Mean) || !finite(f.SD) || f.SD < 0 {
			return fmt.Errorf("has mean %v and standard deviation %v", f.Mean, f.SD)
		}
	case Categorical:
		if f.Edges != nil || f.Bins != nil || f.Below != 0 || f.Above != 0 || f.Mean != 0 || f.SD != 0 {
			return errors.New("is categorical and has the members of a numeric one")
		}
		if err := validateCategories(f.Categories); err != nil {
			return err
		}
	default:
		return fmt.Errorf("has kind %q, neither %q nor %q", f.Kind, Numeric, Categorical)
	}
	return f.validateCounts()
}

func (f Feature) validateCounts() error {
	counts := append([]int64{f.Missing, f.Below, f.Above, f.Unseen}, f.Bins...)
	for _, c := range f.Categories {
		counts = append(counts, c.Count)
	}
	var total int64
	for _, n := range counts {
		if n < 0 || n > maxCount-total {
			return fmt.Errorf("has a count of %d; counts are not negative and together at most 2^53", n)
		}
		total += n
	}
	if total == f.Missing {
		return errors.New("has no value that is not missing")
	}
	return nil
}

func validateEdges(edges []float64) error {
	if n := len(edges) - 1; n < 1 || n > MaxBins {
		return fmt.Errorf("has %d bins, and must have 1 to %d", max(n, 0), MaxBins)
	}
	last := len(edges) - 1
	for i, e := range edges {
		if !finite(e) {
			return fmt.Errorf("has an edge that is %v", e)
		}
		if i > 0 && e <= edges[i-1] && !(i == last && e == edges[i-1]) {
			return fmt.Errorf("has the edge %v after %v; edges must rise", e, edges[i-1])
		}
	}
	return nil
}

func validateCategories(categories []Category) error {
	if n := len(categories); n == 0 || n > MaxCategories {
		return fmt.Errorf("has %d categories, and must have 1 to %d", n, MaxCategories)
	}
	for i, c := range categories {
		if c.Name == "" {
			return errors.New("has a category without a name; a value without a name is missing")
		}
		if i > 0 && c.Name <= categories[i-1].Name {
			return fmt.Errorf("has category %q after %q; categories must differ and be in order", c.Name, categories[i-1].Name)
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
