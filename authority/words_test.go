package authority

import (
	"testing"
	"time"

	"imprimatur.dev/record"
)

func TestSentencesSayWhatMayAndWhatMayNotBeDone(t *testing.T) {
	a := record.Authority{
		Tools:   []record.Grant{{Resource: "acme/support", Actions: []string{"create issues"}, Limit: record.Limit{Calls: 60, Seconds: 60}, Why: "to tell people"}},
		APIs:    []record.Grant{{Resource: "https://api.example/*", Actions: []string{"GET", "HEAD", "POST"}, Condition: "args.n < 3", Limit: record.Limit{Calls: 1, Seconds: 7200}}},
		Records: []record.Grant{{Resource: "*", Actions: []string{"*"}, Until: time.Date(2027, 1, 2, 3, 4, 0, 0, time.UTC)}},
		Models:  []record.Grant{{Resource: "large", Actions: []string{"chat"}, Budget: record.Budget{Unit: "tokens", Amount: 500, Seconds: 3600}}},
		Data:    []record.Grant{{Resource: "cases", Actions: []string{"read"}, Limit: record.Limit{Calls: 0, Seconds: 1}}},
	}
	want := []Sentence{
		{Kind: "access", Text: "may reach no network or account"},
		{Kind: "tools", May: true, Text: "may create issues with the tool acme/support, at most 60 times a minute", Why: "to tell people"},
		{Kind: "apis", May: true, Text: "may GET, HEAD and POST at every API under https://api.example/, only when args.n < 3, at most once in 2 hours"},
		{Kind: "records", May: true, Text: "may do anything in all records, until 2027-01-02 03:04 UTC"},
		{Kind: "secrets", Text: "may use no secrets"},
		{Kind: "models", May: true, Text: "may chat with the model large, at most 500 tokens an hour"},
		{Kind: "data", May: true, Text: "may read from the data cases, never"},
	}
	got := Sentences(a)
	if len(got) != len(want) {
		t.Fatalf("%d sentences, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("sentence %d:\n%+v, want\n%+v", i, got[i], want[i])
		}
	}
}

func TestSpans(t *testing.T) {
	for seconds, want := range map[int]string{1: "a second", 45: "in 45 seconds", 60: "a minute", 90: "in 90 seconds", 120: "in 2 minutes", 3600: "an hour", 86400: "a day", 172800: "in 2 days"} {
		if got := span(seconds); got != want {
			t.Errorf("%d seconds are said %q, want %q", seconds, got, want)
		}
	}
}
