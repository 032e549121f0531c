package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// Limits of a suite.
const (
	MaxSuite    = 1 << 20 // bytes of the file
	MaxPrompts  = 500
	MaxRepeats  = 50
	MaxBaseline = 100
	MaxTogether = 100      // answers a prompt in runs that are compared together
	maxPrompt   = 32 << 10 // bytes of one prompt
	maxDepth    = 64
)

// Suite is a suite of probes, read and checked. It does not change after [ParseSuite].
type Suite struct {
	// Digest is that of the file's text.
	Digest record.Digest
	Name   string
	// Repeats is how often a run asks each prompt, and Baseline how often the run does that later
	// ones are compared with.
	Repeats, Baseline int
	// Rounds is how many runs, the last of them included, are compared together with the baseline.
	Rounds int
	// FalseAlarm is how often a run may call a change what is none.
	FalseAlarm float64
	Prompts    []Prompt
}

// Prompt is one question and how its answer is scored.
type Prompt struct {
	ID          string
	System      string
	Prompt      string
	MaxTokens   int
	Temperature *float64
	scorer      scorer
	// Score says in words how it is scored.
	Score string
}

// file is a suite as it is written.
type file struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Name       string       `json:"name"`
	Repeats    int          `json:"repeats"`
	Baseline   int          `json:"baseline"`
	Rounds     int          `json:"rounds"`
	FalseAlarm float64      `json:"falseAlarm"`
	Prompts    []filePrompt `json:"prompts"`
}

type filePrompt struct {
	ID          string    `json:"id"`
	System      string    `json:"system"`
	Prompt      string    `json:"prompt"`
	MaxTokens   int       `json:"maxTokens"`
	Temperature *float64  `json:"temperature"`
	Score       fileScore `json:"score"`
}

