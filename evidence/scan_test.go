package evidence

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// both reads one line with the scanner and with jsontext behind a guard, and
// returns whether each accepts it.
func both(line []byte) (scanned, decoded bool) {
	line = append(bytes.ReplaceAll(line, []byte("\n"), []byte(" ")), '\n')
	s := scanner{text: line}
	end := s.value(s.space(0), 0)
	scanned = end >= 0 && s.space(end) == len(line)-1
	d := jsontext.NewDecoder(newGuard(bytes.NewReader(line), false))
	if err := d.SkipValue(); err == nil {
		_, err = d.ReadToken()
		decoded = errors.Is(err, io.EOF)
	}
	return scanned, decoded
}

// left are texts that are JSON and not for the scanner.
func left(line []byte) bool {
	return bytes.ContainsRune(line, '\\') && bytes.ContainsRune(line, ':') || bytes.Count(line, []byte(":")) > maxMembers
}

var scanned = []string{
	``, ` `, `null`, `nul`, `nulll`, `true`, `false`, `0`, `-0`, `01`, `-`, `1.`, `1.5`, `1e5`, `1E+5`, `1e`, `.5`, `1.5e-7x`, `NaN`, `-Infinity`,
	`""`, `"a`, `"\n"`, `"\x"`, `"\u00e9"`, `"\u00G9"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\ud83dxxxxxxx"`, `"\ud800\uX000"`, `"\uX000\udc00"`, `"\udc00\udc00"`, `"\u12`, "\"\x01\"", "\"\t\"", "\"\x7f\"",
	`"` + strings.Repeat("x", 7) + "é" + strings.Repeat("y", 31) + `"`, "\"\xff\"", "\"" + strings.Repeat("z", 40) + "\xc3\"", "\"\xed\xa0\x80\"", "\"\xf0\x9f\x98\x80\"",
	`[]`, `[ ]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1,2`, `{}`, `{"a":1}`, `{"a":1,}`, `{"a" 1}`, `{"a":}`, `{a:1}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"a":1},"b":[{"a":2}]}`, `{"a":{"b":1,"b":2}}`,
	`{"":1,"":2}`, `{"ab":1,"ba":2,"bb":3,"aa":4,"ab":5}`, `{} {}`, `[[]]]`, `{"a":[{"b":{}}]}`, "\t{\r\"a\"\t:\r1 }", `{"a":1]`, `[1}`,
	strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("1", 256), strings.Repeat("1", 257),
}

func TestTheScannerAcceptsWhatJSONIs(t *testing.T) {
	for _, text := range scanned {
		if s, d := both([]byte(text)); s != d && !(d && left([]byte(text))) {
			t.Errorf("%q: the scanner says %t, the decoder %t", text, s, d)
		}
	}
}

// pieces are what JSON is made of, and what it is not.
var pieces = []string{
	`"`, `"`, `"`, `\`, `\\`, `\"`, `\n`, `\u`, `d800`, `\ud83d`, `\ude00`, `dc00`, `00e9`, `X`, `a`, `abcdefgh`, "é", "\xc3", "\xff", "\x00", "\x1f", "\x7f", "\t", ` `,
	`[`, `]`, `{`, `}`, `,`, `:`, `null`, `true`, `false`, `-`, `0`, `1`, `12`, `.`, `e`, `E+`, `""`, `"a":`, `"b":`, `"a":1,`, `[1]`, `{}`, `{"a":1}`,
}

func TestTheScannerOnPiecesOfJSON(t *testing.T) {
	rounds := 60
	if os.Getenv("IMPRIMATUR_LONG") != "" {
		rounds = 3000
	}
	for range rounds {
		rapid.Check(t, onPieces)
	}
}

func onPieces(t *rapid.T) {
	text := strings.Join(rapid.SliceOf(rapid.SampledFrom(pieces)).Draw(t, "pieces"), "")
	for _, line := range []string{text, "[" + text + "]", `{"k":` + text + "}", `["` + text + `"]`, `["` + strings.Repeat("x", len(text)%9) + text + `",1]`} {
		s, d := both([]byte(line))
		if s != d && (s || !left([]byte(line))) {
			t.Fatalf("%q: the scanner says %t, the decoder %t", line, s, d)
		}
	}
}

// FuzzScan holds that the scanner accepts nothing that jsontext refuses, and
// everything else apart from what is left to jsontext.
func FuzzScan(f *testing.F) {
	for _, text := range scanned {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s, d := both(line)
		if s && !d {
			t.Fatalf("%q: the scanner accepts it, and the decoder does not", line)
		}
		if d && !s && !left(line) {
			t.Fatalf("%q: the decoder accepts it, and the scanner does not", line)
		}
	})
}

// FuzzCursor holds that walking a line by tokens accepts what passing over it
// accepts.
func FuzzCursor(f *testing.F) {
	for _, text := range scanned {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s, _ := both(line)
		var c cursor
		c.reset(append(bytes.ReplaceAll(line, []byte("\n"), []byte(" ")), '\n'))
		if w := c.walk() && c.ended(); w != s {
			t.Fatalf("%q: by tokens %t, at once %t", line, w, s)
		}
	})
}

// walk reads a value token by token.
func (c *cursor) walk() bool {
	k := c.PeekKind()
	if k != '{' && k != '[' {
		return c.SkipValue() == nil
	}
	if _, err := c.ReadToken(); err != nil {
		return false
	}
	for c.PeekKind() != k+2 {
		if k == '{' && c.SkipValue() != nil || !c.walk() {
			return false
		}
	}
	_, err := c.ReadToken()
	return err == nil
}
