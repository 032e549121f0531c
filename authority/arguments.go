package authority

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the arguments of one call, before which nothing is compared.
const (
	MaxArguments = 4 << 20 // bytes
	maxDepth     = 64
)

// ParseArguments reads the arguments of a call: one JSON object (RFC 8259), or
// nothing. It is strict, so that the condition sees exactly what the callee
// will: a name that comes twice, text that is not UTF-8, and a number that a
// double or a 64-bit integer does not hold exactly enough to be compared are
// refused. Whole numbers become int64, others float64.
func ParseArguments(raw []byte) (map[string]any, error) {
	if len(raw) > MaxArguments {
		return nil, fmt.Errorf("the arguments have %d bytes, more than the %d that are read", len(raw), MaxArguments)
	}
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		return map[string]any{}, nil
	}
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(raw))
	if d.PeekKind() != '{' {
		return nil, errors.New("the arguments are not a JSON object")
	}
	value, err := parseValue(d, 0)
	if err != nil {
		return nil, fmt.Errorf("the arguments cannot be read: %w", err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the arguments are followed by something else")
	}
	return value.(map[string]any), nil
}

// decoders are used again and again: a decision takes less time than making one.
var decoders = sync.Pool{New: func() any { return jsontext.NewDecoder(new(bytes.Buffer)) }}

func parseValue(d *jsontext.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("they are nested more than %d deep", maxDepth)
	}
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return parseNumber(token.String())
	case '[':
		list := []any{}
		for d.PeekKind() != ']' {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.ReadToken()
		return list, err
	}
	object := map[string]any{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if object[key], err = parseValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err = d.ReadToken()
	return object, err
}

// parseNumber keeps a number as what it says. A whole number that no int64
// holds would be rounded by one reader and not by another, and so is refused.
func parseNumber(text string) (any, error) {
	if !strings.ContainsAny(text, ".eE") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the number %s is too large to be compared exactly; send it as text", short(text))
		}
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("the number %s is too large to be compared; send it as text", short(text))
	}
	return f, nil
}

func short(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}
