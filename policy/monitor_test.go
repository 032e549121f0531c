package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"imprimatur.dev/drift"
)

// TestMonitorIsRead reads every member of the section, and the defaults of none.
func TestMonitorIsRead(t *testing.T) {
	with := func(section string) Monitor {
		t.Helper()
		return mustLoad(t, strings.Replace(design, "    rollback: ready", section, 1)).Tier("high").MonitorOf()
	}
	if diff := cmp.Diff(DefaultMonitor(), with("    rollback: ready"), cmpopts.IgnoreUnexported(Monitor{})); diff != "" {
		t.Errorf("a tier that says nothing: %s", diff)
	}
	got := with(`    monitor:
      window: 1h
      lateness: none
      silence: 3
      alpha: 0.05
      correction: benjamini-hochberg
      minCount: 100
      bins: 20
      limits: { psi: 0.1, missing: 0.03, unseen: 0.04, outside: 0.05 }
      alarm: { need: 3, of: 5 }
      performance: { suite: holdout, metric: accuracy, noWorseThan: 0.02, labels: 7d }
      raw: keep`)
	want := Monitor{
		Window: time.Hour, Silence: 3, Raw: true, Performance: &Performance{Suite: "holdout", Metric: "accuracy", Margin: 0.02, Labels: 7 * 24 * time.Hour},
		Settings: drift.Settings{
			Alpha: 0.05, Correction: drift.BenjaminiHochberg, MinCount: 100, Bins: 20,
			PSILimit: 0.1, MissingLimit: 0.03, UnseenLimit: 0.04, OutsideLimit: 0.05, Need: 3, Of: 5,
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Monitor{})); diff != "" {
		t.Error(diff)
	}
}

// TestFaultsOfAMonitor has a fault a line, each said where it stands.
func TestFaultsOfAMonitor(t *testing.T) {
	for member, want := range map[string]string{
		"windows: 1h":                          `monitor has no member "windows"; it has window, lateness, alpha`,
		"window: 30s":                          `window "30s" is not a length of time such as 90m, 12h, 30d or 2w`,
		"window: 400d":                         "window is not from 1m to 366d",
		"window: 1":                            `window "1" is not a length of time`,
		"window: [1h]":                         "window is not a length of time",
		"lateness: 10s":                        `lateness "10s" is not a length of time`,
		"lateness: never":                      `lateness "never" is not a length of time`,
		"silence: 0":                           "silence is not a whole number from 1 to 1000",
		"silence: -1":                          "silence is not a whole number from 1 to 1000",
		"silence: 1001":                        "silence is not a whole number from 1 to 1000",
		"silence: 1d":                          "silence is not a whole number from 1 to 1000",
		"alpha: 0":                             "alpha is not above 0",
		"alpha: 1":                             "alpha is not below 1",
		"alpha: small":                         "alpha is not a finite number",
		"correction: bonferroni":               `correction "bonferroni" is not one of holm, benjamini-hochberg`,
		"minCount: 19":                         "minCount is not a whole number from 20 to",
		"bins: 1":                              "bins is not a whole number from 2 to 254",
		"bins: 255":                            "bins is not a whole number from 2 to 254",
		"limits: { psi: 0 }":                   "psi is not above 0",
		"limits: { missing: 1 }":               "missing is not below 1",
		"limits: { unseen: -0.1 }":             "unseen is not above 0",
		"limits: { outside: NaN }":             "outside is not a finite number",
		"limits: { ks: 0.1 }":                  `limits has no member "ks"; it has psi, missing, unseen, outside`,
		"alarm: { need: 4, of: 3 }":            "alarm needs 4 breaches of 3 windows; it must be that many at most",
		"alarm: { need: 2 }":                   `alarm lacks "of"`,
		"alarm: { need: 0, of: 1 }":            "need is not a whole number from 1 to 1000",
		"raw: drop":                            `raw "drop" is not one of keep`,
		"performance: { suite: s, metric: m }": `performance lacks "noWorseThan"`,
		"performance: { suite: s, metric: m, noWorseThan: 1 }":                  "noWorseThan is not from 0 to below 1",
		"performance: { suite: s, metric: m, noWorseThan: 0, labels: 500d }":    "labels is not from 1m to 400d",
		"performance: { suite: s, metric: m, noWorseThan: 0.01, margin: 0.02 }": `performance has no member "margin"`,
	} {
		_, err := Load([]byte(strings.Replace(design, "    rollback: ready", "    monitor:\n      "+member, 1)))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 32, column ") {
			t.Errorf("%s: %v, want %q with its line", member, err, want)
		}
	}
}
