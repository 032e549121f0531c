package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxLeaf is the greatest length of a leaf in bytes (C2SP tlog-tiles, "Log
// entries": a big-endian uint16 length precedes each entry in a bundle).
const MaxLeaf = 65535

// ErrLeaf is wrapped by every error about the content of a leaf.
var ErrLeaf = errors.New("not a valid leaf")

const (
	leafTime     = "2006-01-02T15:04:05.000Z"
	digestPrefix = `"sha256:`
	digestLen    = len(digestPrefix) + 64 + 1
)

// A Leaf is the record that the tree covers for one statement.
type Leaf struct {
	Kind      string     // predicate type of the statement, not empty
	Principal string     // who said it, not empty
	Statement [32]byte   // SHA-256 of the statement's bytes
	Subjects  [][32]byte // SHA-256 digests of what it is about, in the statement's order
	Time      time.Time  // when; kept in UTC to the millisecond
}

// Marshal returns the canonical bytes of the leaf.
func (l Leaf) Marshal() ([]byte, error) {
	return l.AppendTo(make([]byte, 0, 192+len(l.Kind)+len(l.Principal)+len(l.Subjects)*(digestLen+1)))
}

// AppendTo appends the canonical bytes of the leaf to b. The error wraps
// [ErrLeaf] when a text is empty or not UTF-8, the year has not four digits, or
// the leaf would be longer than [MaxLeaf].
func (l Leaf) AppendTo(b []byte) ([]byte, error) {
	start := len(b)
	if l.Kind == "" || l.Principal == "" {
		return nil, fmt.Errorf("%w: kind and principal must not be empty", ErrLeaf)
	}
	t := l.Time.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return nil, fmt.Errorf("%w: year %d has not four digits", ErrLeaf, t.Year())
	}
	var err error
	b = append(b, `{"kind":`...)
	if b, err = jsontext.AppendQuote(b, l.Kind); err != nil {
		return nil, fmt.Errorf("%w: kind: %w", ErrLeaf, err)
	}
	b = append(b, `,"principal":`...)
	if b, err = jsontext.AppendQuote(b, l.Principal); err != nil {
		return nil, fmt.Errorf("%w: principal: %w", ErrLeaf, err)
	}
	b = append(b, `,"statement":`...)
	b = appendDigest(b, l.Statement)
	b = append(b, `,"subjects":[`...)
	for i, s := range l.Subjects {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDigest(b, s)
	}
	b = append(b, `],"time":"`...)
	b = t.AppendFormat(b, leafTime)
	b = append(b, `","v":1}`...)
	if n := len(b) - start; n > MaxLeaf {
		return nil, fmt.Errorf("%w: %d bytes with %d subjects, at most %d bytes can be logged", ErrLeaf, n, len(l.Subjects), MaxLeaf)
	}
	return b, nil
}

func appendDigest(b []byte, d [32]byte) []byte {
	b = append(b, digestPrefix...)
	b = hex.AppendEncode(b, d[:])
	return append(b, '"')
}

// ParseLeaf reads the canonical bytes of a leaf. Bytes that [Leaf.AppendTo]
// would not have written, even if they are the same JSON, are refused with an
// error that wraps [ErrLeaf].
func ParseLeaf(data []byte) (Leaf, error) {
	s := leafScanner{rest: data}
	var l Leaf
	s.literal(`{"kind":`)
	l.Kind = s.text()
	s.literal(`,"principal":`)
	l.Principal = s.text()
	s.literal(`,"statement":`)
	l.Statement = s.digest()
	s.literal(`,"subjects":[`)
	for n := 0; s.err == nil && len(s.rest) > 0 && s.rest[0] != ']'; n++ {
		if n > 0 {
			s.literal(",")
		}
		l.Subjects = append(l.Subjects, s.digest())
	}
	s.literal(`],"time":"`)
	l.Time = s.time()
	s.literal(`","v":1}`)
	if s.err != nil {
		return Leaf{}, s.err
	}
	// The scanner is lenient about how texts are escaped and what follows the
	// end; writing the leaf again settles both.
	again, err := l.Marshal()
	if err != nil {
		return Leaf{}, err
	}
	if !bytes.Equal(again, data) {
		return Leaf{}, fmt.Errorf("%w: not in canonical form", ErrLeaf)
	}
	return l, nil
}

// leafScanner walks over the fixed order of a leaf's members; after the first
// error it does nothing.
type leafScanner struct {
	rest []byte
	err  error
}

func (s *leafScanner) fail(want string) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s expected, %d bytes before the end", ErrLeaf, want, len(s.rest))
	}
}

func (s *leafScanner) literal(want string) {
	rest, ok := bytes.CutPrefix(s.rest, []byte(want))
	if !ok {
		s.fail(want)
		return
	}
	s.rest = rest
}

func (s *leafScanner) text() string {
	if s.err != nil {
		return ""
	}
	if len(s.rest) == 0 || s.rest[0] != '"' {
		s.fail("a string")
		return ""
	}
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			text, err := jsontext.AppendUnquote(nil, s.rest[:i+1])
			if err != nil {
				s.err = fmt.Errorf("%w: %w", ErrLeaf, err)
				return ""
			}
			s.rest = s.rest[i+1:]
			return string(text)
		}
	}
	s.fail("the end of a string")
	return ""
}

func (s *leafScanner) digest() (d [32]byte) {
	if s.err != nil {
		return d
	}
	if len(s.rest) < digestLen || !bytes.HasPrefix(s.rest, []byte(digestPrefix)) || s.rest[digestLen-1] != '"' {
		s.fail("a sha256 digest")
		return d
	}
	if _, err := hex.Decode(d[:], s.rest[len(digestPrefix):digestLen-1]); err != nil {
		s.fail("64 hexadecimal digits")
		return d
	}
	s.rest = s.rest[digestLen:]
	return d
}

func (s *leafScanner) time() time.Time {
	if s.err != nil {
		return time.Time{}
	}
	if len(s.rest) < len(leafTime) {
		s.fail("a time")
		return time.Time{}
	}
	t, err := time.Parse(leafTime, string(s.rest[:len(leafTime)]))
	if err != nil {
		s.fail("a UTC time with milliseconds")
		return time.Time{}
	}
	s.rest = s.rest[len(leafTime):]
	return t
}
