package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"imprimatur.dev/record"
)

// TestResult is the outcome of one case of a test file.
type TestResult struct {
	Name   string `json:"name"`
	Line   int    `json:"line"`
	Passed bool   `json:"passed"`
	// Faults say what differed from what was expected.
	Faults []string `json:"faults,omitzero"`
	// Verdict is what the policy said.
	Verdict record.Verdict `json:"verdict"`
}

// testCase is one case of a test file.
type testCase struct {
	name, tier    string
	at            time.Time
	change, after []edit
	gates         map[string]record.Result
	passed        *bool
	marks         []string
	wantsMarks    bool
	where         position
}

// RunTests runs the test file beside a policy. A case starts from the tier's
// [Policy.Example], makes changes to it, and says what is expected:
//
//	cases:
//	  - name: stale evidence does not pass
//	    tier: high
//	    at: 2026-09-01                                   # the example is made for 2026-06-01
//	    change:
//	      /runs/run-1/record/code/dirty: true
//	      /evaluations/holdout/record/metrics/roc_auc/n: 20
//	    afterApproval:
//	      /release/record/behaviour/version: "3"
//	    expect:
//	      passed: false
//	      gates: { lineage/code: fail }
//	      marks: [first release]
//
// A path leads through the dossier's fields in any case; an item of a list is
// named by its number, by "-" for one more, or by its name, ID, suite, role,
// resource or actor. A null takes a member away. What is under change was so
// when the approvers looked; what is under afterApproval came later. Gates that
// are not named may say anything.
func RunTests(policyText, testText []byte) ([]TestResult, error) {
	p, err := Load(policyText)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	r := &reader{}
	cases := r.testCases(r.document(testText), p)
	if err := r.err(); err != nil {
		return nil, fmt.Errorf("reading the tests: %w", err)
	}
	results := make([]TestResult, len(cases))
	for i, c := range cases {
		results[i] = c.run(p)
	}
	return results, nil
}

// exampleTime is when the examples of test files are made.
var exampleTime = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func (r *reader) testCases(root *yaml.Node, p *Policy) (cases []testCase) {
	if root == nil {
		return nil
	}
	r.mapping(root, "the test file", need("cases", func(n *yaml.Node) {
		r.list(n, "cases", func(n *yaml.Node) { cases = append(cases, r.testCase(n, p)) })
		if len(n.Content) == 0 {
			r.failf(at(n), "cases is empty: nothing would be tested")
		}
	}))
	return cases
}

func (r *reader) testCase(n *yaml.Node, p *Policy) testCase {
	c := testCase{at: exampleTime, where: at(n)}
	r.mapping(n, "a case",
		need("name", func(n *yaml.Node) { c.name = r.text(n, "name") }),
		need("tier", func(n *yaml.Node) {
			if c.tier = r.text(n, "tier"); p.Tier(c.tier) == nil {
				r.failf(at(n), "policy %s has no tier %q", p.Name, c.tier)
			}
		}),
		may("at", func(n *yaml.Node) { c.at = r.time(n, "at") }),
		may("change", func(n *yaml.Node) { c.change = r.edits(n) }),
		may("afterApproval", func(n *yaml.Node) { c.after = r.edits(n) }),
		need("expect", func(n *yaml.Node) { r.expect(n, &c, p) }),
	)
	return c
}

func (r *reader) expect(n *yaml.Node, c *testCase, p *Policy) {
	r.mapping(n, "expect",
		may("passed", func(n *yaml.Node) {
			passed := r.truth(n, "passed")
			c.passed = &passed
		}),
		may("gates", func(n *yaml.Node) {
			c.gates = map[string]record.Result{}
			r.members(n, "gates", func(key, value *yaml.Node) {
				if t := p.Tier(c.tier); t != nil && !t.Judges(key.Value) && key.Value != gateTier {
					r.failf(at(key), "tier %s has no gate %q; it has %s", c.tier, key.Value, list(t.Gates()))
				}
				c.gates[key.Value] = record.Result(r.oneOf(value, "a result", string(record.Pass), string(record.Fail),
					string(record.Inconclusive), string(record.Invalid), string(record.Missing), string(record.Waived)))
			})
		}),
		may("marks", func(n *yaml.Node) {
			c.wantsMarks = true
			r.list(n, "marks", func(n *yaml.Node) { c.marks = append(c.marks, r.text(n, "a mark")) })
		}),
	)
	if c.passed == nil && c.gates == nil && !c.wantsMarks {
		r.failf(at(n), "expect is empty: the case could not fail")
	}
}

// time reads a date or an RFC 3339 time, in UTC.
func (r *reader) time(n *yaml.Node, what string) time.Time {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, n.Value); n.Kind == yaml.ScalarNode && err == nil {
			return t.UTC()
		}
	}
	r.failf(at(n), "%s is not a date such as 2026-06-01 or a time such as 2026-06-01T12:00:00Z", what)
	return exampleTime
}

func (c *testCase) run(p *Policy) TestResult {
	result := TestResult{Name: c.name, Line: c.where.line}
	d, err := c.dossier(p)
	if err != nil {
		result.Faults = []string{err.Error()}
		return result
	}
	v := p.Evaluate(d, c.at)
	result.Verdict = v
	if c.passed != nil && *c.passed != v.Passed {
		result.Faults = append(result.Faults, fmt.Sprintf("passed is %t, expected %t%s", v.Passed, *c.passed, blockers(v)))
	}
	for _, name := range slices.Sorted(maps.Keys(c.gates)) {
		i := slices.IndexFunc(v.Gates, func(g record.Gate) bool { return g.Name == name })
		switch {
		case i < 0:
			result.Faults = append(result.Faults, fmt.Sprintf("the gate %s was not judged", name))
		case v.Gates[i].Result != c.gates[name]:
			result.Faults = append(result.Faults, fmt.Sprintf("gate %s is %s, expected %s: %s", name, v.Gates[i].Result, c.gates[name], v.Gates[i].Reason))
		}
	}
	if c.wantsMarks && !slices.Equal(c.marks, v.Marks) {
		result.Faults = append(result.Faults, fmt.Sprintf("marks are [%s], expected [%s]", strings.Join(v.Marks, ", "), strings.Join(c.marks, ", ")))
	}
	result.Passed = len(result.Faults) == 0
	return result
}

func blockers(v record.Verdict) string {
	text := ""
	for _, g := range v.Blocking() {
		text += fmt.Sprintf("; %s is %s: %s", g.Name, g.Result, g.Reason)
	}
	return text
}
