package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds of a Parquet file, which declares lengths that a reader could believe.
const (
	maxParquetMeta  = 64 << 20  // bytes of the footer, or of the header of a page
	maxParquetParts = 1 << 18   // structures in the footer
	maxParquetPage  = 128 << 20 // bytes of a page, unpacked
	maxParquetAll   = 32 << 30  // bytes of all pages, unpacked
	maxParquetCells = 1 << 31   // rows times columns that are counted
)

var errParquet = errors.New("it declares more than it has")

// soundParquet walks over the footer of a file before its reader does: a list of
// which it declares the length is allocated before it is read.
func soundParquet(in io.ReaderAt, size int64) error {
	tail := make([]byte, 8)
	if size < 12 {
		return io.ErrUnexpectedEOF
	}
	if _, err := in.ReadAt(tail, size-8); err != nil && err != io.EOF {
		return fmt.Errorf("reading the footer: %w", err)
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if string(tail[4:]) != "PAR1" {
		return fmt.Errorf("it ends with %q, not PAR1", tail[4:])
	}
	if length > size-12 {
		return errParquet
	}
	if length > maxParquetMeta {
		return fmt.Errorf("its footer has %d bytes, more than %d; write larger row groups", length, maxParquetMeta)
	}
	raw := make([]byte, length)
	if _, err := in.ReadAt(raw, size-8-length); err != nil && err != io.EOF {
		return fmt.Errorf("reading the footer: %w", err)
	}
	w := thriftWalk{raw: raw, left: maxParquetParts}
	return w.structure(0)
}

// thriftWalk walks over a structure in Thrift's compact protocol, as its
// specification (doc/specs/thrift-compact-protocol.md) has it.
type thriftWalk struct {
	raw  []byte
	at   int
	left int // structures that it may have
}

// errShort says that a walk came to the end of what it has.
var errShort = fmt.Errorf("%w: a structure is cut off", errParquet)

func (w *thriftWalk) structure(depth int) error {
	if w.left--; w.left < 0 {
		return fmt.Errorf("its metadata has more than %d parts; write larger row groups, or fewer columns", maxParquetParts)
	}
	if depth > MaxDepth {
		return fmt.Errorf("its metadata is nested more than %d deep", MaxDepth)
	}
	for {
		b, err := w.byte()
		if err != nil || b == 0 {
			return err
		}
		if b>>4 == 0 { // the field's number follows
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if kind := b & 15; kind > 2 { // 1 and 2 are truth values, without more
			if err := w.value(kind, depth); err != nil {
				return err
			}
		}
	}
}

func (w *thriftWalk) value(kind byte, depth int) error {
	switch kind {
	case 1, 2, 3:
		return w.skip(1)
	case 4, 5, 6:
		_, err := w.varint()
		return err
	case 7:
		return w.skip(8)
	case 8:
		n, err := w.varint()
		return errors.Join(err, w.skip(n))
	case 9, 10:
		return w.list(depth)
	case 12:
		return w.structure(depth + 1)
	case 13:
		return w.skip(16)
	}
	return fmt.Errorf("its metadata has a value of the unknown kind %d", kind)
}

func (w *thriftWalk) list(depth int) error {
	b, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(b >> 4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > uint64(len(w.raw)-w.at) {
		return errShort
	}
	for range n {
		if err := w.value(b&15, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *thriftWalk) byte() (byte, error) {
	if w.at >= len(w.raw) {
		return 0, errShort
	}
	w.at++
	return w.raw[w.at-1], nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.raw[w.at:])
	if n <= 0 {
		return 0, errShort
	}
	w.at += n
	return v, nil
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.raw)-w.at) {
		return errShort
	}
	w.at += int(n)
	return nil
}
