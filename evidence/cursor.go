package evidence

import (
	"bytes"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// cursor reads the tokens of one line as [jsontext.Decoder] does, with the
// scanner. Any error of it says only that the line is to be read otherwise.
type cursor struct {
	scanner
	at int
	// ready says that what stands between tokens was passed over.
	ready bool
	// open are the objects and arrays that are open; the first stands for the
	// line.
	open []nest
}

// nest is an object or array that is being read.
type nest struct {
	kind, end byte // '{' and '}', '[' and ']', or 0 for the line
	tokens    int  // read so far, names among them
	members
}

var errOtherwise = errors.New("the line is to be read otherwise")

// reset begins a line, which ends in '\n'.
func (c *cursor) reset(line []byte) {
	c.text, c.at, c.ready = line, 0, false
	c.names = c.names[:0]
	c.open = append(c.open[:0], nest{})
}

// ended reports whether the line was read to its end.
func (c *cursor) ended() bool {
	return len(c.open) == 1 && c.open[0].tokens == 1 && c.space(c.at) == len(c.text)-1
}

// PeekKind returns the kind of the next token, 0 if there is none.
func (c *cursor) PeekKind() jsontext.Kind {
	if !c.ready {
		c.between()
	}
	if !c.ready {
		return 0
	}
	return kinds[c.text[c.at]]
}

// kinds are the kinds of tokens by their first byte.
var kinds = [256]jsontext.Kind{
	'{': '{', '}': '}', '[': '[', ']': ']', '"': '"', 'n': 'n', 't': 't', 'f': 'f', '-': '0',
	'0': '0', '1': '0', '2': '0', '3': '0', '4': '0', '5': '0', '6': '0', '7': '0', '8': '0', '9': '0',
}

// between passes over white space, commas and colons.
func (c *cursor) between() {
	l := &c.open[len(c.open)-1]
	i := c.space(c.at)
	b := c.text[i]
	switch {
	case l.kind == 0:
		c.ready = l.tokens == 0
	case b == l.end:
		c.ready = l.kind == '[' || l.tokens%2 == 0
	case l.kind == '{' && l.tokens%2 == 1:
		if c.ready = b == ':'; c.ready {
			i = c.space(i + 1)
		}
	case l.tokens == 0:
		c.ready = true
	default:
		if c.ready = b == ','; c.ready {
			i = c.space(i + 1)
			c.ready = c.text[i] != l.end
		}
	}
	if c.ready {
		c.at = i
	}
}

// ReadToken opens or closes an object or array; it reads nothing else.
func (c *cursor) ReadToken() (jsontext.Token, error) {
	k := c.PeekKind()
	top := len(c.open) - 1
	switch k {
	case '{', '[':
		if top >= MaxDepth || c.open[top].kind == '{' && c.open[top].tokens%2 == 0 {
			return jsontext.Token{}, errOtherwise
		}
		c.open[top].tokens++
		c.open = append(c.open, nest{kind: byte(k), end: byte(k) + 2, members: members{first: len(c.names)}})
	case '}', ']':
		c.names = c.names[:c.open[top].first]
		c.open = c.open[:top]
	default:
		return jsontext.Token{}, errOtherwise
	}
	c.at, c.ready = c.at+1, false
	return jsontext.Token{}, nil
}

// ReadValue reads a value or a member's name. It is valid as long as the line.
func (c *cursor) ReadValue() (jsontext.Value, error) {
	if !c.ready {
		c.between()
	}
	l := &c.open[len(c.open)-1]
	end := -1
	switch {
	case !c.ready:
	case l.kind == '{' && l.tokens%2 == 0:
		end = c.name(c.at, &l.members)
	default:
		end = c.value(c.at, len(c.open)-1)
	}
	if end < 0 {
		return nil, errOtherwise
	}
	v := jsontext.Value(c.text[c.at:end])
	l.tokens++
	c.at, c.ready = end, false
	return v, nil
}

// SkipValue passes over a value.
func (c *cursor) SkipValue() error {
	_, err := c.ReadValue()
	return err
}

// StackPointer points to the last token, with "-" for every index.
func (c *cursor) StackPointer() jsontext.Pointer { return jsontext.Pointer(c.appendPointer(nil)) }

func (c *cursor) appendPointer(to []byte) []byte {
	for _, l := range c.open[1:] {
		switch {
		case l.tokens == 0:
		case l.kind == '[':
			to = append(to, "/-"...)
		default:
			name := c.names[l.first+(l.tokens-1)/2]
			if bytes.ContainsAny(name, "~/") {
				name = []byte(pointerEscape.Replace(string(name)))
			}
			to = append(append(to, '/'), name...)
		}
	}
	return to
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// InputOffset returns where the cursor stands in the line.
func (c *cursor) InputOffset() int64 { return int64(c.at) }
