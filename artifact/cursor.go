package artifact

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// errCut is where looking on would cost too much, not where the content ends.
var errCut = errors.New("the content is larger than what is looked at")

var errMalformed = errors.New("malformed")

// budget lets through so many bytes of reading, and remembers an error of the disk, which is not the content's fault.
type budget struct {
	r      io.ReaderAt
	mu     sync.Mutex
	left   int64
	failed error
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errCut
	}
	n, err := b.r.ReadAt(p, off)
	if err != nil && err != io.EOF && err != errCut {
		b.failed = err
	}
	return n, err
}

// prefix is the beginning of a member whose rest was not expanded.
type prefix []byte

func (p prefix) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(p)) {
		return 0, errCut
	}
	n := copy(b, p[off:])
	if n < len(b) {
		return n, errCut
	}
	return n, nil
}

// cursor walks over content in small steps and skips what it need not read.
type cursor struct {
	r         io.ReaderAt
	off, size int64
	window    []byte // the bytes from start
	start     int64
}

const windowSize = 8 << 10

func newCursor(c content) *cursor { return &cursor{r: c, size: c.size} }

// take returns the next n bytes, at most windowSize, valid until the next call.
func (c *cursor) take(n int64) ([]byte, error) {
	if n > c.size-c.off {
		return nil, io.ErrUnexpectedEOF
	}
	if c.off < c.start || c.off+n > c.start+int64(len(c.window)) {
		if c.window == nil {
			c.window = make([]byte, 0, windowSize)
		}
		c.window = c.window[:min(windowSize, c.size-c.off)]
		got, err := c.r.ReadAt(c.window, c.off)
		c.start, c.window = c.off, c.window[:got]
		if int64(got) < n {
			if err == io.EOF || err == nil {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	at := c.off - c.start
	c.off += n
	return c.window[at : at+n], nil
}

func (c *cursor) skip(n uint64) error {
	if n > uint64(c.size-c.off) {
		return io.ErrUnexpectedEOF
	}
	c.off += int64(n)
	return nil
}

func (c *cursor) byte() (byte, error) {
	b, err := c.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// uint reads a little-endian number of 1, 2, 4 or 8 bytes.
func (c *cursor) uint(n int64) (uint64, error) {
	b, err := c.take(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// line reads up to and without the next line break; longer than max is malformed.
func (c *cursor) line(max int) (string, error) {
	var line []byte
	for len(line) <= max {
		b, err := c.byte()
		if err != nil {
			return "", err
		}
		if b == '\n' {
			return string(line), nil
		}
		line = append(line, b)
	}
	return "", errMalformed
}

// varint reads a protobuf varint.
func (c *cursor) varint() (uint64, error) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := c.byte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errMalformed
}
