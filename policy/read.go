package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Problem is something wrong with a policy file or with the tests beside it.
// Line and Column count from 1; they are 0 where the whole file is meant.
type Problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	// Warning says that the file can be used in spite of it.
	Warning bool `json:"warning,omitzero"`
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Message)
}

// FileError lists everything that is wrong with a file, in its order.
type FileError struct{ Problems []Problem }

func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// position is a place in the file.
type position struct{ line, column int }

func at(n *yaml.Node) position { return position{n.Line, n.Column} }

// reader walks a YAML tree by hand, so that every fault, also one that only
// the meaning shows, has its line and column.
type reader struct {
	lines    []string
	problems []Problem
}

func (r *reader) failf(where position, format string, args ...any) {
	r.problems = append(r.problems, Problem{Line: where.line, Column: where.column, Message: fmt.Sprintf(format, args...)})
}

// err returns the problems as an error, or nil.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &FileError{Problems: r.problems}
}

// document reads the one document of a file.
func (r *reader) document(text []byte) *yaml.Node {
	r.lines = strings.Split(string(text), "\n")
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		r.failf(position{}, "reading YAML: %v", err)
		return nil
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil {
		r.failYAML(err)
		return nil
	}
	if err := loader.Load(&second); !errors.Is(err, io.EOF) {
		r.failf(at(&second), "the file has a second document, which would go unread; put it in a file of its own")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.failf(position{1, 1}, "the file is empty")
		return nil
	}
	return doc.Content[0]
}

func (r *reader) failYAML(err error) {
	if errors.Is(err, io.EOF) {
		r.failf(position{1, 1}, "the file is empty")
		return
	}
	var fault *yaml.LoadError
	if errors.As(err, &fault) {
		r.failf(position{fault.Mark.Line, max(fault.Mark.Column, 1)}, "not valid YAML: %s", fault.Message)
		return
	}
	r.failf(position{1, 1}, "not valid YAML: %v", err)
}

// field is one member that a mapping may have.
type field struct {
	name     string
	required bool
	read     func(*yaml.Node)
}

func need(name string, read func(*yaml.Node)) field { return field{name, true, read} }
func may(name string, read func(*yaml.Node)) field  { return field{name, false, read} }

// mapping reads a mapping with the given members and no others.
func (r *reader) mapping(n *yaml.Node, what string, fields ...field) {
	seen := map[string]bool{}
	r.members(n, what, func(key, value *yaml.Node) {
		seen[key.Value] = true
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			names := make([]string, len(fields))
			for i, f := range fields {
				names[i] = f.name
			}
			r.failf(at(key), "%s has no member %q; it has %s", what, key.Value, strings.Join(names, ", "))
			return
		}
		fields[i].read(value)
	})
	for _, f := range fields {
		if f.required && !seen[f.name] && n.Kind == yaml.MappingNode {
			r.failf(at(n), "%s lacks %q", what, f.name)
		}
	}
}

// members calls each for the members of a mapping, in the order of the file.
func (r *reader) members(n *yaml.Node, what string, each func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.failf(at(n), "%s is not a mapping of names to values", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.failf(at(key), "%s has a name that is not text", what)
		case seen[key.Value]:
			r.failf(at(key), "%s gives %q twice", what, key.Value)
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			r.failf(at(value), "anchors and aliases are not read here; write the value out")
		default:
			seen[key.Value] = true
			each(key, value)
		}
	}
}

// list calls each for the items of a list.
func (r *reader) list(n *yaml.Node, what string, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.failf(at(n), "%s is not a list", what)
		return
	}
	if len(n.Content) > maxItems {
		r.failf(at(n), "%s has %d items, more than %d", what, len(n.Content), maxItems)
		return
	}
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode || item.Anchor != "" {
			r.failf(at(item), "anchors and aliases are not read here; write the value out")
			continue
		}
		each(item)
	}
}

const maxItems = 200

func (r *reader) text(n *yaml.Node, what string) string {
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		r.failf(at(n), "%s is not text; put it in quotes if it is meant so", what)
		return ""
	case strings.TrimSpace(n.Value) == "":
		r.failf(at(n), "%s is empty", what)
	}
	return n.Value
}

// namePattern is that of names in records.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)

func (r *reader) name(n *yaml.Node, what string) string {
	s := r.text(n, what)
	if s != "" && !namePattern.MatchString(s) {
		r.failf(at(n), "%s %q is not a name: lower-case letters, digits, '.', '_' and '-', starting with a letter or digit", what, s)
	}
	return s
}

func (r *reader) oneOf(n *yaml.Node, what string, allowed ...string) string {
	s := r.text(n, what)
	if s != "" && !slices.Contains(allowed, s) {
		r.failf(at(n), "%s %q is not one of %s", what, s, strings.Join(allowed, ", "))
	}
	return s
}

// truth reads true or false; YAML 1.1's yes, no, on and off are refused, for
// what they mean differs from reader to reader.
func (r *reader) truth(n *yaml.Node, what string) bool {
	if n.Kind != yaml.ScalarNode || n.Style != 0 || (n.Value != "true" && n.Value != "false") {
		r.failf(at(n), "%s is neither true nor false", what)
	}
	return n.Value == "true"
}

func (r *reader) count(n *yaml.Node, what string, least, most int) int {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Style != 0 || err != nil || v < least || v > most {
		r.failf(at(n), "%s is not a whole number from %d to %d", what, least, most)
		return least
	}
	return v
}

func (r *reader) number(n *yaml.Node, what string) float64 {
	v, err := strconv.ParseFloat(n.Value, 64)
	if n.Kind != yaml.ScalarNode || n.Style != 0 || err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		r.failf(at(n), "%s is not a finite number", what)
		return 0
	}
	return v
}

var units = map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// span reads a length of time such as 30d, 12h, 90m or 2w. A day is 24 hours.
func (r *reader) span(n *yaml.Node, what string) time.Duration {
	s := n.Value
	if n.Kind != yaml.ScalarNode || s == "" {
		r.failf(at(n), "%s is not a length of time such as 30d", what)
		return 0
	}
	unit, known := units[s[len(s)-1]]
	v, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if !known || err != nil || v == 0 || time.Duration(v) > 36500*24*time.Hour/unit {
		r.failf(at(n), "%s %q is not a length of time such as 90m, 12h, 30d or 2w, at most 36500d", what, s)
		return 0
	}
	return time.Duration(v) * unit
}

// spell writes a span as it is written in a policy.
func spell(d time.Duration) string {
	switch {
	case d%units['d'] == 0:
		return fmt.Sprintf("%dd", d/units['d'])
	case d%units['h'] == 0:
		return fmt.Sprintf("%dh", d/units['h'])
	default:
		return fmt.Sprintf("%dm", d/units['m'])
	}
}