type fileScore struct {
	Exact   *string        `json:"exact"`
	Regex   *string        `json:"regex"`
	Schema  jsontext.Value `json:"schema"`
	Number  *float64       `json:"number"`
	Within  *float64       `json:"within"`
	Refusal *bool          `json:"refusal"`
}

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,127}$`)

// ParseSuite reads a suite, strictly: unknown and repeated members, aliases, a second document and what no
// scorer can use are refused.
func ParseSuite(text []byte) (*Suite, error) {
	if len(text) > MaxSuite {
		return nil, fmt.Errorf("the suite is longer than %d bytes", MaxSuite)
	}
	raw, err := toJSON(text)
	if err != nil {
		return nil, fmt.Errorf("the suite: %w", err)
	}
	f := file{Repeats: 5, FalseAlarm: 0.001}
	if err := json.Unmarshal(raw, &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("the suite: %w", err)
	}
	s := &Suite{Digest: record.DigestOf(text), Name: f.Name, Repeats: f.Repeats, Baseline: f.Baseline, Rounds: f.Rounds, FalseAlarm: f.FalseAlarm}
	if s.Baseline == 0 {
		s.Baseline = min(4*s.Repeats, MaxBaseline)
	}
	if s.Rounds == 0 {
		s.Rounds = min(8, MaxTogether/max(1, s.Repeats))
	}
	switch {
	case f.APIVersion != "imprimatur/v1" || f.Kind != "ProbeSuite":
		return nil, errors.New("the suite does not say apiVersion: imprimatur/v1 and kind: ProbeSuite")
	case !idPattern.MatchString(f.Name):
		return nil, fmt.Errorf("the suite's name %q is not a name: lower-case letters, digits, '.', '_' and '-'", f.Name)
	case s.Repeats < 2 || s.Repeats > MaxRepeats:
		return nil, fmt.Errorf("repeats %d is outside 2 to %d: one answer says nothing of ordinary randomness", s.Repeats, MaxRepeats)
	case s.Baseline < s.Repeats || s.Baseline > MaxBaseline:
		return nil, fmt.Errorf("baseline %d is outside repeats, %d, to %d", s.Baseline, s.Repeats, MaxBaseline)
	case !(s.FalseAlarm >= 1e-4 && s.FalseAlarm <= 0.1):
		return nil, fmt.Errorf("falseAlarm %v is outside 0.0001 to 0.1", s.FalseAlarm)
	case s.Rounds < 1 || s.Rounds*s.Repeats > MaxTogether:
		return nil, fmt.Errorf("rounds %d is outside 1 to %d, %d answers together", s.Rounds, MaxTogether/s.Repeats, MaxTogether)
	case 1/(partAlone*weights[1]*deals(s.Baseline, s.Repeats)) > s.FalseAlarm/4:
		return nil, fmt.Errorf("with %d answers in a run and %d in the baseline, one prompt that is answered otherwise cannot be told from chance at falseAlarm %v; ask more often", s.Repeats, s.Baseline, s.FalseAlarm)
	case len(f.Prompts) == 0 || len(f.Prompts) > MaxPrompts:
		return nil, fmt.Errorf("the suite has %d prompts, and a suite has 1 to %d", len(f.Prompts), MaxPrompts)
	case s.work(len(f.Prompts)) > maxWork:
		return nil, fmt.Errorf("to judge %d prompts with %d answers at falseAlarm %v would take minutes; ask fewer prompts, ask less often, or raise falseAlarm", len(f.Prompts), s.Baseline, s.FalseAlarm)
	}
	seen := map[string]bool{}
	for i, p := range f.Prompts {
		prompt, err := p.read()
		if err != nil {
			return nil, fmt.Errorf("prompt %d (%.40q): %w", i+1, p.ID, err)
		}
		if seen[p.ID] {
			return nil, fmt.Errorf("prompt %d has the id %q, which another one has", i+1, p.ID)
		}
		seen[p.ID] = true
		s.Prompts = append(s.Prompts, prompt)
	}
	return s, nil
}

// maxWork is how many pairs of answers are looked at to judge one run: some ten seconds.
const maxWork = 2e10

// work is how many pairs of answers are looked at where every deal is needed.
func (s *Suite) work(prompts int) float64 {
	dealt := float64(min(s.Baseline, s.Rounds*s.Repeats))
	return dealsFor / least / partTogether / s.FalseAlarm * float64(prompts) * dealt * dealt / 2
}

// deals is how many ways there are to deal the answers of one prompt to the two runs.
func deals(baseline, repeats int) float64 {
	out := 1.0
	for i := range repeats {
		out *= float64(baseline+repeats-i) / float64(i+1)
	}
	return out
}

func (p filePrompt) read() (out Prompt, err error) {
	switch {
	case !idPattern.MatchString(p.ID):
		return out, errors.New("its id is not a name: lower-case letters, digits, '.', '_' and '-'")
	case strings.TrimSpace(p.Prompt) == "":
		return out, errors.New("it asks nothing")
	case len(p.Prompt)+len(p.System) > maxPrompt:
		return out, fmt.Errorf("it is longer than %d bytes", maxPrompt)
	case p.MaxTokens < 0 || p.MaxTokens > 8192:
		return out, fmt.Errorf("maxTokens %d is outside 1 to 8192", p.MaxTokens)
	case p.Temperature != nil && !(*p.Temperature >= 0 && *p.Temperature <= 2):
		return out, errors.New("temperature is outside 0 to 2")
	}
	out = Prompt{ID: p.ID, System: p.System, Prompt: p.Prompt, MaxTokens: p.MaxTokens, Temperature: p.Temperature}
	if out.MaxTokens == 0 {
		out.MaxTokens = 256
	}
	out.scorer, out.Score, err = p.Score.read()
	return out, err
}

func (f fileScore) read() (scorer, string, error) {
	given := 0
	for _, one := range []bool{f.Exact != nil, f.Regex != nil, f.Schema != nil, f.Number != nil, f.Refusal != nil} {
		if one {
			given++
		}
	}
	if given != 1 || (f.Within != nil) != (f.Number != nil) {
		return nil, "", errors.New("score is not exactly one of exact, regex, schema, number with within, and refusal")
	}
	switch {
	case f.Exact != nil:
		return exact(strings.TrimSpace(*f.Exact)), fmt.Sprintf("is %q", strings.TrimSpace(*f.Exact)), nil
	case f.Regex != nil:
		re, err := regexp.Compile(*f.Regex)
		if err != nil {
			return nil, "", fmt.Errorf("its regex: %w", err)
		}
		return matches{re}, "matches " + *f.Regex, nil
	case f.Number != nil:
		if !(*f.Within > 0) || math.IsInf(*f.Within, 0) || math.IsInf(*f.Number, 0) {
			return nil, "", errors.New("within is not more than nothing")
		}
		return near{*f.Number, *f.Within}, fmt.Sprintf("is %v within %v", *f.Number, *f.Within), nil
	case f.Refusal != nil:
		return refuses(*f.Refusal), map[bool]string{true: "declines", false: "does not decline"}[*f.Refusal], nil
	}
	schema, err := compile(f.Schema)
	if err != nil {
		return nil, "", fmt.Errorf("its schema: %w", err)
	}
	return valid{schema}, "is JSON by its schema", nil
}

// schemaAt is where a compiled schema says that it is.
const schemaAt = "probe:schema"

type nowhere struct{}

// Load implements jsonschema.URLLoader: nothing is fetched.
func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("%.100q is elsewhere, and nothing is fetched", url)
}

func compile(raw jsontext.Value) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nowhere{})
	if err := c.AddResource(schemaAt, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaAt)
}

// toJSON turns the one document of a YAML file into JSON, without what YAML can do and JSON cannot.
func toJSON(text []byte) (jsontext.Value, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not valid UTF-8")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, err
	}
	if err := loader.Load(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has a second document, which would go unread")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("it is empty")
	}
	var out bytes.Buffer
	e := jsontext.NewEncoder(&out)
	if err := encode(e, doc.Content[0], 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// encode writes a node. Repeated names are refused by the encoder.
func encode(e *jsontext.Encoder, n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: it is nested deeper than %d", n.Line, maxDepth)
	}
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		return fmt.Errorf("line %d: anchors and aliases are not read here; write the value out", n.Line)
	}
	switch n.Kind {
	case yaml.MappingNode:
		if err := e.WriteToken(jsontext.BeginObject); err != nil {
			return err
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
				return fmt.Errorf("line %d: a name is not text", key.Line)
			}
			if err := e.WriteToken(jsontext.String(key.Value)); err != nil {
				return fmt.Errorf("line %d: %w", key.Line, err)
			}
			if err := encode(e, n.Content[i+1], depth+1); err != nil {
				return err
			}
		}
		return e.WriteToken(jsontext.EndObject)
	case yaml.SequenceNode:
		if err := e.WriteToken(jsontext.BeginArray); err != nil {
			return err
		}
		for _, item := range n.Content {
			if err := encode(e, item, depth+1); err != nil {
				return err
			}
		}
		return e.WriteToken(jsontext.EndArray)
	case yaml.ScalarNode:
		return encodeScalar(e, n)
	}
	return fmt.Errorf("line %d: it is neither a mapping, a list nor a value", n.Line)
}

func encodeScalar(e *jsontext.Encoder, n *yaml.Node) error {
	var v any
	switch tag := n.ShortTag(); tag {
	case "!!str":
		return e.WriteToken(jsontext.String(n.Value))
	case "!!null", "!!bool", "!!int", "!!float":
		if err := n.Load(&v); err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		return json.MarshalEncode(e, v)
	default:
		return fmt.Errorf("line %d: a value of the type %s is not read here; put it in quotes if it is text", n.Line, tag)
	}
}
