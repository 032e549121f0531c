package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Bounds of an Arrow stream, which declares lengths that its reader believes.
const (
	maxArrowMeta = 16 << 20 // bytes of a message's metadata
	maxArrowWork = 1 << 24  // entries and bytes of names that one message unfolds to
	maxArrowRows = 1 << 24  // rows of a block
)

var errArrow = errors.New("it declares more than it has")

// arrowMeta holds the metadata of a message, a flatbuffer, against its own length,
// with the tables of the Arrow format (format/Message.fbs and Schema.fbs). Reading
// out of range panics, which [Observe] takes for a refusal.
type arrowMeta struct {
	raw  []byte
	left int
}

// soundArrow walks over the messages of a stream before its reader does.
func soundArrow(in io.ReaderAt, at, size int64) error {
	for at < size {
		head := make([]byte, 8)
		if n, err := in.ReadAt(head, at); err != nil && (err != io.EOF || n < 4) {
			return fmt.Errorf("reading a message: %w", err)
		}
		if binary.LittleEndian.Uint32(head) != 0xffffffff {
			return errors.New("a message does not begin with the continuation marker of the format since version 0.15")
		}
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		if length == 0 {
			return nil
		}
		if at += 8; length > maxArrowMeta || at+length > size {
			return errArrow
		}
		m := &arrowMeta{make([]byte, length), maxArrowWork}
		if _, err := in.ReadAt(m.raw, at); err != nil && err != io.EOF {
			return fmt.Errorf("reading a message: %w", err)
		}
		body, err := m.message()
		if at += length; err != nil || body < 0 || body > size-at {
			return errors.Join(errArrow, err)
		}
		at += body
	}
	return nil
}

// message checks a message and returns the length of its body.
func (m *arrowMeta) message() (body int64, err error) {
	t := flatbuffers.Table{Bytes: m.raw, Pos: flatbuffers.GetUOffsetT(m.raw)}
	header, ok := m.table(t, 2)
	if !ok {
		return 0, errArrow
	}
	switch kind := t.GetByteSlot(slot(1), 0); kind {
	case 1:
		err = m.fields(header, 1, 0)
	case 2:
		header, ok = m.table(header, 1)
		if !ok {
			return 0, errArrow
		}
		err = m.batch(header)
	case 3:
		err = m.batch(header)
	default:
		err = fmt.Errorf("it has a message of the kind %d", kind)
	}
	return t.GetInt64Slot(slot(3), 0), errors.Join(err, m.vector(t, 4, 4))
}

// batch checks the lists of a record batch.
func (m *arrowMeta) batch(t flatbuffers.Table) error {
	if rows := t.GetInt64Slot(slot(0), 0); rows < 0 || rows > maxArrowRows {
		return fmt.Errorf("it has a block of %d rows, more than %d; write smaller ones", rows, maxArrowRows)
	}
	return errors.Join(m.vector(t, 1, 16), m.vector(t, 2, 16), m.vector(t, 4, 8))
}

// fields checks the fields that a table lists, and theirs.
func (m *arrowMeta) fields(t flatbuffers.Table, at, depth int) error {
	if err := m.vector(t, at, 4); err != nil || depth > MaxDepth {
		return errors.Join(errArrow, err)
	}
	o := flatbuffers.UOffsetT(t.Offset(slot(at)))
	if o == 0 {
		return nil
	}
	first := t.Vector(o)
	for i := range t.VectorLen(o) {
		f := flatbuffers.Table{Bytes: m.raw, Pos: t.Indirect(first + flatbuffers.UOffsetT(4*i))}
		if err := errors.Join(m.vector(f, 0, 1), m.vector(f, 6, 4), m.fields(f, 5, depth+1)); err != nil {
			return err
		}
	}
	return nil
}

// vector checks that a list of entries of a size can be in the message.
func (m *arrowMeta) vector(t flatbuffers.Table, at, size int) error {
	o := flatbuffers.UOffsetT(t.Offset(slot(at)))
	if o == 0 {
		return nil
	}
	n := t.VectorLen(o)
	if m.left -= n + 1; n < 0 || n > len(m.raw)/size || m.left < 0 {
		return errArrow
	}
	return nil
}

func (m *arrowMeta) table(t flatbuffers.Table, at int) (flatbuffers.Table, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot(at)))
	if o == 0 {
		return t, false
	}
	return flatbuffers.Table{Bytes: m.raw, Pos: t.Indirect(o + t.Pos)}, true
}

// slot is where a table says where its field of a number is.
func slot(n int) flatbuffers.VOffsetT { return flatbuffers.VOffsetT(4 + 2*n) }
