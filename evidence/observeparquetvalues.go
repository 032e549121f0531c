package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// The encodings of Parquet (Encodings.md of its specification), each read from
// where it is, a block of values at a time: what a page declares takes no memory.

var errFewer = errors.New("a page has fewer values than it says")

// hybrid reads small numbers in runs of one value and in groups of packed ones.
type hybrid struct {
	data  []byte
	width uint
	// run is how many values of the present run are left: packed ones, of which
	// block has the bits from bit on, or the one value.
	run    int
	packed bool
	block  []byte
	bit    uint
	value  uint32
}

func (h *hybrid) next(to []uint32) error {
	for len(to) > 0 {
		if h.run == 0 {
			if err := h.begin(); err != nil {
				return err
			}
			continue
		}
		n := min(h.run, len(to))
		if h.packed {
			unpackBits(to[:n], h.block, h.bit, h.width)
			h.bit += uint(n) * h.width
		} else {
			for i := range to[:n] {
				to[i] = h.value
			}
		}
		h.run -= n
		to = to[n:]
	}
	return nil
}

// same passes over n values where all of them are known to be this one.
func (h *hybrid) same(n int, value uint32) bool {
	if h.run == 0 && h.begin() != nil || h.packed || h.run < n || h.value != value {
		return false
	}
	h.run -= n
	return true
}

// begin begins the next run.
func (h *hybrid) begin() error {
	head, n := binary.Uvarint(h.data)
	if n <= 0 {
		return errFewer
	}
	h.data = h.data[n:]
	count := head >> 1
	if h.packed = head&1 == 1; !h.packed {
		if h.run = int(min(count, 1<<31)); len(h.data) < int(h.width+7)/8 {
			return errFewer
		}
		h.value = 0
		for i := range (h.width + 7) / 8 {
			h.value |= uint32(h.data[i]) << (8 * i)
		}
		h.data = h.data[(h.width+7)/8:]
		return nil
	}
	// The last group is cut short by some writers.
	count = min(count, 1<<28)
	size := min(count*uint64(h.width), uint64(len(h.data)))
	if h.run = int(8 * count); h.width > 0 {
		h.run = min(h.run, int(8*size/uint64(h.width)))
	}
	h.block, h.bit, h.data = h.data[:size], 0, h.data[size:]
	return nil
}

// unpackBits reads numbers of up to 32 bits, the lowest bits first.
func unpackBits(to []uint32, data []byte, bit, width uint) {
	mask := uint64(1)<<width - 1
	i := 0
	for ; i < len(to) && int(bit/8)+8 <= len(data); i++ {
		to[i] = uint32(binary.LittleEndian.Uint64(data[bit/8:]) >> (bit % 8) & mask)
		bit += width
	}
	for ; i < len(to); i++ {
		to[i] = uint32(bitsAt(data, bit, width))
		bit += width
	}
}

// bitsAt reads a number of up to 64 bits; what lies behind the data is zero.
func bitsAt(data []byte, bit, width uint) uint64 {
	if from := int(bit / 8); width <= 56 && from+8 <= len(data) {
		return binary.LittleEndian.Uint64(data[from:]) >> (bit % 8) & (uint64(1)<<width - 1)
	}
	var word [16]byte
	if from := int(bit / 8); from < len(data) {
		copy(word[:], data[from:])
	}
	shift := bit % 8
	v := binary.LittleEndian.Uint64(word[:])>>shift | binary.LittleEndian.Uint64(word[8:])<<(64-shift)
	if width < 64 {
		v &= uint64(1)<<width - 1
	}
	return v
}

// deltas reads numbers that are written as differences, in blocks of small blocks
// with as many bits as each needs (DELTA_BINARY_PACKED).
type deltas struct {
	data []byte
	// minis small blocks of each values are in a block, whose widths are left.
	minis, each int
	widths      []byte
	left        uint64
	last, least int64
	// values of the small block at bit of its data, of a width.
	values int
	small  []byte
	bit    uint
	width  uint
	first  bool
}

func newDeltas(data []byte) (*deltas, error) {
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errFewer
		}
		head[i], data = v, data[n:]
	}
	last, n := binary.Varint(data)
	size, minis := head[0], head[1]
	if n <= 0 || size == 0 || size > 1<<20 || size%128 != 0 || minis == 0 || minis > size || size%minis != 0 || size/minis%32 != 0 {
		return nil, errors.New("its differences are not sound")
	}
	return &deltas{data: data[n:], minis: int(minis), each: int(size / minis), left: head[2], last: last, first: true}, nil
}

// mini begins a small block.
func (d *deltas) mini() error {
	if len(d.widths) == 0 {
		least, n := binary.Varint(d.data)
		if n <= 0 || len(d.data)-n < d.minis {
			return errFewer
		}
		d.least, d.widths, d.data = least, d.data[n:n+d.minis], d.data[n+d.minis:]
	}
	if d.width, d.widths = uint(d.widths[0]), d.widths[1:]; d.width > 64 {
		return errors.New("its differences are not sound")
	}
	size := min(d.each*int(d.width)/8, len(d.data)) // the last may be cut short
	d.small, d.data = d.data[:size], d.data[size:]
	d.values, d.bit = d.each, 0
	return nil
}

