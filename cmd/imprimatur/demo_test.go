package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"imprimatur.dev/demo"
	"imprimatur.dev/policy"
	"imprimatur.dev/record"
)

func none(string) string { return "" }

func TestDemoComesOutAsTold(t *testing.T) {
	var out, wrong bytes.Buffer
	if code := run(t.Context(), []string{"demo", "--once", "--json"}, none, strings.NewReader(""), &out, &wrong); code != exitYes {
		t.Fatalf("exit %d:\n%s%s", code, out.String(), wrong.String())
	}
	steps := jsontext.NewDecoder(&out)
	var chapters []int
	for {
		var s demo.Step
		if err := json.UnmarshalDecode(steps, &s); err != nil {
			break
		}
		if !s.OK {
			t.Errorf("not as told: %s\n%s", s.Sentence, strings.Join(s.Details, "\n"))
		}
		chapters = append(chapters, s.Chapter)
	}
	if got := slices.Compact(slices.Clone(chapters)); !slices.Equal(got, []int{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("the chapters told are %v", got)
	}
	if len(chapters) < 20 {
		t.Errorf("%d steps were told, want one for each thing that happens", len(chapters))
	}
}

// Every command that a gate tells somebody to type is one that the command line
// knows, with its arguments and flags.
func TestRule12CommandsInRefusalsAreRealOnes(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	seen := map[string]bool{}
	for _, name := range policy.ReadyNames() {
		text, _ := policy.Ready(name)
		p, err := policy.Load(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, tier := range p.Tiers {
			for _, g := range refusals(p, tier.Name, at) {
				if g.Do != "" && !seen[g.Do] {
					seen[g.Do] = true
					parses(t, g.Name, g.Do)
				}
			}
		}
	}
	if len(seen) < 6 {
		t.Errorf("only %d commands were seen", len(seen))
	}
}

// refusals are the gates of a release about which nothing was supplied.
func refusals(p *policy.Policy, tier string, at time.Time) []record.Gate {
	bare := p.Example(tier, at)
	bare.Runs, bare.Evaluations, bare.Approvals = nil, nil, nil
	for i := range bare.Datasets {
		bare.Datasets[i].Approvals = nil
	}
	gates := p.Evaluate(bare, at).Blocking()
	empty := p.Example(tier, at)
	empty.Environment, empty.UseCase, empty.Datasets = record.Recorded[record.Environment]{}, record.Recorded[record.UseCase]{}, nil
	empty.Version.Record.Findings = []record.Finding{{File: "m.pkl", Type: "pickle", Detail: "x"}}
	return append(gates, p.Evaluate(empty, at).Blocking()...)
}

func parses(t *testing.T, gate, command string) {
	t.Helper()
	fields := strings.Fields(command)
	if len(fields) < 3 || fields[0] != "imprimatur" {
		t.Errorf("%s: %q is no command of this program", gate, command)
		return
	}
	for i, f := range fields {
		switch f {
		case "DATE":
			fields[i] = "2027-01-01"
		case "upheld|reversed":
			fields[i] = record.Upheld
		}
	}
	var cli commands
	a := newApp(t.Context(), none, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	parser, err := newParser(&cli, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(fields[1:]); err != nil {
		t.Errorf("%s: %q does not parse: %v", gate, command, err)
	}
}
