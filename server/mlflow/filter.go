package mlflow

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"imprimatur.dev/record"
	"imprimatur.dev/registry"
)

// A filter is comparisons joined by AND. On the left stands an attribute or a
// tag (name, attribute.name, tag.key, tags.`a key`), on the right a quoted text,
// a whole number or a list of quoted texts. SearchModelUtils and
// SearchModelVersionUtils of mlflow/utils/search_utils.py have the sentences.

// condition is one comparison.
type condition struct {
	tag   bool
	key   string
	op    string // as it is compared: "=", "LIKE", "NOT IN", ...
	text  string
	list  []string
	num   int
	isNum bool
}

// grammar is what may be asked of models or of versions.
type grammar struct {
	attributes []string
	numeric    []string
	lists      []string
}

var (
	modelGrammar   = grammar{attributes: []string{"name"}, lists: []string{"name"}}
	versionGrammar = grammar{attributes: []string{"name", "version_number", "run_id", "source_path"}, numeric: []string{"version_number"}, lists: []string{"name", "run_id"}}
)

const maxFilter = 64 << 10

var (
	filterLeft   = regexp.MustCompile("^(?:[A-Za-z_][A-Za-z0-9_]*\\.)?(?:`[^`]*`|\"[^\"]*\"|[A-Za-z_][A-Za-z0-9_.\\-/:]*)")
	filterOp     = regexp.MustCompile(`^(?i:<=|>=|!=|=|<|>|I?LIKE\b|NOT\s+IN\b|IN\b)`)
	filterText   = regexp.MustCompile(`^(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*")`)
	filterNumber = regexp.MustCompile(`^-?[0-9]+(?:\.[0-9]+)?`)
	filterList   = regexp.MustCompile(`^\(([^)]*)\)`)
	filterWord   = regexp.MustCompile(`^(?i:TRUE|FALSE|NULL)\b`)
	filterAnd    = regexp.MustCompile(`^(?i:AND)\b`)
)

// parseFilter reads a filter.
func parseFilter(text string, g grammar) ([]condition, error) {
	if len(text) > maxFilter {
		return nil, invalidf("the filter is longer than %d bytes", maxFilter)
	}
	rest := strings.TrimSpace(text)
	var out []condition
	for rest != "" {
		if len(out) > 0 {
			and := filterAnd.FindString(rest)
			if and == "" {
				return nil, invalidClause(rest)
			}
			rest = strings.TrimLeft(rest[len(and):], " \t\r\n")
		}
		c, after, err := parseCondition(rest, g)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		rest = strings.TrimLeft(after, " \t\r\n")
	}
	return out, nil
}

func invalidClause(rest string) error {
	return invalidf("Invalid clause(s) in filter string: %s", rest)
}

func parseCondition(text string, g grammar) (condition, string, error) {
	left := filterLeft.FindString(text)
	rest := strings.TrimLeft(text[len(left):], " \t\r\n")
	op := filterOp.FindString(rest)
	value := strings.TrimLeft(rest[len(op):], " \t\r\n")
	if left == "" || op == "" || filterWord.MatchString(value) {
		return condition{}, "", invalidClause(text)
	}
	c := condition{op: strings.Join(strings.Fields(strings.ToUpper(op)), " ")}
	if err := c.left(left, g); err != nil {
		return c, "", err
	}
	after, err := c.right(value, text, g)
	if err != nil {
		return c, "", err
	}
	return c, after, c.check(g)
}

// left reads what is compared.
func (c *condition) left(text string, g grammar) error {
	kind, key, dotted := strings.Cut(text, ".")
	if !dotted || strings.ContainsAny(kind[:1], "`\"") {
		kind, key = "attribute", text
	}
	switch kind {
	case "tag", "tags":
		c.tag = true
	case "attribute":
	default:
		return invalidf("Invalid entity type '%s'. Valid entity types are ('attribute', 'tag', 'tags')", kind)
	}
	if !c.tag && !slices.Contains(g.attributes, key) {
		return invalidf("Invalid attribute key '%s' specified. Valid keys are '%s'", key, set(g.attributes))
	}
	c.key = key
	if len(key) >= 2 && strings.ContainsAny(key[:1], "`\"") {
		c.key = key[1 : len(key)-1]
	}
	return nil
}

// set writes names as Python does a set of them.
func set(names []string) string { return "{'" + strings.Join(names, "', '") + "'}" }

// right reads what it is compared with, and returns what follows.
func (c *condition) right(rest, whole string, g grammar) (string, error) {
	if s := filterText.FindString(rest); s != "" {
		c.text = s[1 : len(s)-1]
		return rest[len(s):], nil
	}
	if n := filterNumber.FindString(rest); n != "" {
		if c.tag {
			return "", invalidf("Expected a quoted string value for tag (e.g. 'my-value'). Got value %s", n)
		}
		if len(g.numeric) == 0 {
			return "", invalidf("Expected a quoted string value or a list of quoted string values for attributes. Got value %s", n)
		}
		if !slices.Contains(g.numeric, c.key) {
			return "", invalidf("Only the '%s' attributes support comparison with numeric values.", set(g.numeric))
		}
		c.text, c.isNum = n, true
		return rest[len(n):], nil
	}
	list := filterList.FindStringSubmatch(rest)
	if list == nil {
		if rest == "" || rest[0] == '(' {
			return "", invalidClause(whole)
		}
		return "", c.unquoted(rest)
	}
	if !slices.Contains(g.lists, c.key) || c.tag {
		return "", invalidf("Only %s attributes support comparison with a list of quoted string values.", strings.ReplaceAll(strings.ReplaceAll(set(g.lists), "{", "["), "}", "]"))
	}
	var err error
	c.list, err = parseList(list[1])
	return rest[len(list[0]):], err
}

