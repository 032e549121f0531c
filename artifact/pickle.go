package artifact

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// scanPickle recognizes a Python pickle by walking its opcodes (CPython, Lib/pickletools.py) without building anything.
// Every protocol counts, and so does a stream that breaks off after the first call it makes: unpickling runs as it reads.
//
// Without the PROTO mark, which begins protocols 2 to 5, a text might look like a pickle by chance. So the walk keeps the
// depth of the stack as the unpickler would, and a stream without mark is a pickle if it reaches a call, or STOP as its
// very last byte, or if it is still valid where looking on would cost too much.
func scanPickle(s *scan, name string, c content, _ int) Format {
	w := pickleWalk{cursor: newCursor(c)}
	err := w.run()
	marked := len(c.head) > 2 && c.head[0] == 0x80 && c.head[1] <= 5 && w.steps > 1
	whole := err == nil && strings.TrimSpace(string(c.tail[max(0, int64(len(c.tail))-(c.size-w.off)):])) == ""
	if !marked && !w.calls && !whole && !errors.Is(err, errCut) {
		return ""
	}
	detail := "it is a Python pickle: loading it can run any code"
	if len(w.imports) > 0 {
		detail += "; it uses " + strings.Join(w.imports, ", ")
	}
	s.add(name, KindPickle, "%s", detail)
	return Pickle
}

// op is one pickle opcode: how its argument is read, what it takes from the stack and puts there.
type op struct {
	arg       argument
	pop, push int
	toMark    bool // takes all down to the last mark, then pop more
	call      bool // runs code, or can
}

type argument int

const (
	none     argument = 0 // and 1, 2, 4, 8: that many bytes
	length1  argument = 101
	length4  argument = 104
	length8  argument = 108
	aNumber  argument = 200 // a line with a number
	aString  argument = 201 // a line with a quoted string
	aLine    argument = 202 // any line
	aGlobal  argument = 203 // a line with a module, a line with a name
	maxLine           = 64 << 10
	maxMarks          = 1 << 16
	maxNamed          = 8
)

var opcodes = map[byte]op{
	'(': {}, '.': {pop: 1}, '0': {pop: 1}, '1': {toMark: true}, '2': {pop: 1, push: 2},
	'F': {arg: aNumber, push: 1}, 'I': {arg: aNumber, push: 1}, 'L': {arg: aNumber, push: 1},
	'J': {arg: 4, push: 1}, 'K': {arg: 1, push: 1}, 'M': {arg: 2, push: 1}, 'G': {arg: 8, push: 1}, 'N': {push: 1},
	'S': {arg: aString, push: 1}, 'V': {arg: aLine, push: 1}, 'T': {arg: length4, push: 1}, 'U': {arg: length1, push: 1},
	'X': {arg: length4, push: 1}, 'B': {arg: length4, push: 1}, 'C': {arg: length1, push: 1},
	'P': {arg: aLine, push: 1}, 'Q': {pop: 1, push: 1},
	'a': {pop: 2, push: 1}, 's': {pop: 3, push: 1}, 'e': {toMark: true, pop: 1, push: 1}, 'u': {toMark: true, pop: 1, push: 1},
	'd': {toMark: true, push: 1}, 'l': {toMark: true, push: 1}, 't': {toMark: true, push: 1},
	'}': {push: 1}, ']': {push: 1}, ')': {push: 1},
	'c': {arg: aGlobal, push: 1}, 'i': {arg: aGlobal, toMark: true, push: 1, call: true}, 'o': {toMark: true, push: 1, call: true},
	'R': {pop: 2, push: 1, call: true}, 'b': {pop: 2, push: 1, call: true},
	'g': {arg: aNumber, push: 1}, 'h': {arg: 1, push: 1}, 'j': {arg: 4, push: 1},
	'p': {arg: aNumber, pop: 1, push: 1}, 'q': {arg: 1, pop: 1, push: 1}, 'r': {arg: 4, pop: 1, push: 1},
	0x80: {arg: 1}, 0x81: {pop: 2, push: 1, call: true},
	0x82: {arg: 1, push: 1, call: true}, 0x83: {arg: 2, push: 1, call: true}, 0x84: {arg: 4, push: 1, call: true},
	0x85: {pop: 1, push: 1}, 0x86: {pop: 2, push: 1}, 0x87: {pop: 3, push: 1}, 0x88: {push: 1}, 0x89: {push: 1},
	0x8a: {arg: length1, push: 1}, 0x8b: {arg: length4, push: 1}, 0x8c: {arg: length1, push: 1},
	0x8d: {arg: length8, push: 1}, 0x8e: {arg: length8, push: 1}, 0x8f: {push: 1},
	0x90: {toMark: true, pop: 1, push: 1}, 0x91: {toMark: true, push: 1},
	0x92: {pop: 3, push: 1, call: true}, 0x93: {pop: 2, push: 1}, 0x94: {pop: 1, push: 1},
	0x95: {arg: 8}, 0x96: {arg: length8, push: 1}, 0x97: {push: 1}, 0x98: {pop: 1, push: 1},
}

