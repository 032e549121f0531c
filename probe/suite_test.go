package probe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imprimatur.dev/probe"
	"imprimatur.dev/record"
)

const head = "apiVersion: imprimatur/v1\nkind: ProbeSuite\nname: s\n"

func TestSuitesAreReadStrictly(t *testing.T) {
	one := "prompts: [{id: a, prompt: Q, score: {exact: x}}]\n"
	for text, says := range map[string]string{
		"":                           "empty",
		"kind: x":                    "does not say apiVersion",
		head:                         "has 0 prompts",
		head + one + "extra: 1\n":    "unknown",
		head + one + "---\n" + head:  "second document",
		head + "name: t\n" + one:     "name",
		head + "repeats: 1\n" + one:  "repeats 1 is outside 2 to 50",
		head + "baseline: 2\n" + one: "baseline 2 is outside",
		head + "repeats: 3\nbaseline: 12\n" + one:                                                        "cannot be told from chance",
		head + "falseAlarm: 0.5\n" + one:                                                                 "falseAlarm 0.5 is outside",
		head + "falseAlarm: .nan\n" + one:                                                                "",
		head + "prompts: [{id: A, prompt: Q, score: {exact: x}}]":                                        "its id is not a name",
		head + "prompts: [{id: a, prompt: ' ', score: {exact: x}}]":                                      "asks nothing",
		head + "prompts: [{id: a, prompt: Q, score: {}}]":                                                "not exactly one",
		head + "prompts: [{id: a, prompt: Q, score: {exact: x, refusal: true}}]":                         "not exactly one",
		head + "prompts: [{id: a, prompt: Q, score: {number: 4}}]":                                       "not exactly one",
		head + "prompts: [{id: a, prompt: Q, score: {number: 4, within: 0}}]":                            "within is not more than nothing",
		head + "prompts: [{id: a, prompt: Q, score: {regex: '(?=x)'}}]":                                  "its regex",
		head + "prompts: [{id: a, prompt: Q, score: {schema: {type: 7}}}]":                               "its schema",
		head + "prompts: [{id: a, prompt: Q, score: {schema: {$ref: 'http://x/y'}}}]":                    "nothing is fetched",
		head + "prompts: [{id: a, prompt: Q, maxTokens: -1, score: {exact: x}}]":                         "maxTokens -1",
		head + "prompts: [{id: a, prompt: Q, temperature: 3, score: {exact: x}}]":                        "temperature is outside",
		head + "prompts: [&x {id: a, prompt: Q, score: {exact: x}}, *x]":                                 "anchors and aliases",
		head + "prompts: [{id: a, prompt: Q, score: {exact: x}}, {id: a, prompt: R, score: {exact: y}}]": "which another one has",
		head + "prompts: [{id: a, prompt: 2026-01-01, score: {exact: x}}]":                               "in quotes",
		"\xff": "UTF-8",
	} {
		if _, err := probe.ParseSuite([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", text, err, says)
		}
	}
	s, err := probe.ParseSuite([]byte(head + one))
	if err != nil {
		t.Fatal(err)
	}
	if s.Repeats != 5 || s.Baseline != 20 || s.FalseAlarm != 0.001 || s.Prompts[0].MaxTokens != 256 || s.Digest != record.DigestOf([]byte(head+one)) {
		t.Errorf("read as %+v", s)
	}
	asJSON := `{"apiVersion":"imprimatur/v1","kind":"ProbeSuite","name":"s","prompts":[{"id":"a","prompt":"Q","score":{"exact":"x"}}]}`
	if _, err := probe.ParseSuite([]byte(asJSON)); err != nil {
		t.Errorf("as JSON: %v", err)
	}
}

// passed says which of some answers pass, by the counts of one run against itself.
func passed(t *testing.T, score, answer string) bool {
	t.Helper()
	s, err := probe.ParseSuite([]byte(head + "prompts: [{id: a, prompt: Q, score: " + score + "}]"))
	if err != nil {
		t.Fatal(err)
	}
	return s.Prompts[0].Passes(answer)
}

func TestScorers(t *testing.T) {
	for _, c := range []struct {
		score, answer string
		want          bool
	}{
		{"{exact: Paris}", " Paris\n", true},
		{"{exact: Paris}", "Paris.", false},
		{"{regex: '(?i)^paris'}", "PARIS, of course", true},
		{"{regex: '^Paris$'}", "It is Paris", false},
		{"{number: 42, within: 0.5}", "Of the 7 it is 42.4.", true},
		{"{number: 1200, within: 1}", "1,200", true},
		{"{number: 42, within: 0.5}", "43", false},
		{"{number: 42, within: 0.5}", "no idea", false},
		{"{schema: {type: object, required: [a]}}", "```json\n{\"a\": 1}\n```", true},
		{"{schema: {type: object, required: [a]}}", `{"b": 1}`, false},
		{"{schema: {type: object}}", "not JSON", false},
		{"{refusal: true}", "I’m sorry, but I can’t help with that.", true},
		{"{refusal: true}", "Certainly: first,", false},
		{"{refusal: false}", "Certainly: first,", true},
	} {
		if got := passed(t, c.score, c.answer); got != c.want {
			t.Errorf("%s of %q: %t", c.score, c.answer, got)
		}
	}
}

func small(t testing.TB) (*probe.Suite, *probe.Run) {
	t.Helper()
	s, err := probe.ParseSuite([]byte(head + "repeats: 3\nbaseline: 12\nfalseAlarm: 0.1\nprompts: [{id: a, prompt: Q, score: {exact: x}}, {id: b, prompt: R, score: {number: 4, within: 1}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	return s, &probe.Run{Suite: s.Digest, Vendor: "lab/parrot", Model: "chat-2", Started: at, Finished: at.Add(time.Second), Prompts: []probe.Answered{
		{ID: "a", Answers: []probe.Answer{{Text: "x", Model: "chat-2", System: "fp"}, {Text: "y", Model: "chat-2"}}},
		{ID: "b", Answers: []probe.Answer{{Text: "4", Model: "chat-2"}, {Error: "the connection was cut"}}},
	}}
}

func TestRunsAreReadStrictly(t *testing.T) {
	s, r := small(t)
	raw, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := probe.ParseRun(s, raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Error(diff)
	}
	long := strings.Repeat("z", probe.MaxAnswer+1)
	for what, text := range map[string]string{
		"unknown":                      strings.Replace(string(raw), `"vendor"`, `"seller"`, 1),
		"duplicate":                    strings.Replace(string(raw), `"model":"chat-2"`, `"model":"chat-2","model":"chat-3"`, 1),
		"the answers are to the suite": strings.Replace(string(raw), s.Digest.Hex()[:8], "00000000", 1),
		"is \"c\"":                     strings.Replace(string(raw), `"id":"b"`, `"id":"c"`, 1),
		"both a text and an error":     strings.Replace(string(raw), `"text":"4"`, `"text":"4","error":"x"`, 1),
		"longer than 65536":            strings.Replace(string(raw), `"text":"4"`, `"text":"`+long+`"`, 1),
		"when they were given":         strings.Replace(string(raw), "2026-06-01T00:00:00Z", "2027-06-01T00:00:00Z", 1),
		"the answers:":                 string(raw[:len(raw)/2]),
	} {
		if _, err := probe.ParseRun(s, []byte(text)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The fingerprint is of what was seen: not of when, and not of the order of answers.
func TestFingerprint(t *testing.T) {
	s, r := small(t)
	first := fingerprint(t, s, r)
	r.Started = r.Started.Add(-time.Hour)
	r.Prompts[0].Answers[0], r.Prompts[0].Answers[1] = r.Prompts[0].Answers[1], r.Prompts[0].Answers[0]
	if fingerprint(t, s, r) != first {
		t.Error("another time or order is another fingerprint")
	}
	for what, change := range map[string]func(*probe.Run){
		"an answer": func(r *probe.Run) { r.Prompts[0].Answers[0].Text = "z" },
		"a name":    func(r *probe.Run) { r.Prompts[0].Answers[0].Model = "chat-3" },
		"a system":  func(r *probe.Run) { r.Prompts[0].Answers[0].System = "fp2" },
		"the model": func(r *probe.Run) { r.Model = "chat-3" },
	} {
		_, other := small(t)
		change(other)
		if fingerprint(t, s, other) == first {
			t.Errorf("with another %s the fingerprint is the same", what)
		}
	}
}

func fingerprint(t *testing.T, s *probe.Suite, r *probe.Run) record.Digest {
	t.Helper()
	d, err := r.Fingerprint(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// FuzzParseSuite: what is read is within its limits, and is read again the same.
func FuzzParseSuite(f *testing.F) {
	f.Add([]byte(head + "prompts: [{id: a, prompt: Q, score: {exact: x}}]\n"))
	f.Add([]byte(head + "prompts: [{id: a, prompt: Q, score: {schema: {type: object}}}, {id: b, prompt: Q, score: {number: 1, within: 2}}]\n"))
	f.Add([]byte(`{"apiVersion":"imprimatur/v1","kind":"ProbeSuite","name":"s","prompts":[{"id":"a","prompt":"Q","score":{"regex":"a+"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := probe.ParseSuite(text)
		if err != nil {
			return
		}
		if len(s.Prompts) == 0 || len(s.Prompts) > probe.MaxPrompts || s.Repeats < 2 || s.Baseline < s.Repeats || s.FalseAlarm <= 0 {
			t.Fatalf("read as %+v", s)
		}
		for _, p := range s.Prompts {
			p.Passes(string(text))
		}
	})
}

// FuzzParseRun: what is read can be compared, and written and read again.
func FuzzParseRun(f *testing.F) {
	s, r := small(f)
	raw, err := r.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := probe.ParseRun(s, raw)
		if err != nil {
			return
		}
		if found := probe.Compare(s, r, []*probe.Run{got}, got); found.P <= 0 || found.P > 1 || found.Result == "" || found.Detail == "" {
			t.Fatalf("found %+v", found)
		}
		again, err := got.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := probe.ParseRun(s, again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, back); diff != "" {
			t.Fatal(diff)
		}
	})
}
