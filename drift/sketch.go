package drift

import (
	"errors"
	"fmt"
	"slices"

	"imprimatur.dev/record"
)

// A Frame is a baseline made ready for counting. It does not change, so any
// number of goroutines may use it.
type Frame struct {
	baseline  Baseline
	digest    record.Digest
	columns   []column
	index     map[string]int
	reference []int64 // the baseline's own counts, slot by slot
}

// A column is where the slots of one feature lie among the counts.
type column struct {
	at, width int
	ruler     *ruler         // of a numeric feature
	slots     map[string]int // of a categorical feature, by category
}

// NewFrame checks the baseline and makes it ready. It takes about 7 kB a
// numeric feature. The baseline must not be changed afterwards.
func NewFrame(b Baseline) (*Frame, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	digest, err := b.Digest()
	if err != nil {
		return nil, err
	}
	f := &Frame{baseline: b, digest: digest, index: map[string]int{}}
	for i, feature := range b.Features {
		f.index[feature.Name] = i
		c := column{at: len(f.reference)}
		if feature.Kind == Numeric {
			c.ruler = newRuler(feature.Edges)
			f.reference = append(f.reference, feature.Missing, feature.Below)
			f.reference = append(append(f.reference, feature.Bins...), feature.Above)
		} else {
			c.slots = map[string]int{"": slotMissing}
			f.reference = append(f.reference, feature.Missing, feature.Unseen)
			for k, category := range feature.Categories {
				c.slots[category.Name] = slotCategories + k
				f.reference = append(f.reference, category.Count)
			}
		}
		c.width = len(f.reference) - c.at
		f.columns = append(f.columns, c)
	}
	return f, nil
}

// Baseline returns the baseline that the frame was made from.
func (f *Frame) Baseline() Baseline { return f.baseline }

// Digest returns the baseline's digest.
func (f *Frame) Digest() record.Digest { return f.digest }

// Index returns the place of a feature in the baseline, by which sketches know
// it, and whether there is such a feature.
func (f *Frame) Index(name string) (int, bool) {
	i, ok := f.index[name]
	return i, ok
}

// NewSketch returns an empty sketch.
func (f *Frame) NewSketch() *Sketch {
	return &Sketch{frame: f, counts: make([]int64, len(f.reference))}
}

// A Sketch counts the observations of one window in a frame. One goroutine may
// change it at a time: give each worker its own and merge them. Features are
// named by their Index; one that is not there, or a value of the other kind, is
// a mistake in the program and panics.
type Sketch struct {
	frame  *Frame
	counts []int64
}

// Add counts one value of a numeric feature; NaN is missing.
func (s *Sketch) Add(feature int, value float64) {
	c := s.frame.columns[feature]
	if value != value {
		s.counts[c.at+slotMissing]++
		return
	}
	s.counts[c.at+int(c.ruler.slot(value))]++
}

// AddBatch counts many values of a numeric feature, the faster the more they
// are: from some thousands on, about two nanoseconds each.
func (s *Sketch) AddBatch(feature int, values []float64) {
	c := s.frame.columns[feature]
	c.ruler.count(s.counts[c.at:c.at+c.width], values)
}

// AddCategory counts one value of a categorical feature; the empty string is
// missing, and a category that the baseline does not list is unseen.
func (s *Sketch) AddCategory(feature int, category string) {
	c := s.frame.columns[feature]
	if c.slots == nil {
		panic(fmt.Sprintf("drift: a category was counted for the numeric feature %q", s.frame.baseline.Features[feature].Name))
	}
	slot, ok := c.slots[category]
	if !ok {
		slot = slotUnseen
	}
	s.counts[c.at+slot]++
}

// AddCategories counts many values of a categorical feature.
func (s *Sketch) AddCategories(feature int, categories []string) {
	for _, category := range categories {
		s.AddCategory(feature, category)
	}
}

// Slot returns the number by which a sketch counts a value of a categorical
// feature, for [Sketch.AddSlots]: who sees the same text often looks it up once.
func (f *Frame) Slot(feature int, category []byte) uint16 {
	if slot, ok := f.columns[feature].slots[string(category)]; ok {
		return uint16(slot)
	}
	return slotUnseen
}

// AddSlots counts values of a categorical feature by their slots.
func (s *Sketch) AddSlots(feature int, slots []uint16) {
	c := s.frame.columns[feature]
	counts := s.counts[c.at : c.at+c.width]
	for _, slot := range slots {
		counts[slot]++
	}
}

// AddMissing counts n rows without a value of the feature.
func (s *Sketch) AddMissing(feature int, n int64) {
	s.counts[s.frame.columns[feature].at+slotMissing] += n
}

// ErrMerge marks sketches that cannot be added. Neither has changed.
var ErrMerge = errors.New("sketches do not merge")

// Merge adds what another sketch has counted. It fails with ErrMerge if that was
// counted against another baseline, or if a count would pass 2^43.
func (s *Sketch) Merge(other *Sketch) error {
	if s.frame != other.frame && s.frame.digest != other.frame.digest {
		return fmt.Errorf("%w: one counts against baseline %s, the other against %s", ErrMerge, s.frame.digest.Short(), other.frame.digest.Short())
	}
	to, from := s.counts, other.counts[:len(s.counts)]
	var all int64
	for i, n := range from {
		all |= to[i] + n
	}
	if all < 0 || all > maxSlot {
		return fmt.Errorf("%w: a count would pass 2^43", ErrMerge)
	}
	for i, n := range from {
		to[i] += n
	}
	return nil
}

// Clone returns a copy that is counted on separately.
func (s *Sketch) Clone() *Sketch {
	return &Sketch{frame: s.frame, counts: slices.Clone(s.counts)}
}

// Frame returns the frame that the sketch counts in.
func (s *Sketch) Frame() *Frame { return s.frame }

// A Tally is what a sketch has counted of one feature: of a numeric one Below,
// Bins and Above, of a categorical one Unseen and Categories, which are in the
// order of the baseline's.
type Tally struct {
	Name       string  `json:"name"`
	Missing    int64   `json:"missing"`
	Below      int64   `json:"below,omitzero"`
	Bins       []int64 `json:"bins,omitempty"`
	Above      int64   `json:"above,omitzero"`
	Unseen     int64   `json:"unseen,omitzero"`
	Categories []int64 `json:"categories,omitempty"`
}

// Tally returns what has been counted of a feature.
func (s *Sketch) Tally(feature int) Tally {
	c := s.frame.columns[feature]
	slots := s.counts[c.at : c.at+c.width]
	t := Tally{Name: s.frame.baseline.Features[feature].Name, Missing: slots[slotMissing]}
	if c.ruler != nil {
		last := c.width - 1
		t.Below, t.Bins, t.Above = slots[slotBelow], slices.Clone(slots[slotBins:last]), slots[last]
	} else {
		t.Unseen, t.Categories = slots[slotUnseen], slices.Clone(slots[slotCategories:])
	}
	return t
}
