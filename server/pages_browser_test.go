package server_test

import (
	"testing"

	"imprimatur.dev/server/browsertest"
)

func TestPagesOfThingsAreAccessible(t *testing.T) {
	c := told(t)
	rules := axe(t)
	v := visit(t, c.house)
	v.signIn("administrator")
	v.accessible(rules, "/people/enrol", "/principals/viewer/roles", "/principals/viewer/invite", "/principals/model-owner/offboard?to=engineer", "/releases/"+c.open+"/promote")
	v.Follow("form[action='/sign-out'] button")
	v.signIn("security-officer")
	v.accessible(rules,
		"/live", "/live?at=2026-01-01T00:00:00", "/live/"+c.live+"/suspend", "/live/"+c.live+"/rollback", "/models", "/models/clinic/breast-mass",
		"/models/clinic/breast-mass?version=1", "/versions", "/datasets", "/data/clinic/holdout", "/runs", "/runs/clinic/train-1", "/use-cases",
		"/use-cases/clinic/second-reading", "/people", "/workloads", "/inventory", "/inventory?finding=any", "/principals/training-pipeline", "/principals/security-officer", "/policies", "/policies/clinical", "/policy-draft", "/ledger", "/ledger/40")
	v.Messages()
	drawsDrift(t, v.Browser, rules)
}

// accessible looks at pages, on a laptop and a phone by turns, light and dark.
func (v *visited) accessible(rules string, paths ...string) {
	t := v.house
	t.Helper()
	for i, path := range paths {
		width := int64(390)
		if i%2 == 0 {
			width = 1280
		}
		v.Scheme([]string{"light", "dark"}[i/2%2])
		v.Size(width, 900)
		v.Go(v.at.String() + path)
		for _, found := range v.faults(rules) {
			t.Errorf("%s, %d pixels: %s (%s): %s: %+v", path, width, found.ID, found.Impact, found.Help, found.Nodes)
		}
		if wide := browsertest.Evaluate[int](v.Browser, "document.documentElement.scrollWidth"); int64(wide) > width {
			t.Errorf("%s is %d pixels wide in a window of %d", path, wide, width)
		}
	}
}

func TestBrowserChecksAProofItself(t *testing.T) {
	h := settle(t)
	c := h.ready("1")
	v := visit(t, h)
	v.signIn("vic")
	for _, index := range []string{"0", "30"} {
		v.Go(v.at.String() + "/ledger/" + index)
		v.Click(".check-here button")
		v.Wait("#proof-steps li:nth-child(4)")
		if n := browsertest.Evaluate[int](v.Browser, "document.querySelectorAll('#proof-steps .holds').length"); n != 4 {
			t.Errorf("of entry %s %d checks hold:\n%s", index, n, v.Text("#proof-steps"))
		}
	}
	v.Type("#proof-key", "imprimatur.dev/log-00000000+d3b21ef2+Af0KGidceI8WDjIOqw4mDZInulau5")
	v.Click(".check-here button")
	v.Wait("#proof-steps .fails")
	if c.Release.Index < 30 {
		t.Errorf("the ledger has %d entries", c.Release.Index)
	}
	v.seesAChangedProbe(axe(t))
	v.Messages()
}
