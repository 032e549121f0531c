package artifact

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	pythonLine = regexp.MustCompile(`(?m)^(import [A-Za-z_][\w.]*( as \w+)?\s*$|import [A-Za-z_][\w.]*(, *\w+)+\s*$|from [\w.]+ import [\w(*]|(async )?def \w+\(.*|class \w+(\(.*\))?:\s*$|exec\(|eval\()`)
	codeFence  = regexp.MustCompile("(?ms)^\\s*(```|~~~).*?^\\s*(```|~~~)\\s*$")
	yamlLine   = regexp.MustCompile(`(?m)\A(---\s*$|(\s*#.*\n)*[\w.-]+:(\s|$))`)
	yamlObject = regexp.MustCompile(`!!?<?[^\s]*python/|tag:yaml\.org,2002:python`)
)

// maxText is how much of a text is read; of a longer one, the beginning and the end.
const maxText = 16 << 20

// scanText recognizes JSON, YAML, Python and other text in UTF-8. An empty file is a text.
func scanText(s *scan, name string, c content, _ int) Format {
	text := append(bytes.Clone(c.head), wholeRunes(c.tail)...)
	if c.size <= maxText {
		text = make([]byte, c.size)
		if n, err := c.ReadAt(text, 0); int64(n) < c.size && !errors.Is(err, errCut) {
			return ""
		} else if int64(n) < c.size {
			text = text[:n]
		}
	}
	if !isText(c.head, true) || !isText(text, int64(len(text)) < c.size) {
		return ""
	}
	if trimmed := bytes.TrimSpace(c.head); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		if s.json(name, c) {
			return JSON
		}
		if strings.EqualFold(path.Ext(name), ".json") {
			s.add(name, KindMalformed, "it is called JSON and is not; what a lenient reader makes of it is unknown")
		}
	}
	if yamlObject.Match(text) {
		s.add(name, KindCode, "YAML that makes Python objects when it is loaded")
		return YAML
	}
	if pythonLine.Match(codeFence.ReplaceAll(text, nil)) {
		s.add(name, KindCode, "it is Python code")
		return Python
	}
	if yamlLine.Match(text) {
		return YAML
	}
	return Text
}

// wholeRunes leaves out the rest of a rune that a cut has left at the beginning.
func wholeRunes(b []byte) []byte {
	for range utf8.UTFMax - 1 {
		if len(b) > 0 && !utf8.RuneStart(b[0]) {
			b = b[1:]
		}
	}
	return b
}

// isText reports whether the bytes are UTF-8 without control characters; where they were cut, the last rune may be half.
func isText(b []byte, cut bool) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n <= 1 {
			return cut && len(b) < utf8.UTFMax
		}
		if (r < 0x20 && r != '\n' && r != '\r' && r != '\t' && r != '\f' && r != 0x1b) || r == 0x7f {
			return false
		}
		b = b[n:]
	}
	return true
}

// json walks JSON without keeping it and reports whether it is some, as far as it is looked at. Of its members, those that
// make a loader run code are findings: auto_map (transformers, trust_remote_code) and Keras's Lambda layers.
func (s *scan) json(name string, c content) bool {
	d := jsontext.NewDecoder(io.NewSectionReader(c, 0, c.size), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var found []Finding
	add := func(kind Kind, detail string) {
		if len(found) <= maxFindings {
			found = append(found, Finding{File: name, Type: kind, Detail: detail})
		}
	}
	last, chat := "", false // the name of the member being read; whether a chat template has begun
	for {
		token, err := d.ReadToken()
		if err == io.EOF || errors.Is(err, errCut) {
			s.findings = append(s.findings, found...)
			return true
		}
		if err != nil {
			return false
		}
		if token.Kind() != '"' {
			continue
		}
		text := token.String()
		if kind, n := d.StackIndex(d.StackDepth()); kind == '{' && n%2 == 1 {
			last, chat = text, chat || text == "chat_template"
			if text == "auto_map" {
				add(KindCode, "auto_map names Python code that a loader runs with trust_remote_code")
			}
			continue
		}
		switch {
		case last == "class_name" && text == "Lambda", text == "__lambda__":
			add(KindCode, "a Keras Lambda layer, which is Python code")
		case last == "chat_template", chat && last == "template":
			add(KindTemplate, fmt.Sprintf("chat_template is a template that a loader interprets, SHA-256 %x", sha256.Sum256([]byte(text))))
		}
	}
}
