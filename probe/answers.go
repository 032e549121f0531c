package probe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/record"
)

// Limits of the answers of one run.
const (
	MaxAnswers = 64 << 20 // bytes of the file
	MaxAnswer  = 64 << 10 // bytes of one answer; a prober cuts off what is longer
	maxName    = 256      // characters of a model's name or a fingerprint
)

// Run is what a model answered to a suite once.
type Run struct {
	// Suite is the digest of the suite's text.
	Suite record.Digest `json:"suite"`
	// Vendor is "team/name", Model the ID that was asked for.
	Vendor     string    `json:"vendor"`
	Model      string    `json:"model"`
	APIVersion string    `json:"apiVersion,omitzero"`
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished"`
	// Prompts are in the order of the suite.
	Prompts []Answered `json:"prompts"`
}

// Answered are the answers to one prompt.
type Answered struct {
	ID      string   `json:"id"`
	Answers []Answer `json:"answers"`
}

// Answer is one answer, or why there is none.
type Answer struct {
	Text string `json:"text,omitzero"`
	// Model is what the answer calls itself, System the fingerprint that it says.
	Model  string `json:"model,omitzero"`
	System string `json:"system,omitzero"`
	// Error says why there is no answer.
	Error string `json:"error,omitzero"`
}

// Marshal writes a run as [ParseRun] reads it.
func (r *Run) Marshal() ([]byte, error) { return json.Marshal(r, json.Deterministic(true)) }

// ParseRun reads the answers of a run of a suite, strictly: every prompt of the suite, in its order, and
// nothing else.
func ParseRun(s *Suite, raw []byte) (*Run, error) {
	if len(raw) > MaxAnswers {
		return nil, fmt.Errorf("the answers are longer than %d bytes", MaxAnswers)
	}
	r := &Run{}
	if err := json.Unmarshal(raw, r, json.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(false)); err != nil {
		return nil, fmt.Errorf("the answers: %w", err)
	}
	switch {
	case r.Suite != s.Digest:
		return nil, fmt.Errorf("the answers are to the suite %s, and this is %s", r.Suite.Short(), s.Digest.Short())
	case r.Started.IsZero() || r.Finished.Before(r.Started):
		return nil, errors.New("the answers do not say when they were given: finished is before started, or started is missing")
	case len(r.Prompts) != len(s.Prompts):
		return nil, fmt.Errorf("the answers are to %d prompts, and the suite has %d", len(r.Prompts), len(s.Prompts))
	}
	for i, p := range r.Prompts {
		if p.ID != s.Prompts[i].ID {
			return nil, fmt.Errorf("prompt %d of the answers is %.40q, and of the suite %q", i+1, p.ID, s.Prompts[i].ID)
		}
		if len(p.Answers) > MaxBaseline {
			return nil, fmt.Errorf("the prompt %s has %d answers, more than %d", p.ID, len(p.Answers), MaxBaseline)
		}
		for _, a := range p.Answers {
			if err := a.check(); err != nil {
				return nil, fmt.Errorf("the prompt %s: %w", p.ID, err)
			}
		}
	}
	return r, nil
}

func (a Answer) check() error {
	switch {
	case a.Error != "" && a.Text != "":
		return errors.New("an answer has both a text and an error")
	case len(a.Text) > MaxAnswer || len(a.Error) > MaxAnswer:
		return fmt.Errorf("an answer is longer than %d bytes", MaxAnswer)
	case len([]rune(a.Model)) > maxName || len([]rune(a.System)) > maxName:
		return fmt.Errorf("a name is longer than %d characters", maxName)
	}
	return nil
}

// given are the answers that were given.
func (p Answered) given() (out []Answer) {
	for _, a := range p.Answers {
		if a.Error == "" {
			out = append(out, a)
		}
	}
	return out
}

// Names returns the names that the answers call themselves, in order.
func (r *Run) Names() []string { return r.all(func(a Answer) string { return a.Model }) }

// Systems returns the fingerprints that the answers say, in order.
func (r *Run) Systems() []string { return r.all(func(a Answer) string { return a.System }) }

func (r *Run) all(of func(Answer) string) []string {
	seen := map[string]bool{}
	for _, p := range r.Prompts {
		for _, a := range p.given() {
			if name := of(a); name != "" {
				seen[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Count says how many answers were given, and how many are missing.
func (r *Run) Count() (given, missing int) {
	for _, p := range r.Prompts {
		got := len(p.given())
		given, missing = given+got, missing+len(p.Answers)-got
	}
	return given, missing
}

// Few says which prompts have fewer than half of the answers that were wanted of each, and why; it is empty where there are
// none.
func (r *Run) Few(wanted int) string {
	var few []string
	reason := ""
	for _, p := range r.Prompts {
		if 2*len(p.given()) < wanted {
			few = append(few, p.ID)
		}
		for _, a := range p.Answers {
			if a.Error != "" && reason == "" {
				reason = ": " + shown(a.Error)
			}
		}
	}
	if len(few) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d prompts have fewer than half of %d answers (%s)%s", len(few), len(r.Prompts), wanted, strings.Join(few[:min(len(few), 5)], ", "), reason)
}

// Fingerprint is the digest of what a run showed: the suite, the names and fingerprints that the answers say, and of each
// prompt how many answers passed, and how often each answer was given. It names a run that was accepted; since answers
// vary, another run of the same model has another, and [Compare] says whether the two are of one model.
func (r *Run) Fingerprint(s *Suite) (record.Digest, error) {
	type prompt struct {
		ID      string         `json:"id"`
		Passed  int            `json:"passed"`
		Answers map[string]int `json:"answers"`
	}
	out := struct {
		Suite      record.Digest `json:"suite"`
		Vendor     string        `json:"vendor"`
		Model      string        `json:"model"`
		APIVersion string        `json:"apiVersion"`
		Names      []string      `json:"names"`
		Systems    []string      `json:"systems"`
		Prompts    []prompt      `json:"prompts"`
	}{s.Digest, r.Vendor, r.Model, r.APIVersion, r.Names(), r.Systems(), nil}
	for i, p := range r.Prompts {
		x := prompt{ID: p.ID, Answers: map[string]int{}}
		for _, a := range p.given() {
			x.Answers[record.DigestOf([]byte(plain(a.Text))).Hex()]++
			if s.Prompts[i].Passes(a.Text) {
				x.Passed++
			}
		}
		out.Prompts = append(out.Prompts, x)
	}
	raw, err := record.CanonicalOf(out)
	if err != nil {
		return "", fmt.Errorf("writing the fingerprint: %w", err)
	}
	return record.DigestOf(raw), nil
}
