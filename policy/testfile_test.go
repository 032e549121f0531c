package policy

import (
	"strings"
	"testing"
)

func TestReadyPolicies(t *testing.T) {
	if got := strings.Join(ReadyNames(), " "); got != "agentic regulated small-team" {
		t.Fatalf("the ready policies are %s", got)
	}
	for _, name := range ReadyNames() {
		text, _ := Ready(name)
		for _, p := range Lint(text) {
			t.Errorf("%s: %s", name, p)
		}
		tests, ok := ReadyTests(name)
		if !ok {
			t.Fatalf("%s has no tests beside it", name)
		}
		results, err := RunTests(text, tests)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range results {
			if !r.Passed {
				t.Errorf("%s, line %d, %s:\n  %s", name, r.Line, r.Name, strings.Join(r.Faults, "\n  "))
			}
		}
	}
}

func TestTestFileFaults(t *testing.T) {
	for _, c := range []struct{ name, tests, want string }{
		{"a wrong expectation", "{ passed: false }", "passed is true, expected false"},
		{"a wrong result", "{ gates: { rollback: fail } }", "gate rollback is pass, expected fail"},
		{"wrong marks", "{ marks: [advisory] }", "marks are [], expected [advisory]"},
	} {
		results, err := RunTests([]byte(design), []byte("cases: [{ name: x, tier: high, expect: "+c.tests+" }]"))
		if err != nil || len(results) != 1 || results[0].Passed || !strings.HasPrefix(strings.Join(results[0].Faults, ""), c.want) {
			t.Errorf("%s: %v %v", c.name, results, err)
		}
	}
	for _, c := range []struct{ name, tests, want string }{
		{"no cases", "cases: []", "line 1, column 8: cases is empty"},
		{"nothing expected", "cases: [{ name: x, tier: high, expect: {} }]", "line 1, column 40: expect is empty"},
		{"an unknown gate", "cases: [{ name: x, tier: high, expect: { gates: { rolback: pass } } }]", `tier high has no gate "rolback"`},
		{"an unknown tier", "cases: [{ name: x, tier: higher, expect: { passed: true } }]", `policy default has no tier "higher"`},
	} {
		if _, err := RunTests([]byte(design), []byte(c.tests)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	results, err := RunTests([]byte(design), []byte("cases: [{ name: x, tier: high, change: { /runs/0/recrod/x: 1 }, expect: { passed: true } }]"))
	if err != nil || results[0].Passed || !strings.Contains(results[0].Faults[0], "do not fit a dossier") {
		t.Errorf("a misspelt path: %v %v", results, err)
	}
}
