package policy_test

import (
	"strings"
	"testing"

	"imprimatur.dev/policy"
)

func TestCompareNamesEveryChangedRule(t *testing.T) {
	text, ok := policy.Ready(policy.ReadyNames()[0])
	if !ok {
		t.Fatal("there is no ready policy")
	}
	older, err := policy.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := policy.Compare(older, older); len(got) != 0 {
		t.Errorf("a policy differs from itself: %+v", got)
	}
	last := older.Tiers[len(older.Tiers)-1]
	changed, err := policy.Load([]byte(strings.Replace(string(text), "rollback: ready", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	gone := 0
	for _, c := range policy.Compare(older, changed) {
		if c.Gate != "rollback" || c.Is != "" || c.Was == "" {
			t.Errorf("%+v", c)
		}
		gone++
	}
	if want := strings.Count(string(text), "rollback: ready"); (want > 0) != (gone > 0) {
		t.Errorf("%d rules are gone of a policy with %d: %s", gone, want, last.Name)
	}
	for _, rules := range older.Sentences() {
		if len(rules.Rules) < 5 {
			t.Errorf("the tier %s is said in %d rules", rules.Tier, len(rules.Rules))
		}
		for _, r := range rules.Rules {
			if r.Rule == "" || strings.HasPrefix(r.Rule, "Policy ") {
				t.Errorf("the gate %s is said as %q", r.Gate, r.Rule)
			}
		}
	}
}
