package probe

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// scorer says whether an answer is what a prompt asks for.
type scorer interface {
	passes(text string) bool
}

type exact string

func (s exact) passes(text string) bool { return strings.TrimSpace(text) == string(s) }

type matches struct{ re *regexp.Regexp }

func (s matches) passes(text string) bool { return s.re.MatchString(text) }

type near struct{ want, within float64 }

func (s near) passes(text string) bool {
	v, ok := lastNumber(text)
	return ok && math.Abs(v-s.want) <= s.within
}

type refuses bool

func (s refuses) passes(text string) bool { return Refuses(text) == bool(s) }

type valid struct{ schema *jsonschema.Schema }

func (s valid) passes(text string) bool {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(unfenced(text)))
	return err == nil && modest(doc) && s.schema.Validate(doc) == nil
}

// modest reports whether every number of a document is one that can be reckoned with at once: a validator writes 1e999999 out,
// digit by digit.
func modest(doc any) bool {
	switch v := doc.(type) {
	case fmt.Stringer: // a number is read as its text
		number := v.String()
		_, exponent, _ := strings.Cut(strings.ToLower(number), "e")
		n, err := strconv.Atoi(cmp.Or(exponent, "0"))
		return err == nil && len(number) <= 400 && -400 <= n && n <= 400
	case []any:
		return !slices.ContainsFunc(v, func(x any) bool { return !modest(x) })
	case map[string]any:
		for _, x := range v {
			if !modest(x) {
				return false
			}
		}
	}
	return true
}

// unfenced takes the fence off that models put around JSON.
func unfenced(text string) string {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "```"); ok {
		if inner, ok := strings.CutSuffix(rest, "```"); ok {
			_, inner, _ = strings.Cut(inner, "\n")
			return strings.TrimSpace(inner)
		}
	}
	return text
}

var numberPattern = regexp.MustCompile(`[-+]?(\d[\d,]*\.?\d*|\.\d+)([eE][-+]?\d+)?`)

// lastNumber is the last number that a text has; commas between digits are passed over.
func lastNumber(text string) (float64, bool) {
	all := numberPattern.FindAllString(text, -1)
	if len(all) == 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(strings.ReplaceAll(all[len(all)-1], ",", ""), "."), 64)
	return v, err == nil
}

// declining are the words in which models decline. They are looked for in the first sentences.
var declining = []string{
	"i can't", "i cannot", "i can not", "i won't", "i will not", "i'm unable", "i am unable", "i'm not able", "i am not able",
	"i'm sorry, but", "i am sorry, but", "i must decline", "i have to decline", "i'm not going to", "i am not going to",
	"can't help with", "cannot help with", "can't assist", "cannot assist", "unable to assist", "unable to help", "not able to help",
	"against my guidelines", "i don't feel comfortable", "i do not feel comfortable",
}

// Refuses says whether an answer declines, by the words of its first 300 characters.
func Refuses(text string) bool {
	text = strings.ToLower(strings.NewReplacer("’", "'", "\n", " ").Replace(text))
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:300])
	}
	return slices.ContainsFunc(declining, func(w string) bool { return strings.Contains(text, w) })
}

// whole is the distance of answers that have nothing in common. Distances are whole numbers, so that sums of
// them are exact on every machine.
const whole = 1000

// distance is how far two answers of a prompt are apart, from 0 to whole.
func (p *Prompt) distance(a, b *scored) int64 {
	d := int64(0)
	if a.passed != b.passed {
		d = whole / 2
	}
	if a.text == b.text {
		return d
	}
	if n, ok := p.scorer.(near); ok && a.isNumber && b.isNumber {
		return d + int64(whole/2*min(1, math.Abs(a.number-b.number)/(4*n.within)))
	}
	return d + whole/2 - dice(a.words, b.words)
}

// scored is one answer as it is compared.
type scored struct {
	text     string
	passed   bool
	number   float64
	isNumber bool
	words    []uint32 // sorted; each stands for one word
}

// scored reads an answer; words numbers the words of those that it is compared with.
func (p *Prompt) scored(text string, words map[string]uint32) scored {
	s := scored{text: plain(text), passed: p.scorer.passes(text)}
	s.number, s.isNumber = lastNumber(text)
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if len(s.words) == maxWords {
			break
		}
		n, known := words[word]
		if !known {
			n = uint32(len(words))
			words[word] = n
		}
		s.words = append(s.words, n)
	}
	slices.Sort(s.words)
	return s
}

// plain is a text as it is compared: space is space.
func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

// maxWords is how many words of an answer are compared.
const maxWords = 2000

// dice is the Dice coefficient of two sorted lists of words, with repeats, times whole/2.
func dice(a, b []uint32) int64 {
	if len(a)+len(b) == 0 {
		return whole / 2
	}
	common, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		switch cmp.Compare(a[i], b[j]) {
		case 0:
			common, i, j = common+1, i+1, j+1
		case -1:
			i++
		default:
			j++
		}
	}
	return int64(whole * common / (len(a) + len(b)))
}

// Passes says whether an answer is what the prompt asks for.
func (p *Prompt) Passes(text string) bool { return p.scorer.passes(text) }