// callables are the opcodes that bring in a class or function: GLOBAL, INST, STACK_GLOBAL, EXT1, EXT2, EXT4, PERSID, BINPERSID.
const callables = "ci\x93\x82\x83\x84PQ"

// pickleWalk follows a pickle. Its depth is the unpickler's stack since the last mark; marks keep those below.
type pickleWalk struct {
	*cursor
	depth int
	marks []int
	steps int
	calls bool
	// callable is whether anything that could be called has been put on the stack; lists and numbers can not.
	callable bool
	imports  []string // "module.name", at most maxNamed
	strings  [2]string
}

// run walks until STOP, which is nil, or until the unpickler would give up.
func (w *pickleWalk) run() error {
	for {
		code, err := w.byte()
		if err != nil {
			return err
		}
		o, known := opcodes[code]
		if !known {
			return errMalformed
		}
		if err := w.argument(code, o.arg); err != nil {
			return err
		}
		if code == '(' {
			if len(w.marks) == maxMarks {
				return errCut
			}
			w.marks, w.depth = append(w.marks, w.depth), 0
			w.steps++
			continue
		}
		if err := w.apply(code, o); err != nil {
			return err
		}
		w.steps++
		w.callable = w.callable || strings.IndexByte(callables, code) >= 0
		w.calls = w.calls || (o.call && w.callable)
		if code == '.' {
			return nil
		}
	}
}

// apply moves the stack as the opcode does.
func (w *pickleWalk) apply(code byte, o op) error {
	if o.toMark || (code == '0' && w.depth == 0) { // POP takes a mark where nothing lies above it
		if len(w.marks) == 0 || (code == 'o' && w.depth == 0) {
			return errMalformed
		}
		w.depth, w.marks = w.marks[len(w.marks)-1], w.marks[:len(w.marks)-1]
		if code == '0' {
			return nil
		}
	}
	if w.depth < o.pop {
		return errMalformed
	}
	w.depth += o.push - o.pop
	if code == 0x93 && w.strings[0] != "" {
		w.name(w.strings[0], w.strings[1])
	}
	return nil
}

var (
	pickleNumber = regexp.MustCompile(`^[-+]?[0-9a-zA-Z_.+-]*[0-9][0-9a-zA-Z_.+-]*$|^[-+]?(nan|inf)$`)
	pickleName   = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_<][\pL\pN_>]*)*$`)
)

func (w *pickleWalk) argument(code byte, arg argument) error {
	switch arg {
	case none:
		return nil
	case 1, 2, 4, 8:
		return w.skip(uint64(arg))
	case length1, length4, length8:
		n, err := w.uint(int64(arg - 100))
		if err != nil {
			return err
		}
		return w.text(code, n)
	}
	line, err := w.line(maxLine)
	if err != nil {
		return err
	}
	switch {
	case arg == aNumber && !pickleNumber.MatchString(strings.TrimRight(line, "\r")):
		return errMalformed
	case arg == aString && (len(line) < 2 || !strings.ContainsAny(line[:1], `'"`)):
		return errMalformed
	case arg == aGlobal:
		name, err := w.line(maxLine)
		if err != nil {
			return err
		}
		if !pickleName.MatchString(line) || !pickleName.MatchString(name) {
			return errMalformed
		}
		w.name(line, name)
	}
	return nil
}

// text passes over a counted argument and keeps short ones, which may name what STACK_GLOBAL imports.
func (w *pickleWalk) text(code byte, n uint64) error {
	if n > 256 || !slices.Contains([]byte{'U', 'X', 0x8c, 0x8d}, code) {
		return w.skip(n)
	}
	text, err := w.take(int64(n))
	if err == nil {
		w.strings[0], w.strings[1] = w.strings[1], string(text)
	}
	return err
}

func (w *pickleWalk) name(module, name string) {
	full := module + "." + name
	if len(w.imports) < maxNamed && !slices.Contains(w.imports, full) {
		w.imports = append(w.imports, full)
	}
}
