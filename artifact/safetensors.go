package artifact

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrSafetensors is wrapped by every error about the content of a safetensors file.
var ErrSafetensors = errors.New("not a valid safetensors file")

// maxSafetensorsHeader is the limit of the format's own reader, in bytes.
const maxSafetensorsHeader = 100_000_000

// dtypeBits is the size of one element of each dtype that the format names (huggingface/safetensors, tensor.rs, Dtype).
var dtypeBits = map[string]uint64{
	"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8,
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"I16": 16, "U16": 16, "F16": 16, "BF16": 16,
	"I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}

// Tensor is one tensor of a safetensors file. DType is the format's own word, such as "F32". Data is read and written by
// [WriteSafetensors] alone; [ReadSafetensors] leaves it nil and gives the place of the bytes: Begin and End count from
// the end of the header.
type Tensor struct {
	Name       string
	DType      string
	Shape      []uint64
	Begin, End uint64
	Data       []float64
}

// Safetensors is the header of a safetensors file, the tensors in the order of their bytes.
type Safetensors struct {
	Tensors  []Tensor
	Metadata map[string]string
	// HeaderSize is the length of the JSON header in bytes; the tensors' bytes begin at 8 + HeaderSize.
	HeaderSize uint64
}

type tensorInfo struct {
	DType       string   `json:"dtype"`
	Shape       []uint64 `json:"shape"`
	DataOffsets []uint64 `json:"data_offsets"`
}

// ReadSafetensors reads the header of a safetensors file of the given size and checks it as strictly as the format asks
// (huggingface/safetensors, README, "Format"): a header of at most 100 MB that begins with "{", no repeated name,
// __metadata__ of strings, every length what dtype and shape make it, and the bytes covered from the first to the last
// without hole or overlap, so that nothing can hide in the file. It reads no tensor.
func ReadSafetensors(r io.ReaderAt, size int64) (Safetensors, error) {
	var prefix [9]byte
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), prefix[:]); err != nil {
		return Safetensors{}, fmt.Errorf("%w: it is shorter than its header length (%w)", ErrSafetensors, err)
	}
	length := binary.LittleEndian.Uint64(prefix[:8])
	if length > maxSafetensorsHeader || length > uint64(size)-8 {
		return Safetensors{}, fmt.Errorf("%w: a header of %d bytes is beyond the limit of %d or the end of the file", ErrSafetensors, length, maxSafetensorsHeader)
	}
	if prefix[8] != '{' {
		return Safetensors{}, fmt.Errorf("%w: the header does not begin with {", ErrSafetensors)
	}
	s := Safetensors{HeaderSize: length}
	if err := s.readHeader(io.NewSectionReader(r, 8, int64(length))); err != nil {
		return Safetensors{}, fmt.Errorf("%w: %w", ErrSafetensors, err)
	}
	if err := s.checkLayout(uint64(size) - 8 - length); err != nil {
		return Safetensors{}, fmt.Errorf("%w: %w", ErrSafetensors, err)
	}
	return s, nil
}

// strict are the rules of the header beyond the decoder's own: no unknown member, and no null where a number or a
// string belongs, which other readers refuse.
var strict = json.JoinOptions(json.RejectUnknownMembers(true), json.WithUnmarshalers(json.JoinUnmarshalers(
	json.UnmarshalFromFunc(refuseNull[uint64]), json.UnmarshalFromFunc(refuseNull[string]))))

func refuseNull[T any](d *jsontext.Decoder, _ *T) error {
	if d.PeekKind() == 'n' {
		return errors.New("null")
	}
	return errors.ErrUnsupported // go on with the ordinary rules
}

// readHeader reads one member at a time, so that the header is never in memory as a whole. The decoder itself refuses
// repeated names and text that is not UTF-8.
func (s *Safetensors) readHeader(r io.Reader) error {
	d := jsontext.NewDecoder(r)
	if _, err := d.ReadToken(); err != nil { // the "{"
		return err
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if name == "__metadata__" {
			if d.PeekKind() != '{' {
				return errors.New("__metadata__ is not an object")
			}
			if err := json.UnmarshalDecode(d, &s.Metadata, strict); err != nil {
				return fmt.Errorf("__metadata__: %w", err)
			}
			continue
		}
		var info tensorInfo
		if err := json.UnmarshalDecode(d, &info, strict); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if info.Shape == nil || len(info.DataOffsets) != 2 {
			return fmt.Errorf("tensor %q: it lacks a shape or a pair of offsets", name)
		}
		s.Tensors = append(s.Tensors, Tensor{
			Name: name, DType: info.DType, Shape: info.Shape, Begin: info.DataOffsets[0], End: info.DataOffsets[1],
		})
	}
	if _, err := d.ReadToken(); err != nil { // the "}"
		return err
	}
	// The format allows white space after the object, to align the bytes that follow.
	if _, err := d.ReadToken(); err != io.EOF {
		return errors.New("there is more than one value in the header")
	}
	return nil
}

