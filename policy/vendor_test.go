package policy_test

import (
	"strings"
	"testing"
	"time"

	"imprimatur.dev/policy"
	"imprimatur.dev/record"
)

const vendorRules = `apiVersion: imprimatur/v1
kind: Policy
name: bought
tiers:
  high:
    vendor:
      assurance: [soc-2, dpa]
      clauses:
        - sub-processors
        - { clause: model-change-notice, atLeast: 30d }
        - { clause: retention, atMost: 7d }
`

var vendorNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// judgeVendor changes the example and returns the gate on vendors.
func judgeVendor(t *testing.T, at time.Time, change func(*record.Dossier)) record.Gate {
	t.Helper()
	p, err := policy.Load([]byte(vendorRules))
	if err != nil {
		t.Fatal(err)
	}
	d := p.Example("high", vendorNow)
	change(d)
	for _, g := range p.Evaluate(d, at).Gates {
		if g.Name == "vendor" {
			return g
		}
	}
	t.Fatal("no gate on vendors")
	return record.Gate{}
}

func TestVendorGate(t *testing.T) {
	soon := vendorNow.Add(10 * 24 * time.Hour)
	restate := func(d *record.Dossier, i int, change func(*record.Assurance)) {
		v := &d.Vendors[0]
		x := v.Assurances[i]
		x.Record.Clauses = append([]record.Clause(nil), x.Record.Clauses...)
		change(&x.Record)
		v.Assurances = append(v.Assurances, x)
	}
	for name, c := range map[string]struct {
		change func(*record.Dossier)
		at     time.Time
		result record.Result
		says   string
		do     string
	}{
		"all stands": {change: func(*record.Dossier) {}, result: record.Pass, says: "What is asked of parrot stands."},
		"a document lapses": {at: soon, change: func(d *record.Dossier) {
			restate(d, 1, func(a *record.Assurance) { a.Expires = soon })
		}, result: record.Missing, says: "the dpa of Parrot lapsed on 2026-06-11 12:00 UTC; pat renews it", do: "imprimatur vendor assure acme/parrot FILE --type dpa "},
		"another takes its place": {at: soon, change: func(d *record.Dossier) {
			d.Vendors[0].Assurances[1].Record.Expires = soon
			restate(d, 1, func(a *record.Assurance) {
				a.Document.Digest, a.Expires = record.DigestOf([]byte("next")), soon.Add(time.Hour)
			})
		}, result: record.Pass, says: "stands"},
		"one is withdrawn": {change: func(d *record.Dossier) {
			restate(d, 0, func(a *record.Assurance) { a.Withdrawn, a.Reason = true, "the auditor qualified it" })
		}, result: record.Missing, says: "the soc-2 of Parrot was withdrawn: the auditor qualified it"},
		"one is withdrawn later": {change: func(d *record.Dossier) {
			restate(d, 0, func(a *record.Assurance) { a.Withdrawn, a.Reason = true, "qualified" })
			d.Vendors[0].Assurances[2].Time = vendorNow.Add(time.Hour)
		}, result: record.Pass, says: "stands"},
		"it speaks from tomorrow": {change: func(d *record.Dossier) {
			d.Vendors[0].Assurances[1].Record.Issued = vendorNow.Add(24 * time.Hour)
		}, result: record.Missing, says: "the dpa of Parrot speaks from 2026-06-02"},
		"notice is short": {change: func(d *record.Dossier) {
			days := 14
			restate(d, 0, func(a *record.Assurance) { a.Clauses[1].Days = &days })
		}, result: record.Missing, says: "the soc-2 of Parrot gives 14 days on model-change-notice of at least 30 days", do: "--clause model-change-notice=yes@WHERE"},
		"no days": {change: func(d *record.Dossier) {
			restate(d, 0, func(a *record.Assurance) { a.Clauses[2].Days = nil })
		}, result: record.Missing, says: "gives no number of days on retention of at most 7 days"},
		"a clause is not given": {change: func(d *record.Dossier) {
			restate(d, 0, func(a *record.Assurance) { a.Clauses[0].Given = false })
		}, result: record.Missing, says: "says that it is not given on sub-processors"},
		"nobody registered it": {change: func(d *record.Dossier) { d.Vendors[0].Stated = record.Recorded[record.ModelVendor]{} }, result: record.Missing, says: "the grant of parrot/chat-2", do: "imprimatur vendor register acme/parrot"},
		"any vendor is granted": {change: func(d *record.Dossier) {
			d.Vendors[0].Name, d.Vendors[0].Stated = "*", record.Recorded[record.ModelVendor]{}
		}, result: record.Missing, says: "names no one vendor"},
		"a model without vendor": {change: func(d *record.Dossier) { d.Version.Record.Type = record.Vendor }, result: record.Missing, says: "acme/triage@2 names no vendor", do: "imprimatur vendor accept acme/triage@VERSION"},
		"a base without vendor": {change: func(d *record.Dossier) {
			d.Bases = []record.Recorded[record.ModelVersion]{{Record: record.ModelVersion{Model: "acme/base", Version: "1", Type: record.Vendor}}}
		}, result: record.Missing, says: "acme/base@1 names no vendor"},
		"no vendor at all": {change: func(d *record.Dossier) { d.Vendors = nil }, result: record.Pass, says: "rests on no vendor's model"},
	} {
		at := c.at
		if at.IsZero() {
			at = vendorNow
		}
		g := judgeVendor(t, at, c.change)
		if g.Result != c.result || !strings.Contains(g.Reason, c.says) || !strings.Contains(g.Do, c.do) || (g.Do == "") != (c.do == "" && g.Result == record.Pass) {
			t.Errorf("%s: %s: %s; %s", name, g.Result, g.Reason, g.Do)
		}
	}
}

// The gate lapses with the first document on which it rests, by time alone.
func TestVendorGateLapsesWithItsFirstDocument(t *testing.T) {
	first := vendorNow.Add(20 * 24 * time.Hour)
	lapsing := func(d *record.Dossier) { d.Vendors[0].Assurances[1].Record.Expires = first }
	g := judgeVendor(t, vendorNow, lapsing)
	if !g.Until.Equal(first) || len(g.Evidence) != 2 {
		t.Fatalf("until %s, evidence %q", g.Until, g.Evidence)
	}
	if g := judgeVendor(t, first.Add(-time.Millisecond), lapsing); g.Result != record.Pass {
		t.Errorf("just before: %s", g.Reason)
	}
	if g := judgeVendor(t, first, lapsing); g.Result != record.Missing {
		t.Errorf("at that time: %s", g.Reason)
	}
}

func TestVendorRulesAreReadStrictly(t *testing.T) {
	for text, says := range map[string]string{
		"vendor: { probedWithin: soon }":                "is not a length of time",
		"vendor: {}":                                    "asks for nothing",
		"vendor: {assurance: [SOC]}":                    "is not a name",
		"vendor: {assurance: [dpa, dpa]}":               `gives "dpa" twice`,
		"vendor: {clauses: [a, {clause: a}]}":           `gives "a" twice`,
		"vendor: {clauses: [{atLeast: 3d}]}":            `lacks "clause"`,
		"vendor: {clauses: [{clause: a, atLeast: 3h}]}": "not in whole days",
		"vendor: {clauses: [{clause: a, exactly: 3d}]}": `has no member "exactly"`,
		"vendor: [soc-2]":                               "is not a mapping",
	} {
		_, err := policy.Load([]byte("apiVersion: imprimatur/v1\nkind: Policy\nname: p\ntiers:\n  high:\n    " + text + "\n"))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
