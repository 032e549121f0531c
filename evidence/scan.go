package evidence

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The scanner passes over JSON text of one line at memory speed. It is strict
// and partial: what it accepts, [jsontext.Decoder] accepts after a [guard]; what
// it does not, it leaves to them, who read it or say what is wrong with it. So
// it knows nothing of NaN, of escapes in names, of surrogates that stand alone
// and of objects with very many members. FuzzScan holds it to that.
//
// Text ends in '\n', which no function passes over: it ends every loop. Places
// are indices of the text, and -1 is text that is not accepted.
type scanner struct {
	text []byte
	// names are the names of the objects that are open, the innermost last.
	names [][]byte
	// escaped is set by a string that has an escape.
	escaped bool
}

// maxMembers is how many members of an object are told apart here.
const maxMembers = 64

// space passes over white space.
func (s *scanner) space(i int) int {
	for s.text[i] == ' ' || s.text[i] == '\t' || s.text[i] == '\r' {
		i++
	}
	return i
}

// value passes over a value that begins at i, within depth objects and arrays.
func (s *scanner) value(i, depth int) int {
	switch c := s.text[i]; {
	case c == '"':
		return s.string(i)
	case c == '{':
		return s.object(i, depth+1)
	case c == '[':
		return s.array(i, depth+1)
	case c == 'n':
		return s.word(i, "null")
	case c == 't':
		return s.word(i, "true")
	case c == 'f':
		return s.word(i, "false")
	}
	return s.number(i)
}

func (s *scanner) word(i int, w string) int {
	if end := i + len(w); end < len(s.text) && string(s.text[i:end]) == w {
		return end
	}
	return -1
}

func (s *scanner) array(i, depth int) int {
	if depth > MaxDepth {
		return -1
	}
	if i = s.space(i + 1); s.text[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth); i < 0 {
			return -1
		}
		i = s.space(i)
		switch s.text[i] {
		case ']':
			return i + 1
		case ',':
			i = s.space(i + 1)
		default:
			return -1
		}
	}
}

func (s *scanner) object(i, depth int) int {
	if depth > MaxDepth {
		return -1
	}
	if i = s.space(i + 1); s.text[i] == '}' {
		return i + 1
	}
	o := members{first: len(s.names)}
	for {
		end := s.name(i, &o)
		if end < 0 {
			return -1
		}
		if i = s.space(end); s.text[i] != ':' {
			return -1
		}
		if i = s.value(s.space(i+1), depth); i < 0 {
			return -1
		}
		i = s.space(i)
		switch s.text[i] {
		case '}':
			s.names = s.names[:o.first]
			return i + 1
		case ',':
			i = s.space(i + 1)
		default:
			return -1
		}
	}
}

// members are the names that an open object has so far: those of the scanner
// from first on, and a bit for ones in a set that proves most names new.
type members struct {
	first int
	seen  uint64
}

// name passes over a member's name, which must be new to its object.
func (s *scanner) name(i int, o *members) int {
	if s.text[i] != '"' {
		return -1
	}
	s.escaped = false
	end := s.string(i)
	if end < 0 || s.escaped || len(s.names)-o.first >= maxMembers {
		return -1
	}
	name := s.text[i+1 : end-1]
	bit := (uint(len(name)) ^ uint(s.text[i+1])*3 ^ uint(s.text[end-2])*5) % 64
	if o.seen&(1<<bit) != 0 {
		for _, other := range s.names[o.first:] {
			if string(other) == string(name) {
				return -1
			}
		}
	}
	o.seen |= 1 << (bit % 64)
	s.names = append(s.names, name)
	return end
}

const (
	ones = 0x0101010101010101
	tops = 0x80 * ones
)

// stops marks, in eight bytes of a string, the first byte that is a control
// character, a quote or a backslash by its highest bit. Bits above the lowest
// one that is set mean nothing.
func stops(w uint64) uint64 {
	return ((w - 0x20*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones)) & ^w & tops
}

// string passes over a string, whose quote is at i.
func (s *scanner) string(i int) int {
	// Whole words are read past the line's end: the quote is found before it.
	b := s.text[:cap(s.text)]
	i++
	start := i
	var high uint64
	for {
		for i+32 <= len(b) {
			v, w := binary.LittleEndian.Uint64(b[i:]), binary.LittleEndian.Uint64(b[i+8:])
			x, y := binary.LittleEndian.Uint64(b[i+16:]), binary.LittleEndian.Uint64(b[i+24:])
			if m := stops(v); m != 0 {
				high |= v
				i += bits.TrailingZeros64(m) / 8
				break
			}
			if m := stops(w); m != 0 {
				high |= v | w
				i += 8 + bits.TrailingZeros64(m)/8
				break
			}
			high |= v | w
			if m := stops(x); m != 0 {
				high |= x
				i += 16 + bits.TrailingZeros64(m)/8
				break
			}
			high |= x | y
			if m := stops(y); m != 0 {
				i += 24 + bits.TrailingZeros64(m)/8
				break
			}
			i += 32
		}
		for b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
			high |= uint64(b[i])
			i++
		}
		switch b[i] {
		case '"':
			if i+1-start > MaxString || high&tops != 0 && !utf8.Valid(b[start:i]) {
				return -1
			}
			return i + 1
		case '\\':
			s.escaped = true
			if i = s.escape(i + 1); i < 0 {
				return -1
			}
		default:
			return -1
		}
	}
}

// escape passes over what follows a backslash.
func (s *scanner) escape(i int) int {
	switch s.text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		r := s.hex(i + 1)
		switch {
		case r < 0:
			return -1
		case !utf16.IsSurrogate(r):
			return i + 5
		case i+6 >= len(s.text) || s.text[i+5] != '\\' || s.text[i+6] != 'u':
			return -1
		}
		if low := s.hex(i + 7); low < 0 || utf16.DecodeRune(r, low) == utf8.RuneError {
			return -1
		}
		return i + 11
	}
	return -1
}

// hex returns the number that four digits give, -1 where there are none.
func (s *scanner) hex(i int) (r rune) {
	if i+4 >= len(s.text) {
		return -1
	}
	for _, c := range s.text[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// number passes over a number.
func (s *scanner) number(i int) int {
	start := i
	if s.text[i] == '-' {
		i++
	}
	if s.text[i] == '0' {
		i++
	} else if i = s.digits(i); i < 0 {
		return -1
	}
	if s.text[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return -1
		}
	}
	if s.text[i]|0x20 == 'e' {
		i++
		if s.text[i] == '-' || s.text[i] == '+' {
			i++
		}
		if i = s.digits(i); i < 0 {
			return -1
		}
	}
	if i-start > MaxNumber {
		return -1
	}
	return i
}

// digits passes over one digit or more.
func (s *scanner) digits(i int) int {
	start := i
	for '0' <= s.text[i] && s.text[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}
