package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
)

// Report shows the answers before and after, side by side.
type Report struct {
	Suite   string  `json:"suite"`
	Vendor  string  `json:"vendor"`
	Model   string  `json:"model"`
	Finding Finding `json:"finding"`
	// NamesBefore and the like are what the answers say.
	NamesBefore   []string `json:"namesBefore"`
	NamesNow      []string `json:"namesNow"`
	SystemsBefore []string `json:"systemsBefore"`
	SystemsNow    []string `json:"systemsNow"`
	// Prompts are those that moved most.
	Prompts []Sides `json:"prompts"`
}

// Sides are the answers to one prompt in both runs, those that were given most often first.
type Sides struct {
	Moved
	Prompt string  `json:"prompt"`
	Score  string  `json:"score"`
	Was    []Given `json:"was"`
	Is     []Given `json:"is"`
}

// Given is one answer with how often it was given.
type Given struct {
	Text   string `json:"text"`
	Passes bool   `json:"passes"`
	Times  int    `json:"times"`
}

const (
	maxGiven = 10   // answers of one prompt that a report shows
	maxShown = 2000 // characters of one answer
)

// ReportOf puts runs side by side by what comparing them has found.
func ReportOf(s *Suite, base *Run, before []*Run, now *Run, f Finding) Report {
	out := Report{
		Suite: s.Name, Vendor: now.Vendor, Model: now.Model, Finding: f,
		NamesBefore: shownAll(base.Names()), NamesNow: shownAll(now.Names()), SystemsBefore: shownAll(base.Systems()), SystemsNow: shownAll(now.Systems()),
	}
	if f.Rounds > 0 {
		now = together(s, before, now)
	}
	for _, m := range f.Moved {
		i := slices.IndexFunc(s.Prompts, func(p Prompt) bool { return p.ID == m.ID })
		p := &s.Prompts[i]
		out.Prompts = append(out.Prompts, Sides{Moved: m, Prompt: shown(p.Prompt), Score: shown(p.Score), Was: p.side(base.Prompts[i]), Is: p.side(now.Prompts[i])})
	}
	return out
}

func (p *Prompt) side(a Answered) (out []Given) {
	for _, x := range a.given() {
		text := shown(x.Text)
		if runes := []rune(text); len(runes) > maxShown {
			text = string(runes[:maxShown]) + "…"
		}
		i := slices.IndexFunc(out, func(g Given) bool { return g.Text == text })
		if i < 0 {
			i, out = len(out), append(out, Given{Text: text, Passes: p.Passes(x.Text)})
		}
		out[i].Times++
	}
	slices.SortStableFunc(out, func(a, b Given) int { return cmp.Compare(b.Times, a.Times) })
	return out[:min(len(out), maxGiven)]
}

// shown is a text as it may be shown to people: what is not seen, or turns the direction of what follows, is written out.
func shown(text string) string {
	var out strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			out.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

func shownAll(names []string) (out []string) {
	for _, n := range names {
		out = append(out, shown(n))
	}
	return out
}

// Marshal writes a report as [ParseReport] reads it.
func (r Report) Marshal() ([]byte, error) { return json.Marshal(r, json.Deterministic(true)) }

// ParseReport reads a report.
func ParseReport(raw []byte) (out Report, err error) {
	if err := json.Unmarshal(raw, &out, json.RejectUnknownMembers(true)); err != nil {
		return out, fmt.Errorf("the report of a probe: %w", err)
	}
	if out.Finding.Result == "" {
		return out, errors.New("the report of a probe says no result")
	}
	return out, nil
}