// parseList reads quoted texts between commas.
func parseList(inner string) ([]string, error) {
	const wants = "While parsing a list in the query, expected a non-empty list of string values, but got "
	if strings.TrimSpace(inner) == "" {
		return nil, invalidf(wants + "empty list")
	}
	var out []string
	for first := true; ; first = false {
		inner = strings.TrimLeft(inner, " \t\r\n")
		if !first {
			if inner == "" {
				return out, nil
			}
			if inner[0] != ',' {
				return nil, invalidf(wants + "ill-formed list")
			}
			inner = strings.TrimLeft(inner[1:], " \t\r\n")
		}
		s := filterText.FindString(inner)
		switch {
		case s == "" && (inner == "" || inner[0] == ','):
			return nil, invalidf(wants + "ill-formed list")
		case s == "":
			return nil, invalidf("While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list: (%s)", inner)
		}
		out = append(out, s[1:len(s)-1])
		inner = inner[len(s):]
	}
}

func (c *condition) unquoted(rest string) error {
	word, _, _ := strings.Cut(rest, " ")
	if c.tag {
		return invalidf("Expected a quoted string value for tag (e.g. 'my-value'). Got value %s", word)
	}
	return invalidf("Parameter value is either not quoted or unidentified quote types used for string value %s. Use either single or double quotes.", word)
}

// check refuses comparisons that are not for their key.
func (c *condition) check(g grammar) error {
	isList := c.op == "IN" || c.op == "NOT IN"
	texts := []string{"=", "!=", "LIKE", "ILIKE"}
	switch {
	case c.tag:
		if !slices.Contains(texts, c.op) {
			return invalidf("Invalid comparator for tag: %s", c.op)
		}
	case slices.Contains(g.numeric, c.key):
		if !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, c.op) {
			return invalidf("Invalid comparator for attribute %s: %s", c.key, c.op)
		}
		n, err := strconv.Atoi(c.text)
		if err != nil {
			return invalidf("Invalid value for numeric attribute '%s': '%s'", c.key, c.text)
		}
		c.num = n
	case isList && !slices.Contains(g.lists, c.key), !isList && !slices.Contains(texts, c.op), isList != (c.list != nil):
		return invalidf("Invalid comparator for attribute: %s", c.op)
	}
	return nil
}

// asksForPrompts reports whether the filter is for prompts; all others are for
// models only.
func asksForPrompts(conditions []condition) bool {
	for _, c := range conditions {
		if c.tag && c.key == promptTag {
			v := strings.ToLower(c.text)
			return c.op == "=" && v == "true" || c.op == "!=" && v == "false"
		}
	}
	return false
}

const promptTag = "mlflow.prompt.is_prompt"

// matchTags reports whether tags meet the conditions on them. A tag that is not
// there meets none, but for the mark of prompts, which the search itself sees to.
func matchTags(conditions []condition, tags map[string]string, prompts bool) bool {
	for i := range conditions {
		c := &conditions[i]
		if !c.tag || c.key == promptTag && !prompts {
			continue
		}
		v, ok := tags[c.key]
		if !ok || !c.meets(v) {
			return false
		}
	}
	return prompts || !registry.IsPrompt(tags)
}

func matchModel(conditions []condition, m *registry.Registered, prompts bool) bool {
	for i := range conditions {
		if c := &conditions[i]; !c.tag && !c.meets(m.Model.Name) {
			return false
		}
	}
	return matchTags(conditions, m.Model.Tags, prompts)
}

func matchVersion(conditions []condition, v *record.RegisteredVersion, prompts bool) bool {
	for i := range conditions {
		c := &conditions[i]
		if c.tag {
			continue
		}
		ok := false
		switch c.key {
		case "name":
			ok = c.meets(v.Name)
		case "run_id":
			ok = c.meets(v.Run)
		case "source_path":
			ok = c.meets(v.Source)
		case "version_number":
			ok = c.compares(v.Version)
		}
		if !ok {
			return false
		}
	}
	return matchTags(conditions, v.Tags, prompts)
}

// meets compares a text.
func (c *condition) meets(v string) bool {
	switch c.op {
	case "=":
		return v == c.text
	case "!=":
		return v != c.text
	case "LIKE":
		return like(v, c.text)
	case "ILIKE":
		return like(strings.ToLower(v), strings.ToLower(c.text))
	case "IN":
		return slices.Contains(c.list, v)
	default:
		return !slices.Contains(c.list, v)
	}
}

// compares compares a number.
func (c *condition) compares(n int) bool {
	switch c.op {
	case "=":
		return n == c.num
	case "!=":
		return n != c.num
	case "<":
		return n < c.num
	case "<=":
		return n <= c.num
	case ">":
		return n > c.num
	default:
		return n >= c.num
	}
}

// like matches SQL's pattern, in which % is any text and _ any character. It
// goes back to the last % only, so that no pattern takes more than the product
// of the lengths.
func like(v, pattern string) bool {
	s, p := []rune(v), []rune(pattern)
	i, j, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case j < len(p) && p[j] == '%':
			star, from = j, i
			j++
		case j < len(p) && (p[j] == '_' || p[j] == s[i]):
			i++
			j++
		case star >= 0:
			from++
			i, j = from, star+1
		default:
			return false
		}
	}
	for j < len(p) && p[j] == '%' {
		j++
	}
	return j == len(p)
}
