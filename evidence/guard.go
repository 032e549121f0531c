package evidence

import (
	"bytes"
	"fmt"
	"io"
)

// guard passes JSON text on and stops at what would cost too much to parse:
// deep nesting, endless numbers and strings. With lenient set it turns the bare
// words NaN, Infinity and -Infinity into an empty string of the same length, so
// that offsets stay true; [doc] reads an empty string in a number's place as
// missing.
type guard struct {
	in      io.Reader
	lenient bool
	depth   int
	// word and text are the lengths of the bare word or string being read.
	word, text int
	inString   bool
	escaped    bool
	// held are the last bytes of a block, which may begin a bare word.
	buf []byte
	out []byte
	err error
}

const guardBlock = 64 << 10

func newGuard(in io.Reader, lenient bool) *guard {
	return &guard{in: in, lenient: lenient, buf: make([]byte, 0, guardBlock+16)}
}

// Read implements io.Reader.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.out) == 0 {
		if g.err != nil {
			return 0, g.err
		}
		g.fill()
	}
	n := copy(p, g.out)
	g.out = g.out[n:]
	return n, nil
}

// fill reads a block and checks it. What may be the beginning of a bare word
// stays in buf for the next block.
func (g *guard) fill() {
	held := len(g.buf)
	g.buf = g.buf[:cap(g.buf)]
	n, err := io.ReadFull(g.in, g.buf[held:guardBlock])
	g.buf = g.buf[:held+n]
	if err != nil {
		g.err = err
		if err == io.ErrUnexpectedEOF {
			g.err = io.EOF
		}
	}
	keep := g.check(g.err == nil)
	if cap(g.out) < guardBlock+16 {
		g.out = make([]byte, 0, guardBlock+16)
	}
	g.out = append(g.out[:0], g.buf[:len(g.buf)-keep]...)
	g.buf = append(g.buf[:0], g.buf[len(g.buf)-keep:]...)
}

var bareWords = [][]byte{[]byte("NaN"), []byte("Infinity"), []byte("-Infinity")}

// check walks through buf and returns how many bytes at its end wait for more.
func (g *guard) check(more bool) (keep int) {
	b := g.buf
	for i := 0; i < len(b); {
		if g.inString {
			n := g.string(b[i:])
			if g.text += n; g.text > MaxString {
				g.stop("it has a string longer than %d bytes", MaxString)
				return 0
			}
			i += n
			continue
		}
		switch c := b[i]; c {
		case '"':
			g.inString, g.text, g.word = true, 0, 0
		case '{', '[':
			g.word = 0
			if g.depth++; g.depth > MaxDepth {
				g.stop("it is nested deeper than %d", MaxDepth)
				return 0
			}
		case '}', ']':
			g.word = 0
			g.depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			g.word = 0
		case 'N', 'I', '-':
			if g.lenient && g.word == 0 {
				n, wait := bare(b[i:], more)
				if wait {
					return len(b) - i
				}
				if n > 0 {
					copy(b[i:i+n], `""       `)
					i += n
					continue
				}
			}
			g.word++
		default:
			if g.word++; g.word > MaxNumber {
				g.stop("it has a number or word longer than %d characters", MaxNumber)
				return 0
			}
		}
		i++
	}
	return 0
}

// string returns how many bytes of b belong to the string that is being read,
// with its end.
func (g *guard) string(b []byte) int {
	i := 0
	for i < len(b) {
		if g.escaped {
			g.escaped = false
			i++
			continue
		}
		n := bytes.IndexByte(b[i:], '"')
		end := n
		if n < 0 {
			end = len(b) - i
		}
		if e := bytes.IndexByte(b[i:i+end], '\\'); e >= 0 {
			g.escaped = true
			i += e + 1
			continue
		}
		if n < 0 {
			return len(b)
		}
		g.inString = false
		return i + n + 1
	}
	return len(b)
}

// bare returns the length of the bare word at the start of b, or that more
// bytes are needed to tell.
func bare(b []byte, more bool) (n int, wait bool) {
	for _, w := range bareWords {
		if bytes.HasPrefix(b, w) {
			return len(w), false
		}
		if more && len(b) < len(w) && bytes.HasPrefix(w, b) {
			wait = true
		}
	}
	return 0, wait
}

func (g *guard) stop(format string, args ...any) {
	g.err = limit(fmt.Sprintf(format, args...))
	g.buf = g.buf[:0]
}

// limit says which limit the text breaks.
type limit string

func (l limit) Error() string { return string(l) }