// next reads numbers, in two's complement.
func (d *deltas) next(to []uint64) error {
	for i := range to {
		if d.left == 0 {
			return errFewer
		}
		d.left--
		if d.first {
			d.first = false
			to[i] = uint64(d.last)
			continue
		}
		if d.values == 0 {
			if err := d.mini(); err != nil {
				return err
			}
		}
		d.last += d.least + int64(bitsAt(d.small, d.bit, d.width))
		d.bit += d.width
		d.values--
		to[i] = uint64(d.last)
	}
	return nil
}

// after returns what follows the numbers. It reads none of them, and is called
// first.
func (d deltas) after() ([]byte, error) {
	for left := int64(min(d.left, 1<<40)) - 1; left > 0; left -= int64(d.each) {
		if err := d.mini(); err != nil {
			return nil, err
		}
	}
	return d.data, nil
}

// words reads numbers of a kind as the format has them, each in the low bits.
type words func(to []uint64) error

// wordsOf returns the values of a page of numbers or truth values.
func wordsOf(data []byte, encoding format.Encoding, kind format.Type) (words, error) {
	size := map[format.Type]int{format.Int32: 4, format.Float: 4, format.Int64: 8, format.Double: 8, format.Boolean: 0}
	n, known := size[kind]
	if !known {
		return nil, fmt.Errorf("it has values of the type %s, which is none of numbers, text or truth values", kind)
	}
	switch {
	case encoding == format.Plain && n == 0:
		h := &hybrid{run: 8 * len(data), packed: true, block: data, width: 1}
		return h.words, nil
	case encoding == format.RLE && n == 0:
		these, _, err := prefixed(data)
		return (&hybrid{data: these, width: 1}).words, err
	case encoding == format.Plain && n == 4:
		return func(to []uint64) error {
			if len(data) < 4*len(to) {
				return errFewer
			}
			for i := range to {
				to[i] = uint64(binary.LittleEndian.Uint32(data[4*i:]))
			}
			data = data[4*len(to):]
			return nil
		}, nil
	case encoding == format.Plain && n == 8:
		return func(to []uint64) error {
			if len(data) < 8*len(to) {
				return errFewer
			}
			for i := range to {
				to[i] = binary.LittleEndian.Uint64(data[8*i:])
			}
			data = data[8*len(to):]
			return nil
		}, nil
	case encoding == format.DeltaBinaryPacked && (kind == format.Int32 || kind == format.Int64):
		d, err := newDeltas(data)
		if err != nil {
			return nil, err
		}
		return d.next, nil
	case encoding == format.ByteStreamSplit && n > 0:
		return split(data, n), nil
	}
	return nil, fmt.Errorf("its values of the type %s are encoded as %s, which is not read; write it with the plain encoding", kind, encoding)
}

// split reads numbers whose first bytes stand together, and then their second ones.
func split(data []byte, size int) words {
	n, at := len(data)/size, 0
	return func(to []uint64) error {
		if len(to) > n-at {
			return errFewer
		}
		for i := range to {
			v := uint64(0)
			for b := range size {
				v |= uint64(data[b*n+at+i]) << (8 * b)
			}
			to[i] = v
		}
		at += len(to)
		return nil
	}
}

func (h *hybrid) words(to []uint64) error {
	var block [256]uint32
	for len(to) > 0 {
		n := min(len(to), len(block))
		if err := h.next(block[:n]); err != nil {
			return err
		}
		for i, v := range block[:n] {
			to[i] = uint64(v)
		}
		to = to[n:]
	}
	return nil
}

// A textReader calls each with the next n texts, each of which is good until the next.
type textReader func(n int, each func(i int, text []byte) error) error

// textsOf returns the values of a page of text.
func textsOf(data []byte, encoding format.Encoding) (textReader, error) {
	switch encoding {
	case format.Plain:
		return func(n int, each func(int, []byte) error) error {
			for i := range n {
				text, rest, err := prefixed(data)
				if err != nil {
					return errFewer
				}
				data = rest
				if err := each(i, text); err != nil {
					return err
				}
			}
			return nil
		}, nil
	case format.DeltaLengthByteArray:
		return deltaTexts(nil, data)
	case format.DeltaByteArray:
		shared, err := newDeltas(data)
		if err != nil {
			return nil, err
		}
		rest, err := shared.after()
		if err != nil {
			return nil, err
		}
		return deltaTexts(shared, rest)
	}
	return nil, fmt.Errorf("its text is encoded as %s, which is not read; write it with the plain encoding", encoding)
}

// deltaTexts reads texts of which the lengths are written first, and before them
// perhaps how many bytes each shares with the one before.
func deltaTexts(shared *deltas, data []byte) (textReader, error) {
	lengths, err := newDeltas(data)
	if err != nil {
		return nil, err
	}
	if data, err = lengths.after(); err != nil {
		return nil, err
	}
	var text []byte
	left := maxParquetPage
	return func(n int, each func(int, []byte) error) error {
		for i := range n {
			var keeps, adds [1]uint64
			if err := lengths.next(adds[:]); err != nil {
				return err
			}
			if shared != nil {
				if err := shared.next(keeps[:]); err != nil {
					return err
				}
			}
			if keeps[0] > uint64(len(text)) || adds[0] > uint64(len(data)) {
				return errFewer
			}
			text, data = append(text[:keeps[0]], data[:adds[0]]...), data[adds[0]:]
			if left -= len(text); left < 0 {
				return fmt.Errorf("the text of a page has more than %d bytes; write smaller ones", maxParquetPage)
			}
			if err := each(i, text); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