func (s *Safetensors) checkLayout(length uint64) error {
	slices.SortStableFunc(s.Tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End))
	})
	next := uint64(0)
	for _, t := range s.Tensors {
		want, err := byteLength(t.DType, t.Shape)
		switch {
		case err != nil:
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		case t.Begin != next:
			return fmt.Errorf("tensor %q begins at byte %d and not at %d: there is a hole or an overlap", t.Name, t.Begin, next)
		case t.End < t.Begin || t.End-t.Begin != want:
			return fmt.Errorf("tensor %q has bytes %d to %d, but its type and shape make %d bytes", t.Name, t.Begin, t.End, want)
		}
		next = t.End
	}
	if next != length {
		return fmt.Errorf("the tensors have %d bytes, but %d follow the header", next, length)
	}
	return nil
}

// byteLength is the product of the shape times the size of an element, or an error where that is more than 2^64 bits
// or no whole number of bytes.
func byteLength(dtype string, shape []uint64) (uint64, error) {
	product, known := dtypeBits[dtype]
	if !known {
		return 0, fmt.Errorf("unknown dtype %q", dtype)
	}
	for _, n := range shape {
		high, low := bits.Mul64(product, n)
		if high != 0 {
			return 0, errors.New("its shape is too large")
		}
		product = low
	}
	if product%8 != 0 {
		return 0, errors.New("its elements do not fill whole bytes")
	}
	return product / 8, nil
}

// WriteSafetensors writes tensors of dtype "F64" or "F32" (rounded to nearest) in canonical form: tensors by falling
// element size and then by name, as the format's own writer orders them, the header in that order with __metadata__
// first and its keys sorted, padded with spaces to a multiple of eight bytes. Equal input gives equal bytes.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	ordered := slices.Clone(tensors)
	slices.SortFunc(ordered, func(a, b Tensor) int {
		if a.DType != b.DType {
			return strings.Compare(b.DType, a.DType) // "F64" before "F32"
		}
		return strings.Compare(a.Name, b.Name)
	})
	header, err := safetensorsHeader(ordered, metadata)
	if err != nil {
		return fmt.Errorf("writing safetensors: %w", err)
	}
	chunk := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for _, t := range ordered {
		for _, v := range t.Data {
			if t.DType == "F64" {
				chunk = binary.LittleEndian.AppendUint64(chunk, math.Float64bits(v))
			} else {
				chunk = binary.LittleEndian.AppendUint32(chunk, math.Float32bits(float32(v)))
			}
			if len(chunk) >= 64<<10 {
				if _, err := w.Write(chunk); err != nil {
					return fmt.Errorf("writing safetensors: %w", err)
				}
				chunk = chunk[:0]
			}
		}
	}
	if _, err := w.Write(chunk); err != nil {
		return fmt.Errorf("writing safetensors: %w", err)
	}
	return nil
}

func safetensorsHeader(ordered []Tensor, metadata map[string]string) ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	if len(metadata) > 0 {
		data, err := json.Marshal(metadata, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `"__metadata__":%s`, data)
	}
	offset, named := uint64(0), map[string]bool{}
	for _, t := range ordered {
		length, err := byteLength(t.DType, t.Shape)
		switch {
		case t.DType != "F64" && t.DType != "F32":
			return nil, fmt.Errorf("tensor %q: only F64 and F32 are written, not %q", t.Name, t.DType)
		case err != nil:
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		case length/(dtypeBits[t.DType]/8) != uint64(len(t.Data)):
			return nil, fmt.Errorf("tensor %q: shape %v does not hold %d values", t.Name, t.Shape, len(t.Data))
		case t.Name == "__metadata__" || !utf8.ValidString(t.Name):
			return nil, fmt.Errorf("%q can not name a tensor", t.Name)
		case named[t.Name]:
			return nil, fmt.Errorf("tensor %q stands there twice", t.Name)
		}
		named[t.Name] = true
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		name, err := jsontext.AppendQuote(nil, t.Name)
		if err != nil {
			return nil, err
		}
		info, err := json.Marshal(tensorInfo{t.DType, t.Shape, []uint64{offset, offset + length}})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s:%s", name, info)
		offset += length
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return []byte(b.String()), nil
}
