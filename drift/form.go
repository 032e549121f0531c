package drift

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"imprimatur.dev/record"
)

// ErrSketch marks bytes that are not a sketch in the frame they are read into.
var ErrSketch = errors.New("not a sketch of this baseline")

type sketchJSON struct {
	Baseline record.Digest `json:"baseline"`
	Features []Tally       `json:"features"`
}

// Canonical returns the RFC 8785 JSON form: the baseline's digest and a Tally
// for each of its features, in its order.
func (s *Sketch) Canonical() ([]byte, error) {
	form := sketchJSON{Baseline: s.frame.digest}
	for i := range s.frame.columns {
		form.Features = append(form.Features, s.Tally(i))
	}
	return record.CanonicalOf(form)
}

// ParseSketch reads the JSON form. Errors match ErrSketch.
func (f *Frame) ParseSketch(raw []byte) (*Sketch, error) {
	var form sketchJSON
	if err := json.Unmarshal(raw, &form, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%w: reading its JSON: %w", ErrSketch, err)
	}
	if form.Baseline != f.digest {
		return nil, fmt.Errorf("%w: it counts against baseline %q, not %s", ErrSketch, form.Baseline, f.digest.Short())
	}
	if len(form.Features) != len(f.columns) {
		return nil, fmt.Errorf("%w: it has %d features, the baseline %d", ErrSketch, len(form.Features), len(f.columns))
	}
	s := f.NewSketch()
	for i, t := range form.Features {
		if err := s.fill(i, t); err != nil {
			return nil, fmt.Errorf("%w: feature %q %w", ErrSketch, t.Name, err)
		}
	}
	return s, nil
}

func (s *Sketch) fill(i int, t Tally) error {
	feature, c := s.frame.baseline.Features[i], s.frame.columns[i]
	if t.Name != feature.Name {
		return fmt.Errorf("stands where %q should", feature.Name)
	}
	counts := []int64{t.Missing}
	if feature.Kind == Numeric {
		counts = append(append(append(counts, t.Below), t.Bins...), t.Above)
		if t.Unseen != 0 || t.Categories != nil || len(t.Bins) != len(feature.Bins) {
			return fmt.Errorf("must have %d bins and nothing categorical", len(feature.Bins))
		}
	} else {
		counts = append(append(counts, t.Unseen), t.Categories...)
		if t.Below != 0 || t.Above != 0 || t.Bins != nil || len(t.Categories) != len(feature.Categories) {
			return fmt.Errorf("must have %d categories and nothing numeric", len(feature.Categories))
		}
	}
	for _, n := range counts {
		if n < 0 || n > maxSlot {
			return fmt.Errorf("has a count of %d, not 0 to 2^43", n)
		}
	}
	copy(s.counts[c.at:], counts)
	return nil
}

// The compact form is these four bytes, the 32 bytes of the baseline's digest,
// and every slot in order as an unsigned varint of encoding/binary: for each
// feature missing, then below, bins and above, or unseen and categories.
const magic = "IDS1"

// AppendBinary appends the compact form.
func (s *Sketch) AppendBinary(to []byte) ([]byte, error) {
	digest, err := hex.DecodeString(s.frame.digest.Hex())
	if err != nil {
		return nil, fmt.Errorf("writing a sketch: %w", err)
	}
	to = append(append(to, magic...), digest...)
	for _, n := range s.counts {
		to = binary.AppendUvarint(to, uint64(n))
	}
	return to, nil
}

// MarshalBinary returns the compact form.
func (s *Sketch) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// DecodeSketch reads the compact form. The bytes must be just those that
// AppendBinary would give. Errors match ErrSketch.
func (f *Frame) DecodeSketch(raw []byte) (*Sketch, error) {
	rest, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok || len(rest) < 32 {
		return nil, fmt.Errorf("%w: it does not begin with %s and a digest", ErrSketch, magic)
	}
	if got := hex.EncodeToString(rest[:32]); got != f.digest.Hex() {
		return nil, fmt.Errorf("%w: it counts against baseline %s, not %s", ErrSketch, got[:12], f.digest.Short())
	}
	rest = rest[32:]
	s := f.NewSketch()
	for i := range s.counts {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > maxSlot || size > 1 && rest[size-1] == 0 {
			return nil, fmt.Errorf("%w: count %d of %d is cut off, above 2^43 or written too long", ErrSketch, i+1, len(s.counts))
		}
		s.counts[i] = int64(n)
		rest = rest[size:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow the last count", ErrSketch, len(rest))
	}
	return s, nil
}
